//! The two bodies that pass through: what the client sends, and what the application answers.
//!
//! Both are streamed, piece by piece, as fast as the slower side takes them; neither is ever held whole. They decide only
//! when to stop: over the size limit, or when nothing moved for too long. Trailers are dropped in both directions, so no
//! header can arrive after the ones that were judged.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::pool::{Pool, Sender};
use super::stall::Stall;
use crate::pace::{Alarm, LeastRate, Pace};

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is larger than it may be.
    TooLarge,
    /// Its sender stopped sending.
    Stalled,
    /// Its sender hung up, or broke the framing.
    Cut,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Broken::TooLarge => "the body is larger than allowed",
            Broken::Stalled => "the body stopped arriving",
            Broken::Cut => "the body ended early",
        })
    }
}

impl std::error::Error for Broken {}

/// Lets the one who sends a request see what became of its body, which hyper's errors do not tell. A request without a
/// body has nothing to tell, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct BodyFate(Option<Arc<Fate>>);

#[derive(Debug, Default)]
struct Fate {
    broken: AtomicU8,
    pieces: AtomicU64,
    awaiting_client: AtomicBool,
    answered: AtomicBool,
}

impl BodyFate {
    /// Why the body broke, if it did.
    pub fn broken(&self) -> Option<Broken> {
        match self.0.as_ref()?.broken.load(Ordering::Acquire) {
            1 => Some(Broken::TooLarge),
            2 => Some(Broken::Stalled),
            3 => Some(Broken::Cut),
            _ => None,
        }
    }

    /// How many pieces have passed.
    pub fn pieces(&self) -> u64 {
        self.0.as_ref().map_or(0, |fate| fate.pieces.load(Ordering::Acquire))
    }

    /// Whether the next thing to happen is up to the client.
    pub fn is_awaiting_client(&self) -> bool {
        self.0.as_ref().is_some_and(|fate| fate.awaiting_client.load(Ordering::Acquire))
    }
}

impl BodyFate {
    /// The application has answered.
    pub(super) fn answered(&self) {
        if let Some(fate) = &self.0 {
            fate.answered.store(true, Ordering::Release);
        }
    }
}

impl Fate {
    fn set(&self, broken: Broken) -> Broken {
        let mark = match broken {
            Broken::TooLarge => 1,
            Broken::Stalled => 2,
            Broken::Cut => 3,
        };
        self.broken.store(mark, Ordering::Release);
        broken
    }
}

/// A request's body on its way to the application.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// What the client sends, as it comes.
    Stream(Inflow),
}

/// The body that a client sends.
#[derive(Debug)]
pub struct Inflow {
    body: Incoming,
    left: u64,
    stall: Stall,
    pace: Pace,
    alarm: Alarm,
    fate: Arc<Fate>,
}

impl RequestBody {
    /// Lets at most `limit` bytes of `body` pass, and ends it when nothing arrived for `idle`, or too little by `rate` before
    /// the application has answered: from then on it may be a conversation, and silence a part of it.
    pub fn new(body: Incoming, limit: u64, idle: Duration, rate: LeastRate) -> (Self, BodyFate) {
        if body.is_end_stream() {
            return (Self::Empty, BodyFate::default());
        }
        let fate = Arc::new(Fate::default());
        (
            Self::Stream(Inflow {
                body,
                left: limit,
                stall: Stall::new(idle),
                pace: Pace::new(rate),
                alarm: Alarm::default(),
                fate: Arc::clone(&fate),
            }),
            BodyFate(Some(fate)),
        )
    }

    /// Whether there is nothing to send, so that the request can be sent again.
    pub fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Stream(inflow) => inflow.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Stream(inflow) => inflow.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Stream(inflow) => inflow.body.size_hint(),
        }
    }
}

impl Inflow {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.fate.awaiting_client.store(true, Ordering::Release);
                if self.poll_slow(cx).is_pending() {
                    ready!(self.stall.poll_waiting(cx));
                }
                return Poll::Ready(Some(Err(self.fate.set(Broken::Stalled))));
            };
            self.stall.moved();
            self.fate.awaiting_client.store(false, Ordering::Release);
            self.fate.pieces.fetch_add(1, Ordering::AcqRel);
            let Some(frame) = frame else { return Poll::Ready(None) };
            let Ok(frame) = frame else { return Poll::Ready(Some(Err(self.fate.set(Broken::Cut)))) };
            // Trailers are passed over.
            let Ok(data) = frame.into_data() else { continue };
            self.pace.did(Instant::now(), data.remaining());
            let size = data.remaining() as u64;
            let Some(left) = self.left.checked_sub(size) else {
                return Poll::Ready(Some(Err(self.fate.set(Broken::TooLarge))));
            };
            self.left = left;
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

impl Inflow {
    /// Ready once the client has sent too little for too long.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fate.answered.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.pace.owes(Instant::now(), 0);
        self.pace.deadline().map_or(Poll::Pending, |deadline| self.alarm.poll_passed(deadline, cx))
    }
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub enum AnswerBody {
    /// Our own answers, and empty ones.
    Whole(Option<Bytes>),
    /// What the application sends, as it comes.
    Stream(Box<Outflow>),
}

/// The body that the application sends; gives the connection back once it has been read to its end.
#[derive(Debug)]
pub struct Outflow {
    body: Incoming,
    stall: Stall,
    sender: Option<Sender>,
    pool: Pool,
}

impl AnswerBody {
    /// A body of our own.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole(if bytes.is_empty() { None } else { Some(bytes) })
    }

    /// Streams `body`, ends it when nothing arrived for `idle`, and puts `sender` into `pool` at its end.
    pub(crate) fn stream(body: Incoming, idle: Duration, sender: Sender, pool: Pool) -> Self {
        if body.is_end_stream() {
            pool.put(sender);
            return Self::Whole(None);
        }
        Self::Stream(Box::new(Outflow { body, stall: Stall::new(idle), sender: Some(sender), pool }))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            AnswerBody::Stream(outflow) => outflow.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(bytes) => bytes.is_none(),
            AnswerBody::Stream(outflow) => outflow.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            AnswerBody::Stream(outflow) => outflow.body.size_hint(),
        }
    }
}

impl Outflow {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.stall.poll_waiting(cx));
                return Poll::Ready(Some(Err(Broken::Stalled)));
            };
            self.stall.moved();
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    // With a known length hyper may never ask again after the last piece.
                    self.keep_connection_at_end();
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken::Cut))),
                None => {
                    self.keep_connection_at_end();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn keep_connection_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(sender) = self.sender.take()
        {
            self.pool.put(sender);
        }
    }
}
