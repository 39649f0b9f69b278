//! One document of YAML or JSON to a value.
//!
//! Bounded: 500,000 keys and values with what aliases repeat, 64 levels.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::scalar::{Plain, plain};

/// The most keys and values of one document, with what aliases repeat.
const MOST_NODES: usize = 500_000;
/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 64;

/// A document that was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// What it says.
    pub(crate) value: Value,
    /// Why it could not be written back with the same meaning, if so: the first reason.
    pub(crate) stuck: Option<Stuck>,
    /// Was it written as JSON?
    pub(crate) json: bool,
}

/// What stands in the way of writing a document back, or of reading it at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// The line in the document, counted from 1.
    pub(crate) line: usize,
    /// In words.
    pub(crate) reason: String,
}

fn stuck(line: usize, reason: impl Into<String>) -> Stuck {
    Stuck { line, reason: reason.into() }
}

/// Reads one document; its own `---` may stand before it. Nothing at all is `null`.
///
/// # Errors
/// What is no YAML, holds more than is read, or says the same key of its topmost map twice.
pub(crate) fn read(text: &str) -> Result<Read, Stuck> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
        disallow_directives: true,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        stuck: None,
        twice_on_top: None,
    };
    let value = reader.document()?;
    match reader.twice_on_top {
        Some(fault) => Err(fault),
        None => Ok(Read { value, stuck: reader.stuck, json: text.trim_start().starts_with('{') }),
    }
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// What each anchor stands for, and how many nodes that is.
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
    stuck: Option<Stuck>,
    twice_on_top: Option<Stuck>,
}

type Next<'t> = (Event<'t>, usize);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Next<'t>, Stuck> {
        match self.events.next() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start.line().max(1))),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn document(&mut self) -> Result<Value, Stuck> {
        let mut value = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(value.unwrap_or(Value::Null)),
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), line) if value.is_some() => {
                    return Err(stuck(line, "a second document begins here without `---`"));
                }
                (Event::DocumentStart(..), _) => {}
                next => value = Some(self.node(next, 0)?),
            }
        }
    }

    fn stick(&mut self, line: usize, reason: impl Into<String>) {
        self.stuck.get_or_insert_with(|| stuck(line, reason));
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Stuck> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES {
            return Err(stuck(line, format!("the document holds more than {MOST_NODES} values")));
        }
        Ok(())
    }

    fn node(&mut self, (event, line): Next<'t>, depth: usize) -> Result<Value, Stuck> {
        if depth > DEEPEST {
            return Err(stuck(line, format!("more than {DEEPEST} levels lie in each other here")));
        }
        let before = self.nodes;
        self.count(1, line)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (self.scalar(&text, style, tag.as_deref(), line), anchor),
            Event::SequenceStart(_, anchor, tag) => {
                self.no_tag(tag.as_deref(), line);
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.no_tag(tag.as_deref(), line);
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some((value, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(stuck(line, "an alias names what it is part of"));
                };
                self.count(nodes, line)?;
                (value, 0)
            }
            _ => return Err(stuck(line, "this is not YAML")),
        };
        if anchor != 0 {
            // What is kept for aliases counts too: anchors that lie in each other keep the same values many times.
            let nodes = self.nodes.saturating_sub(before);
            self.count(nodes, line)?;
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stuck> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                next => items.push(self.node(next, depth.saturating_add(1))?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Stuck> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::MappingEnd) {
                break;
            }
            let line = next.1;
            let is_merge = matches!(&next.0, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.key(next, depth)?;
            let value = self.next()?;
            let value = self.node(value, depth.saturating_add(1))?;
            if is_merge {
                merged.push((value, line));
            } else if map.insert(key.clone(), value).is_some() {
                let reason = format!("`{key}` is written twice");
                if depth == 0 {
                    self.twice_on_top.get_or_insert_with(|| stuck(line, reason.clone()));
                }
                self.stick(line, reason);
            }
        }
        for (value, line) in merged {
            self.merge(&mut map, value, line)?;
        }
        Ok(Value::Object(map))
    }

    /// `<<`: what another map holds and this one does not say itself. Of several, the first counts.
    fn merge(&mut self, map: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), Stuck> {
        match value {
            Value::Object(other) => {
                for (key, value) in other {
                    map.entry(key).or_insert(value);
                }
                Ok(())
            }
            Value::Array(several) if several.iter().all(Value::is_object) => {
                several.into_iter().try_for_each(|one| self.merge(map, one, line))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(stuck(line, "`<<` takes a map"))
            }
        }
    }

    fn key(&mut self, next: Next<'t>, depth: usize) -> Result<String, Stuck> {
        let line = next.1;
        match self.node(next, depth.saturating_add(1))? {
            Value::String(text) => Ok(text),
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
                self.stick(line, format!("the key here is read as `{other}`: write it in quotes"));
                Ok(other.to_string())
            }
            Value::Array(_) | Value::Object(_) => Err(stuck(line, "a key is a word, not a list or a map")),
        }
    }

    fn no_tag(&mut self, tag: Option<&Tag>, line: usize) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema_tag("map") && !tag.is_yaml_core_schema_tag("seq")) {
            self.stick(line, "a tag stands here, which cannot be written back");
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Value {
        let core = |word: &str| tag.is_some_and(|tag| tag.is_yaml_core_schema_tag(word));
        let plainly = match tag {
            None => style == ScalarStyle::Plain,
            Some(_) if core("str") => false,
            Some(_) if ["int", "float", "bool", "null"].into_iter().any(core) => true,
            Some(_) => {
                self.stick(line, "a tag stands here, which cannot be written back");
                false
            }
        };
        if !plainly {
            return Value::String(text.to_owned());
        }
        match plain(text) {
            Plain::Value(value) => value,
            Plain::Unclear(why) => {
                self.stick(line, format!("`{text}` {why}"));
                Value::String(text.to_owned())
            }
        }
    }
}

fn syntax(error: &ScanError) -> Stuck {
    let text = error.info();
    stuck(error.marker().line().max(1), format!("this is not YAML: {}", text.replace('\'', "`")))
}
