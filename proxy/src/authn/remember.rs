//! Verified tokens are verified once: what was believed, and by which key, is remembered.
//!
//! Decides nothing anew: a remembered token is used only while it is valid now and its key is still in the provider's
//! set. Keys of memory are the provider's number and SHA-256 over the token; no token is ever kept.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policy::Principal;

use super::claims;
use super::fault::TokenFault;
use super::jwt::{self, Lifetime, MAX_TOKEN, Refused};
use super::keys::{KeyId, KeySet};
use super::provider::Provider;
use super::store::KeyStore;
use crate::clock::Now;

/// The most verified tokens that are remembered, fewer where they say much: 40 MiB in all (see [`places`]; about 1 KiB each is
/// usual). Only a provider's signature gets a token in here.
const MAX_VERIFIED: u64 = 10_000;
/// A longer token is verified each time.
const MAX_REMEMBERED: usize = 4 * 1024;
/// The most refusals that are remembered; anybody can cause one. About 200 bytes each.
const MAX_REFUSED: u64 = 2_000;
/// The most memory of a caller that takes one place of a table.
const PLACE: usize = 4 * 1024;

/// The tokens seen lately; one for the whole process, whatever the number of workers.
#[derive(Debug)]
pub struct Remembered {
    verified: Cache<Mark, Entry>,
    refused: Cache<Mark, Refused>,
}

/// A token at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Mark {
    provider: u64,
    /// SHA-256 of the token, at full length: a collision would be a way in.
    token: [u8; 32],
}

impl Mark {
    fn of(token: &str, provider: &Provider) -> Self {
        let mut mark = Self { provider: provider.number(), token: [0; 32] };
        mark.token.iter_mut().zip(digest(&SHA256, token.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
        mark
    }
}

#[derive(Clone, Debug)]
struct Entry {
    principal: Arc<Principal>,
    lifetime: Lifetime,
    key: KeyId,
}

impl Default for Remembered {
    fn default() -> Self {
        // Of those that only a provider can make, the one that was used last is the one that comes next. Of those that anybody
        // can make, a flood must not push out the one that comes again and again.
        let verified = Cache::builder()
            .weigher(|_, entry: &Entry| places(&entry.principal))
            .max_capacity(MAX_VERIFIED)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { verified, refused: Cache::new(MAX_REFUSED) }
    }
}

impl Remembered {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who sent this token and which key has signed it, at `now`, as far as that costs no signature check; `None`: ask
    /// [`Remembered::verify`].
    pub fn known(
        &self,
        token: &str,
        provider: &Provider,
        store: &KeyStore,
        now: Now,
    ) -> Option<Result<(Arc<Principal>, KeyId), TokenFault>> {
        let keys = match store.current(now.monotone) {
            Ok(keys) => keys,
            Err(fault) => return Some(Err(fault)),
        };
        if token.len() > MAX_TOKEN {
            return Some(Err(TokenFault::TooLong));
        }
        self.recall(&Mark::of(token, provider), provider, &keys, now.unix_seconds())
    }

    /// Who sent this token and which key has signed it, at `now`, by a fresh look, which is then remembered. Asks for fresh
    /// keys when the token may be for one that is not known.
    ///
    /// # Errors
    /// As [`verify`](super::verify) and [`principal`](super::principal); [`TokenFault::NoKeys`] while there are none.
    pub fn verify(
        &self,
        token: &str,
        provider: &Provider,
        store: &KeyStore,
        now: Now,
    ) -> Result<(Arc<Principal>, KeyId), TokenFault> {
        let keys = store.current(now.monotone)?;
        let judged = judge(token, provider, &keys, now.unix_seconds());
        match &judged {
            Ok(entry) if token.len() <= MAX_REMEMBERED => {
                self.verified.insert(Mark::of(token, provider), entry.clone())
            }
            Ok(_) => {}
            // Only what cannot change: a malformed token, and a bad signature under the very key that it names.
            Err(refused) if refused.fault.is_malformed() || refused.under.is_some() => {
                self.refused.insert(Mark::of(token, provider), *refused);
            }
            Err(refused) => store.refused(token, refused.fault, now.unix_seconds()),
        }
        judged.map(|entry| (entry.principal, entry.key)).map_err(|refused| refused.fault)
    }

    /// What memory says; `None` where the token has to be judged (again).
    fn recall(
        &self,
        mark: &Mark,
        provider: &Provider,
        keys: &KeySet,
        now: u64,
    ) -> Option<Result<(Arc<Principal>, KeyId), TokenFault>> {
        if let Some(entry) = self.verified.get(mark) {
            // ORDER: the key before the time, so that a token of a withdrawn key is no longer told why.
            if !keys.holds(entry.key) {
                self.verified.invalidate(mark);
                return None;
            }
            let valid = entry.lifetime.check(now, provider.leeway_s());
            if valid == Err(TokenFault::Expired) {
                self.verified.invalidate(mark);
            }
            return Some(valid.map(|()| (entry.principal, entry.key)));
        }
        let refused = self.refused.get(mark)?;
        let holds = refused.under.is_none_or(|key| keys.holds(key));
        holds.then_some(Err(refused.fault))
    }
}

/// How many places a caller takes in a table of callers. A short text takes many times its letters, so that a table with so many
/// entries, however few bytes each was sent in, may hold far more than those bytes.
pub(crate) fn places(caller: &Principal) -> u32 {
    u32::try_from(caller.weight() / PLACE).unwrap_or(u32::MAX).saturating_add(1)
}

fn judge(token: &str, provider: &Provider, keys: &KeySet, now: u64) -> Result<Entry, Refused> {
    let verified = jwt::judge(token, provider, keys, now)?;
    let principal = Arc::new(claims::principal(&verified, provider)?);
    if let Some(detail) = claims::remark(&verified, provider) {
        tracing::info!(provider = provider.name(), detail, "a token proves less than it says");
    }
    Ok(Entry { principal, lifetime: verified.lifetime(), key: verified.key() })
}

#[cfg(test)]
#[path = "remember_tests.rs"]
mod tests;
