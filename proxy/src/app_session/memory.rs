//! What the application said of sessions, remembered for a short time.
//!
//! Decides when its word still holds: within its time, and as long as no answer of the application has set or taken back
//! a cookie of the session since it was asked. It never makes a word last longer by being used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use moka::sync::Cache;
use policy::Principal;

use super::Mark;
use crate::authn::places;

/// The most sessions of somebody that are remembered, fewer where the application says much of them: 40 MiB in all (see
/// [`places`]). Only the application gets one in here.
const MOST: u64 = 10_000;
/// The most sessions of nobody; anybody can cause one. About 300 bytes each.
const MOST_OF_NOBODY: u64 = 2_000;
/// How long it is remembered that the application knows nobody, at most.
const NOBODY: Duration = Duration::from_secs(5);
/// The longest time for which a configuration can have a word remembered.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// How long it is known, after its last use, that a session was somebody's.
const KNOWN: Duration = Duration::from_secs(60 * 60);
/// From how many watched cookies on those are looked for that nobody watches any more.
const SWEPT: usize = 1_024;

/// The cookies of a session, watched for changes from a moment on.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<[Arc<AtomicBool>]>);

impl Watch {
    /// Whether none of them was set or taken back since.
    pub(super) fn holds(&self) -> bool {
        !self.0.iter().any(|changed| changed.load(Ordering::Acquire))
    }
}

/// Whose a session is, and when the application was asked (monotone).
pub(super) type Asked = (Option<Arc<Principal>>, Duration);

/// What the application said.
#[derive(Clone, Debug)]
struct Word {
    who: Option<Arc<Principal>>,
    /// The cookies of the session, since it was asked.
    watch: Watch,
    /// When that was.
    at: Duration,
}

/// What was said lately.
#[derive(Debug)]
pub(super) struct Memory {
    somebody: Cache<Mark, Word>,
    nobody: Cache<Mark, Word>,
    watched: Mutex<Watched>,
}

/// The cookies that a word or a question under way rests on, and no others: what nobody has asked about cannot make anything
/// out of date, so nobody fills this by changing cookies. At most twice as many as there are in words and questions.
#[derive(Debug)]
struct Watched {
    /// Whether each has changed, as long as anybody wants to know.
    cookies: HashMap<Mark, Weak<AtomicBool>>,
    sweep_at: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            somebody: Cache::builder()
                .weigher(|_, word: &Word| word.who.as_deref().map_or(1, places))
                .max_capacity(MOST)
                .time_to_idle(KNOWN)
                .build(),
            nobody: Cache::builder().max_capacity(MOST_OF_NOBODY).time_to_live(NOBODY).build(),
            watched: Mutex::new(Watched { cookies: HashMap::new(), sweep_at: SWEPT }),
        }
    }
}

impl Memory {
    /// Watches the cookies of a session from now on.
    pub(super) fn watch(&self, parts: &[Mark]) -> Watch {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.cookies.len() >= watched.sweep_at {
            watched.cookies.retain(|_, changed| changed.strong_count() > 0);
            watched.sweep_at = watched.cookies.len().saturating_mul(2).max(SWEPT);
        }
        Watch(parts.iter().map(|part| watched.one(*part)).collect())
    }

    /// Whose a session is, and when that was asked, where that is less than `longest` before `now` (monotone); `None`: not known.
    pub(super) fn recall(&self, mark: Mark, now: Duration, longest: Duration) -> Option<Asked> {
        let fresh = |word: &Word, longest| now.saturating_sub(word.at) < longest && word.watch.holds();
        if let Some(word) = self.somebody.get(&mark).filter(|word| fresh(word, longest)) {
            return Some((word.who, word.at));
        }
        let word = self.nobody.get(&mark)?;
        fresh(&word, longest.min(NOBODY)).then_some((None, word.at))
    }

    /// Remembers what was said of a session whose cookies were watched since it was asked, at `at` (monotone).
    pub(super) fn remember(&self, mark: Mark, (watch, at): (Watch, Duration), who: Option<Arc<Principal>>) {
        if who.is_none() {
            self.somebody.invalidate(&mark);
        }
        let cache = if who.is_some() { &self.somebody } else { &self.nobody };
        cache.insert(mark, Word { who, watch, at });
    }

    /// Whether this session was somebody's when the application was last asked, however long ago that is.
    pub(super) fn was_somebodys(&self, mark: Mark) -> bool {
        self.somebody.contains_key(&mark)
    }

    /// These cookies were set or taken back: whatever was asked before holds no more.
    pub(super) fn forget(&self, parts: impl IntoIterator<Item = Mark>) {
        for part in parts {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            // INVARIANT: out of the table as soon as it has changed, so that whoever asks from now on watches it anew.
            if let Some(changed) = watched.cookies.remove(&part).and_then(|changed| changed.upgrade()) {
                changed.store(true, Ordering::Release);
            }
        }
    }
}

