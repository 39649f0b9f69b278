//! `anteroom run`: the main job.

use std::sync::Arc;

use super::{ConfigPath, Exit, complain, show};
use crate::clock::Clock;
use crate::config;
use crate::server;
use crate::telemetry::log;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    path: ConfigPath,
}

pub(super) fn run(args: &RunArgs) -> Exit {
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
    let exit = serve(plan);
    // Writes what is still waiting.
    drop(log);
    exit
}

fn serve(plan: config::Plan) -> Exit {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("error: cannot listen for signals: {error}"));
            return Exit::Failed;
        }
    };
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
    let signal = signals.wait();
    tracing::info!(target: "anteroom", signal, "stopping");
    match running.stop() {
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

/// SIGTERM and SIGINT.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _inside = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(_inside);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Blocks until one arrives, and names it.
    fn wait(mut self) -> &'static str {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        })
    }
}
