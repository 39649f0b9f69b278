//! What providers have said already: a logout token that is sent again, before it expires, ends nothing more.
//!
//! Decides only whether it is the same. Bounded; when there is no room it is not remembered, and ends a session that the provider
//! calls the same once more: never less than it says.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that are remembered, in 1 MiB at most: as many as have not expired yet.
const MOST: usize = 8_192;

/// What tells one from others: a digest of all that it says, whatever its signature.
pub(crate) type Said = [u8; 32];

/// All that were heard, with the second in which each expires.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<HashMap<Said, u64>>);

impl Heard {
    /// Whether this was said before.
    pub(crate) fn has(&self, said: &Said, now: u64) -> bool {
        self.table().get(said).is_some_and(|until| now < *until)
    }

    /// This has been said, and what it ends has ended.
    pub(crate) fn note(&self, said: Said, until: u64, now: u64) {
        let mut table = self.table();
        if table.len() >= MOST {
            table.retain(|_, until| now < *until);
        }
        if table.len() < MOST {
            table.insert(said, until);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Said, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: u32) -> Said {
        let mut said = [0; 32];
        said[..4].copy_from_slice(&number.to_be_bytes());
        said
    }

    #[test]
    fn what_was_said_is_known_until_it_expires() {
        let heard = Heard::default();
        heard.note(said(1), 160, 100);
        assert!(heard.has(&said(1), 159) && !heard.has(&said(1), 160) && !heard.has(&said(2), 100));
    }

    #[test]
    fn there_is_a_bound_and_what_has_expired_makes_room() {
        let heard = Heard::default();
        for number in 0..MOST as u32 {
            heard.note(said(number), 160, 100);
        }
        heard.note(said(u32::MAX), 200, 159);
        assert!(!heard.has(&said(u32::MAX), 159) && heard.has(&said(0), 159), "nothing is forgotten for it");
        heard.note(said(u32::MAX), 200, 160);
        assert!(heard.has(&said(u32::MAX), 160));
        assert_eq!(heard.table().len(), 1);
    }
}
