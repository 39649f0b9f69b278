//! Why the demo could not start or go on: one sentence each for the person at the terminal.
//!
//! Never carries a token or a key.

use std::fmt;
use std::path::PathBuf;

/// Why the demo ended early.
#[derive(Debug)]
pub(super) enum DemoError {
    /// The port that was asked for on the command line is in use.
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        detail: std::io::Error,
    },
    /// No loopback address could be listened on, or no thread started.
    System {
        /// What was tried, for example "listen on loopback".
        act: &'static str,
        /// What the system said.
        detail: std::io::Error,
    },
    /// A file of the demo's private folder could not be written.
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        detail: std::io::Error,
    },
    /// A key, a token or a certificate could not be made.
    Crypto {
        /// What was tried, for example "make a signing key".
        act: &'static str,
        /// What the library said.
        detail: String,
    },
    /// The gate itself did not start; its own words.
    Gate(String),
    /// Nobody reads what the demo prints.
    Output(std::io::Error),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Port { port, detail } => {
                write!(
                    f,
                    "cannot listen on port {port}: {detail}\n  hint: leave out `--port`, and the demo picks a free one"
                )
            }
            DemoError::System { act, detail } => write!(f, "cannot {act}: {detail}"),
            DemoError::File { path, detail } => write!(
                f,
                "cannot write `{}`: {detail}\n  hint: the demo keeps its files in the system's temporary folder",
                path.display()
            ),
            DemoError::Crypto { act, detail } => write!(f, "cannot {act}: {detail}"),
            DemoError::Gate(detail) => write!(f, "the gate did not start: {detail}"),
            DemoError::Output(detail) => write!(f, "cannot print: {detail}"),
        }
    }
}

impl std::error::Error for DemoError {}
