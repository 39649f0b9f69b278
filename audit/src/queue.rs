//! The bounded queue between the requests and the writer thread, and the permits that guarantee room in it.
//!
//! Decides who may still be recorded: a permit is given only while there is room in the queue *and* on disk, and is
//! held until its event is on disk. Never waits, and never touches a file.
//!
//! Bounds: at most `capacity` permits are out at once, so at most that many events are in memory; each counts
//! [`LINE_MAX`] bytes against the size of the record until its real length is known.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::event::{Draft, LINE_MAX};

/// Why an event is not on the record. All four close the gate: `NOT_RECORDED`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotRecorded {
    /// As many events as the queue holds wait for the disk.
    Busy,
    /// The segments have reached the size they may have. Nothing is deleted: more room needs the operator.
    Full,
    /// The disk refused; [`Health::failed`] says how. The record tries again by itself.
    Failed,
    /// The record was closed.
    Closed,
}

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the audit queue is full",
            Self::Full => "the audit directory has reached `audit.size`",
            Self::Failed => "the audit directory cannot be written",
            Self::Closed => "the audit record is closed",
        })
    }
}

impl std::error::Error for NotRecorded {}

pub(crate) type Outcome = Result<(), NotRecorded>;

/// The state of a record at one moment, for metrics, status and readiness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Permits that are out: open slots and events that are not on disk yet.
    pub reserved: usize,
    /// Events that wait for the writer.
    pub queued: usize,
    /// Events on disk since the start.
    pub written: u64,
    /// Groups synced since the start.
    pub groups: u64,
    /// Times that the record failed since the start.
    pub failures: u64,
    /// Reservations refused since the start.
    pub refused: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes that all segments may have.
    pub size: u64,
    /// The newest `at` on disk, in milliseconds since 1970-01-01 UTC; 0 before the first event.
    pub newest: u64,
    /// True while there is no room on disk for one more event.
    pub full: bool,
    /// Why the disk refuses, while it does.
    pub failed: Option<String>,
    /// True once the record takes no more reservations.
    pub closed: bool,
}

/// How long a group is held open for more events while nobody waits for one: fewer and larger groups cost the disk and
/// the processor less, and an event that nobody waits for may be on disk this much later.
const LINGER: Duration = Duration::from_millis(5);
/// How many queued events are a group that needs no more.
const MANY: usize = 512;

/// One part in so many of the size is kept free of what modest callers record.
const KEPT_FREE: u64 = 4;

/// An event on its way to the writer.
pub(crate) struct Item {
    pub(crate) draft: Draft,
    pub(crate) aborted: bool,
    pub(crate) waiter: Waiter,
}

/// Who waits for an event to be durable: told once, at the first outcome.
pub(crate) struct Waiter(Option<oneshot::Sender<Outcome>>);

impl Waiter {
    pub(crate) fn tell(&mut self, outcome: Outcome) {
        if let Some(waiter) = self.0.take() {
            // A caller that does not wait has dropped its end: that is no fault.
            waiter.send(outcome).ok();
        }
    }
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// No new permits; the permits that are out are still written.
    closing: bool,
    /// The disk refuses.
    failed: bool,
    /// The writer is gone: nothing will be written any more.
    ended: bool,
    /// The writer sleeps and wants to be woken.
    idle: bool,
    /// Somebody waits for an event that is queued, or many are: the next group is not held open for more.
    hurry: bool,
}

/// The queue. The numbers are atomics so that a reader of [`Health`] holds nobody up.
// INVARIANT: the numbers change only while `state` is locked.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    ended: watch::Sender<Option<Outcome>>,
    capacity: usize,
    size: u64,
    reserved: AtomicUsize,
    queued: AtomicUsize,
    written: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    newest: AtomicU64,
    closed: AtomicBool,
    reason: Mutex<Option<String>>,
}

/// The bytes that `permits` events may take.
fn room(permits: usize) -> u64 {
    u64::try_from(permits).unwrap_or(u64::MAX).saturating_mul(LINE_MAX as u64)
}

