//! Whose turn it is to compute a handshake, on one worker.
//!
//! Decides how much of a worker's time handshakes get while others have work to do: a slice for each time that the worker
//! has gone round all who are ready. A handshake is work for the gate alone, and without this a crowd of them would stand
//! before every request. Turns go in the order of asking, and never past a slice: what is left waits, and its deadline
//! goes on. A resumed session computes less, and so lets others follow sooner.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::ready;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::Instant;

/// How long handshakes may compute each time, at least: one or two of them.
const SLICE: Duration = Duration::from_micros(250);
/// As a part of what all others take in between, where that is more: so handshakes keep a quarter of a busy worker.
const SHARE: u32 = 3;

/// The turns of one worker.
#[derive(Debug)]
pub(super) struct Turns {
    /// The turn that there is: taken by who computes, and by nobody between two slices.
    turn: Semaphore,
    slice: Mutex<Slice>,
    used_up: Notify,
}

impl Default for Turns {
    fn default() -> Self {
        Self::of(SLICE)
    }
}

impl Turns {
    fn of(least: Duration) -> Self {
        let slice = Mutex::new(Slice { least, length: least, used: Duration::ZERO });
        Self { turn: Semaphore::new(1), slice, used_up: Notify::new() }
    }

    /// Lets a handshake compute whenever it can go on and it is its turn. Given up at any moment, it leaves the queue.
    pub(super) async fn each<T>(&self, shaking: impl Future<Output = T>) -> T {
        let mut shaking = pin!(shaking);
        let mut asking = pin!(self.turn.acquire());
        poll_fn(|context| {
            let turn = ready!(asking.as_mut().poll(context));
            // It asks again when it can go on, and holds no place in the queue until then.
            asking.set(self.turn.acquire());
            let began = Instant::now();
            let polled = shaking.as_mut().poll(context);
            if self.slice.lock().unwrap_or_else(PoisonError::into_inner).spend(began.elapsed()) {
                if let Ok(turn) = turn {
                    turn.forget();
                }
                self.used_up.notify_one();
            }
            polled
        })
        .await
    }

    /// Begins a new slice whenever one is used up and all others have had their time. Never ends.
    pub(super) async fn keep(&self) {
        loop {
            self.used_up.notified().await;
            let began = Instant::now();
            // Whoever is ready goes first, and so does whoever the system says is.
            yield_now().await;
            self.slice.lock().unwrap_or_else(PoisonError::into_inner).renew(began.elapsed());
            self.turn.add_permits(1);
        }
    }
}

/// What handshakes may compute before all others get their time.
#[derive(Debug)]
struct Slice {
    least: Duration,
    length: Duration,
    used: Duration,
}

impl Slice {
    /// Takes some of it, and says whether it is used up.
    fn spend(&mut self, time: Duration) -> bool {
        self.used = self.used.saturating_add(time);
        self.used >= self.length
    }

    /// A new one, after all others took `others`.
    fn renew(&mut self, others: Duration) {
        self.length = self.least.max(others / SHARE);
        self.used = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_slice_is_used_up_by_time_and_grows_with_what_others_take() {
        let micros = Duration::from_micros;
        let mut slice = Slice { least: micros(250), length: micros(250), used: Duration::ZERO };
        assert!(!slice.spend(micros(100)));
        assert!(!slice.spend(micros(100)));
        assert!(slice.spend(micros(100)));
        slice.renew(micros(30));
        assert!(slice.spend(micros(900)), "one that takes longer than a slice still gets its turn");
        slice.renew(micros(3_000));
        assert!(!slice.spend(micros(900)));
        assert!(slice.spend(micros(100)), "a third of what the others took");
    }

    /// Time stands still here, so each slice is used up by whoever has the turn.
    #[tokio::test(start_paused = true)]
    async fn those_who_are_here_go_on_between_two_handshakes() {
        let turns = Arc::new(Turns::of(Duration::ZERO));
        let kept = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.keep().await }
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut shaking = tokio::task::JoinSet::new();
        for number in 0..4_u8 {
            let (turns, log) = (Arc::clone(&turns), Arc::clone(&log));
            shaking.spawn(async move { turns.each(async { log.lock().unwrap().push(Some(number)) }).await });
        }
        let here = {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                loop {
                    log.lock().unwrap().push(None);
                    yield_now().await;
                }
            })
        };
        shaking.join_all().await;
        here.abort();
        kept.abort();
        let log = log.lock().unwrap();
        let order: Vec<_> = log.iter().flatten().copied().collect();
        assert_eq!(order, [0, 1, 2, 3], "in the order of asking");
        assert!(log.windows(2).all(|two| two[0].is_none() || two[1].is_none()), "{log:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_keeps_nobody_waiting() {
        let turns = Arc::new(Turns::of(Duration::ZERO));
        // Nobody renews the slice, so the first has used up the only turn that there is.
        turns.each(std::future::ready(())).await;
        let given_up = tokio::time::timeout(Duration::from_secs(1), turns.each(std::future::ready(()))).await;
        assert!(given_up.is_err());
        let kept = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.keep().await }
        });
        tokio::time::timeout(Duration::from_secs(1), turns.each(std::future::ready(()))).await.unwrap();
        kept.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_for_its_client_lets_others_pass() {
        let turns = Turns::of(SLICE);
        let silent = turns.each(std::future::pending::<()>());
        let other = async {
            turns.each(std::future::ready(())).await;
            turns.each(std::future::ready(())).await;
        };
        tokio::select! {
            biased;
            () = silent => {}
            () = other => {}
        }
    }
}
