//! Providers as written to providers that judge tokens.
//!
//! Decides what makes a provider unsafe (no audience, a short secret, keys from an unverified address) and refuses it.
//! It fetches nothing: where keys come from an address, it leaves the source for the fetcher.

mod keys;
pub(super) mod login;
pub(super) mod raw;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderName;
use policy::{Spanned, TenantId};

use super::compile::{Faulty, period};
use super::raw::RawConfig;
use crate::authn::{self, ClaimMap, ClaimPath, ProviderSettings, TenantSource};
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
        let (provider, source) = one(name, raw, identity, faults);
        providers.extend(provider);
        sources.extend(source);
    }
    (providers, sources)
}

fn one(
    name: &str,
    raw: &RawProvider,
    identity: Option<&IdentityHeaders>,
    faults: &mut Faulty<'_>,
) -> (Option<Provider>, Option<KeySource>) {
    let places = places(raw, identity, faults);
    let claims = claims(raw, faults);
    let leeway = period(&raw.leeway, Duration::from_secs(authn::MAX_LEEWAY_S), faults);
    let (store, source) = keys(name, raw, faults);
    let (Some(places), Some(claims), Some(leeway)) = (places, claims, leeway) else { return (None, None) };
    let mut settings = ProviderSettings {
        name: name.to_owned(),
        issuer: raw.issuer.value.clone(),
        audience: raw.audience.value.clone(),
        algorithms: raw.algorithms.iter().flat_map(|list| &list.value).copied().collect(),
        types: raw.types.as_ref().map(|types| types.value.clone()).unwrap_or_default(),
        leeway_s: leeway.as_secs(),
        claims,
        contexts: authn::Contexts {
            two_factors: contexts(&raw.acr.mfa, faults),
            phishing_resistant: contexts(&raw.acr.phishing_resistant, faults),
        },
        forward_credential: raw.forward_credential,
        generation: 0,
    };
    settings.generation = generation(&settings);
    let discovered = source.as_ref().is_some_and(|source| source.source.metadata().is_some());
    let login = raw.login.as_ref().map(|one| login::compile(one, raw, (&settings, discovered), faults));
    let login = match login {
        Some(None) => return (None, None),
        Some(login) => login,
        None => None,
    };
    match authn::Provider::new(settings) {
        Ok(authn) => {
            let metadata = source.as_ref().and_then(|source| source.source.metadata()).cloned();
            (store.map(|keys| Provider { authn, keys, places, metadata, login }), source)
        }
        Err(fault) => {
            let span = match fault {
                authn::ProviderFault::NoIssuer => raw.issuer.span,
                authn::ProviderFault::NoAudience => raw.audience.span,
                authn::ProviderFault::MixedAlgorithms => {
                    raw.algorithms.as_ref().map_or(raw.issuer.span, |algorithms| algorithms.span)
                }
                authn::ProviderFault::Leeway => raw.leeway.span,
            };
            faults.at(span, "provider", fault.to_string(), "see the providers page of the manual");
            (None, None)
        }
    }
}

/// The most contexts of one kind, and the longest, in bytes: all of them stand in one header.
const MOST_CONTEXTS: usize = 16;
const LONGEST_CONTEXT: usize = 128;

/// Contexts as they stand in a challenge (RFC 9470, 3): with spaces between, in quotes.
fn contexts(raw: &[Spanned<String>], faults: &mut Faulty<'_>) -> Vec<String> {
    if let Some(one) = raw.get(MOST_CONTEXTS) {
        let message = format!("more than {MOST_CONTEXTS} values of `acr`");
        faults.at(one.span, "provider", message, "list those that the provider really issues");
    }
    for one in raw {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if one.value.is_empty() || one.value.len() > LONGEST_CONTEXT || !one.value.bytes().all(plain) {
            let hint = "one value of 1 to 128 visible ASCII characters, without quotes and backslashes";
            faults.at(one.span, "provider", format!("`{}` is no value of `acr`", one.value), hint);
        }
    }
    raw.iter().map(|one| one.value.clone()).collect()
}

