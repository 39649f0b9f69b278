//! What the gate itself answers under `/.anteroom/`: what is left of a session, the end of one by
//! whoever is in it or by the provider, and reports of browsers.
//!
//! Decides who may end which session: everybody their own, by a request that no other site's page has sent. Nothing under
//! `/.anteroom/` ever reaches the application.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Response, StatusCode};
use policy::Denial;
use serde_json::json;
use tokio::runtime::Handle;

use super::admit::Understood;
use super::app_cookies;
use super::backchannel::{self, BACKCHANNEL};
use super::bind;
use super::cross_site;
use super::identify::{self, Caller};
use super::navigation::is_by_person;
use super::observe;
use super::record;
use super::reports;
use super::session;
use super::trail::{Known, Trail};
use crate::cookie_pairs;
use crate::login::Leaving;
use crate::rejection::Rejection;
use crate::runtime::{Place, Runtime, Voucher, is_of_family};
use crate::server::Connection;
use crate::sessions::EndedBy;
use crate::sessions::life::{self, Fault, UNENDING_S};
use crate::set_cookie::removal;
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::log;
use crate::upstream::Pool;
use crate::upstream::body::AnswerBody;

/// Where a caller asks what is left of the session.
const SESSION: &str = "/.anteroom/session";
/// Where a caller ends it.
const LOGOUT: &str = "/.anteroom/logout";

/// Answers.
///
/// # Errors
/// `NO_ROUTE` for what there is not; and as with each.
pub(super) async fn serve(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let here = |path: &str| runtime.sessions.offered && understood.path == path;
    if here(SESSION) {
        trail.template = Some(SESSION.into());
        if !matches!(understood.method, Method::GET | Method::HEAD) {
            return Err(Rejection::MethodNotAllowed("GET, HEAD".to_owned()));
        }
        return left(shared, runtime, pool, connection, &understood, trail).await;
    }
    if here(LOGOUT) {
        trail.template = Some(LOGOUT.into());
        if understood.method != Method::POST {
            return Err(Rejection::MethodNotAllowed("POST".to_owned()));
        }
        return logout(shared, runtime, pool, connection, &understood, trail).await;
    }
    if here(BACKCHANNEL) && !runtime.sessions.told_by.is_empty() {
        return backchannel::serve(shared, runtime, understood, trail).await;
    }
    reports::collect(shared, runtime, understood, trail).await
}