/// Takes a lock even where another thread panicked while it held it: the state is whole between any two statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    pub(crate) fn new(capacity: usize, size: u64, bytes: u64) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: watch::Sender::new(None),
            capacity,
            size,
            reserved: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
            newest: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            reason: Mutex::default(),
        }
    }

    /// A permit for one event, or why there is none. A `modest` caller leaves half of the queue and [`KEPT_FREE`] of the
    /// size to the others.
    fn reserve(&self, modest: bool) -> Outcome {
        let state = locked(&self.state);
        let reserved = self.reserved.load(Relaxed);
        let (capacity, size) =
            if modest { (self.capacity / 2, self.size - self.size / KEPT_FREE) } else { (self.capacity, self.size) };
        let outcome = if state.closing {
            Err(NotRecorded::Closed)
        } else if state.failed {
            Err(NotRecorded::Failed)
        } else if reserved >= capacity {
            Err(NotRecorded::Busy)
        } else if !self.fits(reserved + 1, size) {
            Err(NotRecorded::Full)
        } else {
            Ok(())
        };
        match outcome {
            Ok(()) => self.reserved.store(reserved + 1, Relaxed),
            // What a modest caller does not get is no loss: it has another way.
            Err(_) if modest => {}
            Err(_) => _ = self.refused.fetch_add(1, Relaxed),
        }
        outcome
    }

    fn fits(&self, permits: usize, size: u64) -> bool {
        self.bytes.load(Relaxed).saturating_add(room(permits)) <= size
    }

    /// Queues an event under a permit that its caller holds; there is always room for it.
    fn push(&self, mut item: Item) {
        let mut state = locked(&self.state);
        if state.ended {
            item.waiter.tell(Err(NotRecorded::Closed));
            self.reserved.fetch_sub(1, Relaxed);
            return;
        }
        if state.failed {
            item.waiter.tell(Err(NotRecorded::Failed)); // kept, and written when the disk is back
        }
        state.items.push_back(item);
        self.queued.store(state.items.len(), Relaxed);
        if state.items.len() == MANY {
            self.hurry(&mut state);
        }
        self.rouse(&mut state);
    }

    fn hurry(&self, state: &mut State) {
        if !state.hurry {
            state.hurry = true;
            self.wake.notify_one();
        }
    }

    /// Gives a permit back that was never used.
    fn release(&self) {
        let mut state = locked(&self.state);
        self.reserved.fetch_sub(1, Relaxed);
        if state.closing {
            self.rouse(&mut state);
        }
    }

    fn rouse(&self, state: &mut State) {
        if state.idle {
            state.idle = false;
            self.wake.notify_one();
        }
    }

    /// No more permits from here on; the writer ends when the last one that is out has been used.
    pub(crate) fn close(&self) {
        let mut state = locked(&self.state);
        state.closing = true;
        self.closed.store(true, Relaxed);
        // Both waits of the writer, the idle one and the pause after a failure, end here.
        state.idle = false;
        self.wake.notify_one();
    }

    /// Waits until the writer has ended, and says whether it left anything unwritten.
    pub(crate) async fn until_ended(&self) -> Outcome {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`, so the wait cannot be cut off.
        ended.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome).unwrap_or(Err(NotRecorded::Closed))
    }

    pub(crate) fn health(&self) -> Health {
        let reserved = self.reserved.load(Relaxed);
        Health {
            reserved,
            queued: self.queued.load(Relaxed),
            written: self.written.load(Relaxed),
            groups: self.groups.load(Relaxed),
            failures: self.failures.load(Relaxed),
            refused: self.refused.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            size: self.size,
            newest: self.newest.load(Relaxed),
            full: !self.fits(reserved.saturating_add(1), self.size),
            failed: locked(&self.reason).clone(),
            closed: self.closed.load(Relaxed),
        }
    }

    // The writer's side.

    /// All that is queued; waits for the first event, and [`LINGER`] for more where nobody waits for one. Empty only when
    /// the record is closed and every permit is used.
    pub(crate) fn take(&self) -> VecDeque<Item> {
        let mut state = locked(&self.state);
        while state.items.is_empty() && !(state.closing && self.reserved.load(Relaxed) == 0) {
            state.idle = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        let more = |state: &mut State| !state.hurry && !state.closing;
        (state, _) = self.wake.wait_timeout_while(state, LINGER, more).unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
        self.queued.store(0, Relaxed);
        std::mem::take(&mut state.items)
    }

    /// A group is on disk: its permits are free, and the disk works.
    pub(crate) fn synced(&self, events: usize, bytes: u64, newest: u64) {
        let mut state = locked(&self.state);
        state.failed = false;
        *locked(&self.reason) = None;
        self.reserved.fetch_sub(events, Relaxed);
        self.written.fetch_add(u64::try_from(events).unwrap_or(0), Relaxed);
        self.groups.fetch_add(1, Relaxed);
        self.bytes.store(bytes, Relaxed);
        self.newest.fetch_max(newest, Relaxed);
    }

    /// The disk refused: no more permits, and nobody who waits is kept waiting.
    pub(crate) fn fail(&self, reason: String) {
        let mut state = locked(&self.state);
        if !state.failed {
            self.failures.fetch_add(1, Relaxed);
        }
        state.failed = true;
        *locked(&self.reason) = Some(reason);
        for item in &mut state.items {
            item.waiter.tell(Err(NotRecorded::Failed));
        }
    }

    /// Lets `pause` pass; true if the record was closed meanwhile or before.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let state = locked(&self.state);
        let (state, _) =
            self.wake.wait_timeout_while(state, pause, |state| !state.closing).unwrap_or_else(PoisonError::into_inner);
        state.closing
    }

    /// The writer ends: what is left is told so, and so is everyone who comes later.
    pub(crate) fn end(&self, outcome: Outcome) {
        let mut state = locked(&self.state);
        state.closing = true;
        state.ended = true;
        self.closed.store(true, Relaxed);
        self.reserved.fetch_sub(state.items.len(), Relaxed);
        self.queued.store(0, Relaxed);
        for mut item in state.items.drain(..) {
            item.waiter.tell(Err(NotRecorded::Closed));
        }
        self.ended.send_replace(Some(outcome));
    }
}

/// The end of the queue that requests hold. When the last of them is gone, the record closes.
pub(crate) struct Entrance(pub(crate) Arc<Queue>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Entrance {
    pub(crate) fn reserve(self: &Arc<Self>, modest: bool) -> Result<AuditSlot, NotRecorded> {
        self.0.reserve(modest)?;
        Ok(AuditSlot { entrance: Arc::clone(self), armed: None, spent: false })
    }
}

/// A reserved place on the record: room for one event, in the queue and on disk.
///
/// Dropped without [`write`](Self::write) it records the draft that it was [armed](Self::arm) with, marked `aborted`;
/// one that was never armed gives its room back.
#[must_use = "a slot that is dropped at once reserves nothing"]
pub struct AuditSlot {
    entrance: Arc<Entrance>,
    armed: Option<Box<Draft>>,
    spent: bool,
}

impl fmt::Debug for AuditSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditSlot").field("armed", &self.armed.is_some()).finish_non_exhaustive()
    }
}

impl AuditSlot {
    /// What to record if this slot is dropped before it is written. Replaces an earlier draft.
    pub fn arm(&mut self, draft: Draft) {
        self.armed = Some(Box::new(draft));
    }

    /// The draft that the slot was armed with, to be completed and written.
    pub fn disarm(&mut self) -> Option<Draft> {
        self.armed.take().map(|draft| *draft)
    }

    /// Queues the event. Never waits and never fails for lack of room; whether it reached the disk is what
    /// [`Written::durable`] tells.
    pub fn write(mut self, draft: Draft) -> Written {
        let (waiter, outcome) = oneshot::channel();
        self.spent = true;
        self.entrance.0.push(Item { draft, aborted: false, waiter: Waiter(Some(waiter)) });
        Written { outcome, entrance: Arc::clone(&self.entrance) }
    }
}

impl Drop for AuditSlot {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        match self.disarm() {
            Some(draft) => self.entrance.0.push(Item { draft, aborted: true, waiter: Waiter(None) }),
            None => self.entrance.0.release(),
        }
    }
}

/// An event that is queued. It may be dropped: the event is written all the same.
pub struct Written {
    outcome: oneshot::Receiver<Outcome>,
    entrance: Arc<Entrance>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl Written {
    /// Waits until the event is on disk (written and synced with its group).
    ///
    /// # Errors
    /// The disk refused, or the record ended before. After [`NotRecorded::Failed`] the event is kept and written when
    /// the disk is back: what has happened shall be on the record, even if it could not be in time.
    pub async fn durable(self) -> Outcome {
        self.entrance.0.hurry(&mut locked(&self.entrance.0.state));
        self.outcome.await.unwrap_or(Err(NotRecorded::Closed))
    }
}
