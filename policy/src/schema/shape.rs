//! What shapes a schema allows, and how they are named to a person.

use crate::tree::NodeValue;
use crate::units;
use crate::words;
use serde_json::Value;

/// How many references and alternatives are followed inside one another.
const DEEPEST: usize = 32;
/// The most alternatives that one place can have.
const MOST_BRANCHES: usize = 256;

/// What a value is, in YAML's terms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

impl Kind {
    pub(super) fn of(value: &NodeValue) -> Self {
        match value {
            NodeValue::Null => Self::Null,
            NodeValue::Bool(_) => Self::Bool,
            NodeValue::Number(_) => Self::Number,
            NodeValue::String(_) => Self::Text,
            NodeValue::Seq(_) => Self::List,
            NodeValue::Map(_) => Self::Map,
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    fn of_type(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Bool,
            "number" | "integer" => Self::Number,
            "string" => Self::Text,
            "array" => Self::List,
            "object" => Self::Map,
            _ => return None,
        })
    }

    fn of_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Map,
        }
    }
}

/// A schema with its references followed.
fn resolved<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..DEEPEST {
        let Some(target) = schema.get("$ref").and_then(Value::as_str) else { break };
        match target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The alternatives of a schema, flat: references followed, `oneOf` and `anyOf` taken apart.
pub(super) fn branches<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut flat = Vec::new();
    flatten(root, schema, DEEPEST, &mut flat);
    flat
}

fn flatten<'s>(root: &'s Value, schema: &'s Value, depth: usize, flat: &mut Vec<&'s Value>) {
    let schema = resolved(root, schema);
    let parts = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| match schema.get(word)?.as_array()?.as_slice() {
        // Of several that must all hold nothing is written by our types; one alone is a reference with notes.
        [_, _, ..] if *word == "allOf" => None,
        parts => Some(parts),
    });
    match (parts, depth.checked_sub(1)) {
        (Some(parts), Some(depth)) => parts.iter().for_each(|part| flatten(root, part, depth, flat)),
        _ if flat.len() < MOST_BRANCHES => flat.push(schema),
        _ => {}
    }
}

/// Whether a schema has nothing to say about the kind of a value.
pub(super) fn takes_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(all) => *all,
        Value::Object(words) => {
            ["type", "enum", "const", "properties", "$ref"].iter().all(|word| !words.contains_key(*word))
        }
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// Whether a value of this kind can be right by a schema without alternatives.
pub(super) fn takes(schema: &Value, kind: Kind) -> bool {
    kinds(schema).contains(&kind)
}

fn kinds(schema: &Value) -> Vec<Kind> {
    match schema.get("type") {
        Some(Value::String(name)) => Kind::of_type(name).into_iter().collect(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter_map(Kind::of_type).collect(),
        _ if schema.get("properties").is_some() => vec![Kind::Map],
        _ => fixed(schema).map(Kind::of_json).collect(),
    }
}

/// The values that a schema lists.
pub(super) fn fixed(schema: &Value) -> impl Iterator<Item = &Value> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(schema.get("const"))
}

/// The words that a schema lists.
pub(super) fn fixed_words(schema: &Value) -> impl Iterator<Item = &str> {
    fixed(schema).filter_map(Value::as_str)
}

/// The one key of a map that stands for a variant (`jwt: {…}`).
pub(super) fn tag(schema: &Value) -> Option<&str> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (properties.len(), required.as_slice()) {
        (1, [Value::String(key)]) if properties.contains_key(key) => Some(key),
        _ => None,
    }
}

/// What is wanted, as the end of "must be …".
pub(super) fn wanted(root: &Value, branches: &[&Value]) -> String {
    let words: Vec<&str> = branches.iter().flat_map(|branch| fixed_words(branch)).collect();
    let tags: Vec<&str> = branches.iter().filter_map(|branch| tag(branch)).collect();
    let mut nouns: Vec<String> = Vec::new();
    match words.as_slice() {
        [] => {}
        words => nouns.push(words::list(words.iter().copied(), "or")),
    }
    for noun in branches.iter().flat_map(|branch| free_nouns(root, branch)) {
        if !nouns.contains(&noun) {
            nouns.push(noun);
        }
    }
    match tags.as_slice() {
        [] => {}
        [one] => nouns.push(format!("a map with the key `{one}`")),
        tags => nouns.push(format!("a map with one of the keys {}", words::list(tags.iter().copied(), "and"))),
    }
    joined(&nouns)
}

/// What a branch wants that is neither a listed word nor a variant's map.
fn free_nouns(root: &Value, schema: &Value) -> Vec<String> {
    let lists_words = fixed(schema).next().is_some();
    let free = |kind: &Kind| match kind {
        Kind::Null => false,
        Kind::Text => !lists_words,
        Kind::Map => tag(schema).is_none(),
        Kind::Bool | Kind::Number | Kind::List => true,
    };
    kinds(schema).into_iter().filter(free).map(|kind| noun(root, schema, kind)).collect()
}

fn noun(root: &Value, schema: &Value, kind: Kind) -> String {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or("");
    match kind {
        Kind::Text => match (units::kind(format), format) {
            (Some(unit), _) => unit.noun.to_owned(),
            (None, "ip" | "ipv4" | "ipv6") => "an IP address".to_owned(),
            (None, _) => "text".to_owned(),
        },
        Kind::Number if schema.get("type").is_some_and(|name| has_type(name, "integer")) => "a whole number".to_owned(),
        Kind::List => match schema.get("items").map(|items| branches(root, items)) {
            Some(items) if items.iter().all(|item| takes(item, Kind::Text)) => "a list of texts".to_owned(),
            _ => "a list".to_owned(),
        },
        Kind::Null | Kind::Bool | Kind::Number | Kind::Map => kind.noun().to_owned(),
    }
}

fn has_type(names: &Value, name: &str) -> bool {
    match names {
        Value::String(only) => only == name,
        Value::Array(names) => names.iter().any(|one| one == name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// Nouns in a row, with `or` before the last.
fn joined(nouns: &[String]) -> String {
    match nouns.split_last() {
        None => "left out".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Whether a number must be whole by a schema.
pub(super) fn wants_whole(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| has_type(name, "integer") && !has_type(name, "number"))
}
