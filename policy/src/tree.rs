//! YAML text to a tree in which every key and value knows its place.
//!
//! The only module, with its child, that knows the YAML library. It accepts the YAML that every parser reads alike and refuses the
//! rest by name: words that some take for true and false, a key written twice, merge keys, tags, a second document. It
//! knows nothing of what a file should hold; [`check_tree`](crate::check_tree) does.

use crate::diagnostic::{Diagnostic, quoted};
use crate::span::{FileId, Sources, Span};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_yaml::{Location, Options};
use std::collections::HashMap;
use std::fmt;

mod refusal;

/// The largest file that is read, in bytes.
const LARGEST_FILE: usize = 1 << 20;
/// The most keys, values, lists and maps in one file, before aliases are put in.
const MOST_NODES: usize = 50_000;
/// The most events that aliases may add.
const MOST_ALIASED: usize = 20_000;
/// The most aliases and anchors, each.
const MOST_ALIASES: usize = 100;
/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 32;

/// The most faults of one file that are kept.
const MOST_FAULTS: usize = 200;

/// A value as it was written, with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// A scalar from its first byte to its last, quotes included; a list or map from its start to the end of what
    /// it holds.
    pub span: Span,
    /// What stands there.
    pub value: NodeValue,
}

/// What a [`Node`] can be.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeValue {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the spelling of the file. What has a leading zero or underscores (`017`, `1_000`) is text.
    Number(String),
    /// Text.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// A map in the order of the file; no key occurs twice.
    Map(Vec<(Key, Node)>),
}

/// The key of one entry of a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The text, without quotes.
    pub name: String,
    /// Its place, quotes included.
    pub span: Span,
}

/// Reads one YAML document of at most 1 MiB, 50,000 nodes, 32 levels and 100 aliases.
///
/// # Errors
/// All that is wrong with the text as YAML. What keeps the parser from going on comes alone (bad indentation, a limit);
/// keys that occur twice and words that YAML parsers disagree about are reported all together, at most 200.
pub fn parse_tree(sources: &Sources, file: FileId) -> Result<Node, Vec<Diagnostic>> {
    match grow(sources, file) {
        (Some(node), faults) if faults.is_empty() => Ok(node),
        (_, faults) => Err(faults),
    }
}

/// The tree of a file and its faults; no tree when the parser could not go on.
///
/// A tree that comes with faults is for finding more faults in it, never for use: of two entries with one key it holds
/// the first, and a refused word stands in it as the boolean that it may have meant.
pub(crate) fn grow(sources: &Sources, file: FileId) -> (Option<Node>, Vec<Diagnostic>) {
    let text = sources.text(file);
    let start = Span { file, start: 0, end: 0 };
    if text.len() > LARGEST_FILE {
        let fault = Diagnostic::error("file-too-large", start, format!("this file has {} bytes", text.len()));
        return (None, vec![fault.help("a file can have at most 1 MiB; split it")]);
    }
    let shape = match serde_yaml::from_str_with_options::<serde_yaml::Spanned<Shape>>(text, options()) {
        Ok(shape) => shape,
        Err(error) => return (None, vec![refusal::diagnostic(&error, sources, file)]),
    };
    let mut grower = Grower { sources, file, faults: Vec::new() };
    let node = grower.node(shape);
    (Some(node), grower.faults)
}

fn options() -> Options {
    let budget = serde_yaml::budget! {
        max_nodes: MOST_NODES,
        max_depth: DEEPEST,
        flow_nesting_limit: DEEPEST.saturating_add(1),
        max_aliases: MOST_ALIASES,
        max_anchors: MOST_ALIASES,
        max_documents: 1,
        max_recorded_anchor_events: MOST_ALIASED,
        max_recorded_anchor_bytes: LARGEST_FILE,
        max_total_scalar_bytes: LARGEST_FILE.saturating_mul(4),
    };
    serde_yaml::options! {
        budget: budget,
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MOST_ALIASED,
            max_replay_stack_depth: DEEPEST,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        // The library's own snippets print source lines, secrets included; ours are drawn elsewhere.
        with_snippet: false,
    }
}

/// A value as the library hands it over, before it is judged.
#[derive(Debug)]
enum Shape {
    Null,
    Bool(bool),
    Number,
    Text(String),
    Seq(Vec<serde_yaml::Spanned<Shape>>),
    Map(Vec<(serde_yaml::Spanned<Shape>, serde_yaml::Spanned<Shape>)>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }
    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Bool(value))
    }
    // The spelling of a number is taken from the file: `1e3` and `1000` are not the same to whoever wrote them.
    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }
    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Number)
    }
    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Number)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }
    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Shape, E> {
        Ok(Shape::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::Seq(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Shape::Map(map))
    }
}

