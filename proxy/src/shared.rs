//! What there is once per process, whatever the number of workers: limits, keys, remembered tokens, the record.
//!
//! It outlives every change of configuration, so that no change resets a limit or forgets a key. It decides nothing.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use audit::Record;
use http::HeaderMap;
use tokio::runtime::Handle;

use crate::app_session::AppSessions;
use crate::authn::Remembered;
use crate::clock::Clock;
use crate::denials::Denials;
use crate::exposed::{Exposed, Exposure, OnExposed};
use crate::limits::Limits;
use crate::login::Logins;
use crate::phase::Phase;
use crate::places::Places;
use crate::reload::Reloads;
use crate::request_id::{RequestId, RequestIds};
use crate::runtime::{Runtime, Shown};
use crate::server::Room;
use crate::sessions::Sessions;
use crate::telemetry::ended::Told;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Outbox;
use crate::telemetry::refusals::Refusals;
use crate::telemetry::trace::Trace;

/// The state of a process.
#[derive(Debug)]
pub struct Shared {
    /// Where the time comes from.
    pub clock: Clock,
    /// Ids for requests.
    pub ids: RequestIds,
    /// What judges requests at this moment.
    pub runtime: ArcSwap<Runtime>,
    /// What the next handshake shows of our certificates.
    pub shown: ArcSwap<Shown>,
    /// What became of changes of the files.
    pub reloads: Reloads,
    /// Who has asked how often.
    pub limits: Limits,
    /// Who has come how often: a table of its own, so that a flood of connections cannot make the other forget anybody.
    pub newcomers: Limits,
    /// Tokens that were verified before.
    pub tokens: Remembered,
    /// Sign-ins by the gate.
    pub logins: Logins,
    /// Which sessions have ended, how long the others last, and what is open in them.
    pub sessions: Sessions,
    /// Whose the application's sessions are.
    pub app_sessions: AppSessions,
    /// Refused handshakes that the log has not told yet.
    pub refusals: Refusals,
    /// The evidence.
    pub record: Record,
    /// Refusals that it holds as a count.
    pub denials: Denials,
    /// Where calls are made that no worker waits for by itself; set once, when the gate starts.
    pub background: OnceLock<Handle>,
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// Where traces go; none while nothing is exported.
    pub outbox: Option<Arc<Outbox>>,
    /// Room for forms that are held before they are passed on, over all workers.
    pub(crate) forms: Places,
    /// What goes on at this moment, over all workers.
    pub room: Arc<Room>,
    /// Whether the application can be reached around the gate.
    pub exposed: Exposed,
    /// When the log last told of an ended connection.
    pub told: Told,
    /// Where the process stands in its life.
    pub phase: Phase,
}

impl Shared {
    /// The trace that a request belongs to.
    pub(crate) fn trace(&self, headers: &HeaderMap, id: RequestId) -> Option<Trace> {
        let share = self.outbox.as_ref().map(|outbox| outbox.share());
        Trace::begin(headers, share, id.draw(), |bytes| aws_lc_rs::rand::fill(bytes).is_ok())
    }

    /// Why no traffic should come now, in one word each; empty when ready.
    pub fn unready(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if !self.phase.is_started() {
            reasons.push("starting");
        }
        if self.phase.is_leaving() {
            reasons.push("leaving");
        }
        let record = self.record.health();
        if record.failed.is_some() || record.full {
            reasons.push("record");
        }
        let runtime = self.runtime.load();
        let now = self.clock.now().monotone;
        if !runtime.providers.is_empty() && runtime.providers.iter().all(|one| one.keys.current(now).is_err()) {
            reasons.push("keys");
        }
        match (runtime.exposed, &*self.exposed.found()) {
            (OnExposed::Refuse, Exposure::Open(_)) => reasons.push("exposed"),
            // Nobody knows yet, and readiness must not come before it is known.
            (OnExposed::Refuse, Exposure::Unknown) if reasons.is_empty() => reasons.push("starting"),
            (OnExposed::Refuse | OnExposed::Warn, _) => {}
        }
        reasons
    }
}
