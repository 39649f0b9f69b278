//! Firebase Authentication and Identity Platform: ID tokens, which are what it shows to servers.
//!
//! Traps: the issuer and the audience are the project, and a token of another project is signed by the same keys. An anonymous
//! sign-in is a token as well. A second factor is only what `sign_in_second_factor` names. No claim names the session: it is
//! the subject with `auth_time`, which a refresh keeps. The session cookie that the Admin SDK makes has another issuer and
//! keys that are no key set.

use serde_json::Value;

use super::issuer;
use super::{Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignOut, no_cookie, one_kind};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;
use crate::authn::provider::Provider;

pub(super) const PROFILE: Profile = Profile {
    title: "Firebase",
    issuers: "`https://securetoken.google.com/PROJECT`",
    check_issuer,
    keys: |_| {
        Some("https://www.googleapis.com/service_accounts/v1/jwk/securetoken%40system.gserviceaccount.com".to_owned())
    },
    audience: KnownAudience::OfIssuer(|issuer| project(issuer).map(ToOwned::to_owned)),
    clients: KnownClients::Untold,
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: Some("/firebase/tenant"),
    picked: None,
    tenant_hint: "",
    roles: Some("roles"),
    session: None,
    credential: "jti",
    own_words: &[],
    writable: &[],
    factors: FactorRule::Firebase,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Nowhere(
        "let the application sign people in and send the ID token, or write the provider behind Firebase (Google, an OpenID \
         provider of your own) in its place",
    ),
    kinds: &[],
    kind: one_kind,
    refuse,
    never,
};

fn project(issuer: &str) -> Option<&str> {
    let parts = issuer::public(issuer).filter(|parts| parts.host == "securetoken.google.com")?;
    parts.path.strip_prefix('/').filter(|project| !project.is_empty() && !project.contains('/'))
}

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    project(issuer).map(|_| ()).ok_or(
        "write `https://securetoken.google.com/PROJECT` with the project's id; session cookies (`session.firebase.google.com`) \
         are signed by keys that are published as certificates, which the gate does not read",
    )
}

fn refuse(claims: &Claims, provider: &Provider) -> Result<(), &'static str> {
    let Some(Value::Object(firebase)) = claims.get("firebase") else {
        return Err("it has no `firebase` claim, so it is no ID token of Firebase");
    };
    if firebase.get("sign_in_provider").and_then(Value::as_str).is_none() && !provider.allows_anonymous() {
        return Err("its owner signed in anonymously");
    }
    if claims.get("auth_time").and_then(Value::as_u64).is_none() {
        return Err("it does not say when its owner signed in (`auth_time`)");
    }
    Ok(())
}

fn never(claims: &Claims, provider: &Provider) -> Result<(), &'static str> {
    let by = claims.get("firebase").and_then(|firebase| firebase.get("sign_in_provider"));
    if by.and_then(Value::as_str) == Some("anonymous") && !provider.allows_anonymous() {
        return Err("its owner signed in anonymously");
    }
    Ok(())
}
