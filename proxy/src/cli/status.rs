//! `anteroom status`: asks a running gate over its control socket.

use http::Method;

use super::ask::{self, Control};
use super::{Exit, complain, print};

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    control: Control,
}

pub(super) fn run(args: &StatusArgs) -> Exit {
    match ask::control(&args.control, Method::GET, "/status").and_then(|answer| ask::pretty(&answer.text)) {
        Ok(text) => print(&text),
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}
