//! The built binary, as a user runs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::app::App;
use crate::gate::{Files, Setup};
use crate::{PATIENCE, until};

/// The binary beside the test's own, which `./test` builds before, or another one that `$ANTEROOM` names.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("ANTEROOM") {
        // Absolute, since it is run from other folders.
        let path = std::path::absolute(path).unwrap();
        assert!(path.exists(), "`$ANTEROOM` names no file: `{}`", path.display());
        return path;
    }
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("anteroom");
    assert!(path.exists(), "no `{}`: run `cargo build -p anteroom`", path.display());
    path
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a command to its end in `folder`.
pub fn run(folder: &Path, arguments: &[&str]) -> Said {
    let mut process = Process::start(folder, arguments);
    let status = process.end();
    Said { code: status.code(), out: process.out(), err: process.err() }
}

/// A command that runs.
pub struct Process {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts a command in `folder`.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_as(Command::new(binary()).current_dir(folder).args(arguments))
    }

    /// Starts a prepared command.
    pub fn start_as(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            gather(child.stdout.take().unwrap(), Arc::clone(&out)),
            gather(child.stderr.take().unwrap(), Arc::clone(&err)),
        ];
        Self { child, out, err, readers }
    }

    /// Its standard output so far.
    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Its standard error so far.
    pub fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// The first line of standard output that `pick` takes.
    pub fn line<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        self.found(what, |out| out.lines().find_map(&pick))
    }

    /// What `pick` finds in standard output.
    pub fn found<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        until(what, || {
            if let Some(found) = pick(&self.out()) {
                return Some(found);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status} before {what}:\n{}{}", self.out(), self.err());
            }
            None
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever held, in bytes.
    pub fn peak(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends it a signal: `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, and for all that it said.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE * 2, "it does not end:\n{}{}", self.out(), self.err());
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn gather(from: impl std::io::Read + Send + 'static, into: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            if lines.by_ref().read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return;
            }
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
        }
    })
}

/// A gate that runs as a process, with an application behind it.
pub struct Served {
    /// Its files.
    pub files: Files,
    /// The application behind it.
    pub app: App,
    /// The process.
    pub process: Process,
    /// Where clients come to.
    pub https: SocketAddr,
    /// Where probes come to.
    pub health: SocketAddr,
}

impl Served {
    /// Runs a gate with `setup` before `app`.
    pub fn start(mut setup: Setup, app: App) -> Self {
        let health = free_port();
        setup.health = health.to_string();
        Self::start_with(Files::write(&setup, app.address), app, health)
    }

    /// Runs a gate with these files, which name `health`, before `app`.
    pub fn start_with(files: Files, app: App, health: SocketAddr) -> Self {
        Self::start_as(&mut Command::new(binary()), files, app, health)
    }

    /// The same with variables in its environment.
    pub fn start_in(environment: &[(&str, &str)], mut setup: Setup, app: App) -> Self {
        let health = free_port();
        setup.health = health.to_string();
        let mut command = Command::new(binary());
        command.envs(environment.iter().copied());
        Self::start_as(&mut command, Files::write(&setup, app.address), app, health)
    }

    /// The same by a prepared command, which still lacks what `anteroom` is to do.
    pub fn start_as(command: &mut Command, files: Files, app: App, health: SocketAddr) -> Self {
        let command = command.current_dir(files.root()).args(["run", "--config", "config.yaml"]);
        let mut process = Process::start_as(command);
        let control = files.path("control.sock");
        let https = process.found("the gate to serve", |out| {
            let lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let logged = lines.into_iter().find(|line| line["message"] == "serving");
            // A log that says only what is wrong does not say where the gate serves; the control socket does.
            let told = logged.map(|line| line["address"].clone()).or_else(|| {
                let said = control.exists().then(|| run(files.root(), &["status", "--control", "control.sock"]))?;
                Some(serde_json::from_str::<Value>(&said.out).ok()?["https"].clone())
            })?;
            told.as_str()?.parse().ok()
        });
        Self { files, app, process, https, health }
    }

    /// The lines of the log so far.
    pub fn log(&self) -> Vec<Value> {
        let out = self.process.out();
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}

/// An address on loopback that was free a moment ago.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
