//! One signed token (JWS compact form, RFC 7515 and 7519), judged at one moment.
//!
//! Decides whether a token is well formed, signed by the provider's key with the algorithm fixed for that key, for us,
//! and valid now. Never does IO, never asks for the time, and never follows anything that the token says about where its
//! key is: an embedded `jwk`, `jku`, `x5c` or `x5u` is not looked at.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::fault::{TokenFault, TokenPart};
use super::json;
use super::keys::{Key, KeyId, KeySet, MAX_KID};
use super::preset;
use super::provider::Provider;

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The most JSON values in a header.
const MAX_HEADER_VALUES: usize = 64;
/// The most JSON values in a payload.
const MAX_PAYLOAD_VALUES: usize = 4_096;
/// The last second of the year 9999: later times are mistakes (milliseconds, mostly) or attacks.
pub(super) const MAX_TIME: u64 = 253_402_300_799;

/// From when to when a token is valid, in Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// `nbf`, where there is one.
    pub not_before: Option<u64>,
    /// `exp`: the first second in which it is no longer valid.
    pub expires: u64,
}

impl Lifetime {
    /// Whether the token is valid at `now`, with clocks that differ by at most `leeway` seconds (RFC 7519, 4.1.4, 4.1.5).
    pub(crate) fn check(&self, now: u64, leeway: u64) -> Result<(), TokenFault> {
        if now >= self.expires.saturating_add(leeway) {
            return Err(TokenFault::Expired);
        }
        match self.not_before {
            Some(begin) if now.saturating_add(leeway) < begin => Err(TokenFault::NotYet),
            Some(_) | None => Ok(()),
        }
    }
}

/// A token that was believed.
#[derive(Clone, Debug)]
pub struct Verified {
    claims: Map<String, Value>,
    lifetime: Lifetime,
    key: KeyId,
}

impl Verified {
    /// What it says.
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// When it is valid.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The key that signed it.
    pub(crate) fn key(&self) -> KeyId {
        self.key
    }
}

/// Why a token was refused, and the key that did not sign it, where it is certain that this one was meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) fault: TokenFault,
    pub(crate) under: Option<KeyId>,
}

impl From<TokenFault> for Refused {
    fn from(fault: TokenFault) -> Self {
        Self { fault, under: None }
    }
}

/// Judges a token: form, header, key, signature, then claims; `now` in Unix seconds.
///
/// # Errors
/// The first fault. A token whose signature is wrong is never told that it has expired.
pub fn verify(token: &str, provider: &Provider, keys: &KeySet, now: u64) -> Result<Verified, TokenFault> {
    judge(token, provider, keys, now).map_err(|refused| refused.fault)
}

/// [`verify`], which also tells under which key a bad signature was bad.
pub(crate) fn judge(token: &str, provider: &Provider, keys: &KeySet, now: u64) -> Result<Verified, Refused> {
    // ORDER: no claim is read before the signature is known to be good.
    let opened = open(token, provider, keys)?;
    let claims = json::object(&opened.payload, MAX_PAYLOAD_VALUES)
        .map_err(|fault| TokenFault::Json(TokenPart::Payload, fault))?;
    check_issuer(&claims, provider)?;
    check_audience(&claims, provider)?;
    preset::check(&claims, provider)?;
    let lifetime = lifetime(&claims, provider, now)?;
    lifetime.check(now, provider.leeway_s())?;
    Ok(Verified { claims, lifetime, key: opened.key })
}

/// The `iss` that a token claims, unproved: good for choosing who judges it, and for nothing else.
pub fn unverified_issuer(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let payload = decoded(Parts::split(token).ok()?.payload, TokenPart::Payload).ok()?;
    match json::object(&payload, MAX_PAYLOAD_VALUES).ok()?.get("iss") {
        Some(Value::String(issuer)) => Some(issuer.clone()),
        Some(_) | None => None,
    }
}

/// The `kid` that a token names, unproved: good for telling what was looked for, and for nothing else.
pub(crate) fn unverified_kid(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    Header::read(&decoded(Parts::split(token).ok()?.header, TokenPart::Header).ok()?).ok()?.kid
}

/// A token whose signature is good, its payload not yet read.
struct Opened {
    payload: Vec<u8>,
    key: KeyId,
}

