//! What was revoked: sessions, subjects and single credentials, by hand, by a file, or by their provider.
//!
//! Decides whether a caller is among them. An end of a subject holds for every sign-in up to a moment: whoever signs in later
//! is let in again. It never forgets one before its time: when there is no room for one more, that one is refused, loudly.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::EndedBy;
use super::key::Key;

/// The most that are kept of those that were said over the control socket and by providers, and the most of the file: about
/// 5 MiB each.
pub const MOST: usize = 65_536;
/// Stands for everybody, whatever the credential names; no digest of a name is this one.
const EVERYBODY: Key = Key([0; 16]);

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
    tables: RwLock<Tables>,
    is_recorded: bool,
    /// Whether there are any, so that a gate without looks no further. Set under the lock of the tables.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct Tables {
    said: HashMap<Key, End>,
    /// Those of `said` that a directory has not been told of yet, where one wants to know.
    fresh: HashSet<Key>,
    filed: HashMap<Key, End>,
}

impl Tables {
    fn forget_past(&mut self, now: u64) {
        let Self { said, fresh, .. } = self;
        said.retain(|_, end| now < end.until);
        fresh.retain(|key| said.contains_key(key));
    }
}

impl Ends {
    /// None yet; `is_recorded`: somebody asks for new ones.
    pub fn new(is_recorded: bool) -> Self {
        Self { is_recorded, ..Self::default() }
    }

    /// One more. One that adds nothing to what is there already is not told to the directory again.
    ///
    /// # Errors
    /// Where as many are kept already as `by` may fill.
    pub fn say(&self, key: Key, end: End, now: u64, by: EndedBy) -> Result<End, Full> {
        self.change(|tables| {
            if tables.said.len() >= room(by) && !tables.said.contains_key(&key) {
                tables.forget_past(now);
                if tables.said.len() >= room(by) {
                    return Err(Full);
                }
            }
            let old = tables.said.get(&key).copied();
            let end = old.filter(|old| now < old.until).map_or(end, |old| old.and(end));
            if self.is_recorded && old != Some(end) {
                tables.fresh.insert(key);
            }
            tables.said.insert(key, end);
            Ok(end)
        })
    }

    /// Puts back what a directory remembers.
    ///
    /// # Errors
    /// Where there is no room for one more.
    pub(super) fn restore(&self, key: Key, end: End) -> Result<(), Full> {
        self.change(|tables| {
            if tables.said.len() >= MOST && key != EVERYBODY && !tables.said.contains_key(&key) {
                return Err(Full);
            }
            let end = tables.said.get(&key).map_or(end, |old| old.and(end));
            tables.said.insert(key, end);
            Ok(())
        })
    }

    /// Ends may be missing: whoever signed in up to `now` is taken for ended, by whatever credential.
    pub(super) fn distrust(&self, now: u64, until: u64) {
        // There is room for this one, whatever else there is.
        self.restore(EVERYBODY, End { before: Some(now), until }).unwrap_or_default();
    }

    /// The file says these, and no others. What it says of one twice counts together.
    pub fn file(&self, ends: impl IntoIterator<Item = (Key, End)>) {
        let mut filed: HashMap<Key, End> = HashMap::new();
        for (key, end) in ends {
            filed.entry(key).and_modify(|old| *old = old.and(end)).or_insert(end);
        }
        self.change(|tables| tables.filed = filed);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let mut tables = self.writing();
        let done = change(&mut tables);
        // ORDER: under the lock, so that of two changes the later one is told.
        self.any.store(!(tables.said.is_empty() && tables.filed.is_empty()), Ordering::Release);
        done
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let tables = self.reading();
        tables.said.len() + tables.filed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Whether one of these digests is ended at `now` for a sign-in at `at`.
    pub fn hold(&self, mut keys: impl Iterator<Item = Key>, at: Option<u64>, now: u64) -> bool {
        let tables = self.reading();
        let meets = |end: Option<&End>| end.is_some_and(|end| end.meets(at, now));
        keys.any(|key| meets(tables.said.get(&key)) || meets(tables.filed.get(&key)))
    }

    /// Whether whoever shows no later sign-in than `at` may be one whose end was lost.
    pub(super) fn hold_everybody(&self, at: Option<u64>, now: u64) -> bool {
        self.hold(std::iter::once(EVERYBODY), at, now)
    }

    /// Drops those whose time is over.
    pub(super) fn prune(&self, now: u64) {
        self.change(|tables| tables.forget_past(now));
    }

    /// Takes those that are new since the last time.
    pub(super) fn take_fresh(&self) -> Vec<(Key, End)> {
        let mut tables = self.writing();
        let fresh = std::mem::take(&mut tables.fresh);
        fresh.into_iter().filter_map(|key| Some((key, *tables.said.get(&key)?))).collect()
    }

    /// Those that were said rather than filed.
    pub(super) fn all_said(&self) -> Vec<(Key, End)> {
        self.reading().said.iter().map(|(key, end)| (*key, *end)).collect()
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

    #[test]
    fn what_the_file_says_of_one_twice_counts_together() {
        let ends = Ends::default();
        let out = (key(1), End { before: None, until: 1_000 });
        let milder = (key(1), End { before: Some(50), until: 500 });
        for file in [[out, milder], [milder, out]] {
            ends.file(file);
            assert!(ends.hold([key(1)].into_iter(), Some(100), 900), "{file:?}");
        }
    }

    #[test]
    fn the_directory_is_told_of_what_is_new_and_of_nothing_twice() {
        let ends = Ends::new(true);
        let end = End { before: Some(100), until: 1_000 };
        ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
        ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
        assert_eq!(ends.take_fresh(), [(key(1), end)]);
        ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
        ends.say(key(1), End { before: Some(90), ..end }, 100, EndedBy::Logout).unwrap();
        assert_eq!(ends.take_fresh(), []);
        let later = End { before: Some(101), ..end };
        ends.say(key(1), later, 101, EndedBy::Logout).unwrap();
        assert_eq!(ends.take_fresh(), [(key(1), later)]);
        ends.restore(key(2), end).unwrap();
        assert_eq!(ends.take_fresh(), [], "what was read is written already");
    }

    #[test]
    fn more_are_put_back_than_can_be_new_and_what_is_not_is_said() {
        let ends = Ends::new(true);
        let end = End { before: Some(100), until: 1_000 };
        for _ in 0..2 {
            for number in 0..MOST as u32 {
                ends.restore(key(number + 1), end).unwrap();
            }
        }
        assert_eq!(ends.restore(key(u32::MAX), end), Err(Full));
        ends.distrust(200, 1_000);
        for (at, held) in [(None, true), (Some(200), true), (Some(201), false)] {
            assert_eq!(ends.hold_everybody(at, 300), held, "{at:?}");
        }
        assert!(ends.hold([key(MOST as u32)].into_iter(), Some(100), 300));
        ends.prune(1_000);
        assert!(ends.is_empty() && !ends.hold_everybody(None, 1_000));
    }

    #[test]
    fn no_end_hides_behind_a_change_of_another() {
        for _ in 0..200 {
            let ends = Ends::default();
            std::thread::scope(|threads| {
                for number in 0..4 {
                    let ends = &ends;
                    threads.spawn(move || match number {
                        0 => ends.prune(1),
                        1 => ends.file([]),
                        _ => {
                            ends.say(key(number), End { before: None, until: 9 }, 1, EndedBy::Control).unwrap();
                            assert!(!ends.is_empty());
                        }
                    });
                }
            });
            assert!(!ends.is_empty());
        }
    }
}
