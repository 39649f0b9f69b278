//! Providers as written to providers that judge tokens.
//!
//! Decides what makes a provider unsafe (no audience, a short secret, keys from an unverified address) and refuses it.
//! It fetches nothing: where keys come from an address, it leaves the source for the fetcher.

pub(super) mod claims;
pub(super) mod filled;
mod id_tokens;
mod keys;
pub(super) mod login;
pub(super) mod raw;
mod rules;
mod tenants;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderName;
use policy::Spanned;

use super::compile::{Faulty, period};
use super::raw::RawConfig;
use crate::authn::{self, Profile, ProviderSettings};
use crate::runtime::{IdentityHeaders, Place, Provider};
pub use keys::KeySource;
use keys::keys;
use raw::{RawPlace, RawProvider};

/// Header names that carry something else than a token, whatever their value.
const NO_TOKEN_HEADERS: [&str; 14] = [
    "host",
    "cookie",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    // Browsers send these by themselves, or let a page of another site choose them: no such header shows that the one who
    // asks meant to (`pipeline/cross_site.rs` relies on it).
    "accept",
    "accept-language",
    "content-language",
    "content-type",
    "origin",
    "range",
    "referer",
    "user-agent",
];

pub(super) fn compile(
    config: &RawConfig,
    identity: Option<&IdentityHeaders>,
    faults: &mut Faulty<'_>,
) -> (Vec<Provider>, Vec<KeySource>) {
    login::check_is_one(config, faults);
    let mut providers = Vec::new();
    let mut sources = Vec::new();
    let mut issuers: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, raw) in &config.providers {
        if let Some(other) = issuers.insert(&raw.issuer.value, name) {
            let message = format!("`{other}` has this issuer too");
            faults.at(raw.issuer.span, "provider", message, "one issuer is one provider; list both audiences there");
        }
        let bound_elsewhere = config.directory.as_ref().is_some_and(|one| one.value.alone_speaks_for(name));
        if config.providers.len() > 1 {
            tenants::check_are_said(raw, bound_elsewhere, faults);
        }
        let (provider, source) = one(name, raw, (identity, bound_elsewhere), faults);
        providers.extend(provider);
        sources.extend(source);
    }
    (providers, sources)
}

fn one(
    name: &str,
    raw: &RawProvider,
    (identity, bound_elsewhere): (Option<&IdentityHeaders>, bool),
    faults: &mut Faulty<'_>,
) -> (Option<Provider>, Option<KeySource>) {
    let before = faults.count();
    rules::check(raw, faults);
    let profile = raw.preset.profile();
    let places = places(raw, identity, faults);
    let map = claims::claims(raw, bound_elsewhere, faults);
    let tenants = tenants::tenants(raw, faults);
    let leeway =
        raw.leeway.as_ref().and_then(|leeway| period(leeway, Duration::from_secs(authn::MAX_LEEWAY_S), faults));
    let contexts = authn::Contexts {
        two_factors: contexts(raw.acr.iter().flat_map(|acr| &acr.mfa), profile, faults),
        phishing_resistant: contexts(raw.acr.iter().flat_map(|acr| &acr.phishing_resistant), profile, faults),
    };
    let (store, source) = keys(name, raw, faults);
    let (Some(places), Some(map), Some(tenants), Some(leeway)) = (places, map, tenants, leeway) else {
        return (None, None);
    };
    let mut settings = ProviderSettings {
        name: name.to_owned(),
        issuer: raw.issuer.value.as_str().into(),
        preset: raw.preset,
        audience: listed(raw.audience.as_ref()),
        clients: listed(raw.clients.as_ref()),
        kinds: listed(raw.kinds.as_ref()),
        allow_anonymous: raw.allow_anonymous,
        tenants,
        factors: raw.factors.unwrap_or(profile.factors),
        algorithms: listed(raw.algorithms.as_ref()),
        types: listed(raw.types.as_ref()),
        leeway_s: leeway.as_secs(),
        claims: map,
        contexts,
        forward_credential: raw.forward_credential,
        generation: 0,
    };
    settings.generation = generation(&settings);
    if let Some(login) = &raw.login {
        id_tokens::check(login, raw, bound_elsewhere, faults);
    }
    let discovered = source.as_ref().is_some_and(|source| source.source.metadata().is_some());
    let login = raw.login.as_ref().map(|one| login::compile(one, raw, (&settings, discovered), faults));
    let login = match login {
        Some(None) => return (None, None),
        Some(login) => login,
        None => None,
    };
    let siblings = profile.siblings.filter(|family| places.iter().any(|place| place.is_cookie_of(family)));
    match authn::Provider::new(settings) {
        Ok(authn) => {
            let metadata = source.as_ref().and_then(|source| source.source.metadata().cloned());
            (store.map(|keys| Provider { authn, keys, metadata, places, siblings, login }), source)
        }
        // What is wrong has been said already, at its place and with a hint.
        Err(_) if faults.count() > before => (None, None),
        Err(fault) => {
            let span = match fault {
                authn::ProviderFault::NoIssuer => raw.issuer.span,
                authn::ProviderFault::NoAudience => {
                    raw.audience.as_ref().map_or(raw.issuer.span, |audience| audience.span)
                }
                authn::ProviderFault::MixedAlgorithms => {
                    raw.algorithms.as_ref().map_or(raw.issuer.span, |algorithms| algorithms.span)
                }
                authn::ProviderFault::Leeway => raw.leeway.as_ref().map_or(raw.issuer.span, |leeway| leeway.span),
            };
            faults.at(span, "provider", fault.to_string(), "see the providers page of the manual");
            (None, None)
        }
    }
}

