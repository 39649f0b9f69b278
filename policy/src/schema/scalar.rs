//! Texts and numbers: words, units, patterns and bounds.

use super::shape::{self, Kind};
use super::{Checker, Place, which};
use crate::de::whole;
use crate::diagnostic::{Diagnostic, quoted};
use crate::tree::Node;
use crate::units;
use crate::words;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl<'s> Checker<'s> {
    /// Text where some kind of text is wanted: a listed word, or what the first free branch asks for.
    pub(super) fn text(&mut self, branches: &[&'s Value], text: &str, node: &Node, at: Place<'_>) {
        let fitting = || branches.iter().filter(|branch| shape::takes(branch, Kind::Text));
        let words: Vec<&str> = fitting().flat_map(|branch| shape::fixed_words(branch)).collect();
        if words.contains(&text) {
            return;
        }
        let mut refused = None;
        for branch in fitting().filter(|branch| shape::fixed(branch).next().is_none()) {
            match self.text_fault(branch, text, node, at) {
                None => return,
                fault => refused = refused.or(fault),
            }
        }
        let fault = refused.map(|fault| also(fault, &words)).unwrap_or_else(|| {
            let message = format!("{} cannot be {}", at.name, quoted(text));
            let takes_list = branches.iter().any(|branch| shape::takes(branch, Kind::List));
            let brackets = if takes_list { "; a list stands in brackets: `[…]`" } else { "" };
            let help = format!("{}{brackets}", which(text, &words));
            Diagnostic::error("unknown-word", node.span, message).help(help)
        });
        self.fault(fault);
    }

    /// What a free text does not fulfil.
    fn text_fault(&mut self, schema: &'s Value, text: &str, node: &Node, at: Place<'_>) -> Option<Diagnostic> {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or("");
        if let Some(kind) = units::kind(format) {
            // The unit's own reading is the measure; its pattern in the schema is for editors.
            return kind
                .check(text)
                .err()
                .map(|e| Diagnostic::error("bad-unit", node.span, e.to_string()).help(e.hint()));
        }
        if !address(format, text) {
            let message = format!("{} is not an IP address", quoted(text));
            return Some(
                Diagnostic::error("bad-address", node.span, message).help("write it as `192.0.2.7` or `2001:db8::7`"),
            );
        }
        if let Some(fault) = length_fault(schema, text, node, at) {
            return Some(fault);
        }
        let pattern = schema.get("pattern").and_then(Value::as_str)?;
        if self.matches(pattern, text) {
            return None;
        }
        let message = format!("{} has not the form that {} must have", quoted(text), at.name);
        Some(Diagnostic::error("bad-form", node.span, message).help(form(schema, pattern)))
    }

    /// Text where none is wanted.
    pub(super) fn text_elsewhere(&mut self, branches: &[&'s Value], text: &str, node: &Node, at: Place<'_>) {
        let takes = |kind| branches.iter().any(|branch| shape::takes(branch, kind));
        let fault = self.kind_fault(branches, node, at);
        let bare = text.replace('_', "");
        let fault = if takes(Kind::Number) && bare.trim_start_matches('0').parse::<f64>().is_ok_and(f64::is_finite) {
            fault.help("write numbers without quotes, leading zeros and underscores")
        } else if takes(Kind::Bool) && matches!(text, "true" | "false") {
            fault.help(format!("write `{text}` without quotes"))
        } else if branches.iter().any(|branch| shape::tag(branch) == Some(text)) {
            fault.help(format!("write `{text}:` and what belongs to it"))
        } else if takes(Kind::List) {
            fault.help("write it in brackets: `[…]`")
        } else {
            fault
        };
        self.fault(fault);
    }

    /// A number where a number is wanted.
    pub(super) fn number(&mut self, schema: &'s Value, spelling: &str, node: &Node, at: Place<'_>) {
        let fault = match (whole(spelling), shape::wants_whole(schema)) {
            (None, true) => Some(format!("{} must be a whole number", at.name)),
            (Some(number), true) => whole_fault(schema, number, at),
            (_, false) => spelling.parse::<f64>().ok().and_then(|number| bounds_fault(schema, number, at)),
        };
        if let Some(message) = fault {
            self.fault(Diagnostic::error("out-of-range", node.span, message));
        }
    }

    /// A number where none is wanted: most often a unit or quotes are missing.
    pub(super) fn number_elsewhere(&mut self, branches: &[&'s Value], spelling: &str, node: &Node, at: Place<'_>) {
        let format = |branch: &&'s Value| branch.get("format").and_then(Value::as_str).and_then(units::kind);
        let unit = branches.iter().find_map(format).and_then(|kind| kind.check(spelling).err());
        let fault = match unit {
            Some(error) => Diagnostic::error("bad-unit", node.span, error.to_string()).help(error.hint()),
            None if branches.iter().any(|branch| shape::takes(branch, Kind::Text)) => {
                self.kind_fault(branches, node, at).help(format!("write it in quotes: `\"{spelling}\"`"))
            }
            None => self.kind_fault(branches, node, at),
        };
        self.fault(fault);
    }
}

/// A fault of free text where listed words were possible too.
fn also(fault: Diagnostic, words: &[&str]) -> Diagnostic {
    if words.is_empty() {
        return fault;
    }
    let known = format!("or write {}", words::list(words.iter().copied(), "or"));
    let help = fault.help.as_ref().map_or_else(|| known.clone(), |help| format!("{help}, {known}"));
    fault.help(help)
}

/// How a text must look: by the schema's examples where it has some, else by its pattern.
pub(super) fn form(schema: &Value, pattern: &str) -> String {
    let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match words::list(examples, "or") {
        none if none.is_empty() => format!("it must match {}", quoted(pattern)),
        examples => format!("write it like {examples}"),
    }
}

fn address(format: &str, text: &str) -> bool {
    match format {
        "ip" => text.parse::<IpAddr>().is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        _ => true,
    }
}

fn length_fault(schema: &Value, text: &str, node: &Node, at: Place<'_>) -> Option<Diagnostic> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if length == 0 && bound("minLength").is_some_and(|least| least > 0) {
        return Some(Diagnostic::error("bad-length", node.span, format!("{} must not be empty", at.name)));
    }
    let message = match (bound("minLength"), bound("maxLength")) {
        (Some(least), _) if length < least => format!("{} must have at least {least} characters", at.name),
        (_, Some(most)) if length > most => format!("{} can have at most {most} characters", at.name),
        _ => return None,
    };
    Some(Diagnostic::error("bad-length", node.span, message))
}

/// The least and the most that a format of whole numbers holds; schemars leaves those of the wide ones out.
fn range(format: &str) -> (i128, i128) {
    match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        _ => (i128::MIN, i128::MAX),
    }
}

fn whole_fault(schema: &Value, number: i128, at: Place<'_>) -> Option<String> {
    let (least, most) = range(schema.get("format").and_then(Value::as_str).unwrap_or(""));
    let bound = |name: &str| {
        schema.get(name).and_then(|bound| bound.as_i64().map(i128::from).or(bound.as_u64().map(i128::from)))
    };
    let least = least.max(bound("minimum").unwrap_or(least));
    let most = most.min(bound("maximum").unwrap_or(most));
    if number < least {
        return Some(format!("{} must be at least {least}", at.name));
    }
    (number > most).then(|| format!("{} can be at most {most}", at.name))
}

fn bounds_fault(schema: &Value, number: f64, at: Place<'_>) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let message = match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if number < least => format!("{} must be at least {least}", at.name),
        (_, Some(most)) if number > most => format!("{} can be at most {most}", at.name),
        _ => return None,
    };
    Some(message)
}
