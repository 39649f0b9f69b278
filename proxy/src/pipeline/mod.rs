//! The life of a request, in one function.
//!
//! Decides the order of the steps and what becomes of a request that ends early. What each step decides stands in its
//! own file, in reading order: admit, identify, decide, record, forward, record.

mod admit;
mod again;
mod answer;
mod app_cookies;
mod app_login;
mod backchannel;
mod bind;
mod cache;
pub mod canonical;
mod client_address;
mod cookies;
mod cors;
mod cross_site;
mod decide;
pub(crate) mod explain;
mod form;
mod forward;
mod identify;
mod login;
mod look_alike;
mod mask;
mod navigation;
mod observe;
mod opened;
mod outgoing;
mod own;
mod record;
mod rename;
mod reports;
mod security_txt;
mod session;
mod sign_in;
mod step_up;
mod token_cookies;
mod trail;
mod websocket;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::header::TRAILER;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::rejection::Rejection;
use crate::runtime::{Rollout, Runtime};
use crate::server::{Connection, Place};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::log;
use crate::upstream::Pool;
use crate::upstream::body::AnswerBody;
use crate::upstream::trailers::Announced;
pub(crate) use admit::METHODS;
use admit::Understood;
pub(crate) use again::sweep;
pub(crate) use form::HELD;
pub(crate) use look_alike::is_look_alike;
pub(crate) use outgoing::speaks_for_a_gate;
pub(crate) use reports::{REPORTS, is_reserved};
pub(crate) use sign_in::is_public;
pub(crate) use trail::Trail;

/// Marks an answer that refuses a request for what the client did (4xx).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// Serves one request: always with an answer, always with a record of it or a refusal because there is none. Without a place
/// among `limits.requests` the answer is `OVERLOADED`, before anything else is looked at.
pub(crate) async fn handle(
    shared: &Shared,
    pool: &Pool,
    connection: &Arc<Connection>,
    mut request: Request<Incoming>,
    place: Option<&Place>,
) -> Response<AnswerBody> {
    websocket::as_get(&mut request);
    let runtime = shared.runtime.load_full(); // one policy for the whole request
    let mut trail = Trail::new(shared.ids.next(), shared.clock.now(), connection.peer, runtime.policy_digest.clone());
    trail.method = admit::named_method(request.method());
    trail.trace = shared.trace(request.headers(), trail.id);
    let _active = shared.metrics.active(trail.method);
    let form = answer::Form::of(&request);
    let came = login::Came::of(&runtime, &request);
    let origin = cors::listed_origin(runtime.browsers.cors.as_ref(), request.headers());
    let served = match place {
        // It takes several KiB. In a box it is written once, rather than moved at each layer above, and a connection on which
        // nothing is asked holds no room for it.
        Some(_) => caught(Box::pin(serve(shared, &runtime, pool, connection, request, form, &mut trail))).await,
        None => Err(Rejection::Overloaded),
    };
    let (mut answer, code) = match served {
        Ok(mut answer) => {
            finish(shared, &runtime, &trail, &mut answer);
            if trail.clears {
                app_cookies::let_go(&mut trail, answer.headers_mut());
            }
            (answer, None)
        }
        Err(rejection) => {
            let (rejection, begun, offer) = login::instead(shared, &runtime, &mut trail, came.as_ref(), rejection);
            let rejection = refused(shared, &runtime, &mut trail, rejection).await;
            log::refusal(&trail, &rejection);
            let mut answer = match (begun, &rejection) {
                (Some(begun), Rejection::SignIn(_)) => login::away(begun, &mut trail),
                _ => answer::rejection(&rejection, trail.id, form, &offer),
            };
            app_cookies::let_go(&mut trail, answer.headers_mut());
            if answer.status().is_client_error() {
                answer.extensions_mut().insert(Refused);
            }
            (answer, Some(rejection.code()))
        }
    };
    login::dress(shared, &runtime, &mut trail, &mut answer);
    cors::dress(answer.headers_mut(), runtime.browsers.cors.as_ref(), origin);
    answer::seal(answer.headers_mut(), &runtime.answer_headers, trail.id, trail.audience(runtime.answer_headers.cache));
    session::dress(answer.headers_mut(), &runtime, &trail);
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
    if let Some(Announced(names)) = answer.extensions_mut().remove() {
        answer.headers_mut().insert(TRAILER, names);
    }
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        websocket::announce(answer.headers_mut());
    }
    // ORDER: the configuration speaks of cookies by the application's names, so they get the browser's last.
    let lacking = cookies::harden(answer.headers_mut(), &runtime.browsers.cookies, runtime.stages.cookies);
    rename::to_browser(answer.headers_mut(), &runtime.browsers.cookies.renamed);
    if !lacking.is_empty() {
        shared.metrics.observed(Control::Cookies);
        log::observed_cookies(trail, &lacking);
    }
}

