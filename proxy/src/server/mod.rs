//! From a plan to a running gate, and to its end: sockets, workers, and the order in which they come and go.
//!
//! It decides nothing about requests. One single-threaded runtime per worker, each with its own listener on the same port
//! (`SO_REUSEPORT`) and its own connections to the application; one more thread for probes, the control socket and keys.

mod connection;
pub(crate) mod io;
mod listen;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use audit::{Record, Settings};
use tokio::sync::{Semaphore, watch};

use crate::admin;
use crate::authn::Remembered;
use crate::clock::Clock;
use crate::config::{AuditPlan, Plan};
use crate::limits::Limits;
use crate::request_id::RequestIds;
use crate::shared::{Phase, Shared};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Exporter;
pub(crate) use connection::Connection;

/// How long open requests may take to end once the gate is told to stop.
pub const GRACE: Duration = Duration::from_secs(30);
/// The events that may be on their way to disk at once.
const RECORD_QUEUE: usize = 4_096;
/// The size of one file of the record, in bytes.
const RECORD_SEGMENT: u64 = 64 * 1024 * 1024;

/// Why the gate did not start.
#[derive(Debug)]
pub enum StartError {
    /// A socket could not be opened.
    Listen(String, std::io::Error),
    /// The record could not be opened.
    Record(audit::OpenError),
    /// A thread or its runtime could not be made.
    Thread(std::io::Error),
    /// The counters could not be made.
    Metrics(String),
    /// The system gives no randomness.
    Random,
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(what, error) => write!(out, "cannot listen on `{what}`: {error}"),
            StartError::Record(error) => write!(out, "cannot open the record: {error}"),
            StartError::Thread(error) => write!(out, "cannot start a thread: {error}"),
            StartError::Metrics(error) => write!(out, "cannot make the counters: {error}"),
            StartError::Random => write!(out, "the system gives no randomness"),
        }
    }
}

impl std::error::Error for StartError {}

/// A gate that runs.
#[derive(Debug)]
pub struct Running {
    https: SocketAddr,
    health: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    admin: Option<JoinHandle<()>>,
    exporter: Option<Exporter>,
}

/// Opens everything and starts to serve. Nothing is served before all of it is open.
///
/// # Errors
/// The first thing that could not be opened.
pub fn start(plan: Plan, clock: Clock) -> Result<Running, StartError> {
    let listen = |address: SocketAddr| move |error| StartError::Listen(address.to_string(), error);
    let workers = plan.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let listeners = listen::reuse_port(plan.https, workers).map_err(listen(plan.https))?;
    let health = listen::single(plan.health).map_err(listen(plan.health))?;
    let https = listeners.first().and_then(|one| one.local_addr().ok()).unwrap_or(plan.https);
    let health_address = health.local_addr().map_err(listen(plan.health))?;
    let control = match &plan.control {
        Some(path) => Some(listen::unix(path).map_err(|error| StartError::Listen(path.display().to_string(), error))?),
        None => None,
    };
    let record = Record::open(record_settings(&plan.audit)).map_err(StartError::Record)?;
    let metrics = Metrics::new().map_err(StartError::Metrics)?;
    let keys = plan.runtime.providers.iter().map(|one| (one.authn.name().to_owned(), Arc::clone(&one.keys))).collect();
    metrics.observe(record.clone(), keys, plan.certificates.clone());
    let outbox = plan.telemetry.as_ref().map(|telemetry| Arc::clone(&telemetry.outbox));
    metrics.observe_process(clock.now().unix_seconds(), outbox.clone());
    let mut seed = [0; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| StartError::Random)?;
    let shared = Arc::new(Shared {
        clock,
        ids: RequestIds::new(u64::from_be_bytes(seed)),
        runtime: ArcSwap::from_pointee(plan.runtime),
        limits: Limits::new(),
        tokens: Remembered::new(),
        record,
        metrics,
        outbox,
        connections: Arc::new(Semaphore::new(plan.connections)),
        phase: Phase::default(),
    });
    let (stop, stopped) = watch::channel(false);
    let admin = admin::Listeners { health, control, control_path: plan.control };
    let about = admin::About { certificates: plan.certificates, https, workers };
    let admin = admin::start(admin, about, plan.key_sources, Arc::clone(&shared), stopped.clone())?;
    let exporter = plan.telemetry.map(|telemetry| Exporter::start(telemetry, Arc::clone(&shared), &hostname()));
    let exporter = exporter.transpose().map_err(StartError::Thread)?;
    let mut threads = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        let worker = worker::Worker::new(number, listener, Arc::clone(&plan.tls), Arc::clone(&shared), workers);
        threads.push(worker.start(stopped.clone())?);
    }
    Ok(Running { https, health: health_address, shared, stop, workers: threads, admin: Some(admin), exporter })
}

impl Running {
    /// The address for clients, with the port that was really taken.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// The address for probes, with the port that was really taken.
    pub fn health(&self) -> SocketAddr {
        self.health
    }

    /// The state of the process.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Stops: readiness falls, no new connections, open requests end within [`GRACE`], the record is flushed. Blocks
    /// until that is done. The last telemetry then gets two seconds more.
    ///
    /// # Errors
    /// Where events were left that the disk did not take.
    pub fn stop(mut self) -> Result<(), audit::NotRecorded> {
        self.shared.phase.leave();
        // Nobody listening any more is what stopping is about.
        self.stop.send_replace(true);
        for worker in self.workers.drain(..) {
            drop(worker.join());
        }
        self.admin.take().map(JoinHandle::join);
        let closing = async { tokio::time::timeout(GRACE, self.shared.record.close()).await };
        let closed = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(closing).unwrap_or(Err(audit::NotRecorded::Closed)),
            Err(_) => Err(audit::NotRecorded::Closed),
        };
        // ORDER: the evidence first; what only observes comes last.
        if let Some(exporter) = self.exporter.take() {
            exporter.stop();
        }
        closed
    }
}

fn record_settings(plan: &AuditPlan) -> Settings {
    let host = hostname();
    Settings {
        directory: plan.directory.clone(),
        size: plan.size,
        segment: RECORD_SEGMENT.min(plan.size),
        queue: RECORD_QUEUE.min(usize::try_from(plan.size / (4 * audit::LINE_MAX as u64)).unwrap_or(1)).max(8),
        origin: plan.origin.clone().unwrap_or_else(|| host.clone()),
        replica: host,
        random: fill_random,
    }
}

/// The machine's name, which in a pod is the pod's.
#[expect(clippy::disallowed_methods, reason = "the kernel's name for this machine is no configuration")]
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    let name: String = name.trim().chars().filter(plain).take(253).collect();
    if name.is_empty() { "anteroom".to_owned() } else { name }
}

/// Ids of events need to be unique, not secret; where the system gives no randomness they still differ by their time.
fn fill_random(bytes: &mut [u8]) {
    if aws_lc_rs::rand::fill(bytes).is_err() {
        bytes.fill(0);
    }
}
