//! `anteroom injector`: the admission webhook, and the policies of Kubernetes' own that do its work or guard it.
//!
//! It decides what its flags mean, and how the webhook starts and ends. What is injected is said as for `anteroom inject`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use inject::Settings;
use policy::units::Period;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::inject::SidecarArgs;
use super::{Exit, complain, print};
use crate::clock::Clock;
use crate::config::raw::LogLevel;
use crate::injector::{self, Keeper, Place, Plan, Source, policies};
use crate::telemetry::log;

#[derive(Debug, clap::Args)]
pub(super) struct InjectorArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Answer the API server: pods get the sidecar when they are created
    Serve(Box<ServeArgs>),
    /// Print a MutatingAdmissionPolicy that does the same without a webhook (Kubernetes 1.36)
    Policy(Box<PolicyArgs>),
    /// Print a ValidatingAdmissionPolicy that refuses pods without the sidecar
    Guard(GuardArgs),
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// Where the API server calls, over TLS
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:10250")]
    listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are, in clear
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:9900")]
    health: SocketAddr,
    /// A folder with `tls.crt` and `tls.key`, looked at once a second
    #[arg(long, value_name = "FOLDER", required_unless_present = "own", conflicts_with = "own")]
    tls: Option<PathBuf>,
    #[command(flatten)]
    own: OwnArgs,
    /// How long it still answers as before once it was told to end
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    drain_delay: Period,
    /// When what is still open is cut, counted from the same moment
    #[arg(long, value_name = "DURATION", default_value = "20s")]
    drain_deadline: Period,
    /// The least level that is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    log_level: LogLevel,
}

/// The certificate that the injector makes for itself.
#[derive(Debug, clap::Args)]
struct OwnArgs {
    /// Make the certificate, keep it in a Secret, and tell the API server of its authority
    #[arg(long = "self", requires = "namespace")]
    own: bool,
    /// The namespace of Secret and Service
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The Secret
    #[arg(long, value_name = "NAME", default_value = "anteroom-injector-tls")]
    secret: String,
    /// The Service that the API server calls
    #[arg(long, value_name = "NAME", default_value = "anteroom-injector")]
    service: String,
    /// The MutatingWebhookConfiguration
    #[arg(long, value_name = "NAME", default_value = "anteroom-injector")]
    webhook: String,
    /// The API server
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc")]
    api: String,
    /// The folder with `token` and `ca.crt` of the service account
    #[arg(long, value_name = "FOLDER", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    account: PathBuf,
}

#[derive(Debug, clap::Args)]
struct PolicyArgs {
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// The namespace of the policy's parameters
    #[arg(long, value_name = "NAME", default_value = "anteroom-system")]
    namespace: String,
}

#[derive(Debug, clap::Args)]
struct GuardArgs {
    /// The namespace of the policy's parameter
    #[arg(long, value_name = "NAME", default_value = "anteroom-system")]
    namespace: String,
    /// The sidecar's image with its registry, without tag and digest; other images are no sidecar
    #[arg(long, value_name = "REPOSITORY", value_parser = with_registry)]
    repository: String,
    /// Let ephemeral containers (`kubectl debug`) in, which reach the app beside the sidecar
    #[arg(long)]
    allow_ephemeral: bool,
}

/// `anteroom` alone would let in `anteroom:5000/other/image`.
fn with_registry(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((registry, name)) if !registry.is_empty() && !name.is_empty() && !text.contains('@') => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err("name the registry too, as in `registry.example/anteroom`".to_owned()),
    }
}

fn level(word: &str) -> Result<LogLevel, String> {
    serde_json::from_value(word.into()).map_err(|_| "one of error, warn, info, debug, trace".to_owned())
}

pub(super) fn run(args: &InjectorArgs) -> Exit {
    match &args.what {
        What::Serve(args) => serve(args),
        What::Guard(args) => print(&policies::guard(&args.repository, args.allow_ephemeral, &args.namespace)),
        What::Policy(args) => match args.sidecar.settings() {
            Err(exit) => exit,
            Ok(settings) => match policies::mutating(&settings, &args.namespace) {
                Ok(text) => print(&text),
                Err(reason) => invalid(&reason),
            },
        },
    }
}

fn invalid(reason: &str) -> Exit {
    complain(&format!("error: {reason}"));
    Exit::Invalid
}

fn plan(args: &ServeArgs, settings: Settings) -> Result<Plan, String> {
    let (delay, deadline) = (args.drain_delay.0, args.drain_deadline.0);
    if delay >= deadline || deadline > Duration::from_secs(600) {
        return Err("`--drain-deadline` must come after `--drain-delay`, and within 10m".to_owned());
    }
    let source = match (&args.tls, &args.own.namespace) {
        (Some(folder), _) => Source::Files(folder.clone()),
        (None, Some(namespace)) => Source::Own(Box::new(Keeper::new(Place {
            api: args.own.api.clone(),
            account: args.own.account.clone(),
            namespace: namespace.clone(),
            secret: args.own.secret.clone(),
            service: args.own.service.clone(),
            webhook: args.own.webhook.clone(),
        })?)),
        (None, None) => return Err("`--self` needs `--namespace`".to_owned()),
    };
    Ok(Plan { https: args.listen, health: args.health, source, settings, delay, deadline })
}

fn serve(args: &ServeArgs) -> Exit {
    // ORDER: before anything else. As the first process of a container the injector gets no signal that it does not listen
    // for, and one that came while it read its files would be lost.
    let (runtime, signals) = match listen() {
        Ok(listening) => listening,
        Err(error) => {
            complain(&format!("error: cannot listen for signals: {error}"));
            return Exit::Failed;
        }
    };
    let settings = match args.sidecar.settings() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let plan = match plan(args, settings) {
        Ok(plan) => plan,
        Err(reason) => return invalid(&reason),
    };
    let log = match log::start(args.log_level, std::io::stdout(), None) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("error: cannot start the log: {error}"));
            return Exit::Failed;
        }
    };
    let exit = match runtime.block_on(served(plan, signals)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&format!("error: the injector cannot listen: {error}"));
            Exit::Failed
        }
    };
    // Writes what is still waiting.
    drop(log);
    exit
}

/// A runtime, and the signals that ask the injector to leave, which arrive in it.
fn listen() -> std::io::Result<(Runtime, [Signal; 2])> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    drop(inside);
    Ok((runtime, signals))
}

async fn served(plan: Plan, mut signals: [Signal; 2]) -> std::io::Result<()> {
    let running = injector::start(plan, Clock::system())?;
    let (address, version) = (running.https().to_string(), env!("CARGO_PKG_VERSION"));
    tracing::info!(target: "anteroom", address, version, "the injector serves");
    any(&mut signals).await;
    tracing::info!(target: "anteroom", "the injector leaves");
    running.drain(any(&mut signals)).await;
    tracing::info!(target: "anteroom", "stopped");
    Ok(())
}

/// Waits for the next signal.
async fn any(signals: &mut [Signal; 2]) {
    let [terminate, interrupt] = signals;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
