//! `session:` as it is written, on a role and on a route.

use crate::de::Spanned;
use crate::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// How long the sessions of those who hold a role may be silent, and how long they may last.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub struct RawRoleSession {
    /// After how long without activity it ends: `1s` to `24h`.
    #[serde(default)]
    pub idle: Option<Spanned<Period>>,
    /// How long after the sign-in it ends, whatever is done in it: `1s` to `365d`.
    #[serde(default)]
    pub absolute: Option<Spanned<Period>>,
}

/// What a route demands of the session of whoever asks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub struct RawRouteSession {
    /// How long it may have been silent: `1s` to `24h`.
    #[serde(default)]
    pub idle: Option<Spanned<Period>>,
    /// How long ago the sign-in may be: `1s` to `365d`.
    #[serde(default)]
    pub absolute: Option<Spanned<Period>>,
    /// Whether requests to it come without anybody doing anything (a heartbeat, a poll), so that they are no activity.
    #[serde(default)]
    pub background: bool,
}
