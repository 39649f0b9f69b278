//! The program: parse the arguments, call one command, end with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    anteroom::cli::main()
}
