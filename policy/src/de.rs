//! From a checked tree to a typed value, places kept where they are asked for.

//!
//! Deserialises what [`check_tree`](crate::check_tree) has found right. It judges little itself: what a type refuses on
//! its own account (a number out of range, a `TryFrom` that fails) becomes one diagnostic at the place of the value.

use crate::diagnostic::{Diagnostic, quoted};
use crate::schema::{check_tree, schema_of};
use crate::span::{FileId, Sources, Span};
use crate::tree::{Node, NodeValue, grow};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::collections::HashSet;

mod fault;
mod node;
mod spanned;

use fault::Fault;
use node::NodeDeserializer;
pub(crate) use node::whole;
pub use spanned::Spanned;

/// Reads one file into a type: parse, check the whole tree against the type's schema, deserialise.
///
/// A key without a value is a fault even where the key may be left out: it is more often a slip than meant.
///
/// # Errors
/// Every fault of the file at once, in the order of the file, at most 200 of its text and 200 of what it says.
pub fn read<T: DeserializeOwned + JsonSchema>(sources: &Sources, file: FileId) -> Result<T, Vec<Diagnostic>> {
    let (tree, mut faults) = grow(sources, file);
    let Some(tree) = tree else { return Err(faults) };
    if tree.value == NodeValue::Null && faults.is_empty() {
        return Err(vec![empty(sources, file)]);
    }
    let places: HashSet<(usize, usize)> = faults.iter().filter_map(place).collect();
    let mut found = Vec::new();
    check_tree(&tree, &schema_of::<T>(), &mut found);
    // A word that was refused once is not refused again for its type.
    faults.extend(found.into_iter().filter(|fault| place(fault).is_none_or(|place| !places.contains(&place))));
    if !faults.is_empty() {
        return Err(in_order(faults));
    }
    deserialise(&tree).map_err(|fault| vec![fault])
}

fn empty(sources: &Sources, file: FileId) -> Diagnostic {
    let message = format!("the file {} is empty", quoted(sources.name(file)));
    Diagnostic::error("empty-file", Span { file, start: 0, end: 0 }, message)
        .help("it begins with `apiVersion` and `kind`; delete the file if it is not meant")
}

/// A typed value out of a tree.
fn deserialise<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostic> {
    T::deserialize(NodeDeserializer::new(node)).map_err(|fault: Fault| fault.at(node.span).into_diagnostic(node.span))
}

fn place(fault: &Diagnostic) -> Option<(usize, usize)> {
    fault.span.map(|span| (span.start, span.end))
}

/// By place, those without one last; what an alias repeats is said once.
fn in_order(mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.sort_by_key(|fault| place(fault).unwrap_or((usize::MAX, 0)));
    faults.dedup();
    faults
}

#[cfg(test)]
mod tests;
