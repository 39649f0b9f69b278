//! What is wrong with a file, said so that a person can mend it.
//!
//! Holds the faults and draws them. It decides nothing about what is a fault, and it never prints: the caller does.

use crate::span::{Sources, Span};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};
use std::ops::Range;

/// Whether a fault keeps the configuration from being used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; something in it is probably not meant.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One fault: what it is, where it stands, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// A stable name in kebab case, such as `unknown-key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The place; `None` where there is none, as for a file that is missing.
    pub span: Option<Span>,
    /// What is wrong: lower case, no full stop, what was written in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span: Some(span), message: message.into(), help: None }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, span: Some(span), message: message.into(), help: None }
    }

    /// An error that stands nowhere in a file.
    pub fn without_place(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span: None, message: message.into(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether the file cannot be used because of this.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self.severity {
            Severity::Error => true,
            Severity::Warning => false,
        }
    }
}

/// Text of a file as it stands in a message: in backticks, control characters escaped, at most 60 characters of it.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A character that cannot move the cursor, colour the terminal or turn the direction of writing.
fn plain(c: char) -> impl Iterator<Item = char> {
    let unsafe_to_show = c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let (escaped, kept) = if unsafe_to_show { (Some(c.escape_unicode()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(kept)
}

/// Draws diagnostics for a terminal: `file:line:column`, the line underlined, the help below.
///
/// `color` adds ANSI colours. One blank line stands between two diagnostics, a line end after the last. Of a place
/// that spans lines the first is drawn. What stands after a key such as `password` or `secret` is drawn as stars.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut drawn = String::new();
    for diagnostic in diagnostics {
        if !drawn.is_empty() {
            drawn.push('\n');
        }
        drawn.push_str(&renderer.render(&[group(diagnostic, sources)]));
        drawn.push('\n');
    }
    drawn
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(shown(&diagnostic.message)).id(diagnostic.code));
    if let Some(span) = diagnostic.span {
        let (_, line) = sources.line(span.file, span.start);
        group = match line.len() {
            0..=LONGEST_LINE => group.element(snippet(span, sources)),
            _ => group.element(origin(span, sources)),
        };
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(shown(help)));
    }
    group
}

/// The longest line that is drawn, in bytes; of a longer one the place alone is told.
const LONGEST_LINE: usize = 2000;

fn origin(span: Span, sources: &Sources) -> Origin<'_> {
    let (line, column) = sources.line_column(span);
    Origin::path(shown(sources.name(span.file))).line(line).char_column(column)
}

/// The first line of a place with the place underlined.
fn snippet(span: Span, sources: &Sources) -> Snippet<'_, Annotation<'_>> {
    let (start, line) = sources.line(span.file, span.start);
    let (number, _) = sources.line_column(span);
    let within = |at: usize| line.floor_char_boundary(at.saturating_sub(start).min(line.len()));
    let marked: Range<usize> = within(span.start)..within(span.end.max(span.start));
    let before = start.checked_sub(1).map_or("", |end| sources.line(span.file, end).1);
    let drawn = if opens_secret(before) && !line.contains(": ") { stars(line) } else { masked(line) };
    Snippet::source(drawn)
        .line_start(number)
        .path(shown(sources.name(span.file)))
        .annotation(AnnotationKind::Primary.span(marked))
}

/// The text with what could play tricks on a terminal escaped.
fn shown(text: &str) -> String {
    text.chars().flat_map(plain).collect()
}

/// Parts of names that say that a secret follows.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "private_key", "api_key"];

/// Whether the key before a `:` names a secret.
fn names_secret(key: &str) -> bool {
    let name = key.trim_end_matches(['"', '\'', ' ']).rsplit([' ', '{', ',', '"', '\'']).next().unwrap_or("");
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|secret| name.contains(secret))
}

