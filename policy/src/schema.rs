//! Is a tree what the schema of a type asks for? Every fault at once, each in YAML's words.
//!
//! Reads the part of JSON Schema that schemars writes for our types: `type`, `properties`, `patternProperties`,
//! `additionalProperties`, `required`, `enum`, `const`, `oneOf`, `anyOf`, `allOf`, `$ref`, `items`, `prefixItems`, the
//! bounds of numbers, texts and lists, `pattern`, and the `format`s of [`units`](crate::units) and addresses. A keyword
//! that it does not know forbids nothing, but for one thing that is stricter than the standard: a map whose keys are
//! listed has no others, whether the schema says so or not. It never changes the tree and never asks what a value means.

use crate::diagnostic::{Diagnostic, quoted};
use crate::span::Span;
use crate::tree::{Key, Node, NodeValue};
use crate::words;
use regex::Regex;
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::HashMap;

mod map;
mod scalar;
mod shape;

use shape::{Kind, branches, wanted};

/// The most faults that one tree is charged with.
const MOST_FAULTS: usize = 200;

/// The JSON Schema (draft 2020-12) of a type as it is written in a file, for editors and for [`check_tree`].
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// Reports every place at which the tree is not what the schema asks for, at most 200.
///
/// Where the schema allows several shapes, the one that the value most looks like is chosen by the kind of the value
/// and by its keys, and the faults of that one alone are reported.
pub fn check_tree(node: &Node, schema: &Value, out: &mut Vec<Diagnostic>) {
    let mut checker = Checker { root: schema, patterns: HashMap::new(), faults: Vec::new(), too_many: false };
    checker.check(schema, node, Place { name: Name::File, span: node.span });
    let Checker { faults, too_many, .. } = checker;
    out.extend(faults);
    if too_many {
        out.push(Diagnostic::without_place(
            "more-faults",
            format!("more than {MOST_FAULTS} faults; the rest is not shown"),
        ));
    }
}

/// What a value is called in a message.
#[derive(Clone, Copy)]
enum Name<'n> {
    File,
    Key(&'n str),
    /// An entry of the list under this key.
    Entry(&'n str),
    /// An entry of a list that has no key.
    Item,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::File => f.write_str("this file"),
            Name::Key(name) => f.write_str(&quoted(name)),
            Name::Entry(name) => write!(f, "an entry of {}", quoted(name)),
            Name::Item => f.write_str("an entry of this list"),
        }
    }
}

/// Where a value stands: its name and the place of its key, which is where a missing part is reported.
#[derive(Clone, Copy)]
struct Place<'n> {
    name: Name<'n>,
    span: Span,
}

impl<'n> Place<'n> {
    fn of(key: &'n Key) -> Self {
        Self { name: Name::Key(&key.name), span: key.span }
    }

    fn item(self, node: &Node) -> Self {
        let name = match self.name {
            Name::Key(name) => Name::Entry(name),
            Name::File | Name::Entry(_) | Name::Item => Name::Item,
        };
        Self { name, span: node.span }
    }
}

struct Checker<'s> {
    root: &'s Value,
    /// Patterns of the schema, compiled once; `None` for one that cannot be.
    patterns: HashMap<&'s str, Option<Regex>>,
    faults: Vec<Diagnostic>,
    too_many: bool,
}

