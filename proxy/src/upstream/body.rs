//! The two bodies that pass through: what the client sends, and what the application answers.
//!
//! Both are streamed, piece by piece, as fast as the slower side takes them; neither is ever held whole. They decide only
//! when to stop: over the size limit, or when nothing moved for too long. What passes of the trailers behind them,
//! [`Trailers`] decides.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::http1::Line;
use super::http2::Seat;
use super::pool::Pool;
use super::stall::Stall;
use super::trailers::{TooMany, Trailers};
use super::watch::Watch;
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
    /// More stands behind it than may.
    Trailers,
    /// It names what would make another request of it.
    Unclear,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Broken::TooLarge => "the body is larger than allowed",
            Broken::Stalled => "the body stopped arriving",
            Broken::Cut => "the body ended early",
            Broken::Trailers => "the trailers are larger than allowed",
            Broken::Unclear => "the body makes another request of it",
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
    bytes: AtomicU64,
    awaiting_client: AtomicBool,
    /// Pieces of the answer that have passed meanwhile.
    answered: AtomicU64,
    /// Whether the application has begun to answer.
    heard: AtomicBool,
    /// Whether that answer is over.
    over: AtomicBool,
}

impl BodyFate {
    /// Why the body broke, if it did.
    pub fn broken(&self) -> Option<Broken> {
        match self.0.as_ref()?.broken.load(Ordering::Acquire) {
            1 => Some(Broken::TooLarge),
            2 => Some(Broken::Stalled),
            3 => Some(Broken::Cut),
            4 => Some(Broken::Trailers),
            5 => Some(Broken::Unclear),
            _ => None,
        }
    }

    /// How many pieces have passed.
    pub fn pieces(&self) -> u64 {
        self.0.as_ref().map_or(0, |fate| fate.pieces.load(Ordering::Acquire))
    }

    /// A piece of the answer has passed.
    fn answer_moved(&self) {
        if let Some(fate) = &self.0 {
            fate.answered.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |fate| fate.bytes.load(Ordering::Acquire))
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
            fate.heard.store(true, Ordering::Release);
        }
    }

    /// Its answer is over, or nobody takes it any more.
    fn answer_over(&self) {
        if let Some(fate) = &self.0 {
            fate.over.store(true, Ordering::Release);
        }
    }
}

impl Fate {
    fn set(&self, broken: Broken) -> Broken {
        let mark = match broken {
            Broken::TooLarge => 1,
            Broken::Stalled => 2,
            Broken::Cut => 3,
            Broken::Trailers => 4,
            Broken::Unclear => 5,
        };
        self.broken.store(mark, Ordering::Release);
        broken
    }
}

/// A request's body as it arrives, with what of it was read before it is passed on.
#[derive(Debug)]
pub struct Arriving {
    held: VecDeque<Bytes>,
    rest: Incoming,
    room: Option<OwnedSemaphorePermit>,
}

impl From<Incoming> for Arriving {
    fn from(rest: Incoming) -> Self {
        Self { held: VecDeque::new(), rest, room: None }
    }
}

impl Arriving {
    /// Whether there is nothing, or nothing more.
    pub(crate) fn is_end(&self) -> bool {
        self.held.is_empty() && self.rest.is_end_stream()
    }

    /// How many bytes are still to be passed on.
    pub(crate) fn size(&self) -> SizeHint {
        let held: u64 = self.held.iter().map(|piece| piece.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(held.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            whole.set_upper(held.saturating_add(upper));
        }
        whole
    }

    /// Keeps a place among the bodies that are held, as long as this one is there.
    pub(crate) fn keep_room(&mut self, room: OwnedSemaphorePermit) {
        self.room = Some(room);
    }

    /// What was not read yet.
    pub(crate) fn rest_mut(&mut self) -> &mut Incoming {
        &mut self.rest
    }

    /// Holds the next piece that was read.
    pub(crate) fn hold(&mut self, piece: Bytes) {
        self.held.push_back(piece);
    }
}

/// A request's body on its way to the application.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// What the client sends, as it comes.
    Stream(Box<Inflow>),
}

