//! Between knowing the caller and deciding: does the caller's session last? And later: the moment at which its clock moves.
//!
//! Decides by what the store of sessions knows and by what policy and configuration demand. A credential of a session that has
//! ended proves nobody: on a public page the caller is nobody then, everywhere else the answer is `SESSION_ENDED`. Nothing here
//! moves a clock before the request is sure to be recorded; what is refused, and what a page sends by itself, moves none.

use std::sync::Arc;

use http::HeaderName;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use policy::{Demand, Principal, SessionTerms};

use super::admit::Admitted;
use super::app_cookies;
use super::canonical;
use super::identify::Identified;
use super::navigation::is_navigation;
use super::record::Recorded;
use super::trail::Trail;
use crate::app_session;
use crate::rejection::Rejection;
use crate::runtime::{Runtime, Voucher};
use crate::server::Connection;
use crate::sessions::key::{Key, Kind};
use crate::sessions::life::{self, Fault, FirstSeen, Left, Sight, UNENDING_S};
use crate::sessions::open::{Asked, Held, Judged, Stream, Vouched};
use crate::shared::Shared;

pub(super) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What is known of a caller's session.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) key: Option<Key>,
    terms: SessionTerms,
    sight: Sight,
    /// What is left of it.
    pub(super) left: Left,
}

/// Lets a caller pass whose session lasts; nobody has none.
///
/// # Errors
/// `SESSION_ENDED`; `OVERLOADED` where the store of sessions does not answer.
pub(super) async fn check<'r>(
    shared: &Shared,
    runtime: &Runtime,
    identified: Identified<'r>,
    trail: &mut Trail,
) -> Result<(Identified<'r>, Option<Standing>), Rejection> {
    let mut identified = identified;
    let Some(caller) = &identified.caller else { return Ok((identified, None)) };
    let admitted = &identified.admitted;
    let is_public = match admitted.found.demand() {
        Demand::Public => true,
        Demand::Authenticated | Demand::Act(_) => false,
    };
    let terms = admitted.found.session(&caller.principal).and(runtime.sessions.terms);
    // A public page asks nobody to be there, so asking for it is no activity.
    let active = !is_public && !is_background(runtime, admitted);
    let now = trail.started.unix_seconds();
    let standing = standing(shared, runtime, &caller.principal, terms, active, now).await;
    if matches!(standing, Err(Rejection::Session(_))) && caller.voucher.is_app_session() {
        let headers = &admitted.parts.headers;
        if has_ended(shared, runtime, &caller.principal, now).await? {
            app_cookies::over(shared, runtime, headers, caller, trail);
        } else if is_navigation(&admitted.method, headers) {
            // It is over here alone, and goes on elsewhere: whoever came to see this page signs in again.
            app_cookies::cleared(shared, runtime, headers, trail);
        }
    }
    match standing {
        Ok(standing) => {
            trail.session_left = standing.left.least();
            Ok((identified, Some(standing)))
        }
        Err(Rejection::Session(_)) if is_public => {
            identified.caller = None;
            trail.actor = None;
            trail.cookies.clear();
            Ok((identified, None))
        }
        Err(rejection) => {
            trail.clears = matches!(rejection, Rejection::Session(_))
                && is_navigation(&admitted.parts.method, &admitted.parts.headers);
            Err(rejection)
        }
    }
}

/// How the session of a caller stands at `now`, in Unix seconds. Changes nothing.
///
/// # Errors
/// As [`check`].
pub(super) async fn standing(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    terms: SessionTerms,
    active: bool,
    now: u64,
) -> Result<Standing, Rejection> {
    let judged = judge(shared, runtime, principal, terms, active, now).await;
    if let Err(Rejection::Session(fault)) = &judged {
        shared.sessions.refused(*fault);
    }
    judged
}

/// Whether the session of a caller was ended or revoked, whatever time it may have left.
///
/// # Errors
/// `OVERLOADED` where the store does not answer.
pub(super) async fn has_ended(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    now: u64,
) -> Result<bool, Rejection> {
    match judge(shared, runtime, principal, runtime.sessions.terms, false, now).await {
        Ok(_) => Ok(false),
        Err(Rejection::Session(_)) => Ok(true),
        Err(rejection) => Err(rejection),
    }
}

