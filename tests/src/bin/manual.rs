//! Writes what is made from the code into this repository: pages of the manual, and the policies of the injector's chart.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let house = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files: Vec<(String, String)> =
        anteroom::manual::pages().into_iter().map(|(name, page)| (format!("docs/{name}"), page)).collect();
    match anteroom::injector::policies::files() {
        Ok(more) => files.extend(more.map(|(name, text)| (name.to_owned(), text))),
        Err(error) => return failed(&error),
    }
    for (name, text) in files {
        if let Err(error) = std::fs::write(house.join(&name), text) {
            return failed(&format!("cannot write `{name}`: {error}"));
        }
        drop(writeln!(std::io::stdout(), "{name}"));
    }
    ExitCode::SUCCESS
}

fn failed(reason: &str) -> ExitCode {
    drop(writeln!(std::io::stderr(), "error: {reason}"));
    ExitCode::FAILURE
}
