//! Step 1: is this one request, for one of our hosts, on one route, within the limits of its address? In two halves,
//! between which preflights are answered: they name no route.
//!
//! Decides nothing about who is asking. Everything here is cheap, so that a flood costs little: no cryptography, no body,
//! no waiting.

use http::request::Parts;
use http::{Method, Request};
use hyper::body::Incoming;
use policy::{Found, Match};

use super::canonical;
use super::trail::Trail;
use super::websocket::{self, Handshake};
use crate::limits::Full;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::Runtime;
use crate::server::Connection;
use crate::shared::Shared;

/// A request that can be read in one way only.
#[derive(Debug)]
pub(super) struct Understood {
    path: String,
    query: Option<String>,
    host: String,
    pub(super) parts: Parts,
    body: Incoming,
    pressed: Option<Full>,
}

/// A request with the route that its path picked.
#[derive(Debug)]
pub(super) struct Admitted<'r> {
    pub(super) found: Match<'r>,
    pub(super) method: Method,
    /// The canonical path: what was judged is what is sent.
    pub(super) path: String,
    /// The query as sent.
    pub(super) query: Option<String>,
    /// In lower case, with the port if one was sent.
    pub(super) host: String,
    pub(super) parts: Parts,
    pub(super) body: Incoming,
    /// Set where it asks for a WebSocket.
    pub(super) websocket: Option<Handshake>,
    /// Set while the address has used up its refusals: only credentials that were verified before are looked at then.
    pub(super) pressed: Option<Full>,
}

/// Reads a request.
///
/// # Errors
/// `LIMITED`, `TOO_LARGE`, `BAD_FRAMING`, `BAD_HEADER`, `BAD_HOST`, `MISDIRECTED`, `BAD_PATH`.
pub(super) fn request(
    shared: &Shared,
    runtime: &Runtime,
    connection: &Connection,
    request: Request<Incoming>,
    trail: &mut Trail,
) -> Result<Understood, Rejection> {
    // ORDER: the address limit comes before routing and before any cryptography, and counts refused requests too.
    let now = trail.started.monotone;
    shared.limits.take_address(trail.peer, runtime.limits.per_address, now).map_err(Rejection::Limited)?;
    let pressed = shared.limits.look_refused(trail.peer, runtime.limits.refused_per_address, now).err();

    let (mut parts, body) = request.into_parts();
    let Named { host, path, query } = named(runtime, connection.server_name.as_deref(), &mut parts)?;
    Ok(Understood { path, query, host, parts, body, pressed })
}

/// Notes where a request went that no route is asked about.
pub(super) fn unrouted(runtime: &Runtime, understood: &Understood, trail: &mut Trail) {
    match runtime.policy.find(understood.parts.method.as_str(), &understood.path) {
        Found::Route(found) => trail.matched(&found),
        Found::MethodNotAllowed { route, .. } => {
            trail.rule = Some(route.id().into());
            trail.template = Some(route.template().into());
            trail.unrecorded = !route.recorded();
        }
        Found::NoRoute => trail.shape = Some(redact::shape(&understood.path)),
    }
}

/// Finds the route of a request.
///
/// # Errors
/// `NO_ROUTE`, `METHOD_NOT_ALLOWED`, `TOO_LARGE`; `BAD_HEADER` and `BAD_FRAMING` where it asks for a WebSocket amiss.
pub(super) fn route<'r>(
    runtime: &'r Runtime,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Admitted<'r>, Rejection> {
    let Understood { path, query, host, parts, body, pressed } = understood;
    let found = match runtime.policy.find(parts.method.as_str(), &path) {
        Found::Route(found) if trail.method.is_some() => found,
        Found::Route(found) => return Err(unknown_method(trail, &found)),
        Found::MethodNotAllowed { route, allow } => {
            trail.rule = Some(route.id().into());
            trail.template = Some(route.template().into());
            return Err(Rejection::MethodNotAllowed(allow.to_owned()));
        }
        Found::NoRoute => {
            trail.shape = Some(redact::shape(&path));
            return Err(Rejection::NoRoute);
        }
    };
    trail.matched(&found);
    if hyper::body::Body::size_hint(&body).lower() > runtime.limits.body {
        return Err(Rejection::TooLarge(Oversize::Body));
    }
    let has_body = !hyper::body::Body::is_end_stream(&body);
    // HTTP/1.1 clients send such a body in chunks or not at all, and ours would leave it out (RFC 9110, section 9.3.1).
    let lengthless = has_body && hyper::body::Body::size_hint(&body).exact().is_none();
    if lengthless && matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Rejection::BadFraming("a body of unknown length on a method that has none"));
    }
    let websocket = websocket::asked(&parts, has_body, trail.id)?;
    Ok(Admitted { found, method: parts.method.clone(), path, query, host, parts, body, websocket, pressed })
}

/// What a request names, read in the one way in which it can be.
pub(super) struct Named {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

/// Reads what a request names: one of our hosts, and a path. Takes out the headers that `Connection` names.
pub(super) fn named(runtime: &Runtime, server_name: Option<&str>, parts: &mut Parts) -> Result<Named, Rejection> {
    canonical::check_headers(&parts.headers, parts.version, runtime.limits.headers)?;
    canonical::remove_connection_named(&mut parts.headers);
    let host = canonical::host(&parts.uri, parts.version, &parts.headers)?;
    if !runtime.serves(&host) {
        return Err(Rejection::BadHost("`Host` is none of `app.hosts`"));
    }
    if server_name.is_some_and(|name| name != canonical::without_port(&host)) {
        return Err(Rejection::Misdirected);
    }
    if parts.method == Method::CONNECT {
        return Err(Rejection::BadPath("CONNECT names no path"));
    }
    let (path, query) = canonical::target(&parts.uri)?;
    Ok(Named { host, path, query })
}

fn unknown_method(trail: &mut Trail, found: &Match<'_>) -> Rejection {
    trail.matched(found);
    Rejection::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned())
}

/// The methods that a policy can name; all others are refused, `TRACE` among them.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The method, where it is one of them.
pub(super) fn named_method(method: &Method) -> Option<&'static str> {
    METHODS.into_iter().find(|name| *name == method.as_str())
}