impl Watched {
    fn one(&mut self, part: Mark) -> Arc<AtomicBool> {
        if let Some(changed) = self.cookies.get(&part).and_then(Weak::upgrade) {
            return changed;
        }
        let changed = Arc::new(AtomicBool::new(false));
        self.cookies.insert(part, Arc::downgrade(&changed));
        changed
    }
}

#[cfg(test)]
mod tests {
    use policy::{Bindings, TenantId};

    use super::super::tests::{mark, someone};
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn said(memory: &Memory, session: u32, cookies: &[u32], who: Option<&str>, at: Duration) {
        memory.remember(mark(session), (watch(memory, cookies), at), who.map(someone));
    }

    fn watch(memory: &Memory, cookies: &[u32]) -> Watch {
        memory.watch(&cookies.iter().copied().map(mark).collect::<Vec<_>>())
    }

    #[test]
    fn a_word_holds_for_its_time_counted_from_the_question() {
        let memory = Memory::default();
        said(&memory, 1, &[2], Some("ada"), 10 * S);
        said(&memory, 3, &[4], None, 10 * S);
        for (at, somebody, nobody) in
            [(10, true, true), (14, true, true), (15, true, false), (39, true, false), (40, false, false)]
        {
            assert_eq!(memory.recall(mark(1), at * S, 30 * S).is_some(), somebody, "{at}");
            assert_eq!(memory.recall(mark(3), at * S, 30 * S).is_some(), nobody, "{at}");
        }
        assert!(memory.recall(mark(9), 10 * S, 30 * S).is_none());
    }

    #[test]
    fn callers_of_whom_much_is_said_take_the_places_of_others() {
        let memory = Memory::default();
        let roles = (0..1_000).map(|number| format!("r{number}")).collect();
        let large =
            Principal { bindings: Bindings::one(TenantId::parse("a"), roles), ..Principal::clone(&someone("ada")) };
        let (large, watch) = (Arc::new(large), watch(&memory, &[1]));
        for number in 0..2_000 {
            memory.remember(mark(number), (watch.clone(), S), Some(Arc::clone(&large)));
        }
        memory.somebody.run_pending_tasks();
        let most = MOST / u64::from(places(&large));
        assert!(most < 1_000 && memory.somebody.entry_count() <= most, "{}", memory.somebody.entry_count());
    }

    #[test]
    fn a_change_ends_what_was_asked_before_it_and_nothing_else() {
        let memory = Memory::default();
        let before = watch(&memory, &[2, 3]);
        memory.remember(mark(1), (before.clone(), S), Some(someone("ada")));
        said(&memory, 4, &[5], Some("eve"), S);
        memory.forget([mark(3)]);
        assert!(memory.recall(mark(1), S, 30 * S).is_none() && memory.recall(mark(4), S, 30 * S).is_some());
        // What was under way while it changed says nothing.
        memory.remember(mark(1), (before, S), Some(someone("ada")));
        assert!(memory.recall(mark(1), S, 30 * S).is_none());
        said(&memory, 1, &[2, 3], Some("ada"), S);
        assert!(memory.recall(mark(1), S, 30 * S).is_some());
    }

    #[test]
    fn a_session_that_was_somebodys_is_known_until_it_is_nobodys() {
        let memory = Memory::default();
        assert!(!memory.was_somebodys(mark(1)));
        said(&memory, 1, &[2], Some("ada"), S);
        memory.forget([mark(2)]);
        assert!(memory.was_somebodys(mark(1)) && memory.recall(mark(1), S, 30 * S).is_none());
        said(&memory, 1, &[2], None, S);
        assert!(!memory.was_somebodys(mark(1)));
    }

    #[test]
    fn nobody_makes_it_forget_by_changing_cookies_of_their_own() {
        let memory = Memory::default();
        said(&memory, 1, &[2], Some("ada"), S);
        for number in 100..50_000 {
            memory.forget([mark(number)]);
        }
        assert!(memory.recall(mark(1), S, 30 * S).is_some());
        assert_eq!(memory.watched.lock().unwrap().cookies.len(), 1);
    }

    #[test]
    fn cookies_that_nobody_asks_about_any_more_are_watched_no_more() {
        let memory = Memory::default();
        said(&memory, 1, &[2], Some("ada"), S);
        for number in 100..20_000 {
            drop(watch(&memory, &[number]));
        }
        assert!(memory.watched.lock().unwrap().cookies.len() <= SWEPT);
        memory.forget([mark(2)]);
        assert!(memory.recall(mark(1), S, 30 * S).is_none(), "what is remembered is watched still");
    }
}
