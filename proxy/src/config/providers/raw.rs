//! `providers` as written.

use std::collections::BTreeMap;

use policy::Spanned;
use policy::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::login::RawLogin;
use super::tenants::RawTenants;
use crate::authn::{Algorithm, FactorRule, Preset, TokenKind};
use crate::config::raw::RawFile;

/// One issuer of tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    /// What kind of provider it is: that fills in what is left out here, and holds its tokens to the rules of its kind.
    #[serde(default)]
    pub preset: Preset,
    /// The exact `iss` of its tokens.
    pub issuer: Spanned<String>,
    /// Names of which `aud` must hold at least one. Left out: what the preset knows; where it cannot know, it is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Spanned<Vec<String>>>,
    /// Who may have asked for a token: its `azp`, `client_id`, `cid` or `appid`, as the preset says. Left out: anybody,
    /// where the preset does not demand a list; at Supabase, your own pages alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Spanned<Vec<String>>>,
    /// Which of its tokens count, where the preset can tell. Left out: access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Spanned<Vec<TokenKind>>>,
    /// Where its tokens are looked for, in this order; the first that is present is judged, alone. Left out: the
    /// `Authorization` header, and the preset's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Vec<Spanned<RawPlace>>>,
    /// Which claims say what.
    #[serde(default)]
    pub claims: RawClaims,
    /// The tenant of every token of this provider, where one provider serves one clinic; instead of `claims.tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// The tenants that this provider may speak for; any other that its tokens name counts for nothing. `any`: all, those of
    /// other providers too. Left out: all, where it is the only provider; of several, each says it, or has `tenant`, or
    /// leaves it to a `directory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<RawTenants>,
    /// Its public keys. Either this or `secret`. Left out: the address that the preset knows; where it knows none, they are
    /// where the provider's metadata says (`discovery`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Spanned<RawJwks>>,
    /// A shared secret for HS256 (at least 32 bytes), HS384 (48) and HS512 (64). Either this or `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Spanned<RawFile>>,
    /// How the provider's metadata is fetched, from `/.well-known/openid-configuration` below its issuer. Left out: from
    /// public addresses, by the system's authorities. It is fetched where neither `jwks` nor `secret` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Spanned<RawDiscovery>>,
    /// Signature algorithms that are accepted. Left out: the preset's, or those of the key that the token names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Spanned<Vec<Algorithm>>>,
    /// Values of the header `typ` that are accepted; a token without one is accepted where `JWT` is. Left out: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Spanned<Vec<String>>>,
    /// How its tokens show factors. Left out: the preset's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factors: Option<FactorRule>,
    /// Which of its values of `acr` prove factors, where `amr` does not say enough. Left out: the preset's. The gate asks for
    /// these when it sends a caller to sign in again (RFC 9470).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<RawContexts>,
    /// How far the issuer's clock may be from ours: at most `1m`. Left out: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Spanned<Period>>,
    /// Whether people may come whom Supabase or Firebase signed in anonymously.
    #[serde(default)]
    pub allow_anonymous: bool,
    /// Whether the application gets the token too; it does not by default.
    #[serde(default)]
    pub forward_credential: bool,
    /// Signing people in, for an application that cannot. Left out: the gate signs nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<RawLogin>,
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
    /// A cookie that holds the token and nothing else.
    Cookie(String),
    /// A cookie that may stand in pieces, as `NAME.0`, `NAME.1` and so on, and holds the token, or a session of Supabase:
    /// `base64-` and JSON in base64url, with the token as its `access_token`.
    CookieChunks(String),
}

/// Which claims say what, by name. The gate goes by `tenant`, `roles`, `bindings` (in the place of both: a map from tenants to
/// roles, or a list of texts `tenant:role`), `subject`, `session`, `amr`, `acr` and `auth_time`; any other name is yours, and a
/// condition reads it as `principal.claims.NAME`. A claim that starts with `/` is a JSON Pointer
/// (RFC 6901), anything else a name at the top of the token.
pub(crate) type RawClaims = BTreeMap<String, Spanned<String>>;

/// Where a provider's public keys come from: exactly one of `url`, `file` and `inline`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
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
    /// How long the last good keys are used while they cannot be fetched: `1h` to `7d`. Left out: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Spanned<Period>>,
    /// A file that holds the key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// The key set itself, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Spanned<String>>,
}

/// How a provider's metadata, and the keys that it names, are fetched.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDiscovery {
    /// A PEM file with the authorities that may sign the certificates of these addresses. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Networks that are not public (private, loopback, link-local) in which these addresses may be. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<Spanned<String>>,
    /// How long the last good metadata and keys are used while they cannot be fetched: `1h` to `7d`. Left out: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Spanned<Period>>,
}