/// What is left of the caller's session, without a route: by the configuration and the roles held. It is no activity, so that
/// a page can count down by it.
async fn left(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let headers = &understood.parts.headers;
    let sent = (headers, understood.pressed);
    let caller = identify::known(shared, runtime, pool, connection, sent, trail).await?;
    let caller = caller.ok_or(Rejection::Denied(Denial::NoCredential))?;
    let now = trail.started.unix_seconds();
    trail.actor = Some(Known::caller(&caller.principal));
    let background = shared.background.get().cloned().unwrap_or_else(Handle::current);
    let principal = match bind::speaking(runtime, &caller.principal) {
        Some(directory) => {
            let asked = bind::told(runtime, directory, &caller.principal, trail.started.monotone, &background).await;
            Arc::new(asked.map_err(Rejection::DirectoryDown)?.0)
        }
        None => caller.principal,
    };
    let terms = runtime.policy.session_of(&principal).and(runtime.sessions.terms);
    let standing = session::standing(shared, runtime, &principal, terms, false, now).await?;
    trail.session_left = standing.left.least();
    let text = json!({ "idle_s": standing.left.idle_s, "absolute_s": standing.left.absolute_s }).to_string();
    let length = HeaderValue::from(text.len());
    let is_head = understood.method == Method::HEAD;
    let mut answer = Response::new(AnswerBody::whole(if is_head { String::new() } else { text }));
    let head = answer.headers_mut();
    head.insert(http::header::CONTENT_LENGTH, length);
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Ends the caller's session. Whoever asks from a page of ours gets the browser cleared, whatever the credential is worth.
async fn logout(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let parts = &understood.parts;
    // A session that the gate made is ended as it is: whoever signs out waits for no provider, and is refused by none.
    let known = match identify::signed_in(runtime, &parts.headers, trail.started.unix_seconds()) {
        Ok(Some(signed_in)) => signed_in.caller().map(Some),
        Ok(None) => {
            identify::known(shared, runtime, pool, connection, (&parts.headers, understood.pressed), trail).await
        }
        Err(rejection) => Err(rejection),
    };
    let caller = known.as_ref().ok().and_then(Option::as_ref);
    let place = caller.and_then(|caller| caller.place);
    let asked = cross_site::Asked { parts, host: &understood.host, websocket: false };
    // ORDER: before anything is ended or cleared. What a browser says of the site counts without cookies too: a form of another
    // site comes without those that are `SameSite`, and must not have the browser cleared.
    if let Err(detail) = cross_site::verdict(runtime, &asked, place, true) {
        observe::ends(shared, runtime, trail, Control::Csrf, Rejection::CrossSite(detail))?;
    }
    trail.clears = true;
    app_cookies::cleared(shared, runtime, &parts.headers, trail);
    app_cookies::untangled(shared, runtime, (&parts.headers, &understood.host, parts.uri.path()), trail);
    let caller = known?.ok_or(Rejection::Denied(Denial::NoCredential))?;
    trail.actor = Some(Known::caller(&caller.principal));
    trail.tenant = caller.principal.bindings.only().map(|only| only.tenant().clone());
    // ORDER: nothing ends that leaves no trace.
    record::reserve(shared, trail)?;
    // A credential that was logged out already ends what is its own, and nothing that merely comes with it: else it could be
    // used again and again, to have ended cookies forgotten.
    let ended = session::end(shared, runtime, &caller.principal, trail.started.unix_seconds()).await?;
    let again = matches!(ended, Some(Fault::Ended | Fault::Replaced | Fault::Revoked));
    end(shared, &caller, trail.started.unix_seconds()).await?;
    app_cookies::logged_out(shared, runtime, &parts.headers, (&caller, again), shared.clock.now().monotone);
    let answer = gone(runtime, understood, &caller, trail);
    record::after(answer, trail, shared.clock.now()).await
}

/// Ends the session that the credential names; where it names none, the credential itself.
async fn end(shared: &Shared, caller: &Caller<'_>, now: u64) -> Result<(), Rejection> {
    let (sessions, principal) = (&shared.sessions, &caller.principal);
    // The sign-in that ends may be told by a clock that is ahead of ours.
    let now = life::believable(principal.sign_in.at, principal.factors.leeway_s, now).map_or(now, |at| at.max(now));
    // And the session may have begun before our own clock was set back.
    let now = principal.sign_in.begun.map_or(now, |begun| begun.max(now));
    let expires = principal.sign_in.expires.unwrap_or(now.saturating_add(UNENDING_S));
    match (sessions.key_of(principal), &principal.sign_in.credential) {
        (Some(key), _) => {
            sessions.end(key, now, expires, EndedBy::Logout).await?;
            // Without this the provider would sign the person in again without asking.
            let behind = sessions.key_at_provider(principal);
            // Nor by a cookie whose setting was not seen: it may be of this very session.
            let unseen = caller.voucher.is_app_session().then(|| session::all_unseen(shared, principal));
            for key in behind.into_iter().chain(unseen) {
                sessions.end(key, now, expires, EndedBy::Logout).await?;
            }
        }
        (None, Some(credential)) => {
            sessions.log_out(principal, credential, now).map_err(|_| Rejection::Overloaded)?;
        }
        // Nothing tells this sign-in from others of the same person, whom one logout must not end everywhere.
        (None, None) => return Err(Rejection::Session(Fault::Nameless)),
    }
    // What a restart would forget is not said to be done.
    sessions.durable().await.map_err(|_| Rejection::NotRecorded)
}

/// The answer to a logout: a page goes elsewhere, by the provider's own sign-out where the gate signed the caller in, and a
/// script is told that it is done. Cookies that held the token or the session are taken back.
fn gone(runtime: &Runtime, understood: &Understood, caller: &Caller<'_>, trail: &mut Trail) -> Response<AnswerBody> {
    let parts = &understood.parts;
    let signed_out =
        runtime.login().filter(|_| matches!(caller.voucher, Voucher::Login(..))).map(|(provider, login)| {
            let after = runtime.sessions.after_logout.as_ref().and_then(|path| path.to_str().ok()).unwrap_or("/");
            login.logout(&Leaving {
                host: &understood.host,
                after,
                session: caller.principal.sign_in.session.as_deref(),
                headers: &parts.headers,
                metadata: provider.metadata.as_deref(),
                now: trail.started.monotone,
            })
        });
    let mut answer = Response::new(AnswerBody::Whole(None));
    let by_page = is_by_person(&parts.headers);
    *answer.status_mut() = if by_page { StatusCode::SEE_OTHER } else { StatusCode::NO_CONTENT };
    let headers = answer.headers_mut();
    let elsewhere = match &signed_out {
        Some(out) => HeaderValue::try_from(&out.location).ok(),
        None => runtime.sessions.after_logout.clone(),
    };
    if let (true, Some(path)) = (by_page, elsewhere) {
        headers.insert(LOCATION, path);
    }
    if by_page && signed_out.as_ref().is_some_and(|out| out.lacks_hint) {
        log::sign_out_without_hint(trail);
    }
    trail.cookies = signed_out.map(|out| out.cookies).unwrap_or_default();
    for name in token_cookies(runtime, &parts.headers) {
        if let Some(line) = removal(&name, "/", None) {
            headers.append(SET_COOKIE, line);
        }
    }
    answer
}

/// The names of the cookies of a request in which tokens are looked for, pieces of one (`name.0`) among them.
fn token_cookies(runtime: &Runtime, headers: &HeaderMap) -> Vec<String> {
    let places = runtime.providers.iter().flat_map(|provider| &provider.places);
    let named: Vec<&str> = places
        .filter_map(|place| match place {
            Place::Cookie(name) | Place::CookieChunks(name) => Some(name.as_str()),
            Place::Header(_) => None,
        })
        .collect();
    let is_one = |name: &str| {
        let is_piece = |one: &str| name.strip_prefix(one).is_some_and(|rest| rest.starts_with('.'));
        named.iter().any(|one| is_of_family(name, one) || is_piece(one))
    };
    let pairs = cookie_pairs::pairs(headers).into_iter().flatten().filter(|pair| pair.value().is_some());
    let mut names: Vec<String> = pairs.map(|pair| pair.name().to_owned()).filter(|name| is_one(name)).collect();
    names.dedup();
    names
}
