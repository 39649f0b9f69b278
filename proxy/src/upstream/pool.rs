//! Connections to the application, one pool per worker.
//!
//! Decides which connection carries the next request. It never gives out one that is closed, that was opened another way,
//! or, on HTTP/1.1, that is still busy with the last answer; and it never has more than its bounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connect::Unreachable;
use super::http1::Line;
use super::http2::{self, Seat, Trunk};
use super::target::{AppTarget, Way};

/// The most connections that one worker has open to the application at once.
const OPEN: usize = 1_024;
/// The most idle HTTP/1.1 connections that one worker keeps.
const IDLE: usize = 128;
/// The most HTTP/2 connections that one worker has, each for up to [`http2::STREAMS`] requests at once.
pub(super) const TRUNKS: usize = 16;

/// The connections of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Idle HTTP/1.1 connections, the one used last on top.
    idle: Mutex<Vec<Kept>>,
    /// HTTP/2 connections.
    trunks: Mutex<Vec<Trunk>>,
    /// Held while a shared connection is opened, so that a crowd opens one and not many; what became of the last try.
    opening: tokio::sync::Mutex<Option<(Instant, Unreachable)>>,
    room: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self(Arc::new(Inner {
            idle: Mutex::default(),
            trunks: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            room: Arc::new(Semaphore::new(OPEN)),
        }))
    }
}

#[derive(Debug)]
struct Kept {
    line: Line,
    since: Instant,
}

/// A place for one request on a shared connection.
pub(super) struct Shared {
    pub(super) seat: Seat,
    /// Whether the connection was opened for this very request.
    pub(super) fresh: bool,
}

impl Pool {
    /// Room for one more connection, held for as long as it is open; `None` where there is none.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.room).try_acquire_owned().ok()
    }

    /// An idle HTTP/1.1 connection that is ready now and was used less than `longest` ago; closed and stale ones are let
    /// go on the way.
    pub(super) fn take(&self, way: &Way, longest: Duration) -> Option<Line> {
        let now = Instant::now();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = Vec::new();
        let mut taken = None;
        while let Some(kept) = idle.pop() {
            if now.saturating_duration_since(kept.since) >= longest {
                // The ones below were used even longer ago.
                idle.clear();
                break;
            }
            // A way that is no longer the one to the application: the configuration has changed.
            if kept.line.is_closed() || !kept.line.goes(way) {
                continue;
            }
            if kept.line.is_ready() {
                taken = Some(kept.line);
                break;
            }
            // Its last answer was read to the end, but its task has not run since.
            busy.push(kept);
        }
        idle.extend(busy.into_iter().rev());
        taken
    }

    /// Takes an HTTP/1.1 connection back whose answer was read to its end.
    pub(super) fn put(&self, line: Line) {
        if line.is_closed() {
            return;
        }
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(Kept { line, since: Instant::now() });
        }
    }

    /// A place on a shared connection: on one that is there, else on a new one.
    pub(super) async fn share(&self, target: &AppTarget) -> Result<Shared, Unreachable> {
        if let Some(seat) = self.seat(target) {
            return Ok(Shared { seat, fresh: false });
        }
        let asked = Instant::now();
        let mut last = self.0.opening.lock().await;
        if let Some(seat) = self.seat(target) {
            return Ok(Shared { seat, fresh: false });
        }
        // Whoever waited here while another one failed has failed with it: one timeout for all, not one each in a row.
        if let Some((_, why)) = last.filter(|(at, _)| *at >= asked) {
            return Err(why);
        }
        match self.open(target).await {
            Ok(seat) => Ok(Shared { seat, fresh: true }),
            Err(why) => {
                *last = Some((Instant::now(), why));
                Err(why)
            }
        }
    }

    async fn open(&self, target: &AppTarget) -> Result<Seat, Unreachable> {
        if self.trunks().len() >= TRUNKS {
            return Err(Unreachable::Full);
        }
        let room = self.room().ok_or(Unreachable::Full)?;
        let trunk = http2::open(target, room).await?;
        let seat = trunk.seat().ok_or(Unreachable::Down("the connection broke at once"))?;
        self.trunks().push(trunk);
        Ok(seat)
    }

    /// A place on a connection that is there. Those that are closed, unused for too long, or that go another way are let
    /// go; what is open on them ends in its own time.
    fn seat(&self, target: &AppTarget) -> Option<Seat> {
        let mut trunks = self.trunks();
        trunks.retain(|trunk| trunk.goes(&target.way) && !trunk.is_over(target.idle));
        trunks.iter().find_map(Trunk::seat)
    }

    fn trunks(&self) -> MutexGuard<'_, Vec<Trunk>> {
        self.0.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