/// Whether the value of a secret begins in the line after this one.
fn opens_secret(line: &str) -> bool {
    line.split_once(':').is_some_and(|(key, value)| {
        names_secret(key) && (value.trim().is_empty() || value.trim_start().starts_with(['|', '>']))
    })
}

/// As many stars as a text has bytes, so that places in it stay where they are; spaces around it stay.
fn stars(text: &str) -> String {
    let inner = text.trim();
    text.replacen(inner, &"*".repeat(inner.len()), 1)
}

/// A line with the value after each key that names a secret drawn as stars. A list or map is left as it is: what it
/// holds has keys of its own.
fn masked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((key, value)) = rest.split_once(':') {
        out.push_str(key);
        out.push(':');
        rest = value;
        let text = value.trim_start();
        if !value.starts_with(' ') || text.starts_with(['{', '[', '#']) || !names_secret(key) {
            continue;
        }
        let spaces = value.len().saturating_sub(text.len());
        let end = spaces.saturating_add(scalar_end(text, out.contains('{')));
        let (secret, after) = value.split_at_checked(end).unwrap_or((value, ""));
        out.push_str(&stars(secret));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where the scalar at the beginning of `text` ends; `flow` when it stands between braces.
fn scalar_end(text: &str, flow: bool) -> usize {
    let end = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text.get(1..).and_then(|rest| rest.find(quote)).map(|at| at.saturating_add(2)),
        _ if flow => text.find([',', '}']),
        _ => text.find(" #"),
    };
    end.unwrap_or(text.len())
}

/// The same as data: a list of `{code, severity, file, line, column, end_column, message, help}`.
///
/// Lines and columns count from 1, columns in characters; `end_column` is the one after the last and stands on the
/// same line (a longer place is cut at its line's end). Without a place the four are null.
#[must_use]
pub fn to_json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    diagnostics.iter().map(|one| entry(one, sources)).collect()
}

