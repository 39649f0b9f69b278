//! Step 1: is this one request, for one of our hosts, on one route, within the limits of its address? In two halves,
//! between which preflights are answered: they name no route.
//!
//! Decides nothing about who is asking. Everything here is cheap, so that a flood costs little: no cryptography, no body,
//! no waiting.

use http::request::Parts;
use http::{Method, Request};
use hyper::body::Incoming;
use policy::{FormAsked, Found, Match};

use super::canonical::{self, method};
use super::client_address;
use super::decide::Request as Asked;
use super::form::Fields;
use super::observe;
use super::rename;
use super::trail::Trail;
use super::websocket::{self, Handshake};
use crate::framing::Fault;
use crate::limits::Full;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::Runtime;
use crate::server::Connection;
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::upstream::body::Arriving;
use crate::upstream::watch::Watch;

/// A request that can be read in one way only.
#[derive(Debug)]
pub(super) struct Understood {
    /// The one that the application will run.
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) host: String,
    pub(super) parts: Parts,
    pub(super) body: Arriving,
    /// What of its form picks the route.
    pub(super) form: Fields,
    /// The fields of its form that were read, so that the first of each is no other.
    pub(super) excused: Vec<String>,
    pub(super) pressed: Option<Full>,
}

impl Understood {
    fn asked(&self) -> Asked<'_> {
        Asked { headers: &self.parts.headers, query: self.query.as_deref(), form: &self.form }
    }

    /// What the routes of its path have to know of its form.
    pub(super) fn form_asked(&self, runtime: &Runtime) -> FormAsked {
        runtime.policy.form_asked(&self.path, &self.asked())
    }
}

/// A request with the route that its path picked.
#[derive(Debug)]
pub(super) struct Admitted<'r> {
    pub(super) found: Match<'r>,
    /// The one that the application will run; what is sent keeps its own.
    pub(super) method: Method,
    /// The canonical path: what was judged is what is sent.
    pub(super) path: String,
    /// The query as sent.
    pub(super) query: Option<String>,
    /// What of its form picked the route.
    pub(super) form: Fields,
    /// In lower case, with the port if one was sent.
    pub(super) host: String,
    pub(super) parts: Parts,
    pub(super) body: Arriving,
    /// Looks at the body as it passes.
    pub(super) watch: Watch,
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
    // ORDER: before anything counts for an address, and before the headers that `Connection` names are taken out: a client
    // could have a sender's word removed with it.
    trail.peer = client_address::of(&runtime.client_address, connection.peer, request.headers())?;
    // ORDER: the address limit comes before routing and before any cryptography, and counts refused requests too.
    let now = trail.started.monotone;
    if let Err(full) = shared.limits.take_address(trail.peer, runtime.limits.per_address, now) {
        observe::ends(shared, runtime, trail, Control::Limits, Rejection::Limited(full))?;
    }
    let pressed = shared.limits.look_refused(trail.peer, runtime.limits.refused_per_address, now).err();

    let (mut parts, body) = request.into_parts();
    // It stands in for one that was refused before it was parsed.
    if let Some(fault) = parts.extensions.remove::<Fault>() {
        return Err(fault.of_request());
    }
    let Named { method, host, path, query } = named(runtime, connection.server_name.as_deref(), &mut parts)?;
    trail.method = named_method(&method);
    let body: Arriving = body.into();
    Ok(Understood {
        method,
        path,
        query,
        host,
        parts,
        form: if body.is_end() { Fields::none() } else { Fields::default() },
        body,
        excused: Vec::new(),
        pressed,
    })
}

/// Notes where a request went that no route is asked about.
pub(super) fn unrouted(runtime: &Runtime, understood: &Understood, trail: &mut Trail) {
    match runtime.policy.find(understood.method.as_str(), &understood.path, &understood.asked()) {
        Found::Route(found) => trail.matched(&found),
        Found::MethodNotAllowed { route, .. } => {
            trail.rule = Some(route.id().into());
            trail.template = Some(route.template().into());
            trail.unrecorded = !route.recorded();
        }
        Found::NoRoute | Found::Unclear(_) => trail.shape = Some(redact::shape(&understood.path)),
    }
}

/// Finds the route of a request.
///
/// # Errors
/// `NO_ROUTE`, `METHOD_NOT_ALLOWED`, `TOO_LARGE`; `BAD_HEADER` and `BAD_FRAMING` where it asks for a WebSocket amiss,
/// and where its body is a form that cannot be read in one way.
pub(super) fn route<'r>(
    shared: &Shared,
    runtime: &'r Runtime,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Admitted<'r>, Rejection> {
    let found = runtime.policy.find(understood.method.as_str(), &understood.path, &understood.asked());
    let Understood { method, path, query, host, parts, body, form, excused, pressed } = understood;
    let found = match found {
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
        Found::Unclear(reason) => return Err(Rejection::BadPath(reason)),
    };
    trail.matched(&found);
    if body.size().lower() > runtime.limits.body {
        observe::ends(shared, runtime, trail, Control::Body, Rejection::TooLarge(Oversize::Body))?;
    }
    let has_body = !body.is_end();
    // HTTP/1.1 clients send such a body in chunks or not at all, and ours would leave it out (RFC 9110, section 9.3.1).
    let lengthless = has_body && body.size().exact().is_none();
    if lengthless && matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Rejection::BadFraming("a body of unknown length on a method that has none"));
    }
    let websocket = websocket::asked(&parts, has_body, trail.id)?;
    // A body of another method is no form to frameworks that override methods; parameters they read from any.
    let names = if has_body { found.parameter_names().map(str::to_owned).collect() } else { Vec::new() };
    let watch = Watch::new(&parts.headers, has_body && parts.method == Method::POST, names)?;
    let watch = watch.excusing(excused);
    Ok(Admitted { found, method, path, query, form, host, parts, body, watch, websocket, pressed })
}

/// What a request names, read in the one way in which it can be.
pub(super) struct Named {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

/// Reads what a request names: one of our hosts, and a path. Takes out the headers that `Connection` names, and
/// gives cookies the application's names.
pub(super) fn named(runtime: &Runtime, server_name: Option<&str>, parts: &mut Parts) -> Result<Named, Rejection> {
    canonical::check_headers(&parts.headers, parts.version, runtime.limits.headers, runtime.reading.unclear_headers)?;
    canonical::remove_connection_named(&mut parts.headers);
    rename::from_browser(&mut parts.headers, &runtime.browsers.cookies.renamed)?;
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
    // ORDER: what `Connection` names is gone by now, so that what is read here is what the application gets.
    let allowed = runtime.reading.method_override;
    let method = method::effective(allowed, &parts.method, &parts.headers, query.as_deref())?;
    Ok(Named { method, host, path, query })
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
