//! Session cookies whose session somebody has ended at the gate.
//!
//! Decides that such a cookie passes no more, beside nobody and on no page: the application never learns that its session is
//! over, so the gate keeps it away. Only the application brings one back, by setting the same value in an answer to what was
//! asked later; an answer that was on its way at the end does not.

use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Mark;

/// The most cookies that are known; the one that was shown longest ago goes first, and then counts as never seen. Less
/// than a binding each, so under 11 MiB in all.
const MOST: u64 = 20_000;

/// Each with the monotone time of its end.
#[derive(Debug)]
pub(super) struct Ended(Cache<Mark, Duration>);

impl Default for Ended {
    fn default() -> Self {
        Self::of_size(MOST)
    }
}

impl Ended {
    fn of_size(most: u64) -> Self {
        Self(Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Notes the end of a cookie.
    pub(super) fn end(&self, cookie: Mark, now: Duration) {
        self.0.insert(cookie, now);
    }

    /// Whether it has ended.
    pub(super) fn holds(&self, cookie: Mark) -> bool {
        self.0.get(&cookie).is_some()
    }

    /// Whether it stays ended though the application sets it in an answer to what was asked at `asked`. If not, it is
    /// forgotten.
    pub(super) fn outlasts(&self, cookie: Mark, asked: Duration) -> bool {
        match self.0.get(&cookie) {
            Some(end) if asked <= end => true,
            Some(_) => {
                self.0.invalidate(&cookie);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded() {
        let ended = Ended::of_size(100);
        for number in 0..2_000_u32 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            ended.end(Mark(bytes), Duration::ZERO);
        }
        ended.0.run_pending_tasks();
        assert!(ended.0.entry_count() <= 100, "{}", ended.0.entry_count());
    }
}
