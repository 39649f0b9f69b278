//! What the application answers, on its way to the client.
//!
//! Decides when nothing moved for too long, that nothing follows once the caller's session has ended, and when the connection that it came on can carry the next request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BodyFate, Broken};
use crate::upstream::http1::Line;
use crate::upstream::http2::Seat;
use crate::upstream::pool::Pool;
use crate::upstream::stall::Stall;
use crate::upstream::trailers::{TooMany, Trailers};

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
pub(in crate::upstream) enum Held {
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
    /// On behalf of whom; nobody on a public page.
    open: Option<crate::sessions::open::Held>,
}

impl AnswerBody {
    /// A body of our own.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole(if bytes.is_empty() { None } else { Some(bytes) })
    }

    /// Streams `body`, ends it when for `idle` neither a piece of it nor one of the request moved, and gives back what it
    /// came on at its end.
    pub(in crate::upstream) fn stream(
        body: Incoming,
        idle: Duration,
        held: Held,
        fate: BodyFate,
        trailers: Trailers,
    ) -> Self {
        if body.is_end_stream() {
            fate.answer_over();
            held.release();
            return Self::Whole(None);
        }
        let stall = Stall::new(idle);
        let on_http2 = matches!(held, Held::Seat(_));
        Self::Stream(Box::new(Outflow {
            body,
            stall,
            held: Some(held),
            fate,
            asked: 0,
            trailers,
            on_http2,
            open: None,
        }))
    }

    /// What comes from now on comes as long as `open` is not cut. A body that is whole already is on its way.
    pub(crate) fn hold(&mut self, open: Option<crate::sessions::open::Held>) {
        match self {
            AnswerBody::Whole(_) => {}
            AnswerBody::Stream(outflow) => outflow.open = open,
        }
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
        // ORDER: before anything more is taken from the application.
        if self.open.as_ref().is_some_and(|open| open.poll_cut(cx).is_ready()) {
            return Poll::Ready(Some(Err(Broken::Ended)));
        }
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
