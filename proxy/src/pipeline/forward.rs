//! Step 5: the request as the application gets it.
//!
//! Decides which headers go through. It never lets one pass that a client could have used to speak with the gate's
//! voice: every spelling of the headers that we set is removed before ours are set, so there is exactly one of each.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;
use http::header::{AUTHORIZATION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri, Version};
use hyper::upgrade::OnUpgrade;
use policy::Identity;

use super::app_cookies;
use super::canonical::is_folded;
use super::cors;
use super::identify::Caller;
use super::observe;
use super::record::Recorded;
use super::token_cookies;
use super::trail::Trail;
use super::websocket;
use crate::app_session::{AppSession, AppSessionFault, AppSessions, Carried};
use crate::authn::TokenFault;
use crate::cookie_pairs::{self, NoText};
use crate::directory::Down;
use crate::outbound::Fault;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::{Place, Rollout, Runtime, is_of_family};
use crate::sessions::open::{Cut, Held};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::trace::{self, AppCall};
use crate::upstream::body::{AnswerBody, Bounds, RequestBody};
use crate::upstream::{self, AppProtocol, Pool, Trailers, trailers};

/// Hop-by-hop headers (RFC 9110, section 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authorization",
];

/// What a client could use to be taken for a trusted proxy, beside the whole family of `X-Forwarded-…`, members that
/// nobody has heard of included (CVE-2026-40575). Ours are set anew; the others stay away.
const FORWARDING: [&str; 17] = [
    "x-azure-clientip",
    "x-appengine-user-ip",
    "x-proxyuser-ip",
    "x-envoy-external-address",
    "forwarded",
    "forwarded-for",
    "cf-connecting-ip",
    "fastly-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-original-forwarded-for",
];

/// Headers that some servers and frameworks believe: the address or host that was asked for, an identity that a proxy has
/// proved, a step that was done already.
const BELIEVED: [&str; 25] = [
    "x-waws-unencoded-url",
    "x-unproxied-url",
    "x-http-path-override",
    "front-end-https",
    "x-url-scheme",
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-host",
    "x-http-host-override",
    "remote-user",
    "x-remote-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-amzn-oidc-accesstoken",
    "x-middleware-subrequest",
    "http2-settings",
    // CGI makes `HTTP_PROXY` of it (CVE-2016-5385).
    "proxy",
    "x-accel-redirect",
    "x-sendfile",
];

