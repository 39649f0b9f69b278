//! What to say when the YAML library cannot go on, in our words and with a hint.

use super::{MOST_ALIASES, span_of};
use crate::diagnostic::{Diagnostic, quoted};
use crate::span::{FileId, Sources, Span};
use serde_yaml::budget::BudgetBreach;
use serde_yaml::{Error, MessageFormatter, UserMessageFormatter};

/// The fault that ended the reading of a file.
pub(super) fn diagnostic(error: &Error, sources: &Sources, file: FileId) -> Diagnostic {
    let span = error.location().map_or(Span { file, start: 0, end: 0 }, |place| span_of(sources, file, place));
    let said = say(innermost(error));
    Diagnostic::error(said.code, span, said.message).help(said.help)
}

struct Said {
    code: &'static str,
    message: String,
    help: String,
}

fn said(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Said {
    Said { code, message: message.into(), help: help.into() }
}

/// An error without the wrappers that say through which alias it was met.
fn innermost(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } = error {
        error = inner;
    }
    error
}

fn say(error: &Error) -> Said {
    match error {
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => scanner(msg),
        Error::Eof { .. } => said("yaml-syntax", "the file ends in the middle of a value", "close what is open"),
        Error::MultipleDocuments { .. } => second_document(),
        Error::MergeKeyNotAllowed { .. } | Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            said("merge-key", "merge keys are not read", "write the keys out, or use an alias for a whole value")
        }
        Error::UnsupportedTag { tag, .. } | Error::TaggedStructFieldName { tag, .. } => {
            said("tag", format!("the tag {} is not read", quoted(tag)), "leave the tag out")
        }
        Error::UnknownAnchor { .. } => said(
            "unknown-alias",
            "this alias names no anchor above it",
            "write `&name` before the value that `*name` repeats",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            said("unknown-alias", "this alias stands inside the value that it repeats", "write the value out")
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_many_aliases(),
        Error::Budget { breach, .. } => over_budget(breach),
        Error::NonFiniteFloat { .. } => {
            said("bad-number", "this number is not finite", "write a smaller number, or text in quotes")
        }
        other => syntax(&UserMessageFormatter.format_message(other)),
    }
}

fn over_budget(breach: &BudgetBreach) -> Said {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Documents { .. } => second_document(),
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => too_many_aliases(),
        _ => said("too-many-nodes", "this file holds more values than are read", "split it into several files"),
    }
}

fn second_document() -> Said {
    said("second-document", "a second document begins here", "keep one document in a file")
}

fn too_deep() -> Said {
    said("too-deep", format!("more than {} levels lie in each other here", super::DEEPEST), "write it flatter")
}

fn too_many_aliases() -> Said {
    let message = format!("aliases repeat more than is read (at most {MOST_ALIASES} aliases, and short ones)");
    said("too-many-aliases", message, "write the values out")
}

/// What the scanner says of text that is no YAML, with the hint that fits best.
fn scanner(message: &str) -> Said {
    if message.contains("recursion limit") {
        return too_deep();
    }
    syntax(message)
}

fn syntax(message: &str) -> Said {
    let hint = HINTS.iter().find(|(part, _)| message.contains(part)).map_or(GENERAL, |(_, hint)| *hint);
    let mut shown = message.to_owned();
    if let Some(first) = shown.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    // The scanner writes `x' where we write `x`.
    said("yaml-syntax", format!("this is not YAML: {}", shown.replace('\'', "`")), hint)
}

const GENERAL: &str = "check the indentation, the quotes and the brackets here and in the line above";

const HINTS: [(&str, &str); 7] = [
    (
        "mapping values are not allowed",
        "text that holds `: ` must be in quotes; a key of a map must be indented as its neighbours are",
    ),
    ("unexpected character", "text that begins with this character must be in quotes"),
    ("trailing content", "put the whole text into one pair of quotes"),
    ("simple key expected", "a key needs a `:` and a space after it, an entry of a list a space after its `-`"),
    ("quoted scalar", "close the quotes, and write a backslash as `\\\\` between double quotes"),
    ("':' indicator", "close the bracket or brace that was opened before"),
    ("tab", "indent with spaces"),
];
