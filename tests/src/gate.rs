//! A gate, started in this process: its files in a folder of its own, its ports picked by the kernel.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use anteroom::server::Running;
use certs::dev::{DevCa, Validity};
use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::app::App;
use crate::issuer::{AUDIENCE, ISSUER, Issuer};
use crate::until;

/// The policy that most tests go by.
pub const POLICY: &str = include_str!("policy.yaml");

/// Behind [`Setup::provider`]: a second provider with the same keys, for `https://other.example/`, and the audience `other`.
pub const OTHER: &str = "\n    tenants: any\n  other:\n    issuer: https://other.example/\n    audience: [other]\n    \
                         claims: { tenant: org_id, roles: roles }\n    tenants: any\n    jwks: { file: jwks.json }";

/// What a gate is started with; each part is a piece of YAML.
#[derive(Debug)]
pub struct Setup {
    /// The policy file.
    pub policy: String,
    /// The way to the application: `url` and what belongs to it. Left out: the address of the one behind the gate.
    pub way: Option<String>,
    /// The value of `app.hosts`.
    pub hosts: String,
    /// The value of `app.timeouts`.
    pub timeouts: String,
    /// More keys of `app`, a comma before each.
    pub app: String,
    /// The keys of the one provider, beside issuer, audience and keys.
    pub provider: String,
    /// The value of `limits`.
    pub limits: String,
    /// The value of `headers`.
    pub headers: String,
    /// The value of `audit.size`.
    pub audit_size: String,
    /// The value of `log.level`.
    pub log: String,
    /// The value of `drain`.
    pub drain: String,
    /// The value of `listen.health`.
    pub health: String,
    /// More lines at the end of the configuration.
    pub more: String,
    /// More files, each by its path and its text.
    pub files: Vec<(&'static str, String)>,
    /// Where the gate gets its time from.
    pub clock: Clock,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: POLICY.to_owned(),
            way: None,
            hosts: "[clinic.example, other.example]".to_owned(),
            timeouts: "{}".to_owned(),
            app: String::new(),
            provider: "token: [{ header: authorization }, { cookie: __session }]\n    \
                       claims: { tenant: org_id, roles: roles, patient: patient, npi: npi }"
                .to_owned(),
            limits: "{ refused_per_address: { rate: 1000/s, burst: 100000 } }".to_owned(),
            headers: "{}".to_owned(),
            audit_size: "64MiB".to_owned(),
            log: "info".to_owned(),
            drain: "{ delay: 0s }".to_owned(),
            health: "127.0.0.1:0".to_owned(),
            more: String::new(),
            files: Vec::new(),
            clock: Clock::system(),
        }
    }
}

/// A folder with all the files of a gate.
#[derive(Debug)]
pub struct Files {
    root: TempDir,
    /// The development CA, in PEM.
    pub ca: String,
    /// Who signs its tokens.
    pub issuer: Issuer,
}

