//! Takes credentials and identifiers out of text before it leaves the process.
//!
//! Every place that writes for people or machines outside (the log, an error, a metric's label, the status page) sends
//! its text through [`text`], a request target through [`target`] or [`shape`], a header through [`header`]. What is
//! taken out becomes `{}`. Where an identifier must stay comparable, [`PseudonymKey`] gives a keyed pseudonym instead.
//!
//! What it decides: which stretches of a text are secret or name a person, by their form, by a checksum, or by the key
//! that stands before them. In doubt it takes out. What it never does: read anything but its argument, panic, or take
//! more than linear time. A name in running prose has no form, and is not found; such text must not be logged.
//!
//! Every function is idempotent, leaves no control characters, and gives back at most a fixed number of bytes.
//!
//! ```
//! assert_eq!(redact::text("login of jane@clinic.example failed"), "login of {} failed");
//! assert_eq!(redact::target("/api/patients/4711/records?from=2026"), "/api/patients/{}/records?from={}");
//! assert_eq!(redact::header("Authorization", "Bearer s3cret"), "Bearer {}");
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod checksum;
mod clean;
mod header;
mod keyed;
mod pattern;
mod pseudonym;
mod target;
mod text;

pub use header::header;
pub use pseudonym::{KEY_MIN, PseudonymKey, WeakKey};
pub use target::{TARGET_MAX, shape, target};
pub use text::{TEXT_MAX, text};

/// What stands where something was taken out.
pub const MARK: &str = "{}";
