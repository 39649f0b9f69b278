//! From what the application says of a session to the caller that policies know.
//!
//! Decides who it is, for which tenant and with which roles, as claims of a token are read: what is missing or of another
//! form is never guessed. An answer without a subject is nobody's. What the application asked of the person when it signed
//! them in is not known here, so such a caller has shown no factors.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Bindings, Factors, Principal, SignIn, TenantId};
use serde_json::{Map, Value};

use super::PROVIDER;
use crate::authn::{self, ClaimPath};

/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 256;

/// Where the tenant comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TenantFrom {
    /// This place.
    Place(ClaimPath),
    /// Everyone is of this one tenant.
    Fixed(TenantId),
}

/// Where in the answer everything stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reads {
    /// What stands for `iss` in the record.
    pub(crate) issuer: Arc<str>,
    pub(crate) subject: ClaimPath,
    pub(crate) tenant: TenantFrom,
    pub(crate) roles: Option<ClaimPath>,
    /// Further values for conditions, by the name that conditions use.
    pub(crate) extra: BTreeMap<String, ClaimPath>,
}

impl Reads {
    /// The caller of an answer; `session` is what the sign-in is known by. Nobody where there is no answer or no subject.
    ///
    /// # Errors
    /// A subject that cannot be one.
    pub(crate) fn principal(
        &self,
        answer: Option<&Map<String, Value>>,
        session: String,
    ) -> Result<Option<Principal>, &'static str> {
        let Some(answer) = answer else { return Ok(None) };
        let Some(subject) = subject(self.subject.find(answer))? else { return Ok(None) };
        Ok(Some(Principal {
            issuer: self.issuer.clone(),
            provider: PROVIDER.to_owned(),
            subject: subject.into(),
            client: None,
            bindings: Bindings::one(
                match &self.tenant {
                    TenantFrom::Fixed(tenant) => Some(tenant.clone()),
                    TenantFrom::Place(path) => path.find(answer).and_then(tenant),
                },
                self.roles.as_ref().map_or_else(Vec::new, |path| authn::roles(path.find(answer))),
            ),
            claims: authn::extra(&self.extra, answer),
            factors: Factors::default(),
            sign_in: SignIn { session: Some(session), ..SignIn::default() },
        }))
    }
}

/// A text, or a whole number as applications count their users. What is missing, null or empty is nobody.
fn subject(found: Option<&Value>) -> Result<Option<String>, &'static str> {
    const BAD: &str = "the subject is no text of at most 256 bytes and no whole number";
    let text = match found {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(value @ Value::Number(_)) => whole(value).ok_or(BAD)?,
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return Err(BAD),
    };
    let fine = text.len() <= MAX_SUBJECT && text.trim() == text && !text.chars().any(char::is_control);
    if fine { Ok(Some(text)) } else { Err(BAD) }
}

/// A text or a whole number, alone or as the only one of a list. Several are none, since which one is meant is not known.
fn tenant(value: &Value) -> Option<TenantId> {
    match value {
        Value::String(one) => TenantId::parse(one),
        Value::Number(_) => TenantId::parse(&whole(value)?),
        Value::Array(list) => match list.as_slice() {
            [one @ (Value::String(_) | Value::Number(_))] => tenant(one),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

fn whole(value: &Value) -> Option<String> {
    value.as_i64().map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reads() -> Reads {
        let path = |text| ClaimPath::parse(text).unwrap();
        Reads {
            issuer: "app:clinic.example".into(),
            subject: path("/user/id"),
            tenant: TenantFrom::Place(path("/user/clinic")),
            roles: Some(path("/user/roles")),
            extra: BTreeMap::from([("npi".to_owned(), path("/user/npi"))]),
        }
    }

    fn read(user: Value) -> Result<Option<Principal>, &'static str> {
        reads().principal(json!({ "user": user }).as_object(), "s".to_owned())
    }

    /// The one tenant with its roles.
    fn held(caller: &Principal) -> Option<(&str, &[String])> {
        caller.bindings.only().map(|one| (one.tenant().as_str(), one.roles()))
    }

    #[test]
    fn a_caller_has_what_the_application_says() {
        let caller = read(json!({ "id": "ada", "clinic": "north", "roles": ["staff", "a,b"], "npi": "7" }));
        let caller = caller.unwrap().unwrap();
        assert_eq!((&*caller.issuer, caller.provider.as_str()), ("app:clinic.example", "app"));
        assert_eq!((&*caller.subject, held(&caller)), ("ada", Some(("north", &["staff".to_owned()][..]))));
        assert_eq!((caller.factors, caller.sign_in.session.as_deref()), (Factors::default(), Some("s")));
        assert_eq!(caller.claims.len(), 1);
        let counted = read(json!({ "id": 7, "clinic": 3, "amr": ["pwd", "otp"] })).unwrap().unwrap();
        assert_eq!((&*counted.subject, held(&counted)), ("7", Some(("3", &[][..]))));
        assert!(!counted.factors.are_two());
    }

    #[test]
    fn without_a_subject_it_is_nobody() {
        for user in [json!(null), json!({}), json!({ "id": null }), json!({ "id": "" }), json!("ada")] {
            assert_eq!(read(user.clone()).unwrap(), None, "{user}");
        }
        assert_eq!(reads().principal(None, String::new()), Ok(None));
    }

    #[test]
    fn a_subject_that_cannot_be_one_is_no_answer() {
        for id in
            [json!(1.5), json!(true), json!(["ada"]), json!({}), json!("a\nb"), json!(" a"), json!("x".repeat(257))]
        {
            assert!(read(json!({ "id": id })).is_err(), "{id}");
        }
    }

    #[test]
    fn a_tenant_is_one_or_none() {
        for clinic in [json!(null), json!(["a", "b"]), json!(1.5), json!({}), json!(""), json!("a b"), json!([["a"]])] {
            let caller = read(json!({ "id": "ada", "clinic": clinic, "roles": ["staff"] })).unwrap().unwrap();
            assert!(caller.bindings.is_empty(), "{clinic}");
        }
        let fixed = Reads { tenant: TenantFrom::Fixed(TenantId::parse("only").unwrap()), ..reads() };
        let caller = fixed.principal(json!({ "user": { "id": "a", "clinic": "b" } }).as_object(), String::new());
        assert_eq!(held(&caller.unwrap().unwrap()), Some(("only", &[][..])));
    }
}
