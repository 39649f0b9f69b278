//! `anteroom healthcheck`: asks a running gate whether it is ready, or alive; for an image that has no shell and no `curl`.

use std::net::SocketAddr;

use http::StatusCode;

use super::ask;
use super::{Exit, complain, print};

#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {
    /// The address of the probes, as `listen.health` has it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    address: SocketAddr,
    /// Ask whether it is alive, not whether traffic should come
    #[arg(long)]
    live: bool,
}

pub(super) fn run(args: &HealthcheckArgs) -> Exit {
    let path = if args.live { "/livez" } else { "/readyz" };
    match ask::probe(args.address, path) {
        Ok(answer) if answer.status == StatusCode::OK => print(&answer.text),
        Ok(answer) => {
            complain(answer.text.trim_end());
            Exit::Failed
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}
