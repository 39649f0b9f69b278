//! From a plan to a running gate, and to its end: sockets, workers, and the order in which they come and go.
//!
//! It decides nothing about requests. One single-threaded runtime per worker, each with its own listener on the same port
//! (`SO_REUSEPORT`) and its own connections to the application; one more thread for probes, the control socket and keys.

mod account;
mod arrival;
mod connection;
mod flood;
mod frames;
mod guard;
mod handshake;
pub(crate) mod held;
pub(crate) mod io;
mod listen;
mod proxy_protocol;
mod refusals;
mod room;
mod state;
mod streams;
mod turns;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use audit::{Record, Settings};
use tokio::time::{sleep, timeout};

use crate::admin::{self, KeyTasks};
use crate::app_session::AppSessions;
use crate::authn::Remembered;
use crate::clock::Clock;
use crate::config::{AuditPlan, Plan};
use crate::denials::Denials;
use crate::expiry::Expiry;
use crate::exposed::Exposed;
use crate::limits::Limits;
use crate::login::Logins;
use crate::phase::{Phase, Stage};
use crate::pipeline::HELD;
use crate::places::Places;
use crate::reload::{Fixed, Reloader, Reloads};
use crate::request_id::RequestIds;
use crate::runtime::DrainTimes;
use crate::sessions::{Keeper, StateError};
use crate::shared::Shared;
use crate::telemetry::ended::Told;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Exporter;
use crate::telemetry::refusals::Refusals;
pub(crate) use connection::Connection;
pub(crate) use listen::single;
pub(crate) use room::Place;
pub use room::Room;
use state::State;

/// How long a worker may take to let go of what is cut.
const CUT: Duration = Duration::from_secs(2);
/// How long the record may take to reach the disk at the end.
const FLUSH: Duration = Duration::from_secs(30);
/// The most workers where nobody says how many: a pod without a limit would else have one per CPU of its node, each with
/// connections of its own to the application.
const WORKERS: usize = 2;
/// The events that may be on their way to disk at once.
const RECORD_QUEUE: usize = 4_096;
/// The size of one file of the record, in bytes.
const RECORD_SEGMENT: u64 = 64 * 1024 * 1024;

/// Why the gate did not start.
#[derive(Debug)]
pub enum StartError {
    /// A socket could not be opened.
    Listen(String, std::io::Error),
    /// The control socket could not be opened.
    Control(PathBuf, std::io::Error),
    /// The record could not be opened.
    Record(audit::OpenError),
    /// A thread or its runtime could not be made.
    Thread(std::io::Error),
    /// The state of sessions could not be opened.
    Sessions(StateError),
    /// The counters could not be made.
    Metrics(String),
    /// The system gives no randomness.
    Random,
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(what, error) => write!(out, "cannot listen on `{what}`: {error}"),
            StartError::Control(path, error) => {
                let (path, folder) = (path.display(), path.parent().unwrap_or(path).display());
                write!(out, "cannot open the control socket `{path}`: {error}")?;
                match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        write!(out, "\n  hint: the folder `{folder}` does not exist: mount a volume there")
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        write!(
                            out,
                            "\n  hint: the gate's user may not write to `{folder}`: in a pod, an emptyDir or `fsGroup`"
                        )
                    }
                    std::io::ErrorKind::AddrInUse => write!(out, "\n  hint: another gate answers there"),
                    _ => Ok(()),
                }
            }
            StartError::Record(error) => write!(out, "cannot open the record: {error}"),
            StartError::Sessions(error) => write!(out, "cannot open the state of sessions: {error}"),
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
    workers: Vec<JoinHandle<()>>,
    /// The thread of the probes and of the control socket.
    admin: JoinHandle<()>,
    /// The thread of the files.
    reloader: JoinHandle<()>,
    /// The thread of the files of sessions.
    keeper: JoinHandle<()>,
    exporter: Option<Exporter>,
    asks: SyncSender<()>,
}

