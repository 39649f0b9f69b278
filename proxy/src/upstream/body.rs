//! The two bodies that pass through: what the client sends, and what the application answers.
//!
//! Both are streamed, piece by piece, as fast as the slower side takes them; neither is ever held whole. They decide only
//! when to stop: over the size limit, or when nothing moved for too long. What passes of the trailers behind them,
//! [`Trailers`](super::trailers::Trailers) decides. Here stands what the two know of each other.

mod answer;
mod request;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

pub use answer::AnswerBody;
pub(super) use answer::Held;
pub(crate) use request::Bounds;
pub use request::{Arriving, RequestBody};

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is larger than it may be.
    TooLarge,
    /// Its sender stopped sending.
    Stalled,
    /// Its sender hung up, or broke the framing.
    Cut,
    /// More stands behind it than may.
    Trailers,
    /// It names what would make another request of it.
    Unclear,
    /// The session or the credential of the one who asked has ended.
    Ended,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Broken::TooLarge => "the body is larger than allowed",
            Broken::Stalled => "the body stopped arriving",
            Broken::Cut => "the body ended early",
            Broken::Trailers => "the trailers are larger than allowed",
            Broken::Unclear => "the body makes another request of it",
            Broken::Ended => "the session of the one who asked has ended",
        })
    }
}

impl std::error::Error for Broken {}

/// Lets the one who sends a request see what became of its body, which hyper's errors do not tell. A request without a
/// body has nothing to tell, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct BodyFate(Option<Arc<Fate>>);

#[derive(Debug, Default)]
struct Fate {
    broken: AtomicU8,
    pieces: AtomicU64,
    bytes: AtomicU64,
    awaiting_client: AtomicBool,
    /// Pieces of the answer that have passed meanwhile.
    answered: AtomicU64,
    /// Whether the application has begun to answer.
    heard: AtomicBool,
    /// Whether that answer is over.
    over: AtomicBool,
}

impl BodyFate {
    /// Why the body broke, if it did.
    pub fn broken(&self) -> Option<Broken> {
        match self.0.as_ref()?.broken.load(Ordering::Acquire) {
            1 => Some(Broken::TooLarge),
            2 => Some(Broken::Stalled),
            3 => Some(Broken::Cut),
            4 => Some(Broken::Trailers),
            5 => Some(Broken::Unclear),
            6 => Some(Broken::Ended),
            _ => None,
        }
    }

    /// How many pieces have passed.
    pub fn pieces(&self) -> u64 {
        self.0.as_ref().map_or(0, |fate| fate.pieces.load(Ordering::Acquire))
    }

    /// A piece of the answer has passed.
    fn answer_moved(&self) {
        if let Some(fate) = &self.0 {
            fate.answered.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |fate| fate.bytes.load(Ordering::Acquire))
    }

    /// Whether the next thing to happen is up to the client.
    pub fn is_awaiting_client(&self) -> bool {
        self.0.as_ref().is_some_and(|fate| fate.awaiting_client.load(Ordering::Acquire))
    }

    /// The application has answered.
    pub(super) fn answered(&self) {
        if let Some(fate) = &self.0 {
            fate.heard.store(true, Ordering::Release);
        }
    }

    /// Its answer is over, or nobody takes it any more.
    fn answer_over(&self) {
        if let Some(fate) = &self.0 {
            fate.over.store(true, Ordering::Release);
        }
    }
}

impl Fate {
    fn set(&self, broken: Broken) -> Broken {
        let mark = match broken {
            Broken::TooLarge => 1,
            Broken::Stalled => 2,
            Broken::Cut => 3,
            Broken::Trailers => 4,
            Broken::Unclear => 5,
            Broken::Ended => 6,
        };
        self.broken.store(mark, Ordering::Release);
        broken
    }
}
