//! For tests: is what we read CEL, and does it mean the same there? Held against the parser of another project.

use super::parse::{self, Kind, Operator, Tree};
use super::tests::{fine, soup};
use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use cel::parser::Parser;
use proptest::prelude::*;
use std::thread;

/// Our tree as text; chains of one operator are flat.
fn ours(tree: &Tree) -> String {
    match &tree.kind {
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Text(value) => format!("{value:?}"),
        Kind::List(elements) => call("list", elements.iter().map(ours)),
        Kind::Name(words) => words.join("."),
        Kind::Call { target: None, function, arguments } => call(function, arguments.iter().map(ours)),
        Kind::Call { target: Some(target), function, arguments } => {
            call(function, std::iter::once(format!("of {}", ours(target))).chain(arguments.iter().map(ours)))
        }
        Kind::Not(inner) => call("!_", std::iter::once(ours(inner))),
        Kind::Any(_) => call("_||_", any(tree).into_iter()),
        Kind::All(_) => call("_&&_", all(tree).into_iter()),
        Kind::Pair { operator, left, right } => {
            let operator = match operator {
                Operator::Equal => "_==_",
                Operator::Unequal => "_!=_",
                Operator::Less => "_<_",
                Operator::LessOrEqual => "_<=_",
                Operator::Greater => "_>_",
                Operator::GreaterOrEqual => "_>=_",
                Operator::In => "@in",
            };
            call(operator, [left, right].into_iter().map(|side| ours(side)))
        }
    }
}

fn any(tree: &Tree) -> Vec<String> {
    match &tree.kind {
        Kind::Any(parts) => parts.iter().flat_map(any).collect(),
        _ => vec![ours(tree)],
    }
}

fn all(tree: &Tree) -> Vec<String> {
    match &tree.kind {
        Kind::All(parts) => parts.iter().flat_map(all).collect(),
        _ => vec![ours(tree)],
    }
}

/// The other parser's tree, as the same text.
fn theirs(tree: &IdedExpr) -> String {
    match &tree.expr {
        Expr::Literal(LiteralValue::Boolean(value)) => value.inner().to_string(),
        Expr::Literal(LiteralValue::Int(value)) => value.inner().to_string(),
        Expr::Literal(LiteralValue::String(value)) => format!("{:?}", value.inner()),
        Expr::List(list) => call("list", list.elements.iter().map(theirs)),
        Expr::Ident(name) => name.clone(),
        Expr::Select(select) if select.test => {
            call("has", std::iter::once(format!("{}.{}", theirs(&select.operand), select.field)))
        }
        Expr::Select(select) => format!("{}.{}", theirs(&select.operand), select.field),
        Expr::Call(one) => {
            let target = one.target.iter().map(|target| format!("of {}", theirs(target)));
            match one.func_name.as_str() {
                name @ ("_||_" | "_&&_") => call(name, flattened(tree, name).into_iter()),
                name => call(name, target.chain(one.args.iter().map(theirs))),
            }
        }
        other => panic!("{other:?} is nothing that we read"),
    }
}

fn flattened(tree: &IdedExpr, name: &str) -> Vec<String> {
    match &tree.expr {
        Expr::Call(one) if one.func_name == name => one.args.iter().flat_map(|part| flattened(part, name)).collect(),
        _ => vec![theirs(tree)],
    }
}

fn call(name: &str, arguments: impl Iterator<Item = String>) -> String {
    format!("{name}({})", arguments.collect::<Vec<_>>().join(", "))
}

/// The other parser needs the stack of a thread of its own.
fn other(text: &str) -> Result<String, String> {
    let text = text.to_owned();
    let parse = move || Parser::new().parse(&text).map(|tree| theirs(&tree)).map_err(|faults| faults.to_string());
    thread::Builder::new().stack_size(64 << 20).spawn(parse).unwrap().join().unwrap()
}

/// Macros that CEL expands while it reads; the check refuses them by name.
fn has_macro(tree: &str) -> bool {
    ["has(", "all(", "exists(", "map(", "filter("].iter().any(|name| tree.contains(name))
}

#[test]
fn the_oracle_sees_a_difference() {
    assert_eq!(other("a == 1 && !b.c || d in [1]").unwrap(), "_||_(_&&_(_==_(a, 1), !_(b.c)), @in(d, list(1)))");
    assert_eq!(
        ours(&parse::tree("(a == 1 && !b.c) || d in [1]").unwrap()),
        other("a == 1 && !b.c || d in [1]").unwrap()
    );
    assert_ne!(
        ours(&parse::tree("a == 1 && (!b.c || d in [1])").unwrap()),
        other("a == 1 && !b.c || d in [1]").unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_right_condition_is_the_same_in_cel(text in fine()) {
        let Ok(tree) = parse::tree(&text) else { return Ok(()) };
        prop_assert_eq!(other(&text), Ok(ours(&tree)));
    }

    #[test]
    fn what_we_read_is_cel(text in soup()) {
        let Ok(tree) = parse::tree(&text) else { return Ok(()) };
        let tree = ours(&tree);
        prop_assume!(!has_macro(&tree));
        prop_assert_eq!(other(&text), Ok(tree));
    }
}
