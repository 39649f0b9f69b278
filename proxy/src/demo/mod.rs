//! `anteroom demo`: a sample clinic, a development identity provider, certificates, the gate and its record, all on
//! loopback, all in this process, gone when it ends.
//!
//! Decides what runs where and in which order it starts and stops. The gate in it is the real one, started from a
//! configuration file as `run` would start it; nothing in this module judges a request to the clinic.

mod alone;
mod announce;
mod app;
mod client;
mod console;
mod data;
mod error;
mod feed;
mod idp;
mod oidc;
mod pages;
mod personas;
mod place;
mod token;
mod tries;
mod web;

#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use certs::dev::{DevCa, Validity};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing_appender::non_blocking::WorkerGuard;

use self::announce::Whereabouts;
use self::app::{Clinic, Exit};
use self::console::Console;
use self::error::DemoError;
use self::feed::Feed;
use self::oidc::{CLIENT, Codes};
use self::personas::{PERSONAS, REVOKED};
use self::place::Place;
use self::token::{AUDIENCE, Issuer};
use crate::clock::Clock;
use crate::phase;
use crate::server::Running;
use crate::telemetry;

/// Ports that are easy to remember, taken where they are free.
const HTTPS: u16 = 8443;
const CONSOLE: u16 = 8444;
const HEALTH: u16 = 9900;
/// How long the certificates are valid, in days; the demo ends sooner.
const DAYS: u32 = 7;
/// How long the gate may take to get ready, and how often it is asked.
const READY: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(20);
/// How long open connections are waited for when the demo ends.
const GRACE: Duration = Duration::from_secs(2);
/// How long the gate may take to stop, all in all.
const STOP: Duration = Duration::from_secs(10);

/// What `anteroom demo` was asked for.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one line of JSON for scripts as soon as everything is ready, and pick free ports
    #[arg(long)]
    pub json: bool,
    /// The gate's port [default: 8443 where it is free]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// A part of the demo alone.
#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Serve the sample clinic alone, in clear and without a gate, for a trial in a pod
    App(alone::AppArgs),
}

/// Runs the demo until SIGINT, SIGTERM or SIGHUP, and leaves nothing behind.
///
/// Fails (exit code 1, one sentence on standard error) where a port, a folder or the gate cannot be had.
pub fn run(args: &DemoArgs) -> ExitCode {
    let ended = match &args.what {
        None => ran(|| demo(args)),
        Some(What::App(args)) => ran(|| alone::serve(args)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Nobody is left to be told where standard error is closed too.
            drop(writeln!(std::io::stderr().lock(), "error: {fault}"));
            ExitCode::FAILURE
        }
    }
}

fn ran<F: Future<Output = Result<(), DemoError>>>(what: impl FnOnce() -> F) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|detail| DemoError::System { act: "start the demo's thread", detail })?;
    let ended = runtime.block_on(what());
    // A gate that did not stop in time is left to the end of the process.
    runtime.shutdown_background();
    ended
}

async fn demo(args: &DemoArgs) -> Result<(), DemoError> {
    // ORDER: first of all, so that a signal during the start is not lost and the folder is removed after it.
    let mut ending = Ending::listen()?;
    let place = Place::make()?;
    let stage = Stage::set(args, &place, Clock::system()).await?;
    let (config, log) = (place.path("config.yaml"), place.path("anteroom.log"));
    // On a thread of its own: the gate fetches its keys from the provider that this thread serves.
    let (gate, log) = tokio::task::spawn_blocking(move || start_gate(&config, &log))
        .await
        .map_err(|fault| DemoError::Gate(fault.to_string()))??;
    let announced = match ready(&gate).await {
        true => stage.opened(&gate, args.json, &place),
        false => Err(DemoError::Gate(format!("it is not ready after {READY:?}"))),
    };
    if announced.is_ok() {
        let mut stages = gate.shared().phase.watch();
        tokio::select! {
            () = ending.wait() => {}
            // `anteroom drain` ends a demo as it ends a gate.
            () = stages.reached(phase::Stage::Leaving) => {}
        }
    }
    let stopped = tokio::task::spawn_blocking(move || gate.stop(GRACE));
    // A gate that does not stop in time must not keep the folder alive: the process ends either way.
    drop(tokio::time::timeout(STOP, stopped).await);
    drop((log, place));
    announced
}

/// Waits until the gate has fetched the keys: what is announced works.
async fn ready(gate: &Running) -> bool {
    let mut left = READY;
    while !gate.shared().unready().is_empty() {
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(STEP).await;
        left = left.saturating_sub(STEP);
    }
    true
}

