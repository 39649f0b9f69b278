//! The streams of one HTTP/2 connection: each a task, and each held to the least rate.
//!
//! Decides when a client takes an answer too slowly. hyper has the next piece in hand while it waits for the client's
//! window; from then on the client owes. Nothing wakes that stream but the client, so the time is watched from around it: what
//! is too slow is dropped whole, which resets the stream and lets go of the application.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::Instant;

use super::room::Place;
use crate::pace::{Alarm, LeastRate, Pace};
use crate::shared::Shared;
use crate::telemetry::ended::Ended;
use crate::upstream::body::{AnswerBody, Broken};

tokio::task_local! {
    /// The account of the stream that is being polled.
    static STREAM: Arc<Mutex<Pace>>;
}

/// Runs the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    rate: LeastRate,
    shared: Arc<Shared>,
    running: Arc<AtomicUsize>,
}

impl Streams {
    /// None yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let rate = shared.runtime.load().limits.least_rate;
        Self { rate, shared, running: Arc::default() }
    }

    /// How many run at this moment: their answers are not wholly handed on.
    pub(super) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let running = Running::one_more(&self.running);
        let (rate, shared) = (self.rate, Arc::clone(&self.shared));
        tokio::spawn(async move {
            let _running = running;
            let pace = Arc::new(Mutex::new(Pace::new(rate)));
            let mut alarm = Alarm::default();
            let mut stream = pin!(STREAM.scope(Arc::clone(&pace), stream));
            let slow = poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                let deadline = pace.lock().unwrap_or_else(PoisonError::into_inner).deadline();
                deadline.map_or(Poll::Pending, |deadline| alarm.poll_passed(deadline, cx).map(|()| true))
            });
            if slow.await {
                shared.ended(Ended::SlowReader);
            }
        });
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body on its way into the connection. Holds the request's place until all of it is handed on.
#[derive(Debug)]
pub(super) struct Handed {
    body: AnswerBody,
    /// The account of its stream; none on HTTP/1.1, where a slow client shows at the socket.
    pace: Option<Arc<Mutex<Pace>>>,
    _place: Option<Place>,
}

impl Handed {
    /// The body of the stream that is being polled.
    pub(super) fn new(body: AnswerBody, place: Option<Place>) -> Self {
        Self { body, pace: STREAM.try_with(Arc::clone).ok(), _place: place }
    }

    fn account(&self, note: impl FnOnce(&mut Pace, Instant)) {
        if let Some(pace) = &self.pace {
            note(&mut pace.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        }
    }
}

impl Body for Handed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        // Whoever asks for the next piece has got rid of the last one.
        this.account(|pace, now| pace.did(now, 0));
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            this.account(|pace, now| pace.owes(now, bytes));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
