//! What was revoked: sessions, subjects and single credentials, by hand, by a file, or by their provider.
//!
//! Decides whether a caller is among them. An end of a subject holds for every sign-in up to a moment: whoever signs in later
//! is let in again. It never forgets one before its time: when there is no room for one more, that one is refused, loudly. So
//! that nobody fills it by logging out, the credentials of one subject have a share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::EndedBy;
use super::key::Key;

/// The most that are kept of those that were said over the control socket and by providers, and the most of the file: about
/// 5 MiB each.
pub const MOST: usize = 65_536;
/// How many credentials of one subject may have ended, each by itself and not yet expired, before all that it has without a
/// session ends at once.
pub const SHARE: usize = 128;
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

/// One credential that somebody has logged out.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoggedOut {
    /// Its own digest.
    pub(super) credential: Key,
    /// The digest of all that its subject has without a session.
    pub(super) nameless: Key,
    /// When: no earlier than the sign-in behind it.
    pub(super) at: u64,
    /// By when it has expired.
    pub(super) until: u64,
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
    /// By their subject, those of `said` that are credentials which somebody has logged out; a restart counts anew.
    shares: HashMap<Key, Vec<Key>>,
    filed: HashMap<Key, End>,
}

impl Tables {
    fn forget_past(&mut self, now: u64) {
        let Self { said, fresh, shares, .. } = self;
        said.retain(|_, end| now < end.until);
        fresh.retain(|key| said.contains_key(key));
        shares.retain(|_, share| {
            share.retain(|key| said.contains_key(key));
            !share.is_empty()
        });
    }

    /// One more, which is told to a directory where one `is_recorded`.
    fn put(&mut self, key: Key, end: End, now: u64, room: usize, is_recorded: bool) -> Result<End, Full> {
        if self.said.len() >= room && !self.said.contains_key(&key) {
            self.forget_past(now);
            if self.said.len() >= room {
                return Err(Full);
            }
        }
        let old = self.said.get(&key).copied();
        let end = old.filter(|old| now < old.until).map_or(end, |old| old.and(end));
        if is_recorded && old != Some(end) {
            self.fresh.insert(key);
        }
        self.said.insert(key, end);
        Ok(end)
    }

    /// Whether so many of this share hold at `now` that there is room for no more.
    fn is_spent(&mut self, share: Key, now: u64) -> bool {
        let Self { said, shares, .. } = self;
        shares.get_mut(&share).is_some_and(|share| {
            if share.len() >= SHARE {
                share.retain(|key| said.get(key).is_some_and(|end| now < end.until));
            }
            share.len() >= SHARE
        })
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
        self.change(|tables| tables.put(key, end, now, room(by), self.is_recorded))
    }

    /// The end of one credential, until a moment by which it has expired, said by whoever shows it. Where the share of its
    /// subject is spent, all that the subject has without a session ends instead, for every sign-in up to `at`.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub(super) fn log_out(&self, ended: LoggedOut, now: u64) -> Result<End, Full> {
        let LoggedOut { credential, nameless, at, until } = ended;
        let room = room(EndedBy::Logout);
        self.change(|tables| {
            let is_known = tables.said.contains_key(&credential);
            if !is_known && tables.is_spent(nameless, now) {
                // INVARIANT: `at` is no earlier than what the credential tells of its sign-in, so that this one ends with the others.
                return tables.put(nameless, End { before: Some(at), until }, now, room, self.is_recorded);
            }
            let end = tables.put(credential, End { before: None, until }, now, room, self.is_recorded)?;
            if !is_known {
                tables.shares.entry(nameless).or_default().push(credential);
            }
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
#[path = "ends_tests.rs"]
mod tests;
