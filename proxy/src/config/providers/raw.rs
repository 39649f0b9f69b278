//! `providers` as written.

use std::collections::BTreeMap;

use policy::Spanned;
use policy::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::login::RawLogin;
use crate::authn::Algorithm;
use crate::config::raw::{RawFile, seconds};

/// One issuer of tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    /// The exact `iss` of its tokens.
    pub issuer: Spanned<String>,
    /// Names of which `aud` must hold at least one.
    pub audience: Spanned<Vec<String>>,
    /// Where its tokens are looked for, in this order; the first that is present is judged, alone. Left out: the
    /// `Authorization` header.
    #[serde(default = "authorization_header")]
    pub token: Vec<Spanned<RawPlace>>,
    /// Which claims say what.
    #[serde(default)]
    pub claims: RawClaims,
    /// The tenant of every token of this provider, where one provider serves one clinic; instead of `claims.tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// Its public keys. Either this or `secret`; without both, they are where the provider's metadata says
    /// (`discovery`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Spanned<RawJwks>>,
    /// A shared secret for HS256 (at least 32 bytes), HS384 (48) and HS512 (64). Either this or `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Spanned<RawFile>>,
    /// How the provider's metadata is fetched, from `/.well-known/openid-configuration` below its issuer. Left out: from
    /// public addresses, by the system's authorities. It is fetched where neither `jwks` nor `secret` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Spanned<RawDiscovery>>,
    /// Signature algorithms that are accepted. Left out: those of the key that the token names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Spanned<Vec<Algorithm>>>,
    /// Values of the header `typ` that are accepted; a token without one is accepted where `JWT` is. Left out: `JWT`
    /// and `at+jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Spanned<Vec<String>>>,
    /// Which of its values of `acr` prove factors, where `amr` does not say enough. Left out: none. The gate asks for
    /// these when it sends a caller to sign in again (RFC 9470).
    #[serde(default)]
    pub acr: RawContexts,
    /// How far the issuer's clock may be from ours: at most `5m`.
    #[serde(default = "half_a_minute")]
    pub leeway: Spanned<Period>,
    /// Whether the application gets the token too; it does not by default.
    #[serde(default)]
    pub forward_credential: bool,
    /// Signing people in, for an application that cannot. Left out: the gate signs nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<RawLogin>,
}

fn authorization_header() -> Vec<Spanned<RawPlace>> {
    vec![Spanned::unplaced(RawPlace::Header("authorization".to_owned()))]
}

fn half_a_minute() -> Spanned<Period> {
    Spanned::unplaced(seconds(30))
}

/// Values of `acr`, by what they prove; the one to ask for first stands first.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawContexts {
    /// Values that prove two factors.
    pub mfa: Vec<Spanned<String>>,
    /// Values that prove two factors, one of which cannot be phished.
    pub phishing_resistant: Vec<Spanned<String>>,
}

/// A place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPlace {
    /// A request header; `authorization` is read as `Bearer` (RFC 6750).
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// Which claims say what, by name: `tenant`, `roles` and `subject` (left out: `sub`) are what the gate goes by; any other
/// name is yours, and a condition reads it as `principal.claims.NAME`. A claim that starts with `/` is a JSON Pointer
/// (RFC 6901), anything else a name at the top of the token.
pub(crate) type RawClaims = BTreeMap<String, Spanned<String>>;

/// Where a provider's public keys come from: exactly one of `url`, `file` and `inline`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawJwks {
    /// An `https` address, fetched in the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<String>>,
    /// A PEM file with the authorities that may sign that address' certificate. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Networks that are not public (private, loopback, link-local) in which that address may be. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<Spanned<String>>,
    /// How long the last good keys are used while they cannot be fetched: `1h` to `7d`.
    #[serde(default = "a_day")]
    pub last_good: Spanned<Period>,
    /// A file that holds the key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// The key set itself, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Spanned<String>>,
}

/// How a provider's metadata, and the keys that it names, are fetched.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDiscovery {
    /// A PEM file with the authorities that may sign the certificates of these addresses. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Networks that are not public (private, loopback, link-local) in which these addresses may be. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<Spanned<String>>,
    /// How long the last good metadata and keys are used while they cannot be fetched: `1h` to `7d`.
    #[serde(default = "a_day")]
    pub last_good: Spanned<Period>,
}

impl Default for RawDiscovery {
    fn default() -> Self {
        Self { ca: None, private: Vec::new(), last_good: a_day() }
    }
}

fn a_day() -> Spanned<Period> {
    Spanned::unplaced(seconds(24 * 60 * 60))
}
