//! Keycloak: access tokens of a realm.
//!
//! Traps: `aud` is `account` for every program of the realm, so it tells nothing: the API needs a mapper of its own, and `azp`
//! is checked. What kind of token it is stands in the claim `typ` (`Bearer`, `ID`, `Refresh`, `Offline`), not in the header.
//! `acr` is `0` where the level has expired and only the cookie was used again; a person can change the `acr_values` that a
//! page asks for, so only what came back counts. `organization` is a list of names, or an object whose names they are; a
//! person of several picks one by the scope `organization:NAME`, and has all roles of the realm beside each of them.

use super::issuer;
use super::{
    Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignOut, TokenKind, no_cookie, nothing, text,
};
use crate::authn::factors::FactorRule;

pub(super) const PROFILE: Profile = Profile {
    title: "Keycloak",
    issuers: "`https://HOST/realms/REALM`",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/protocol/openid-connect/certs"),
    audience: KnownAudience::Written(
        "the audience that a mapper of the realm puts into tokens for this API; `account` is in all of them",
    ),
    clients: KnownClients::Demanded(
        &["azp"],
        "list the realm's clients whose tokens may come, such as `clients: [clinic-web]`; Keycloak writes the one that asked \
         into `azp`",
    ),
    algorithms: &[],
    types: &["JWT", "at+jwt"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: Some("organization"),
    picked: Some("organization"),
    tenant_hint: "",
    roles: Some("/realm_access/roles"),
    session: Some("sid"),
    credential: "jti",
    own_words: &[],
    writable: &[],
    factors: FactorRule::Standard,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &["0"],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of { lacks: &[], factors: FactorRule::Standard },
    kinds: &[TokenKind::Access, TokenKind::Id],
    kind,
    refuse: nothing,
    never: nothing,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let form =
        "write `https://HOST/realms/REALM`, without a slash at its end; before Keycloak 17 it was `/auth/realms/REALM`";
    let realm = issuer::parts(issuer).and_then(|parts| parts.path.rsplit_once("/realms/"));
    realm.filter(|(_, realm)| !realm.is_empty() && !realm.contains('/')).map(|_| ()).ok_or(form)
}

fn kind(claims: &Claims) -> Option<TokenKind> {
    match text(claims, "typ")? {
        "Bearer" => Some(TokenKind::Access),
        "ID" => Some(TokenKind::Id),
        _ => None,
    }
}
