//! The lives of sessions in memory, for all workers of this process.
//!
//! Bounded: 229,376 sessions, 11 MiB. When one of its 64 parts is full, the eighth of it that was silent for longest is
//! forgotten, and the part remembers up to when they lived. From then on a session that it does not know has to show a later
//! sign-in. So what has ended never comes back by being forgotten, and what lived has to sign in again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::key::Key;
use super::life::{KEPT_S, Life, Sight};
use super::store::{Answer, Known, Store};

/// Into how many parts the table is divided, each with a lock of its own.
const PARTS: usize = 64;
/// The most sessions of a part: what 4,096 places of a table hold.
const PER_PART: usize = 3_584;
/// How many of them are forgotten at once.
const FORGOTTEN: usize = PER_PART / 8;
/// How much later a session was used than what was written of it, in seconds, until it is written again.
const WRITTEN_EVERY_S: u32 = 15;

/// The table.
#[derive(Debug)]
pub struct Memory {
    parts: Vec<Mutex<Part>>,
    /// Whether a directory wants to know of changes.
    is_recorded: bool,
}

/// Changes of a part that a directory has not been told of yet; bounded by the part itself.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Sessions with what they are now.
    pub(super) lives: Vec<(Key, Life)>,
    /// The floor of a part, by its number, with how long it holds.
    pub(super) floors: Vec<(u8, Floor)>,
}

/// Up to when those lived that were forgotten, and for how long that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Floor {
    pub(super) at: u32,
    pub(super) until: u32,
}

#[derive(Debug, Default)]
struct Part {
    lives: HashMap<Key, Slot>,
    floor: Floor,
    /// What changed since it was asked for last, where anybody writes it down.
    changed: Vec<Key>,
    /// More changed than that list may hold.
    all_changed: bool,
    floor_changed: bool,
}

/// A life in 24 bytes: seconds fit 32 bits until 2106.
#[derive(Clone, Copy, Debug)]
struct Slot {
    begun: u32,
    last: u32,
    gap: u32,
    /// 0: it has not ended.
    ended: u32,
    until: u32,
    /// `last` as it was written down; 0: never.
    written: u32,
}

fn short(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

impl Slot {
    fn of(life: Life, written: u32) -> Self {
        Self {
            begun: short(life.begun),
            last: short(life.last),
            gap: short(life.gap),
            ended: life.ended.map_or(0, |at| short(at).max(1)),
            until: short(life.until),
            written,
        }
    }

    fn life(&self) -> Life {
        Life {
            begun: self.begun.into(),
            last: self.last.into(),
            gap: self.gap.into(),
            ended: (self.ended > 0).then(|| self.ended.into()),
            until: self.until.into(),
        }
    }

    /// When it was of any meaning last.
    fn lived(&self) -> u32 {
        self.last.max(self.ended).max(self.begun)
    }
}

impl Memory {
    /// An empty table; `is_recorded`: somebody asks for its changes.
    pub fn new(is_recorded: bool) -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), is_recorded }
    }

    /// Sessions that are known.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| locked(part).lives.len()).sum()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts that had to forget sessions.
    pub fn crowded(&self) -> usize {
        self.parts.iter().filter(|part| locked(part).floor.at > 0).count()
    }

    /// The part of a digest.
    fn part(&self, key: Key) -> Option<MutexGuard<'_, Part>> {
        let number = usize::from(key.0.first().copied().unwrap_or_default()) % PARTS;
        self.parts.get(number).map(locked)
    }

    /// Puts back what a directory remembers.
    pub(super) fn restore(&self, key: Key, life: Life) {
        if let Some(mut part) = self.part(key) {
            part.put(key, Slot::of(life, short(life.last).max(1)));
        }
    }

    /// Puts back the floor of a part.
    pub(super) fn restore_floor(&self, number: u8, floor: Floor) {
        if let Some(part) = self.parts.get(usize::from(number)) {
            let mut part = locked(part);
            part.floor = Floor { at: part.floor.at.max(floor.at), until: part.floor.until.max(floor.until) };
        }
    }

    /// Forgets those that have not ended.
    pub(super) fn forget_living(&self) {
        for part in &self.parts {
            locked(part).lives.retain(|_, slot| slot.ended > 0);
        }
    }

    /// Nothing is known for certain of what lived before `now`: whoever is not remembered has to have signed in later.
    pub(super) fn distrust(&self, now: u64, until: u64) {
        for (number, _) in (0_u8..).zip(&self.parts) {
            self.restore_floor(number, Floor { at: short(now), until: short(until) });
        }
    }

    /// Takes what changed since the last time.
    pub(super) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for (number, part) in (0_u8..).zip(&self.parts) {
            let mut part = locked(part);
            let mut changed = std::mem::take(&mut part.changed);
            changed.sort_unstable();
            changed.dedup();
            if std::mem::take(&mut part.all_changed) {
                changes.lives.extend(part.lives.iter().map(|(key, slot)| (*key, slot.life())));
            } else {
                let there = changed.into_iter().filter_map(|key| Some((key, part.lives.get(&key)?.life())));
                changes.lives.extend(there);
            }
            if std::mem::take(&mut part.floor_changed) {
                changes.floors.push((number, part.floor));
            }
        }
        changes
    }

    /// All that there is, part by part.
    pub(super) fn all(&self) -> Changes {
        let mut all = Changes::default();
        for (number, part) in (0_u8..).zip(&self.parts) {
            let part = locked(part);
            all.lives.extend(part.lives.iter().map(|(key, slot)| (*key, slot.life())));
            if part.floor.at > 0 {
                all.floors.push((number, part.floor));
            }
        }
        all
    }

    /// Drops what nobody needs to know any more.
    pub(super) fn prune(&self, now: u64) {
        for part in &self.parts {
            let mut part = locked(part);
            part.lives.retain(|_, slot| !slot.life().is_past(now));
            if u64::from(part.floor.until) < now {
                part.floor = Floor::default();
            }
        }
    }
}

fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    /// The floor, where a session that is not known and began then may be a forgotten one.
    fn floor_under(&self, begun: Option<u64>) -> Option<u64> {
        let floor = u64::from(self.floor.at);
        (floor > 0 && begun.is_none_or(|begun| begun <= floor)).then_some(floor)
    }

    /// Notes that a key is to be written.
    fn note(&mut self, key: Key, is_recorded: bool) {
        match is_recorded {
            true if self.changed.len() < PER_PART => self.changed.push(key),
            true => self.all_changed = true,
            false => {}
        }
    }

    fn put(&mut self, key: Key, slot: Slot) {
        if self.lives.len() >= PER_PART && !self.lives.contains_key(&key) {
            self.forget();
        }
        self.lives.insert(key, slot);
        if self.lives.capacity() > PER_PART {
            // Places that were freed count until a table is made anew, and would double it.
            let mut fresh = HashMap::with_capacity(PER_PART);
            fresh.extend(self.lives.drain());
            self.lives = fresh;
        }
    }

    /// Forgets those that were silent for longest, and remembers up to when they lived.
    fn forget(&mut self) {
        let mut oldest: Vec<(u32, Key)> = self.lives.iter().map(|(key, slot)| (slot.lived(), *key)).collect();
        if oldest.len() <= FORGOTTEN {
            return;
        }
        oldest.select_nth_unstable(FORGOTTEN);
        oldest.truncate(FORGOTTEN);
        for slot in oldest.into_iter().filter_map(|(_, key)| self.lives.remove(&key)) {
            let kept = u64::from(slot.until.max(slot.lived())).saturating_add(KEPT_S);
            self.floor.at = self.floor.at.max(slot.lived());
            self.floor.until = self.floor.until.max(short(kept));
        }
        self.floor_changed = true;
    }
}

impl Store for Memory {
    fn look(&self, key: Key) -> Answer<'_, Known> {
        let known = self.part(key).map(|part| Known {
            life: part.lives.get(&key).map(Slot::life),
            // A floor whose time is over goes when what is past is dropped; until then it counts.
            floor: (part.floor.at > 0).then(|| part.floor.at.into()),
        });
        Answer::Now(known.unwrap_or(Known { life: None, floor: None }))
    }

    fn touch(&self, key: Key, sight: Sight) -> Answer<'_, Life> {
        let Some(mut part) = self.part(key) else { return Answer::Now(Life::over(sight.now, sight.expires)) };
        let (before, written) = match part.lives.get(&key) {
            Some(slot) => (slot.life(), slot.written),
            None => match part.floor_under(sight.began()) {
                // INVARIANT: what may have been forgotten never begins anew.
                Some(floor) => return Answer::Now(Life::over(floor, sight.expires)),
                None => (Life::new(sight), 0),
            },
        };
        let life = before.touched(sight);
        let news = life.ended != before.ended || life.begun != before.begun;
        let due = written == 0 || news || short(life.last) >= written.saturating_add(WRITTEN_EVERY_S);
        let written = if due { short(life.last).max(1) } else { written };
        part.put(key, Slot::of(life, written));
        if due {
            part.note(key, self.is_recorded);
        }
        Answer::Now(life)
    }

    fn end(&self, key: Key, at: u64, until: u64) -> Answer<'_, ()> {
        if let Some(mut part) = self.part(key) {
            let before = part.lives.get(&key).map(Slot::life);
            let life = before.map_or_else(|| Life::over(at, until), |life| life.end(at, until));
            part.put(key, Slot::of(life, short(life.last).max(1)));
            if before != Some(life) {
                part.note(key, self.is_recorded);
            }
        }
        Answer::Now(())
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
