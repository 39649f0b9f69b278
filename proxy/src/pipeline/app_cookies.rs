//! Behind identify: is the application's session that of the caller?
//!
//! Decides which of its session cookies pass. Beside a caller whom a token, a login or a certificate has proved, only those
//! that the application set for this very caller: one that is somebody else's ends the request, and one that nobody has
//! seen being set is taken out, never bound by being used first. Without such a caller they pass: then it is the
//! application's word alone that counts, on public pages, or where it vouches for the caller by them. What only looks like
//! one of them never passes, nor does one whose session was ended here: signing out at the gate ends the application's session
//! with the gate's own, though the application is not told.

use std::time::Duration;

use http::HeaderMap;
use http::header::SET_COOKIE;
use policy::Demand;

use super::identify::{Caller, Identified};
use super::trail::Trail;
use crate::app_session::{self, AppSessionFault, Belongs, Carried, Held, Mark, Scope, sift, values};
use crate::authn::TokenFault;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::sessions::key::Kind;
use crate::sessions::life::Fault;
use crate::sessions::open::{Cut, Held as Stays, Vouched};
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
        let Some(owner) = owner else { continue };
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
pub(super) fn owner(shared: &Shared, caller: Option<&Caller<'_>>) -> Option<Mark> {
    let caller = caller.filter(|caller| !caller.voucher.is_app_session())?;
    Some(shared.app_sessions.owner(&caller.principal))
}

/// Cuts what is open in the session of `carried`, for which the application has vouched until now. The session itself is not
/// ended: the application is asked anew, and may know the same one again after another sign-in. The answer that says so, `own`,
/// arrives.
pub(super) fn signed_out(shared: &Shared, runtime: &Runtime, carried: &Carried, own: Option<&Stays>) {
    // Not by the caller: on a public page nobody is asked who that is, and the session is over all the same.
    let whoami = runtime.app_session.as_ref().and_then(|settings| settings.whoami.as_ref());
    let Some((whoami, name)) = whoami.zip(carried.session_name()) else { return };
    let key = shared.sessions.key(Kind::Session, &whoami.reads.issuer, &name);
    let why = Cut::Session(Fault::Ended);
    for stream in shared.sessions.open().all().into_iter().filter(|stream| stream.session == Some(key)) {
        if own.is_some_and(|own| own.is(&stream)) {
            if let Vouched::AppSession { vouching, .. } = &stream.vouched {
                vouching.spare();
            }
        } else if stream.cut(why) {
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
pub(super) fn logged_out(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, owner: Option<Mark>, now: Duration) {
    each(runtime, headers, |name, value| {
        let foreign =
            owner.is_some_and(|owner| matches!(shared.app_sessions.belongs(name, value, owner), Belongs::Elsewhere(_)));
        if !foreign {
            shared.app_sessions.end(name, value, now);
        }
    });
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