/// How much a client may send, and how slowly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most bytes.
    pub(crate) most: u64,
    /// How long neither a piece of it nor one of the answer may move.
    pub(crate) idle: Duration,
    /// The least rate, before the application has begun to answer and again once it is done: between the two it may be a
    /// conversation, and silence a part of it.
    pub(crate) rate: LeastRate,
}

/// The body that a client sends.
#[derive(Debug)]
pub struct Inflow {
    body: Arriving,
    left: u64,
    stall: Stall,
    watch: Watch,
    pace: Pace,
    rate: LeastRate,
    /// Whether it was found that the answer is over, and the rate holds anew.
    alone: bool,
    alarm: Alarm,
    fate: Arc<Fate>,
    /// How much of the answer had passed when this stood still last.
    answered: u64,
    trailers: Trailers,
    /// Whether it comes on HTTP/2, where hyper takes a reset without an error for an end.
    on_http2: bool,
}

impl RequestBody {
    /// Lets a body pass within `bounds`, and ends it when `watch` finds what must not stand there.
    pub(crate) fn new(
        body: Arriving,
        version: Version,
        bounds: Bounds,
        trailers: Trailers,
        watch: Watch,
    ) -> (Self, BodyFate) {
        if body.is_end() {
            return (Self::Empty, BodyFate::default());
        }
        let fate = Arc::new(Fate::default());
        let (stall, told) = (Stall::new(bounds.idle), BodyFate(Some(Arc::clone(&fate))));
        let on_http2 = version == Version::HTTP_2;
        (
            Self::Stream(Box::new(Inflow {
                body,
                left: bounds.most,
                stall,
                watch,
                pace: Pace::new(bounds.rate),
                rate: bounds.rate,
                alone: false,
                alarm: Alarm::default(),
                fate,
                answered: 0,
                trailers,
                on_http2,
            })),
            told,
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
            RequestBody::Stream(inflow) => inflow.poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Stream(inflow) => inflow.body.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Stream(inflow) => inflow.body.size(),
        }
    }
}

impl Inflow {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let next = match self.body.held.pop_front() {
                Some(held) => Poll::Ready(Some(Ok(Frame::data(held)))),
                None => Pin::new(&mut self.body.rest).poll_frame(cx),
            };
            let Poll::Ready(frame) = next else {
                self.fate.awaiting_client.store(true, Ordering::Release);
                if self.poll_slow(cx).is_pending() {
                    ready!(self.poll_stalled(cx));
                }
                return Poll::Ready(Some(Err(self.fate.set(Broken::Stalled))));
            };
            self.stall.moved();
            self.fate.awaiting_client.store(false, Ordering::Release);
            self.fate.pieces.fetch_add(1, Ordering::AcqRel);
            let frame = match frame {
                Some(Ok(frame)) => frame,
                // What a reset cut short must not look whole, even where the client calls it no error.
                None if self.on_http2 && !self.body.rest.is_end_stream() => {
                    return Poll::Ready(Some(Err(self.fate.set(Broken::Cut))));
                }
                None if self.watch.finds_at_end() => {
                    return Poll::Ready(Some(Err(self.fate.set(Broken::Unclear))));
                }
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(self.fate.set(Broken::Cut)))),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(_) if self.watch.finds_at_end() => {
                    return Poll::Ready(Some(Err(self.fate.set(Broken::Unclear))));
                }
                Err(frame) => match self.trailers.judge(frame.into_trailers().unwrap_or_default()) {
                    Ok(Some(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Ok(None) => continue,
                    Err(TooMany) => return Poll::Ready(Some(Err(self.fate.set(Broken::Trailers)))),
                },
            };
            self.pace.did(Instant::now(), data.remaining());
            let size = data.remaining() as u64;
            let Some(left) = self.left.checked_sub(size) else {
                return Poll::Ready(Some(Err(self.fate.set(Broken::TooLarge))));
            };
            self.left = left;
            // ORDER: a piece is passed on only once it was looked at. Behind the last one, nobody may ask for the end.
            if self.watch.finds(&data) || (self.body.is_end() && self.watch.finds_at_end()) {
                return Poll::Ready(Some(Err(self.fate.set(Broken::Unclear))));
            }
            self.fate.bytes.fetch_add(size, Ordering::AcqRel);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    /// Ready once nothing moved for the whole limit, in either direction: a client that only listens for a while, as in a
    /// stream both ways, has not gone.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.stall.poll_waiting(cx));
            let answered = self.fate.answered.load(Ordering::Acquire);
            if answered == self.answered {
                return Poll::Ready(());
            }
            self.answered = answered;
            self.stall.moved();
        }
    }
}

