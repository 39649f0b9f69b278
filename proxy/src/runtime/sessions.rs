//! What is demanded of sessions beside the policies, and what is told of them. Immutable, like all of the runtime.

use http::{HeaderName, HeaderValue};
use policy::SessionTerms;

use crate::authn;
use crate::sessions::life::FirstSeen;

/// How sessions are kept.
#[derive(Debug, Default)]
pub struct SessionRules {
    /// Whether there is a `session` section: then sessions can be asked about and ended under `/.anteroom/`.
    pub offered: bool,
    /// What is demanded of every session, on every route that asks who is there.
    pub terms: SessionTerms,
    /// Whether the lives of sessions are kept: where anything is demanded of any, here or in a policy, or a restart needs them.
    pub kept: bool,
    /// Paths whose requests come without anybody doing anything.
    pub background: Vec<Paths>,
    /// How a session is taken that was never seen.
    pub first_seen: FirstSeen,
    /// The header that tells what is left of a session.
    pub header: Option<HeaderName>,
    /// Where a browser goes after logging out: a path of this host.
    pub after_logout: Option<HeaderValue>,
    /// What a browser is told to forget when a session has ended.
    pub clear: Option<HeaderValue>,
    /// Providers that may end sessions by themselves, as their tokens for that are judged.
    pub told_by: Vec<authn::Provider>,
    /// The headers that the policies read, as they are spelt there: what is kept of the head of an open stream.
    pub reads: Vec<HeaderName>,
}

/// One path, or all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    /// This one.
    One(String),
    /// All that begin with this, which ends in `/`.
    Below(String),
}

impl Paths {
    /// Whether a canonical path is one of them.
    pub fn hold(&self, path: &str) -> bool {
        match self {
            Paths::One(one) => one == path,
            Paths::Below(start) => path.starts_with(start.as_str()),
        }
    }
}
