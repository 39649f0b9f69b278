//! `anteroom drain`: asks a running gate to leave, as SIGTERM does; for a `preStop` hook.

use http::{Method, StatusCode};

use super::ask::{self, Control};
use super::{Exit, complain, print};

#[derive(Debug, clap::Args)]
pub(super) struct DrainArgs {
    #[command(flatten)]
    control: Control,
}

pub(super) fn run(args: &DrainArgs) -> Exit {
    match ask::control(&args.control, Method::POST, "/drain") {
        Ok(answer) if answer.status == StatusCode::ACCEPTED => print("draining: readiness has fallen\n"),
        Ok(answer) => {
            complain(&format!("error: the gate answered {}", answer.status));
            Exit::Failed
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}
