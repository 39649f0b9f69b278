//! `mfa:` as it is written: a word, or a map with what is demanded beyond two factors.

use crate::de::Spanned;
use crate::units::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// Which factors are demanded: `required`, `phishing_resistant`, or a map that says more.
#[derive(Clone, Debug)]
pub enum RawMfa {
    /// Two factors of different kinds, however old.
    Required,
    /// The same, one of them one that cannot be phished.
    PhishingResistant,
    /// The same, with an age.
    Terms(RawMfaTerms),
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

const REQUIRED: &str = "required";
const PHISHING_RESISTANT: &str = "phishing_resistant";

impl JsonSchema for RawMfa {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RawMfa".into()
    }
    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::RawMfa").into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which factors are demanded.",
            "oneOf": [
                { "type": "string", "const": REQUIRED, "description": "Two factors of different kinds, however old." },
                {
                    "type": "string",
                    "const": PHISHING_RESISTANT,
                    "description": "The same, one of them one that cannot be phished.",
                },
                RawMfaTerms::json_schema(generator),
            ],
        })
    }
}

impl<'de> Deserialize<'de> for RawMfa {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MfaVisitor)
    }
}

struct MfaVisitor;

impl<'de> Visitor<'de> for MfaVisitor {
    type Value = RawMfa;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`required`, `phishing_resistant` or a map")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawMfa, E> {
        match word {
            REQUIRED => Ok(RawMfa::Required),
            PHISHING_RESISTANT => Ok(RawMfa::PhishingResistant),
            _ => Err(E::unknown_variant(word, &[REQUIRED, PHISHING_RESISTANT])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawMfa, A::Error> {
        RawMfaTerms::deserialize(MapAccessDeserializer::new(map)).map(RawMfa::Terms)
    }
}
