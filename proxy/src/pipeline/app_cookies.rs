//! Behind identify: is the application's session that of the caller?
//!
//! Decides which of its session cookies pass. Beside a caller whom a token, a login or a certificate has proved, only those
//! that the application set for this very caller: one that is somebody else's ends the request, and one that nobody has
//! seen being set is taken out, never bound by being used first. Without such a caller they pass: then it is the
//! application's word alone that counts, on public pages, or where it vouches for the caller by them. What only looks like
//! one of them never passes, nor does a value that can be read in two ways and that the application did not set just so, nor one
//! whose session has ended here: signing out at the gate ends the application's session with the gate's own, though the
//! application is not told.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use http::header::SET_COOKIE;
use policy::Demand;

use super::canonical;
use super::identify::{Caller, Identified};
use super::trail::Trail;
use crate::app_session::{self, AppSessionFault, Belongs, Carried, Held, Owner, Scope, is_clear, sift, values};
use crate::authn::TokenFault;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
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
    let admitted = &mut identified.admitted;
    let headers = &mut admitted.parts.headers;
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
            Held::Repeated => {
                untangled(shared, runtime, (headers, &admitted.host, admitted.parts.uri.path()), trail);
                AppSessionFault::Repeated
            }
            Held::Once(value) => match shared.app_sessions.belongs(name, value, owner) {
                Belongs::Here => continue,
                Belongs::Unknown => {
                    log::taken_out(trail, "nobody has seen it being set for this caller");
                    gone.push(name);
                    continue;
                }
                Belongs::Elsewhere(scope) => {
                    go(runtime, name, &scope, trail);
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
    Some(if caller.grounds.are_placed() { owner } else { owner.anywhere() })
}

/// Cuts what is open in the session of `carried`, for which the application has vouched until now. The session itself is not
/// ended: the application is asked anew, and may know the same one again after another sign-in. The answer that says so, `own`,
/// arrives.
pub(super) fn signed_out(shared: &Shared, carried: &Carried, own: Option<&Stays>) {
    // Not by the caller: on a public page nobody is asked who that is, and the session is over all the same.
    let why = Cut::Session(Fault::Ended);
    for stream in shared.sessions.open().all() {
        let Vouched::AppSession { vouching, .. } = &stream.vouched else { continue };
        if !shared.app_sessions.is_of(carried, vouching) {
            continue;
        }
        if own.is_some_and(|own| own.is(&stream)) {
            vouching.spare();
        } else if stream.cut(why) {
            shared.sessions.was_cut(why);
        }
    }
}

/// Makes the browser let go of its session cookies, whatever they are worth.
pub(super) fn cleared(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, trail: &mut Trail) {
    each(runtime, headers, |name, value| {
        go(runtime, name, &shared.app_sessions.scope(name, value), trail);
    });
}

/// Makes the browser let go of what kept a request from being judged: else each one would be refused, for as long as it lasts.
pub(super) fn spoilt(
    shared: &Shared,
    runtime: &Runtime,
    fault: AppSessionFault,
    asked: (&HeaderMap, &str, &str),
    trail: &mut Trail,
) {
    match fault {
        AppSessionFault::Repeated => untangled(shared, runtime, asked, trail),
        AppSessionFault::Unclear => cleared(shared, runtime, asked.0, trail),
        AppSessionFault::Foreign | AppSessionFault::Unvouched(_) => {}
    }
}

/// Makes the browser let go of those that stand twice, wherever on this host they may live: nobody can say which of them is the
/// right one, so each request with both would be refused, for as long as they last. `asked`: headers, host and path of the
/// request.
pub(super) fn untangled(shared: &Shared, runtime: &Runtime, asked: (&HeaderMap, &str, &str), trail: &mut Trail) {
    let (headers, host, path) = asked;
    for name in runtime.app_session.iter().flat_map(|settings| &settings.cookies) {
        if app_session::held(headers, name) != Held::Repeated {
            continue;
        }
        values(headers, name).for_each(|value| go(runtime, name, &shared.app_sessions.scope(name, value), trail));
        for scope in places(host, path) {
            go(runtime, name, &scope, trail);
        }
    }
}

/// The most lines of one answer that make a browser let go of cookies.
const MOST_LINES: usize = 32;
/// The most paths at which a cookie is looked for, beginning with the shortest, and the longest of them in bytes.
const MOST_PATHS: usize = 8;
const LONGEST_PATH: usize = 128;
/// The most names of hosts: that of the request, and those above it.
const MOST_HOSTS: usize = 3;

/// Where cookies can live that a browser sends with a request for `path` to `host`: for the host alone, or for its domain and
/// those above it, and at each directory on the way, with a slash at the end and without.
fn places(host: &str, path: &str) -> Vec<Scope> {
    let host = canonical::without_port(host);
    let is_name = host.parse::<IpAddr>().is_err() && !host.starts_with('[');
    let above = std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, above)| above));
    let hosts = above.filter(|host| is_name && host.contains('.')).take(MOST_HOSTS);
    let domains: Vec<Option<Box<str>>> = std::iter::once(None).chain(hosts.map(|host| Some(host.into()))).collect();
    let slashes = path.match_indices('/').map(|(at, _)| at);
    let cuts = slashes.flat_map(|at| [at, at + 1]).chain([path.len()]);
    let mut paths: Vec<&str> = cuts.filter_map(|at| path.get(..at)).collect();
    paths.retain(|path| (1..=LONGEST_PATH).contains(&path.len()));
    paths.dedup();
    paths.truncate(MOST_PATHS);
    let places = paths.into_iter().flat_map(|path| domains.iter().map(move |domain| (path, domain)));
    places.map(|(path, domain)| Scope { path: Some(path.into()), domain: domain.clone() }).collect()
}