/// Families that carry a client's certificate, or what a proxy has found of it, from one hop to the next: our certificate
/// checks are not the application's, and a header never is a certificate (RFC 9440 included).
const CERTIFICATES: [&str; 15] = [
    "ssl-client",
    "x-ssl",
    "x-client-cert",
    "x-client-verify",
    "x-client-dn",
    "x-client-certificate",
    "client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-arr-clientcert",
    "x-amzn-mtls",
    "x-tls-client",
    "tls-client",
    "cf-client-cert",
    "x-mtls",
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Sends the request to the application and waits for the head of its answer.
///
/// # Errors
/// `APP_DOWN`, `APP_TIMEOUT`, `APP_INVALID`; `TOO_LARGE` and `BAD_FRAMING` by the body.
pub(super) async fn send(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    recorded: Recorded<'_>,
    open: Option<Held>,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let Recorded(permitted) = recorded;
    let admitted = permitted.admitted;
    let mut parts = admitted.parts;
    let app = &runtime.app;
    let judged = |pass: bool| if pass { Trailers::Judged(app.trailers.clone()) } else { Trailers::Dropped };
    // Those of a request pass from HTTP/2 to HTTP/2 alone; those of an answer to whoever takes them.
    let both = parts.version == Version::HTTP_2 && app.way.protocol == AppProtocol::Http2;
    let taken = trailers::are_taken(parts.version, &parts.headers);
    let (asked, answered) = (judged(both), judged(taken));
    let carried = |settings: &AppSession| settings.carried(&parts.headers).to(parts.uri.path());
    let carried = runtime.app_session.as_ref().map(carried);
    let is_safe = parts.method.is_safe();

    strip(&mut parts.headers, runtime);
    strip_credentials(&mut parts.headers, runtime, permitted.caller.as_ref())?;
    let mut written = Written::to(&mut parts.headers);
    set_identity(&mut written, runtime, permitted.passage.identity(), trail)?;
    set_forwarding(&mut written, &admitted.host, trail)?;
    trace::pass_on(&mut parts.headers, trail.trace.as_ref());
    // The length is said anew by what is really there, once and in one spelling.
    parts.headers.remove(http::header::CONTENT_LENGTH);
    parts.uri = target(admitted.path, admitted.query.as_deref())?;
    let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
    let client = parts.extensions.remove::<OnUpgrade>();
    parts.extensions.clear();
    if let Some(handshake) = &admitted.websocket {
        if app.way.protocol == AppProtocol::Http2 {
            return Err(Rejection::AppInvalid("it is spoken to on HTTP/2, and a WebSocket needs HTTP/1.1"));
        }
        websocket::ask(&mut parts.headers, handshake)?;
    }
    let limits = &runtime.limits;
    let most = match runtime.stages.body {
        Rollout::Enforce => limits.body,
        Rollout::Observe => u64::MAX,
    };
    let bounds = Bounds { most, idle: app.idle, rate: limits.least_rate };
    let (mut body, fate) = RequestBody::new(admitted.body, version, bounds, asked, admitted.watch);
    body.hold(open.as_ref());
    let sent = shared.clock.now().monotone;
    // ORDER: before a byte of it is sent, since this may be left at any point from here on.
    let mut unheard = Unheard { sessions: &shared.app_sessions, carried, is_safe };
    let sending = upstream::send(app, pool, Request::from_parts(parts, body), &fate, answered);
    let answer = unless_cut(sending, open.as_ref()).await;
    let outcome = answer.as_ref().map(|answer| answer.status().as_u16()).map_err(Rejection::code);
    let (after, took) = (sent.saturating_sub(trail.started.monotone), shared.clock.now().monotone.saturating_sub(sent));
    trail.app = Some(AppCall { after, took, outcome });
    shared.metrics.app_answered(trail.method, outcome, took);
    if let Some(carried) = unheard.carried.take() {
        let owner = app_cookies::owner(shared, permitted.caller.as_ref());
        // Without an answer the application may have done it all the same.
        let nothing = HeaderMap::new();
        let set = answer.as_ref().map_or(&nothing, |answer| answer.headers());
        if shared.app_sessions.answered(&carried, owner, is_safe, set, trail.started) {
            app_cookies::signed_out(shared, &carried, open.as_ref());
        }
    }
    let mut answer = answer?;
    // A body of unknown length; one that tells it was judged by what it tells.
    if fate.bytes() > runtime.limits.body && trail.waived != Some("TOO_LARGE") {
        observe::ends(shared, runtime, trail, Control::Body, Rejection::TooLarge(Oversize::Body))?;
    }
    cors::strip(answer.headers_mut());
    if taken {
        app.trailers.announce(&mut answer);
    }
    websocket::join(&mut answer, admitted.websocket.as_ref(), client, app.idle, open)?;
    Ok(answer)
}

/// The path and the query that were judged.
fn target(path: String, query: Option<&str>) -> Result<Uri, Rejection> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    Uri::try_from(target).map_err(|_| Rejection::BadPath("not a request target"))
}

/// A request to the application whose answer nobody has seen. Whoever asked may hang up at any time; the application may have
/// signed them out all the same.
struct Unheard<'a> {
    sessions: &'a AppSessions,
    carried: Option<Carried>,
    is_safe: bool,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let (Some(carried), false) = (&self.carried, self.is_safe) {
            self.sessions.may_have_changed(carried);
        }
    }
}

/// Waits for the application, as long as the caller may: a long poll ends with its session.
async fn unless_cut(
    sending: impl Future<Output = Result<Response<AnswerBody>, Rejection>>,
    open: Option<&Held>,
) -> Result<Response<AnswerBody>, Rejection> {
    let Some(open) = open else { return sending.await };
    tokio::select! {
        biased;
        // Where the upload was cut, that is why there is no answer.
        answer = sending => answer.map_err(|rejection| open.why().map_or(rejection, refusal)),
        why = open.cut() => Err(refusal(why)),
    }
}

fn refusal(why: Cut) -> Rejection {
    match why {
        Cut::Session(fault) => Rejection::Session(fault),
        Cut::Credential => Rejection::Token(TokenFault::Expired),
        // It was found under the policy before, and the one that counts now has no place for it.
        Cut::Policy => Rejection::NoRoute,
        Cut::Keys => Rejection::Token(TokenFault::NoKeys),
        Cut::Directory => Rejection::DirectoryDown(Down::Call(Fault::Timeout)),
        Cut::App => Rejection::Token(TokenFault::AppSession(AppSessionFault::Unvouched("no answer for too long"))),
    }
}

