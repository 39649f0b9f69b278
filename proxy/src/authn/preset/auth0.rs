//! Auth0: access tokens that it makes for an API.
//!
//! Traps: the issuer ends in a slash, with a custom domain too. `amr` stands in ID tokens, and not after a silent sign-in or
//! a refresh; an access token says nothing of factors until an Action adds a claim, so absent means no. The cookie
//! `__session` of its Next.js library, whole or in pieces, is encrypted for the application: no gate can read it. An ID token
//! is for the program that asked, and never for an API.

use super::issuer;
use super::{
    Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignOut, TokenKind, any, no_cookie, nothing,
};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;

pub(super) const PROFILE: Profile = Profile {
    title: "Auth0",
    issuers: "`https://TENANT.REGION.auth0.com/`, or a custom domain, with the slash",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/.well-known/jwks.json"),
    audience: KnownAudience::Written("the identifier of the API at Auth0, such as `https://api.clinic.example`"),
    clients: KnownClients::Told(&["azp", "client_id"]),
    algorithms: &[Algorithm::Rs256],
    types: &["JWT", "at+jwt"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: Some("org_id"),
    picked: None,
    tenant_hint: "",
    roles: Some("permissions"),
    session: Some("sid"),
    credential: "jti",
    own_words: &["user_metadata"],
    writable: &[],
    factors: FactorRule::Standard,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of { lacks: &["permissions"], factors: FactorRule::Standard },
    kinds: &[TokenKind::Access],
    kind,
    refuse: nothing,
    never: nothing,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let slash = "write `https://TENANT.REGION.auth0.com/`, or your custom domain, with the slash at its end";
    issuer::public(issuer).filter(|parts| parts.path == "/").map(|_| ()).ok_or(slash)
}

/// What only an ID token has (OpenID Connect Core, 2 and 3.3.2.11).
fn kind(claims: &Claims) -> Option<TokenKind> {
    let id = any(claims, &["nonce", "at_hash", "c_hash", "s_hash"]);
    Some(if id { TokenKind::Id } else { TokenKind::Access })
}
