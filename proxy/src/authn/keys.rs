//! The keys of one provider: read once, looked up by every token.
//!
//! Decides which of a set's keys are used, and which one a token has to be checked with. Never checks a signature and
//! never fetches.

use std::collections::HashMap;
use std::fmt;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::json::{self, JsonFault};
use super::jwk::{self, Unusable};

/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET: usize = 256 * 1024;
/// The most keys that a set may have.
pub const MAX_KEYS: usize = 64;
/// The longest `kid`, in bytes.
pub(super) const MAX_KID: usize = 256;
/// The fewest bytes of a shared secret.
pub const MIN_SECRET: usize = 32;
/// The most bytes of a shared secret.
pub const MAX_SECRET: usize = 4096;
/// The most JSON values in a key set: 64 keys with a certificate chain each fit many times.
const MAX_VALUES: usize = 8_192;

/// What a key is recognised by later: its numbers, its name and its algorithms. Not the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyId(pub(super) [u8; 32]);

/// A key that can verify, with the algorithms it is for.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
    pub(super) id: KeyId,
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// A published key that is not used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, where it has a usable one.
    pub kid: Option<String>,
    /// What is wrong with it.
    pub reason: Unusable,
}

/// Why a key set is refused as a whole. `Display` is fit for users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySetFault {
    /// More than [`MAX_KEY_SET`] bytes.
    TooLarge,
    /// Not an acceptable JSON object.
    Json(JsonFault),
    /// `keys` is missing or not an array.
    NoKeys,
    /// More than [`MAX_KEYS`] keys.
    TooManyKeys,
    /// Not one key can be used.
    NoneUsable,
    /// A secret of fewer than [`MIN_SECRET`] or more than [`MAX_SECRET`] bytes.
    SecretLength,
    /// A secret of one byte again and again: whoever tries a few could sign.
    SecretOfOneByte,
}

impl fmt::Display for KeySetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySetFault::TooLarge => write!(f, "the key set is larger than {MAX_KEY_SET} bytes"),
            KeySetFault::Json(fault) => write!(f, "the key set is refused: {fault}"),
            KeySetFault::NoKeys => f.write_str("the key set has no list named `keys`"),
            KeySetFault::TooManyKeys => write!(f, "the key set has more than {MAX_KEYS} keys"),
            KeySetFault::NoneUsable => f.write_str("the key set has no key that can be used"),
            KeySetFault::SecretLength => {
                write!(
                    f,
                    "the secret must have {MIN_SECRET} to {MAX_SECRET} bytes; make one with `openssl rand -hex 32`"
                )
            }
            KeySetFault::SecretOfOneByte => f.write_str("the secret is one byte again and again, which is no secret"),
        }
    }
}

impl std::error::Error for KeySetFault {}

/// Whether a key or a secret is one byte again and again: left empty, or typed to fill the length.
pub(crate) fn is_one_byte(secret: &[u8]) -> bool {
    secret.iter().all(|byte| Some(byte) == secret.first())
}