impl<'s> Checker<'s> {
    fn fault(&mut self, fault: Diagnostic) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        } else {
            self.too_many = true;
        }
    }

    fn check(&mut self, schema: &'s Value, node: &Node, at: Place<'_>) {
        // Nobody reads more faults than that, and a hostile file shall not cost more.
        if self.too_many {
            return;
        }
        let branches = branches(self.root, schema);
        if branches.iter().any(|branch| shape::takes_anything(branch)) {
            return;
        }
        let kind = Kind::of(&node.value);
        let fitting: Vec<&'s Value> = branches.iter().copied().filter(|branch| shape::takes(branch, kind)).collect();
        match &node.value {
            NodeValue::Null => self.null(&branches, at),
            NodeValue::Bool(_) if fitting.is_empty() => self.wrong_kind(&branches, node, at),
            NodeValue::Bool(_) => {}
            NodeValue::Number(spelling) => match fitting.first() {
                Some(branch) => self.number(branch, spelling, node, at),
                None => self.number_elsewhere(&branches, spelling, node, at),
            },
            NodeValue::String(text) if fitting.is_empty() => self.text_elsewhere(&branches, text, node, at),
            NodeValue::String(text) => self.text(&branches, text, node, at),
            NodeValue::Seq(items) => match fitting.first() {
                Some(branch) => self.list(branch, items, node, at),
                None => self.wrong_kind(&branches, node, at),
            },
            NodeValue::Map(_) if fitting.is_empty() => self.wrong_kind(&branches, node, at),
            NodeValue::Map(entries) => self.map(&fitting, entries, node, at),
        }
    }

    /// A key with nothing after it. Schemas allow null wherever a key may be left out; a file does not.
    fn null(&mut self, branches: &[&'s Value], at: Place<'_>) {
        if branches.iter().all(|branch| shape::takes(branch, Kind::Null)) {
            return;
        }
        let message = format!("{} has no value", at.name);
        let help = format!("wanted is {}; leave the key out if it is not needed", wanted(self.root, branches));
        self.fault(Diagnostic::error("no-value", at.span, message).help(help));
    }

    fn wrong_kind(&mut self, branches: &[&'s Value], node: &Node, at: Place<'_>) {
        let fault = self.kind_fault(branches, node, at);
        self.fault(fault);
    }

    fn kind_fault(&self, branches: &[&'s Value], node: &Node, at: Place<'_>) -> Diagnostic {
        let found = Kind::of(&node.value).noun();
        let message = format!("{} must be {}, and this is {found}", at.name, wanted(self.root, branches));
        Diagnostic::error("wrong-type", node.span, message)
    }

    fn list(&mut self, schema: &'s Value, items: &[Node], node: &Node, at: Place<'_>) {
        let fixed = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items").filter(|items| items.is_object());
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = fixed.get(index).or(rest) {
                self.check(schema, item, at.item(item));
            }
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        if bound("minItems").is_some_and(|least| items.len() < least) {
            let least = bound("minItems").unwrap_or(0);
            let message = format!("{} needs at least {least} {}", at.name, entries(least));
            self.fault(Diagnostic::error("too-few", node.span, message));
        }
        if let Some(most) = bound("maxItems").filter(|most| items.len() > *most) {
            let message = format!("{} can have at most {most} {}", at.name, entries(most));
            self.fault(Diagnostic::error("too-many", node.span, message));
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.repeated(items);
        }
    }

    /// Scalars that a list of different things holds twice.
    fn repeated(&mut self, items: &[Node]) {
        let mut seen = std::collections::HashSet::new();
        for item in items {
            if let NodeValue::String(text) | NodeValue::Number(text) = &item.value
                && !seen.insert(text.as_str())
            {
                let message = format!("{} stands twice in this list", quoted(text));
                self.fault(Diagnostic::error("repeated-entry", item.span, message).help("keep one of them"));
            }
        }
    }

    /// Whether a pattern of the schema matches; one that cannot be compiled forbids nothing.
    fn matches(&mut self, pattern: &'s str, text: &str) -> bool {
        let compiled = self.patterns.entry(pattern).or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

fn entries(number: usize) -> &'static str {
    if number == 1 { "entry" } else { "entries" }
}

/// The hint for a word that is not among those known: the one that was meant, or all.
fn which(word: &str, known: &[&str]) -> String {
    match words::nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean {}?", quoted(meant)),
        None => format!("known here: {}", words::list(known.iter().copied(), "and")),
    }
}

#[cfg(test)]
mod tests;
