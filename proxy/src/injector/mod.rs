//! `anteroom injector`: the admission webhook that gives pods their sidecar when they are created.
//!
//! It decides how the parts stand together and in which order they end; what becomes of a pod is decided by the crate
//! `inject`, as for `anteroom inject` on a file. It fails closed: a pod that asks for the sidecar and cannot have it is
//! refused, and so is every pod that asks while no injector answers (`failurePolicy: Fail`). One thread is enough.

mod certificate;
mod health;
mod own;
mod patch;
pub mod policies;
mod review;
mod serve;
pub(crate) mod sidecar;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use certificate::Source;
pub use own::{Keeper, KeeperFault, Kept, Place};

use self::certificate::Shown;
use self::review::Outcome;
use crate::clock::Clock;
use crate::phase::{Phase, Stage};

/// What the injector runs with.
#[derive(Debug)]
pub struct Plan {
    /// Where the API server calls.
    pub https: SocketAddr,
    /// Where probes come to.
    pub health: SocketAddr,
    /// Where the certificate comes from.
    pub source: Source,
    /// What is injected.
    pub settings: inject::Settings,
    /// How long it still answers as before once it was asked to leave.
    pub delay: Duration,
    /// When what is still open is cut, counted from the same moment.
    pub deadline: Duration,
}

/// What all connections share.
#[derive(Debug)]
struct Desk {
    settings: inject::Settings,
    shown: Arc<Shown>,
    counts: Counts,
    bodies: Semaphore,
    phase: Phase,
    clock: Arc<Clock>,
}

/// What was answered since the start.
#[derive(Debug, Default)]
struct Counts {
    injected: AtomicU64,
    untouched: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
}

impl Counts {
    fn at(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Injected => &self.injected,
            Outcome::Untouched => &self.untouched,
            Outcome::Refused => &self.refused,
        }
    }

    fn count(&self, outcome: Outcome) {
        self.at(outcome).fetch_add(1, Ordering::Relaxed);
    }

    fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.at(outcome).load(Ordering::Relaxed)
    }

    fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }
}

/// An injector that listens.
pub struct Running {
    desk: Arc<Desk>,
    https: SocketAddr,
    health: SocketAddr,
    delay: Duration,
    deadline: Duration,
    serving: tokio::task::JoinHandle<()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Running").field("https", &self.https).finish_non_exhaustive()
    }
}

/// Binds and serves, on the runtime of the caller.
///
/// # Errors
/// Where an address cannot be bound.
pub fn start(plan: Plan, clock: Clock) -> std::io::Result<Running> {
    let listen = |address| TcpListener::from_std(crate::server::single(address)?);
    let (https, health) = (listen(plan.https)?, listen(plan.health)?);
    let (at, probed_at) = (https.local_addr()?, health.local_addr()?);
    let (shown, clock) = (Arc::new(Shown::default()), Arc::new(clock));
    let desk = Arc::new(Desk {
        settings: plan.settings,
        shown: Arc::clone(&shown),
        counts: Counts::default(),
        bodies: Semaphore::new(serve::BODIES),
        phase: Phase::default(),
        clock: Arc::clone(&clock),
    });
    tokio::spawn(certificate::keep(plan.source, shown, clock));
    let probed = Arc::clone(&desk);
    tokio::spawn(crate::admin::probes(health, move |request| health::answer(&probed, request)));
    let serving = tokio::spawn(serve::serve(https, Arc::clone(&desk)));
    Ok(Running { desk, https: at, health: probed_at, delay: plan.delay, deadline: plan.deadline, serving })
}

impl Running {
    /// Where the API server calls.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// Where probes come to.
    pub fn health(&self) -> SocketAddr {
        self.health
    }

    /// Leaves in order: readiness falls, then connections end when they have nothing open, then what is open is cut. `cut`
    /// ends the wait at once.
    pub async fn drain(self, cut: impl Future<Output = ()>) {
        let phase = &self.desk.phase;
        phase.advance(Stage::Leaving);
        let mut serving = self.serving;
        let orderly = async {
            tokio::time::sleep(self.delay).await;
            phase.advance(Stage::Closing);
            let rest = self.deadline.saturating_sub(self.delay);
            drop(tokio::time::timeout(rest, &mut serving).await);
        };
        tokio::select! {
            () = orderly => {}
            () = cut => {}
        }
        phase.advance(Stage::Cutting);
    }
}
