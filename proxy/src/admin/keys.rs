//! The fetching of keys: one task for each address that a provider publishes its keys at.
//!
//! Decides which tasks run: those of the configuration that runs, and no other. An address that a reload leaves as it is
//! keeps its task and its keys.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::authn::{self, Pace, Renewal};
use crate::config::{KeySource, Plan};
use crate::phase::Stage;
use crate::runtime::Provider;
use crate::shared::Shared;

/// The tasks that run.
pub(crate) struct KeyTasks {
    runtime: Handle,
    shared: Arc<Shared>,
    running: Vec<(KeySource, AbortHandle)>,
}

impl fmt::Debug for KeyTasks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KeyTasks").field("running", &self.running).finish_non_exhaustive()
    }
}

impl KeyTasks {
    /// No tasks yet; those to come run on `runtime`.
    pub(crate) fn new(runtime: Handle, shared: Arc<Shared>) -> Self {
        Self { runtime, shared, running: Vec::new() }
    }

    /// Gives each provider of `plan` whose address is fetched already the keys that are there.
    pub(crate) fn adopt(&self, plan: &mut Plan) {
        for wanted in &mut plan.key_sources {
            let Some((kept, _)) = self.running.iter().find(|(one, _)| one.is_as(wanted)) else { continue };
            // The provider's name is the same, as `is_as` says.
            let same = |provider: &&mut Provider| provider.authn.name() == kept.provider;
            for provider in plan.runtime.providers.iter_mut().filter(same) {
                provider.keys = Arc::clone(kept.source.keys());
                provider.metadata = kept.source.metadata().cloned();
            }
            kept.source.keep_for(wanted.last_good);
            wanted.source = kept.source.clone();
        }
    }

    /// Runs a task for each of `sources` and no other; those that run already go on.
    pub(crate) fn keep(&mut self, sources: Vec<KeySource>) {
        let mut before = std::mem::take(&mut self.running);
        for source in sources {
            // How often is asked hangs on it, so a task with another one is another task, for the same keys.
            let same = |one: &KeySource| one.source.is(&source.source) && one.last_good == source.last_good;
            let entry = match before.iter().position(|(one, _)| same(one)) {
                Some(place) => before.swap_remove(place),
                None => {
                    let task = self.fetch(&source);
                    (source, task)
                }
            };
            self.running.push(entry);
        }
        for (_, task) in before {
            task.abort();
        }
    }

    fn fetch(&self, from: &KeySource) -> AbortHandle {
        let renewal =
            Renewal { provider: from.provider.clone(), source: from.source.clone(), pace: Pace::of(from.last_good) };
        let shared = Arc::clone(&self.shared);
        let task = async move {
            let mut stages = shared.phase.watch();
            let now = || shared.clock.now();
            // Whoever comes while the gate leaves may have a token of a key that is new.
            authn::keep_fresh(renewal, now, spread, stages.reached(Stage::Over)).await;
        };
        self.runtime.spawn(task).abort_handle()
    }
}

/// Any number, to spread the fetches of many replicas.
fn spread() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the fetches come at the same time; nothing worse.
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_be_bytes(bytes))
}
