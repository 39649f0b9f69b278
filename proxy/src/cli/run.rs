//! `anteroom run`: the main job.

use std::convert::Infallible;
use std::sync::Arc;

use policy::units::Period;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{ConfigPath, Exit, complain, show};
use crate::clock::Clock;
use crate::config;
use crate::phase::{Stage, Stages};
use crate::server::{self, Reload};
use crate::telemetry::log;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    path: ConfigPath,
}

pub(super) fn run(args: &RunArgs) -> Exit {
    // ORDER: before anything else. As the first process of a container the gate gets no signal that it does not listen for,
    // and one that came while it read its files would be lost.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("error: cannot listen for signals: {error}"));
            return Exit::Failed;
        }
    };
    let plan = match config::prepare(&args.path.config) {
        Ok(plan) => plan,
        Err(faults) => return show(&faults),
    };
    let outbox = plan.telemetry.as_ref().map(|telemetry| Arc::clone(&telemetry.outbox));
    let log = match log::start(plan.log_level, std::io::stdout(), outbox) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("error: cannot start the log: {error}"));
            return Exit::Failed;
        }
    };
    for warning in &plan.warnings {
        tracing::warn!(target: "anteroom", detail = warning.message, "configuration");
    }
    let exit = serve(plan, signals);
    // Writes what is still waiting.
    drop(log);
    exit
}

fn serve(plan: config::Plan, mut signals: Signals) -> Exit {
    let policy = plan.runtime.policy_digest.to_string();
    let running = match server::start(plan, Clock::system()) {
        Ok(running) => running,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::Failed;
        }
    };
    let address = running.https().to_string();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(target: "anteroom", address, policy, version, "serving");
    let reload = running.reloads();
    let stages = running.shared().phase.watch();
    let runtime = signals.runtime;
    let reason = runtime.block_on(signals.asked.wait(stages, &reload));
    let times = running.shared().runtime.load().drain;
    let (delay, deadline) = (Period(times.delay), Period(times.deadline));
    let detail = format!("still serving for {delay}, all ended after {deadline}");
    tracing::info!(target: "anteroom", signal = reason, detail, "leaving");
    let left = runtime.block_on(async {
        let (count, counted) = watch::channel(usize::from(reason != BY_SOCKET));
        let came = |signals: usize| {
            let mut counted = counted.clone();
            async move { drop(counted.wait_for(|seen| *seen >= signals).await) }
        };
        tokio::select! {
            left = running.drain(came(1), came(2)) => left,
            never = signals.asked.count(count) => match never {},
        }
    });
    match left {
        Ok(()) => {
            tracing::info!(target: "anteroom", "stopped");
            Exit::Done
        }
        Err(error) => {
            tracing::error!(target: "anteroom", error = error.to_string(), "the record could not be flushed");
            Exit::Failed
        }
    }
}

/// The signals that the gate listens to, and the runtime that they arrive in.
struct Signals {
    runtime: tokio::runtime::Runtime,
    asked: Asked,
}

/// SIGTERM and SIGINT, which ask the gate to leave; SIGHUP, which asks for a reload.
struct Asked {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What made the gate leave, where no signal did.
const BY_SOCKET: &str = "the control socket";

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let asked = Asked {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        drop(inside);
        Ok(Self { runtime, asked })
    }
}

impl Asked {
    /// Waits until the gate is asked to leave, and says by what; passes on every wish for a reload until then.
    async fn wait(&mut self, mut stages: Stages, reload: &Reload) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                () = stages.reached(Stage::Leaving) => return BY_SOCKET,
                _ = self.hang_up.recv() => reload.ask(),
            }
        }
    }

    /// Counts the signals that ask the gate to leave: the first ends a drain that the control socket began, the second cuts.
    async fn count(mut self, came: watch::Sender<usize>) -> Infallible {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            came.send_modify(|count| *count += 1);
        }
    }
}