/// Whether the session lasts in which something is open, as it would for a request that is nobody's doing.
///
/// # Errors
/// Why it does not; `Forgotten` where the store does not answer.
pub(super) async fn lasts(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    terms: SessionTerms,
    now: u64,
) -> Result<(), Fault> {
    over(judge(shared, runtime, principal, terms, false, now).await)
}

/// As [`lasts`], of all sessions of a person whose cookies the gate has not seen being set.
pub(super) async fn all_last(shared: &Shared, runtime: &Runtime, principal: &Principal, now: u64) -> Result<(), Fault> {
    over(unseen(shared, runtime, principal, now).await)
}

fn over<T>(judged: Result<T, Rejection>) -> Result<(), Fault> {
    match judged {
        Ok(_) => Ok(()),
        Err(Rejection::Session(fault)) => Err(fault),
        Err(_) => Err(Fault::Forgotten),
    }
}

/// Takes note of a session in which something is open already, where the configuration has begun to ask for it: its silence
/// counts from its sign-in, or from now.
pub(super) async fn enter(shared: &Shared, runtime: &Runtime, principal: &Principal, now: u64) {
    if let (Some(key), true) = (shared.sessions.key_of(principal), runtime.sessions.kept) {
        // Where the store does not answer, the session does not last either.
        let _seen = shared.sessions.store().touch(key, sight(runtime, principal, false, now)).get().await;
    }
}

/// What a credential shows of its session at `now`, in Unix seconds.
fn sight(runtime: &Runtime, principal: &Principal, active: bool, now: u64) -> Sight {
    let sign_in = &principal.sign_in;
    Sight {
        at: life::believable(sign_in.at, principal.factors.leeway_s, now),
        begun: sign_in.begun,
        now,
        expires: sign_in.expires.unwrap_or(now.saturating_add(UNENDING_S)),
        active,
        first_seen: runtime.sessions.first_seen,
    }
}

/// Whether the session of a caller was ended or revoked before, rather than having come to its end by itself.
///
/// # Errors
/// `OVERLOADED` where the store does not answer.
pub(super) async fn was_ended(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    now: u64,
) -> Result<bool, Rejection> {
    match judge(shared, runtime, principal, runtime.sessions.terms, false, now).await {
        Err(Rejection::Session(fault)) => Ok(matches!(fault, Fault::Ended | Fault::Revoked)),
        judged => judged.map(|_| false),
    }
}

/// Whether a session lasts whose cookie the gate has not seen being set: it may be any that the person ever had, in another
/// spelling. So all of them together have one clock and one end, but for those that were known before that.
///
/// # Errors
/// `SESSION_ENDED`; `OVERLOADED` where the store does not answer.
pub(super) async fn unseen(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    now: u64,
) -> Result<(), Rejection> {
    let sessions = &shared.sessions;
    let look = async |key| sessions.store().look(key).get().await.map_err(|_| Rejection::Overloaded);
    let Some(key) = sessions.key_of(principal) else { return Ok(()) };
    let (own, all) = (look(key).await?, look(all_unseen(shared, principal)).await?);
    let fault = match (own.life, all.life) {
        // It went on before the others ended, or began after that.
        (Some(own), Some(all)) => all.ended.filter(|ended| own.begun <= *ended).map(|_| Fault::Ended),
        (None, Some(all)) => all.judge(runtime.sessions.terms, now).err(),
        (Some(_), None) => None,
        (None, None) => all.floor.map(|_| Fault::Forgotten),
    };
    fault.map_or(Ok(()), |fault| Err(Rejection::Session(fault)))
}

/// What is known of all sessions of a person whose cookies the gate has not seen being set.
pub(super) fn all_unseen(shared: &Shared, principal: &Principal) -> Key {
    shared.sessions.key(Kind::Session, &principal.issuer, &app_session::unseen(&principal.subject))
}

