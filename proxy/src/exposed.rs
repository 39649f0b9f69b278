//! Whether the application can be reached around the gate: at its port, on the pod's own addresses.
//!
//! Keeps what the last look found, and tells a connection of the look itself from those of clients: where the port is
//! redirected to the gate, the look ends at the gate's own listener. How it looks stands in [`crate::admin`]; what follows,
//! in [`crate::shared`].

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

/// What becomes of it when the application can be reached around the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExposed {
    /// It is told: in the log, the metrics and `status`.
    Warn,
    /// It is told, and the gate is not ready.
    Refuse,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody has looked yet.
    Unknown,
    /// There is nothing to look at: the application is not on this machine's network, there is no network, or no look was
    /// answered.
    Unasked,
    /// No address of the pod leads to the application.
    Closed,
    /// These do.
    Open(Vec<SocketAddr>),
}

/// The state of the look.
#[derive(Debug)]
pub struct Exposed {
    found: ArcSwap<Exposure>,
    /// The port that a look comes from now; 0 for none. What each accepted connection is compared with first.
    port: AtomicU32,
    asking: Mutex<Option<(SocketAddr, oneshot::Sender<()>)>>,
}

impl Default for Exposed {
    fn default() -> Self {
        let found = ArcSwap::from_pointee(Exposure::Unknown);
        Self { found, port: AtomicU32::new(0), asking: Mutex::default() }
    }
}

impl Exposed {
    /// What was found last.
    pub fn found(&self) -> Arc<Exposure> {
        self.found.load_full()
    }

    /// Keeps what was found, and says what was found before.
    pub(crate) fn keep(&self, found: Exposure) -> Arc<Exposure> {
        self.found.swap(Arc::new(found))
    }

    /// Begins a look that comes from `own`. What is handed out hears when that comes back to the gate's own listener.
    pub(crate) fn ask_from(&self, own: SocketAddr) -> oneshot::Receiver<()> {
        let (met, meets) = oneshot::channel();
        *self.lock() = Some((canonical(own), met));
        self.port.store(u32::from(own.port()), Ordering::Release);
        meets
    }

    /// Ends the look: from now on a connection from there is a client's.
    pub(crate) fn asked(&self) {
        self.port.store(0, Ordering::Release);
        *self.lock() = None;
    }

    /// Whether a connection that the gate accepted from `peer` is the look's own.
    pub(crate) fn meets(&self, peer: SocketAddr) -> bool {
        if self.port.load(Ordering::Acquire) != u32::from(peer.port()) {
            return false;
        }
        let mut asking = self.lock();
        let ours = asking.take_if(|(own, _)| *own == canonical(peer));
        // Nobody waits any more where the look has given up.
        ours.is_some_and(|(_, met)| met.send(()).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(SocketAddr, oneshot::Sender<()>)>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same address in one form, whatever socket it was read from.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_meets_its_own_connection_once_and_nobody_elses() {
        let exposed = Exposed::default();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(!exposed.meets(at("10.0.0.7:40000")));
        let mut meets = exposed.ask_from(at("10.0.0.7:40000"));
        assert!(!exposed.meets(at("10.0.0.8:40000")) && !exposed.meets(at("10.0.0.7:40001")));
        assert!(meets.try_recv().is_err());
        // As a listener of both families shows it.
        assert!(exposed.meets(at("[::ffff:10.0.0.7]:40000")));
        assert!(meets.try_recv().is_ok());
        assert!(!exposed.meets(at("10.0.0.7:40000")));
        let _meets = exposed.ask_from(at("10.0.0.7:40000"));
        exposed.asked();
        assert!(!exposed.meets(at("10.0.0.7:40000")));
    }
}
