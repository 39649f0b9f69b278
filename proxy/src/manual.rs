//! The pages of the manual that the code itself knows: reason codes, keys of the two files, metrics.
//!
//! Decides their form. It never says what is not so: every row is made of the types that do the work, and a test holds
//! the committed pages against it.

mod presets;

use policy::RawPolicy;
use serde_json::{Map, Value};

use crate::config::RawPeople;
use crate::config::raw::RawConfig;
use crate::rejection;
use crate::telemetry::metrics::METRICS;

/// What stands at the top of every page that is made here.
const MADE: &str = "<!-- Made from the code by `cargo run -p e2e --bin manual`. Do not edit. -->\n\n";

/// How deep keys may stand below each other; ours stand less deep than half of it.
const DEEPEST: usize = 12;

/// Every page: its name under `docs/`, and its text.
pub fn pages() -> [(&'static str, String); 4] {
    [
        ("codes.md", codes()),
        ("configuration.md", configuration()),
        ("metrics.md", metrics()),
        ("presets.md", presets::page(MADE)),
    ]
}

/// The reason codes.
pub fn codes() -> String {
    let mut page = format!(
        "{MADE}# Reason codes\n\nEvery request that ends early has one stable code and a request id: the same in the \
         answer, the log, the metrics\nand the record. The answer says no more than the text in the third column; the \
         finer reason stands in the log.\n\n\
         | code | status | the client is told | what to do |\n|---|---|---|---|\n"
    );
    for one in rejection::codes() {
        let statuses: Vec<String> = one.statuses.iter().map(u16::to_string).collect();
        row(&mut page, &[&format!("`{}`", one.code), &statuses.join(", "), one.meaning, one.remedy]);
    }
    page.push_str(
        "\nIn observe mode a denial of the policy is recorded with its code, and the request passes \
         ([policies](policies.md#observe)).\n",
    );
    page
}

/// The metrics.
pub fn metrics() -> String {
    let mut page = format!(
        "{MADE}# Metrics\n\n`GET /metrics` on the health listener, in the text form of Prometheus. No label can be made \
         to grow by a client: each\nis of a closed list of the program or of the configuration.\n\n\
         | name | labels | what it says |\n|---|---|---|\n"
    );
    for one in METRICS {
        let labels: Vec<String> = one.labels.split(", ").filter(|one| !one.is_empty()).map(code).collect();
        row(&mut page, &[&code(one.name), &labels.join(", "), one.meaning]);
    }
    page
}

/// Every key of the configuration and of a policy file.
pub fn configuration() -> String {
    let mut page = format!(
        "{MADE}# Every key\n\n`config.yaml` says how the gate is wired, policy files say who may do what, and the file of a \
         directory, where there is one, who is what in which tenant. A key that is not here\ndoes not exist, and writing it is an error. `anteroom schema config` and `anteroom \
         schema policy` print the same for\neditors, `anteroom config --effective` a configuration with every default \
         filled in.\n\n`NAME` stands for a name of your choice, `[]` for each entry of a list. A *duration* is `250ms`, \
         `30s`, `15m`, `12h`, `7d`\nor `1y`; a *size* is `512B`, `64KiB` or `10MiB`; a *rate* is `5/s`, `60/m` or \
         `10/30s`, a *percentage* `1%` or `0.05%`. Paths of files are relative to\n`config.yaml`.\n"
    );
    section(&mut page, "The configuration", &policy::schema_of::<RawConfig>());
    section(&mut page, "A policy file", &policy::schema_of::<RawPolicy>());
    section(&mut page, "The file of a directory", &policy::schema_of::<RawPeople>());
    page
}

/// One file: what it is, and a table of its keys.
fn section(page: &mut String, title: &str, schema: &Value) {
    page.push_str(&format!("\n## {title}\n\n{}\n\n", text(schema, "description")));
    page.push_str("| key | type | left out | what it is |\n|---|---|---|---|\n");
    let reader = Reader { root: schema };
    reader.keys(page, "", schema, 0);
}

/// Walks through a schema as [`policy::schema_of`] writes it.
struct Reader<'s> {
    root: &'s Value,
}

