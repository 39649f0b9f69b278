//! How long a session may be silent, and how long it may last, as roles and routes demand it.
//!
//! It holds demands and adds them up: whichever is shorter counts. How long a session has been silent is not known here, and
//! is not asked in a decision: whoever keeps the sessions does.

use crate::principal::Principal;
use std::sync::Arc;

/// What is demanded of a caller's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionTerms {
    /// After how many seconds without activity it ends; `None`: never for that.
    pub idle_s: Option<u64>,
    /// How many seconds after the sign-in it ends, whatever is done in it; `None`: never for that.
    pub absolute_s: Option<u64>,
}

impl SessionTerms {
    /// Both: the shorter time counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let shorter = |one: Option<u64>, two: Option<u64>| one.into_iter().chain(two).min();
        Self { idle_s: shorter(self.idle_s, other.idle_s), absolute_s: shorter(self.absolute_s, other.absolute_s) }
    }

    /// Whether anything is demanded at all.
    #[must_use]
    pub fn demand(self) -> bool {
        self != Self::default()
    }
}

/// What a role demands of the sessions of those who hold it.
#[derive(Debug)]
pub(crate) struct SessionCharge {
    pub(crate) role: Arc<str>,
    pub(crate) terms: SessionTerms,
}

impl SessionCharge {
    /// In whatever tenant: a session is of the person, and which tenant a request is about is not known yet.
    pub(crate) fn is_held_by(&self, principal: &Principal) -> bool {
        principal.bindings.iter().any(|binding| binding.holds(&self.role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_time_counts() {
        let of = |idle_s, absolute_s| SessionTerms { idle_s, absolute_s };
        assert_eq!(of(Some(9), None).and(of(Some(5), Some(60))), of(Some(5), Some(60)));
        assert_eq!(of(None, Some(60)).and(of(None, Some(90))), of(None, Some(60)));
        assert_eq!(of(None, None).and(of(None, None)), SessionTerms::default());
        assert!(!SessionTerms::default().demand() && of(None, Some(1)).demand());
    }
}
