//! From the claims of a believed token to the caller that policies know.
//!
//! Decides who the caller is, for which tenant and with which roles. What is missing or of another form than the mapping
//! says is never guessed: no tenant, no role, no claim. Only a subject that cannot be used makes the token invalid, and a time of
//! signing in that cannot be read.

use std::collections::BTreeMap;

use policy::{Claim, Principal, SignIn};
use serde_json::{Map, Value};

use super::bindings::bindings;
use super::claim_map::{ClaimPath, SessionSource};
use super::fault::TokenFault;
use super::jwt::Verified;
use super::provider::Provider;

/// The longest subject or client, in bytes.
const MAX_NAME: usize = 256;

/// The caller of a verified token.
///
/// # Errors
/// A subject that is missing, not a string, empty, longer than 256 bytes, or holds control characters; a time of signing in that
/// is there, and is not whole seconds from 1970 to 9999.
pub fn principal(token: &Verified, provider: &Provider) -> Result<Principal, TokenFault> {
    let mut principal = assumed(token.claims(), provider)?;
    // As it was judged: `exp` may have a fraction.
    principal.sign_in.expires = Some(token.lifetime().expires);
    Ok(principal)
}

/// Why a verified token proves less than one would think, for the log; `None` where it does not.
pub(crate) fn remark(token: &Verified, provider: &Provider) -> Option<&'static str> {
    bindings(token.claims(), provider).remark
}

/// The caller that a token of `provider` with these claims would name. Proves nothing: it is for asking what would be.
///
/// # Errors
/// As [`principal`].
pub(crate) fn assumed(claims: &Map<String, Value>, provider: &Provider) -> Result<Principal, TokenFault> {
    let map = provider.claims();
    let subject = map.subject.find(claims).and_then(name).ok_or(TokenFault::Claim("sub"))?;
    let proof = provider.factor_rule().read(claims, provider)?;
    let sign_in = SignIn {
        session: session(&map.session, &subject, proof.at, claims),
        at: proof.at,
        credential: map.credential.find(claims).and_then(name),
        expires: claims.get("exp").and_then(Value::as_u64),
        at_provider: None,
        begun: None,
    };
    Ok(Principal {
        issuer: provider.issuer_shared(),
        provider: provider.name().to_owned(),
        subject: subject.into(),
        client: client(claims, provider),
        bindings: bindings(claims, provider).bindings,
        claims: extra(&map.extra, claims),
        factors: proof.factors,
        sign_in,
    })
}

/// A string that can stand in a header and a record.
pub(super) fn name(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_name(text)).map(ToOwned::to_owned)
}

/// Whether a subject or a program can be called like this.
pub(crate) fn is_name(text: &str) -> bool {
    // Spaces at an end are lost on the way to the application, which would then see another name.
    !text.is_empty() && text.len() <= MAX_NAME && text.trim() == text && !text.chars().any(char::is_control)
}

/// The program: the first of the claims in which such a provider says it.
fn client(claims: &Map<String, Value>, provider: &Provider) -> Option<String> {
    let told = provider.preset().profile().clients.claims();
    told.iter().find_map(|claim| claims.get(*claim)).and_then(name)
}

/// The session that the token is of.
fn session(source: &SessionSource, subject: &str, at: Option<u64>, claims: &Map<String, Value>) -> Option<String> {
    match source {
        SessionSource::Untold => None,
        SessionSource::Claim(path) => path.find(claims).and_then(name),
        SessionSource::SignIn => at.map(|at| format!("{subject} {at}")),
    }
}

/// The mapped claims that are there in a form that a condition can read.
pub(crate) fn extra(paths: &BTreeMap<String, ClaimPath>, claims: &Map<String, Value>) -> BTreeMap<String, Claim> {
    let found = paths.iter().filter_map(|(name, path)| Some((name.clone(), claim(path.find(claims)?)?)));
    found.collect()
}

