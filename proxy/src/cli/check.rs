//! `anteroom check`: everything that `run` would refuse, by the very same code.

use clap::ValueEnum;

use super::{ConfigPath, Exit, print, show};
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
    match (config::prepare(&args.path.config), args.format) {
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