/// Form, header, key and signature.
fn open(token: &str, provider: &Provider, keys: &KeySet) -> Result<Opened, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(TokenFault::TooLong.into());
    }
    let parts = Parts::split(token)?;
    let header = Header::read(&decoded(parts.header, TokenPart::Header)?)?;
    let payload = decoded(parts.payload, TokenPart::Payload)?;
    // The library decodes the signature itself; this holds it to the one canonical spelling.
    decoded(parts.signature, TokenPart::Signature)?;
    if !provider.allows(header.algorithm) {
        return Err(TokenFault::Algorithm.into());
    }
    if !provider.allows_type(header.typ.as_deref()) {
        return Err(TokenFault::Type.into());
    }
    let key = keys.find(header.kid.as_deref(), header.algorithm)?;
    if !signed(&parts, key, header.algorithm) {
        // Which key was meant is not said; perhaps one that is not here yet. A shared secret leaves no doubt.
        if header.kid.is_none() && !keys.is_secret() {
            return Err(TokenFault::UnnamedKey.into());
        }
        return Err(Refused { fault: TokenFault::Signature, under: Some(key.id) });
    }
    Ok(Opened { payload, key: key.id })
}

/// Whether the signature is the key's. Elliptic-curve signatures are `r || s` of fixed length (RFC 7518, 3.4).
fn signed(parts: &Parts<'_>, key: &Key, algorithm: Algorithm) -> bool {
    let verdict =
        jsonwebtoken::crypto::verify(parts.signature, parts.signed.as_bytes(), &key.decoding, algorithm.computed_as());
    matches!(verdict, Ok(true))
}

/// The three parts as written, and what the signature covers.
pub(super) struct Parts<'a> {
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, TokenFault> {
        if token.bytes().filter(|byte| *byte == b'.').count() == 4 {
            return Err(TokenFault::Encrypted);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Parts)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(TokenFault::Parts);
        }
        Ok(Self { header, payload, signature, signed })
    }
}

/// Base64url without padding, and with the unused last bits zero: one spelling for one value.
pub(super) fn decoded(part: &str, which: TokenPart) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Encoding(which))
}

/// What of a header matters.
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TokenFault> {
        let members =
            json::object(bytes, MAX_HEADER_VALUES).map_err(|fault| TokenFault::Json(TokenPart::Header, fault))?;
        // RFC 7515, 4.1.11: an extension that is not understood makes the token invalid, and we understand none.
        // RFC 7797: `b64` would change what the signature covers.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(TokenFault::Critical);
        }
        let algorithm = text(&members, "alg")?.ok_or(TokenFault::Header("alg"))?;
        let algorithm = Algorithm::named(algorithm).ok_or(TokenFault::Algorithm)?;
        let kid = text(&members, "kid")?.map(ToOwned::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID) {
            return Err(TokenFault::Header("kid"));
        }
        Ok(Self { algorithm, kid, typ: text(&members, "typ")?.map(ToOwned::to_owned) })
    }
}

/// A header member that must be a string where it is.
fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, TokenFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(TokenFault::Header(name))
        }
    }
}

/// `iss` is one string, the provider's, exactly; an array that holds it is not.
fn check_issuer(claims: &Map<String, Value>, provider: &Provider) -> Result<(), TokenFault> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if issuer == provider.issuer() => Ok(()),
        Some(_) | None => Err(TokenFault::Issuer),
    }
}

/// `aud` is a string or an array of strings only, and one of them is ours. Where a provider's tokens name none, the client is
/// checked in its place.
fn check_audience(claims: &Map<String, Value>, provider: &Provider) -> Result<(), TokenFault> {
    if !provider.demands_audience() {
        return Ok(());
    }
    let ours = match claims.get("aud") {
        Some(Value::String(one)) => provider.is_audience(one),
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            many.iter().filter_map(Value::as_str).any(|one| provider.is_audience(one))
        }
        Some(_) | None => false,
    };
    if ours { Ok(()) } else { Err(TokenFault::Audience) }
}

/// The times of a token; `iat` has to be a sane one too.
fn lifetime(claims: &Map<String, Value>, provider: &Provider, now: u64) -> Result<Lifetime, TokenFault> {
    let expires = time(claims, "exp")?.ok_or(TokenFault::Claim("exp"))?;
    let not_before = time(claims, "nbf")?;
    match time(claims, "iat")? {
        Some(issued) if issued > now.saturating_add(provider.leeway_s()) => Err(TokenFault::IssuedLater),
        Some(_) | None => Ok(Lifetime { not_before, expires }),
    }
}

/// A `NumericDate` (RFC 7519, 2), from 1970 to 9999; a fraction is cut off. Strings are no dates: readers that took them
/// for absent let expired tokens in (CVE-2026-25537).
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenFault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| value.as_f64().and_then(floored));
    match seconds {
        Some(seconds) if seconds <= MAX_TIME => Ok(Some(seconds)),
        Some(_) | None => Err(TokenFault::Claim(name)),
    }
}

/// A float in range, as whole seconds.
fn floored(seconds: f64) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "the limit is far below 2^53")]
    let range = 0.0..=(MAX_TIME as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    range.contains(&seconds).then(|| seconds.floor() as u64)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "vectors_tests.rs"]
mod vectors;
