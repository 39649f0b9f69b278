//! What a type itself refuses, on its way to becoming a diagnostic.

use crate::diagnostic::{Diagnostic, quoted};
use crate::span::Span;
use crate::words;
use serde::de::{Error, Expected, Unexpected};
use std::fmt;

/// A refusal; it gets its place from the innermost value that was being read.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
    span: Option<Span>,
}

impl Fault {
    fn new(message: String) -> Self {
        Self { message, help: None, span: None }
    }

    /// Sets the place unless a value further in has set it.
    pub(super) fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    pub(super) fn into_diagnostic(self, otherwise: Span) -> Diagnostic {
        let diagnostic = Diagnostic::error("invalid-value", self.span.unwrap_or(otherwise), self.message);
        Diagnostic { help: self.help, ..diagnostic }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// A value in YAML's words.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => "something else",
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("this is {}, and not {wanted}", kind(&found)))
    }
    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let message = match found {
            Unexpected::Unsigned(number) => format!("`{number}` cannot stand here; wanted is {wanted}"),
            Unexpected::Signed(number) => format!("`{number}` cannot stand here; wanted is {wanted}"),
            Unexpected::Str(text) => format!("{} cannot stand here; wanted is {wanted}", quoted(text)),
            other => format!("{} cannot stand here; wanted is {wanted}", kind(&other)),
        };
        Self::new(message)
    }
    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Self::new(format!("{length} entries are not {wanted}"))
    }
    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let help = format!("known are {}", words::list(known.iter().copied(), "and"));
        Self { help: Some(help), ..Self::new(format!("{} cannot stand here", quoted(word))) }
    }
    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let help = format!("known are {}", words::list(known.iter().copied(), "and"));
        Self { help: Some(help), ..Self::new(format!("unknown key {}", quoted(key))) }
    }
    fn missing_field(key: &'static str) -> Self {
        Self::new(format!("the key `{key}` is missing"))
    }
    fn duplicate_field(key: &'static str) -> Self {
        Self::new(format!("the key `{key}` stands twice in this map"))
    }
}