/// Starts the real gate from the demo's configuration file, as `run` does, with its operations log in `log`.
fn start_gate(config: &Path, log: &Path) -> Result<(Running, WorkerGuard), DemoError> {
    let plan = crate::config::prepare(config)
        .map_err(|faults| DemoError::Gate(policy::render(&faults.diagnostics, &faults.sources, false)))?;
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(log)
        .map_err(|detail| DemoError::File { path: log.to_owned(), detail })?;
    let guard =
        telemetry::log::start(plan.log_level, file, None).map_err(|fault| DemoError::Gate(fault.to_string()))?;
    let running = crate::server::start(plan, Clock::system()).map_err(|fault| DemoError::Gate(fault.to_string()))?;
    Ok((running, guard))
}

/// Everything around the gate: the application, the identity provider with its page, and the files.
struct Stage {
    console: Arc<Console>,
}

impl Stage {
    /// Writes the files and starts the servers that the gate will need.
    async fn set(args: &DemoArgs, place: &Place, clock: Clock) -> Result<Self, DemoError> {
        let now = clock.now().unix_seconds();
        let app_listener = listener(None).await?;
        let console_listener = listener((!args.json).then_some(CONSOLE)).await?;
        let (app, authority) = (local(&app_listener)?, format!("localhost:{}", local(&console_listener)?.port()));
        let issuer = Issuer::generate(format!("https://{authority}"))?;
        let tls = certificates(place, now)?;
        let tries = tries::all(&issuer, now)?;
        place.folder("as")?;
        for (name, contents) in announce::files(&tries, &issuer, now)? {
            place.write(&name, contents.as_bytes())?;
        }
        write_configuration(args, place, app, issuer.url())?;
        let feed = Arc::new(Feed::new());
        tokio::spawn(feed::follow(Arc::clone(&feed), place.path("audit")));
        open_clinic(app_listener, &authority, Exit::Logout);
        let bare_listener = listener(None).await?;
        let bare = local(&bare_listener)?;
        open_clinic(bare_listener, &authority, Exit::None);
        let console = Arc::new(Console {
            issuer,
            clock,
            tries,
            feed,
            authority,
            app,
            bare,
            connector: tls.connector,
            gate: OnceLock::new(),
            folder: place.root().display().to_string(),
            running: Console::running(),
            codes: Codes::default(),
        });
        let served = Arc::clone(&console);
        tokio::spawn(web::serve(console_listener, Some(tls.acceptor), move |request| {
            Arc::clone(&served).respond(request)
        }));
        Ok(Self { console })
    }

    /// Lets the page know the gate, and prints where everything is.
    fn opened(&self, gate: &Running, json: bool, place: &Place) -> Result<(), DemoError> {
        self.console.gate.get_or_init(|| gate.https());
        let console = self.console.issuer.url();
        let app = format!("http://{}", self.console.app);
        let program = std::env::current_exe().map_or_else(|_| "anteroom".to_owned(), |path| path.display().to_string());
        let at = Whereabouts {
            https: gate.https().port(),
            health: gate.health().port(),
            console,
            app: &app,
            root: place.root(),
            program: &program,
        };
        let mut out = std::io::stdout().lock();
        let tries = &self.console.tries;
        let printed = if json {
            let line = announce::json(&at, tries, &self.console.issuer, self.console.now())?;
            writeln!(out, "{line}")
        } else {
            let color = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
            write!(out, "{}", announce::text(&at, tries, color))
        };
        printed.and_then(|()| out.flush()).map_err(DemoError::Output)
    }
}

/// Serves one sample clinic, with a store of its own.
fn open_clinic(listener: TcpListener, console: &str, exit: Exit) {
    let clinic = Arc::new(Clinic::new(format!("https://{console}/"), exit));
    tokio::spawn(web::serve(listener, None, move |request| Arc::clone(&clinic).respond(request)));
}

