//! Conditions: `when:` and `scopes`, a small part of CEL with types, checked when they are read.
//!
//! What can be written: `&&` `||` `!`, `==` `!=`, `<` `<=` `>` `>=` between whole numbers, `in` a list,
//! `a.startsWith(b)`, `a.endsWith(b)`, `a.contains(b)`, `size(a)`, `string(a)`, `has(a)`, texts, whole numbers, `true`,
//! `false` and lists of texts or numbers. No loops, no arithmetic, no functions of one's own: each node is visited at
//! most once, so that an answer always comes, in time linear in the condition and the facts.
//!
//! It never guesses. A fact that is missing, or of another type than what it is compared with, has no answer, and no
//! answer is a denial; other than in CEL this holds for `==` and `!=` between two types too, and nothing to the right
//! of `||` makes good what failed to its left. Where a fact may be missing, `has()` asks first.

mod check;
mod eval;
mod fact;
#[cfg(test)]
mod oracle;
mod parse;
#[cfg(test)]
mod tests;
mod token;

use crate::de::Spanned;
use crate::diagnostic::{Diagnostic, quoted};
use check::{Node, Reads};
pub(crate) use eval::Env;
pub use eval::Unanswered;
use std::ops::Range;

/// A condition that was checked: it gives yes, no, or no answer.
#[derive(Debug)]
pub(crate) struct Condition {
    root: Node,
    reads: Reads,
}

/// What is wrong with a condition, and where in it, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    range: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Fault {
    fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Condition {
    /// Bytes of the longest condition.
    pub(crate) const LONGEST: usize = 1024;
    /// Nodes of the largest one.
    pub(crate) const MOST_NODES: usize = 200;
    /// How deep brackets may stand in brackets.
    pub(crate) const DEEPEST: usize = 24;

    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with it, at its place inside the YAML string.
    pub(crate) fn parse(text: &Spanned<String>) -> Result<Self, Vec<Diagnostic>> {
        parse::tree(text)
            .map_err(|fault| vec![fault])
            .and_then(|tree| check::condition(&tree))
            .map(|(root, reads)| Self { root, reads })
            .map_err(|faults| faults.into_iter().map(|fault| diagnostic(text, fault)).collect())
    }

    /// The facts that it cannot do without.
    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Does it hold?
    ///
    /// # Errors
    /// It has no answer: a fact is missing or of another type.
    pub(crate) fn holds(&self, env: &Env<'_>) -> Result<bool, Unanswered> {
        eval::truth(&self.root, env)
    }
}

fn diagnostic(text: &Spanned<String>, fault: Fault) -> Diagnostic {
    let one = Diagnostic::error("bad-condition", within(text, fault.range), fault.message);
    match fault.help {
        Some(help) => one.help(help),
        None => one,
    }
}

/// The place of a part of a scalar in its file. As long as written and read texts are equally long, or differ by two
/// quotes, the bytes are the same ones; an escaped or folded text is pointed at as a whole.
pub(crate) fn within(text: &Spanned<String>, range: Range<usize>) -> crate::span::Span {
    match (text.span.end.saturating_sub(text.span.start)).checked_sub(text.value.len()) {
        Some(0) => text.span.within(range),
        Some(2) => text.span.within(range.start.saturating_add(1)..range.end.saturating_add(1)),
        Some(_) | None => text.span,
    }
}