impl Files {
    /// Writes the files of `setup` for an application at `app`.
    pub fn write(setup: &Setup, app: SocketAddr) -> Self {
        let root = tempfile::Builder::new().prefix("anteroom-e2e-").tempdir().unwrap();
        let issuer = Issuer::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ca = DevCa::generate(Validity::days(now, 3)).unwrap();
        let pair = ca.issue(&["clinic.example", "other.example", "127.0.0.1"], Validity::days(now, 2)).unwrap();
        let files = Self { ca: ca.ca_pem().to_owned(), issuer, root };
        std::fs::create_dir(files.path("tls")).unwrap();
        std::fs::create_dir(files.path("policies")).unwrap();
        files.put("tls/tls.crt", &pair.cert_pem);
        files.put("tls/tls.key", &pair.key_pem);
        files.put("ca.pem", ca.ca_pem());
        files.put("jwks.json", &files.issuer.key.key_set().to_string());
        files.put("pseudonym.key", &"key ".repeat(8));
        files.put("policies/policy.yaml", &setup.policy);
        files.put("config.yaml", &config(setup, app));
        for (name, text) in &setup.files {
            files.put(name, text);
        }
        files
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What is wrong with the configuration, as people are shown it.
    pub fn faults(&self) -> String {
        let faults = anteroom::config::prepare(&self.path("config.yaml")).unwrap_err();
        policy::render(&faults.diagnostics, &faults.sources, false)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file, with the folder that it is in.
    pub fn put(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The record so far: every whole line, as JSON.
    pub fn record(&self) -> Vec<Value> {
        let Ok(entries) = audit::read(self.path("audit")) else { return Vec::new() };
        entries
            .filter_map(|entry| match entry.unwrap() {
                audit::Entry::Line(line) => Some(serde_json::from_str(&line.text).unwrap()),
                audit::Entry::Fault { .. } => None,
            })
            .collect()
    }

    /// The one event of a request; waits for it.
    pub fn event(&self, request: &str) -> Value {
        until("the event of a request", || {
            let mut found: Vec<_> = self.record().into_iter().filter(|event| event["request"] == request).collect();
            assert!(found.len() <= 1, "more than one event: {found:?}");
            found.pop()
        })
    }
}

/// The configuration file.
pub fn config(setup: &Setup, app: SocketAddr) -> String {
    let Setup {
        hosts,
        timeouts,
        app: more_of_app,
        provider,
        limits,
        headers,
        audit_size,
        log,
        drain,
        health,
        more,
        ..
    } = setup;
    let mut text = String::from("apiVersion: anteroom.dev/v1\nkind: Config\nworkers: 2\n");
    let way = setup.way.clone().unwrap_or_else(|| format!("url: \"http://{app}\""));
    writeln!(text, "app: {{ {way}, hosts: {hosts}, timeouts: {timeouts}{more_of_app} }}").unwrap();
    writeln!(text, "listen: {{ https: \"127.0.0.1:0\", health: \"{health}\", control: \"unix:control.sock\" }}")
        .unwrap();
    text.push_str("tls: { certificates: [{ directory: tls }] }\nproviders:\n  clinic:\n");
    writeln!(text, "    issuer: {ISSUER}\n    audience: [{AUDIENCE}]\n    jwks: {{ file: jwks.json }}").unwrap();
    writeln!(text, "    {provider}").unwrap();
    writeln!(text, "policies: policies\nlimits: {limits}\nheaders: {headers}\ndrain: {drain}").unwrap();
    writeln!(text, "redact: {{ pseudonym_key: {{ file: pseudonym.key }} }}").unwrap();
    writeln!(text, "audit: {{ directory: audit, size: {audit_size} }}\nlog: {{ level: {log} }}").unwrap();
    text.push_str(more);
    text
}

/// A gate that runs, with the application behind it.
pub struct Gate {
    /// Its files.
    pub files: Files,
    /// The application behind it.
    pub app: App,
    /// The gate itself; `None` once stopped.
    pub running: Option<Running>,
    /// Where clients come to.
    pub https: SocketAddr,
    /// Where probes come to.
    pub health: SocketAddr,
}

impl Gate {
    /// A gate as most tests want it.
    pub fn plain() -> Self {
        Self::start(Setup::default(), App::plain())
    }

    /// A gate with `setup` before `app`.
    pub fn start(setup: Setup, app: App) -> Self {
        Self::start_at(setup, app, None)
    }

    /// A gate that believes its application to be at `elsewhere`.
    pub fn start_at(setup: Setup, app: App, elsewhere: Option<SocketAddr>) -> Self {
        let files = Files::write(&setup, elsewhere.unwrap_or(app.address));
        Self::start_with(files, app, setup.clock)
    }

    /// A gate with these files before `app`.
    pub fn start_with(files: Files, app: App, clock: Clock) -> Self {
        let plan = anteroom::config::prepare(&files.path("config.yaml")).unwrap_or_else(|faults| {
            panic!("{}", policy::render(&faults.diagnostics, &faults.sources, false));
        });
        let running = anteroom::server::start(plan, clock).unwrap();
        let (https, health) = (running.https(), running.health());
        until("the workers to listen", || running.shared().phase.is_started().then_some(()));
        Self { files, app, running: Some(running), https, health }
    }

    /// Who signs its tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.files.issuer
    }

    /// The gate's clock.
    pub fn clock(&self) -> &Clock {
        &self.running.as_ref().unwrap().shared().clock
    }

    /// What the health listener answers: the whole answer, head and body.
    pub fn probe(&self, path: &str) -> String {
        probe(self.health, path)
    }

    /// The value of a metric: the sum of the lines of `name` that hold every one of `labels`.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(self.health, name, labels)
    }

    /// Stops it, within its own grace.
    pub async fn stop(&mut self) {
        let running: Running = self.running.take().unwrap();
        let stopped = tokio::task::spawn_blocking(move || running.stop(std::time::Duration::MAX));
        crate::soon("the gate to stop", stopped).await.unwrap().unwrap();
    }

    /// Shared state, for the record's health.
    pub fn shared(&self) -> &Arc<anteroom::shared::Shared> {
        self.running.as_ref().unwrap().shared()
    }
}

/// A gate that a test leaves running is cut before the test's process ends: a thread that still asks for randomness then makes
/// AWS-LC abort the process, which clears its state at exit.
impl Drop for Gate {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        // A thread of its own, since this one may be within a runtime.
        let cut = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // What its disk did not take is what some tests are about.
            runtime.block_on(running.drain(std::future::ready(()), std::future::ready(()))).ok();
        });
        if cut.join().is_err() && !std::thread::panicking() {
            panic!("the gate did not end");
        }
    }
}

/// Asks a health listener.
pub fn probe(address: SocketAddr, path: &str) -> String {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n"))
}

/// Sends a request, and reads all that comes.
pub fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The value of a metric: the sum of the lines of `name` that hold every one of `labels`.
pub fn metric(address: SocketAddr, name: &str, labels: &[(&str, &str)]) -> f64 {
    let text = probe(address, "/metrics");
    let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && matches!(line.as_bytes().get(name.len()), Some(b' ' | b'{')));
    lines
        .filter(|line| wanted.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}