/// Ends the application's sessions of a caller who has logged out here: what was set for this caller and, unless the session
/// had ended already (`again`), the one cookie that stands under a name, whoever it is of, but for somebody else's.
pub(super) fn logged_out(
    shared: &Shared,
    runtime: &Runtime,
    headers: &HeaderMap,
    (caller, again): (&Caller<'_>, bool),
    now: Duration,
) {
    let Some(settings) = &runtime.app_session else { return };
    let by = shared.app_sessions.owner(&caller.principal);
    // Whoever signs out does so in all tenants, whether or not it can be known which they are.
    let proved = owner(shared, Some(caller)).map(Owner::anywhere);
    for (name, held) in settings.carried(headers).iter() {
        let one = matches!(held, Held::Once(_)) && !again;
        for value in values(headers, name) {
            let ends = match proved.map(|owner| shared.app_sessions.belongs(name, value, owner)) {
                Some(Belongs::Here) => true,
                Some(Belongs::Elsewhere(_)) => false,
                Some(Belongs::Unknown) | None => one,
            };
            if ends {
                shared.app_sessions.end(name, value, by, now);
            }
        }
    }
}

/// Ends the cookies of a caller for whom the application would still vouch, though the session is over: what it sets in their place
/// would be of that session, so whoever signs in again comes without them.
pub(super) fn over(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, caller: &Caller<'_>, trail: &mut Trail) {
    cleared(shared, runtime, headers, trail);
    logged_out(shared, runtime, headers, (caller, false), trail.started.monotone);
}

fn each(runtime: &Runtime, headers: &HeaderMap, mut does: impl FnMut(&str, &str)) {
    for name in runtime.app_session.iter().flat_map(|settings| &settings.cookies) {
        values(headers, name).for_each(|value| does(name, value));
    }
}

/// Notes that a browser is to let go of a cookie that lives there.
fn go(runtime: &Runtime, name: &str, scope: &Scope, trail: &mut Trail) {
    let room = trail.let_go.len() < MOST_LINES;
    trail.let_go.extend(line(runtime, name, scope).filter(|line| room && !trail.let_go.contains(line)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_can_live_for_the_host_or_what_is_above_it_and_at_each_directory() {
        let lines = |host, path| {
            let all = places(host, path).into_iter();
            all.map(|scope| format!("{} {}", scope.domain.unwrap_or_default(), scope.path.unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(lines("127.0.0.1:8443", "/me"), [" /", " /me"]);
        assert_eq!(lines("[::1]", "/"), [" /"]);
        assert_eq!(lines("localhost", "/a/b/"), [" /", " /a", " /a/", " /a/b", " /a/b/"]);
        assert_eq!(
            lines("north.clinic.example:8443", "/me"),
            [
                " /",
                "north.clinic.example /",
                "clinic.example /",
                " /me",
                "north.clinic.example /me",
                "clinic.example /me"
            ]
        );
        let deep = lines("a.b.c.d.example", &"/x".repeat(200));
        assert_eq!(deep.len(), MOST_PATHS * (MOST_HOSTS + 1));
    }
}