async fn judge(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    terms: SessionTerms,
    active: bool,
    now: u64,
) -> Result<Standing, Rejection> {
    let sessions = &shared.sessions;
    let sight = sight(runtime, principal, active, now);
    let (at, begun) = (sight.at, sight.begun);
    let key = sessions.key_of(principal);
    if sessions.has_revoked() {
        let keys = key.into_iter().chain(sessions.others_of(principal));
        sessions.stands(keys, (at, begun), now).map_err(Rejection::Session)?;
    }
    let left = match key {
        Some(key) => {
            let known = sessions.store().look(key).get().await.map_err(|_| Rejection::Overloaded)?;
            known.seen(sight).and_then(|life| life.judge(terms, now)).map_err(Rejection::Session)?
        }
        None => nameless(terms, at, now).map_err(Rejection::Session)?,
    };
    // A session that the gate made is a new one after each sign-in, and a provider may repeat one without asking the person:
    // what is known of the provider's own session says whether that revives what has ended.
    if let Some(key) = sessions.key_at_provider(principal) {
        let known = sessions.store().look(key).get().await.map_err(|_| Rejection::Overloaded)?;
        known.seen(at_provider(sight)).and_then(|life| life.judge(terms, now)).map_err(Rejection::Session)?;
    }
    Ok(Standing { key, terms, sight, left })
}

/// What a request shows of the provider's own session: that one is as old as its sign-in, and may be silent here.
fn at_provider(sight: Sight) -> Sight {
    Sight { begun: None, first_seen: FirstSeen::Now, ..sight }
}

/// A credential that names no session: how long nothing was done cannot be known, and its age only by its sign-in.
fn nameless(terms: SessionTerms, at: Option<u64>, now: u64) -> Result<Left, Fault> {
    match (terms.idle_s, terms.absolute_s, at) {
        (Some(_), _, _) | (None, Some(_), None) => Err(Fault::Nameless),
        (None, Some(most), Some(at)) => {
            let left = most.saturating_sub(now.saturating_sub(at));
            if left == 0 { Err(Fault::Absolute) } else { Ok(Left { idle_s: None, absolute_s: Some(left) }) }
        }
        (None, None, _) => Ok(Left::default()),
    }
}

/// Whether a request comes without anybody doing anything: as route or configuration say, and streams, which pages open again
/// by themselves.
fn is_background(runtime: &Runtime, admitted: &Admitted<'_>) -> bool {
    let accepts = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
    admitted.found.route().background()
        || admitted.websocket.is_some()
        || admitted.parts.headers.get(ACCEPT).is_some_and(accepts)
        || runtime.sessions.background.iter().any(|paths| paths.hold(&admitted.path))
}

