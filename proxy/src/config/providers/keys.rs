//! A provider's keys as written to keys, or to the place where they are fetched.
//!
//! Decides that there is exactly one such place. Fetches nothing.

use std::sync::Arc;
use std::time::Duration;

use policy::units::Period;
use policy::{Span, Spanned};

use super::raw::{RawDiscovery, RawJwks, RawProvider};
use crate::authn::{self, Discovery, KeySet, KeyStore, MetadataStore, Source};
use crate::config::compile::Faulty;
use crate::config::reach::reach;
use crate::outbound::{Endpoint, EndpointFault, Reach};

/// What is fetched for a provider.
#[derive(Debug)]
pub struct KeySource {
    /// The provider's name.
    pub provider: String,
    /// What, from where, and where it goes.
    pub source: Source,
    /// How long the last good one is used while it cannot be fetched.
    pub last_good: Duration,
    /// What the address, the trust and the networks were made of.
    origin: Origin,
}

/// Two of these that are equal lead to the same keys.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Origin {
    url: String,
    issuer: Option<String>,
    ca: Option<Vec<u8>>,
    reach: Reach,
}

impl KeySource {
    /// Whether both fetch the same for the same provider.
    pub fn is_as(&self, other: &Self) -> bool {
        self.provider == other.provider && self.origin == other.origin
    }
}

/// How long the last good keys are used: at least an hour, at most a week.
const LAST_GOOD: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(7 * 86_400));

/// The store that a provider is checked by, and what fills it.
pub(super) fn keys(
    name: &str,
    raw: &RawProvider,
    faults: &mut Faulty<'_>,
) -> (Option<Arc<KeyStore>>, Option<KeySource>) {
    if let (Some(discovery), true) = (&raw.discovery, raw.jwks.is_some() || raw.secret.is_some()) {
        let hint = "keep `discovery`, or the keys";
        faults.at(discovery.span, "provider", "`discovery` is for a provider without `jwks` and `secret`", hint);
        return (None, None);
    }
    match (&raw.jwks, &raw.secret) {
        (Some(jwks), None) => published(name, &jwks.value, jwks.span, faults),
        (None, Some(secret)) => {
            let written = &secret.value.file;
            let keys = faults.file(written).and_then(|bytes| {
                // A file that was made with an editor or `echo` ends in a line end that is no part of the secret.
                let bytes = bytes.strip_suffix(b"\n").map_or(bytes, |bytes| bytes.strip_suffix(b"\r").unwrap_or(bytes));
                let made = KeySet::from_secret(bytes);
                made.map_err(|fault| {
                    faults.at(written.span, "secret", fault.to_string(), "make one with `openssl rand -hex 32`")
                })
                .ok()
            });
            (keys.map(|keys| Arc::new(KeyStore::fixed(keys))), None)
        }
        (None, None) => discovered(name, raw, faults),
        (Some(_), Some(secret)) => {
            // With both, a published key could be taken for the secret (CVE-2026-22817 and its kin).
            let hint = "keep one; an issuer that changes from one to the other is two providers";
            faults.at(secret.span, "provider", "`secret` and `jwks` exclude each other", hint);
            (None, None)
        }
    }
}

fn published(
    name: &str,
    jwks: &RawJwks,
    span: Span,
    faults: &mut Faulty<'_>,
) -> (Option<Arc<KeyStore>>, Option<KeySource>) {
    if jwks.url.is_none() {
        let places = [("ca", jwks.ca.as_ref()), ("private", jwks.private.first())];
        for (key, written) in places.into_iter().filter_map(|(key, place)| place.map(|place| (key, place))) {
            faults.at(written.span, "provider", format!("`{key}` is for `url` only"), "take it out");
        }
    }
    let (text, span) = match (&jwks.url, &jwks.file, &jwks.inline) {
        (Some(url), None, None) => return fetched(name, url, jwks, faults),
        (None, Some(file), None) => (faults.file(file), file.span),
        (None, None, Some(inline)) => {
            let keys = KeySet::from_jwks(inline.value.as_bytes());
            return (fixed(keys, inline.span, faults), None);
        }
        _ => {
            faults.at(
                span,
                "provider",
                "exactly one of `url`, `file` and `inline` says where the keys are",
                "keep one",
            );
            return (None, None);
        }
    };
    (text.and_then(|text| fixed(KeySet::from_jwks(text), span, faults)), None)
}

