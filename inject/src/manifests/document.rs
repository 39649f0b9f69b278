//! Texts taken apart into documents, and put together again.
//!
//! A line that begins with `---` and a blank ends a document wherever it stands: YAML allows it inside none, block text
//! and quotes included (YAML 1.2.2, rule 206).

use serde_json::Value;

use super::report::Place;
use crate::yaml::{Read, Stuck, as_json, as_yaml, read};

/// The most text that is taken, in bytes, of all inputs together.
const MOST_BYTES: usize = 64 << 20;
/// The most documents.
const MOST_DOCUMENTS: usize = 10_000;

/// Line ends of YAML 1.1 that are none in YAML 1.2: `kubectl` ends a comment there, and reads what follows.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// One text with manifests.
#[derive(Clone, Debug)]
pub struct Input {
    /// What the report calls it, normally the path of the file.
    pub name: String,
    /// YAML documents, or one of JSON.
    pub text: String,
}

/// What keeps manifests from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The input.
    pub source: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// In words.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.source, self.line, self.message)
    }
}

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    source: String,
    /// The line on which it begins, its `---` included.
    line: usize,
    text: String,
    pub(super) value: Value,
    stuck: Option<Stuck>,
    json: bool,
    /// The first object that was changed.
    changed: Option<String>,
}

/// Takes inputs apart.
pub(super) fn split(inputs: &[Input]) -> Result<Vec<Document>, Fault> {
    let mut documents = Vec::new();
    let bytes: usize = inputs.iter().map(|input| input.text.len()).fold(0, usize::saturating_add);
    for input in inputs {
        let fault = |line: usize, message: String| Fault { source: input.name.clone(), line, message };
        if bytes > MOST_BYTES {
            return Err(fault(1, format!("the manifests have {bytes} bytes, and at most {MOST_BYTES} are read")));
        }
        for (line, text) in chunks(input.text.strip_prefix('\u{feff}').unwrap_or(&input.text)) {
            if documents.len() >= MOST_DOCUMENTS {
                return Err(fault(line, format!("more than {MOST_DOCUMENTS} documents")));
            }
            if let Some(at) = text.find(LINE_ENDS) {
                let before = text.get(..at).unwrap_or_default().matches('\n').count();
                return Err(fault(
                    line.saturating_add(before),
                    "a line end that only older readers of YAML know".to_owned(),
                ));
            }
            let Read { value, stuck, json } =
                read(text).map_err(|stuck| fault(line.saturating_add(stuck.line).saturating_sub(1), stuck.reason))?;
            documents.push(Document {
                source: input.name.clone(),
                line,
                text: text.to_owned(),
                value,
                stuck,
                json,
                changed: None,
            });
        }
    }
    Ok(documents)
}

/// The documents of a text with the lines on which they begin.
fn chunks(text: &str) -> Vec<(usize, &str)> {
    let mut chunks = Vec::new();
    let (mut begin, mut begin_line, mut at) = (0, 1, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if at > begin && line.strip_prefix("---").is_some_and(|rest| rest.trim_start() != rest || rest.is_empty()) {
            chunks.push((begin_line, text.get(begin..at).unwrap_or_default()));
            (begin, begin_line) = (at, number);
        }
        at = at.saturating_add(line.len());
    }
    chunks.push((begin_line, text.get(begin..).unwrap_or_default()));
    chunks
}

/// Puts documents together. What was not changed is as it was.
pub(super) fn join(documents: &[Document]) -> String {
    let mut out = String::new();
    for document in documents {
        let text = document.written();
        if text.is_empty() {
            continue;
        }
        if !out.is_empty() {
            if !out.ends_with('\n') {
                out.push('\n');
            }
            if !text.starts_with("---") {
                out.push_str("---\n");
            }
        }
        out.push_str(&text);
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

impl Document {
    /// Where the objects are in it: the whole, or the items of a `List`.
    pub(super) fn objects(&self) -> Vec<String> {
        let list = self.value.get("kind").and_then(Value::as_str) == Some("List");
        match self.value.get("items").and_then(Value::as_array).filter(|_| list) {
            Some(items) => (0..items.len()).map(|at| format!("/items/{at}")).collect(),
            None if self.value.is_object() => vec![String::new()],
            None => Vec::new(),
        }
    }

    /// What an object is called in the report; `line` counts from the document's first, 0 for the document itself.
    pub(super) fn place(&self, object: &str, line: usize) -> Place {
        let at = |key: &str| {
            let value = self.value.pointer(&format!("{object}{key}")).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Place {
            source: self.source.clone(),
            line: self.line.saturating_add(line.saturating_sub(1)),
            kind: at("/kind"),
            name: if at("/metadata/name").is_empty() { at("/metadata/generateName") } else { at("/metadata/name") },
            namespace: Some(at("/metadata/namespace")).filter(|name| !name.is_empty()),
        }
    }

    /// Puts another value in the place of one.
    pub(super) fn change(&mut self, object: &str, path: &str, value: Value) {
        if let Some(place) = self.value.pointer_mut(&format!("{object}{path}")) {
            *place = value;
            self.changed.get_or_insert_with(|| object.to_owned());
        }
    }

    /// The first changed object of a document that cannot be written back.
    pub(super) fn changed_and_stuck(&self) -> Option<(&str, &Stuck)> {
        Some((self.changed.as_deref()?, self.stuck.as_ref()?))
    }

    fn written(&self) -> String {
        if self.changed.is_none() {
            return self.text.clone();
        }
        if self.json {
            return as_json(&self.value);
        }
        let mut out = String::new();
        let mut lines = self.text.split_inclusive('\n').peekable();
        if let Some(marker) = lines.next_if(|line| line.starts_with("---")) {
            out.push_str("---\n");
            // What Helm and others say of a document stands above it; it is kept.
            let comment = marker.trim_start_matches('-').trim();
            if comment.starts_with('#') {
                out.push_str(comment);
                out.push('\n');
            }
        }
        let comments = lines.take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        out.extend(comments.filter(|line| !line.trim().is_empty()));
        out.push_str(&as_yaml(&self.value));
        out
    }
}