/// Moves the clock of the session, and lists the request as open.
///
/// # Errors
/// `SESSION_ENDED` where the session has ended meanwhile; `OVERLOADED` where the store does not answer.
// ORDER: behind the record's place, so that nothing moves a clock that leaves no trace.
pub(super) async fn touch(
    shared: &Shared,
    runtime: &Arc<Runtime>,
    connection: &Arc<Connection>,
    standing: Option<Standing>,
    recorded: &Recorded<'_>,
    trail: &mut Trail,
) -> Result<Option<Held>, Rejection> {
    let (Some(standing), Some(caller)) = (standing, &recorded.0.caller) else { return Ok(None) };
    let Standing { key, terms, sight, .. } = standing;
    if let (Some(key), true) = (key, runtime.sessions.kept) {
        let life = shared.sessions.store().touch(key, sight).get().await.map_err(|_| Rejection::Overloaded)?;
        // INVARIANT: what is judged is what the store holds after the touch, so an end that came in between counts.
        let left = life.judge(terms, sight.now).map_err(|fault| {
            shared.sessions.refused(fault);
            Rejection::Session(fault)
        })?;
        trail.session_left = left.least();
        if let Some(key) = shared.sessions.key_at_provider(&caller.principal) {
            let life = shared.sessions.store().touch(key, at_provider(sight)).get().await;
            life.map_err(|_| Rejection::Overloaded)?.judge(terms, sight.now).map_err(Rejection::Session)?;
        }
        if caller.voucher.is_app_session() {
            let all = all_unseen(shared, &caller.principal);
            shared.sessions.store().touch(all, sight).get().await.map_err(|_| Rejection::Overloaded)?;
        }
    }
    let vouched = match caller.voucher {
        Voucher::Login(_, generation) => Vouched::Login { generation },
        Voucher::Token(provider) => Vouched::Token {
            generation: provider.authn.generation(),
            leeway_s: provider.authn.leeway_s(),
            key: caller.grounds.key,
        },
        Voucher::AppSession(generation) => {
            let settings = runtime.app_session.as_ref();
            let vouching = settings.and_then(|settings| {
                let carried = settings.carried(&recorded.0.admitted.parts.headers);
                let now = trail.started.monotone;
                shared.app_sessions.vouching(settings.whoami.as_ref()?, &carried, &caller.principal, now)
            });
            // Nothing has taken the cookies out that said who it is.
            Vouched::AppSession { generation, vouching: Arc::new(vouching.ok_or(Rejection::Internal)?) }
        }
        Voucher::Certificate => Vouched::Certificate(Arc::clone(connection)),
    };
    let admitted = &recorded.0.admitted;
    let asked = Asked {
        method: admitted.method.clone(),
        path: admitted.path.clone(),
        query: admitted.query.clone(),
        headers: kept(&admitted.parts.headers, &runtime.sessions.reads),
        peer: trail.peer,
    };
    let bound = caller.grounds.bound.as_ref();
    let holds = bound.and_then(|bound| bound.holds);
    let judged = Judged { by: Arc::clone(runtime), terms, caller: Arc::clone(&caller.principal), holds };
    let proved = bound.map_or(&caller.principal, |bound| &bound.proved);
    let told = recorded.0.passage.identity().map(|identity| identity.tenant().clone());
    let stream = Stream::new(Arc::clone(proved), vouched, (asked, told), judged);
    Ok(Some(shared.sessions.open().list(stream)))
}

/// The headers that policies read, in every spelling.
fn kept(headers: &HeaderMap, reads: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    if reads.is_empty() {
        return kept;
    }
    for (name, value) in headers {
        if reads.iter().any(|read| canonical::fold_alike(read.as_str(), name.as_str())) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Tells what is left of the session, and what a browser is to forget.
pub(super) fn dress(headers: &mut HeaderMap, runtime: &Runtime, trail: &Trail) {
    if let Some(name) = &runtime.sessions.header {
        headers.remove(name);
        if let Some(left) = trail.session_left {
            headers.insert(name.clone(), HeaderValue::from(left));
        }
    }
    if let (true, Some(clear)) = (trail.clears, &runtime.sessions.clear) {
        headers.insert(CLEAR_SITE_DATA, clear.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_without_a_session_has_an_age_at_most() {
        let terms = |idle_s, absolute_s| SessionTerms { idle_s, absolute_s };
        assert_eq!(nameless(terms(None, None), None, 100), Ok(Left::default()));
        assert_eq!(nameless(terms(Some(9), None), Some(99), 100), Err(Fault::Nameless));
        assert_eq!(nameless(terms(Some(9), Some(50)), Some(99), 100), Err(Fault::Nameless));
        assert_eq!(nameless(terms(None, Some(50)), None, 100), Err(Fault::Nameless));
        assert_eq!(nameless(terms(None, Some(50)), Some(50), 100), Err(Fault::Absolute));
        assert_eq!(nameless(terms(None, Some(50)), Some(51), 100), Ok(Left { idle_s: None, absolute_s: Some(1) }));
    }

    #[test]
    fn of_a_head_only_what_policies_read_is_kept_in_every_spelling() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-clinic", "a"), ("x_clinic", "b"), ("authorization", "Bearer x"), ("cookie", "a=b")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = kept(&headers, &[HeaderName::from_static("x-clinic")]);
        assert_eq!(kept.len(), 2);
        assert!(!kept.contains_key("authorization") && !kept.contains_key("cookie"));
        assert!(super::kept(&headers, &[]).is_empty());
    }
}