/// Turns shapes into nodes and collects what is wrong with them.
struct Grower<'s> {
    sources: &'s Sources,
    file: FileId,
    faults: Vec<Diagnostic>,
}

impl Grower<'_> {
    fn node(&mut self, shape: serde_yaml::Spanned<Shape>) -> Node {
        let span = span_of(self.sources, self.file, shape.defined);
        let value = match shape.value {
            Shape::Null => NodeValue::Null,
            Shape::Bool(value) => NodeValue::Bool(value),
            Shape::Number => NodeValue::Number(self.spelling(span)),
            Shape::Text(text) => self.text(text, span),
            Shape::Seq(items) => {
                let items: Vec<Node> = items.into_iter().map(|item| self.node(item)).collect();
                NodeValue::Seq(items)
            }
            Shape::Map(entries) => NodeValue::Map(self.entries(entries)),
        };
        Node { span: around(span, &value), value }
    }

    fn fault(&mut self, fault: Diagnostic) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }

    /// A number as it was written; quotes stand around it where a tag (`!!int "5"`) made it one.
    fn spelling(&self, span: Span) -> String {
        self.sources.slice(span).trim().trim_matches(['"', '\'']).to_owned()
    }

    /// Text, unless it is one of the words that YAML 1.1 takes for a boolean and stands there without quotes.
    fn text(&mut self, text: String, span: Span) -> NodeValue {
        match self.old_boolean(&text, span) {
            Some(meant) => {
                let fault =
                    Diagnostic::error("ambiguous-word", span, format!("{} is read as {meant} by some", quoted(&text)));
                self.fault(fault.help(format!("write `{meant}`, or `\"{text}\"` in quotes when text is meant")));
                NodeValue::Bool(meant)
            }
            None => NodeValue::String(text),
        }
    }

    fn old_boolean(&self, text: &str, span: Span) -> Option<bool> {
        let meant = match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => true,
            "no" | "off" | "n" => false,
            _ => return None,
        };
        (self.sources.slice(span).trim() == text).then_some(meant)
    }

    fn entries(&mut self, entries: Vec<(serde_yaml::Spanned<Shape>, serde_yaml::Spanned<Shape>)>) -> Vec<(Key, Node)> {
        let mut first: HashMap<String, Span> = HashMap::new();
        let mut map = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.key(key);
            let node = self.node(value);
            let Some(key) = key else { continue };
            match first.get(&key.name) {
                Some(before) => self.repeated(&key, *before),
                None => {
                    first.insert(key.name.clone(), key.span);
                    map.push((key, node));
                }
            }
        }
        map
    }

    fn key(&mut self, shape: serde_yaml::Spanned<Shape>) -> Option<Key> {
        let span = span_of(self.sources, self.file, shape.defined);
        let what = match shape.value {
            Shape::Text(name) => {
                if self.old_boolean(&name, span).is_some() {
                    let fault = Diagnostic::error(
                        "ambiguous-word",
                        span,
                        format!("the key {} is read as true or false by some", quoted(&name)),
                    );
                    self.fault(fault.help(format!("write it in quotes: `\"{name}\"`")));
                }
                return Some(Key { name, span });
            }
            Shape::Number => return Some(Key { name: self.spelling(span), span }),
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Seq(_) => "a list",
            Shape::Map(_) => "a map",
        };
        let fault = Diagnostic::error("key-not-text", span, format!("a key must be text, and this is {what}"));
        self.fault(fault.help("write the key in quotes"));
        None
    }

    fn repeated(&mut self, key: &Key, before: Span) {
        let (line, column) = self.sources.line_column(before);
        let fault = Diagnostic::error(
            "duplicate-key",
            key.span,
            format!("the key {} stands twice in this map", quoted(&key.name)),
        );
        self.fault(fault.help(format!("the first is in line {line}, column {column}; keep one of the two")));
    }
}

/// A list's or map's place, grown to the end of its last part.
fn around(span: Span, value: &NodeValue) -> Span {
    let last = match value {
        NodeValue::Seq(items) => items.last().map(|item| item.span),
        NodeValue::Map(entries) => entries.last().map(|(_, node)| node.span),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => None,
    };
    // What an alias stands for can lie before the list that holds it.
    last.map_or(span, |last| Span { end: span.end.max(last.end), ..span })
}

fn span_of(sources: &Sources, file: FileId, place: Location) -> Span {
    let text = sources.text(file);
    let span = place.span();
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    // Faults of the scanner know their line and column alone.
    let start = number(span.byte_offset())
        .or_else(|| Some(sources.offset(file, number(Some(place.line()))?, number(Some(place.column()))?)))
        .map_or(0, |at| text.floor_char_boundary(at));
    let length = number(span.byte_len()).unwrap_or(0);
    let end = text.ceil_char_boundary(start.saturating_add(length));
    Span { file, start, end }
}

#[cfg(test)]
mod tests;
