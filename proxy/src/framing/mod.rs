//! Where one message of HTTP/1 ends and the next begins (RFC 9112), read by ourselves before any library sees a byte.
//!
//! Decides what is a head or a body that every reader takes for the same, and refuses the rest: nothing is repaired, and
//! nothing is left out. It never reads a socket, never waits and never allocates; it is given bytes, however they were
//! split, and says how many of them may go on. The verdict is the same for every way of splitting.

mod answer;
mod chunks;
mod fault;
mod fields;
mod lines;
mod message;
#[cfg(test)]
pub(crate) mod mutation;
mod request;

pub use answer::ANSWER_LINES;
pub use fault::Fault;
pub use message::{Answers, Asked, Broken, Progress, Requests, Track};
pub use request::LINES;

/// What stands behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// This many bytes, at least one.
    Length(u64),
    /// Chunks, and then perhaps trailers.
    Chunks,
    /// All that comes until the connection ends; answers only.
    UntilEnd,
}

#[cfg(test)]
#[path = "differential_tests.rs"]
mod differential_tests;
