//! From files to a running gate: `load` (the only reader of files), then `compile` (pure; all faults at once).
//!
//! `check` stops after compile; `run` goes on with the very same result, so the two cannot disagree.

mod app;
mod app_session;
mod audit;
mod browsers;
mod client_address;
mod compile;
mod csp;
mod directory;
mod drain;
mod files;
mod headers;
mod limits;
mod listen;
mod load;
mod people;
mod pod;
mod providers;
pub mod raw;
mod reach;
mod revoked;
mod rollout;
mod security_txt;
mod session;
mod sign_in;
mod telemetry;
mod tls;
mod way;

use std::path::Path;

pub(crate) use app::reading;
pub use audit::AuditPlan;
pub use compile::Plan;
pub use files::FileSet;
pub(crate) use files::print_of;
pub(crate) use load::read_bytes;
pub use load::{Faults, Loaded, load};
pub use people::RawPeople;
pub use pod::{AppProbe, Ask, HttpAsk, Pod, RawPod};
pub use providers::KeySource;
pub(crate) use revoked::read as read_revocations;

/// Reads and compiles the configuration at `path` with all that it names.
///
/// # Errors
/// Every fault at once.
pub fn prepare(path: &Path) -> Result<Plan, Faults> {
    prepare_set(path).1
}

/// As [`prepare`], with the files that were read, be they a configuration or not.
pub(crate) fn prepare_set(path: &Path) -> (FileSet, Result<Plan, Faults>) {
    let (set, loaded) = load::load_set(path);
    (set.clone(), loaded.and_then(|loaded| compile::compile(loaded, set)))
}
