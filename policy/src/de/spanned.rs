//! A value that remembers where it was written.

use crate::span::{FileId, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, Range};

/// The name under which a [`Spanned`] asks our deserialiser for a place; others take it for any newtype.
pub(super) const SPANNED: &str = "$spanned";

/// A value with the place at which it was written.
///
/// Stands for its value in every comparison: equality, order and hash ignore the place, so that it can be the key of
/// a map (`BTreeMap<Spanned<String>, Route>` keeps the place of each key).
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value that nobody wrote, such as a default.
    pub fn unplaced(value: T) -> Self {
        Self { value, span: Span::NOWHERE }
    }
}

impl Spanned<String> {
    /// The place of a part of this text, as a range of its bytes.
    ///
    /// Exact for text on one line without escapes, in quotes or not; otherwise the place of the whole.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Span {
        let written = self.span.end.saturating_sub(self.span.start);
        // Quotes are the only thing that a place can have more of than its text when nothing is escaped.
        let quote = match written.checked_sub(self.value.len()) {
            Some(0) => 0,
            Some(2) => 1,
            _ => return self.span,
        };
        self.span.within(range.start.saturating_add(quote)..range.end.saturating_add(quote))
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<T: Eq> Eq for Spanned<T> {}
impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}
impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}
impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}
impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    /// With the place when a file is read with [`read`](crate::read); from any other format with the empty place at
    /// the beginning of the first file.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SPANNED, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spanned<T>, D::Error> {
        let span = Span { file: FileId::from_index(0), start: 0, end: 0 };
        Ok(Spanned { value: T::deserialize(deserializer)?, span })
    }

    /// File, start, end, value: what our deserialiser hands over.
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
        let missing = || serde::de::Error::custom("a place is missing");
        let file = FileId::from_index(parts.next_element()?.ok_or_else(missing)?);
        let start = parts.next_element()?.ok_or_else(missing)?;
        let end = parts.next_element()?.ok_or_else(missing)?;
        let value = parts.next_element()?.ok_or_else(missing)?;
        Ok(Spanned { value, span: Span { file, start, end } })
    }
}