fn entry(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let (file, line, column, end_column) = match diagnostic.span {
        Some(span) => {
            let (line, column) = sources.line_column(span);
            let (start, text) = sources.line(span.file, span.start);
            let line_end = start.saturating_add(text.len());
            let (_, end) = sources.position(span.file, span.end.min(line_end).max(span.start));
            (json!(sources.name(span.file)), json!(line), json!(column), json!(end.max(column)))
        }
        None => (Value::Null, Value::Null, Value::Null, Value::Null),
    };
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.word(),
        "file": file,
        "line": line,
        "column": column,
        "end_column": end_column,
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, range: Range<usize>) -> (Sources, Span) {
        let mut sources = Sources::default();
        let file = sources.add("policies/records.yaml", text);
        (sources, Span { file, start: range.start, end: range.end })
    }

    #[test]
    fn a_place_is_drawn_with_its_line_and_the_help() {
        let (sources, span) = one("a: 1\nroutes:\n  metods: x\n", 15..21);
        let fault = Diagnostic::error("unknown-key", span, "unknown key `metods`").help("did you mean `methods`?");
        let expected = "\
error[unknown-key]: unknown key `metods`
 --> policies/records.yaml:3:3
  |
3 |   metods: x
  |   ^^^^^^
  |
  = help: did you mean `methods`?
";
        assert_eq!(render(&[fault], &sources, false), expected);
    }

    #[test]
    fn a_place_over_lines_is_cut_at_its_first() {
        let (sources, span) = one("ü: [1,\n 2]\n", 4..10);
        let drawn = render(&[Diagnostic::warning("x", span, "m")], &sources, false);
        assert!(drawn.starts_with("warning[x]: m\n --> policies/records.yaml:1:4\n"), "{drawn}");
        assert!(drawn.ends_with("1 | ü: [1,\n  |    ^^^\n"), "{drawn}");
    }

    #[test]
    fn several_are_apart_and_one_without_a_place_has_no_line() {
        let (sources, span) = one("", 0..0);
        let faults = [Diagnostic::without_place("gone", "no file"), Diagnostic::error("empty", span, "empty")];
        let drawn = render(&faults, &sources, false);
        assert!(
            drawn.starts_with("error[gone]: no file\n\nerror[empty]: empty\n --> policies/records.yaml:1:1\n"),
            "{drawn}"
        );
        assert!(!drawn.contains('\u{1b}'));
        assert!(render(&faults, &sources, true).contains('\u{1b}'));
    }

    #[test]
    fn a_place_beyond_the_file_is_drawn_somewhere() {
        let (sources, span) = one("aü\n", 2..900);
        assert!(render(&[Diagnostic::error("x", span, "m")], &sources, false).contains("error[x]: m"));
        let beyond = Span { start: 500, end: 3, ..span };
        assert!(render(&[Diagnostic::error("x", beyond, "m")], &sources, false).contains("error[x]: m"));
    }

    #[test]
    fn nothing_in_a_message_steers_the_terminal() {
        let (sources, span) = one("a: 1\n", 0..1);
        let fault = Diagnostic::error("x", span, "bad \u{1b}[31m\u{202e}").help("a\nb");
        let drawn = render(&[fault], &sources, false);
        assert!(drawn.contains("bad \\u{1b}[31m\\u{202e}") && drawn.contains("a\\u{a}b"), "{drawn}");
        assert_eq!(quoted(&"x".repeat(99)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn secrets_are_drawn_as_stars() {
        for (line, drawn) in [
            ("password: hunter2", "password: *******"),
            ("  db_password: 'ü x' # mine", "  db_password: ****** # mine"),
            ("password: a,b}#c # d", "password: ****** # d"),
            ("x: { password: 'a,}b', y: 1 }", "x: { password: ******, y: 1 }"),
            ("x: { token: abc, path: /a }", "x: { token: ***, path: /a }"),
            ("\"secret\": abc", "\"secret\": ***"),
            ("token: [{ header: authorization }]", "token: [{ header: authorization }]"),
            ("password: { file: /keys/p }", "password: { file: /keys/p }"),
            ("url: http://a:80/token", "url: http://a:80/token"),
            ("secret:", "secret:"),
        ] {
            assert_eq!(masked(line), drawn);
        }
    }

    #[test]
    fn a_secret_in_the_next_line_is_drawn_as_stars() {
        for before in ["  password: |", "token:", "secret: >-"] {
            let text = format!("{before}\n    hunter2\n");
            let at = before.len() + 5;
            let (sources, span) = one(&text, at..at + 7);
            let drawn = render(&[Diagnostic::error("x", span, "m")], &sources, false);
            assert!(drawn.contains("    *******\n") && !drawn.contains("hunter2"), "{drawn}");
        }
        let (sources, span) = one("secret:\n  fil: /keys/x\n", 10..13);
        assert!(render(&[Diagnostic::error("x", span, "m")], &sources, false).contains("fil: /keys/x"));
    }

    #[test]
    fn of_a_long_line_the_place_alone_is_told() {
        let (sources, span) = one(&"x".repeat(LONGEST_LINE + 1), 7..9);
        let drawn = render(&[Diagnostic::error("x", span, "m").help("h")], &sources, false);
        assert!(drawn.contains("--> policies/records.yaml:1:8\n") && !drawn.contains("xxx"), "{drawn}");
    }

    #[test]
    fn as_data_columns_count_characters() {
        let (sources, span) = one("ü: wörd\n", 4..9);
        let data =
            to_json(&[Diagnostic::error("x", span, "m").help("h"), Diagnostic::without_place("y", "n")], &sources);
        assert_eq!(
            data,
            json!([
                {"code": "x", "severity": "error", "file": "policies/records.yaml", "line": 1, "column": 4, "end_column": 8, "message": "m", "help": "h"},
                {"code": "y", "severity": "error", "file": null, "line": null, "column": null, "end_column": null, "message": "n", "help": null},
            ])
        );
    }
}
