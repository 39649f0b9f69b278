//! `anteroom schema`: the form of the files, for editors.

use clap::ValueEnum;

use super::{Exit, complain, print};
use crate::config::RawPeople;
use crate::config::raw::RawConfig;

#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Which file
    #[arg(value_enum)]
    file: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum File {
    /// The configuration
    Config,
    /// A policy file
    Policy,
    /// The file of a directory of subjects
    Directory,
    /// The settings of `inject`
    Injection,
}

pub(super) fn run(args: &SchemaArgs) -> Exit {
    let schema = match args.file {
        File::Config => policy::schema_of::<RawConfig>(),
        File::Directory => policy::schema_of::<RawPeople>(),
        File::Injection => policy::schema_of::<inject::RawInjection>(),
        File::Policy => policy::schema_of::<policy::RawPolicy>(),
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}
