//! One fetch of a provider's keys, directly or by what its metadata says.
//!
//! Decides what counts as keys, and when the metadata has to be asked again. Asks with a condition, so that a provider that
//! has nothing new says so in a few bytes. Never gives up what is held for an answer that cannot be read; a set of keys that can
//! be read, and has none that can be used, is no such answer: the provider has withdrawn them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::discovery::{MAX_METADATA, Metadata, MetadataFault, MetadataStore};
use super::freshness;
use super::jwks::Pace;
use super::keys::{KeySet, KeySetFault, MAX_KEY_SET};
use super::store::KeyStore;
use crate::clock::Now;
use crate::outbound::{Endpoint, Fault};

/// The longest `ETag` or `Last-Modified` that is kept, in bytes.
const MAX_VALIDATOR: usize = 256;

/// Why a fetch failed. `Display` is fit for the status page and the log; it holds nothing of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchFault {
    /// There is no answer to read.
    Call(Fault),
    /// Fetched, but not a key set that can be used.
    Keys(KeySetFault),
    /// Fetched, but not metadata that can be used.
    Metadata(MetadataFault),
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchFault::Call(fault) => fault.fmt(f),
            FetchFault::Keys(fault) => fault.fmt(f),
            FetchFault::Metadata(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for FetchFault {}

/// What is fetched for a provider, from where, and where it goes.
#[derive(Clone, Debug)]
pub enum Source {
    /// Keys, from an address of their own.
    Keys {
        /// Where they go.
        store: Arc<KeyStore>,
        /// Where they are.
        at: Endpoint,
    },
    /// Keys, from where the metadata says.
    Discovered {
        /// Where they go.
        store: Arc<KeyStore>,
        /// The metadata.
        by: Discovery,
    },
}

impl Source {
    /// Where keys go.
    pub fn keys(&self) -> &Arc<KeyStore> {
        match self {
            Source::Keys { store, .. } | Source::Discovered { store, .. } => store,
        }
    }

    /// Where metadata goes.
    pub fn metadata(&self) -> Option<&Arc<MetadataStore>> {
        match self {
            Source::Keys { .. } => None,
            Source::Discovered { by, .. } => Some(&by.store),
        }
    }

    /// From now on the last good ones are used for `keep`.
    pub fn keep_for(&self, keep: Duration) {
        self.keys().keep_for(keep);
        if let Some(metadata) = self.metadata() {
            metadata.keep_for(keep);
        }
    }

    /// Whether both fill the very same stores.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.keys(), other.keys()) && self.metadata().map(Arc::as_ptr) == other.metadata().map(Arc::as_ptr)
    }
}

/// A provider's metadata, and where it is.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The exact `issuer` that it must have.
    pub issuer: String,
    /// Where it is.
    pub at: Endpoint,
    /// Where it goes.
    pub store: Arc<MetadataStore>,
}

/// Something at an address, with what its server called the last good version of it.
#[derive(Debug)]
struct Resource {
    at: Endpoint,
    known: HeaderMap,
}

/// What an address answered.
struct Answer {
    /// `None`: the version that is known is the newest.
    body: Option<Bytes>,
    /// What to know this version by.
    known: HeaderMap,
    /// For how many seconds it may be used.
    lifetime: Option<u64>,
}

impl Resource {
    fn new(at: Endpoint) -> Self {
        Self { at, known: HeaderMap::new() }
    }

    /// Asks for a newer version. With `pressing` caches on the way are asked to look for themselves.
    async fn ask(&self, accept: &'static str, cap: usize, pressing: bool, now: u64) -> Result<Answer, FetchFault> {
        let mut extra = self.known.clone();
        if pressing {
            extra.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let reply = self.at.get(accept, extra, cap).await.map_err(FetchFault::Call)?;
        let lifetime = freshness::lifetime(&reply.headers, now);
        if reply.status == StatusCode::NOT_MODIFIED {
            return Ok(Answer { body: None, known: self.known.clone(), lifetime });
        }
        let known = condition(&reply.headers);
        Ok(Answer { body: Some(reply.ok().map_err(FetchFault::Call)?), known, lifetime })
    }
}

/// The condition to ask with the next time (RFC 9110, 13.1): by `ETag`, else by `Last-Modified`.
fn condition(answered: &HeaderMap) -> HeaderMap {
    let mut known = HeaderMap::new();
    let pairs = [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];
    for (said, asked) in pairs {
        let Some(value) = answered.get(said).filter(|value| value.len() <= MAX_VALIDATOR) else { continue };
        if known.is_empty() {
            known.insert(asked, value.clone());
        }
    }
    known
}

/// Fetches for one provider, one at a time.
#[derive(Debug)]
pub(super) struct Fetcher {
    /// The provider's name, for the log.
    provider: String,
    source: Source,
    pace: Pace,
    keys: Option<Resource>,
    metadata: Option<Resource>,
    /// Until when (monotone) the metadata is not asked for again.
    settled_until: Duration,
}

impl Fetcher {
    pub(super) fn new(provider: String, source: Source, pace: Pace) -> Self {
        Self { provider, source, pace, keys: None, metadata: None, settled_until: Duration::ZERO }
    }

