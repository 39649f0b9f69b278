//! `anteroom healthcheck`: asks a running gate whether it is ready, or alive; for an image that has no shell and no `curl`.

use std::net::{SocketAddr, ToSocketAddrs as _};

use http::StatusCode;

use super::ask;
use super::{Exit, complain, print};

/// The most addresses of one name that are asked.
const ADDRESSES: usize = 8;

#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {
    /// The address of the probes, as `listen.health` has it, or a name and its port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    address: String,
    /// Ask whether it is alive, not whether traffic should come
    #[arg(long)]
    live: bool,
}

pub(super) fn run(args: &HealthcheckArgs) -> Exit {
    let path = if args.live { "/livez" } else { "/readyz" };
    match asked(&args.address, path) {
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

/// Asks the first address of the name that answers at all.
fn asked(address: &str, path: &str) -> Result<ask::Answer, String> {
    let hint = "give an address or a name, and a port: `127.0.0.1:9900`";
    let found: Result<Vec<SocketAddr>, _> = address.to_socket_addrs().map(Iterator::collect);
    let found = found.map_err(|error| format!("`{address}` is no address: {error}\n  hint: {hint}"))?;
    let mut last = Err(format!("`{address}` has no address\n  hint: {hint}"));
    for one in found.into_iter().take(ADDRESSES) {
        last = ask::probe(one, path);
        if last.is_ok() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for wrong in ["127.0.0.1", "9900", "", "127.0.0.1:port"] {
            let said = asked(wrong, "/readyz").unwrap_err();
            assert!(said.contains("is no address") && said.contains("hint"), "{said}");
        }
    }
}
