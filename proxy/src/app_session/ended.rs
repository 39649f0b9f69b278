//! Session cookies whose session somebody has ended at the gate.
//!
//! Decides that such a cookie passes no more, beside nobody and on no page: the application never learns that its session is
//! over, so the gate keeps it away. Only the application brings one back, by setting the same value in an answer to what was
//! asked later; an answer that was on its way at the end does not. Whoever ends cookie after cookie makes the gate forget none
//! but their own.

use std::time::Duration;

use moka::sync::Cache;

use super::shares::Shares;
use super::{Mark, table};

/// The most cookies that are known; the one that was shown longest ago goes first, and then counts as never seen. Less
/// than a binding each, so under 11 MiB in all.
const MOST: u64 = 20_000;
/// The most callers whose ends are counted; each may have [`super::shares::MOST_OF_ONE`].
const CALLERS: u64 = 10_000;

/// The end of a cookie.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Who brought it about.
    by: Mark,
    /// Monotone time.
    at: Duration,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ended {
    cookies: Cache<Mark, End>,
    shares: Shares,
}

impl Default for Ended {
    fn default() -> Self {
        Self::of_size(MOST)
    }
}

impl Ended {
    fn of_size(most: u64) -> Self {
        Self { cookies: table(most), shares: Shares::of_size(CALLERS) }
    }

    /// Notes that the caller `by` has ended a cookie.
    pub(super) fn end(&self, cookie: Mark, by: Mark, now: Duration) {
        let first = self.cookies.get_with(cookie, || End { by, at: now });
        if first.at < now {
            self.cookies.insert(cookie, End { at: now, ..first });
        }
        // INVARIANT: it counts among the ends of whoever ended it first. Else a thief of the cookie could end it once more, and
        // then so many others that it is forgotten.
        if first.by != by {
            return;
        }
        let stands = |one| self.cookies.get(&one).is_some_and(|end| end.by == by);
        if let Some(oldest) = self.shares.add(by, cookie, stands) {
            self.cookies.invalidate(&oldest);
        }
    }

    /// Whether it has ended.
    pub(super) fn holds(&self, cookie: Mark) -> bool {
        self.cookies.get(&cookie).is_some()
    }

    /// Whether it stays ended though the application sets it in an answer to what was asked at `asked`. If not, it is
    /// forgotten.
    pub(super) fn outlasts(&self, cookie: Mark, asked: Duration) -> bool {
        match self.cookies.get(&cookie) {
            Some(end) if asked <= end.at => true,
            Some(_) => {
                self.cookies.invalidate(&cookie);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shares::MOST_OF_ONE;
    use super::super::tests::mark;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_table_is_bounded() {
        let ended = Ended::of_size(100);
        for number in 0..2_000 {
            ended.end(mark(number), mark(number), Duration::ZERO);
        }
        ended.cookies.run_pending_tasks();
        assert!(ended.cookies.entry_count() <= 100, "{}", ended.cookies.entry_count());
    }

    #[test]
    fn nobody_makes_it_forget_what_others_have_ended() {
        let ended = Ended::default();
        let (ada, eve) = (mark(1), mark(2));
        ended.end(mark(9), ada, S);
        // The thief of her cookie ends it too, and then many others.
        ended.end(mark(9), eve, 2 * S);
        for number in 100..100 + 30 * MOST_OF_ONE as u32 {
            ended.end(mark(number), eve, 3 * S);
        }
        assert!(ended.holds(mark(9)));
        let kept = (100..100 + 30 * MOST_OF_ONE as u32).filter(|number| ended.holds(mark(*number)));
        assert_eq!(kept.count(), MOST_OF_ONE);
        assert!(ended.outlasts(mark(9), 2 * S) && !ended.outlasts(mark(9), 3 * S), "the last end counts");
    }
}
