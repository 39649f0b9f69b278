//! A provider's word that a session has ended: the logout token of OpenID Connect Back-Channel Logout 1.0.
//!
//! Decides whether it is one (section 2.6), and whom it is about. An ID token is never taken for one, nor one for an access
//! token: the one has a `nonce` and no `events`, the other is of another `typ`. What it ends are sign-ins up to the moment at
//! which it was issued.

use serde_json::Value;

use super::claims;
use super::fault::TokenFault;
use super::jwt;
use super::provider::Provider;
use super::store::KeyStore;
use crate::clock::Now;

/// The member of `events` that makes a token one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest name of a session, a subject or a token, in bytes.
const LONGEST: usize = 256;

/// Who is logged out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The session, where the token names one.
    pub session: Option<String>,
    /// The subject, where it names one.
    pub subject: Option<String>,
    /// When the provider said so, in Unix seconds.
    pub at: u64,
    /// The token's own name (`jti`).
    pub token: String,
    /// The first second in which the token counts no more, in Unix time.
    pub until: u64,
}

/// Judges a logout token at `now` by a provider's settings for such tokens.
///
/// # Errors
/// As with any token of the provider; and where it is none for logging out.
pub(crate) fn logged_out(token: &str, judge: &Provider, store: &KeyStore, now: Now) -> Result<LoggedOut, TokenFault> {
    let keys = store.current(now.monotone)?;
    let now = now.unix_seconds();
    let verified = jwt::judge(token, judge, &keys, now).map_err(|refused| {
        store.refused(token, refused.fault, now);
        refused.fault
    })?;
    let told = verified.claims();
    let is_event = told
        .get("events")
        .and_then(Value::as_object)
        .is_some_and(|events| events.get(EVENT).is_some_and(Value::is_object));
    if !is_event {
        return Err(TokenFault::Claim("events"));
    }
    if told.contains_key("nonce") {
        return Err(TokenFault::Claim("nonce"));
    }
    let name = |claim: &'static str| match told.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.clone())),
        Some(_) => Err(TokenFault::Claim(claim)),
    };
    let (session, subject) = (name("sid")?, name("sub")?);
    // Where subjects go by another claim, `sub` is nobody's name here.
    let subject = if judge.names_sub() { subject } else { judge.claims().subject.find(told).and_then(claims::name) };
    if session.is_none() && subject.is_none() {
        return Err(TokenFault::Claim("sid"));
    }
    let token = name("jti")?.ok_or(TokenFault::Claim("jti"))?;
    let until = verified.lifetime().expires.saturating_add(judge.leeway_s());
    let at = told.get("iat").and_then(Value::as_u64).ok_or(TokenFault::Claim("iat"))?;
    // As the provider's clock has it: its times of sign-in are of the same clock.
    Ok(LoggedOut { session, subject, at, token, until })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::authn::claim_map::ClaimPath;
    use crate::authn::provider::ProviderSettings;
    use crate::authn::signing::{Maker, NOW, at, set_of, settings};

    fn judged(changes: Value, typ: Option<&str>) -> Result<LoggedOut, TokenFault> {
        judged_by(settings(), changes, typ)
    }

    fn judged_by(settings: ProviderSettings, changes: Value, typ: Option<&str>) -> Result<LoggedOut, TokenFault> {
        let maker = Maker::ed25519();
        let provider = Provider::new(settings).unwrap();
        let judge = provider.for_logout(vec!["client-7".to_owned()]).unwrap();
        let store = KeyStore::fixed(set_of(&[maker.jwk("e")]));
        let mut claims = json!({
            "iss": provider.issuer(), "aud": "client-7", "iat": NOW - 5, "exp": NOW + 60, "jti": "l-1",
            "sid": "s-1", "sub": "ada.example", "events": { EVENT: {} },
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                // It takes out what is there, and stands where nothing is.
                Value::Null if claims.get(name).is_some() => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let claims: Map<String, Value> = claims.as_object().unwrap().clone();
        let mut header = json!({ "alg": "EdDSA", "kid": "e" });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let token = maker.token_of(&header.to_string(), &Value::Object(claims).to_string());
        logged_out(&token, &judge, &store, at(NOW))
    }

    #[test]
    fn a_token_for_logging_out_names_session_and_subject() {
        for typ in [None, Some("JWT"), Some("logout+jwt"), Some("application/logout+jwt")] {
            let told = judged(json!({}), typ).unwrap();
            let (session, subject) = (Some("s-1".into()), Some("ada.example".into()));
            // Its provider's clock may be 30 seconds from ours.
            let expected = LoggedOut { session, subject, at: NOW - 5, token: "l-1".into(), until: NOW + 90 };
            assert_eq!(told, expected, "{typ:?}");
        }
        assert_eq!(judged(json!({ "sub": null }), None).unwrap().subject, None);
        assert_eq!(judged(json!({ "sid": null }), None).unwrap().session, None);
        assert_eq!(
            judged(json!({ "iat": NOW + 20 }), None).unwrap().at,
            NOW + 20,
            "as the provider's clock has it, within its leeway"
        );
    }

    #[test]
    fn a_subject_goes_by_the_claim_that_it_goes_by_in_other_tokens() {
        let told = |changes: Value| {
            let mut settings = settings();
            settings.claims.subject = ClaimPath::at_the_top("oid");
            judged_by(settings, changes, None)
        };
        assert_eq!(told(json!({})).unwrap().subject, None, "`sub` is nobody's name there");
        assert_eq!(told(json!({ "oid": "ada.example", "sub": "x" })).unwrap().subject.as_deref(), Some("ada.example"));
        assert_eq!(told(json!({ "sid": null })), Err(TokenFault::Claim("sid")));
    }

    #[test]
    fn no_other_token_is_one() {
        for (changes, typ) in [
            (json!({}), Some("at+jwt")),
            (json!({ "events": null }), None),
            (json!({ "events": EVENT }), None),
            (json!({ "events": [EVENT] }), None),
            (json!({ "events": { EVENT: true } }), None),
            (json!({ "events": { "http://schemas.openid.net/event/frontchannel-logout": {} } }), None),
            (json!({ "nonce": "n-1" }), None),
            (json!({ "nonce": "" }), None),
            (json!({ "nonce": null }), None),
            (json!({ "sid": null, "sub": null }), None),
            (json!({ "sid": "" }), None),
            (json!({ "sid": 7 }), None),
            (json!({ "sub": ["ada.example"] }), None),
            (json!({ "jti": null }), None),
            (json!({ "iat": null }), None),
            (json!({ "iat": "now" }), None),
            (json!({ "iat": NOW + 600 }), None),
            (json!({ "exp": null }), None),
            (json!({ "exp": NOW - 60 }), None),
            (json!({ "aud": "https://api.clinic.example" }), None),
            (json!({ "aud": null }), None),
            (json!({ "iss": "https://other.example/" }), None),
        ] {
            assert!(judged(changes.clone(), typ).is_err(), "{changes} {typ:?}");
        }
    }
}
