//! The life of a request, in one function.
//!
//! Decides the order of the steps and what becomes of a request that ends early. What each step decides stands in its
//! own file, in reading order: admit, identify, decide, record, forward, record.

mod admit;
mod answer;
pub mod canonical;
mod decide;
pub(crate) mod explain;
mod forward;
mod identify;
mod record;
mod step_up;
mod trail;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::server::Connection;
use crate::shared::Shared;
use crate::telemetry::log;
use crate::upstream::Pool;
use crate::upstream::body::AnswerBody;
pub(crate) use trail::Trail;

/// Serves one request: always with an answer, always with a record of it or a refusal because there is none.
pub(crate) async fn handle(
    shared: &Shared,
    pool: &Pool,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let runtime = shared.runtime.load_full(); // one policy for the whole request
    let mut trail = Trail::new(shared.ids.next(), shared.clock.now(), connection.peer, runtime.policy_digest.clone());
    let form = answer::Form::of(&request);
    let served = caught(serve(shared, &runtime, pool, connection, request, &mut trail)).await;
    let (mut answer, code) = match served {
        Ok(mut answer) => {
            answer::clean(answer.headers_mut());
            (answer, None)
        }
        Err(rejection) => {
            let rejection = refused(shared, &runtime, &mut trail, rejection).await;
            log::refusal(&trail, &rejection);
            (answer::rejection(&rejection, trail.id, form), Some(rejection.code()))
        }
    };
    answer::seal(answer.headers_mut(), &runtime.answer_headers, trail.id, trail.phi);
    let took = shared.clock.now().monotone.saturating_sub(trail.started.monotone);
    shared.metrics.answered(&trail, answer.status(), code, took);
    log::answered(&trail, answer.status(), code, took);
    answer
}

/// The life of one request: six lines, each consuming what the last one proved. The first error ends it.
async fn serve(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    connection: &Connection,
    request: Request<Incoming>,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let admitted = admit::request(shared, runtime, connection, request, trail)?; // limits of the address, one reading, route
    let identified = identify::caller(shared, runtime, admitted, trail)?; //         credential -> principal
    let permitted = decide::passage(shared, runtime, identified, trail)?; //         tenant, roles, scope, condition, own limit
    let recorded = record::before(shared, permitted, trail)?; //                     room for the record, or no request
    let answer = forward::send(runtime, pool, recorded, trail).await?; //            headers stripped and set, the judged path
    record::after(answer, trail, shared.clock.now()).await //                        strict: on disk before the head leaves
}

/// Charges the address for a refusal, and records it. What cannot be recorded is refused as that.
async fn refused(shared: &Shared, runtime: &Runtime, trail: &mut Trail, rejection: Rejection) -> Rejection {
    let mut rejection = rejection;
    if rejection.is_refusal() && !matches!(rejection, Rejection::Limited(_)) {
        let quota = runtime.limits.refused_per_address;
        if let Err(full) = shared.limits.take_refused(trail.peer, quota, trail.started.monotone) {
            rejection = Rejection::Limited(full.seconds());
        }
    }
    if trail.unrecorded || record::refusal(shared, trail, &rejection, shared.clock.now()).await {
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
