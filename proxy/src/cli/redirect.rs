//! `anteroom redirect`: for an init container, before the application runs; leads who comes to its port to the gate.

use super::{Exit, complain, print};
use crate::redirect;

/// The most ports of one application.
const PORTS: usize = 16;

#[derive(Debug, clap::Args)]
pub(super) struct RedirectArgs {
    /// The application's ports, at most 16
    #[arg(long, value_name = "PORT,..", required = true, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// The gate's port, as `listen.https` has it
    #[arg(long, value_name = "PORT", default_value_t = 8443, value_parser = clap::value_parser!(u16).range(1..))]
    to: u16,
}

pub(super) fn run(args: &RedirectArgs) -> Exit {
    if args.ports.contains(&args.to) {
        complain(&format!("error: {} is the gate's own port\n  hint: name the ports of the application", args.to));
        return Exit::Invalid;
    }
    if args.ports.len() > PORTS {
        complain(&format!("error: {} ports are more than {PORTS}", args.ports.len()));
        return Exit::Invalid;
    }
    match redirect::redirect(&args.ports, args.to) {
        Ok(()) => {
            let ports: Vec<String> = args.ports.iter().map(u16::to_string).collect();
            print(&format!("redirected: TCP to {} reaches {}, but for loopback\n", ports.join(", "), args.to))
        }
        Err(error) => {
            complain(&format!("error: {error}\n  hint: {}", error.hint()));
            Exit::Failed
        }
    }
}
