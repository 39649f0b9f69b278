//! The session that a sign-in makes, as the browser keeps it.
//!
//! Decides what of an ID token is kept, and until when the session holds. It keeps claims, not what follows from them: who
//! that is and with which roles is read anew on each request, by the configuration as it is then. What OpenID Connect Core
//! (5.1) says of a person (name, address, e-mail, picture) is left out, unless the configuration maps it.

use std::collections::BTreeSet;

use policy::{Principal, SignIn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::LoginFault;
use crate::authn::{self, TokenFault};

/// Claims that were for the sign-in alone. `iat` is kept: the age of factors is counted from it at some providers.
const OF_THE_TOKEN: [&str; 7] = ["iss", "aud", "exp", "nbf", "nonce", "at_hash", "c_hash"];
/// The standard claims about a person, `sub` left out.
const OF_THE_PERSON: [&str; 19] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
];

/// A session, as it is sealed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Its name: 128 random bits, of this sign-in alone.
    #[serde(rename = "i")]
    pub id: String,
    /// When it began, in Unix seconds.
    #[serde(rename = "b")]
    pub begun: u64,
    /// The first second in which it no longer holds.
    #[serde(rename = "e")]
    pub ends: u64,
    /// When the provider last vouched for its claims.
    #[serde(rename = "r")]
    pub renewed: u64,
    /// Whether factors were asked for.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    pub stepped: bool,
    /// What the ID token said.
    #[serde(rename = "c")]
    pub claims: Map<String, Value>,
}

impl Session {
    /// The person that it is of.
    ///
    /// # Errors
    /// Where the claims name no subject that can be used.
    pub fn principal(&self, provider: &authn::Provider) -> Result<Principal, TokenFault> {
        let principal = authn::assumed(&self.claims, provider)?;
        // INVARIANT: a session goes by the gate's own name, whatever the provider calls its: it is another one after each
        // sign-in, so nobody can be made to use one that somebody else knows.
        let sign_in = SignIn {
            session: Some(self.id.clone()),
            at_provider: principal.sign_in.session.clone(),
            begun: Some(self.begun),
            // A sign-in is never newer than the session that it made: what the provider says later, on renewal, revives nothing.
            at: principal.sign_in.at.map(|at| at.min(self.begun)),
            expires: Some(self.ends),
            ..principal.sign_in.clone()
        };
        Ok(Principal { sign_in, ..principal })
    }

    /// Reads one that was sealed, and holds it to its time.
    ///
    /// # Errors
    /// [`LoginFault::Unreadable`], [`LoginFault::Over`].
    pub(super) fn read(plain: &[u8], now: u64) -> Result<Self, LoginFault> {
        let session: Self = serde_json::from_slice(plain).map_err(|_| LoginFault::Unreadable)?;
        if now >= session.ends { Err(LoginFault::Over) } else { Ok(session) }
    }
}

/// What of an ID token's claims a session keeps; `mapped` are the names at the top that the configuration reads.
pub(super) fn kept(claims: &Map<String, Value>, mapped: &BTreeSet<String>) -> Map<String, Value> {
    let is_kept =
        |name: &str| mapped.contains(name) || !(OF_THE_TOKEN.contains(&name) || OF_THE_PERSON.contains(&name));
    claims.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_what_policies_go_by() {
        let claims = json!({ "iss": "i", "aud": "a", "exp": 1, "nonce": "n", "sub": "s", "email": "ada@clinic.example",
            "name": "Ada Example", "picture": "p", "org_id": "a", "amr": ["pwd"], "auth_time": 7, "roles": ["x"] });
        let claims = claims.as_object().unwrap();
        let names = |mapped: &[&str]| {
            let mapped = mapped.iter().map(|name| (*name).to_owned()).collect();
            let mut names: Vec<_> = kept(claims, &mapped).keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(names(&[]), ["amr", "auth_time", "org_id", "roles", "sub"]);
        assert_eq!(names(&["email"]), ["amr", "auth_time", "email", "org_id", "roles", "sub"]);
    }

    #[test]
    fn a_session_ends_at_its_end_and_has_one_form() {
        let session = Session {
            id: "s".to_owned(),
            begun: 10,
            ends: 20,
            renewed: 10,
            stepped: true,
            claims: Map::from_iter([("sub".to_owned(), json!("ada.example"))]),
        };
        let text = serde_json::to_vec(&session).unwrap();
        assert_eq!(Session::read(&text, 19), Ok(session));
        assert_eq!(Session::read(&text, 20), Err(LoginFault::Over));
        for odd in [&b""[..], b"{}", b"null", b"[]", br#"{"i":"s","b":1,"e":2,"r":1,"c":{},"x":1}"#] {
            assert_eq!(Session::read(odd, 0), Err(LoginFault::Unreadable));
        }
    }
}
