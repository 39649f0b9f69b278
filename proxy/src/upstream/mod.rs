//! The way to the application: where it is, a connection to it, the request, and the head of its answer.
//!
//! Decides how long to wait, and what is said of an application that cannot be reached or does not answer. Whether a
//! request may be sent again stands with each protocol. It never changes what a request says.

mod again;
pub mod body;
mod connect;
mod guard;
mod http1;
mod http2;
mod pool;
mod stall;
mod target;
pub(crate) mod trailers;
mod tunnel;
pub(crate) mod watch;

use std::error::Error;
use std::pin::pin;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::timeout;

use crate::rejection::{Oversize, Rejection};
use body::{AnswerBody, BodyFate, Broken, RequestBody};
pub(crate) use pool::Pool;
pub(crate) use stall::Stall;
pub use target::{Address, AppProtocol, AppTarget, Secure, Way};
pub use trailers::TrailerRules;
pub(crate) use trailers::Trailers;
pub(crate) use tunnel::Tunnel;

/// The largest head that the application may answer with, in bytes.
const ANSWER_HEAD_LIMIT: usize = 64 * 1024;
/// What hyper may hold of an answer: more than a head may have, so that hyper never refuses one by itself.
const ANSWER_BUFFER: usize = ANSWER_HEAD_LIMIT + 8 * 1024;

/// Why an answer is invalid that no reader understands.
const NO_HTTP: &str = "the answer is not HTTP/1.1";

/// Sends a request and waits for the head of the answer. `trailers` says what becomes of those of the answer.
///
/// # Errors
/// `OVERLOADED` when too many requests are with the application already, `APP_DOWN` when it cannot be reached or hangs up,
/// `APP_TIMEOUT`, `APP_INVALID` when what it sends is not HTTP; `TOO_LARGE` and `BAD_FRAMING` when the client's body broke
/// on the way.
pub(crate) async fn send(
    target: &AppTarget,
    pool: &Pool,
    request: Request<RequestBody>,
    fate: &BodyFate,
    trailers: Trailers,
) -> Result<Response<AnswerBody>, Rejection> {
    match target.way.protocol {
        AppProtocol::Http1 => http1::send(target, pool, request, fate, trailers).await,
        AppProtocol::Http2 => http2::send(target, pool, request, fate, trailers).await,
    }
}

struct Failed {
    why: Why,
    /// The request, when no byte of it was written.
    unsent: Option<Box<Request<RequestBody>>>,
}

/// Why there is no answer.
enum Why {
    /// The connection ended.
    HungUp(&'static str),
    /// The application said that it did not look at the request.
    Unprocessed,
    /// The application ended the exchange on purpose.
    Refused(&'static str),
    TimedOut,
    Invalid(&'static str),
}

impl Failed {
    fn with(why: Why) -> Self {
        Self { why, unsent: None }
    }

    fn rejection(&self, fate: &BodyFate) -> Rejection {
        match (fate.broken(), &self.why) {
            (Some(Broken::TooLarge), _) => Rejection::TooLarge(Oversize::Body),
            (Some(Broken::Trailers), _) => Rejection::TooLarge(Oversize::Headers),
            (Some(Broken::Stalled), _) => Rejection::BadFraming("the body stopped arriving"),
            (Some(Broken::Cut | Broken::Ended), _) => Rejection::BadFraming("the body ended early"),
            (None, Why::HungUp(why) | Why::Refused(why)) => Rejection::AppDown(why),
            (None, Why::Unprocessed) => Rejection::AppDown("the application closed the connection before the request"),
            (Some(Broken::Unclear), _) => {
                Rejection::BadFraming("a method override, or a parameter that a rule reads, in the body")
            }
            (None, Why::TimedOut) => Rejection::AppTimeout,
            (None, Why::Invalid(why)) => Rejection::AppInvalid(why),
        }
    }
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// Waits for the head of an answer.
///
/// # Errors
/// Where it took too long. The limit is on the application: it counts anew while the body moves, and while the client owes
/// a piece of it, the body's own limit counts.
async fn head_of(target: &AppTarget, fate: &BodyFate, waiting: impl Future<Output = Sent>) -> Result<Sent, Failed> {
    let mut waiting = pin!(waiting);
    let mut pieces = fate.pieces();
    loop {
        match timeout(target.response, waiting.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if fate.is_awaiting_client() || fate.pieces() != pieces => pieces = fate.pieces(),
            Err(_) => return Err(Failed::with(Why::TimedOut)),
        }
    }
}

/// What of kind `E` stands behind an error.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = error.source();
    while let Some(one) = next {
        if let Some(found) = one.downcast_ref() {
            return Some(found);
        }
        next = one.source();
    }
    None
}
