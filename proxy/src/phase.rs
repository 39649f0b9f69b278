//! Where a process stands in its life, and who waits for it to go on.
//!
//! It decides nothing: a signal, the control socket or whoever holds the gate moves it on, and it never goes back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

/// The end of a process, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It serves.
    Serving,
    /// Readiness has fallen; whoever comes is still served as before, until the news is everywhere.
    Leaving,
    /// Every answer says that the connection ends (`Connection: close`, GOAWAY), and silent connections are closed.
    Closing,
    /// The listeners close as soon as those have gone who are here.
    Emptying,
    /// What is still open is cut.
    Cutting,
    /// No worker is left.
    Over,
}

/// Where a process stands.
#[derive(Debug)]
pub struct Phase {
    listening: AtomicUsize,
    started: AtomicBool,
    stage: watch::Sender<Stage>,
}

impl Default for Phase {
    fn default() -> Self {
        let (stage, _) = watch::channel(Stage::Serving);
        Self { listening: AtomicUsize::new(0), started: AtomicBool::new(false), stage }
    }
}

impl Phase {
    /// One more worker accepts connections.
    pub fn worker_listens(&self, workers: usize) {
        if self.listening.fetch_add(1, Ordering::AcqRel) + 1 >= workers {
            self.started.store(true, Ordering::Release);
        }
    }

    /// Whether every worker accepts connections. Never waits for the application or for a provider.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Goes on to `stage`; a stage that was reached before is left alone.
    pub fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let further = stage > *now;
            if further {
                *now = stage;
            }
            further
        });
    }

    /// The stage that was reached.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Whether the process is on its way out: readiness is down and stays down.
    pub fn is_leaving(&self) -> bool {
        self.stage() >= Stage::Leaving
    }

    /// Something to wait with.
    pub fn watch(&self) -> Stages {
        Stages(self.stage.subscribe())
    }
}

/// Waits for stages.
#[derive(Clone, Debug)]
pub struct Stages(watch::Receiver<Stage>);

impl Stages {
    /// Ends when `stage` or a later one is reached, at once where it was before. Nothing is lost when the wait is given up.
    pub async fn reached(&mut self, stage: Stage) {
        // The guard that `wait_for` hands out must not live across an await. Without a sender the process is over.
        drop(self.0.wait_for(|now| *now >= stage).await);
    }

    /// Whether `stage` or a later one is reached.
    pub fn has_reached(&self, stage: Stage) -> bool {
        *self.0.borrow() >= stage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let phase = Phase::default();
        let stages = phase.watch();
        phase.advance(Stage::Closing);
        phase.advance(Stage::Leaving);
        assert_eq!(phase.stage(), Stage::Closing);
        assert!(phase.is_leaving() && stages.has_reached(Stage::Leaving) && !stages.has_reached(Stage::Cutting));
    }
}
