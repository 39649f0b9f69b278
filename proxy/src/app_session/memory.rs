//! What the application said of sessions, remembered for a short time.
//!
//! Decides when its word still holds: within its time, and as long as no answer of the application has set or taken back
//! a cookie of the session since it was asked. It never makes a word last longer by being used.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use moka::sync::Cache;
use policy::Principal;

use super::Mark;

/// The most sessions of somebody that are remembered; only the application gets one in here.
const MOST: u64 = 10_000;
/// The most sessions of nobody; anybody can cause one.
const MOST_OF_NOBODY: u64 = 2_000;
/// How long it is remembered that the application knows nobody, at most.
const NOBODY: Duration = Duration::from_secs(5);
/// The longest time for which a configuration can have a word remembered.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// How long it is known, after its last use, that a session was somebody's.
const KNOWN: Duration = Duration::from_secs(60 * 60);
/// The most changes of cookies that are kept, each for [`LONGEST`]. Beyond them everything is asked anew.
const CHANGES: usize = 10_000;

/// Where in the order of changes something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

/// Whose a session is, and when the application was asked (monotone).
pub(super) type Asked = (Option<Arc<Principal>>, Duration);

/// What the application said.
#[derive(Clone, Debug)]
struct Word {
    who: Option<Arc<Principal>>,
    /// The cookies of the session.
    parts: Arc<[Mark]>,
    /// When it was asked.
    turn: Turn,
    at: Duration,
}

/// What was said lately.
#[derive(Debug)]
pub(super) struct Memory {
    somebody: Cache<Mark, Word>,
    nobody: Cache<Mark, Word>,
    changes: RwLock<Changes>,
}

/// When cookies were set or taken back.
#[derive(Debug)]
struct Changes {
    turn: Turn,
    /// What was asked before this does not hold.
    floor: Turn,
    last: HashMap<Mark, Turn>,
}

impl Default for Memory {
    fn default() -> Self {
        let changes = Changes { turn: Turn(0), floor: Turn(0), last: HashMap::new() };
        Self {
            somebody: Cache::builder().max_capacity(MOST).time_to_idle(KNOWN).build(),
            nobody: Cache::builder().max_capacity(MOST_OF_NOBODY).time_to_live(NOBODY).build(),
            changes: RwLock::new(changes),
        }
    }
}

impl Memory {
    /// Where in the order of changes a question is asked now.
    pub(super) fn turn(&self) -> Turn {
        self.changes.read().unwrap_or_else(PoisonError::into_inner).turn
    }

    /// Whether a question of `turn` about a session of these cookies is younger than their last change.
    pub(super) fn holds(&self, parts: &[Mark], turn: Turn) -> bool {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        turn >= changes.floor && parts.iter().all(|part| changes.last.get(part).is_none_or(|last| *last <= turn))
    }

    /// Whose a session is, and when that was asked, where that is less than `longest` before `now` (monotone); `None`: not known.
    pub(super) fn recall(&self, mark: Mark, now: Duration, longest: Duration) -> Option<Asked> {
        let fresh = |word: &Word, longest| now.saturating_sub(word.at) < longest && self.holds(&word.parts, word.turn);
        if let Some(word) = self.somebody.get(&mark).filter(|word| fresh(word, longest)) {
            return Some((word.who, word.at));
        }
        let word = self.nobody.get(&mark)?;
        fresh(&word, longest.min(NOBODY)).then_some((None, word.at))
    }

    /// Remembers what was said of a session to a question of `turn`, asked at `at` (monotone).
    pub(super) fn remember(
        &self,
        mark: Mark,
        parts: Arc<[Mark]>,
        (turn, at): (Turn, Duration),
        who: Option<Arc<Principal>>,
    ) {
        if who.is_none() {
            self.somebody.invalidate(&mark);
        }
        let cache = if who.is_some() { &self.somebody } else { &self.nobody };
        cache.insert(mark, Word { who, parts, turn, at });
    }

    /// Whether this session was somebody's when the application was last asked, however long ago that is.
    pub(super) fn was_somebodys(&self, mark: Mark) -> bool {
        self.somebody.contains_key(&mark)
    }

    /// These cookies were set or taken back: whatever was asked before holds no more.
    pub(super) fn forget(&self, parts: impl IntoIterator<Item = Mark>) {
        let mut changes = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        changes.turn = Turn(changes.turn.0.saturating_add(1));
        let turn = changes.turn;
        if changes.last.len() >= CHANGES {
            changes.last.clear();
            changes.floor = turn;
        }
        changes.last.extend(parts.into_iter().map(|part| (part, turn)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::someone;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn mark(byte: u8) -> Mark {
        Mark([byte; 16])
    }

    fn parts(bytes: &[u8]) -> Arc<[Mark]> {
        bytes.iter().map(|byte| mark(*byte)).collect()
    }

    #[test]
    fn a_word_holds_for_its_time_counted_from_the_question() {
        let memory = Memory::default();
        memory.remember(mark(1), parts(&[2]), (memory.turn(), 10 * S), Some(someone("ada")));
        memory.remember(mark(3), parts(&[4]), (memory.turn(), 10 * S), None);
        for (at, somebody, nobody) in
            [(10, true, true), (14, true, true), (15, true, false), (39, true, false), (40, false, false)]
        {
            assert_eq!(memory.recall(mark(1), at * S, 30 * S).is_some(), somebody, "{at}");
            assert_eq!(memory.recall(mark(3), at * S, 30 * S).is_some(), nobody, "{at}");
        }
        assert!(memory.recall(mark(9), 10 * S, 30 * S).is_none());
    }

    #[test]
    fn a_change_ends_what_was_asked_before_it_and_nothing_else() {
        let memory = Memory::default();
        let before = memory.turn();
        memory.remember(mark(1), parts(&[2, 3]), (before, S), Some(someone("ada")));
        memory.remember(mark(4), parts(&[5]), (before, S), Some(someone("eve")));
        memory.forget([mark(3)]);
        assert!(memory.recall(mark(1), S, 30 * S).is_none() && memory.recall(mark(4), S, 30 * S).is_some());
        // What was under way while it changed says nothing.
        memory.remember(mark(1), parts(&[2, 3]), (before, S), Some(someone("ada")));
        assert!(memory.recall(mark(1), S, 30 * S).is_none());
        memory.remember(mark(1), parts(&[2, 3]), (memory.turn(), S), Some(someone("ada")));
        assert!(memory.recall(mark(1), S, 30 * S).is_some());
    }

    #[test]
    fn a_session_that_was_somebodys_is_known_until_it_is_nobodys() {
        let memory = Memory::default();
        assert!(!memory.was_somebodys(mark(1)));
        memory.remember(mark(1), parts(&[2]), (memory.turn(), S), Some(someone("ada")));
        memory.forget([mark(2)]);
        assert!(memory.was_somebodys(mark(1)) && memory.recall(mark(1), S, 30 * S).is_none());
        memory.remember(mark(1), parts(&[2]), (memory.turn(), S), None);
        assert!(!memory.was_somebodys(mark(1)));
    }

    #[test]
    fn more_changes_than_are_kept_end_everything() {
        let memory = Memory::default();
        memory.remember(mark(1), parts(&[2]), (memory.turn(), S), Some(someone("ada")));
        for number in 0..=CHANGES as u64 {
            let mut bytes = [7; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            memory.forget([Mark(bytes)]);
        }
        assert!(memory.recall(mark(1), S, 30 * S).is_none());
        assert!(memory.changes.read().unwrap().last.len() <= CHANGES);
    }
}