/// The number of these settings: a digest, so that a reload that changes nothing of a provider keeps what is remembered of
/// its tokens, and any other does not.
fn generation(settings: &ProviderSettings) -> u64 {
    let text = format!("{settings:?}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn places(raw: &RawProvider, identity: Option<&IdentityHeaders>, faults: &mut Faulty<'_>) -> Option<Vec<Place>> {
    if raw.token.is_empty() && raw.login.is_none() {
        let hint = "leave it out for the `Authorization` header";
        faults.at(raw.issuer.span, "provider", "`token` lists no place, so nobody could ever sign in", hint);
        return None;
    }
    raw.token.iter().map(|written| place(written, identity, faults)).collect()
}

fn place(written: &Spanned<RawPlace>, identity: Option<&IdentityHeaders>, faults: &mut Faulty<'_>) -> Option<Place> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let place = match &written.value {
        RawPlace::Header(name) => HeaderName::try_from(name.to_ascii_lowercase())
            .ok()
            .filter(|name| !NO_TOKEN_HEADERS.contains(&name.as_str()))
            .filter(|name| identity.is_none_or(|identity| !identity.is_reserved(name.as_str())))
            .map(Place::Header),
        RawPlace::Cookie(name) => Some(Place::Cookie(name.clone()))
            .filter(|_| !name.is_empty() && name.len() <= 128 && name.bytes().all(token)),
    };
    if place.is_none() {
        let hint = "write `{ header: authorization }` or `{ cookie: __session }`";
        faults.at(written.span, "provider", "no token can be in this place", hint);
    }
    place
}

fn claims(raw: &RawProvider, faults: &mut Faulty<'_>) -> Option<ClaimMap> {
    let mut extra = BTreeMap::new();
    let (mut tenant, mut roles, mut subject) = (None, None, ClaimPath::parse("sub"));
    for (name, written) in &raw.claims {
        let path = ClaimPath::parse(&written.value);
        if path.is_none() {
            let hint = "write a name at the top of the token, or a JSON Pointer such as `/realm_access/roles`";
            faults.at(written.span, "claim", format!("`{}` names no claim", written.value), hint);
        }
        match name.as_str() {
            "tenant" => tenant = path,
            "roles" => roles = path,
            "subject" => subject = path,
            _ if !is_identifier(name) => {
                let hint = "conditions read it as `principal.claims.NAME`: use letters, digits and `_`";
                faults.at(written.span, "claim", format!("`{name}` is no name for a claim"), hint);
            }
            _ => extra.extend(path.map(|path| (name.clone(), path))),
        }
    }
    let tenant = match (tenant, &raw.tenant) {
        (claim, None) => claim.map(TenantSource::Claim),
        (None, Some(fixed)) => match TenantId::parse(&fixed.value) {
            Some(fixed) => Some(TenantSource::Fixed(fixed)),
            None => {
                let hint = "use 1 to 128 letters, digits and `- . _ : @ |`";
                faults.at(fixed.span, "tenant", format!("`{}` is no name for a tenant", fixed.value), hint);
                None
            }
        },
        (Some(_), Some(fixed)) => {
            faults.at(fixed.span, "tenant", "the tenant is said twice", "keep either `tenant` or `claims.tenant`");
            None
        }
    };
    if tenant.is_none() && raw.tenant.is_none() && !raw.claims.contains_key("tenant") {
        let hint = "add `claims: { tenant: org_id }`, or `tenant: clinic-a` where the issuer serves one clinic";
        faults.at(raw.issuer.span, "tenant", "nothing says which tenant a caller belongs to", hint);
    }
    Some(ClaimMap { tenant, roles, subject: subject?, extra })
}

fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= 64
        && name.bytes().all(word)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}
