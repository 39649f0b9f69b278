//! The command line: one file per command.
//!
//! Decides what the words on it mean and how a command ends. It does nothing that a command could do.

mod ask;
mod check;
mod config;
mod dev;
mod drain;
mod explain;
mod healthcheck;
mod inject;
mod injector;
mod redirect;
mod revoke;
mod run;
mod schema;
mod status;
mod test;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Faults;
use crate::demo;

/// A zero-trust gate in front of one application: TLS 1.3, identity, tenant, roles, limits, and a record of it all
#[derive(Debug, Parser)]
#[command(name = "anteroom", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything on this machine: a sample clinic, a sign-in, the gate, its record
    Demo(demo::DemoArgs),
    /// Serve: stand in front of the application
    Run(run::RunArgs),
    /// Say everything that `run` would refuse, with places and hints
    Check(check::CheckArgs),
    /// Print a JSON Schema for editors
    Schema(schema::SchemaArgs),
    /// Print the configuration with every default filled in
    Config(config::ConfigArgs),
    /// Say step by step why a request is allowed or denied
    Explain(explain::ExplainArgs),
    /// Run the tests that stand in the policy files
    Test(test::TestArgs),
    /// Ask a running gate what it enforces right now
    Status(status::StatusArgs),
    /// Ask a running gate to leave: what is open ends first
    Drain(drain::DrainArgs),
    /// Tell a running gate that a session, a subject or a token has ended
    Revoke(revoke::RevokeArgs),
    /// Ask a running gate whether it is ready: the exit code says it
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Put the gate into the pods of Kubernetes manifests
    Inject(inject::InjectArgs),
    /// Give pods their sidecar when they are created: a webhook for Kubernetes, or policies for it
    Injector(injector::InjectorArgs),
    /// Lead who comes to the application's port to the gate: for an init container with NET_ADMIN
    Redirect(redirect::RedirectArgs),
    /// Make certificates and tokens for development
    Dev(dev::DevArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, clap::Args)]
struct ConfigPath {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "/etc/anteroom/config/config.yaml")]
    config: PathBuf,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It did what it was asked for.
    Done,
    /// Something failed while it ran.
    Failed,
    /// What it was given is not valid; nothing was started.
    Invalid,
    /// It did what it was asked for, and the answer is no.
    Denied,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::Invalid => ExitCode::from(2),
            Exit::Denied => ExitCode::from(3),
        }
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    // The one provider of TLS and cryptography; a second call would fail, and there is none.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    match Arguments::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args).into(),
        Command::Check(args) => check::run(&args).into(),
        Command::Schema(args) => schema::run(&args).into(),
        Command::Config(args) => config::run(&args).into(),
        Command::Explain(args) => explain::run(&args).into(),
        Command::Test(args) => test::run(&args).into(),
        Command::Status(args) => status::run(&args).into(),
        Command::Drain(args) => drain::run(&args).into(),
        Command::Revoke(args) => revoke::run(&args).into(),
        Command::Healthcheck(args) => healthcheck::run(&args).into(),
        Command::Inject(args) => inject::run(&args).into(),
        Command::Injector(args) => injector::run(&args).into(),
        Command::Redirect(args) => redirect::run(&args).into(),
        Command::Dev(args) => dev::run(&args).into(),
    }
}

/// Writes to standard output. A reader that has gone away ends the command, not with a panic.
fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Failed,
    }
}

/// Writes to standard error; with nobody to read it, nothing is left to be done.
fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Shows faults the way compilers do, and says how many there are.
fn show(faults: &Faults) -> Exit {
    let text = policy::render(&faults.diagnostics, &faults.sources, std::io::stderr().is_terminal());
    let errors = faults.diagnostics.iter().filter(|one| one.is_error()).count();
    let noun = if errors == 1 { "fault" } else { "faults" };
    complain(&format!("{}\n\n{errors} {noun}; nothing was started", text.trim_end()));
    Exit::Invalid
}