/// Opens everything and starts to serve. Nothing is served before all of it is open.
///
/// # Errors
/// The first thing that could not be opened.
pub fn start(plan: Plan, clock: Clock) -> Result<Running, StartError> {
    let listen = |address: SocketAddr| move |error| StartError::Listen(address.to_string(), error);
    let workers = plan.workers.unwrap_or_else(|| granted(std::thread::available_parallelism()));
    let listeners = listen::reuse_port(plan.https, workers).map_err(listen(plan.https))?;
    let health = listen::single(plan.health).map_err(listen(plan.health))?;
    let https = listeners.first().and_then(|one| one.local_addr().ok()).unwrap_or(plan.https);
    let health_address = health.local_addr().map_err(listen(plan.health))?;
    let control = match &plan.control {
        Some(path) => Some(listen::unix(path).map_err(|error| StartError::Control(path.clone(), error))?),
        None => None,
    };
    let record = Record::open(record_settings(&plan.audit)).map_err(StartError::Record)?;
    let metrics = Metrics::new().map_err(StartError::Metrics)?;
    let outbox = plan.telemetry.as_ref().map(|telemetry| Arc::clone(&telemetry.outbox));
    metrics.observe_process(clock.now().unix_seconds(), outbox.clone());
    let fixed = Fixed::of(&plan);
    let mut seed = [0; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| StartError::Random)?;
    let State { sessions, journal, ask, wishes, written } =
        state::open(plan.sessions, &plan.runtime, clock.now().unix_seconds())?;
    let shared = Arc::new(Shared {
        sessions,
        reloads: Reloads::since(clock.now().unix_seconds()),
        shown: ArcSwap::from_pointee(plan.shown),
        clock,
        ids: RequestIds::new(u64::from_be_bytes(seed)),
        runtime: ArcSwap::from_pointee(plan.runtime),
        limits: Limits::new(),
        newcomers: Limits::new(),
        tokens: Remembered::new(),
        app_sessions: AppSessions::new().map_err(|_| StartError::Random)?,
        logins: Logins::default(),
        refusals: Refusals::default(),
        record,
        denials: Denials::default(),
        background: OnceLock::new(),
        metrics,
        outbox,
        forms: Places::new(HELD),
        room: Arc::default(),
        exposed: Exposed::default(),
        told: Told::default(),
        phase: Phase::default(),
    });
    let admin = admin::Listeners { health, control, control_path: plan.control };
    shared.metrics.observe(shared.record.clone(), Arc::downgrade(&shared));
    shared.metrics.observe_set(plan.audit.size, &Arc::downgrade(&shared));
    let (admin, runtime) = admin::start(admin, admin::About { https, workers }, plan.pod, Arc::clone(&shared))?;
    // Nothing was set before: it is made above.
    let _set = shared.background.set(runtime.clone());
    let mut keys = KeyTasks::new(runtime, Arc::clone(&shared));
    keys.keep(plan.key_sources);
    let (asks, asked) = sync_channel(1);
    let reloader = Reloader {
        path: plan.files.config().to_owned(),
        seen: plan.files,
        fixed,
        keys,
        shared: Arc::clone(&shared),
        expiry: Expiry::default(),
    };
    let reloader = std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || reloader.watch(&asked))
        .map_err(StartError::Thread)?;
    let keeper = Keeper { shared: Arc::clone(&shared), journal, asks: wishes, written };
    let keeper = std::thread::Builder::new()
        .name("sessions".to_owned())
        .spawn(move || {
            let _open = ask;
            keeper.keep();
        })
        .map_err(StartError::Thread)?;
    let exporter = plan.telemetry.map(|telemetry| Exporter::start(telemetry, Arc::clone(&shared), &hostname()));
    let exporter = exporter.transpose().map_err(StartError::Thread)?;
    let mut threads = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        let worker = worker::Worker::new(number, listener, Arc::clone(&shared), workers);
        threads.push(worker.start()?);
    }
    Ok(Running { https, health: health_address, shared, workers: threads, admin, reloader, keeper, exporter, asks })
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

    /// Something that asks for a reload, whether the files have changed or not.
    pub fn reloads(&self) -> Reload {
        Reload(self.asks.clone())
    }

    /// Stops without the delay of a drain, for whoever knows that nobody comes any more; what is open after `within`, or the
    /// deadline of a drain, is cut. Blocks until that is done.
    ///
    /// # Errors
    /// Where events were left that the disk did not take.
    pub fn stop(self, within: Duration) -> Result<(), audit::NotRecorded> {
        let deadline = self.shared.runtime.load().drain.deadline.min(within);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|_| audit::NotRecorded::Closed)?;
        let times = DrainTimes { delay: Duration::ZERO, deadline };
        runtime.block_on(self.end(times, std::future::ready(()), std::future::pending()))
    }

    /// Leaves as the configuration says: readiness falls; whoever comes is served for the delay; then every answer ends
    /// its connection, and when `told` has ended too, so do the listeners; what is open at the deadline, or when `hurry`
    /// ends, is cut; the record is flushed, then for two seconds the telemetry.
    ///
    /// # Errors
    /// Where events were left that the disk did not take.
    pub async fn drain(
        self,
        told: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), audit::NotRecorded> {
        let times = self.shared.runtime.load().drain;
        self.end(times, told, hurry).await
    }

    async fn end(
        mut self,
        times: DrainTimes,
        told: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), audit::NotRecorded> {
        let phase = &self.shared.phase;
        phase.advance(Stage::Leaving);
        let in_peace = async {
            sleep(times.delay).await;
            phase.advance(Stage::Closing);
            // A sidecar hears of the end first and is stopped last: until then its pod may still be sent somebody.
            told.await;
            phase.advance(Stage::Emptying);
            all_ended(&self.workers).await;
        };
        let why = tokio::select! {
            ended = timeout(times.deadline, in_peace) => ended.err().map(|_| "the deadline has passed"),
            () = hurry => Some("a second signal came"),
        };
        if let Some(reason) = why {
            tracing::warn!(target: "anteroom", reason, "open connections are cut");
            phase.advance(Stage::Cutting);
            // A worker that does not end now hangs in the system; what it holds cannot be waited for.
            drop(timeout(CUT, all_ended(&self.workers)).await);
        }
        phase.advance(Stage::Over);
        // Whoever is asked now sees that the gate leaves, and ends.
        self.asks.try_send(()).unwrap_or_default();
        drop(self.asks);
        // Its socket goes with it, and nobody is to find one on which nobody answers.
        drop(timeout(CUT, all_ended(std::slice::from_ref(&self.admin))).await);
        // A thread that asks for randomness while the process ends makes AWS-LC abort it.
        drop(timeout(CUT, all_ended(std::slice::from_ref(&self.reloader))).await);
        // What has ended until now is on disk before the process is gone.
        drop(timeout(CUT, all_ended(std::slice::from_ref(&self.keeper))).await);
        let threads = self.workers.drain(..).chain([self.admin, self.reloader, self.keeper]);
        for thread in threads.filter(JoinHandle::is_finished) {
            drop(thread.join());
        }
        // ORDER: after the workers, so that what they cut is on the record as well.
        self.shared.denials.finish(self.shared.clock.now());
        let closed = timeout(FLUSH, self.shared.record.close()).await.unwrap_or(Err(audit::NotRecorded::Closed));
        // ORDER: the evidence first; what only observes comes last.
        if let Some(exporter) = self.exporter.take() {
            exporter.stop().await;
        }
        closed
    }
}

