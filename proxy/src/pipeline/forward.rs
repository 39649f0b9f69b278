//! Step 5: the request goes to the application, and the head of its answer comes back.
//!
//! Decides how much of a body may pass and how long is waited. What the head says is `outgoing`'s; that nothing goes out but what
//! was judged is in the types: a request gets here by its passage, and with a place in the record.

use http::header::HeaderMap;
use http::{Request, Response, Uri, Version};
use hyper::upgrade::OnUpgrade;

use super::app_cookies;
use super::cors;
use super::identify::Caller;
use super::observe;
use super::outgoing;
use super::record::Recorded;
use super::trail::Trail;
use super::websocket;
use crate::app_session::{AppSession, AppSessionFault, AppSessions, Carried};
use crate::authn::TokenFault;
use crate::directory::Down;
use crate::outbound::Fault;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::{Rollout, Runtime};
use crate::sessions::open::{Cut, Held};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::trace::AppCall;
use crate::upstream::body::{AnswerBody, Bounds, RequestBody};
use crate::upstream::{self, AppProtocol, Pool, Trailers, trailers};

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

    let (caller, passage) = (permitted.caller.as_ref(), &permitted.passage);
    outgoing::rewrite(&mut parts.headers, runtime, (caller, passage), &admitted.host, trail)?;
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
    let unheard = Unheard { sessions: &shared.app_sessions, carried, is_safe };
    let sending = upstream::send(app, pool, Request::from_parts(parts, body), &fate, answered);
    let answer = unless_cut(sending, open.as_ref()).await;
    let outcome = answer.as_ref().map(|answer| answer.status().as_u16()).map_err(Rejection::code);
    let (after, took) = (sent.saturating_sub(trail.started.monotone), shared.clock.now().monotone.saturating_sub(sent));
    trail.app = Some(AppCall { after, took, outcome });
    shared.metrics.app_answered(trail.method, outcome, took);
    unheard.hears(shared, caller, answer.as_ref().ok(), open.as_ref(), trail);
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

impl Unheard<'_> {
    /// What the application's answer does to the session that the request came with. Without an answer the application may have
    /// done it all the same.
    fn hears(
        mut self,
        shared: &Shared,
        caller: Option<&Caller<'_>>,
        answer: Option<&Response<AnswerBody>>,
        open: Option<&Held>,
        trail: &Trail,
    ) {
        let Some(carried) = self.carried.take() else { return };
        let owner = app_cookies::owner(shared, caller);
        let nothing = HeaderMap::new();
        let set = answer.map_or(&nothing, Response::headers);
        if self.sessions.answered(&carried, owner, self.is_safe, set, trail.started) {
            app_cookies::signed_out(shared, &carried, open);
        }
    }
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