/// Removes what is meant for this hop only, and what only a gate may say.
fn strip(headers: &mut HeaderMap, runtime: &Runtime) {
    let goes = |name: &str| {
        HOP_BY_HOP.contains(&name)
            || speaks_for_a_gate(name)
            || runtime.identity.is_reserved(name)
            // A second spelling of a header is one that a CGI-like reader cannot tell from the first.
            || !is_folded(name)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    headers.remove(EXPECT);
}

/// Whether a header of this name would be taken for the word of a proxy that is trusted.
pub(crate) fn speaks_for_a_gate(name: &str) -> bool {
    FORWARDING.contains(&name)
        || name.starts_with("x-forwarded")
        || BELIEVED.contains(&name)
        || CERTIFICATES.iter().any(|family| name.starts_with(family))
}

/// Takes credentials out: a token that the gate has judged is no business of the application, unless the provider says so. One
/// that was not judged never gets there, whoever it belongs to: the application would obey somebody else than the gate.
fn strip_credentials(headers: &mut HeaderMap, runtime: &Runtime, caller: Option<&Caller<'_>>) -> Result<(), Rejection> {
    let kept = caller.filter(|caller| caller.voucher.forwards()).and_then(|caller| caller.place);
    let is_kept = |key: &str| kept.is_some_and(|kept| token_cookies::is_judged(key, kept));
    for provider in &runtime.providers {
        for place in &provider.places {
            match place {
                Place::Header(_) if Some(place) == kept => {}
                Place::Header(name) => drop(headers.remove(name)),
                Place::Cookie(_) | Place::CookieChunks(_) => {
                    remove_cookies(headers, |key| token_cookies::belongs(key, place) && !is_kept(key))?;
                }
            }
        }
        if let Some(family) = provider.siblings {
            remove_cookies(headers, |key| is_of_family(key, family) && !is_kept(key))?;
        }
    }
    // Where somebody is proved, no other credential goes beside: one that no provider reads here may still be the application's.
    if caller.is_some() && !kept.is_some_and(|kept| matches!(kept, Place::Header(name) if *name == AUTHORIZATION)) {
        headers.remove(AUTHORIZATION);
    }
    if let Some((_, login)) = runtime.login() {
        remove_cookies(headers, |name| login.names().all().any(|ours| ours == name))?;
    }
    Ok(cookie_pairs::join(headers)?)
}

fn remove_cookies(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) -> Result<(), NoText> {
    cookie_pairs::retain(headers, |pair| !goes(pair.name().trim()))
}

/// Headers that the gate writes. Their values stand in one buffer, since each is copied once more where the request could be
/// sent again.
struct Written<'h> {
    headers: &'h mut HeaderMap,
    buffer: BytesMut,
}

impl<'h> Written<'h> {
    /// What the values of most requests take, in bytes: the id of the request, tenant, subject, roles, host twice, address.
    const USUAL: usize = 256;

    fn to(headers: &'h mut HeaderMap) -> Self {
        Self { headers, buffer: BytesMut::with_capacity(Self::USUAL) }
    }

    /// Sets a header to these parts, one behind the other, in place of any that came.
    fn set<'p>(&mut self, name: &HeaderName, parts: impl IntoIterator<Item = &'p str>) -> Result<(), Rejection> {
        for part in parts {
            self.buffer.extend_from_slice(part.as_bytes());
        }
        self.end(name)
    }

    /// Sets a header to what `value` displays.
    fn show(&mut self, name: &HeaderName, value: impl Display) -> Result<(), Rejection> {
        // INVARIANT: the buffer grows, and what is displayed here has no fault of its own.
        write!(self.buffer, "{value}").map_err(|_| Rejection::Internal)?;
        self.end(name)
    }

    fn end(&mut self, name: &HeaderName) -> Result<(), Rejection> {
        // A subject is any text without control characters; beyond ASCII it stands in UTF-8.
        let value = HeaderValue::from_maybe_shared(self.buffer.split().freeze());
        self.headers.insert(name, value.map_err(|_| Rejection::BadHeader("a value that no header can hold"))?);
        Ok(())
    }
}

fn set_identity(
    written: &mut Written<'_>,
    runtime: &Runtime,
    identity: Option<&Identity>,
    trail: &Trail,
) -> Result<(), Rejection> {
    let names = &runtime.identity;
    written.show(&names.request, trail.id)?;
    let Some(identity) = identity else { return Ok(()) };
    written.set(&names.tenant, [identity.tenant().as_str()])?;
    written.set(&names.subject, [identity.subject()])?;
    let comma = |at: usize| if at == 0 { "" } else { "," };
    let roles = identity.roles().iter().enumerate();
    written.set(&names.roles, roles.flat_map(|(at, role)| [comma(at), role.as_str()]))
}

fn set_forwarding(written: &mut Written<'_>, host: &str, trail: &Trail) -> Result<(), Rejection> {
    written.set(&HOST, [host])?;
    written.show(&X_FORWARDED_FOR, trail.peer.to_canonical())?;
    written.set(&X_FORWARDED_HOST, [host])?;
    written.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    Ok(())
}