/// The usable keys of one provider: public keys of a set, or one shared secret. Never both, so that no public key can
/// be taken for a secret.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<Skipped>,
    shared: bool,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517, 5). Keys that cannot be used are passed over and listed in [`KeySet::skipped`]; two
    /// different keys of one `kid` are both passed over.
    ///
    /// # Errors
    /// A set that is too large, not strict JSON, or without a usable key.
    pub fn from_jwks(text: &[u8]) -> Result<Self, KeySetFault> {
        let set = Self::published(text)?;
        if set.is_empty() { Err(KeySetFault::NoneUsable) } else { Ok(set) }
    }

    /// The same for what a provider publishes now. That may be a set without a usable key, and empty then: so it withdraws all
    /// that it published before.
    ///
    /// # Errors
    /// A set that cannot be read: too large, not strict JSON, without a list of keys, or with too many of them.
    pub(super) fn published(text: &[u8]) -> Result<Self, KeySetFault> {
        if text.len() > MAX_KEY_SET {
            return Err(KeySetFault::TooLarge);
        }
        let set = json::object(text, MAX_VALUES).map_err(KeySetFault::Json)?;
        let members = set.get("keys").and_then(Value::as_array).ok_or(KeySetFault::NoKeys)?;
        if members.len() > MAX_KEYS {
            return Err(KeySetFault::TooManyKeys);
        }
        let (keys, skipped) = usable(members);
        Ok(Self { keys, skipped, shared: false })
    }

    /// A secret that the provider and we share, for HS256, from 48 bytes on for HS384 and from 64 bytes on for HS512
    /// (RFC 7518, 3.2: not shorter than the hash). The bytes are the secret as they are: no base64, no line end. A token's
    /// `kid` is not looked at, since there is nothing to choose.
    ///
    /// # Errors
    /// A secret that is too short or too long, or one byte again and again.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeySetFault> {
        let keys = Self::of_secret(secret)?;
        if is_one_byte(secret) { Err(KeySetFault::SecretOfOneByte) } else { Ok(keys) }
    }

    /// The same of any bytes, as the public vectors for signatures have them.
    pub(super) fn of_secret(secret: &[u8]) -> Result<Self, KeySetFault> {
        if !(MIN_SECRET..=MAX_SECRET).contains(&secret.len()) {
            return Err(KeySetFault::SecretLength);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret);
        let algorithms: Vec<Algorithm> = [(32, Algorithm::Hs256), (48, Algorithm::Hs384), (64, Algorithm::Hs512)]
            .into_iter()
            .filter_map(|(least, algorithm)| (secret.len() >= least).then_some(algorithm))
            .collect();
        let id = jwk::identity(None, &algorithms, &format!("{digest:?}"));
        let decoding = DecodingKey::from_secret(secret);
        Ok(Self { keys: vec![Key { kid: None, algorithms, decoding, id }], skipped: Vec::new(), shared: true })
    }

    /// The one key to check a token of this header with.
    ///
    /// # Errors
    /// No key has this `kid`; the key that has it is not for `algorithm`; without `kid`, none or several keys fit.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenFault> {
        match kid {
            Some(kid) if !self.shared => {
                let key = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid));
                let key = key.ok_or(TokenFault::UnknownKey)?;
                if key.fits(algorithm) { Ok(key) } else { Err(TokenFault::KeyAlgorithm) }
            }
            Some(_) | None => {
                let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
                let only = fitting.next().ok_or(TokenFault::UnknownKey)?;
                if fitting.next().is_some() { Err(TokenFault::AmbiguousKey) } else { Ok(only) }
            }
        }
    }

    /// Whether it is a shared secret.
    pub(super) fn is_secret(&self) -> bool {
        self.shared
    }

    /// Whether the key is (still) in the set.
    pub(crate) fn holds(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// How many keys are used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is used: the provider has withdrawn them all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The published keys that are not used, at most [`MAX_KEYS`].
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

/// Sorts the members of a set into those that are used and those that are not.
fn usable(members: &[Value]) -> (Vec<Key>, Vec<Skipped>) {
    let mut keys: Vec<(usize, Key)> = Vec::new();
    let mut skipped = Vec::new();
    for (index, member) in members.iter().enumerate() {
        match member.as_object().ok_or(Unusable::NotAnObject).and_then(jwk::key) {
            Ok(key) => keys.push((index, key)),
            Err(reason) => skipped.push(Skipped { index, kid: member.as_object().and_then(named), reason }),
        }
    }
    let keys = distinct(keys, &mut skipped);
    (keys, skipped)
}

fn named(jwk: &Map<String, Value>) -> Option<String> {
    jwk::kid(jwk).ok().flatten()
}

/// Drops copies, and every key whose name another key has too: which one a token means could not be known.
fn distinct(keys: Vec<(usize, Key)>, skipped: &mut Vec<Skipped>) -> Vec<Key> {
    let mut owners: HashMap<String, Vec<KeyId>> = HashMap::new();
    for (_, key) in &keys {
        let ids = owners.entry(key.kid.clone().unwrap_or_default()).or_default();
        if !ids.contains(&key.id) {
            ids.push(key.id);
        }
    }
    let mut kept: Vec<Key> = Vec::new();
    for (index, key) in keys {
        let contested = key.kid.as_ref().is_some_and(|kid| owners.get(kid).is_some_and(|ids| ids.len() > 1));
        if contested {
            skipped.push(Skipped { index, kid: key.kid, reason: Unusable::SameKid });
        } else if !kept.iter().any(|one| one.id == key.id) {
            kept.push(key);
        }
    }
    kept
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
