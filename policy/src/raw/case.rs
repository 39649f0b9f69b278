//! A policy test as it is written: who asks what, and what should come out.

use super::Named;
use super::word::WordOrMap;
use crate::de::Spanned;
use crate::principal::Claim;
use crate::units::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A policy test: one request, and what the policy shall make of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCase {
    /// Who asks: `anonymous`, or a map of what a credential would prove.
    #[serde(rename = "as")]
    pub who: RawWho,
    /// Method and target, such as `GET /api/patients/p1/records/7`.
    pub send: Spanned<String>,
    /// Headers of the request, by name in lower case.
    #[serde(default)]
    pub headers: Named<String>,
    /// Fields of the form that a POST sends, by name.
    #[serde(default)]
    pub form: Named<String>,
    /// `allow`, or the reason code of the denial. On a route that only observes: what it would be otherwise.
    pub expect: Spanned<String>,
}

/// Who asks: a word, or a map of what a credential would prove.
pub type RawWho = WordOrMap<RawNobody, RawSomebody>;

/// Somebody without a credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawNobody {
    /// There is no credential.
    Anonymous,
}

/// What a credential would prove.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RawSomebody {
    /// The roles held in the tenant.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The tenant; left out: none.
    #[serde(default)]
    pub tenant: Option<Spanned<String>>,
    /// The tenants of somebody who is of several, each with the roles held in it; instead of `tenant` and `roles`.
    #[serde(default)]
    pub bindings: Named<Vec<String>>,
    /// Who it is; left out: `someone`.
    #[serde(default)]
    pub subject: Option<String>,
    /// The program that is used; left out: not known.
    #[serde(default)]
    pub client: Option<String>,
    /// Claims by the names that conditions read: a text, a whole number, true or false, or a list of texts.
    #[serde(default)]
    pub claims: BTreeMap<String, RawClaim>,
    /// What was shown to prove it; left out: nothing.
    #[serde(default)]
    pub factors: Option<RawFactors>,
}

/// What was shown to prove an identity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFactors {
    /// Methods as in RFC 8176, such as `[pwd, otp]`.
    pub methods: Vec<String>,
    /// How long ago; left out: not known.
    #[serde(default)]
    pub age: Option<Period>,
}

/// The value of a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawClaim(pub Claim);

impl JsonSchema for RawClaim {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RawClaim".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean", "array"], "items": { "type": "string" } })
    }
}

impl<'de> Deserialize<'de> for RawClaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClaimVisitor).map(RawClaim)
    }
}

struct ClaimVisitor;

impl<'de> Visitor<'de> for ClaimVisitor {
    type Value = Claim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true or false, or a list of texts")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Claim, E> {
        Ok(Claim::Text(text.to_owned()))
    }
    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Claim, E> {
        Ok(Claim::Bool(truth))
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Claim, E> {
        Ok(Claim::Number(number))
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Claim, E> {
        i64::try_from(number).map(Claim::Number).map_err(|_| E::custom("this number is too large for a claim"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Claim, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Claim::List(texts))
    }
}
