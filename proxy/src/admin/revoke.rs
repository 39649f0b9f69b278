//! `POST /revoke` on the control socket: ends the sign-ins of a session, a subject or one credential, at once.
//!
//! Decides what an ask means. Names come in the query, which nobody logs.

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{Answer, plain};
use crate::pipeline::canonical::form_decoded;
use crate::runtime::Provider;
use crate::sessions::ends::End;
use crate::sessions::key::Kind;
use crate::sessions::{EndedBy, Revocation};
use crate::shared::Shared;

/// The longest time that one may hold, in seconds.
pub(crate) const LONGEST_S: u64 = 366 * 24 * 60 * 60;

/// Revokes.
pub(super) fn answer(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let now = shared.clock.now().unix_seconds();
    let Some(mut revocation) = read(request.uri().query().unwrap_or_default(), now) else {
        return plain(StatusCode::BAD_REQUEST, "text/plain", "issuer, kind, name, for\n".to_owned());
    };
    // The sign-ins that there are may be dated by a clock that is ahead of ours, by as much as its provider is allowed.
    let runtime = shared.runtime.load();
    let provider = runtime.providers.iter().find(|one| one.authn.issuer() == revocation.issuer);
    let ahead = provider.map_or(0, |one| one.authn.leeway_s());
    revocation.end.before = revocation.end.before.map(|before| before.saturating_add(ahead));
    match shared.sessions.revoke(&revocation, now, EndedBy::Control) {
        Ok(()) => {
            tracing::info!(target: "anteroom", reason = kind_word(revocation.kind), "revoked over the control socket");
            let said = json!({
                "revoked": kind_word(revocation.kind),
                "until": audit::rfc3339(revocation.end.until.saturating_mul(1_000)),
                "back": back(revocation.kind, provider),
                "survives_restart": shared.sessions.is_written(),
            });
            plain(StatusCode::OK, "application/json", format!("{said}\n"))
        }
        Err(_) => plain(StatusCode::INSUFFICIENT_STORAGE, "text/plain", "no room for one more\n".to_owned()),
    }
}

/// What lets whoever was revoked in again before its time is over.
fn back(kind: Kind, provider: Option<&Provider>) -> &'static str {
    // ID tokens say it by `auth_time` alone, however the provider's other tokens do.
    let tells = |provider: &Provider| provider.login.is_none() && provider.authn.tells_sign_in();
    match (kind, provider.map(tells)) {
        (Kind::Session | Kind::Subject | Kind::Nameless, Some(true)) => "by a later sign-in",
        (Kind::Session | Kind::Subject | Kind::Nameless, Some(false)) => {
            "by a later sign-in, where the credential tells its time (`auth_time`); else not before `until`"
        }
        // Of callers whom no provider names, nobody tells when they signed in.
        (Kind::Credential, _) | (_, None) => "not before `until`",
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Session => "session",
        Kind::Subject => "subject",
        Kind::Credential => "token",
        Kind::Nameless => "nameless",
    }
}

fn read(query: &str, now: u64) -> Option<Revocation> {
    let mut pairs = std::collections::BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        if pairs.insert(name, form_decoded(value)?).is_some() {
            return None;
        }
    }
    let kind = match pairs.remove("kind")?.as_str() {
        "session" => Kind::Session,
        "subject" => Kind::Subject,
        "token" => Kind::Credential,
        _ => return None,
    };
    let seconds: u64 = pairs.remove("for")?.parse().ok().filter(|seconds| (1..=LONGEST_S).contains(seconds))?;
    let (issuer, name) = (pairs.remove("issuer")?, pairs.remove("name")?);
    // Of a credential there is no later sign-in: it is ended whatever it says.
    let before = match kind {
        Kind::Session | Kind::Subject | Kind::Nameless => Some(now),
        Kind::Credential => None,
    };
    let end = End { before, until: now.saturating_add(seconds) };
    (pairs.is_empty() && !issuer.is_empty() && !name.is_empty()).then_some(Revocation { kind, issuer, name, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_read_whole_or_not_at_all() {
        let read = |query: &str| super::read(query, 1_000);
        let asked = read("issuer=https%3A%2F%2Fa.example%2F&kind=subject&name=auth0%7C5f&for=60").unwrap();
        assert_eq!((asked.issuer.as_str(), asked.name.as_str()), ("https://a.example/", "auth0|5f"));
        assert_eq!(asked.end, End { before: Some(1_000), until: 1_060 });
        assert_eq!(read("issuer=a&kind=token&name=t&for=60").unwrap().end.before, None);
        for bad in [
            "",
            "issuer=a&kind=subject&name=b",
            "issuer=a&kind=subject&name=b&for=0",
            "issuer=a&kind=subject&name=b&for=99999999999",
            "issuer=a&kind=everything&name=b&for=60",
            "issuer=a&kind=subject&name=&for=60",
            "issuer=a&kind=subject&name=b&name=c&for=60",
            "issuer=a&kind=subject&name=b&for=60&more=1",
            "issuer=%FF&kind=subject&name=b&for=60",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