impl<'s> Reader<'s> {
    /// The rows of all keys that stand in `schema`, a map or a list of maps.
    fn keys(&self, page: &mut String, path: &str, schema: &'s Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let required = schema.get("required").and_then(Value::as_array);
        for (name, key) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
            let shape = self.shape(key);
            let left_out = if is_required { "*required*".to_owned() } else { left_out(key, shape) };
            row(page, &[&code(&path), &self.kind(shape), &left_out, &meaning(key, shape)]);
            self.below(page, &path, shape, depth);
        }
    }

    fn below(&self, page: &mut String, path: &str, shape: &'s Value, depth: usize) {
        if let Some(each) = shape.get("additionalProperties").filter(|each| each.is_object()) {
            let each = self.shape(each);
            return self.keys(page, &format!("{path}.NAME"), each, depth + 1);
        }
        if let Some(each) = shape.get("items") {
            return self.below(page, &format!("{path}[]"), self.shape(each), depth + 1);
        }
        // A map that holds one of several keys.
        for choice in choices(shape) {
            for (name, key) in choice.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let kind = self.kind(self.shape(key));
                row(page, &[&code(format!("{path}.{name}")), &kind, "*one of these*", &text(choice, "description")]);
            }
        }
        self.keys(page, path, shape, depth + 1);
    }

    /// What a schema says of a value that is there: references followed, the possibility of null left out.
    fn shape(&self, schema: &'s Value) -> &'s Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/")) {
            return self.root.get("$defs").and_then(|all| all.get(name)).unwrap_or(schema);
        }
        let there = |one: &&Value| one.get("type").and_then(Value::as_str) != Some("null");
        match schema.get("anyOf").and_then(Value::as_array).and_then(|all| all.iter().find(there)) {
            Some(one) => self.shape(one),
            None => schema,
        }
    }

    /// What has to be written.
    fn kind(&self, shape: &'s Value) -> String {
        let words: Vec<String> = choices(shape).iter().filter_map(|one| one.get("const")).map(written).collect();
        let words = match shape.get("enum").and_then(Value::as_array) {
            Some(listed) => listed.iter().filter(|one| !one.is_null()).map(written).collect(),
            None => words,
        };
        let has_keys = choices(shape).iter().any(|one| one.get("properties").is_some());
        if !words.is_empty() && has_keys {
            return format!("{}, or map", words.join(", "));
        }
        if let Some(list) = choices(shape).iter().find(|one| first_type(one) == Some("array"))
            && !words.is_empty()
        {
            return format!("{}, or {}", words.join(", "), self.kind(list));
        }
        if !words.is_empty() {
            return words.join(if words.len() > 2 { ", " } else { " or " });
        }
        match (shape.get("format").and_then(Value::as_str), first_type(shape)) {
            (Some("period"), _) => "duration".to_owned(),
            (Some("byte-size"), _) => "size".to_owned(),
            (Some("rate"), _) => "rate".to_owned(),
            (Some("share"), _) => "percentage".to_owned(),
            (_, Some("boolean")) => "`true` or `false`".to_owned(),
            (_, Some("integer")) => "whole number".to_owned(),
            (_, Some("string")) => "text".to_owned(),
            (_, Some("array")) => {
                let each = shape.get("items").map(|each| self.kind(self.shape(each)));
                format!("list: {}", each.unwrap_or_default())
            }
            (_, Some("object")) if shape.get("additionalProperties").is_some_and(Value::is_object) => {
                "map by name".to_owned()
            }
            _ => "map".to_owned(),
        }
    }
}

/// What holds where the key is not written.
fn left_out(key: &Value, shape: &Value) -> String {
    match key.get("default") {
        // The defaults of a map stand in the rows of its keys.
        Some(Value::Object(_)) | None if shape.get("properties").is_some() => String::new(),
        _ if text(key, "description").contains("Left out: ") => "*see there*".to_owned(),
        Some(Value::Object(map)) if map.is_empty() => "none".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(Value::Null) | None => "none".to_owned(),
        Some(value) => written(value),
    }
}

/// What a key is, and what each of its words means where there is more than one.
fn meaning(key: &Value, shape: &Value) -> String {
    let mut meaning = text(key, "description");
    let words: Vec<&Value> = choices(shape).iter().filter(|one| one.get("const").is_some()).collect();
    for word in words.iter().filter(|_| words.len() > 1) {
        let (name, said) = (word.get("const").map(written).unwrap_or_default(), text(word, "description"));
        meaning.push_str(&format!(" {name}: {said}"));
    }
    meaning
}

fn choices(shape: &Value) -> &[Value] {
    shape.get("oneOf").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn first_type(shape: &Value) -> Option<&str> {
    match shape.get("type")? {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|one| *one != "null"),
        one => one.as_str(),
    }
}

/// A value as it would be written in YAML, in flow form.
fn written(value: &Value) -> String {
    code(flow(value))
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => format!("{{ {} }}", pairs(map).join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn pairs(map: &Map<String, Value>) -> Vec<String> {
    map.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect()
}

/// A text of the schema on one line.
fn text(schema: &Value, name: &str) -> String {
    let text = schema.get(name).and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: impl AsRef<str>) -> String {
    format!("`{}`", text.as_ref())
}

/// One row of a table; a bar in a cell would end it.
fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    page.push_str(&format!("| {} |\n", cells.join(" | ")));
}
