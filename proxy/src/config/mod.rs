//! From files to a running gate: `load` (the only reader of files), then `compile` (pure; all faults at once).
//!
//! `check` stops after compile; `run` goes on with the very same result, so the two cannot disagree.

mod compile;
mod load;
mod providers;
pub mod raw;
mod telemetry;

use std::path::Path;

pub use compile::{AuditPlan, CertificateNote, Plan};
pub use load::{Faults, Loaded, load};
pub use providers::KeySource;

/// Reads and compiles the configuration at `path` with all that it names.
///
/// # Errors
/// Every fault at once.
pub fn prepare(path: &Path) -> Result<Plan, Faults> {
    compile::compile(load(path)?)
}