fn claim(value: &Value) -> Option<Claim> {
    match value {
        Value::String(text) => Some(Claim::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(Claim::Number),
        Value::Bool(truth) => Some(Claim::Bool(*truth)),
        Value::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect();
            texts.map(Claim::List)
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use policy::{Bindings, TenantId};
    use serde_json::json;

    use super::*;
    use crate::authn::TenantSource;
    use crate::authn::factors::MAX_METHODS;
    use crate::authn::signing::{ISSUER, Maker, NOW, set_of, settings};
    use crate::authn::{Contexts, ProviderSettings, verify};

    fn read_with(settings: ProviderSettings, changes: Value) -> Result<Principal, TokenFault> {
        let (maker, provider) = (Maker::ed25519(), Provider::new(settings).unwrap());
        let keys = set_of(&[maker.jwk("e")]);
        let verified = verify(&maker.token("EdDSA", "e", changes), &provider, &keys, NOW).unwrap();
        principal(&verified, &provider)
    }

    fn read(changes: Value) -> Result<Principal, TokenFault> {
        read_with(settings(), changes)
    }

    fn tenant_of(caller: &Principal) -> Option<TenantId> {
        caller.bindings.only().map(|binding| binding.tenant().clone())
    }

    #[test]
    fn a_caller_has_what_the_token_says() {
        let caller = read(json!({ "azp": "web", "client_id": "other", "amr": ["pwd", "otp"], "auth_time": NOW - 5 }));
        let caller = caller.unwrap();
        assert_eq!((&*caller.issuer, caller.provider.as_str()), (ISSUER, "clinic"));
        assert_eq!((&*caller.subject, caller.client.as_deref()), ("user|1", Some("web")));
        assert_eq!(caller.bindings, Bindings::one(TenantId::parse("clinic-a"), vec!["provider".to_owned()]));
        assert!(caller.claims.is_empty());
        assert_eq!(
            (caller.factors.methods, caller.factors.at),
            (vec!["pwd".to_owned(), "otp".to_owned()], Some(NOW - 5))
        );
    }

    #[test]
    fn factors_are_what_the_standard_claims_say() {
        let mut listed = settings();
        listed.contexts = Contexts {
            two_factors: vec!["urn:2fa".to_owned(), "2".to_owned(), "both".to_owned()],
            phishing_resistant: vec!["phr".to_owned(), "both".to_owned()],
        };
        let shown = |changes: Value| read_with(listed.clone(), changes).unwrap().factors;
        let nothing = [
            json!({}),
            json!({ "amr": "mfa" }),
            json!({ "amr": [] }),
            json!({ "amr": ["mfa", 1] }),
            json!({ "amr": [["pwd", "otp"]] }),
            json!({ "amr": vec!["mfa"; MAX_METHODS + 1] }),
            json!({ "amr": [{ "method": "totp", "timestamp": NOW }] }),
            json!({ "acr": "0" }),
            json!({ "acr": 2 }),
            json!({ "acr": ["urn:2fa"] }),
            json!({ "acr": "URN:2FA" }),
            json!({ "acr": "urn:2fa phr" }),
            json!({ "acr": "" }),
            json!({ "aal": "aal2", "fva": [2, -1], "acrs": ["c1"] }),
        ];
        for changes in nothing {
            assert!(!shown(changes.clone()).are_two(), "{changes}");
        }
        for changes in [json!({ "amr": ["pwd", "otp"] }), json!({ "acr": "2" }), json!({ "acr": "urn:2fa", "amr": [] })]
        {
            assert!(shown(changes.clone()).are_two() && !shown(changes.clone()).resist_phishing(), "{changes}");
        }
        for changes in [json!({ "acr": "phr" }), json!({ "acr": "both" }), json!({ "amr": ["hwk", "pin"] })] {
            assert!(shown(changes.clone()).are_two() && shown(changes.clone()).resist_phishing(), "{changes}");
        }
        assert!(!read(json!({ "acr": "urn:2fa" })).unwrap().factors.are_two(), "none is listed by default");
        assert_eq!(shown(json!({})).at, None, "`iat` is no substitute");
        assert_eq!(shown(json!({ "auth_time": NOW })).leeway_s, listed.leeway_s);
    }

    #[test]
    fn a_sign_in_is_what_the_token_says_of_it() {
        let told = json!({ "sid": "s-1", "auth_time": NOW - 60, "jti": "t-1" });
        let sign_in = read(told).unwrap().sign_in;
        assert_eq!(sign_in.session.as_deref(), Some("s-1"));
        assert_eq!((sign_in.at, sign_in.credential.as_deref()), (Some(NOW - 60), Some("t-1")));
        assert_eq!(sign_in.expires, Some(NOW + 300));
        assert_eq!(read(json!({ "exp": NOW as f64 + 60.75 })).unwrap().sign_in.expires, Some(NOW + 60));
        let odd = read(json!({ "sid": 7, "jti": ["t"] })).unwrap().sign_in;
        assert_eq!((odd.session, odd.at, odd.credential), (None, None, None), "nothing is guessed");
    }

    #[test]
    fn a_time_of_signing_in_that_cannot_be_read_is_not_taken_for_none() {
        let times = [json!("1"), json!(-1), json!([NOW]), json!({}), json!(true), json!(NOW as f64 + 0.5), json!(1e3)];
        for time in times.into_iter().chain([json!(NOW * 1_000), json!(u64::MAX)]) {
            assert_eq!(read(json!({ "auth_time": time })), Err(TokenFault::Claim("auth_time")), "{time}");
        }
        let mut named = settings();
        named.claims.auth_time = ClaimPath::parse("/ext/at").unwrap();
        let read = |changes| read_with(named.clone(), changes).map(|caller| caller.sign_in.at);
        assert_eq!(read(json!({ "ext": { "at": null } })), Err(TokenFault::Claim("auth_time")), "`null` is there");
        assert_eq!(read(json!({ "auth_time": "now" })), Ok(None), "nobody reads it");
    }

    #[test]
    fn a_subject_must_be_usable() {
        let long = "x".repeat(MAX_NAME + 1);
        let unusable =
            [json!(null), json!(""), json!(1), json!(["a"]), json!({}), json!(long), json!("a\nb"), json!("a\u{0}")];
        for subject in unusable {
            assert_eq!(read(json!({ "sub": subject })), Err(TokenFault::Claim("sub")), "{subject}");
        }
        assert!(read(json!({ "sub": "x".repeat(MAX_NAME) })).is_ok());
    }

    #[test]
    fn a_tenant_is_one_or_none() {
        for org in [json!("clinic-a"), json!(["clinic-a"])] {
            assert_eq!(tenant_of(&read(json!({ "org": org })).unwrap()), TenantId::parse("clinic-a"), "{org}");
        }
        let none = [
            json!(null),
            json!(""),
            json!([]),
            json!(["clinic-a", "clinic-b"]),
            json!(["clinic-a", "clinic-a"]),
            json!([["clinic-a"]]),
            json!([1]),
            json!(1),
            json!(true),
            json!({ "id": "clinic-a" }),
            json!("clinic a"),
            json!("clinic-a\r\nx-role: admin"),
            json!("x".repeat(129)),
        ];
        for org in none {
            assert_eq!(tenant_of(&read(json!({ "org": org })).unwrap()), None, "{org}");
        }
        let fixed = TenantId::parse("only").unwrap();
        let mut settings = settings();
        settings.claims.tenant = Some(TenantSource::Fixed(fixed.clone()));
        assert_eq!(tenant_of(&read_with(settings, json!({ "org": "other" })).unwrap()), Some(fixed));
    }

    #[test]
    fn null_is_no_tenant_even_when_it_is_there() {
        let maker = Maker::ed25519();
        let provider = Provider::new(settings()).unwrap();
        let mut claims = crate::authn::signing::claims(json!({}));
        claims["org"] = Value::Null;
        let token = maker.token_of(r#"{"alg":"EdDSA","kid":"e"}"#, &claims.to_string());
        let verified = verify(&token, &provider, &set_of(&[maker.jwk("e")]), NOW).unwrap();
        assert_eq!(tenant_of(&principal(&verified, &provider).unwrap()), None);
    }

    #[test]
    fn roles_are_a_list_of_strings_or_one_string() {
        let roles = |value: Value| {
            let caller = read(json!({ "roles": value })).unwrap();
            caller.bindings.only().unwrap().roles().to_vec()
        };
        assert_eq!(roles(json!(["a", "b", "a"])), ["a", "b"]);
        assert_eq!(roles(json!("a")), ["a"]);
        assert_eq!(roles(json!("a b")), ["a b"], "one string is one role");
        assert_eq!(roles(json!(["a", "", "b,admin", "c\n", "x".repeat(129)])), ["a"]);
        for none in
            [json!(null), json!(1), json!(true), json!({ "a": true }), json!(["a", 1]), json!([["a"]]), json!("")]
        {
            assert!(roles(none.clone()).is_empty(), "{none}");
        }
    }

    #[test]
    fn further_claims_are_those_that_are_mapped_and_readable() {
        let mut settings = settings();
        for name in ["text", "whole", "truth", "list", "fraction", "object", "mixed", "missing"] {
            settings.claims.extra.insert(name.to_owned(), ClaimPath::parse(&format!("/x/{name}")).unwrap());
        }
        let changes = json!({ "unmapped": "y", "x": {
            "text": "p1", "whole": -3, "truth": true, "list": ["a", "b"],
            "fraction": 1.5, "object": {}, "mixed": ["a", 1],
        } });
        let claims = read_with(settings, changes).unwrap().claims;
        let expected = BTreeMap::from([
            ("text".to_owned(), Claim::Text("p1".to_owned())),
            ("whole".to_owned(), Claim::Number(-3)),
            ("truth".to_owned(), Claim::Bool(true)),
            ("list".to_owned(), Claim::List(vec!["a".to_owned(), "b".to_owned()])),
        ]);
        assert_eq!(claims, expected);
    }
}
