//! The life of a request, in one function.
//!
//! Decides the order of the steps and what becomes of a request that ends early. What each step decides stands in its
//! own file, in reading order: admit, identify, decide, record, forward, record.

mod admit;
mod answer;
pub mod canonical;
mod cookies;
mod cors;
mod cross_site;
mod decide;
pub(crate) mod explain;
mod forward;
mod identify;
mod record;
mod step_up;
mod trail;
mod websocket;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::server::Connection;
use crate::shared::Shared;
use crate::telemetry::log;
use crate::telemetry::metrics::Control;
use crate::upstream::Pool;
use crate::upstream::body::AnswerBody;
pub(crate) use admit::METHODS;
use admit::Understood;
pub(crate) use trail::Trail;

/// Serves one request: always with an answer, always with a record of it or a refusal because there is none.
pub(crate) async fn handle(
    shared: &Shared,
    pool: &Pool,
    connection: &Connection,
    mut request: Request<Incoming>,
) -> Response<AnswerBody> {
    websocket::as_get(&mut request);
    let runtime = shared.runtime.load_full(); // one policy for the whole request
    let mut trail = Trail::new(shared.ids.next(), shared.clock.now(), connection.peer, runtime.policy_digest.clone());
    trail.method = admit::named_method(request.method());
    trail.trace = shared.trace(request.headers(), trail.id);
    let _active = shared.metrics.active(trail.method);
    let form = answer::Form::of(&request);
    let origin = cors::listed_origin(runtime.browsers.cors.as_ref(), request.headers());
    let served = caught(serve(shared, &runtime, pool, connection, request, &mut trail)).await;
    let (mut answer, code) = match served {
        Ok(mut answer) => {
            finish(shared, &runtime, &trail, &mut answer);
            (answer, None)
        }
        Err(rejection) => {
            let rejection = refused(shared, &runtime, &mut trail, rejection).await;
            log::refusal(&trail, &rejection);
            (answer::rejection(&rejection, trail.id, form), Some(rejection.code()))
        }
    };
    cors::dress(answer.headers_mut(), runtime.browsers.cors.as_ref(), origin);
    answer::seal(answer.headers_mut(), &runtime.answer_headers, trail.id, trail.phi);
    let took = shared.clock.now().monotone.saturating_sub(trail.started.monotone);
    shared.metrics.answered(&trail, answer.status(), code, took);
    if let (Some(outbox), Some(spans)) = (&shared.outbox, trail.spans(answer.status().as_u16(), code, took)) {
        outbox.request(spans);
    }
    log::answered(&trail, answer.status(), code, took);
    answer
}

/// Makes an answer of the application one that may leave.
fn finish(shared: &Shared, runtime: &Runtime, trail: &Trail, answer: &mut Response<AnswerBody>) {
    // What the application speaks is between it and us.
    *answer.version_mut() = Version::HTTP_11;
    answer::clean(answer.headers_mut());
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        websocket::announce(answer.headers_mut());
    }
    let lacking = cookies::harden(answer.headers_mut(), &runtime.browsers.cookies);
    if !lacking.is_empty() {
        shared.metrics.observed(Control::Cookies);
        log::observed_cookies(trail, &lacking);
    }
}

/// The life of one request: a few lines, each consuming what the last one proved. The first error ends it.
async fn serve(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    request: Request<Incoming>,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let understood = admit::request(shared, runtime, connection, request, trail)?; // limits of the address, one reading
    if let Some(answer) = preflight(shared, runtime, &understood, trail)? {
        return record::after(answer, trail, shared.clock.now()).await; //            the list of other sites answers alone
    }
    let admitted = admit::route(runtime, understood, trail)?; //                     the most specific path
    let identified = identify::caller(shared, runtime, admitted, trail)?; //         credential -> principal
    let identified = cross_site::check(shared, runtime, identified, trail)?; //      asked by a page of ours, or by no page
    let permitted = decide::passage(shared, runtime, identified, trail)?; //         tenant, roles, scope, condition, own limit
    let recorded = record::before(shared, permitted, trail)?; //                     room for the record, or no request
    let answer = forward::send(shared, runtime, pool, recorded, trail).await?; //    headers stripped and set, the judged path
    record::after(answer, trail, shared.clock.now()).await //                        strict: on disk before the head leaves
}

/// The answer to a preflight, with its place in the record; `None` where the request is none.
fn preflight(
    shared: &Shared,
    runtime: &Runtime,
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Option<Response<AnswerBody>>, Rejection> {
    let parts = &understood.parts;
    let answer = cors::preflight(runtime.browsers.cors.as_ref(), &parts.method, &parts.headers);
    if !matches!(answer, Ok(None)) {
        admit::unrouted(runtime, understood, trail);
    }
    let answer = answer?;
    if answer.is_some() {
        record::reserve(shared, trail)?;
    }
    Ok(answer)
}

/// Charges the address for a refusal, and records it. What cannot be recorded is refused as that.
async fn refused(shared: &Shared, runtime: &Runtime, trail: &mut Trail, rejection: Rejection) -> Rejection {
    let mut rejection = rejection;
    if rejection.is_refusal() && !matches!(rejection, Rejection::Limited(_)) {
        let quota = runtime.limits.refused_per_address;
        if let Err(full) = shared.limits.take_refused(trail.peer, quota, trail.started.monotone) {
            rejection = Rejection::Limited(full);
        }
    }
    if record::refusal(shared, trail, &rejection, shared.clock.now()).await {
        return rejection;
    }
    Rejection::NotRecorded
}

/// A panic ends this request alone.
async fn caught<T>(life: impl Future<Output = Result<T, Rejection>>) -> Result<T, Rejection> {
    let mut life = pin!(life);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(cx))) {
        Ok(progress) => progress,
        Err(_) => Poll::Ready(Err(Rejection::Internal)),
    })
    .await
}
