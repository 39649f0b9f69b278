//! From typed values back to YAML text, for `config --effective`.
//!
//! What it writes can be read again by [`crate::read`]. It writes no comments and no anchors.

use serde::Serialize;

/// The YAML text of a value.
///
/// # Errors
/// A value that YAML cannot hold, in words.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}
