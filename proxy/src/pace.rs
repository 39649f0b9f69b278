//! The least rate at which the other side of a transfer has to do its part.
//!
//! Decides when it was too slow. Only the time counts in which the other side owed something: bytes that it was to send, or
//! to take. A stream on which nothing is owed, such as server-sent events between two of them, is never too slow. What it
//! does faster grows into a credit, up to the grace.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How fast the other side has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastRate {
    /// Bytes in a second, on average.
    pub per_second: u64,
    /// How long it may do nothing at all.
    pub grace: Duration,
}

impl LeastRate {
    /// How long so many bytes may take.
    pub(crate) fn time_for(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128).saturating_mul(1_000_000_000) / u128::from(self.per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long nothing may move where only steps of `bytes` can be seen.
    pub(crate) fn for_steps_of(self, bytes: usize) -> Duration {
        self.grace.max(self.time_for(bytes))
    }
}

/// The account of one transfer.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: LeastRate,
    /// How long it may still owe without doing anything.
    credit: Duration,
    /// Since when it owes, and by when it has to have done its part.
    owing: Option<(Instant, Instant)>,
}

impl Pace {
    /// Nothing is owed yet.
    pub(crate) fn new(rate: LeastRate) -> Self {
        Self { rate, credit: rate.grace, owing: None }
    }

    /// From now on the other side owes: it is to take `bytes`, or (with none) to send some. Once it owes, asking again
    /// changes nothing.
    pub(crate) fn owes(&mut self, now: Instant, bytes: usize) {
        let longest = self.credit.saturating_add(self.rate.time_for(bytes));
        // A time that no clock reaches is none.
        self.owing = self.owing.or_else(|| now.checked_add(longest).map(|by| (now, by)));
    }

    /// It has done its part, and sent `bytes` with it.
    pub(crate) fn did(&mut self, now: Instant, bytes: usize) {
        if let Some((_, by)) = self.owing.take() {
            self.credit = by.saturating_duration_since(now);
        }
        self.credit = self.credit.saturating_add(self.rate.time_for(bytes)).min(self.rate.grace);
    }

    /// By when it has to have done its part; `None` while it owes nothing.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.owing.map(|(_, by)| by)
    }
}

/// Wakes a task at a deadline that moves.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(crate) fn poll_passed(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: LeastRate = LeastRate { per_second: 1_024, grace: Duration::from_secs(30) };

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn time_counts_only_while_something_is_owed() {
        let start = Instant::now();
        let mut pace = Pace::new(RATE);
        assert_eq!(pace.deadline(), None);
        pace.owes(start, 0);
        pace.owes(second(start, 20), 0);
        assert_eq!(pace.deadline(), Some(second(start, 30)), "owing began at the start");
        pace.did(second(start, 20), 1);
        // An hour in which nothing was owed.
        pace.owes(second(start, 3_600), 0);
        let by = pace.deadline().unwrap();
        assert!(
            by >= second(start, 3_610) && by < second(start, 3_611),
            "ten seconds are left, and the time of one byte"
        );
    }

    #[test]
    fn drops_do_not_hold_a_transfer_up_and_a_steady_one_goes_on_for_ever() {
        let start = Instant::now();
        for (bytes, holds) in [(1, false), (900, false), (1_024, true), (4_096, true)] {
            let mut pace = Pace::new(RATE);
            let mut held = true;
            for at in 0..3_600 {
                pace.owes(second(start, at), 0);
                held = held && pace.deadline().unwrap() >= second(start, at + 1);
                pace.did(second(start, at + 1), bytes);
            }
            assert_eq!(held, holds, "{bytes} bytes a second");
        }
    }

    #[test]
    fn a_large_piece_has_its_own_time() {
        let start = Instant::now();
        let mut pace = Pace::new(RATE);
        pace.owes(start, 64 * 1_024);
        assert_eq!(pace.deadline(), Some(second(start, 94)));
        pace.did(second(start, 94), 0);
        pace.owes(second(start, 94), 1_024);
        assert_eq!(pace.deadline(), Some(second(start, 95)), "the grace is used up");
    }
}
