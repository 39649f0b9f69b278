//! Something that is fetched, shared by every worker, and used for a while when it cannot be fetched again.
//!
//! Decides whether it may be used now, by its age on the monotone clock: who sets the wall clock back makes nothing last longer.
//! Never fetches, and never gives it up for a worse answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Now;

/// The thing, replaced as a whole.
#[derive(Debug)]
pub(super) struct LastGood<T> {
    held: ArcSwap<Held<T>>,
    /// How long it is used after it was last had from its source, in seconds.
    keep_s: AtomicU64,
}

/// What is held at one time.
#[derive(Debug)]
pub(super) struct Held<T> {
    /// The thing itself.
    pub(super) value: Option<Arc<T>>,
    /// What is known of how it came here.
    pub(super) state: State,
}

/// How a thing came here, for status and metrics.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Counts those that came, from 1; a confirmed one is not another.
    pub generation: u64,
    /// When its source last gave or confirmed it; `None` for one that is not fetched, or not yet.
    pub fetched_at: Option<Now>,
    /// Attempts that failed, since the start.
    pub failed: u64,
    /// Why the last attempt failed; `None` after a success.
    pub last_error: Option<String>,
}

impl State {
    /// How old it is at `now` (monotone); `None` for one that is not fetched, or not yet.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        // Another worker may have read the clock a moment later.
        self.fetched_at.map(|at| now.saturating_sub(at.monotone))
    }
}

impl<T> LastGood<T> {
    /// One that is not fetched: it does not age.
    pub(super) fn fixed(value: T) -> Self {
        let state = State { generation: 1, ..State::default() };
        Self::holding(Some(Arc::new(value)), state, Duration::MAX)
    }

    /// One that will be fetched, and is then used for `keep` while it cannot be fetched again.
    pub(super) fn awaited(keep: Duration) -> Self {
        Self::holding(None, State::default(), keep)
    }

    fn holding(value: Option<Arc<T>>, state: State, keep: Duration) -> Self {
        Self { held: ArcSwap::from_pointee(Held { value, state }), keep_s: AtomicU64::new(keep.as_secs()) }
    }

    /// From now on it is used for `keep`.
    pub(super) fn keep_for(&self, keep: Duration) {
        self.keep_s.store(keep.as_secs(), Ordering::Release);
    }

    /// It, where there is one that is not too old at `now` (monotone).
    pub(super) fn current(&self, now: Duration) -> Option<Arc<T>> {
        let held = self.held.load();
        let keep = Duration::from_secs(self.keep_s.load(Ordering::Acquire));
        let fresh = held.state.age(now).is_none_or(|age| age <= keep);
        held.value.as_ref().filter(|_| fresh).map(Arc::clone)
    }

    /// Puts one in place of the old one.
    pub(super) fn fetched(&self, value: T, now: Now) {
        let value = Some(Arc::new(value));
        self.held.rcu(|held| Held {
            value: value.clone(),
            state: State {
                generation: held.state.generation.saturating_add(1),
                fetched_at: Some(now),
                last_error: None,
                failed: held.state.failed,
            },
        });
    }

    /// Its source says that it is still the same.
    pub(super) fn confirmed(&self, now: Now) {
        self.held.rcu(|held| Held {
            value: held.value.clone(),
            state: State { fetched_at: Some(now), last_error: None, ..held.state.clone() },
        });
    }

    /// It could not be fetched. What is held stays.
    pub(super) fn failed(&self, reason: &str) {
        self.held.rcu(|held| Held {
            value: held.value.clone(),
            state: State {
                last_error: Some(reason.to_owned()),
                failed: held.state.failed.saturating_add(1),
                ..held.state.clone()
            },
        });
    }

    /// All of it at this moment, however old.
    pub(super) fn held(&self) -> Arc<Held<T>> {
        self.held.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// So many seconds after the start, by a wall clock that is set as the test says.
    fn at(passed_s: u64, unix_s: u64) -> Now {
        Now { unix_ms: unix_s * 1_000, monotone: s(passed_s) }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_outlives_failures_for_as_long_as_is_said() {
        let store = LastGood::awaited(DAY);
        assert_eq!(store.current(s(7)), None);
        store.failed("the host cannot be reached");
        assert_eq!(store.current(s(7)), None);
        store.fetched("a", at(7, 1_795_000_000));
        store.failed("the host answered 500");
        assert!(store.current(s(7 + 86_400)).is_some());
        assert_eq!(store.current(s(7 + 86_401)), None);
        assert!(store.current(s(6)).is_some(), "by a worker that read the clock a moment before");
        store.keep_for(DAY * 2);
        assert!(store.current(s(7 + 86_401)).is_some());
        store.confirmed(at(7 + 86_400, 1_795_086_400));
        assert!(store.current(s(7 + 3 * 86_400)).is_some());
        let state =
            State { generation: 1, fetched_at: Some(at(7 + 86_400, 1_795_086_400)), failed: 2, last_error: None };
        assert_eq!(store.held().state, state);
    }

    #[test]
    fn a_wall_clock_that_was_set_makes_it_neither_older_nor_younger() {
        for unix_s in [0, 1_795_000_000, u64::MAX / 1_000] {
            let store = LastGood::awaited(DAY);
            store.fetched("a", at(7, unix_s));
            assert!(store.current(s(7 + 86_400)).is_some());
            assert_eq!(store.current(s(7 + 86_401)), None);
            assert_eq!(store.held().state.age(s(100)), Some(s(93)));
        }
    }

    #[test]
    fn what_is_not_fetched_does_not_age() {
        assert!(LastGood::fixed("a").current(Duration::MAX).is_some());
        assert_eq!(LastGood::fixed("a").held().state.age(DAY), None);
    }
}
