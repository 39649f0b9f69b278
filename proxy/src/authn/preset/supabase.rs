//! Supabase Auth: access tokens, and the session that its server-side library keeps in a cookie.
//!
//! Traps: `role` is `authenticated` for people; the keys `anon` and `service_role` of a project are tokens of the same signer.
//! People write `user_metadata` themselves, so nothing below it decides anything: `app_metadata` does. An anonymous sign-in
//! says so in `is_anonymous`. `aal2` counts only with a method in `amr` that is a second factor, and its age is that of the
//! newest such method; a hook may make `amr` a list of texts, and then the age is unknown. A passkey alone is `aal1`. The
//! cookie is a session in JSON, in pieces of 3,180 letters. A project can be an authorization server for programs of others:
//! their access tokens are like the person's own in all but `client_id`, and scopes do not limit them.

use serde_json::Value;

use super::issuer;
use super::{Asked, Claims, IdTokens, KnownAudience, KnownClients, KnownCookie, Profile, SignOut, one_kind, text};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;
use crate::authn::provider::Provider;

pub(super) const PROFILE: Profile = Profile {
    title: "Supabase",
    issuers: "`https://REF.supabase.co/auth/v1`, or your own host with `/auth/v1`",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/.well-known/jwks.json"),
    audience: KnownAudience::OfIssuer(|_| Some("authenticated".to_owned())),
    clients: KnownClients::OfOthers(&["client_id"]),
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &["JWT"],
    leeway_s: 30,
    cookie,
    siblings: None,
    tenant: None,
    picked: None,
    tenant_hint: "name the place in `app_metadata`: `claims: { tenant: /app_metadata/clinic }`, or `bindings: \
                  /app_metadata/clinics` where it is a map from clinics to roles",
    roles: Some("/app_metadata/roles"),
    session: Some("session_id"),
    credential: "jti",
    own_words: &["user_metadata", "raw_user_meta_data"],
    writable: &[],
    factors: FactorRule::Supabase,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of {
        lacks: &["app_metadata", "session_id", "aal", "amr", "is_anonymous", "role"],
        factors: FactorRule::Standard,
    },
    kinds: &[],
    kind: one_kind,
    refuse,
    never,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let form = "write `https://REF.supabase.co/auth/v1`, without a slash at its end";
    issuer::parts(issuer).filter(|parts| parts.path == "/auth/v1").map(|_| ()).ok_or(form)
}

/// The library names the cookie by the project.
fn cookie(issuer: &str) -> Option<KnownCookie> {
    let project = issuer::public(issuer)?.host.strip_suffix(".supabase.co")?;
    let plain = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| KnownCookie::Chunks(format!("sb-{project}-auth-token")))
}

fn refuse(claims: &Claims, _: &Provider) -> Result<(), &'static str> {
    if text(claims, "role") != Some("authenticated") {
        return Err("its `role` is not that of a person who signed in");
    }
    Ok(())
}

fn never(claims: &Claims, provider: &Provider) -> Result<(), &'static str> {
    match claims.get("is_anonymous") {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) if provider.allows_anonymous() => Ok(()),
        Some(_) => Err("its owner signed in anonymously"),
    }
}
