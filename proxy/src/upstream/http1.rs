//! HTTP/1.1 to the application: a kept connection or a new one, one request at a time.
//!
//! Decides whether a request may be sent again: only when no byte of it was written, or when it has no body, its method is
//! safe, and a kept connection died under it. It never changes a request.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;

use super::again::Again;
use super::body::{AnswerBody, BodyFate, Held, RequestBody};
use super::connect::{Socket, Unreachable, connect, tls_fault};
use super::guard::{self, Guard, GuardedSender};
use super::pool::Pool;
use super::target::{AppTarget, Way};
use super::trailers::Trailers;
use super::{ANSWER_BUFFER, ANSWER_HEAD_LIMIT, Failed, NO_HTTP, Why, cause, head_of};
use crate::framing::ANSWER_LINES;
use crate::rejection::Rejection;
use crate::server::io::Patient;

/// A connection that can carry one more request.
#[derive(Debug)]
pub(crate) struct Line {
    sender: GuardedSender,
    way: Arc<Way>,
}

impl Line {
    pub(super) fn goes(&self, way: &Way) -> bool {
        *self.way == *way
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}

/// As [`super::send`].
pub(super) async fn send(
    target: &AppTarget,
    pool: &Pool,
    request: Request<RequestBody>,
    fate: &BodyFate,
    trailers: Trailers,
) -> Result<Response<AnswerBody>, Rejection> {
    let again = Again::of(&request).filter(Again::is_safe);
    let mut request = request;
    if let Some(line) = pool.take(&target.way, target.idle) {
        match exchange(target, pool, line, request, fate, trailers.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
            Err(failed) => match again.filter(|_| matches!(failed.why, Why::HungUp(_))) {
                Some(again) => request = again.request(),
                // Why it failed may be the client's body, which the fate tells.
                None => return Err(failed.rejection(fate)),
            },
        }
    }
    let room = pool.room().ok_or(Rejection::Overloaded)?;
    let line = open(target, connect(target).await?, room).await?;
    exchange(target, pool, line, request, fate, trailers).await.map_err(|failed| failed.rejection(fate))
}

/// Begins to speak on a new connection, with the guard around its socket.
async fn open(target: &AppTarget, socket: Socket, room: OwnedSemaphorePermit) -> Result<Line, Unreachable> {
    let (guard, question) = Guard::new(Patient::holding(socket, target.idle, room), ANSWER_HEAD_LIMIT);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_BUFFER)
        .max_headers(ANSWER_LINES)
        .handshake(TokioIo::new(guard))
        .await
        .map_err(|_| Unreachable::Down("the connection broke at once"))?;
    tokio::spawn(async move {
        // How it ends is seen by whoever waits for an answer; an idle one that ends is of no interest.
        drop(connection.with_upgrades().await);
    });
    Ok(Line { sender: GuardedSender::new(sender, question), way: Arc::clone(&target.way) })
}

async fn exchange(
    target: &AppTarget,
    pool: &Pool,
    mut line: Line,
    request: Request<RequestBody>,
    fate: &BodyFate,
    trailers: Trailers,
) -> Result<Response<AnswerBody>, Failed> {
    match head_of(target, fate, line.sender.try_send_request(request)).await? {
        // Interim answers hyper passes over; what is left of them is none that anybody waits for.
        Ok(answer) if answer.status().is_informational() && answer.status() != StatusCode::SWITCHING_PROTOCOLS => {
            Err(Failed::with(Why::Invalid(NO_HTTP)))
        }
        Ok(answer) => {
            fate.answered();
            let held = Held::Line(line, pool.clone());
            Ok(keep_streaming(answer, target, held, fate, trailers))
        }
        Err(mut error) => {
            let unsent = error.take_message().map(Box::new);
            Err(Failed { why: why(&error.into_error()), unsent })
        }
    }
}

fn why(error: &hyper::Error) -> Why {
    if let Some(fault) = guard::fault(error) {
        return Why::Invalid(fault.detail());
    }
    if error.is_parse() || error.is_parse_too_large() {
        return Why::Invalid(NO_HTTP);
    }
    // With TLS 1.3 a server may say only now what it thinks of our certificate.
    match cause::<std::io::Error>(error).and_then(tls_fault) {
        Some(Unreachable::Down(why)) => Why::Refused(why),
        Some(Unreachable::Invalid(_) | Unreachable::Full) | None => {
            Why::HungUp("the application hung up before it answered")
        }
    }
}

fn keep_streaming(
    answer: Response<Incoming>,
    target: &AppTarget,
    held: Held,
    fate: &BodyFate,
    trailers: Trailers,
) -> Response<AnswerBody> {
    let (parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // What speaks another protocol from here on never carries a request again.
        return Response::from_parts(parts, AnswerBody::Whole(None));
    }
    Response::from_parts(parts, AnswerBody::stream(body, target.idle, held, fate.clone(), trailers))
}
