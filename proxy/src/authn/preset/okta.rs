//! Okta: access tokens of a custom authorization server.
//!
//! Traps: tokens of the organisation's own server (the issuer without `/oauth2/…`) are for Okta alone. `acr` is what was asked
//! for: `urn:okta:loa:2fa:any:ifpossible` is met by one factor where the person has no second, and `phr` by one key. A refresh
//! keeps the `acr` of the sign-in, so its age is that of `auth_time`. `jti` begins with `AT.` in access tokens, with `ID.` in
//! ID tokens.

use serde_json::Value;

use super::issuer;
use super::{
    Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignOut, TokenKind, no_cookie, nothing, text,
};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;
use crate::authn::provider::Provider;

pub(super) const PROFILE: Profile = Profile {
    title: "Okta",
    issuers: "`https://ORG.okta.com/oauth2/default`, or a custom domain, with the server's id",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/v1/keys"),
    audience: KnownAudience::Written("the audience of the authorization server at Okta, such as `api://default`"),
    clients: KnownClients::Told(&["cid"]),
    algorithms: &[Algorithm::Rs256],
    types: &["JWT", "at+jwt"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: None,
    picked: None,
    tenant_hint: "add a claim to the authorization server at Okta and name it: `claims: { tenant: clinic }`; or \
                  `tenant: clinic-a` where the server is of one clinic",
    roles: Some("groups"),
    session: Some("sid"),
    credential: "jti",
    own_words: &[],
    writable: &[],
    factors: FactorRule::Standard,
    two_factors: &["urn:okta:loa:2fa:any"],
    asked: Asked::ByValue,
    empty_contexts: &["urn:okta:loa:2fa:any:ifpossible", "urn:okta:loa:1fa:any", "urn:okta:loa:1fa:pwd"],
    sign_out: SignOut { hint: true, ..SignOut::STANDARD },
    id_tokens: IdTokens::Of { lacks: &[], factors: FactorRule::Standard },
    kinds: &[TokenKind::Access],
    kind,
    refuse,
    never: nothing,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let form = "write `https://ORG.okta.com/oauth2/default`, or another server's id in its place; tokens of the organisation's \
                own server are for Okta alone";
    let server = issuer::public(issuer).and_then(|parts| parts.path.strip_prefix("/oauth2/"));
    server.filter(|server| !server.is_empty() && !server.contains('/')).map(|_| ()).ok_or(form)
}

fn kind(claims: &Claims) -> Option<TokenKind> {
    let name = text(claims, "jti")?;
    if name.starts_with("AT.") {
        return Some(TokenKind::Access);
    }
    name.starts_with("ID.").then_some(TokenKind::Id)
}

fn refuse(claims: &Claims, _: &Provider) -> Result<(), &'static str> {
    if claims.get("ver").and_then(Value::as_u64) != Some(1) {
        return Err("its version (`ver`) is none that is known");
    }
    if text(claims, "cid").is_none() {
        return Err("it does not say which client asked for it (`cid`)");
    }
    Ok(())
}
