//! A serde deserialiser over a tree.

use super::fault::Fault;
use super::spanned::SPANNED;
use crate::span::Span;
use crate::tree::{Key, Node, NodeValue};
use serde::de::value::{StrDeserializer, U32Deserializer, U64Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Reads one node. Depth is bounded by the tree's (32 levels).
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'de> {
    node: &'de Node,
}

impl<'de> NodeDeserializer<'de> {
    pub(super) fn new(node: &'de Node) -> Self {
        Self { node }
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            NodeValue::Null => visitor.visit_unit(),
            NodeValue::Bool(value) => visitor.visit_bool(*value),
            NodeValue::Number(spelling) => visit_number(spelling, visitor),
            NodeValue::String(text) => visitor.visit_borrowed_str(text),
            NodeValue::Seq(items) => visitor.visit_seq(Items(items.iter())),
            NodeValue::Map(entries) => visitor.visit_map(Entries::new(entries)),
        }
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match &self.node.value {
            NodeValue::Null => Unexpected::Unit,
            NodeValue::Bool(value) => Unexpected::Bool(*value),
            NodeValue::Number(_) => Unexpected::Float(0.0),
            NodeValue::String(text) => Unexpected::Str(text),
            NodeValue::Seq(_) => Unexpected::Seq,
            NodeValue::Map(_) => Unexpected::Map,
        }
    }
}

/// A number by its spelling: whole if it can be, with the `0x`, `0o` and `0b` that YAML knows.
fn visit_number<'de, V: Visitor<'de>>(spelling: &str, visitor: V) -> Result<V::Value, Fault> {
    match whole(spelling) {
        Some(number) => match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            (Err(_), Err(_)) => visitor.visit_i128(number),
        },
        None => match spelling.parse::<f64>() {
            Ok(number) => visitor.visit_f64(number),
            Err(_) => Err(Fault::custom("this number cannot be read")),
        },
    }
}

/// The whole number that a spelling stands for.
pub(crate) fn whole(spelling: &str) -> Option<i128> {
    let (negative, digits) = match spelling.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, spelling.strip_prefix('+').unwrap_or(spelling)),
    };
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = prefixes.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)));
    let (digits, radix) = based.unwrap_or((digits, 10));
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    if negative { number.checked_neg() } else { Some(number) }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor).map_err(|fault| fault.at(self.node.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            NodeValue::Null => visitor.visit_none(),
            NodeValue::Bool(_)
            | NodeValue::Number(_)
            | NodeValue::String(_)
            | NodeValue::Seq(_)
            | NodeValue::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        let value = match name {
            SPANNED => visitor.visit_seq(Parts::new(self.node.span, self)),
            _ => visitor.visit_newtype_struct(self),
        };
        value.map_err(|fault| fault.at(self.node.span))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant = match &self.node.value {
            NodeValue::String(word) => Variant { word, span: self.node.span, value: None },
            NodeValue::Map(entries) => match entries.as_slice() {
                [(key, value)] => Variant { word: &key.name, span: key.span, value: Some(value) },
                _ => return Err(Fault::custom("this map must have exactly one key").at(self.node.span)),
            },
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Seq(_) => {
                return Err(Fault::invalid_type(self.unexpected(), &"a word or a map with one key").at(self.node.span));
            }
        };
        visitor.visit_enum(variant).map_err(|fault| fault.at(self.node.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Reads a value; what its type refuses after the reading (`try_from`) gets the value's place too.
fn at_node<'de, S: DeserializeSeed<'de>>(seed: S, node: &'de Node) -> Result<S::Value, Fault> {
    seed.deserialize(NodeDeserializer::new(node)).map_err(|fault| fault.at(node.span))
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| at_node(seed, node)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de Node>,
}

impl<'de> Entries<'de> {
    fn new(entries: &'de [(Key, Node)]) -> Self {
        Self { rest: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(KeyDeserializer { key }).map(Some).map_err(|fault| fault.at(key.span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self.value.take().ok_or_else(|| Fault::custom("a value was asked for before its key"))?;
        at_node(seed, value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// Reads the key of an entry: text, unless the type asks for a number.
#[derive(Clone, Copy)]
struct KeyDeserializer<'de> {
    key: &'de Key,
}

/// Keys that are numbers in the type and text in the tree.
macro_rules! number_keys {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visit_number(&self.key.name, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDeserializer<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(&self.key.name)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        match name {
            SPANNED => visitor.visit_seq(Parts::new(self.key.span, self)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant { word: &self.key.name, span: self.key.span, value: None })
    }

    number_keys! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// The four parts of a [`Spanned`](super::Spanned): file, start, end and the value itself.
struct Parts<D> {
    span: Span,
    value: Option<D>,
    given: u8,
}

impl<D> Parts<D> {
    fn new(span: Span, value: D) -> Self {
        Self { span, value: Some(value), given: 0 }
    }
}

impl<'de, D: Deserializer<'de, Error = Fault>> SeqAccess<'de> for Parts<D> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.given = self.given.saturating_add(1);
        let offset = |at: usize| U64Deserializer::new(u64::try_from(at).unwrap_or(u64::MAX));
        match self.given {
            1 => seed.deserialize(U32Deserializer::new(self.span.file.index())).map(Some),
            2 => seed.deserialize(offset(self.span.start)).map(Some),
            3 => seed.deserialize(offset(self.span.end)).map(Some),
            _ => self.value.take().map(|value| seed.deserialize(value)).transpose(),
        }
    }
}

/// One variant of an enum: a word alone, or a word with what belongs to it.
struct Variant<'de> {
    word: &'de str,
    span: Span,
    value: Option<&'de Node>,
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<NodeDeserializer<'de>, Fault> {
        let none = || Fault::custom(format!("`{}` needs a value: write `{}: …`", self.word, self.word)).at(self.span);
        self.value.map(NodeDeserializer::new).ok_or_else(none)
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word: StrDeserializer<'_, Fault> = self.word.into_deserializer();
        let variant = seed.deserialize(word).map_err(|fault| fault.at(self.span))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.value {
            None => Ok(()),
            Some(value) => Err(Fault::custom(format!("`{}` takes no value", self.word)).at(value.span)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let content = self.content()?;
        at_node(seed, content.node)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.content()?.deserialize_map(visitor)
    }
}
