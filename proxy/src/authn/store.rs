//! The current keys of one provider, shared by every worker and kept up to date by whoever owns the source.
//!
//! Decides whether there are keys to check with now. Never fetches: it only says that somebody would like it to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::fault::TokenFault;
use super::keys::{KeySet, Skipped};

/// How long fetched keys are used while fetching fails, in seconds. After that nobody can be let in.
pub const LAST_GOOD_S: u64 = 24 * 60 * 60;

/// The keys, replaced as a whole.
#[derive(Debug)]
pub struct KeyStore {
    held: ArcSwap<Held>,
    wanted: Notify,
}

/// What is held at one time.
#[derive(Clone, Debug)]
struct Held {
    keys: Option<Arc<KeySet>>,
    generation: u64,
    fetched_at: Option<u64>,
    last_error: Option<String>,
}

/// The state of a provider's keys, for status and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    /// How many keys are used.
    pub keys: usize,
    /// Published keys that are not used.
    pub skipped: Vec<Skipped>,
    /// Counts the sets so far.
    pub generation: u64,
    /// When the keys were fetched, in Unix seconds; `None` for keys that are not fetched, or not yet.
    pub fetched_at: Option<u64>,
    /// Why the last attempt failed; `None` after a success.
    pub last_error: Option<String>,
}

impl KeyStore {
    /// Keys from a file, from the configuration, or a secret: they do not age.
    pub fn fixed(keys: KeySet) -> Self {
        Self::holding(Some(Arc::new(keys)), 1)
    }

    /// No keys yet: they will be fetched. Until then every token is [`TokenFault::NoKeys`].
    pub fn awaiting() -> Self {
        Self::holding(None, 0)
    }

    fn holding(keys: Option<Arc<KeySet>>, generation: u64) -> Self {
        let held = Held { keys, generation, fetched_at: None, last_error: None };
        Self { held: ArcSwap::from_pointee(held), wanted: Notify::new() }
    }

    /// The keys to check with at `now` (Unix seconds).
    ///
    /// # Errors
    /// [`TokenFault::NoKeys`] when there never were any, or the last good ones are older than [`LAST_GOOD_S`].
    pub fn current(&self, now: u64) -> Result<Arc<KeySet>, TokenFault> {
        let held = self.held.load();
        let keys = held.keys.as_ref().ok_or(TokenFault::NoKeys)?;
        match held.fetched_at {
            Some(at) if now.saturating_sub(at) > LAST_GOOD_S => Err(TokenFault::NoKeys),
            Some(_) | None => Ok(Arc::clone(keys)),
        }
    }

    /// Puts fetched keys in place of the old ones.
    pub(super) fn fetched(&self, keys: KeySet, now: u64) {
        let keys = Some(Arc::new(keys));
        self.held.rcu(|held| Held {
            keys: keys.clone(),
            generation: held.generation.saturating_add(1),
            fetched_at: Some(now),
            last_error: None,
        });
    }

    /// Notes that fetching failed. The keys stay.
    pub(super) fn failed(&self, reason: &str) {
        self.held.rcu(|held| Held { last_error: Some(reason.to_owned()), ..Held::clone(held) });
    }

    /// Says that a token named a key that is not here. Any number of calls is one wish.
    pub(crate) fn want_refresh(&self) {
        self.wanted.notify_one();
    }

    /// Waits for a wish.
    pub(super) async fn refresh_wanted(&self) {
        self.wanted.notified().await;
    }

    /// The state for status and metrics.
    pub fn status(&self) -> KeyStatus {
        let held = self.held.load();
        let keys = held.keys.as_deref();
        KeyStatus {
            keys: keys.map_or(0, KeySet::len),
            skipped: keys.map_or_else(Vec::new, |keys| keys.skipped().to_vec()),
            generation: held.generation,
            fetched_at: held.fetched_at,
            last_error: held.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::signing::{Maker, NOW, set_of};

    #[test]
    fn no_keys_yet_is_nobody_in() {
        let store = KeyStore::awaiting();
        assert_eq!(store.current(NOW).err(), Some(TokenFault::NoKeys));
        store.failed("the host cannot be reached");
        assert_eq!(store.current(NOW).err(), Some(TokenFault::NoKeys));
        assert_eq!(TokenFault::NoKeys.code(), "PROVIDER_DOWN");
        assert_eq!(TokenFault::NoKeys.challenge(), None);
        let status = store.status();
        assert_eq!((status.keys, status.generation, status.fetched_at), (0, 0, None));
        assert_eq!(status.last_error.as_deref(), Some("the host cannot be reached"));
    }

    #[test]
    fn fetched_keys_outlive_failures_for_a_day() {
        let store = KeyStore::awaiting();
        store.fetched(set_of(&[Maker::ed25519().jwk("e")]), NOW);
        store.failed("the host answered 500");
        assert!(store.current(NOW + LAST_GOOD_S).is_ok());
        assert_eq!(store.current(NOW + LAST_GOOD_S + 1).err(), Some(TokenFault::NoKeys));
        assert!(store.current(NOW - 1_000).is_ok(), "a clock that was set back is no reason");
        store.fetched(set_of(&[Maker::ed25519().jwk("e")]), NOW + LAST_GOOD_S + 1);
        let status = store.status();
        assert_eq!((status.keys, status.generation, status.last_error), (1, 2, None));
    }

    #[test]
    fn fixed_keys_do_not_age() {
        let store = KeyStore::fixed(set_of(&[Maker::ed25519().jwk("e")]));
        assert!(store.current(u64::MAX).is_ok());
        assert_eq!(store.status().fetched_at, None);
    }
}
