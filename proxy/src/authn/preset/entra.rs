//! Microsoft Entra ID: access tokens of one directory.
//!
//! Traps: tokens have a version, each with an issuer of its own; the keys are those of all directories, so the issuer names
//! one, and `tid` has to be it. An ID token looks like an access token but for `scp` and what says how the client
//! authenticated. `amr` and `acr` stand in tokens of version 1 only; version 2 says in `acrs` which authentication contexts
//! were met, for those who ask by the parameter `claims`, and what they mean is the directory's matter. Over 200 groups, the token names none and points elsewhere: then
//! nobody has roles by it. `upn`, `email` and `preferred_username` can be given to somebody else and decide nothing.

use super::issuer::{self, is_guid};
use super::{
    Asked, Claims, IdTokens, KnownAudience, KnownClients, Profile, SignInPlace, SignOut, TokenKind, any, no_cookie,
    nothing, text,
};
use crate::authn::algorithm::Algorithm;
use crate::authn::factors::FactorRule;
use crate::authn::provider::Provider;

pub(super) const PROFILE: Profile = Profile {
    title: "Microsoft Entra ID",
    issuers: "`https://login.microsoftonline.com/DIRECTORY/v2.0` or `https://sts.windows.net/DIRECTORY/`",
    check_issuer,
    keys,
    audience: KnownAudience::Written("the API's client id; in tokens of version 1 it may be its `api://` address"),
    clients: KnownClients::Told(&["azp", "appid"]),
    algorithms: &[Algorithm::Rs256],
    types: &["JWT"],
    leeway_s: 30,
    cookie: no_cookie,
    siblings: None,
    tenant: Some("tid"),
    picked: None,
    tenant_hint: "",
    roles: Some("roles"),
    session: Some("sid"),
    credential: "uti",
    own_words: &[],
    writable: &[],
    factors: FactorRule::Entra,
    two_factors: &[],
    asked: Asked::ByClaim(sign_in),
    empty_contexts: &["0", "1"],
    sign_out: SignOut::STANDARD,
    id_tokens: IdTokens::Of { lacks: &[], factors: FactorRule::Entra },
    kinds: &[TokenKind::Access],
    kind,
    refuse,
    never: nothing,
};

/// The directory and the version of the tokens.
fn directory(issuer: &str) -> Option<(&str, &'static str)> {
    let parts = issuer::public(issuer)?;
    let (directory, version) = match parts.host {
        "login.microsoftonline.com" => (parts.path.strip_prefix('/')?.strip_suffix("/v2.0")?, "2.0"),
        "sts.windows.net" => (parts.path.strip_prefix('/')?.strip_suffix('/')?, "1.0"),
        _ => return None,
    };
    is_guid(directory).then_some((directory, version))
}

fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    directory(issuer).map(|_| ()).ok_or(
        "write `https://login.microsoftonline.com/DIRECTORY/v2.0`, or `https://sts.windows.net/DIRECTORY/` for version 1, with \
         the directory's id: `common` and `organizations` are nobody's issuer",
    )
}

fn keys(issuer: &str) -> Option<String> {
    let (directory, version) = directory(issuer)?;
    let path = if version == "2.0" { "discovery/v2.0/keys" } else { "discovery/keys" };
    Some(format!("https://login.microsoftonline.com/{directory}/{path}"))
}

/// Where clients go with a claims challenge. Microsoft's libraries take what stands before `/oauth2/authorize` for the authority.
fn sign_in(issuer: &str) -> Option<SignInPlace<'_>> {
    let (realm, _) = directory(issuer)?;
    Some(SignInPlace { realm, address: format!("https://login.microsoftonline.com/{realm}/oauth2/authorize") })
}

/// Access tokens say which rights were given (`scp`) or how the client proved itself; ID tokens never do.
fn kind(claims: &Claims) -> Option<TokenKind> {
    let access = ["scp", "azpacr", "appidacr"].iter().any(|name| text(claims, name).is_some());
    let id = any(claims, &["nonce", "at_hash", "c_hash"]);
    Some(if access && !id { TokenKind::Access } else { TokenKind::Id })
}

fn refuse(claims: &Claims, provider: &Provider) -> Result<(), &'static str> {
    // INVARIANT: the check of the configuration lets no other issuer through.
    let (tid, version) = directory(provider.issuer()).ok_or("its issuer names no directory")?;
    if text(claims, "ver") != Some(version) {
        return Err("its version (`ver`) is not that of the issuer");
    }
    if text(claims, "tid") != Some(tid) {
        return Err("its directory (`tid`) is not that of the issuer");
    }
    Ok(())
}
