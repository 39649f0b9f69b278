//! Behind identify: is the application's session that of the caller?
//!
//! Decides which of its session cookies pass. Beside a caller whom a token, a login or a certificate has proved, only those
//! that the application set for this very caller: one that is somebody else's ends the request, and one that nobody has
//! seen being set is taken out, never bound by being used first. Without such a caller they pass: then it is the
//! application's word alone that counts, on public pages, or where it vouches for the caller by them. What only looks like
//! one of them never passes, nor does a value that can be read in two ways and that the application did not set just so, nor does one whose session was ended here: signing out at the gate ends the application's session
//! with the gate's own, though the application is not told.

use std::time::Duration;

use std::sync::Arc;

use http::HeaderMap;
use http::header::SET_COOKIE;
use policy::Demand;

use super::identify::{Caller, Identified};
use super::trail::Trail;
use crate::app_session::{self, AppSessionFault, Belongs, Held, Owner, Scope, is_clear, sift, values};
use crate::authn::TokenFault;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::sessions::life::Fault;
use crate::sessions::open::{Cut, Held as Stays, Stream};
use crate::shared::Shared;
use crate::telemetry::log;

/// Lets those session cookies pass that may.
///
/// # Errors
/// `TOKEN_INVALID` where one is somebody else's, or stands twice, and the route asks who is there. `BAD_HEADER`.
pub(super) fn check<'r>(
    shared: &Shared,
    runtime: &Runtime,
    identified: Identified<'r>,
    trail: &mut Trail,
) -> Result<Identified<'r>, Rejection> {
    let Some(settings) = &runtime.app_session else { return Ok(identified) };
    let mut identified = identified;
    let owner = owner(shared, identified.caller.as_ref());
    // A public page is for everyone: nobody is refused there, and a cookie that is not the caller's stays here.
    let is_public = matches!(identified.admitted.found.demand(), Demand::Public);
    let headers = &mut identified.admitted.parts.headers;
    let carried = settings.carried(headers);
    let mut gone = Vec::new();
    for (name, held) in carried.iter() {
        // ORDER: before anything is asked of it, and for everyone.
        if values(headers, name).any(|value| shared.app_sessions.has_ended(name, value)) {
            log::taken_out(trail, "its session has ended");
            gone.push(name);
            continue;
        }
        let Some(owner) = owner else {
            let is_one = match held {
                Held::Absent => true,
                Held::Once(value) => is_clear(value) || shared.app_sessions.is_known(name, value),
                Held::Repeated => false,
            };
            if !is_one {
                log::taken_out(trail, "it can be read in two ways");
                gone.push(name);
            }
            continue;
        };
        let fault = match held {
            Held::Absent => continue,
            Held::Repeated => AppSessionFault::Repeated,
            Held::Once(value) => match shared.app_sessions.belongs(name, value, owner) {
                Belongs::Here => continue,
                Belongs::Unknown => {
                    log::taken_out(trail, "nobody has seen it being set for this caller");
                    gone.push(name);
                    continue;
                }
                Belongs::Elsewhere(scope) => {
                    trail.let_go.extend(line(runtime, name, &scope));
                    AppSessionFault::Foreign
                }
            },
        };
        if !is_public {
            return Err(Rejection::Token(TokenFault::AppSession(fault)));
        }
        log::taken_out(trail, &fault.to_string());
        gone.push(name);
    }
    sift(headers, &settings.cookies, |name| gone.contains(&name))?;
    Ok(identified)
}

/// To whom the cookies belong that the application sets; `None` where nobody is proved but by the application itself.
pub(super) fn owner(shared: &Shared, caller: Option<&Caller<'_>>) -> Option<Owner> {
    let caller = caller.filter(|caller| !caller.voucher.is_app_session())?;
    let owner = shared.app_sessions.owner(&caller.principal);
    // While it is not known for which tenants: what is the person's passes, and nothing becomes theirs.
    Some(if caller.is_placed { owner } else { owner.anywhere() })
}

/// Cuts what is open of a caller for whom the application has vouched until now. The session itself is not ended: the
/// application is asked anew, and may know the same one again after another sign-in. The answer that says so, `own`, arrives.
pub(super) fn signed_out(shared: &Shared, caller: Option<&Caller<'_>>, own: Option<&Stays>) {
    let Some(caller) = caller.filter(|caller| caller.voucher.is_app_session()) else { return };
    let key = shared.sessions.key_of(&caller.principal);
    let Some(key) = key else { return };
    let why = Cut::Session(Fault::Ended);
    let others = |stream: &Arc<Stream>| stream.session == Some(key) && !own.is_some_and(|own| own.is(stream));
    for stream in shared.sessions.open().all().into_iter().filter(others) {
        if stream.cut(why) {
            shared.sessions.was_cut(why);
        }
    }
}

/// Makes the browser let go of its session cookies, whatever they are worth.
pub(super) fn cleared(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, trail: &mut Trail) {
    each(runtime, headers, |name, value| {
        let line = line(runtime, name, &shared.app_sessions.scope(name, value));
        trail.let_go.extend(line.filter(|line| !trail.let_go.contains(line)));
    });
}

/// Ends the application's sessions of a caller who has logged out here. Those of somebody else are left alone.
pub(super) fn logged_out(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, owner: Option<Owner>, now: Duration) {
    // Whoever signs out does so in all tenants, whether or not it can be known which they are.
    let owner = owner.map(Owner::anywhere);
    each(runtime, headers, |name, value| {
        let foreign =
            owner.is_some_and(|owner| matches!(shared.app_sessions.belongs(name, value, owner), Belongs::Elsewhere(_)));
        if !foreign {
            shared.app_sessions.end(name, value, now);
        }
    });
}

/// Ends the cookies of a caller for whom the application would still vouch, though the session is over: what it sets in their place
/// would be of that session, so whoever signs in again comes without them.
pub(super) fn over(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, trail: &mut Trail) {
    cleared(shared, runtime, headers, trail);
    logged_out(shared, runtime, headers, None, trail.started.monotone);
}

fn each(runtime: &Runtime, headers: &HeaderMap, mut does: impl FnMut(&str, &str)) {
    for name in runtime.app_session.iter().flat_map(|settings| &settings.cookies) {
        values(headers, name).for_each(|value| does(name, value));
    }
}

/// Makes the browser let go of what does not belong to the one who uses it. Else whoever follows another person at one
/// machine would be refused for as long as that cookie lasts.
pub(super) fn let_go(trail: &mut Trail, headers: &mut HeaderMap) {
    for line in trail.let_go.drain(..) {
        headers.append(SET_COOKIE, line);
    }
}

fn line(runtime: &Runtime, name: &str, scope: &Scope) -> Option<http::HeaderValue> {
    let renamed = runtime.browsers.cookies.renamed.iter().find(|one| one.app == name);
    let host_only = Scope::default();
    match renamed {
        Some(renamed) => {
            // Browsers take `__Host-` for the whole host alone, as `pipeline/rename.rs` sets it.
            let scope = if renamed.prefix == crate::runtime::Prefix::Host { &host_only } else { scope };
            app_session::let_go(&renamed.browser, scope)
        }
        None => app_session::let_go(name, scope),
    }
}