    /// Fetches once, at `now`; for how many seconds the answer may be used, where it says so. `pressing`: a
    /// token asks for keys that are newer than what caches have.
    ///
    /// # Errors
    /// Whatever keeps it from being keys, or metadata, that can be used. It is noted where they would go.
    pub(super) async fn fetch(&mut self, pressing: bool, now: Now) -> Result<Option<u64>, FetchFault> {
        match self.source.clone() {
            Source::Keys { store, at } => self.keys(&store, &at, pressing, now).await,
            Source::Discovered { store, by } => {
                let metadata = match self.settled(&by, now).await {
                    Ok(metadata) => metadata,
                    Err(fault) => {
                        store.failed(&fault.to_string());
                        return Err(fault);
                    }
                };
                let fetched = self.keys(&store, &metadata.keys, pressing, now).await;
                if fetched.is_err() {
                    // They may have moved.
                    self.settled_until = Duration::ZERO;
                }
                fetched
            }
        }
    }

    async fn keys(
        &mut self,
        store: &KeyStore,
        at: &Endpoint,
        pressing: bool,
        now: Now,
    ) -> Result<Option<u64>, FetchFault> {
        let resource = match self.keys.take().filter(|known| known.at.url() == at.url()) {
            Some(resource) => self.keys.insert(resource),
            None => self.keys.insert(Resource::new(at.clone())),
        };
        let fetched = async {
            let accept = "application/jwk-set+json, application/json";
            let answer = resource.ask(accept, MAX_KEY_SET, pressing, now.unix_seconds()).await?;
            match &answer.body {
                None => store.confirmed(now),
                Some(body) => {
                    let keys = KeySet::published(body).map_err(FetchFault::Keys)?;
                    let withdrawn = keys.is_empty();
                    store.fetched(keys, now);
                    if withdrawn {
                        // The next answer must be a whole one: by "not modified" the keys of before would never come back.
                        resource.known.clear();
                        return Err(FetchFault::Keys(KeySetFault::NoneUsable));
                    }
                }
            }
            // ORDER: a version is known only once it was used, so that a bad one is never confirmed.
            resource.known = answer.known;
            Ok(answer.lifetime)
        };
        let fetched: Result<_, FetchFault> = fetched.await;
        if let Err(fault) = &fetched {
            store.failed(&fault.to_string());
        }
        fetched
    }

    /// Metadata to find the keys by: what is held, where it is not time to ask again or the answer is worse.
    async fn settled(&mut self, by: &Discovery, now: Now) -> Result<Arc<Metadata>, FetchFault> {
        match by.store.current(now.monotone) {
            Some(held) if now.monotone < self.settled_until => return Ok(held),
            Some(_) | None => {}
        }
        let fetched = self.metadata(by, now).await;
        if let Ok(lifetime) = &fetched {
            self.settled_until = now.monotone.saturating_add(self.pace.after(*lifetime));
        }
        match (by.store.current(now.monotone), fetched) {
            (Some(held), Ok(_)) => Ok(held),
            (Some(held), Err(fault)) => {
                let provider = &self.provider;
                tracing::warn!(provider, reason = fault.to_string(), "metadata not fetched; the last good one is used");
                Ok(held)
            }
            (None, Err(fault)) => Err(fault),
            (None, Ok(_)) => Err(FetchFault::Metadata(MetadataFault::Keys)),
        }
    }

    async fn metadata(&mut self, by: &Discovery, now: Now) -> Result<Option<u64>, FetchFault> {
        let resource = self.metadata.get_or_insert_with(|| Resource::new(by.at.clone()));
        let fetched = async {
            let answer = resource.ask("application/json", MAX_METADATA, false, now.unix_seconds()).await?;
            match &answer.body {
                None => by.store.0.confirmed(now),
                Some(body) => {
                    let metadata = Metadata::read(body, &by.issuer, &by.at).map_err(FetchFault::Metadata)?;
                    by.store.0.fetched(metadata, now);
                }
            }
            resource.known = answer.known;
            Ok(answer.lifetime)
        };
        let fetched: Result<_, FetchFault> = fetched.await;
        if let Err(fault) = &fetched {
            by.store.0.failed(&fault.to_string());
        }
        fetched
    }
}

/// Fetches what a source has once, for a command that ends.
///
/// # Errors
/// Whatever keeps the answer from being used; what is held stays as it is.
pub async fn fetch_once(source: &Source, now: Now) -> Result<(), FetchFault> {
    Fetcher::new(String::new(), source.clone(), Pace::of(Duration::MAX)).fetch(false, now).await.map(|_| ())
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
