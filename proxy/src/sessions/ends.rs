//! What was revoked: sessions, subjects and single credentials, by hand, by a file, or by their provider.
//!
//! Decides whether a caller is among them. An end of a subject holds for every sign-in up to a moment: whoever signs in later
//! is let in again. It never forgets one before its time: when there is no room for one more, that one is refused, loudly.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use super::EndedBy;
use super::key::Key;

/// The most that are kept of those that were said over the control socket and by providers, and the most of the file: about
/// 4 MiB each.
pub const MOST: usize = 65_536;

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Sign-ins up to this moment are ended; `None`: all of them, the later ones too.
    pub before: Option<u64>,
    /// Until when it holds.
    pub until: u64,
}

impl End {
    fn meets(self, at: Option<u64>, now: u64) -> bool {
        now < self.until && self.before.is_none_or(|before| at.is_none_or(|at| at <= before))
    }

    /// Both at once: whatever either ends. Where only one of them ends later sign-ins, it may then hold for longer than it
    /// would alone, never shorter.
    fn and(self, other: Self) -> Self {
        let before = match (self.before, other.before) {
            (Some(one), Some(two)) => Some(one.max(two)),
            (None, _) | (_, None) => None,
        };
        Self { before, until: self.until.max(other.until) }
    }
}

/// How many there may be before one more is refused: whoever logs out, again and again, leaves room for providers, and these
/// for whoever runs the gate.
fn room(by: EndedBy) -> usize {
    match by {
        EndedBy::Logout => MOST / 2,
        EndedBy::Provider => MOST / 4 * 3,
        EndedBy::Control => MOST,
    }
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// All ends.
#[derive(Debug, Default)]
pub struct Ends {
    said: RwLock<HashMap<Key, End>>,
    /// Those that a directory has not been told of yet, where one wants to know; at most [`MOST`].
    fresh: Mutex<Vec<(Key, End)>>,
    is_recorded: bool,
    filed: RwLock<HashMap<Key, End>>,
    /// How many there are, so that a gate without any looks no further.
    count: AtomicUsize,
}

impl Ends {
    /// None yet; `is_recorded`: somebody asks for new ones.
    pub fn new(is_recorded: bool) -> Self {
        Self { is_recorded, ..Self::default() }
    }

    /// One more.
    ///
    /// # Errors
    /// Where as many are kept already as `by` may fill.
    pub fn say(&self, key: Key, end: End, now: u64, by: EndedBy) -> Result<End, Full> {
        let room = room(by);
        let mut said = self.said.write().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= room && !said.contains_key(&key) {
            said.retain(|_, end| now < end.until);
            if said.len() >= room {
                return Err(Full);
            }
        }
        let end = said.get(&key).filter(|old| now < old.until).map_or(end, |old| old.and(end));
        if self.is_recorded {
            let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            if fresh.len() >= MOST {
                return Err(Full);
            }
            fresh.push((key, end));
        }
        said.insert(key, end);
        drop(said);
        self.recount();
        Ok(end)
    }

    /// The file says these, and no others.
    pub fn file(&self, ends: HashMap<Key, End>) {
        *self.filed.write().unwrap_or_else(PoisonError::into_inner) = ends;
        self.recount();
    }

    fn recount(&self) {
        let length = |map: &RwLock<HashMap<Key, End>>| map.read().unwrap_or_else(PoisonError::into_inner).len();
        self.count.store(length(&self.said) + length(&self.filed), Ordering::Release);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of these digests is ended at `now` for a sign-in at `at`.
    pub fn hold(&self, keys: impl Iterator<Item = Key> + Clone, at: Option<u64>, now: u64) -> bool {
        [&self.said, &self.filed].into_iter().any(|map| {
            let map = map.read().unwrap_or_else(PoisonError::into_inner);
            !map.is_empty() && keys.clone().any(|key| map.get(&key).is_some_and(|end| end.meets(at, now)))
        })
    }

    /// Drops those whose time is over.
    pub(super) fn prune(&self, now: u64) {
        self.said.write().unwrap_or_else(PoisonError::into_inner).retain(|_, end| now < end.until);
        self.recount();
    }

    /// Takes those that are new since the last time.
    pub(super) fn take_fresh(&self) -> Vec<(Key, End)> {
        std::mem::take(&mut *self.fresh.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that were said rather than filed.
    pub(super) fn all_said(&self) -> Vec<(Key, End)> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|(key, end)| (*key, *end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_be_bytes());
        Key(key)
    }

    #[test]
    fn an_end_holds_for_earlier_sign_ins_until_its_time() {
        let ends = Ends::default();
        assert!(ends.is_empty());
        ends.say(key(1), End { before: Some(100), until: 1_000 }, 100, EndedBy::Control).unwrap();
        let holds = |at, now| ends.hold([key(7), key(1)].into_iter(), at, now);
        for (at, now, expected) in [
            (Some(100), 200, true),
            (Some(99), 999, true),
            (None, 200, true),
            (Some(101), 200, false),
            (Some(99), 1_000, false),
            (None, 1_000, false),
        ] {
            assert_eq!(holds(at, now), expected, "{at:?} at {now}");
        }
        ends.file(HashMap::from([(key(1), End { before: None, until: 500 })]));
        assert!(holds(Some(101), 200) && !holds(Some(101), 500));
        ends.file(HashMap::new());
        assert!(!holds(Some(101), 200));
        assert!(!ends.hold([key(2)].into_iter(), None, 200));
    }

    #[test]
    fn two_ends_of_one_add_up() {
        let ends = Ends::default();
        ends.say(key(1), End { before: Some(100), until: 1_000 }, 100, EndedBy::Control).unwrap();
        ends.say(key(1), End { before: Some(50), until: 2_000 }, 100, EndedBy::Control).unwrap();
        assert!(ends.hold([key(1)].into_iter(), Some(100), 1_500));
        ends.say(key(1), End { before: Some(3_000), until: 9_000 }, 2_500, EndedBy::Control).unwrap();
        assert!(ends.hold([key(1)].into_iter(), Some(3_000), 8_000));
    }

    #[test]
    fn there_is_a_bound_and_nothing_is_forgotten_for_it() {
        let ends = Ends::default();
        for number in 0..MOST as u32 {
            let until = if number < 10 { 150 } else { 1_000 };
            ends.say(key(number), End { before: None, until }, 100, EndedBy::Control).unwrap();
        }
        assert_eq!(ends.say(key(u32::MAX), End { before: None, until: 1_000 }, 100, EndedBy::Control), Err(Full));
        assert!(
            ends.say(key(11), End { before: None, until: 1_001 }, 100, EndedBy::Control).is_ok(),
            "one that is there already"
        );
        assert!(
            ends.say(key(u32::MAX), End { before: None, until: 1_000 }, 150, EndedBy::Control).is_ok(),
            "others are over by now"
        );
        assert!(ends.hold([key(11)].into_iter(), None, 900));
        ends.prune(1_000);
        assert_eq!(ends.len(), 1);
    }

    #[test]
    fn whoever_logs_out_again_and_again_leaves_room_for_the_others() {
        let ends = Ends::default();
        let said = |number: usize, by| ends.say(key(number as u32), End { before: None, until: 1_000 }, 100, by);
        for (by, room) in [(EndedBy::Logout, MOST / 2), (EndedBy::Provider, MOST / 4 * 3), (EndedBy::Control, MOST)] {
            while ends.len() < room {
                said(ends.len(), by).unwrap();
            }
            assert_eq!(said(MOST + 1, by), Err(Full), "{by:?}");
        }
    }
}
