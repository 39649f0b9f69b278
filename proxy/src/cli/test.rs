//! `anteroom test`: the tests that stand in the policy files, decided by the functions that decide requests.
//!
//! It reads the configuration and its policies and needs nothing else that the configuration names: no certificate, no
//! key, no application.

use super::{ConfigPath, Exit, print, show};
use crate::clock::Clock;
use crate::config::{self, Faults};
use crate::pipeline::explain::case;
use policy::{Came, Case, Diagnostic, Sources};

#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    path: ConfigPath,
    /// Fail, too, where a method of a route has no test that passes it
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &TestArgs) -> Exit {
    let loaded = match config::load(&args.path.config) {
        Ok(loaded) => loaded,
        Err(faults) => return show(&faults),
    };
    let (policy, cases) = match (policy::compile(&loaded.policies), policy::cases(&loaded.policies)) {
        (Ok(policy), Ok(cases)) => (policy, cases),
        (Err(diagnostics), _) | (Ok(_), Err(diagnostics)) => {
            return show(&Faults { sources: loaded.sources, diagnostics });
        }
    };
    let reading = config::reading(&loaded.config.app);
    let now = Clock::system().now().unix_seconds();
    let ran: Vec<(Case, Came)> = cases
        .into_iter()
        .map(|one| {
            let came = case(&policy, reading, &one, now);
            (one, came)
        })
        .collect();
    let failed: Vec<&(Case, Came)> = ran.iter().filter(|(case, came)| !came.is(case.expect())).collect();
    let came: Vec<Came> = ran.iter().map(|(_, came)| came.clone()).collect();
    let open = policy::uncovered(&policy, &came);
    let text = format!(
        "{}{}tests: {}, failed: {}\n",
        failures(&failed, &loaded.sources),
        coverage(&open, args.strict),
        ran.len(),
        failed.len()
    );
    match (print(&text), failed.is_empty() && (open.is_empty() || !args.strict)) {
        (Exit::Done, false) => Exit::Failed,
        (exit, _) => exit,
    }
}

/// Each failure at the place of what it expected, with what came instead and why.
fn failures(failed: &[&(Case, Came)], sources: &Sources) -> String {
    let faults: Vec<Diagnostic> = failed
        .iter()
        .map(|(case, came)| {
            let observed = if came.observed { " (the route only observes)" } else { "" };
            let message = format!(
                "test `{}`: {} {} came out as `{}`{observed}",
                case.name(),
                case.method(),
                case.target(),
                came.code
            );
            Diagnostic::error("test", case.expect_span(), message).help(came.says.clone())
        })
        .collect();
    if faults.is_empty() {
        String::new()
    } else {
        format!("{}\n\n", policy::render(&faults, sources, false).trim_end())
    }
}

fn coverage(open: &[(String, String)], strict: bool) -> String {
    if open.is_empty() {
        return String::new();
    }
    let mut text = format!("{}: no test passes\n", if strict { "error" } else { "note" });
    for (route, method) in open {
        text.push_str(&format!("  {method} of route `{route}`\n"));
    }
    text.push('\n');
    text
}
