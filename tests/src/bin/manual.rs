//! Writes the pages of the manual that are made from the code, into `docs/` of this repository.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    for (name, page) in anteroom::manual::pages() {
        if let Err(error) = std::fs::write(docs.join(name), page) {
            drop(writeln!(std::io::stderr(), "error: cannot write `docs/{name}`: {error}"));
            return ExitCode::FAILURE;
        }
        drop(writeln!(std::io::stdout(), "docs/{name}"));
    }
    ExitCode::SUCCESS
}
