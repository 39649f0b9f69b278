//! `mfa:` as it is written: a word, or a map with what is demanded beyond two factors.

use super::word::WordOrMap;
use crate::de::Spanned;
use crate::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Which factors are demanded: `required`, `phishing_resistant`, or a map that says more.
pub type RawMfa = WordOrMap<RawMfaWord, RawMfaTerms>;

/// Which factors are demanded, however old.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMfaWord {
    /// Two factors of different kinds.
    Required,
    /// The same, one of them one that cannot be phished.
    PhishingResistant,
}

/// What is demanded beyond two factors of different kinds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub struct RawMfaTerms {
    /// How long ago the caller may have shown them, by the credential's `auth_time`: at least `1s`. Left out: any time.
    #[serde(default)]
    pub within: Option<Spanned<Period>>,
    /// Whether one of them must be one that cannot be phished.
    #[serde(default)]
    pub phishing_resistant: bool,
}
