//! `/app-health/<container>/<probe>`: asks the application in the kubelet's place, where it listens on loopback alone.
//!
//! Decides which probes there are (those that the pod's environment recorded, and no other), and how often the application
//! is asked: one question at a time for each of them, and at most two a second; whoever asks meanwhile gets the same answer,
//! and a question that was begun is asked to its end, whoever hangs up.
//! It says whether the application is well and in fixed words why not, and passes on nothing that the application says.

mod call;
mod grpc;
mod http;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Answer, plain};
use crate::config::{AppProbe, Ask, Pod};

/// How long an answer serves whoever asks next.
const FRESH: Duration = Duration::from_millis(500);

/// What a question found: well, or why not.
type Verdict = Result<(), &'static str>;

/// The probes of the pod.
#[derive(Clone, Debug)]
pub(super) struct AppHealth(Arc<[Arc<Probe>]>);

#[derive(Debug)]
struct Probe {
    probe: AppProbe,
    /// How the kubelet would name the pod.
    name: String,
    /// The last answer. Locked while the application is asked.
    last: Arc<Mutex<Option<(Instant, Verdict)>>>,
}

impl AppHealth {
    pub(super) fn new(pod: Pod) -> Self {
        let name = pod.addresses.first().map_or_else(
            || "127.0.0.1".to_owned(),
            |address| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            },
        );
        let probes = pod.probes.into_iter();
        Self(probes.map(|probe| Arc::new(Probe { probe, name: name.clone(), last: Arc::default() })).collect())
    }

    /// The longest that an answer may take: a question that waits for the one before it, and then itself.
    pub(super) fn longest(&self) -> Duration {
        2 * self.0.iter().map(|one| one.probe.timeout).max().unwrap_or_default()
    }

    /// The answer for `path`.
    pub(super) async fn answer(&self, path: &str) -> Answer {
        let Some(probe) = self.0.iter().find(|one| one.probe.path == path) else {
            return plain(StatusCode::NOT_FOUND, "text/plain", "no such probe\n".to_owned());
        };
        match probe.ask().await {
            Ok(()) => plain(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("the application {why}\n")),
        }
    }
}

impl Probe {
    /// The last answer, where it is fresh; else a new one.
    async fn ask(self: &Arc<Self>) -> Verdict {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((at, verdict)) = *last
            && at.elapsed() < FRESH
        {
            return verdict;
        }
        let probe = Arc::clone(self);
        // Who hangs up must not let the next one ask at once. There is one such task for a probe: it holds the lock.
        let asking = tokio::spawn(async move {
            let verdict = probe.ask_anew().await;
            *last = Some((Instant::now(), verdict));
            verdict
        });
        asking.await.unwrap_or(Err("was not asked to the end"))
    }

    async fn ask_anew(&self) -> Verdict {
        let asked = async {
            match &self.probe.ask {
                Ask::Http(ask) => http::ask(ask, &self.name).await,
                Ask::Tcp(port) => call::connect(*port).await.map(drop),
                Ask::Grpc { port, service } => grpc::ask(*port, service, &self.name).await,
            }
        };
        timeout(self.probe.timeout, asked).await.unwrap_or(Err("did not answer in time"))
    }
}
