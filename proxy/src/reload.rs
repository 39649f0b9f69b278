//! The files that the gate was made from, watched: a set that has changed is read, compiled and swapped, whole.
//!
//! Decides when a set has settled, and whether a running gate can take it. A set that is no configuration, or that would
//! need new sockets or another record, leaves the last good one standing and says so: in the log, the metrics and `status`.
//! It never resets a limit, a remembered token, a kept connection or the record, and never applies half of a set.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;
use policy::{Diagnostic, Sources};

use crate::admin::KeyTasks;
use crate::config::{self, FileSet, Plan};
use crate::expiry::{self, Expiry};
use crate::runtime::Runtime;
use crate::shared::Shared;

/// How often the contents of the files are compared with what runs.
const POLL: Duration = Duration::from_secs(1);
/// How long the contents must stay the same before they are read as a set.
const SETTLED: Duration = Duration::from_millis(200);
/// How often that is waited for before the next poll begins anew.
const PATIENCE: usize = 50;
/// The most faults that `status` shows.
const FAULTS: usize = 20;

/// What cannot change while the gate runs: it was opened or started with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    entries: Vec<(&'static str, String)>,
}

impl Fixed {
    /// What of `plan` cannot change, by its key in the configuration.
    pub(crate) fn of(plan: &Plan) -> Self {
        let entries = vec![
            ("listen.https", plan.https.to_string()),
            ("listen.health", plan.health.to_string()),
            ("listen.control", format!("{:?}", plan.control)),
            ("workers", format!("{:?}", plan.workers)),
            ("audit.directory", format!("{:?}", plan.audit.directory)),
            ("audit.size", plan.audit.size.to_string()),
            ("audit.origin", format!("{:?}", plan.audit.origin)),
            ("session.state", format!("{:?}", plan.sessions.state)),
            ("telemetry", if plan.telemetry.is_some() { "on" } else { "off" }.to_owned()),
            ("log.level", format!("{:?}", plan.log_level)),
        ];
        Self { entries }
    }

    /// One fault for each key that `other` has otherwise.
    fn against(&self, other: &Self) -> Vec<Diagnostic> {
        let pairs = self.entries.iter().zip(&other.entries);
        let changed = pairs.filter(|(ours, theirs)| ours != theirs);
        changed
            .map(|((key, _), _)| {
                let message = format!("`{key}` cannot change while the gate runs: it needs a restart");
                Diagnostic::without_place("restart", message)
            })
            .collect()
    }
}

/// What became of changes of the files.
#[derive(Debug)]
pub struct Reloads(ArcSwap<ReloadStatus>);

/// The state of reloading, for `status` and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadStatus {
    /// Sets that were swapped in, the first one not counted.
    pub done: u64,
    /// Sets that were refused.
    pub failed: u64,
    /// When the set that runs was swapped in, in Unix seconds.
    pub good_at: u64,
    /// Why the files, as they are now, are not what runs; `None` where they are.
    pub failure: Option<ReloadFailure>,
}

/// Why a set was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFailure {
    /// When, in Unix seconds.
    pub at: u64,
    /// Each fault with its code and place, at most 20 of them. No line of a file, and nothing that looks like a secret.
    pub faults: Vec<String>,
}

impl Reloads {
    /// The first set runs since `now` (Unix seconds).
    pub fn since(now: u64) -> Self {
        Self(ArcSwap::from_pointee(ReloadStatus { done: 0, failed: 0, good_at: now, failure: None }))
    }

    /// The state now.
    pub fn status(&self) -> Arc<ReloadStatus> {
        self.0.load_full()
    }

    fn swapped(&self, now: u64) {
        let before = self.0.load();
        let done = before.done.saturating_add(1);
        self.0.store(Arc::new(ReloadStatus { done, failed: before.failed, good_at: now, failure: None }));
    }

    fn refused(&self, now: u64, faults: Vec<String>) {
        let before = self.0.load();
        let failed = before.failed.saturating_add(1);
        let failure = Some(ReloadFailure { at: now, faults });
        self.0.store(Arc::new(ReloadStatus { failed, failure, ..ReloadStatus::clone(&before) }));
    }
}

