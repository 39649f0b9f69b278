//! The YAML of manifests, in and out, as `kubectl` understands it.
//!
//! Manifests are not our own files: other people's tools wrote them and other people's tools read them next. So they are
//! read as `kubectl` reads YAML (1.1 in its words: `yes` is true, `0123` is octal, a date is text) and written so that every
//! reader agrees. Where a text cannot be written back with the same meaning for sure, [`Read::stuck`] says so, and the
//! document is left as it is or refused; nothing is guessed. It knows nothing of Kubernetes.

mod read;
mod scalar;
mod write;

pub(crate) use read::{Read, Stuck, read};
pub(crate) use write::{as_json, as_yaml};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::any_json;
