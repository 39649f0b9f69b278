//! Maps: which keys are known, which are missing, and which variant a map is.

use super::scalar::form;
use super::shape::tag;
use super::{Checker, Place, entries as entries_noun, which};
use crate::diagnostic::{Diagnostic, quoted};
use crate::span::Span;
use crate::tree::{Key, Node};
use crate::words;
use serde_json::{Map, Value};
use std::collections::HashSet;

type Entries = [(Key, Node)];
/// The keys that a map has.
type Present<'n> = HashSet<&'n str>;

impl<'s> Checker<'s> {
    /// A map by the one of the schema's maps that it most looks like.
    pub(super) fn map(&mut self, fitting: &[&'s Value], entries: &Entries, node: &Node, at: Place<'_>) {
        let tags: Vec<&'s str> = fitting.iter().filter_map(|branch| tag(branch)).collect();
        match fitting {
            [only] => self.object(only, entries, node, at),
            _ if tags.len() == fitting.len() => self.variant(fitting, &tags, entries, node, at),
            _ => {
                let known = |branch: &&&'s Value| {
                    entries.iter().filter(|(key, _)| property(branch, &key.name).is_some()).count()
                };
                // Of equals the last wins with `max_by_key`; the first is the plainer shape.
                if let Some(branch) = fitting.iter().rev().max_by_key(known) {
                    self.object(branch, entries, node, at);
                }
            }
        }
    }

    /// A map with one key, which says what the rest is.
    fn variant(&mut self, fitting: &[&'s Value], tags: &[&'s str], entries: &Entries, node: &Node, at: Place<'_>) {
        let named: Vec<&Key> =
            entries.iter().map(|(key, _)| key).filter(|key| tags.contains(&key.name.as_str())).collect();
        match (named.as_slice(), entries) {
            ([], []) => {
                let message = format!("{} needs a key", at.name);
                let help = format!("write one of {}", words::list(tags.iter().copied(), "and"));
                self.fault(Diagnostic::error("missing-key", node.span, message).help(help));
            }
            ([], entries) => {
                for (key, _) in entries {
                    self.unknown(key, tags);
                }
            }
            ([key], _) => {
                if let Some(branch) = fitting.iter().find(|branch| tag(branch) == Some(key.name.as_str())) {
                    self.object(branch, entries, node, at);
                }
            }
            ([first, second, ..], _) => {
                let message = format!("{} and {} exclude each other", quoted(&first.name), quoted(&second.name));
                self.fault(Diagnostic::error("one-of", second.span, message).help("keep one of the two"));
            }
        }
    }

    fn object(&mut self, schema: &'s Value, entries: &Entries, node: &Node, at: Place<'_>) {
        let present: Present<'_> = entries.iter().map(|(key, _)| key.name.as_str()).collect();
        let mut meant: Vec<&'s str> = Vec::new();
        for (key, value) in entries {
            match self.schema_of_key(schema, &key.name) {
                Some(Some(schema)) => self.check(schema, value, Place::of(key)),
                Some(None) => {}
                None => meant.extend(self.stranger(schema, key, &present)),
            }
        }
        self.missing(schema, &present, &meant, at);
        let least = schema.get("minProperties").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        if let Some(least) = least.filter(|least| entries.len() < *least) {
            let message = format!("{} needs at least {least} {}", at.name, entries_noun(least));
            self.fault(Diagnostic::error("too-few", node.span, message));
        }
    }

    /// The schema of a key's value: `None` for a key that cannot stand here, `Some(None)` where anything goes.
    fn schema_of_key(&mut self, schema: &'s Value, key: &str) -> Option<Option<&'s Value>> {
        if let Some(known) = property(schema, key) {
            return Some(Some(known));
        }
        for (pattern, value) in patterns(schema) {
            if self.matches(pattern, key) {
                return Some(Some(value));
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(value @ Value::Object(_)) => Some(Some(value)),
            // A type that forgot `deny_unknown_fields` shall not let a misspelt rule pass.
            None if schema.get("properties").is_some() => None,
            _ => Some(None),
        }
    }

    /// A key that cannot stand here; returns the known key that it is a slip of.
    fn stranger(&mut self, schema: &'s Value, key: &Key, present: &Present<'_>) -> Option<&'s str> {
        if self.too_many {
            return None;
        }
        let known: Vec<&'s str> = properties(schema).map(|(name, _)| name.as_str()).collect();
        if let Some((pattern, _)) = patterns(schema).next().filter(|_| known.is_empty()) {
            let message = format!("{} cannot be a name here", quoted(&key.name));
            self.fault(Diagnostic::error("bad-name", key.span, message).help(form(&Value::Null, pattern)));
            return None;
        }
        let free: Vec<&'s str> = known.iter().copied().filter(|name| !present.contains(name)).collect();
        let meant = words::nearest(&key.name, free.iter().copied());
        match meant {
            Some(_) => self.unknown(key, &free),
            None => self.unknown(key, &known),
        }
        meant
    }

    fn unknown(&mut self, key: &Key, known: &[&str]) {
        // Looking for the nearest name is the dear part.
        if self.too_many {
            return;
        }
        let fault = Diagnostic::error("unknown-key", key.span, format!("unknown key {}", quoted(&key.name)));
        self.fault(if known.is_empty() {
            fault.help("this map has no keys")
        } else {
            fault.help(which(&key.name, known))
        });
    }

    /// Keys that must be there and are not; one that was misspelt has been reported as such.
    fn missing(&mut self, schema: &'s Value, present: &Present<'_>, meant: &[&str], at: Place<'_>) {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let missing: Vec<&str> = required.filter(|key| !present.contains(key) && !meant.contains(key)).collect();
        let keys = match missing.as_slice() {
            [] => return,
            [_] => "the key",
            _ => "the keys",
        };
        let message = format!("{} lacks {keys} {}", at.name, words::list(missing.iter().copied(), "and"));
        self.fault(Diagnostic::error("missing-key", first_byte_if_file(at), message));
    }
}

/// Where something missing is reported: at the key of the map, and for a whole file at its beginning.
fn first_byte_if_file(at: Place<'_>) -> Span {
    match at.name {
        super::Name::File => Span { end: at.span.start, ..at.span },
        super::Name::Key(_) => at.span,
        super::Name::Entry(_) | super::Name::Item => at.span,
    }
}

fn object_of<'s>(schema: &'s Value, word: &str) -> Option<&'s Map<String, Value>> {
    schema.get(word).and_then(Value::as_object)
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object_of(schema, "properties").into_iter().flatten()
}

fn patterns(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object_of(schema, "patternProperties").into_iter().flatten()
}

fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    object_of(schema, "properties")?.get(key)
}
