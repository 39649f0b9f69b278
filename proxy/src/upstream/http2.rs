//! HTTP/2 to the application: a few connections, shared by the requests of a worker.
//!
//! Decides whether a request may be sent again: when the application has said that it did not look at it (it was on its
//! way when the connection was closed, or the stream was refused), or when it has no body, its method is safe, and a
//! connection that carried others before died under it. It changes nothing of a request but the form: `Host` is the
//! authority, and `te: trailers` stands there where the client takes trailers.
//!
//! An answer that may have no body (to HEAD, a 204, a 304) is believed only when its stream has ended without one: in
//! HTTP/2 nothing else keeps an application from sending one, and each reader behind us would make of it what it likes.
//!
//! A client that does not read holds up its own stream alone: [`STREAM_WINDOW`] bytes of an answer wait for it here, and
//! the connection has room for that many of each stream.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{HOST, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::again::Again;
use super::body::{AnswerBody, BodyFate, Held, RequestBody};
use super::connect::{Unreachable, connect, tls_fault};
use super::pool::Pool;
use super::target::{Address, AppTarget, Way};
use super::trailers::Trailers;
use super::{ANSWER_HEAD_LIMIT, Failed, Why, cause, head_of};
use crate::framing::ANSWER_LINES;
use crate::rejection::Rejection;
use crate::server::io::Patient;

/// The most requests at once on one connection; fewer where the application says so.
pub(super) const STREAMS: u32 = 100;
/// Bytes of one answer that wait here for a client that does not read.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all streams together, so that no stream has to wait for another one's client. h2 also counts small frames
/// against it: streams of many small messages need a large one.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS;
/// Bytes of one request that wait here for an application that does not read.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a connection with open streams may be silent before the application is asked whether it still lives. gRPC
/// servers take more than one ping in five minutes for an attack, and hang up.
const PING: Duration = Duration::from_secs(330);
/// How long the answer to that may take.
const PONG: Duration = Duration::from_secs(20);
/// How often one request is handed to a connection before it is given up.
const TRIES: usize = 3;

/// A connection that carries many requests at once.
#[derive(Debug)]
pub(crate) struct Trunk {
    sender: http2::SendRequest<RequestBody>,
    way: Arc<Way>,
    use_of_it: Arc<Use>,
}

/// How much of a connection is in use.
#[derive(Debug)]
struct Use {
    open: AtomicUsize,
    most: AtomicUsize,
    last: Mutex<Instant>,
}

/// A place for one request, from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct Seat {
    sender: Option<http2::SendRequest<RequestBody>>,
    use_of_it: Arc<Use>,
}

impl Trunk {
    pub(super) fn goes(&self, way: &Way) -> bool {
        *self.way == *way
    }

    /// Whether it carries no request any more: it is closed, or was not used for `longest`.
    pub(super) fn is_over(&self, longest: Duration) -> bool {
        let last = *self.use_of_it.last.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.use_of_it.open.load(Ordering::Acquire) == 0 && last.elapsed() >= longest;
        unused || self.sender.is_closed()
    }

    /// A place on it, where there is one.
    pub(super) fn seat(&self) -> Option<Seat> {
        let most = self.use_of_it.most.load(Ordering::Acquire);
        let more = |open: usize| (open < most).then_some(open + 1);
        self.use_of_it.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Seat { sender: Some(self.sender.clone()), use_of_it: Arc::clone(&self.use_of_it) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.use_of_it.open.fetch_sub(1, Ordering::AcqRel);
        *self.use_of_it.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// Opens a connection. That the application speaks HTTP/2 shows with the first answer, or over TLS before.
pub(super) async fn open(target: &AppTarget, room: OwnedSemaphorePermit) -> Result<Trunk, Unreachable> {
    let socket = Patient::holding(connect(target).await?, target.idle, room);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(STREAMS as usize)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(ANSWER_HEAD_LIMIT).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|_| Unreachable::Down("the connection broke at once"))?;
    let use_of_it = Arc::new(Use {
        open: AtomicUsize::new(0),
        most: AtomicUsize::new(STREAMS as usize),
        last: Mutex::new(Instant::now()),
    });
    let watched = Arc::clone(&use_of_it);
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            let progress = connection.as_mut().poll(cx);
            watched.most.store(connection.current_max_send_streams().min(STREAMS as usize), Ordering::Release);
            // How it ends is seen by whoever waits for an answer.
            progress.map(drop)
        })
        .await;
        watched.most.store(0, Ordering::Release);
    });
    Ok(Trunk { sender, way: Arc::clone(&target.way), use_of_it })
}

