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
use std::time::Duration;

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

/// The most of an answer that is handed to h2 at once, which takes all of it as soon as the client's window has room for a
/// single byte: the size of a frame.
pub(super) const PIECE: usize = 16 * 1024;

/// What the streams of a connection and its socket have to know of each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    running: AtomicUsize,
    /// Streams whose answers have not left to their ends.
    leaving: AtomicUsize,
    /// Since when the socket takes nothing, and for how long it did not before.
    stuck: Mutex<(Option<Instant>, Duration)>,
}

impl Link {
    /// How many streams run: their answers are not wholly handed on.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Notes how many answers have not left to their ends.
    pub(super) fn leaving(&self, answers: usize) {
        self.leaving.store(answers, Ordering::Release);
    }

    /// Whether nothing runs, and all answers have left with nothing stuck behind them.
    pub(super) fn is_done(&self) -> bool {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        self.running() == 0 && self.leaving.load(Ordering::Acquire) == 0 && stuck.0.is_none()
    }

    /// Notes whether the socket takes what we write; says for how long it had not, where it does again.
    pub(super) fn socket_takes(&self, takes: bool) -> Duration {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, total) = &mut *stuck;
        if !takes {
            since.get_or_insert_with(Instant::now);
            return Duration::ZERO;
        }
        let took = since.take().map_or(Duration::ZERO, |since| since.elapsed());
        *total = total.saturating_add(took);
        took
    }

    /// For how long the socket took nothing, all in all.
    fn stuck_for(&self) -> Duration {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.1.saturating_add(stuck.0.map_or(Duration::ZERO, |since| since.elapsed()))
    }
}

/// Runs the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    rate: LeastRate,
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl Streams {
    /// None yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let rate = shared.runtime.load().limits.least_rate;
        Self { rate, shared, link: Arc::default() }
    }

    /// What the socket has to know of them.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let running = Running::one_more(&self.link);
        let (rate, shared) = (self.rate, Arc::clone(&self.shared));
        tokio::spawn(async move {
            let link = &running.0;
            let pace = Arc::new(Mutex::new(Pace::new(rate)));
            let mut alarm = Alarm::default();
            // The deadline that is waited for, and for how long the socket had been stuck when it was set.
            let mut owing: Option<(Instant, Duration)> = None;
            let mut stream = pin!(STREAM.scope(Arc::clone(&pace), stream));
            let slow = poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                loop {
                    let deadline = pace.lock().unwrap_or_else(PoisonError::into_inner).deadline();
                    let Some(deadline) = deadline else { return Poll::Pending };
                    let stuck = link.stuck_for();
                    let (_, before) =
                        *owing.insert(owing.filter(|(seen, _)| *seen == deadline).unwrap_or((deadline, stuck)));
                    // While the socket takes nothing the whole connection is slow, and no stream is to blame: a phone that
                    // loads a hundred images at once is slow on each.
                    let at = deadline.checked_add(stuck.saturating_sub(before)).unwrap_or(deadline);
                    ready!(alarm.poll_passed(at, cx));
                    if link.stuck_for() <= stuck {
                        return Poll::Ready(true);
                    }
                }
            });
            if slow.await {
                shared.ended(Ended::SlowReader);
            }
        });
    }
}

struct Running(Arc<Link>);

impl Running {
    fn one_more(link: &Arc<Link>) -> Self {
        link.running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(link))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body on its way into the connection. Holds the request's place until all of it is handed on.
#[derive(Debug)]
pub(super) struct Handed {
    body: AnswerBody,
    /// What is left of a piece that is larger than [`PIECE`].
    rest: Option<Bytes>,
    /// The account of its stream; none on HTTP/1.1, where a slow client shows at the socket.
    pace: Option<Arc<Mutex<Pace>>>,
    _place: Option<Place>,
}

impl Handed {
    /// The body of the stream that is being polled.
    pub(super) fn new(body: AnswerBody, place: Option<Place>) -> Self {
        Self { body, rest: None, pace: STREAM.try_with(Arc::clone).ok(), _place: place }
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
        let frame = match this.rest.take() {
            Some(rest) => Some(Ok(Frame::data(rest))),
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        if this.pace.is_none() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let frame = match frame.into_data() {
            Ok(mut data) => {
                if data.len() > PIECE {
                    this.rest = Some(data.split_off(PIECE));
                }
                this.account(|pace, now| pace.owes(now, data.len()));
                Frame::data(data)
            }
            Err(frame) => frame,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It is asked before the first piece; later nobody needs it.
        if self.rest.is_none() { self.body.size_hint() } else { SizeHint::default() }
    }
}
