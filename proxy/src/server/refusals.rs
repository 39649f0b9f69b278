//! Refused requests of one connection, one after the other.
//!
//! Decides when a connection has to wait for its turn, and when it ends: whoever was refused so often in a row gets nothing
//! by going on, and must not hold a worker that others wait for. A permitted request starts the count anew. It never looks
//! at a request, and a sender that carries many clients is not counted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// So many in a row are answered at once.
const AT_ONCE: u32 = 20;
/// How long each request behind them waits, before anything is done for it.
const PAUSE: Duration = Duration::from_millis(50);
/// With so many in a row the connection ends.
const MOST: u32 = 100;

/// The refused requests in a row.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    in_a_row: AtomicU32,
    enough: Notify,
}

impl Refusals {
    /// Waits until the next request may be looked at.
    pub(super) async fn turn(&self) {
        if self.in_a_row.load(Ordering::Acquire) >= AT_ONCE {
            sleep(PAUSE).await;
        }
    }

    /// Notes what became of a request. True where the connection has to end: each time that [`MOST`] more were refused.
    pub(super) fn note(&self, refused: bool) -> bool {
        if !refused {
            self.in_a_row.store(0, Ordering::Release);
            return false;
        }
        let count = self.in_a_row.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
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
    async fn the_twentieth_makes_wait_the_hundredth_ends_and_a_permitted_one_forgives() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for number in 1..MOST {
            refusals.turn().await;
            assert!(!refusals.note(true), "{number}");
        }
        assert_eq!(start.elapsed(), PAUSE * (MOST - 1 - AT_ONCE));
        assert!(!refusals.note(false));
        let start = Instant::now();
        refusals.turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let ends: Vec<_> = (1..=250).filter(|_| refusals.note(true)).collect();
        assert_eq!(ends, [100, 200]);
        refusals.enough().await;
    }
}
