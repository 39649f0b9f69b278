//! What a client sends, on its way to the application.
//!
//! Decides when it has sent enough of it, too slowly, or what must not stand there, and that nothing more passes once the
//! caller's session has ended. It never holds a body, but for the
//! beginning of a form that was read before the decision.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{BodyFate, Broken, Fate};
use crate::pace::{Alarm, LeastRate, Pace};
use crate::places::Place;
use crate::sessions::open::Held;
use crate::upstream::stall::Stall;
use crate::upstream::trailers::{TooMany, Trailers};
use crate::upstream::watch::Watch;

/// A request's body as it arrives, with what of it was read before it is passed on.
#[derive(Debug)]
pub struct Arriving {
    /// Copied: a piece as hyper gives it, of one byte perhaps, would keep the whole buffer that it was read into.
    held: BytesMut,
    rest: Incoming,
    place: Option<Place>,
}

impl From<Incoming> for Arriving {
    fn from(rest: Incoming) -> Self {
        Self { held: BytesMut::new(), rest, place: None }
    }
}

impl Arriving {
    /// Whether there is nothing, or nothing more.
    pub(crate) fn is_end(&self) -> bool {
        self.held.is_empty() && self.rest.is_end_stream()
    }

    /// How many bytes are still to be passed on.
    pub(crate) fn size(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let rest = self.rest.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(held.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            whole.set_upper(held.saturating_add(upper));
        }
        whole
    }

    /// Keeps a place among the bodies that are held, until nothing of this one is held any more.
    pub(crate) fn keep_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// What is held.
    fn take_held(&mut self) -> Option<Bytes> {
        self.place = None;
        (!self.held.is_empty()).then(|| self.held.split().freeze())
    }

    /// What was not read yet.
    pub(crate) fn rest_mut(&mut self) -> &mut Incoming {
        &mut self.rest
    }

    /// Holds the next piece that was read.
    pub(crate) fn hold(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
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
    /// On behalf of whom; nobody on a public page.
    open: Option<Held>,
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
                open: None,
            })),
            told,
        )
    }

    /// It passes as long as `open` is not cut.
    pub(crate) fn hold(&mut self, open: Option<&Held>) {
        match self {
            RequestBody::Empty => {}
            RequestBody::Stream(inflow) => inflow.open = open.map(Held::upload),
        }
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
        // ORDER: before anything more is taken from the client.
        if self.open.as_ref().is_some_and(|open| open.poll_cut(cx).is_ready()) {
            return Poll::Ready(Some(Err(self.fate.set(Broken::Ended))));
        }
        loop {
            let next = match self.body.take_held() {
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
