//! `POST /.anteroom/backchannel-logout`: a provider says that a session has ended (OpenID Connect Back-Channel Logout 1.0).
//!
//! Decides nothing by itself: the token in the form is judged by the settings and keys of a provider that the configuration
//! lets speak here, and by nothing else of the request. It is recorded, and answered once the end survives a restart.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response};

use super::admit::Understood;
use super::canonical::form_decoded;
use super::record;
use super::reports::whole;
use super::trail::{Known, Trail};
use crate::authn::{self, LoggedOut, TokenFault};
use crate::clock::Now;
use crate::made_of::MadeOf;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::Runtime;
use crate::sessions::ends::End;
use crate::sessions::heard::Said;
use crate::sessions::key::Kind;
use crate::sessions::{EndedBy, Revocation};
use crate::shared::Shared;
use crate::upstream::body::AnswerBody;

/// Where providers call.
pub(super) const BACKCHANNEL: &str = "/.anteroom/backchannel-logout";
/// For how long all sessions of a subject are ended that its provider has logged out, in seconds: longer than tokens of an
/// earlier sign-in are mostly renewed.
const SUBJECT_S: u64 = 7 * 24 * 60 * 60;

/// Ends what a provider says has ended.
///
/// # Errors
/// `METHOD_NOT_ALLOWED`, `LIMITED`, `TOO_LARGE`, `BAD_HEADER`; `TOKEN_INVALID` and its kin, as 400; `NOT_RECORDED`.
pub(super) async fn serve(
    shared: &Shared,
    runtime: &Runtime,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    trail.template = Some(BACKCHANNEL.into());
    if understood.method != Method::POST {
        return Err(Rejection::MethodNotAllowed("POST".to_owned()));
    }
    let Understood { parts, body, pressed, .. } = understood;
    if !is_form(&parts.headers) {
        return Err(Rejection::BadHeader("a logout token comes in a plain form"));
    }
    // ORDER: an address that has used up its refusals costs no signature check.
    if let Some(full) = pressed {
        return Err(Rejection::Limited(full));
    }
    let text = whole(body).await.ok_or(Rejection::TooLarge(Oversize::Body))?;
    let token = field(&text, "logout_token").ok_or(Rejection::LogoutToken(TokenFault::Parts))?;
    let now = trail.started.unix_seconds();
    let (judge, told) = judge(runtime, &token, trail.started).map_err(Rejection::LogoutToken)?;
    trail.actor = told.subject.as_ref().map(|subject| {
        let session = told.session.as_ref();
        let session =
            session.map(|name| shared.sessions.name(shared.sessions.key(Kind::Session, judge.issuer(), name)));
        Known::Told { issuer: judge.issuer().to_owned(), subject: subject.clone(), session }
    });
    // ORDER: nothing ends that leaves no trace.
    record::reserve(shared, trail)?;
    let (said, until) = (said(judge, &told), told.until);
    let heard = shared.sessions.heard();
    if !heard.has(&said, now) {
        let signs_in = runtime.login().is_some_and(|(provider, _)| provider.authn.issuer() == judge.issuer());
        end(shared, (judge, signs_in), told, now).await?;
        // ORDER: once all of it is on disk, so that a provider which sends it again for want of an answer is heard.
        heard.note(said, until, now);
    }
    let mut answer = Response::new(AnswerBody::Whole(None));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    record::after(answer, trail, shared.clock.now()).await
}

/// Whom the token is about, and by whose settings.
fn judge<'r>(runtime: &'r Runtime, token: &str, now: Now) -> Result<(&'r authn::Provider, LoggedOut), TokenFault> {
    // The claim only picks the judge, who then checks it.
    let issuer = authn::unverified_issuer(token).ok_or(TokenFault::Issuer)?;
    let judge = runtime.sessions.told_by.iter().find(|one| one.issuer() == issuer).ok_or(TokenFault::Issuer)?;
    let provider = runtime.providers.iter().find(|one| one.authn.name() == judge.name());
    let keys = &provider.ok_or(TokenFault::Issuer)?.keys;
    Ok((judge, authn::logged_out(token, judge, keys, now)?))
}

/// What tells this token from others (section 2.6): its name, and all that is done for it, so that a name that is given twice
/// keeps nobody in. Not its text, since other signatures can be made of a good one.
fn said(judge: &authn::Provider, told: &LoggedOut) -> Said {
    let LoggedOut { session, subject, at, token, .. } = told;
    let [session, subject] = [session, subject].map(|name| name.as_deref().unwrap_or_default().as_bytes());
    MadeOf::all([judge.issuer().as_bytes(), token.as_bytes(), &at.to_be_bytes(), session, subject])
}

/// One session where the token names one, else all of the subject. Credentials that are of no session that could be told from
/// others end with every session of their subject.
async fn end(
    shared: &Shared,
    (judge, signs_in): (&authn::Provider, bool),
    told: LoggedOut,
    now: u64,
) -> Result<(), Rejection> {
    let sessions = &shared.sessions;
    let revocation = |kind: Kind, name: String| {
        let end = End { before: Some(told.at), until: told.at.saturating_add(SUBJECT_S) };
        Revocation::named(kind, judge.issuer(), name, end)
    };
    match (told.session, told.subject) {
        // What is answered well has ended something.
        (Some(_), None) if !judge.names_sid() => return Err(Rejection::LogoutToken(TokenFault::Claim("sub"))),
        (Some(session), subject) => {
            let key = sessions.key(Kind::Session, judge.issuer(), &session);
            sessions.end(key, told.at, told.at, EndedBy::Provider).await?;
            // A session of the gate's own goes by another name, and is reached by its provider's through what was revoked.
            let own = signs_in.then(|| revocation(Kind::Session, session));
            // Where the provider's tokens name sessions in another way, only their subject tells whose they are.
            let kind = if judge.names_sid() { Kind::Nameless } else { Kind::Subject };
            for one in own.into_iter().chain(subject.map(|name| revocation(kind, name))) {
                sessions.also_revoke(&one, now, EndedBy::Provider).map_err(|_| Rejection::Overloaded)?;
            }
        }
        (None, Some(name)) => {
            let all = revocation(Kind::Subject, name);
            sessions.revoke(&all, now, EndedBy::Provider).map_err(|_| Rejection::Overloaded)?;
        }
        // INVARIANT: a token that names neither is none.
        (None, None) => return Err(Rejection::LogoutToken(TokenFault::Claim("sid"))),
    }
    sessions.durable().await.map_err(|_| Rejection::NotRecorded)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The one field of this name.
fn field(text: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut found = text.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
    let (_, value) = found.next()?;
    if found.next().is_some() { None } else { form_decoded(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stands_once_in_the_form() {
        assert_eq!(field(b"a=b&logout_token=x.y%2Ez&c=", "logout_token").as_deref(), Some("x.y.z"));
        for bad in
            [&b""[..], b"logout_token", b"logout_token=a&logout_token=a", b"Logout_Token=a", b"logout_token=\xff"]
        {
            assert_eq!(field(bad, "logout_token"), None);
        }
    }
}