/// A list, which is empty where nothing is written.
fn listed<T: Clone>(written: Option<&Spanned<Vec<T>>>) -> Vec<T> {
    written.map(|list| list.value.clone()).unwrap_or_default()
}

/// The most contexts of one kind, and the longest, in bytes: all of them stand in one header.
const MOST_CONTEXTS: usize = 16;
const LONGEST_CONTEXT: usize = 128;

/// Contexts as they stand in a challenge (RFC 9470, 3): with spaces between, in quotes.
fn contexts<'w>(
    written: impl Iterator<Item = &'w Spanned<String>>,
    profile: &Profile,
    faults: &mut Faulty<'_>,
) -> Vec<String> {
    let written: Vec<&Spanned<String>> = written.collect();
    if let Some(one) = written.get(MOST_CONTEXTS) {
        let message = format!("more than {MOST_CONTEXTS} values of `acr`");
        faults.at(one.span, "provider", message, "list those that the provider really issues");
    }
    for one in &written {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if one.value.is_empty() || one.value.len() > LONGEST_CONTEXT || !one.value.bytes().all(plain) {
            let hint = "one value of 1 to 128 visible ASCII characters, without quotes and backslashes";
            faults.at(one.span, "provider", format!("`{}` is no value of `acr`", one.value), hint);
        }
        if profile.empty_contexts.contains(&one.value.as_str()) {
            let message = format!("`{}` of {} proves no second factor", one.value, profile.title);
            faults.at(one.span, "provider", message, "list a value that is met by two factors alone");
        }
    }
    written.into_iter().map(|one| one.value.clone()).collect()
}

/// The number of these settings: a digest, so that a reload that changes nothing of a provider keeps what is remembered of
/// its tokens, and any other does not.
fn generation(settings: &ProviderSettings) -> u64 {
    let text = format!("{settings:?}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn places(raw: &RawProvider, identity: Option<&IdentityHeaders>, faults: &mut Faulty<'_>) -> Option<Vec<Place>> {
    let written = raw.token.as_deref().unwrap_or_default();
    if written.is_empty() && raw.login.is_none() {
        let hint = "leave it out for the `Authorization` header";
        faults.at(raw.issuer.span, "provider", "`token` lists no place, so nobody could ever sign in", hint);
        return None;
    }
    written.iter().map(|written| place(written, identity, faults)).collect()
}

fn place(written: &Spanned<RawPlace>, identity: Option<&IdentityHeaders>, faults: &mut Faulty<'_>) -> Option<Place> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let place = match &written.value {
        RawPlace::Header(name) => HeaderName::try_from(name.to_ascii_lowercase())
            .ok()
            .filter(|name| !NO_TOKEN_HEADERS.contains(&name.as_str()))
            .filter(|name| identity.is_none_or(|identity| !identity.is_reserved(name.as_str())))
            .map(Place::Header),
        RawPlace::Cookie(name) => Some(Place::Cookie(name.clone())),
        RawPlace::CookieChunks(name) => Some(Place::CookieChunks(name.clone())),
    };
    let place = place.filter(|place| match place {
        Place::Header(_) => true,
        Place::Cookie(name) | Place::CookieChunks(name) => {
            !name.is_empty() && name.len() <= 128 && name.bytes().all(token)
        }
    });
    if place.is_none() {
        let hint = "write `{ header: authorization }` or `{ cookie: __session }`";
        faults.at(written.span, "provider", "no token can be in this place", hint);
    }
    place
}