/// As [`super::send`].
pub(super) async fn send(
    target: &AppTarget,
    pool: &Pool,
    request: Request<RequestBody>,
    fate: &BodyFate,
    trailers: Trailers,
) -> Result<Response<AnswerBody>, Rejection> {
    let mut request = as_http2(target, request, &trailers)?;
    let again = Again::of(&request);
    let mut failed = None;
    for _ in 0..TRIES {
        let shared = pool.share(target).await?;
        let fresh = shared.fresh;
        let mut now = match exchange(target, shared.seat, request, fate, trailers.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let next = match (now.unsent.take(), &now.why, &again) {
            (Some(unsent), ..) => Some(*unsent),
            (None, Why::Unprocessed, Some(again)) => Some(again.request()),
            (None, Why::HungUp(_), Some(again)) if !fresh && again.is_safe() => Some(again.request()),
            (None, ..) => None,
        };
        match next {
            Some(next) => request = next,
            None => return Err(now.rejection(fate)),
        }
        failed = Some(now);
    }
    Err(failed.map_or(Rejection::Internal, |failed| failed.rejection(fate)))
}

/// The request in the form of HTTP/2 (RFC 9113, section 8.3.1).
fn as_http2(
    target: &AppTarget,
    mut request: Request<RequestBody>,
    trailers: &Trailers,
) -> Result<Request<RequestBody>, Rejection> {
    let unfit = Rejection::BadHost("`Host` is no authority");
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok()).ok_or(unfit)?;
    let scheme = match target.way.address {
        Address::Secure(_) => Scheme::HTTPS,
        Address::Loopback(_) | Address::Localhost(_) | Address::Unix(_) => Scheme::HTTP,
    };
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    *request.uri_mut() = uri.map_err(|_| Rejection::BadPath("not a request target"))?;
    *request.version_mut() = Version::HTTP_2;
    match trailers {
        Trailers::Judged(_) => drop(request.headers_mut().insert(TE, HeaderValue::from_static("trailers"))),
        Trailers::Dropped => {}
    }
    Ok(request)
}

async fn exchange(
    target: &AppTarget,
    mut seat: Seat,
    request: Request<RequestBody>,
    fate: &BodyFate,
    trailers: Trailers,
) -> Result<Response<AnswerBody>, Failed> {
    // The seat outlives the sender: a connection closes by itself once nobody can send on it and its streams have ended.
    let Some(mut sender) = seat.sender.take() else { return Err(Failed::with(Why::Invalid("a seat that is taken"))) };
    let is_head = *request.method() == Method::HEAD;
    let answer = head_of(target, fate, sender.try_send_request(request)).await?;
    drop(sender);
    match answer {
        Ok(answer) if answer.status().is_informational() || answer.headers().len() > ANSWER_LINES => {
            Err(Failed::with(Why::Invalid("the answer is not one that may be")))
        }
        Ok(answer) => {
            fate.answered();
            let (parts, mut body) = answer.into_parts();
            if is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
                let ended = timeout(target.response, ends_empty(&mut body)).await;
                ended.map_err(|_| Failed::with(Why::TimedOut))??;
            }
            let body = AnswerBody::stream(body, target.idle, Held::Seat(seat), fate.clone(), trailers);
            Ok(Response::from_parts(parts, body))
        }
        Err(mut error) => {
            let unsent = error.take_message().map(Box::new);
            Err(Failed { why: why(&error.into_error()), unsent })
        }
    }
}

/// Waits for the end of a body that may not be: with the head most often, at times in a piece without a byte.
async fn ends_empty(body: &mut Incoming) -> Result<(), Failed> {
    while !body.is_end_stream() {
        match body.frame().await {
            None => return Ok(()),
            Some(Ok(frame)) if frame.data_ref().is_none_or(bytes::Bytes::is_empty) => {}
            Some(Ok(_) | Err(_)) => return Err(Failed::with(Why::Invalid("a body behind an answer that has none"))),
        }
    }
    Ok(())
}

/// Why there is no answer, as the stream or the connection ended.
fn why(error: &hyper::Error) -> Why {
    let hung_up = Why::HungUp("the application hung up before it answered");
    let Some(fault) = cause::<h2::Error>(error) else {
        return match cause::<std::io::Error>(error).and_then(tls_fault) {
            Some(Unreachable::Down(why)) => Why::Refused(why),
            Some(Unreachable::Invalid(_) | Unreachable::Full) | None => hung_up,
        };
    };
    if fault.is_io() {
        return hung_up;
    }
    if !fault.is_remote() {
        return Why::Invalid("the answer is not HTTP/2");
    }
    // h2 ends with a GOAWAY only streams behind the last one that the application has looked at (RFC 9113, section 6.8).
    match fault.reason() {
        Some(h2::Reason::REFUSED_STREAM) => Why::Unprocessed,
        Some(h2::Reason::HTTP_1_1_REQUIRED) => Why::Invalid("the application wants HTTP/1.1"),
        Some(_) | None if fault.is_go_away() => Why::Unprocessed,
        Some(_) | None => Why::Refused("the application broke the stream off before it answered"),
    }
}
