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
use super::bind;
use super::identify::Identified;
use super::navigation::is_navigation;
use super::opened;
use super::record::Recorded;
use super::trail::Trail;
use crate::app_session;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::server::Connection;
use crate::sessions::key::{Key, Kind};
use crate::sessions::life::{self, Fault, FirstSeen, Left, Sight, UNENDING_S};
use crate::sessions::open::Held;
use crate::sessions::store::Unreachable;
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
        if end(shared, runtime, &caller.principal, now).await?.is_some() {
            app_cookies::over(shared, runtime, headers, caller, trail);
        } else if is_navigation(&admitted.method, headers) {
            // It is over here alone, and goes on elsewhere: whoever came to see this page signs in again.
            app_cookies::cleared(shared, runtime, headers, trail);
        }
    }
    match standing {
        Ok(standing) => {
            trail.session_left = standing.left.least();
            // The digest is made already: the name in the record costs no other one, but where the provider has its own.
            let is_own = caller.principal.sign_in.at_provider.is_none();
            if let (Some(actor), Some(key), true) = (&mut trail.actor, standing.key, is_own) {
                actor.session_is(shared.sessions.name(key));
            }
            Ok((identified, Some(standing)))
        }
        Err(Rejection::Session(_)) if is_public => {
            identified.caller = None;
            trail.actor = None;
            trail.cookies.clear();
            Ok((identified, None))
        }
        Err(rejection) => {
            // INVARIANT: a browser that has signed in anew meanwhile keeps its cookies: they are those of the new session by now.
            trail.clears = matches!(rejection, Rejection::Session(fault) if fault != Fault::Replaced)
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
    let judged = judge(shared, runtime, principal, terms, active, now).await?;
    judged.map_err(|fault| refused(shared, fault))
}

impl From<Unreachable> for Rejection {
    fn from(_: Unreachable) -> Self {
        Rejection::Overloaded
    }
}

/// What is demanded of the session of a caller wherever that goes, as far as it is known without asking a directory.
pub(super) fn terms(runtime: &Runtime, principal: &Principal) -> SessionTerms {
    match bind::speaking(runtime, principal) {
        Some(_) => runtime.sessions.terms,
        None => runtime.policy.session_of(principal).and(runtime.sessions.terms),
    }
}

/// A request that is refused for this is counted.
pub(super) fn refused(shared: &Shared, fault: Fault) -> Rejection {
    shared.sessions.refused(fault);
    Rejection::Session(fault)
}

/// How the session of a caller has come to its end, whatever time may be demanded of it here; `None`: it lasts.
///
/// # Errors
/// Where the store does not answer.
pub(super) async fn end(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    now: u64,
) -> Result<Option<Fault>, Unreachable> {
    Ok(judge(shared, runtime, principal, runtime.sessions.terms, false, now).await?.err())
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
    judge(shared, runtime, principal, terms, false, now).await.unwrap_or(Err(Fault::Forgotten)).map(drop)
}

/// Whether a session lasts whose cookie the gate has not seen being set: it may be any that the person ever had, in another
/// spelling. So all of them together have one clock and one end, but for those that were known before that.
///
/// # Errors
/// Why it does not; `Forgotten` where the store does not answer.
pub(super) async fn unseen_last(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    now: u64,
) -> Result<(), Fault> {
    let look = async |key| shared.sessions.store().look(key).get().await.map_err(|_| Fault::Forgotten);
    let Some(key) = shared.sessions.key_of(principal) else { return Ok(()) };
    let (own, all) = (look(key).await?, look(all_unseen(shared, principal)).await?);
    let fault = match (own.life, all.life) {
        // It went on before the others ended, or began after that.
        (Some(own), Some(all)) => all.ended.filter(|ended| own.begun <= *ended).map(|_| Fault::Ended),
        (None, Some(all)) => all.judge(runtime.sessions.terms, now).err(),
        (Some(_), None) => None,
        (None, None) => all.floor.map(|_| Fault::Forgotten),
    };
    fault.map_or(Ok(()), Err)
}

/// What is known of all sessions of a person whose cookies the gate has not seen being set.
pub(super) fn all_unseen(shared: &Shared, principal: &Principal) -> Key {
    shared.sessions.key(Kind::Session, &principal.issuer, &app_session::unseen(&principal.subject))
}

/// Takes note of a session in which something is open already, where the configuration has begun to ask for it: its silence
/// counts from its sign-in, or from now.
pub(super) async fn enter(shared: &Shared, runtime: &Runtime, principal: &Principal, now: u64) {
    if let (Some(key), true) = (shared.sessions.key_of(principal), runtime.sessions.kept) {
        // Where the store does not answer, the session does not last either.
        let _seen = shared.sessions.store().touch(key, sight(runtime, principal, false, now)).get().await;
    }
}

/// The one judgement of all of these.
async fn judge(
    shared: &Shared,
    runtime: &Runtime,
    principal: &Principal,
    terms: SessionTerms,
    active: bool,
    now: u64,
) -> Result<Result<Standing, Fault>, Unreachable> {
    let sessions = &shared.sessions;
    let sight = sight(runtime, principal, active, now);
    let key = sessions.key_of(principal);
    if sessions.has_revoked() {
        let keys = key.into_iter().chain(sessions.others_of(principal));
        if let Err(fault) = sessions.stands(keys, (sight.at, sight.begun), now) {
            return Ok(Err(fault));
        }
    }
    let left = match key {
        Some(key) => {
            let known = sessions.store().look(key).get().await?;
            known.seen(sight).and_then(|life| life.judge(terms, now)).map_err(|fault| match fault {
                Fault::Ended if sessions.was_replaced(key) => Fault::Replaced,
                fault => fault,
            })
        }
        None => nameless(terms, sight.at, now),
    };
    // A session that the gate made is a new one after each sign-in, and a provider may repeat one without asking the person:
    // what is known of the provider's own session says whether that revives what has ended.
    let behind = match sessions.key_at_provider(principal) {
        Some(key) => {
            let known = sessions.store().look(key).get().await?;
            known.seen(at_provider(sight)).and_then(|life| life.judge(terms, now)).map(drop)
        }
        None => Ok(()),
    };
    Ok(left.and_then(|left| behind.map(|()| Standing { key, terms, sight, left })))
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
        let sessions = &shared.sessions;
        // INVARIANT: what is judged is what the store holds after the touch, so an end that came in between counts.
        let moved = async |key, sight| {
            let life = sessions.store().touch(key, sight).get().await?;
            life.judge(terms, sight.now).map_err(|fault| refused(shared, fault))
        };
        trail.session_left = moved(key, sight).await?.least();
        if let Some(key) = sessions.key_at_provider(&caller.principal) {
            moved(key, at_provider(sight)).await?;
        }
        if caller.voucher.is_app_session() {
            // It may have ended for those that were not seen, of which this one need not be.
            sessions.store().touch(all_unseen(shared, &caller.principal), sight).get().await?;
        }
    }
    opened::list(shared, runtime, connection, (recorded, caller), terms, trail).map(Some)
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
}
