//! Refused requests of one connection.
//!
//! Decides when a connection has to wait for its turn, and when it ends: whoever was refused so often gets nothing by
//! going on, and must not hold a worker that others wait for. A permitted request takes one refusal back, so that a flood of
//! which some pass is one too. It never looks at a request, and a sender that carries many clients is not counted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// So many are answered at once.
const AT_ONCE: u32 = 20;
/// How long each request behind them waits, before anything is done for it.
const PAUSE: Duration = Duration::from_millis(50);
/// With so many the connection ends.
const MOST: u32 = 100;

/// The refused requests, less those that were permitted.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: AtomicU32,
    enough: Notify,
}

impl Refusals {
    /// Waits until the next request may be looked at.
    pub(super) async fn turn(&self) {
        if self.count.load(Ordering::Acquire) >= AT_ONCE {
            sleep(PAUSE).await;
        }
    }

    /// Notes what became of a request. True where the connection has to end: each time that [`MOST`] more were refused.
    pub(super) fn note(&self, refused: bool) -> bool {
        if !refused {
            // Fails where there is none to take back, which changes nothing.
            let _none = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1));
            return false;
        }
        let count = self.count.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        let enough = count.is_multiple_of(MOST);
        if enough {
            self.enough.notify_one();
        }
        enough
    }

    /// Ready when the connection has to end, each time anew.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_twentieth_makes_wait_the_hundredth_ends_and_permitted_ones_forgive() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for number in 1..MOST {
            refusals.turn().await;
            assert!(!refusals.note(true), "{number}");
        }
        assert_eq!(start.elapsed(), PAUSE * (MOST - 1 - AT_ONCE));
        for _ in 0..200 {
            assert!(!refusals.note(false));
        }
        let start = Instant::now();
        refusals.turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let ends: Vec<_> = (1..=250).filter(|_| refusals.note(true)).collect();
        assert_eq!(ends, [100, 200]);
        refusals.enough().await;
    }
}
