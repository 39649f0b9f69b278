//! The way to the application: a kept connection or a new one, one request at a time, HTTP/1.1 over loopback.
//!
//! Decides how long to wait and whether a request may be sent again: only when no byte of it was written, or when it has
//! no body, its method is safe, and a kept connection died under it. It never changes a request.

pub mod body;
mod guard;
mod pool;
mod stall;
mod tunnel;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::framing::ANSWER_LINES;
use crate::rejection::{Oversize, Rejection};
use crate::server::io::Patient;
use body::{AnswerBody, BodyFate, Broken, RequestBody};
use guard::Guard;
pub(crate) use pool::Pool;
use pool::Sender;
pub(crate) use stall::Stall;
pub(crate) use tunnel::Tunnel;

/// The largest head that the application may answer with, in bytes.
const ANSWER_HEAD_LIMIT: usize = 64 * 1024;
/// What hyper may hold of an answer: more than a head may have, so that hyper never refuses one by itself.
const ANSWER_BUFFER: usize = ANSWER_HEAD_LIMIT + 8 * 1024;

/// Why an answer is invalid that no reader understands.
const NO_HTTP: &str = "the answer is not HTTP/1.1";

/// Where the application is and how long the gate waits for it.
#[derive(Clone, Copy, Debug)]
pub struct AppTarget {
    /// Its address, always loopback.
    pub address: SocketAddr,
    /// How long a connection may take.
    pub connect: Duration,
    /// How long the head of an answer may take.
    pub response: Duration,
    /// How long nothing may move in a body.
    pub idle: Duration,
}

/// Sends a request and waits for the head of the answer.
///
/// # Errors
/// `OVERLOADED` when too many requests are with the application already, `APP_DOWN` when it cannot be reached or hangs up, `APP_TIMEOUT`, `APP_INVALID` when what it sends is not
/// HTTP; `TOO_LARGE` and `BAD_FRAMING` when the client's body broke on the way.
pub(crate) async fn send(
    target: &AppTarget,
    pool: &Pool,
    request: Request<RequestBody>,
    fate: &BodyFate,
) -> Result<Response<AnswerBody>, Rejection> {
    let again = Again::of(&request);
    let pool = &pool.to(target.address);
    let mut request = request;
    if let Some(sender) = pool.take(target.idle) {
        match exchange(target, pool, sender, request, fate).await {
            Ok(answer) => return Ok(answer),
            Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
            Err(failed) => match again.filter(|_| matches!(failed.why, Why::HungUp)) {
                Some(again) => request = again.into_request(),
                // Why it failed may be the client's body, which the fate tells.
                None => return Err(failed.rejection(fate)),
            },
        }
    }
    let sender = connect(target, pool).await?;
    exchange(target, pool, sender, request, fate).await.map_err(|failed| failed.rejection(fate))
}

/// A request without a body and with a safe method, kept in case a kept connection dies under it.
struct Again(http::request::Parts);

impl Again {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if !safe || !request.body().is_empty() {
            return None;
        }
        let (parts, ()) = {
            let mut copy = Request::new(());
            *copy.method_mut() = request.method().clone();
            *copy.uri_mut() = request.uri().clone();
            *copy.headers_mut() = request.headers().clone();
            copy.into_parts()
        };
        Some(Self(parts))
    }

    fn into_request(self) -> Request<RequestBody> {
        Request::from_parts(self.0, RequestBody::Empty)
    }
}

async fn connect(target: &AppTarget, pool: &Pool) -> Result<Sender, Rejection> {
    let room = pool.room().ok_or(Rejection::Overloaded)?;
    let stream = match timeout(target.connect, TcpStream::connect(target.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Err(Rejection::AppDown("the application refuses connections")),
        Err(_) => return Err(Rejection::AppDown("the application did not take the connection in time")),
    };
    stream.set_nodelay(true).map_err(|_| Rejection::AppDown("the connection broke at once"))?;
    let (guard, question) = Guard::new(Patient::holding(stream, target.idle, room), ANSWER_HEAD_LIMIT);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_BUFFER)
        .max_headers(ANSWER_LINES)
        .handshake(TokioIo::new(guard))
        .await
        .map_err(|_| Rejection::AppDown("the connection broke at once"))?;
    tokio::spawn(async move {
        // How it ends is seen by whoever waits for an answer; an idle one that ends is of no interest.
        drop(connection.with_upgrades().await);
    });
    Ok(Sender::new(sender, question))
}

struct Failed {
    why: Why,
    /// The request, when no byte of it was written.
    unsent: Option<Box<Request<RequestBody>>>,
}

enum Why {
    HungUp,
    TimedOut,
    Invalid(&'static str),
}

impl Failed {
    fn rejection(&self, fate: &BodyFate) -> Rejection {
        match (fate.broken(), &self.why) {
            (Some(Broken::TooLarge), _) => Rejection::TooLarge(Oversize::Body),
            (Some(Broken::Stalled), _) => Rejection::BadFraming("the body stopped arriving"),
            (Some(Broken::Cut), _) => Rejection::BadFraming("the body ended early"),
            (None, Why::HungUp) => Rejection::AppDown("the application hung up before it answered"),
            (None, Why::TimedOut) => Rejection::AppTimeout,
            (None, Why::Invalid(detail)) => Rejection::AppInvalid(detail),
        }
    }
}

async fn exchange(
    target: &AppTarget,
    pool: &Pool,
    mut sender: Sender,
    request: Request<RequestBody>,
    fate: &BodyFate,
) -> Result<Response<AnswerBody>, Failed> {
    let mut waiting = pin!(sender.try_send_request(request));
    let mut pieces = fate.pieces();
    let answer = loop {
        match timeout(target.response, waiting.as_mut()).await {
            Ok(answer) => break answer,
            // The limit is on the application: it counts anew while the body moves, and while the client owes a piece of
            // it, the body's own limit counts.
            Err(_) if fate.is_awaiting_client() || fate.pieces() != pieces => pieces = fate.pieces(),
            Err(_) => return Err(Failed { why: Why::TimedOut, unsent: None }),
        }
    };
    match answer {
        // Interim answers hyper passes over; what is left of them is none that anybody waits for.
        Ok(answer) if answer.status().is_informational() && answer.status() != StatusCode::SWITCHING_PROTOCOLS => {
            Err(Failed { why: Why::Invalid(NO_HTTP), unsent: None })
        }
        Ok(answer) => Ok(keep_streaming(answer, target.idle, sender, pool)),
        Err(mut error) => {
            let unsent = error.take_message().map(Box::new);
            let error = error.into_error();
            let why = match guard::fault(&error) {
                Some(fault) => Why::Invalid(fault.detail()),
                None if error.is_parse() || error.is_parse_too_large() => Why::Invalid(NO_HTTP),
                None => Why::HungUp,
            };
            Err(Failed { why, unsent })
        }
    }
}

fn keep_streaming(answer: Response<Incoming>, idle: Duration, sender: Sender, pool: &Pool) -> Response<AnswerBody> {
    let (parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // What speaks another protocol from here on never carries a request again.
        return Response::from_parts(parts, AnswerBody::Whole(None));
    }
    Response::from_parts(parts, AnswerBody::stream(body, idle, sender, pool.clone()))
}