/// The signals that end the demo.
struct Ending {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Ending {
    fn listen() -> Result<Self, DemoError> {
        let on = |kind| signal(kind).map_err(|detail| DemoError::System { act: "listen for signals", detail });
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// TLS of the demo's own page, and of the client that runs the tries.
struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

/// Makes a CA and a certificate for this machine's own names, and writes what the gate and `curl` need of them. The
/// CA's key is dropped here: nothing else is ever signed with it.
fn certificates(place: &Place, now: u64) -> Result<Tls, DemoError> {
    let fault = |detail: certs::CertError| DemoError::Crypto { act: "make certificates", detail: detail.to_string() };
    let validity = Validity::days(now, DAYS);
    let ca = DevCa::generate(validity).map_err(fault)?;
    let leaf = ca.issue(&["localhost", "127.0.0.1", "::1"], validity).map_err(fault)?;
    place.write("ca.pem", ca.ca_pem().as_bytes())?;
    place.folder("tls")?;
    place.write("tls/tls.crt", leaf.cert_pem.as_bytes())?;
    place.write("tls/tls.key", leaf.key_pem.as_bytes())?;
    let pair = certs::load_pair(leaf.cert_pem.as_bytes(), leaf.key_pem.as_bytes()).map_err(fault)?;
    let server = certs::server_config(vec![pair]).map_err(fault)?;
    let client = certs::client_config(Some(ca.ca_pem().as_bytes())).map_err(fault)?;
    Ok(Tls { acceptor: TlsAcceptor::from(server), connector: TlsConnector::from(client) })
}

/// Writes `config.yaml`, the policy, the directory, the revocations and the keys for pseudonyms and for the cookies of `login`. Port 0 in it means any free one.
fn write_configuration(args: &DemoArgs, place: &Place, app: SocketAddr, issuer: &str) -> Result<(), DemoError> {
    for name in ["pseudonym.key", "login.key"] {
        place.write(name, key()?.as_bytes())?;
    }
    place.write("directory.yaml", include_bytes!("assets/directory.yaml"))?;
    place.write("revoked.yaml", revoked(issuer).as_bytes())?;
    place.folder("policies")?;
    place.write("policies/clinic.yaml", include_bytes!("assets/policies/clinic.yaml"))?;
    let https = match args.port {
        Some(port) => free(port).map_err(|detail| DemoError::Port { port, detail })?,
        None => friendly(args, HTTPS),
    };
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
    let path = |name: &str| place.path(name).display().to_string();
    let values = [
        ("app", format!("http://{app}")),
        ("https", address(https)),
        ("health", address(friendly(args, HEALTH))),
        ("control", format!("unix:{}", path("control.sock"))),
        ("tls", path("tls")),
        ("issuer", issuer.to_owned()),
        ("audience", AUDIENCE.to_owned()),
        ("client", CLIENT.to_owned()),
        ("login_key", path("login.key")),
        ("directory", path("directory.yaml")),
        // Signing out leads from a form on to the provider, and browsers hold a form to where it ends.
        (
            "csp",
            format!(
                "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self' {issuer}; frame-ancestors 'none'"
            ),
        ),
        ("revoked", path("revoked.yaml")),
        ("ca", path("ca.pem")),
        ("policies", path("policies")),
        ("pseudonym_key", path("pseudonym.key")),
        ("audit", path("audit")),
    ];
    // A JSON text is a YAML text too, whatever the folder is called.
    let quoted: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, json!(value).to_string())).collect();
    let quoted: Vec<(&str, &str)> = quoted.iter().map(|(name, value)| (*name, value.as_str())).collect();
    place.write("config.yaml", web::fill(include_str!("assets/config.yaml"), &quoted).as_bytes())?;
    Ok(())
}

/// 256 random bits in hexadecimal digits.
fn key() -> Result<String, DemoError> {
    let mut key = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut key)
        .map_err(|detail| DemoError::Crypto { act: "make a key", detail: detail.to_string() })?;
    Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The file of revocations: who has left the clinic stays out, however long a token would last.
fn revoked(issuer: &str) -> String {
    let left: String = PERSONAS
        .iter()
        .filter(|one| one.key == REVOKED)
        .map(|one| format!("- {{ issuer: {}, subject: {}, until: 2099-12-31 }}\n", json!(issuer), json!(one.subject)))
        .collect();
    format!("apiVersion: anteroom.dev/v1\nkind: Revocations\nrevoked:\n{left}")
}

/// `port` where it is free and no script asks, else 0: any.
fn friendly(args: &DemoArgs, port: u16) -> u16 {
    if args.json { 0 } else { free(port).unwrap_or(0) }
}

/// `port`, if nobody listens on it now.
fn free(port: u16) -> std::io::Result<u16> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port)
}

/// A listener on loopback: on `preferred` where that is free, else on any port.
async fn listener(preferred: Option<u16>) -> Result<TcpListener, DemoError> {
    if let Some(port) = preferred
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|detail| DemoError::System { act: "listen on loopback", detail })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, DemoError> {
    listener.local_addr().map_err(|detail| DemoError::System { act: "listen on loopback", detail })
}
