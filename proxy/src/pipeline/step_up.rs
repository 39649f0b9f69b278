//! The challenge to a caller whose factors fall short (RFC 9470): what the client should ask the provider for.
//!
//! It asks for the contexts that the configuration of the caller's provider lists, in the way that this kind of provider
//! understands. Where it lists none, no context would do, and `amr` has to show the factors: then the names that providers know
//! best are asked for, since there is no other way to ask for factors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use policy::Assurance;
use serde_json::json;

use crate::authn::{Asked, Contexts, Provider, SignInPlace};

/// Several factors, as OpenID named them first; many providers know it.
const TWO_FACTORS: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";
/// A factor that cannot be phished (OpenID Connect Extended Authentication Profile ACR Values 1.0).
const PHISHING_RESISTANT: &str = "phr";
/// What people read.
const DESCRIPTION: &str = "stronger or more recent sign-in needed";

/// The value of `WWW-Authenticate`; without a provider nobody could be sent anywhere for a context.
pub(super) fn challenge(needed: Assurance, provider: Option<&Provider>) -> HeaderValue {
    let mut text = match provider.and_then(|provider| by_claim(needed, provider)) {
        // The claims challenge of Entra: `claims` is JSON in plain base64.
        Some((context, SignInPlace { realm, address })) => format!(
            "Bearer realm=\"{realm}\", authorization_uri=\"{address}\", error=\"insufficient_claims\", \
             error_description=\"{DESCRIPTION}\", claims=\"{}\"",
            STANDARD.encode(claims("access_token", context)),
        ),
        None => format!(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"{DESCRIPTION}\", acr_values=\"{}\"",
            acr_values(needed, provider.map(Provider::contexts)),
        ),
    };
    if let Some(seconds) = needed.within_s() {
        text.push_str(&format!(", max_age=\"{seconds}\""));
    }
    // INVARIANT: the configuration takes contexts of visible ASCII only, so the value is always one of a header.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// What a sign-in asks for, as a field of the request to the provider: its name and its value.
pub(super) fn field(needed: Assurance, provider: &Provider) -> (&'static str, String) {
    match by_claim(needed, provider) {
        Some((context, _)) => ("claims", claims("id_token", context)),
        None => ("acr_values", acr_values(needed, Some(provider.contexts()))),
    }
}

/// The context to ask for, and where, of a provider that is asked by a claim; `None` of all others, and where none is listed.
fn by_claim(needed: Assurance, provider: &Provider) -> Option<(&str, SignInPlace<'_>)> {
    match provider.preset().profile().asked {
        Asked::ByValue => None,
        Asked::ByClaim(place) => Some((*listed(needed, provider.contexts()).first()?, place(provider.issuer())?)),
    }
}

/// The demand that a token has a context (OpenID Connect Core 1.0, 5.5.1).
fn claims(token: &str, context: &str) -> String {
    json!({ token: { "acrs": { "essential": true, "value": context } } }).to_string()
}

/// The contexts that would do, in the order of preference, with spaces between.
fn acr_values(needed: Assurance, contexts: Option<&Contexts>) -> String {
    let listed = contexts.map(|contexts| listed(needed, contexts)).unwrap_or_default();
    match (listed.is_empty(), needed.phishing_resistant()) {
        (false, _) => listed.join(" "),
        (true, true) => PHISHING_RESISTANT.to_owned(),
        (true, false) => TWO_FACTORS.to_owned(),
    }
}

/// The contexts that would do, in the order of preference.
fn listed(needed: Assurance, contexts: &Contexts) -> Vec<&str> {
    let resistant = contexts.phishing_resistant.iter();
    if needed.phishing_resistant() {
        resistant.map(String::as_str).collect()
    } else {
        contexts.two_factors.iter().chain(resistant).map(String::as_str).collect()
    }
}