fn fixed(keys: Result<KeySet, authn::KeySetFault>, span: Span, faults: &mut Faulty<'_>) -> Option<Arc<KeyStore>> {
    match keys {
        Ok(keys) => Some(Arc::new(KeyStore::fixed(keys))),
        Err(fault) => {
            faults.at(span, "keys", fault.to_string(), "a key set is a JSON object with a list `keys` (RFC 7517)");
            None
        }
    }
}

fn fetched(
    name: &str,
    url: &Spanned<String>,
    jwks: &RawJwks,
    faults: &mut Faulty<'_>,
) -> (Option<Arc<KeyStore>>, Option<KeySource>) {
    let last_good = last_good(&jwks.last_good, faults);
    let made = endpoint(&url.value, url.span, jwks.ca.as_ref(), &jwks.private, faults);
    let (Some(last_good), Some((at, origin))) = (last_good, made) else { return (None, None) };
    let store = Arc::new(KeyStore::awaiting(last_good));
    let source = Source::Keys { store: Arc::clone(&store), at };
    (Some(store), Some(KeySource { provider: name.to_owned(), source, last_good, origin }))
}

/// Keys from where the provider's metadata says.
fn discovered(name: &str, raw: &RawProvider, faults: &mut Faulty<'_>) -> (Option<Arc<KeyStore>>, Option<KeySource>) {
    let (issuer, span) = (&raw.issuer.value, raw.issuer.span);
    if !issuer.starts_with("https://") || issuer.contains('?') {
        let hint = "add `jwks: { url: https://… }`, or `secret: { file: … }` for HS256; only below an issuer that is an \
                    `https` address keys are found without";
        faults.at(span, "provider", "nothing says by which keys its tokens are checked", hint);
        return (None, None);
    }
    let default = RawDiscovery::default();
    let raw = raw.discovery.as_ref().map_or(&default, |discovery| &discovery.value);
    let last_good = last_good(&raw.last_good, faults);
    let made = endpoint(&authn::address_of(issuer), span, raw.ca.as_ref(), &raw.private, faults);
    let (Some(last_good), Some((at, mut origin))) = (last_good, made) else { return (None, None) };
    origin.issuer = Some(issuer.clone());
    let store = Arc::new(KeyStore::awaiting(last_good));
    let metadata = Arc::new(MetadataStore::awaiting(last_good));
    let by = Discovery { issuer: issuer.clone(), at, store: metadata };
    let source = Source::Discovered { store: Arc::clone(&store), by };
    (Some(store), Some(KeySource { provider: name.to_owned(), source, last_good, origin }))
}

fn last_good(written: &Spanned<Period>, faults: &mut Faulty<'_>) -> Option<Duration> {
    let (least, most) = LAST_GOOD;
    if (least..=most).contains(&written.value.0) {
        return Some(written.value.0);
    }
    let message = format!("`{}` is not from `{}` to `{}`", written.value, Period(least), Period(most));
    let hint = "shorter than an hour, a short failure of the provider locks everyone out; for longer than a week, so is a \
                withdrawn key believed";
    faults.at(written.span, "range", message, hint);
    None
}

/// An address with the trust and the networks that are written beside it.
fn endpoint(
    url: &str,
    span: Span,
    ca: Option<&Spanned<String>>,
    private: &[Spanned<String>],
    faults: &mut Faulty<'_>,
) -> Option<(Endpoint, Origin)> {
    let bytes = match ca {
        None => None,
        Some(ca) => Some(faults.file(ca)?),
    };
    let reach = reach(private, faults)?;
    match Endpoint::new(url, bytes, &reach) {
        Ok(at) => Some((at, Origin { url: url.to_owned(), issuer: None, ca: bytes.map(<[u8]>::to_vec), reach })),
        Err(fault) => {
            let (span, hint) = match (&fault, ca) {
                (EndpointFault::Trust(_), Some(ca)) => (ca.span, "it holds the authorities in PEM"),
                (EndpointFault::Trust(_), None) => (span, "name the authorities with `ca: FILE`"),
                (EndpointFault::Unlisted, _) => (span, "add its network, such as `private: [10.0.0.0/8]`"),
                (EndpointFault::NotHttps | EndpointFault::Decorated, _) => {
                    (span, "keys are fetched over verified TLS only: write `https://…`")
                }
            };
            faults.at(span, "provider", fault.to_string(), hint);
            None
        }
    }
}
