//! A limit on how long nothing may happen.
//!
//! Decides when a wait has lasted too long; what then happens is the caller's. It starts counting when it is first asked
//! and begins anew whenever something moved.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Counts the time in which nothing moved.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Stall {
    /// Nothing may stand still for longer than `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, sleep: None, waiting: false }
    }

    /// Something moved.
    pub(crate) fn moved(&mut self) {
        self.waiting = false;
    }

    /// Nothing moved now: ready once that has been so for the whole limit.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            self.waiting = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn it_ends_after_the_limit_and_begins_anew_when_something_moved() {
        let mut stall = Stall::new(Duration::from_secs(10));
        let early = tokio::time::timeout(Duration::from_secs(9), poll_fn(|cx| stall.poll_waiting(cx))).await;
        assert!(early.is_err());
        stall.moved();
        let early = tokio::time::timeout(Duration::from_secs(9), poll_fn(|cx| stall.poll_waiting(cx))).await;
        assert!(early.is_err());
        let late = tokio::time::timeout(Duration::from_secs(2), poll_fn(|cx| stall.poll_waiting(cx))).await;
        assert!(late.is_ok());
    }
}
