//! The harness of the end-to-end tests: a gate, an application behind it, clients in front, and the record.
//!
//! Everything is real: sockets, TLS, files, threads. Only the clock may be a manual one. Nothing here decides what is
//! right; the tests do. Every wait has a bound ([`PATIENCE`]), and none is a fixed sleep.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a harness fails by panicking, and reads what it has written itself"
)]

pub mod app;
pub mod backend;
pub mod client;
pub mod collector;
pub mod forge;
pub mod gate;
pub mod issuer;
pub mod key_server;
pub mod kube;
pub mod op;
pub mod process;
pub mod raw;
pub mod standstill;
pub mod volume;
pub mod wire;

use std::time::{Duration, Instant};

/// The longest that anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer.
///
/// # Panics
/// Where there is none within [`PATIENCE`].
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for something that must not take longer than [`PATIENCE`].
///
/// # Panics
/// Where it does.
pub async fn soon<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Says why a test cannot be run on this machine; it passes then.
pub fn skipped(why: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "skipped: {why}"));
}