/// The life of one request: a few lines, each consuming what the last one proved. The first error ends it.
async fn serve(
    shared: &Shared,
    runtime: &Arc<Runtime>,
    pool: &Pool,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    form: answer::Form,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let understood = admit::request(shared, runtime, connection, request, trail)?; // limits of the address, one reading
    if is_reserved(&understood.path) {
        if login::is_page(runtime, &understood.path) {
            return login::serve(shared, runtime, connection, understood, trail).await; //  the gate's own, recorded
        }
        return own::serve(shared, runtime, pool, connection, understood, trail).await; //  the gate's own
    }
    if let Some(answer) = preflight(shared, runtime, &understood, trail)? {
        return record::after(answer, trail, shared.clock.now()).await; //            the list of other sites answers alone
    }
    if let Some(answer) = security_txt::answer(shared, runtime, &understood, trail)? {
        return record::after(answer, trail, shared.clock.now()).await; //            the configuration's, for everyone
    }
    let understood = form::read(shared, runtime, pool, connection, understood, trail).await?; // what of a form picks the route
    let admitted = admit::route(shared, runtime, understood, trail)?; //             the most specific path
    let identified = identify::caller(shared, runtime, pool, connection, admitted, trail).await?; // credential -> principal
    let identified = bind::caller(shared, runtime, identified, trail).await?; //      what the directory says of the caller
    let (identified, standing) = session::check(shared, runtime, identified, trail).await?; // which has not ended
    let identified = cross_site::check(shared, runtime, identified, trail)?; //      asked by a page of ours, or by no page
    let identified = app_cookies::check(shared, runtime, identified, trail)?; //     the app's session is the caller's, or gone
    let permitted = decide::passage(shared, runtime, identified, trail)?; //         tenant, roles, scope, condition, own limit
    let recorded = record::before(shared, permitted, trail)?; //                     room for the record, or no request
    let open = session::touch(shared, runtime, connection, standing, &recorded, trail).await?; // its clock moves
    let answer = forward::send(shared, runtime, pool, recorded, open, trail).await?; // headers stripped and set, the judged path
    let answer = security_txt::instead(runtime, answer, trail);
    let answer = mask::app_error(shared, runtime, answer, form, trail); //           what the app says of its errors stays here
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
        let taken = shared.limits.take_refused(trail.peer, quota, trail.started.monotone);
        if let (Err(full), Rollout::Enforce) = (taken, runtime.stages.limits) {
            rejection = Rejection::Limited(full);
        }
    }
    if record::refusal(shared, trail, &rejection, shared.clock.now()).await {
        return rejection;
    }
    Rejection::NotRecorded
}

/// A panic ends this request alone.
async fn caught<T>(mut life: Pin<Box<impl Future<Output = Result<T, Rejection>>>>) -> Result<T, Rejection> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(cx))) {
        Ok(progress) => progress,
        Err(_) => Poll::Ready(Err(Rejection::Internal)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_next_request_goes_on() {
        let ended = caught(Box::pin(async {
            tokio::task::yield_now().await;
            if true { panic!("of this request") } else { Ok(()) }
        }));
        assert!(matches!(ended.await, Err(Rejection::Internal)));
        assert!(matches!(caught(Box::pin(async { Ok(1) })).await, Ok(1)));
    }
}
