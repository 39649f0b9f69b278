//! The life of fetched keys: fetched at once, renewed from time to time and on demand, kept while renewal fails.
//!
//! Decides when to fetch: as the provider's answers say, within bounds of our own. Never gives up keys for an answer that
//! cannot be read, and one provider's trouble is never another's: each has a task of its own.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::{FetchFault, Fetcher, Source};
use super::keys::KeySetFault;
use super::store::KeyStore;
use crate::clock::Now;

/// When to fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// After a success, where the answer does not say for how long it may be used.
    pub refresh: Duration,
    /// The shortest time that an answer may say.
    pub least: Duration,
    /// The longest: a key that was withdrawn must not be believed for longer.
    pub most: Duration,
    /// After the first failure; doubled with each further one.
    pub retry_first: Duration,
    /// The longest time between two attempts while they fail.
    pub retry_most: Duration,
}

impl Pace {
    /// The pace for keys whose last good ones are used for `keep`: they are asked for at least four times as often.
    pub fn of(keep: Duration) -> Self {
        let most = Duration::from_secs(3_600).min(keep / 4);
        Self {
            refresh: Duration::from_secs(600),
            least: Duration::from_secs(60),
            most,
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(300),
        }
    }

    /// How long to wait after an answer that may be used for so many seconds, where it says so.
    pub(super) fn after(&self, lifetime: Option<u64>) -> Duration {
        let said = lifetime.map_or(self.refresh, Duration::from_secs);
        said.max(self.least).min(self.most)
    }

    /// How long to wait after `failures` failed attempts in a row, at least one.
    fn retry(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.retry_first.saturating_mul(factor).min(self.retry_most)
    }
}

/// `whole`, less a random share of up to one `part`-th of it, so that many replicas do not come at once.
fn jittered(whole: Duration, part: u32, random: u64) -> Duration {
    let share = whole.checked_div(part).unwrap_or_default();
    let thousandths = u32::try_from(random % 1_000).unwrap_or_default();
    whole.saturating_sub(share.saturating_mul(thousandths) / 1_000)
}

/// Whose keys are kept fresh.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The provider's name, for the log.
    pub provider: String,
    /// What, from where.
    pub source: Source,
    /// When.
    pub pace: Pace,
}

/// Keeps a provider's keys, and the metadata that names them, fresh until `shutdown` ends. `now` tells the time, `random`
/// gives any number (for the spread of attempts only).
///
/// One task for each: so there is at most one fetch at a time.
pub async fn keep_fresh(
    renewal: Renewal,
    now: impl Fn() -> Now,
    mut random: impl FnMut() -> u64,
    shutdown: impl Future<Output = ()>,
) {
    let Renewal { provider, source, pace } = renewal;
    let store = Arc::clone(source.keys());
    let mut fetcher = Fetcher::new(provider.clone(), source, pace);
    let renewing = async {
        let mut failures: u32 = 0;
        let mut pressing = false;
        loop {
            let wishes = store.begins();
            let fetched = fetcher.fetch(pressing, now()).await;
            let pause = match &fetched {
                Ok(lifetime) => jittered(pace.after(*lifetime), 10, random()),
                Err(_) => jittered(pace.retry(failures.saturating_add(1)), 2, random()),
            };
            tell(&provider, &store, &fetched, failures);
            failures = if fetched.is_ok() { 0 } else { failures.saturating_add(1) };
            store.ends(wishes);
            pressing = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = store.wanted() => true,
            };
        }
    };
    tokio::select! {
        biased;
        () = shutdown => {}
        () = renewing => {}
    }
}

/// Tells the log of failures, and of the first success after one; how keys stand otherwise is told by status and metrics.
fn tell(provider: &str, store: &KeyStore, fetched: &Result<Option<u64>, FetchFault>, failures: u32) {
    let status = store.status();
    let (keys, skipped) = (status.keys, status.skipped.len());
    match fetched {
        Ok(_) if failures > 0 => tracing::info!(provider, keys, skipped, "keys fetched again"),
        Ok(_) => tracing::debug!(provider, keys, skipped, "keys fetched"),
        Err(fault @ FetchFault::Keys(KeySetFault::NoneUsable)) => {
            tracing::warn!(provider, skipped, reason = fault.to_string(), "all keys withdrawn");
        }
        Err(fault) => tracing::warn!(provider, reason = fault.to_string(), "keys not fetched"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_held_to_bounds() {
        let pace = Pace::of(Duration::from_secs(86_400));
        let after = |lifetime| pace.after(lifetime).as_secs();
        assert_eq!(after(None), 600);
        assert_eq!(after(Some(0)), 60);
        assert_eq!(after(Some(1_200)), 1_200);
        assert_eq!(after(Some(u64::MAX)), 3_600);
        let short = Pace::of(Duration::from_secs(3_600));
        assert_eq!(short.after(Some(u64::MAX)).as_secs(), 900);
    }

    #[test]
    fn attempts_are_spread_and_bounded() {
        let pace = Pace::of(Duration::from_secs(86_400));
        for random in [0, 1, 499, 999, 1_000, u64::MAX] {
            let whole = Duration::from_secs(600);
            assert!((Duration::from_secs(540)..=whole).contains(&jittered(whole, 10, random)));
            for failures in [1, 2, 9, 10, 1_000, u32::MAX] {
                let pause = jittered(pace.retry(failures), 2, random);
                assert!(pause >= pace.retry_first / 2 && pause <= pace.retry_most, "{pause:?}");
            }
        }
        assert_eq!(pace.retry(1), pace.retry_first);
        assert!(pace.retry(4) > pace.retry(3));
    }
}