/// Asks for a reload.
#[derive(Clone, Debug)]
pub struct Reload(SyncSender<()>);

impl Reload {
    /// Asks. Any number of asks that nobody has looked at yet is one.
    pub fn ask(&self) {
        // A full channel is a wish that waits already; a closed one, a gate that has left.
        self.0.try_send(()).unwrap_or_default();
    }
}

async fn all_ended(threads: &[JoinHandle<()>]) {
    while !threads.iter().all(JoinHandle::is_finished) {
        sleep(Duration::from_millis(5)).await;
    }
}

/// One worker per CPU that the process may use (its affinity, and the whole ones of its cgroup's quota), but at least one and
/// at most [`WORKERS`].
fn granted(cpus: std::io::Result<NonZero<usize>>) -> usize {
    cpus.map_or(1, NonZero::get).min(WORKERS)
}

fn record_settings(plan: &AuditPlan) -> Settings {
    let host = hostname();
    Settings {
        directory: plan.directory.clone(),
        size: plan.size,
        segment: RECORD_SEGMENT.min(plan.size),
        queue: RECORD_QUEUE.min(usize::try_from(plan.size / (2 * audit::LINE_MAX as u64)).unwrap_or(1)).max(8),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_node_is_no_reason_for_many_workers() {
        for (cpus, workers) in [(1, 1), (2, 2), (3, 2), (192, 2)] {
            assert_eq!(granted(Ok(NonZero::new(cpus).unwrap())), workers);
        }
        assert_eq!(granted(Err(std::io::ErrorKind::Unsupported.into())), 1);
    }
}