impl Inflow {
    /// Ready once the client has sent too little for too long.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fate.heard.load(Ordering::Acquire) {
            if !self.fate.over.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            if !self.alone {
                self.alone = true;
                self.pace = Pace::new(self.rate);
            }
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

/// What carries an answer, until it has been read to its end.
#[derive(Debug)]
pub(super) enum Held {
    /// A connection of its own, which then goes back into the pool.
    Line(Line, Pool),
    /// A place on a shared one.
    Seat(Seat),
}

impl Held {
    fn release(self) {
        match self {
            Held::Line(line, pool) => pool.put(line),
            Held::Seat(seat) => drop(seat),
        }
    }
}

/// The body that the application sends; gives the connection back once it has been read to its end.
#[derive(Debug)]
pub struct Outflow {
    body: Incoming,
    stall: Stall,
    held: Option<Held>,
    fate: BodyFate,
    /// How much of the request had passed when this stood still last.
    asked: u64,
    trailers: Trailers,
    /// Whether it comes on HTTP/2, where hyper takes a reset without an error for an end.
    on_http2: bool,
}

impl AnswerBody {
    /// A body of our own.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole(if bytes.is_empty() { None } else { Some(bytes) })
    }

    /// Streams `body`, ends it when for `idle` neither a piece of it nor one of the request moved, and gives back what it
    /// came on at its end.
    pub(super) fn stream(body: Incoming, idle: Duration, held: Held, fate: BodyFate, trailers: Trailers) -> Self {
        if body.is_end_stream() {
            fate.answer_over();
            held.release();
            return Self::Whole(None);
        }
        let stall = Stall::new(idle);
        let on_http2 = matches!(held, Held::Seat(_));
        Self::Stream(Box::new(Outflow { body, stall, held: Some(held), fate, asked: 0, trailers, on_http2 }))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            AnswerBody::Stream(outflow) => outflow.poll_piece(cx),
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
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.poll_stalled(cx));
                return Poll::Ready(Some(Err(Broken::Stalled)));
            };
            self.stall.moved();
            self.fate.answer_moved();
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken::Cut))),
                None if self.on_http2 && !self.body.is_end_stream() => {
                    return Poll::Ready(Some(Err(Broken::Cut)));
                }
                None => {
                    self.release_at_end();
                    return Poll::Ready(None);
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    // With a known length hyper may never ask again after the last piece.
                    self.release_at_end();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(frame) => {
                    // Nothing stands behind trailers, and nobody may ask for it.
                    self.held.take().into_iter().for_each(Held::release);
                    match self.trailers.judge(frame.into_trailers().unwrap_or_default()) {
                        Ok(Some(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                        Ok(None) => {}
                        Err(TooMany) => return Poll::Ready(Some(Err(Broken::Trailers))),
                    }
                }
            }
        }
    }

    /// Ready once nothing moved for the whole limit, in either direction: an application that only listens for a while,
    /// as to an upload that it has begun to answer, has not gone.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.stall.poll_waiting(cx));
            let asked = self.fate.pieces();
            if asked == self.asked {
                return Poll::Ready(());
            }
            self.asked = asked;
            self.stall.moved();
        }
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.held.take().into_iter().for_each(Held::release);
        }
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        self.fate.answer_over();
    }
}