/// Watches one set of files. It has a thread of its own: a file system that hangs holds up neither requests nor probes.
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    /// What was read last, good or bad.
    pub(crate) seen: FileSet,
    pub(crate) fixed: Fixed,
    pub(crate) keys: KeyTasks,
    pub(crate) shared: Arc<Shared>,
    pub(crate) expiry: Expiry,
}

impl Reloader {
    /// Watches until the gate leaves. An ask reloads at once, changed or not.
    pub(crate) fn watch(mut self, asks: &Receiver<()>) {
        loop {
            let asked = match asks.recv_timeout(POLL) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.shared.phase.is_leaving() {
                return;
            }
            if (asked || self.seen.again() != self.seen) && self.is_settled() {
                self.reload();
            }
            expiry::tell(&self.expiry.due(&self.shared.shown.load(), self.shared.clock.now()));
        }
    }

    /// Waits until the files stand still. False where they do not: the next poll looks again.
    fn is_settled(&self) -> bool {
        let mut last = self.seen.again();
        for _ in 0..PATIENCE {
            if self.shared.phase.is_leaving() {
                return false;
            }
            std::thread::sleep(SETTLED);
            let now = self.seen.again();
            if now == last {
                return true;
            }
            last = now;
        }
        false
    }

    fn reload(&mut self) {
        let (seen, prepared) = config::prepare_set(&self.path);
        self.seen = seen;
        match prepared {
            Err(faults) => self.refuse(&faults.diagnostics, &faults.sources),
            Ok(plan) => match self.fixed.against(&Fixed::of(&plan)) {
                none if none.is_empty() => self.swap(plan),
                changed => self.refuse(&changed, &plan.sources),
            },
        }
    }

    fn swap(&mut self, mut plan: Plan) {
        self.keys.adopt(&mut plan);
        let Plan { runtime, shown, key_sources, warnings, telemetry, sessions, .. } = plan;
        let policy = runtime.policy_digest.to_string();
        // INVARIANT: each of the two is swapped whole; a request loads the one once, a handshake the other.
        let before: Arc<Runtime> = self.shared.runtime.swap(Arc::new(runtime));
        // Sessions and the verdicts on open connections hang on it: it is exchanged only where it is another.
        if self.shared.shown.load().digest != shown.digest {
            self.shared.shown.store(Arc::new(shown));
        }
        self.shared.sessions.follow(sessions.revoked);
        // ORDER: after the swap, so that what still fetches is what requests look at.
        self.keys.keep(key_sources);
        if let (Some(outbox), Some(telemetry)) = (&self.shared.outbox, telemetry) {
            outbox.follow(&telemetry.outbox);
        }
        self.shared.reloads.swapped(self.shared.clock.now().unix_seconds());
        for warning in &warnings {
            tracing::warn!(target: "anteroom", detail = warning.message, "configuration");
        }
        let detail = if *before.policy_digest == *policy { "the policy is the same" } else { "the policy is another" };
        tracing::info!(target: "anteroom", policy, detail, "reloaded");
    }

    fn refuse(&self, faults: &[Diagnostic], sources: &Sources) {
        let errors = faults.iter().filter(|one| one.is_error());
        let told: Vec<String> = errors.map(|one| told(one, sources)).take(FAULTS).collect();
        for detail in &told {
            tracing::error!(target: "anteroom", detail, "not reloaded; the last good configuration stays");
        }
        self.shared.reloads.refused(self.shared.clock.now().unix_seconds(), told);
    }
}

/// A fault on one line: code, place, message. Never the line of the file that it is about.
fn told(fault: &Diagnostic, sources: &Sources) -> String {
    let message = redact::text(&fault.message);
    match fault.span {
        Some(span) => {
            let (line, column) = sources.line_column(span);
            format!("{}:{line}:{column}: {message} ({})", sources.name(span.file), fault.code)
        }
        None => format!("{message} ({})", fault.code),
    }
}
