//! Kept connections to the application, one pool per worker.
//!
//! Decides which connection carries the next request. It never gives out one that is closed or still busy with the last
//! answer, and it never keeps more than its bound.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::body::RequestBody;

/// The most idle connections that one worker keeps.
const IDLE: usize = 128;

/// A connection that can carry one more request.
pub(crate) type Sender = SendRequest<RequestBody>;

/// The idle connections of one worker, the one used last on top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Vec<Kept>>>,
    /// Where the application is for whoever holds this; a reload may have moved it.
    address: Option<SocketAddr>,
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
        Self { idle: Arc::clone(&self.idle), address: Some(address) }
    }

    /// An idle connection that is ready now and was used less than `longest` ago; closed and stale ones are let go on
    /// the way.
    pub(crate) fn take(&self, longest: Duration) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.address == self.address && !kept.sender.is_closed() && kept.since.elapsed() < longest);
        let ready = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(idle.remove(ready).sender)
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
