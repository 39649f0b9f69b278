//! Kept connections to the application, one pool per worker.
//!
//! Decides which connection carries the next request. It never gives out one that is closed or still busy with the last
//! answer, and it never keeps more than its bound.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::guard::GuardedSender;

/// The most connections that one worker has open to the application at once.
const OPEN: usize = 1_024;
/// The most idle connections that one worker keeps.
const IDLE: usize = 128;

/// A connection that can carry one more request.
pub(crate) type Sender = GuardedSender;

/// The idle connections of one worker, the one used last on top.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Vec<Kept>>>,
    room: Arc<Semaphore>,
    /// Where the application is for whoever holds this; a reload may have moved it.
    address: Option<SocketAddr>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: Arc::default(), room: Arc::new(Semaphore::new(OPEN)), address: None }
    }
}

#[derive(Debug)]
struct Kept {
    address: Option<SocketAddr>,
    sender: Sender,
    since: Instant,
}

impl Pool {
    /// The same pool, for the connections to `address` alone.
    pub(crate) fn to(&self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self.clone() }
    }

    /// Room for one more connection, held for as long as it is open; `None` where there is none.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// An idle connection that is ready now and was used less than `longest` ago; closed and stale ones are let go on
    /// the way.
    pub(crate) fn take(&self, longest: Duration) -> Option<Sender> {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = Vec::new();
        let mut taken = None;
        while let Some(kept) = idle.pop() {
            if now.saturating_duration_since(kept.since) >= longest {
                // The ones below were used even longer ago.
                idle.clear();
                break;
            }
            // An address that is no longer the application's: the configuration has changed.
            if kept.sender.is_closed() || kept.address != self.address {
                continue;
            }
            if kept.sender.is_ready() {
                taken = Some(kept.sender);
                break;
            }
            // Its last answer was read to the end, but its task has not run since.
            busy.push(kept);
        }
        idle.extend(busy.into_iter().rev());
        taken
    }

    /// Takes a connection back whose answer was read to its end.
    pub(crate) fn put(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(Kept { address: self.address, sender, since: Instant::now() });
        }
    }
}
