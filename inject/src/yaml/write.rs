//! A value as YAML that every reader understands alike, or as JSON.
//!
//! In block style, keys in their order, two blanks a level. Text stands without quotes only where no reader, of YAML 1.1
//! or 1.2, could take it for anything else.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// The longest key that is written before its colon on one line; readers take up to 1024 characters.
const LONGEST_KEY: usize = 512;

/// The document as YAML, with a line end and without `---`.
pub(crate) fn as_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => entries(&mut out, map, 0),
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        other => {
            inline(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// The document as JSON that is YAML as well, with a line end.
pub(crate) fn as_json(value: &Value) -> String {
    let mut out = String::new();
    // What is no line end to JSON is one to YAML (U+2028, say). It can stand in text alone, where it can be escaped.
    for one in format!("{value:#}\n").chars() {
        if one == '\n' || is_printable(one) {
            out.push(one);
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(one)));
        }
    }
    out
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// The entries of a map, each on its line; the first follows what stands on the line already.
fn entries(out: &mut String, map: &Map<String, Value>, level: usize) {
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            indent(out, level);
        }
        let word = word(key);
        if word.len() > LONGEST_KEY {
            out.push_str("? ");
            out.push_str(&word);
            out.push('\n');
            indent(out, level);
        } else {
            out.push_str(&word);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                indent(out, level.saturating_add(1));
                entries(out, map, level.saturating_add(1));
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, level);
                list(out, items, level);
            }
            other => {
                out.push(' ');
                inline(out, other, level.saturating_add(1));
                out.push('\n');
            }
        }
    }
}

fn list(out: &mut String, items: &[Value], level: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            indent(out, level);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => entries(out, map, level.saturating_add(1)),
            Value::Array(items) if !items.is_empty() => list(out, items, level.saturating_add(1)),
            other => {
                inline(out, other, level.saturating_add(1));
                out.push('\n');
            }
        }
    }
}

/// What stands on one line, or begins there: everything but maps and lists that hold something.
fn inline(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&digits(number)),
        Value::String(text) if is_block(text) => block(out, text, level),
        Value::String(text) => out.push_str(&word(text)),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A number; a float always with a point, without which readers of YAML 1.1 take `1e3` for text.
fn digits(number: &Number) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
        None => text,
    }
}

/// Text over several lines that can stand as it is.
fn is_block(text: &str) -> bool {
    let inside = text.strip_suffix('\n').unwrap_or(text);
    inside.contains('\n')
        && !inside.ends_with('\n')
        && text.chars().all(|one| one == '\n' || is_printable(one))
        && !inside.starts_with([' ', '\t', '\n'])
        && inside.split('\n').all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty())
        && !inside.split('\n').any(|line| line.starts_with('\t'))
}

fn block(out: &mut String, text: &str, level: usize) {
    out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, level.max(1));
            out.push_str(line);
        }
    }
}

/// Printable to every reader, and no line end to any of them.
fn is_printable(one: char) -> bool {
    matches!(one, '\t' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// Text on one line, in quotes where it needs them.
fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Can it stand without quotes, whoever reads it?
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    if is_amount(text) {
        return true;
    }
    let mut rest = text.chars().peekable();
    let begins = rest.peek().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '/' | '_'));
    let mut last = ' ';
    while let Some(one) = rest.next() {
        let next = rest.peek().copied();
        let good = match one {
            ':' => next.is_some_and(|next| next != ' '),
            ' ' => next.is_some_and(|next| next.is_ascii_alphanumeric()) && last != ' ',
            _ => one.is_ascii_alphanumeric() || matches!(one, '/' | '_' | '.' | '-' | '@' | '+' | '=' | ','),
        };
        if !good {
            return false;
        }
        last = one;
    }
    begins && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// `10m`, `128Mi`: never a number, and more pleasant without quotes.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|one: char| one.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "m" | "k" | "Ki" | "Mi" | "Gi" | "Ti")
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            one if is_printable(one) => out.push(one),
            one if u32::from(one) <= 0xffff => drop(write!(out, "\\u{:04x}", u32::from(one))),
            one => drop(write!(out, "\\U{:08x}", u32::from(one))),
        }
    }
    out.push('"');
    out
}
