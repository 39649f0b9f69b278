//! A key whose value is a word, or a map where a word does not say enough.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A word, which is one of `W`, or a map, which is an `M`.
#[derive(Clone, Debug)]
pub enum WordOrMap<W, M> {
    /// A word.
    Word(W),
    /// A map.
    Map(M),
}

impl<W: JsonSchema, M: JsonSchema> JsonSchema for WordOrMap<W, M> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", W::schema_name(), M::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut choices = match W::json_schema(generator).to_value() {
            // The words side by side with the map, rather than a choice within the choice.
            Value::Object(mut words) if words.contains_key("oneOf") => match words.remove("oneOf") {
                Some(Value::Array(words)) => words,
                _ => Vec::new(),
            },
            word => vec![word],
        };
        choices.push(M::json_schema(generator).to_value());
        json_schema!({ "oneOf": choices })
    }
}

impl<'de, W: DeserializeOwned, M: DeserializeOwned> Deserialize<'de> for WordOrMap<W, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrMapVisitor(PhantomData))
    }
}

struct WordOrMapVisitor<W, M>(PhantomData<(W, M)>);

impl<'de, W: DeserializeOwned, M: DeserializeOwned> Visitor<'de> for WordOrMapVisitor<W, M> {
    type Value = WordOrMap<W, M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a map")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
        W::deserialize(StrDeserializer::new(word)).map(WordOrMap::Word)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(WordOrMap::Map)
    }
}
