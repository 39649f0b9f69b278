//! `anteroom check`: everything that `run` would refuse, by the very same code, and what has gone stale since.

use clap::ValueEnum;

use super::{ConfigPath, Exit, print, show};
use crate::clock::Clock;
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    path: ConfigPath,
    /// How faults are written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the line underlined, on standard error
    Human,
    /// One JSON array on standard output
    Json,
}

pub(super) fn run(args: &CheckArgs) -> Exit {
    let prepared = config::prepare(&args.path.config).and_then(|plan| {
        let diagnostics = plan.stale(Clock::system().now().unix_seconds());
        if diagnostics.is_empty() { Ok(plan) } else { Err(config::Faults { sources: plan.sources, diagnostics }) }
    });
    match (prepared, args.format) {
        (Ok(plan), Format::Json) => print(&format!("{}\n", policy::to_json(&plan.warnings, &plan.sources))),
        (Ok(plan), Format::Human) => print(&summary(&plan)),
        (Err(faults), Format::Human) => show(&faults),
        (Err(faults), Format::Json) => {
            print(&format!("{}\n", policy::to_json(&faults.diagnostics, &faults.sources)));
            Exit::Invalid
        }
    }
}

fn summary(plan: &config::Plan) -> String {
    let runtime = &plan.runtime;
    let routes = runtime.policy.routes().count();
    let roles = runtime.policy.roles().count();
    let names: Vec<&str> = runtime.providers.iter().map(|provider| provider.authn.name()).collect();
    let warnings = policy::render(&plan.warnings, &plan.sources, false);
    format!(
        "{warnings}ok: {routes} routes, {roles} roles, providers: {}, hosts: {}\npolicy {}\n",
        if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        runtime.hosts.join(", "),
        runtime.policy_digest,
    )
}
