//! What a preset fills in of a provider: what was left out, and nothing else.
//!
//! Decides nothing: whether the whole makes a provider is for [`super::compile`], which cannot tell what was written from
//! what was filled in. So `config --effective` shows everything that a provider is judged by.

use std::time::Duration;

use policy::Spanned;
use policy::units::Period;

use super::claims::is_picked;
use super::raw::{RawContexts, RawJwks, RawPlace, RawProvider};
use crate::authn::{KnownAudience, KnownCookie, Profile};

/// Fills in what is left out.
pub(in crate::config) fn fill(raw: &mut RawProvider) {
    let profile = raw.preset.profile();
    let (issuer, span) = (raw.issuer.value.clone(), raw.issuer.span);
    let at = |text: String| Spanned { value: text, span };
    if let KnownAudience::OfIssuer(known) = profile.audience
        && raw.audience.is_none()
    {
        raw.audience = known(&issuer).map(|name| Spanned { value: vec![name], span });
    }
    if raw.kinds.is_none() && !profile.kinds.is_empty() {
        raw.kinds = profile.kinds.first().map(|kind| Spanned { value: vec![*kind], span });
    }
    if raw.token.is_none() {
        raw.token = Some(places(profile, &issuer).into_iter().map(|value| Spanned { value, span }).collect());
    }
    // A secret is for algorithms of its own, whatever the preset's keys are for.
    if raw.secret.is_none() {
        if raw.discovery.is_none() && !is_discovered(raw) {
            keys(raw, profile, &issuer);
        }
        if raw.algorithms.is_none() && !profile.algorithms.is_empty() {
            raw.algorithms = Some(Spanned { value: profile.algorithms.to_vec(), span });
        }
    }
    raw.types.get_or_insert_with(|| Spanned { value: texts(profile.types), span });
    raw.factors.get_or_insert(profile.factors);
    raw.acr.get_or_insert_with(|| RawContexts {
        mfa: texts(profile.two_factors).into_iter().map(at).collect(),
        phishing_resistant: Vec::new(),
    });
    raw.leeway.get_or_insert_with(|| Spanned { value: Period(Duration::from_secs(profile.leeway_s)), span });
    claims(raw, profile);
}

/// Whether `login` leaves it to the provider's metadata where people sign in. That says where the keys are as well.
fn is_discovered(raw: &RawProvider) -> bool {
    let login = raw.login.as_ref();
    raw.jwks.is_none()
        && login.is_some_and(|login| login.authorization_endpoint.is_none() || login.token_endpoint.is_none())
}

/// The address of the keys, also where only the way to it is written.
fn keys(raw: &mut RawProvider, profile: &Profile, issuer: &str) {
    let Some(url) = (profile.keys)(issuer) else { return };
    let span = raw.issuer.span;
    let jwks = raw.jwks.get_or_insert_with(|| Spanned { value: RawJwks::default(), span });
    if jwks.value.url.is_none() && jwks.value.file.is_none() && jwks.value.inline.is_none() {
        jwks.value.url = Some(Spanned { value: url, span });
    }
}

fn claims(raw: &mut RawProvider, profile: &Profile) {
    let span = raw.issuer.span;
    let is_fixed = raw.tenant.is_some();
    // Bindings take the place of both.
    let by_each = raw.claims.contains_key("bindings");
    let picked = is_picked(raw);
    let known = [
        ("tenant", profile.tenant.filter(|_| !is_fixed && !by_each)),
        ("roles", profile.roles.filter(|_| !by_each && !picked)),
        ("subject", Some("sub")),
        ("session", profile.session),
    ];
    for (name, path) in known {
        if let Some(path) = path {
            raw.claims.entry(name.to_owned()).or_insert_with(|| Spanned { value: path.to_owned(), span });
        }
    }
}

fn places(profile: &Profile, issuer: &str) -> Vec<RawPlace> {
    let cookie = (profile.cookie)(issuer).map(|cookie| match cookie {
        KnownCookie::Plain(name) => RawPlace::Cookie(name),
        KnownCookie::Chunks(name) => RawPlace::CookieChunks(name),
    });
    std::iter::once(RawPlace::Header("authorization".to_owned())).chain(cookie).collect()
}

fn texts(known: &[&str]) -> Vec<String> {
    known.iter().map(|text| (*text).to_owned()).collect()
}
