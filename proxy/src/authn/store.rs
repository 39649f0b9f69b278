//! The current keys of one provider, shared by every worker and kept up to date by whoever owns the source.
//!
//! Decides whether there are keys to check with now, and whether a token's unknown key is worth a fetch. Never fetches: it
//! only says that somebody would like it to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::demand::Demand;
use super::fault::TokenFault;
use super::jwt;
use super::keys::{KeySet, Skipped};
use super::last_good::{LastGood, State};
use crate::clock::Now;

/// The most requests that wait for one provider's keys at a time.
pub const MAX_WAITING: usize = 64;
/// How long a request waits for keys at most.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The keys, replaced as a whole.
#[derive(Debug)]
pub struct KeyStore {
    keys: LastGood<KeySet>,
    /// `None` for keys that are not fetched: nobody could be asked.
    fetching: Option<Fetching>,
}

/// What goes on between those who check tokens and the one who fetches.
#[derive(Debug)]
struct Fetching {
    demand: Mutex<Demand>,
    wishes: watch::Sender<Wishes>,
    waiting: Arc<AtomicUsize>,
}

/// Fetches that tokens asked for: those of one number have ended when a fetch has that began after them.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    made: u64,
    ended: u64,
}

impl Wishes {
    fn are_open(&self) -> bool {
        self.made > self.ended
    }
}

/// The wishes that were granted before a token was judged.
#[derive(Clone, Copy, Debug)]
pub struct Granted(u64);

/// The wishes that a fetch is for, made before it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct For(u64);

/// The state of a provider's keys, for status and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyStatus {
    /// How many keys are used.
    pub keys: usize,
    /// Published keys that are not used.
    pub skipped: Vec<Skipped>,
    /// Whether they are fetched.
    pub fetched: bool,
    /// How they came here.
    pub state: State,
}

impl KeyStore {
    /// Keys from a file, from the configuration, or a secret: they do not age.
    pub fn fixed(keys: KeySet) -> Self {
        Self { keys: LastGood::fixed(keys), fetching: None }
    }

    /// No keys yet: they will be fetched, and then used for `keep` while they cannot be fetched again. Until then every
    /// token is [`TokenFault::NoKeys`].
    pub fn awaiting(keep: Duration) -> Self {
        let fetching = Fetching {
            demand: Mutex::default(),
            wishes: watch::Sender::new(Wishes::default()),
            waiting: Arc::default(),
        };
        Self { keys: LastGood::awaited(keep), fetching: Some(fetching) }
    }

    /// From now on the last good keys are used for `keep`.
    pub fn keep_for(&self, keep: Duration) {
        self.keys.keep_for(keep);
    }

    /// The keys to check with at `now` (monotone).
    ///
    /// # Errors
    /// [`TokenFault::NoKeys`] when there never were any, the last good ones are too old, or the provider has withdrawn them all.
    pub fn current(&self, now: Duration) -> Result<Arc<KeySet>, TokenFault> {
        self.keys.current(now).filter(|keys| !keys.is_empty()).ok_or(TokenFault::NoKeys)
    }

    /// The keys, however old: for a command that has fetched them just now, and ends.
    ///
    /// # Errors
    /// [`TokenFault::NoKeys`] when there are none.
    pub fn just_fetched(&self) -> Result<Arc<KeySet>, TokenFault> {
        self.keys.held().value.clone().filter(|keys| !keys.is_empty()).ok_or(TokenFault::NoKeys)
    }

    /// Puts fetched keys in place of the old ones.
    pub(super) fn fetched(&self, keys: KeySet, now: Now) {
        self.keys.fetched(keys, now);
    }

    /// Notes that the provider still has the same keys.
    pub(super) fn confirmed(&self, now: Now) {
        self.keys.confirmed(now);
    }

    /// Notes that fetching failed. The keys stay.
    pub(super) fn failed(&self, reason: &str) {
        self.keys.failed(reason);
    }

    /// Says that a token was refused by these keys, at `now` (Unix seconds): where it may be for a newer one, that is looked for.
    pub(crate) fn refused(&self, token: &str, fault: TokenFault, now: u64) {
        if fault.may_be_for_a_newer_key() {
            self.lacks(jwt::unverified_kid(token).as_deref(), now);
        }
    }

    /// Says that a token named a key that is not here, at `now` (Unix seconds). Few of these lead to a fetch.
    fn lacks(&self, kid: Option<&str>, now: u64) {
        let Some(fetching) = &self.fetching else { return };
        // A panic while it was held can have left nothing half done that matters: at worst a fetch more or less.
        let asks = fetching.demand.lock().unwrap_or_else(PoisonError::into_inner).asks(kid, now);
        if asks {
            fetching.wishes.send_modify(|wishes| wishes.made = wishes.made.saturating_add(1));
        }
    }

    /// Whether somebody would like a fetch.
    #[cfg(test)]
    pub(super) fn is_wanted(&self) -> bool {
        self.fetching.as_ref().is_some_and(|fetching| fetching.wishes.borrow().are_open())
    }

    /// Waits for a wish; for ever, where nobody fetches.
    pub(super) async fn wanted(&self) {
        let Some(fetching) = &self.fetching else { return std::future::pending().await };
        let mut wishes = fetching.wishes.subscribe();
        // The sender is ours, so this ends by a wish only.
        drop(wishes.wait_for(Wishes::are_open).await);
    }

    /// Says that a fetch begins.
    pub(super) fn begins(&self) -> For {
        For(self.fetching.as_ref().map_or(0, |fetching| fetching.wishes.borrow().made))
    }

