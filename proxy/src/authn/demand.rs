//! When a token with an unknown key is a reason to fetch the provider's keys.
//!
//! Decides it by a window and by what is remembered of each such key: anybody can write any key's name into a token, or none, so
//! tokens cost the provider at most one fetch a window however many there are, and a name that was asked for in vain asks
//! again ever more seldom. Never fetches.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// The least time between two fetches that unknown keys ask for, in seconds.
pub const WINDOW_S: u64 = 30;
/// The longest time after which a key that was asked for in vain may ask again, in seconds.
const SELDOM_S: u64 = 600;
/// The most unknown keys that are remembered, as numbers of eight bytes: beyond them the oldest is forgotten.
const MOST: usize = 1_024;

/// What unknown keys have asked for.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// When the last fetch was asked for, in Unix seconds.
    asked_at: Option<u64>,
    /// Keys that have asked, by a hash whose secret is this process': nobody can choose names that collide.
    absent: HashMap<u64, Absent>,
    /// The same, the oldest first.
    order: VecDeque<u64>,
    hashing: RandomState,
}

/// One that has asked, in vain so far.
#[derive(Clone, Copy, Debug)]
struct Absent {
    asked_at: u64,
    /// How long it keeps quiet after that.
    quiet_s: u64,
}

impl Demand {
    /// Whether the keys are to be fetched because a token names `kid`, or none, at `now` in Unix seconds.
    pub(super) fn asks(&mut self, kid: Option<&str>, now: u64) -> bool {
        if self.asked_at.is_some_and(|at| within(at, WINDOW_S, now)) {
            return false;
        }
        // Tokens without a name are not of one key: that one has asked in vain says nothing of the next.
        let asks = kid.is_none_or(|kid| self.is_due(kid, now));
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }

    /// Whether it is time that this one asks (again).
    fn is_due(&mut self, kid: &str, now: u64) -> bool {
        let mark = self.hashing.hash_one(kid);
        let before = self.absent.get(&mark).copied();
        if before.is_some_and(|one| within(one.asked_at, one.quiet_s, now)) {
            return false;
        }
        let quiet_s = before.map_or(WINDOW_S, |one| one.quiet_s.saturating_mul(2).min(SELDOM_S));
        if before.is_none() {
            self.order.push_back(mark);
            while self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.absent.remove(&oldest);
            }
        }
        self.absent.insert(mark, Absent { asked_at: now, quiet_s });
        true
    }
}

/// Whether `now` is less than `seconds` after `at`. A clock that was set back is no reason to keep quiet.
fn within(at: u64, seconds: u64, now: u64) -> bool {
    now.checked_sub(at).is_some_and(|since| since < seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    #[test]
    fn ten_thousand_names_are_one_fetch_a_window() {
        let mut demand = Demand::default();
        for window in 0..20 {
            let began = NOW + window * WINDOW_S;
            let fetches = (0..10_000_u64)
                .filter(|index| demand.asks(Some(&format!("{window}-{index}")), began + index * WINDOW_S / 10_000))
                .count();
            assert_eq!(fetches, 1, "window {window}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_asks_ever_more_seldom() {
        let mut demand = Demand::default();
        let asked: Vec<u64> = (0..7_200).filter(|second| demand.asks(Some("withdrawn"), NOW + second)).collect();
        assert_eq!(asked[..6], [0, 30, 90, 210, 450, 930]);
        assert!(asked.len() <= 17, "{asked:?}");
        // A new one is not held up by it.
        assert!(demand.asks(Some("new"), NOW + 7_200));
        assert!(!demand.asks(None, NOW + 7_200));
        for window in 1..20 {
            assert!(demand.asks(None, NOW + 7_200 + window * WINDOW_S), "who names no key asks in each window");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut demand = Demand::default();
        for index in 0..5_000_u64 {
            assert!(demand.asks(Some(&index.to_string()), NOW + index * WINDOW_S));
            assert!(demand.absent.len() <= MOST && demand.order.len() == demand.absent.len());
        }
        assert_eq!(demand.absent.len(), MOST);
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_reason() {
        let mut demand = Demand::default();
        assert!(demand.asks(Some("a"), NOW));
        assert!(demand.asks(Some("a"), NOW - 86_400));
        assert!(!demand.asks(Some("b"), NOW - 86_399));
    }
}
