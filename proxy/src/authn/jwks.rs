//! The life of a fetched key set: fetched at once, renewed from time to time and on demand, kept while renewal fails.
//!
//! Decides when to fetch. Never lets a request wait for a fetch, and never gives up keys for a worse answer.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::{FetchFault, Source};
use super::store::KeyStore;

/// When to fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// After a success; shortened by up to a tenth at random, so that many replicas do not come at once.
    pub refresh: Duration,
    /// The least time between two fetches that unknown keys ask for.
    pub cool_down: Duration,
    /// After the first failure; doubled with each further one.
    pub retry_first: Duration,
    /// The longest time between two attempts while they fail.
    pub retry_most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            cool_down: Duration::from_secs(30),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(300),
        }
    }
}

impl Pace {
    /// How long to wait after `failures` failed attempts in a row (none: after a success).
    fn pause(&self, failures: u32, random: u64) -> Duration {
        let whole = match failures.checked_sub(1) {
            None => self.refresh,
            Some(before) => {
                let factor = 2_u32.saturating_pow(before);
                return jittered(self.retry_first.saturating_mul(factor).min(self.retry_most), 2, random);
            }
        };
        jittered(whole, 10, random)
    }
}

/// `whole`, less a random share of up to one `part`-th of it.
fn jittered(whole: Duration, part: u32, random: u64) -> Duration {
    let share = whole.checked_div(part).unwrap_or_default();
    let thousandths = u32::try_from(random % 1_000).unwrap_or_default();
    whole.saturating_sub(share.saturating_mul(thousandths) / 1_000)
}

/// One provider's keys and where they come from.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The provider's name, for the log.
    pub provider: String,
    /// Where fetched keys go.
    pub store: Arc<KeyStore>,
    /// Where they are fetched.
    pub source: Source,
    /// When.
    pub pace: Pace,
}

/// Keeps a provider's keys fresh until `shutdown` ends. `now` tells the time in Unix seconds, `random` gives any number
/// (for the spread of attempts only).
///
/// One task per provider: so there is at most one fetch at a time, and tokens with unknown keys, however many, cause at
/// most one per [`Pace::cool_down`].
pub async fn keep_fresh(
    renewal: Renewal,
    now: impl Fn() -> u64,
    mut random: impl FnMut() -> u64,
    shutdown: impl Future<Output = ()>,
) {
    let Renewal { provider, store, source, pace } = renewal;
    let renewing = async {
        let mut failures: u32 = 0;
        loop {
            let fetched = attempt(&provider, &store, &source, now()).await;
            failures = if fetched { 0 } else { failures.saturating_add(1) };
            pause(&store, pace.pause(failures, random()), pace.cool_down).await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown => {}
        () = renewing => {}
    }
}

/// Fetches a provider's keys once, for a command that ends.
///
/// # Errors
/// Whatever keeps the answer from being a key set that can be used; the keys stay as they are.
pub async fn fetch_once(store: &KeyStore, source: &Source, now: u64) -> Result<(), FetchFault> {
    store.fetched(source.fetch().await?, now);
    Ok(())
}

/// One fetch; whether it brought keys.
async fn attempt(provider: &str, store: &KeyStore, source: &Source, now: u64) -> bool {
    match source.fetch().await {
        Ok(keys) => {
            tracing::debug!(provider, keys = keys.len(), skipped = keys.skipped().len(), "keys fetched");
            store.fetched(keys, now);
            true
        }
        Err(fault) => {
            let reason = fault.to_string();
            tracing::warn!(provider, reason, "keys not fetched");
            store.failed(&reason);
            false
        }
    }
}

/// Waits for `whole`, or, after the cool-down, until a token names an unknown key.
async fn pause(store: &KeyStore, whole: Duration, cool_down: Duration) {
    tokio::time::sleep(whole.min(cool_down)).await;
    let rest = whole.saturating_sub(cool_down);
    if !rest.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = store.refresh_wanted() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_spread_and_bounded() {
        let pace = Pace::default();
        for random in [0, 1, 499, 999, 1_000, u64::MAX] {
            let after_success = pace.pause(0, random);
            assert!((Duration::from_secs(540)..=pace.refresh).contains(&after_success), "{after_success:?}");
            assert!(pace.pause(1, random) <= pace.retry_first);
            for failures in [1, 2, 9, 10, 1_000, u32::MAX] {
                let after_failure = pace.pause(failures, random);
                assert!(after_failure >= pace.retry_first / 2, "{after_failure:?}");
                assert!(after_failure <= pace.retry_most, "{after_failure:?}");
            }
        }
        assert!(pace.pause(4, 0) > pace.pause(3, 0));
    }
}
