//! JSON from strangers, read in one way only: what two parsers could read differently is refused.
//!
//! Decides whether bytes are one JSON object without duplicate names (at any depth), not deeper than [`MAX_DEPTH`], with
//! at most as many values as the caller allows. Never decides what the members mean.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep objects and arrays may nest; the outermost object counts as one.
pub(crate) const MAX_DEPTH: usize = 16;

/// Why bytes are not an acceptable JSON object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonFault {
    /// Not JSON, not UTF-8, something after the end, or not an object.
    Syntax,
    /// One object has a name twice: readers differ in which one counts (RFC 8259, 4).
    Duplicate,
    /// Nested too deep.
    TooDeep,
    /// More values than the caller allows.
    TooMany,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonFault::Syntax => "not a JSON object",
            JsonFault::Duplicate => "a name occurs twice in one object",
            JsonFault::TooDeep => "nested too deep",
            JsonFault::TooMany => "too many values",
        })
    }
}

/// Reads exactly one object of at most `most` values (members and elements of all depths together).
pub(crate) fn object(bytes: &[u8], most: usize) -> Result<Map<String, Value>, JsonFault> {
    let limits = Limits { left: Cell::new(most), fault: Cell::new(JsonFault::Syntax) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict { limits: &limits, depth: 0 }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(limits.fault.get()),
    }
}

/// What is left of the budget, and which fault ended the reading (serde's errors carry text only).
struct Limits {
    left: Cell<usize>,
    fault: Cell<JsonFault>,
}

impl Limits {
    fn refuse<E: de::Error>(&self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn take<E: de::Error>(&self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| self.refuse(JsonFault::TooMany))?;
        self.left.set(left);
        Ok(())
    }
}

/// Reads one value at `depth`.
#[derive(Clone, Copy)]
struct Strict<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl Strict<'_> {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.limits.refuse(JsonFault::TooDeep));
        }
        Ok(Self { depth: self.depth.saturating_add(1), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.limits.take()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(below)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(self.limits.refuse(JsonFault::Duplicate));
            }
            map.insert(name, members.next_value_seed(below)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_whole() {
        let text = r#"{"a":[1,-2,1.5,"x",null,true],"b":{"a":{"a":1}},"é":"\u00e9"}"#;
        let read = object(text.as_bytes(), 100).unwrap();
        assert_eq!(Value::Object(read), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn duplicates_are_refused_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":{"a":1,"b":2,"a":3}}"#, r#"{"x":[{"exp":1,"\u0065xp":2}]}"#] {
            assert_eq!(object(text.as_bytes(), 100), Err(JsonFault::Duplicate), "{text}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(object(nested(MAX_DEPTH).as_bytes(), 100).is_ok());
        assert_eq!(object(nested(MAX_DEPTH + 1).as_bytes(), 100), Err(JsonFault::TooDeep));
        assert_eq!(object(nested(100_000).as_bytes(), 100), Err(JsonFault::TooDeep));
        assert!(object(br#"{"a":[1,2]}"#, 4).is_ok());
        assert_eq!(object(br#"{"a":[1,2]}"#, 3), Err(JsonFault::TooMany));
    }

    #[test]
    fn everything_else_is_a_syntax_fault() {
        let texts: [&[u8]; 11] = [
            b"",
            b"[]",
            b"1",
            b"\"a\"",
            b"{} {}",
            b"{}x",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"\xEF\xBB\xBF{}",
            b"{\"a\":\"\xFF\"}",
            b"{\"a\":1e999}",
        ];
        for text in texts {
            assert_eq!(object(text, 100), Err(JsonFault::Syntax), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(object(br#"{"a":"\ud800"}"#, 100), Err(JsonFault::Syntax));
    }
}
