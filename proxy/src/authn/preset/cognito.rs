//! Amazon Cognito: tokens of a user pool.
//!
//! Traps: an access token has no `aud`, and says in `client_id` who asked; an ID token has `aud` and no `client_id`. Which
//! of the two it is stands in `token_use`, and an ID token in the place of an access token is refused. Pools have two issuers.
//! `acr` and `amr` stand in ID tokens alone, and not in every pool yet: absent means no. Levels of `acr` are named by each
//! pool, so none counts until it is listed. Attributes, also those that begin with `custom:`, stand in ID tokens alone; those that an app
//! client may write are the person's own words, and which these are no token shows: so whoever maps one is warned.

use super::issuer;
use super::{
    Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignOut, TokenKind, no_cookie, nothing, text,
};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;

/// The attributes of a person. App clients may write those of OpenID Connect unless told otherwise.
const ATTRIBUTES: &[&str] = &[
    "custom:",
    "address",
    "birthdate",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "picture",
    "preferred_username",
    "profile",
    "website",
    "zoneinfo",
];

pub(super) const PROFILE: Profile = Profile {
    title: "Amazon Cognito",
    issuers: "`https://cognito-idp.REGION.amazonaws.com/POOL` or `https://issuer-cognito-idp.REGION.amazonaws.com/POOL`",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/.well-known/jwks.json"),
    audience: KnownAudience::OfClient,
    clients: KnownClients::Demanded(
        &["client_id"],
        "list the app clients of the pool that may come, such as `clients: [1example23456789]`",
    ),
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: None,
    picked: None,
    tenant_hint: "add `claims: { bindings: \"cognito:groups\" }` for groups named `clinic-a:provider`, or `tenant: clinic-a` \
                  where the pool is of one clinic",
    roles: Some("cognito:groups"),
    session: Some("origin_jti"),
    credential: "jti",
    own_words: &[],
    writable: ATTRIBUTES,
    factors: FactorRule::Standard,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut { back: "logout_uri", ..SignOut::STANDARD },
    id_tokens: IdTokens::Of { lacks: &[], factors: FactorRule::Standard },
    kinds: &[TokenKind::Access, TokenKind::Id],
    kind,
    refuse: nothing,
    never: nothing,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let form =
        "write `https://cognito-idp.REGION.amazonaws.com/POOL`, or the pool's other issuer with `issuer-cognito-idp`";
    let parts = issuer::public(issuer).ok_or(form)?;
    let host = parts.host.strip_prefix("issuer-").unwrap_or(parts.host);
    let region = host
        .strip_prefix("cognito-idp.")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn")));
    let pool = parts.path.strip_prefix('/').filter(|pool| !pool.contains('/'));
    match (region, pool.and_then(|pool| pool.split_once('_'))) {
        (Some(region), Some((of, name))) if !region.contains('.') && of == region && !name.is_empty() => Ok(()),
        _ => Err(form),
    }
}

fn kind(claims: &Claims) -> Option<TokenKind> {
    match text(claims, "token_use")? {
        "access" => Some(TokenKind::Access),
        "id" => Some(TokenKind::Id),
        _ => None,
    }
}
