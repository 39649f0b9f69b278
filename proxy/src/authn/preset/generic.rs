//! Any other issuer: RFC 7519, RFC 9068 and OpenID Connect Core, and nothing else.
//!
//! Trap: these standards leave open what tells an ID token from an access token. `audience` has to: an ID token is for the
//! program, an access token for the API.

use super::{Asked, IdTokens, KnownAudience, KnownClients, Profile, SignOut, no_cookie, nothing, one_kind};
use crate::authn::factors::FactorRule;

pub(super) const PROFILE: Profile = Profile {
    title: "any other",
    issuers: "the exact `iss`",
    check_issuer: |_| Ok(()),
    keys: |_| None,
    audience: KnownAudience::Written("the name by which the issuer knows your API"),
    clients: KnownClients::Told(&["azp", "client_id"]),
    algorithms: &[],
    types: &["JWT", "at+jwt"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: None,
    picked: None,
    tenant_hint: "add `claims: { tenant: org_id }`, or `tenant: clinic-a` where the issuer serves one clinic",
    roles: None,
    session: Some("sid"),
    credential: "jti",
    own_words: &[],
    writable: &[],
    factors: FactorRule::Standard,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of { lacks: &[], factors: FactorRule::Standard },
    kinds: &[],
    kind: one_kind,
    refuse: nothing,
    never: nothing,
};