    /// Says that this fetch has ended, well or not: whoever waits for it looks again.
    pub(super) fn ends(&self, fetch: For) {
        if let Some(fetching) = &self.fetching {
            fetching.wishes.send_modify(|wishes| wishes.ended = wishes.ended.max(fetch.0));
        }
    }

    /// What was granted so far: to be asked before a token is judged, for [`KeyStore::settled`].
    pub fn granted(&self) -> Granted {
        Granted(self.fetching.as_ref().map_or(0, |fetching| fetching.wishes.borrow().ended))
    }

    /// Waits until the fetch ends that a token with an unknown key has caused, for at most [`PATIENCE`]. False, at once, where
    /// there is no such fetch since `granted`, or [`MAX_WAITING`] wait for it already; then nothing has changed.
    pub async fn settled(&self, granted: Granted) -> bool {
        let Some(fetching) = &self.fetching else { return false };
        let mut wishes = fetching.wishes.subscribe();
        let before = *wishes.borrow_and_update();
        // ORDER: first whether one has ended meanwhile: on a busy machine a fetch can be faster than whoever asked for it.
        if before.ended > granted.0 {
            return true;
        }
        if !before.are_open() {
            return false;
        }
        let Some(_place) = Waiting::take(&fetching.waiting) else { return false };
        matches!(timeout(PATIENCE, wishes.wait_for(|now| now.ended >= before.made)).await, Ok(Ok(_)))
    }

    /// The state for status and metrics.
    pub fn status(&self) -> KeyStatus {
        let held = self.keys.held();
        KeyStatus {
            keys: held.value.as_deref().map_or(0, KeySet::len),
            skipped: held.value.as_deref().map_or_else(Vec::new, |keys| keys.skipped().to_vec()),
            fetched: self.fetching.is_some(),
            state: held.state.clone(),
        }
    }
}

/// A place among those that wait, given back when it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(count));
        // Dropping the place gives it back, where it was one too many as well.
        (count.fetch_add(1, Ordering::AcqRel) < MAX_WAITING).then_some(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::signing::{Maker, NOW, at, set_of};

    const DAY: Duration = Duration::from_secs(86_400);

    /// For whoever judges a token now.
    async fn settled(store: &KeyStore) -> bool {
        store.settled(store.granted()).await
    }

    #[test]
    fn no_keys_yet_is_nobody_in() {
        let store = KeyStore::awaiting(DAY);
        assert_eq!(store.current(at(NOW).monotone).err(), Some(TokenFault::NoKeys));
        store.failed("the host cannot be reached");
        assert_eq!(store.current(at(NOW).monotone).err(), Some(TokenFault::NoKeys));
        assert_eq!(TokenFault::NoKeys.code(), "PROVIDER_DOWN");
        assert_eq!(TokenFault::NoKeys.challenge(), None);
        let status = store.status();
        assert_eq!((status.keys, status.state.generation, status.state.fetched_at), (0, 0, None));
        assert_eq!(status.state.last_error.as_deref(), Some("the host cannot be reached"));
    }

    #[test]
    fn keys_are_replaced_and_confirmed() {
        let store = KeyStore::awaiting(DAY);
        store.fetched(set_of(&[Maker::ed25519().jwk("e")]), at(NOW));
        store.confirmed(at(NOW + 86_400));
        assert!(store.current(at(NOW + 2 * 86_400).monotone).is_ok());
        assert_eq!(store.current(at(NOW + 2 * 86_400 + 1).monotone).err(), Some(TokenFault::NoKeys));
        let status = store.status();
        assert_eq!((status.keys, status.fetched, status.state.generation), (1, true, 1));
        assert!(!KeyStore::fixed(set_of(&[Maker::ed25519().jwk("e")])).status().fetched);
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_and_not_for_long() {
        let store = Arc::new(KeyStore::awaiting(DAY));
        assert!(!settled(&store).await, "nothing to wait for");
        store.lacks(Some("new"), NOW);
        let waiters: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { settled(&store).await })
            })
            .collect();
        while store.fetching.as_ref().unwrap().waiting.load(Ordering::SeqCst) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(!settled(&store).await, "one too many");
        store.ends(store.begins());
        for waiter in waiters {
            assert!(waiter.await.unwrap());
        }
        assert!(!settled(&store).await, "the fetch has ended");
        store.lacks(Some("another"), NOW + 30);
        let began = tokio::time::Instant::now();
        assert!(!settled(&store).await, "a fetch that does not end");
        assert!(began.elapsed() <= PATIENCE + Duration::from_millis(10));
    }

    #[tokio::test]
    async fn a_fetch_that_ends_before_anybody_waits_for_it_is_not_missed() {
        let store = KeyStore::awaiting(DAY);
        let granted = store.granted();
        store.lacks(Some("new"), NOW);
        store.ends(store.begins());
        assert!(store.settled(granted).await);
        assert!(!settled(&store).await, "whoever judges by what it brought has nothing to wait for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_began_before_a_wish_is_not_for_it() {
        let store = KeyStore::awaiting(DAY);
        let scheduled = store.begins();
        store.lacks(Some("new"), NOW);
        store.ends(scheduled);
        assert!(!settled(&store).await, "still waits for the next fetch");
        store.wanted().await;
        store.ends(store.begins());
        assert!(timeout(PATIENCE, store.wanted()).await.is_err(), "one wish is one fetch");
    }

    #[tokio::test]
    async fn keys_that_are_not_fetched_are_not_waited_for() {
        let store = KeyStore::fixed(set_of(&[Maker::ed25519().jwk("e")]));
        store.lacks(Some("new"), NOW);
        assert!(!settled(&store).await);
    }
}
