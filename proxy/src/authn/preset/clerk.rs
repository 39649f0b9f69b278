//! Clerk: the session token, renewed each minute.
//!
//! Traps: `fva` says `-1` for a factor that was never shown; Clerk's own check then falls back to the first factor and
//! passes, and ours does not. `azp` is the page that asked, and is checked only where somebody lists the pages: so the list
//! is demanded. `sts: pending` is a sign-in that still misses a step. `act` is somebody of the staff who acts as the person.
//! Tokens of templates and of machines name no session. The tenant moved from `org_id` to `/o/id` with version 2.

use serde_json::Value;

use super::issuer;
use super::{Asked, Claims, IdTokens, KnownAudience, KnownClients, KnownCookie, Profile, SignOut, one_kind, text};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;
use crate::authn::provider::Provider;

pub(super) const PROFILE: Profile = Profile {
    title: "Clerk",
    issuers: "`https://clerk.APP.example` or `https://SLUG.clerk.accounts.dev`",
    check_issuer,
    keys: |issuer| issuer::below(issuer, "/.well-known/jwks.json"),
    audience: KnownAudience::OfClient,
    clients: KnownClients::Demanded(
        &["azp"],
        "list the origins of your pages, such as `clients: [https://clinic.example]`; Clerk writes the one that asked into `azp`",
    ),
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    leeway_s: 5,
    cookie: |_| Some(KnownCookie::Plain("__session".to_owned())),
    siblings: Some("__session"),
    tenant: Some("/o/id"),
    picked: None,
    tenant_hint: "",
    roles: Some("/o/rol"),
    session: Some("sid"),
    credential: "jti",
    own_words: &["unsafe_metadata"],
    writable: &[],
    factors: FactorRule::Clerk,
    two_factors: &[],
    asked: Asked::ByValue,
    empty_contexts: &[],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of { lacks: &["o", "fva"], factors: FactorRule::Standard },
    kinds: &[],
    kind: one_kind,
    refuse,
    never,
};

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let plain = "write the Frontend API of your instance, such as `https://clerk.clinic.example`, without a slash";
    issuer::public(issuer).filter(|parts| parts.path.is_empty()).map(|_| ()).ok_or(plain)
}

fn refuse(claims: &Claims, _: &Provider) -> Result<(), &'static str> {
    if text(claims, "sid").is_none() {
        return Err("it names no session (`sid`), so it is of a template or a machine");
    }
    Ok(())
}

fn never(claims: &Claims, provider: &Provider) -> Result<(), &'static str> {
    match claims.get("sts") {
        None => {}
        Some(Value::String(status)) if status == "active" => {}
        Some(_) => return Err("its session is not active yet (`sts`)"),
    }
    if claims.contains_key("act") && !provider.claims().reads("act") {
        return Err("somebody else acts as this person (`act`), and `claims` maps nothing of it");
    }
    Ok(())
}
