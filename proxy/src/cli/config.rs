//! `anteroom config --effective`: what was written, with every default filled in.

use super::{ConfigPath, Exit, complain, print, show};
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    path: ConfigPath,
    /// Fill in every default
    #[arg(long, required = true)]
    effective: bool,
}

pub(super) fn run(args: &ConfigArgs) -> Exit {
    let loaded = match config::load(&args.path.config) {
        Ok(loaded) => loaded,
        Err(faults) => return show(&faults),
    };
    match policy::to_yaml(&loaded.config) {
        Ok(text) => print(&text),
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}
