//! `POST /revoke` on the control socket: ends the sign-ins of a session, a subject or one credential, at once.
//!
//! Decides what an ask means. Names come in the query, which nobody logs.

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{Answer, plain};
use crate::authn::{self, Callers};
use crate::pipeline::canonical::form_decoded;
use crate::runtime::{Provider, Runtime};
use crate::sessions::ends::End;
use crate::sessions::key::Kind;
use crate::sessions::name::{FORM, Name};
use crate::sessions::{EndedBy, NotRevoked, Revocation, What};
use crate::shared::Shared;

/// The longest time that one may hold, in seconds.
pub(crate) const LONGEST_S: u64 = 366 * 24 * 60 * 60;

/// Revokes.
pub(super) fn answer(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let now = shared.clock.now().unix_seconds();
    let mut revocation = match read(request.uri().query().unwrap_or_default(), now) {
        Ok(revocation) => revocation,
        Err(why) => return plain(StatusCode::BAD_REQUEST, "text/plain", format!("{why}\n")),
    };
    // The sign-ins that there are may be dated by a clock that is ahead of ours, by as much as its provider is allowed.
    let runtime = shared.runtime.load();
    if !vouches(&runtime, &revocation.what) {
        return plain(StatusCode::NOT_FOUND, "text/plain", format!("{STRANGER}\n"));
    }
    let judges: Vec<_> = runtime.providers.iter().filter(|one| may_name(&one.authn, &revocation.what)).collect();
    let ahead = judges.iter().map(|one| one.authn.leeway_s()).max().unwrap_or(0);
    revocation.end.before = revocation.end.before.map(|before| before.saturating_add(ahead));
    match shared.sessions.revoke(&revocation, now, EndedBy::Control) {
        Ok(()) => {
            let word = word(&revocation.what);
            tracing::info!(target: "anteroom", reason = word, "revoked over the control socket");
            let said = json!({
                "revoked": word,
                "until": audit::rfc3339(revocation.end.until.saturating_mul(1_000)),
                "back": back(&revocation.what, judges.first().copied()),
                "survives_restart": shared.sessions.is_written(),
            });
            plain(StatusCode::OK, "application/json", format!("{said}\n"))
        }
        Err(NotRevoked::Full) => {
            plain(StatusCode::INSUFFICIENT_STORAGE, "text/plain", "no room for one more\n".to_owned())
        }
        Err(NotRevoked::Unknown) => plain(StatusCode::NOT_FOUND, "text/plain", format!("{UNKNOWN}\n")),
    }
}

/// What is said of a name that the record of another gate holds, or that was not copied well.
const UNKNOWN: &str = "no session goes by this name here: it stands in the record of a gate with another key, \
                       or of one whose key was made anew since";

/// What is said of an issuer that vouches for nobody here.
const STRANGER: &str = "nothing here has this issuer: write it as `iss` in the record, to the last slash";

/// Whether anything of this configuration vouches for people under the issuer of what is revoked.
fn vouches(runtime: &Runtime, what: &What) -> bool {
    let What::Named { issuer, .. } = what else { return true };
    let providers = runtime.providers.iter().map(|one| one.authn.issuer());
    let certificates = runtime.callers.as_ref().map(Callers::issuer);
    let app = runtime.app_session.as_ref().and_then(|one| Some(&*one.whoami.as_ref()?.reads.issuer));
    providers.chain(certificates).chain(app).any(|one| one == issuer)
}

/// Whether this provider's credentials can be of what is revoked.
fn may_name(provider: &authn::Provider, what: &What) -> bool {
    match what {
        What::Named { issuer, .. } => provider.issuer() == issuer,
        // The name does not tell.
        What::Recorded(_) => true,
    }
}

/// What lets whoever was revoked in again before its time is over.
fn back(what: &What, provider: Option<&Provider>) -> &'static str {
    let kind = match what {
        What::Named { kind, .. } => *kind,
        What::Recorded(_) => {
            return "by another session, or by a later sign-in in this one, where its credential tells the time \
                    (`auth_time`); else not before `until`";
        }
    };
    // ID tokens tell it by `auth_time` alone, however the provider's other tokens do.
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

fn word(what: &What) -> &'static str {
    match what {
        What::Named { kind: Kind::Session, .. } | What::Recorded(_) => "session",
        What::Named { kind: Kind::Subject, .. } => "subject",
        What::Named { kind: Kind::Credential, .. } => "token",
        What::Named { kind: Kind::Nameless, .. } => "nameless",
    }
}

/// What an ask has to hold.
const ASK: &str = "issuer, kind, name, for";

/// Reads an ask; `Err`: why it is none.
fn read(query: &str, now: u64) -> Result<Revocation, &'static str> {
    let mut pairs = std::collections::BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or(ASK)?;
        if pairs.insert(name, form_decoded(value).ok_or(ASK)?).is_some() {
            return Err(ASK);
        }
    }
    let mut one = |name: &str| pairs.remove(name).filter(|value| !value.is_empty());
    let (kind, name, issuer, seconds) = (one("kind"), one("name").ok_or(ASK)?, one("issuer"), one("for"));
    let kind = match kind.as_deref() {
        Some("session") => Kind::Session,
        Some("subject") => Kind::Subject,
        Some("token") => Kind::Credential,
        Some(_) | None => return Err(ASK),
    };
    let seconds = seconds.and_then(|text| text.parse().ok()).filter(|seconds| (1..=LONGEST_S).contains(seconds));
    let until = now.saturating_add(seconds.ok_or(ASK)?);
    if !pairs.is_empty() {
        return Err(ASK);
    }
    // Of a credential there is no later sign-in: it is ended whatever it says.
    let before = match kind {
        Kind::Session | Kind::Subject | Kind::Nameless => Some(now),
        Kind::Credential => None,
    };
    let end = End { before, until };
    if kind == Kind::Session && Name::is_meant(&name) {
        return Ok(Revocation { what: What::Recorded(Name::read(&name).ok_or(FORM)?), end });
    }
    Ok(Revocation::named(kind, &issuer.ok_or(ASK)?, name, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_read_whole_or_not_at_all() {
        let read = |query: &str| super::read(query, 1_000);
        let asked = read("issuer=https%3A%2F%2Fa.example%2F&kind=subject&name=auth0%7C5f&for=60").unwrap();
        let end = End { before: Some(1_000), until: 1_060 };
        assert_eq!(asked, Revocation::named(Kind::Subject, "https://a.example/", "auth0|5f".into(), end));
        assert_eq!(read("issuer=a&kind=token&name=t&for=60").unwrap().end.before, None);
        let name = format!("hs:{}", "0f".repeat(20));
        let recorded = Revocation { what: What::Recorded(Name::read(&name).unwrap()), end };
        for issuer in ["", "&issuer=a"] {
            assert_eq!(read(&format!("kind=session&name={name}&for=60{issuer}")).unwrap(), recorded);
        }
        assert_eq!(read("issuer=a&kind=session&name=hs:0f&for=60"), Err(FORM), "it is not taken for another's name");
        assert_eq!(read(&format!("kind=subject&name={name}&for=60")), Err(ASK));
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
            assert_eq!(read(bad), Err(ASK), "{bad}");
        }
    }
}
