//! The challenge to a caller whose factors fall short (RFC 9470): what the client should ask the provider for.
//!
//! It asks for what the gate would accept: the contexts that the configuration of the caller's provider lists. Where it
//! lists none, it is `amr` that has to show the factors, and the names that providers know best are asked for.

use http::HeaderValue;
use policy::Assurance;

use crate::authn::Contexts;

/// Several factors, as OpenID named them first; many providers know it.
const TWO_FACTORS: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";
/// A factor that cannot be phished (OpenID Connect Extended Authentication Profile ACR Values 1.0).
const PHISHING_RESISTANT: &str = "phr";

/// The value of `WWW-Authenticate`.
pub(super) fn challenge(needed: Assurance, contexts: &Contexts) -> HeaderValue {
    let mut text = format!(
        "Bearer error=\"insufficient_user_authentication\", error_description=\"{}\", acr_values=\"{}\"",
        "stronger or more recent sign-in needed",
        acr_values(needed, contexts),
    );
    if let Some(seconds) = needed.within_s() {
        text.push_str(&format!(", max_age=\"{seconds}\""));
    }
    // INVARIANT: the configuration takes contexts of visible ASCII only, so the value is always one of a header.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// The contexts that would do, in the order of preference, with spaces between.
pub(super) fn acr_values(needed: Assurance, contexts: &Contexts) -> String {
    let resistant = contexts.phishing_resistant.iter();
    let listed: Vec<&str> = if needed.phishing_resistant() {
        resistant.map(String::as_str).collect()
    } else {
        contexts.two_factors.iter().chain(resistant).map(String::as_str).collect()
    };
    match (listed.is_empty(), needed.phishing_resistant()) {
        (false, _) => listed.join(" "),
        (true, true) => PHISHING_RESISTANT.to_owned(),
        (true, false) => TWO_FACTORS.to_owned(),
    }
}
