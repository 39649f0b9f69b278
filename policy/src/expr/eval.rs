//! Does a condition hold? Each node is visited at most once, and whatever cannot be answered is an error.

use super::check::{Node, Order, Search};
use super::fact::Fact;
use crate::bindings::Binding;
use crate::facts::Facts;
use crate::principal::{Claim, Principal};
use crate::route::Match;
use std::borrow::Cow;
use std::fmt;

/// What a condition can look at.
pub(crate) struct Env<'a> {
    /// The matched route.
    pub(crate) found: &'a Match<'a>,
    /// The request and its caller.
    pub(crate) facts: &'a Facts<'a>,
    /// What the caller is in the tenant that caller and request agree on.
    pub(crate) active: Option<&'a Binding>,
    /// The patient that the request names.
    pub(crate) patient: Option<&'a str>,
}

/// Why a condition has no answer. Names facts, never what they say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unanswered {
    /// This fact is missing.
    Missing(String),
    /// A value is of another type than what is done with it.
    Type(&'static str),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(fact) => write!(f, "`{fact}` is missing"),
            Self::Type(operation) => write!(f, "a claim is of another type than {operation} needs"),
        }
    }
}

/// A value while it is looked at.
enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    Texts(&'a [String]),
    Ints(&'a [i64]),
}

/// Whether `node` is true.
pub(super) fn truth(node: &Node, env: &Env<'_>) -> Result<bool, Unanswered> {
    match node {
        Node::Bool(value) => Ok(*value),
        Node::Not(inner) => truth(inner, env).map(|value| !value),
        Node::Any(parts) => {
            for part in parts {
                if truth(part, env)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Node::All(parts) => {
            for part in parts {
                if !truth(part, env)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Node::Has(fact) => has(fact, env),
        Node::Equal(left, right) => equal(&value(left, env)?, &value(right, env)?),
        Node::Order(order, left, right) => {
            let (left, right) = (int(left, env)?, int(right, env)?);
            Ok(match order {
                Order::Less => left < right,
                Order::LessOrEqual => left <= right,
                Order::Greater => left > right,
                Order::GreaterOrEqual => left >= right,
            })
        }
        Node::In(one, many) => within(&value(one, env)?, &value(many, env)?),
        Node::Search(search, whole, part) => {
            let (whole, part) = (text(whole, env)?, text(part, env)?);
            Ok(match search {
                Search::Starts => whole.starts_with(part.as_ref()),
                Search::Ends => whole.ends_with(part.as_ref()),
                Search::Contains => whole.contains(part.as_ref()),
            })
        }
        Node::Read(fact) => match read(fact, env)? {
            Value::Bool(value) => Ok(value),
            Value::Int(_) | Value::Text(_) | Value::Texts(_) | Value::Ints(_) => Err(Unanswered::Type("a condition")),
        },
        Node::Int(_) | Node::Text(_) | Node::Texts(_) | Node::Ints(_) | Node::Size(_) | Node::ToText(_) => {
            Err(Unanswered::Type("a condition"))
        }
    }
}

fn value<'a>(node: &'a Node, env: &Env<'a>) -> Result<Value<'a>, Unanswered> {
    match node {
        Node::Int(value) => Ok(Value::Int(*value)),
        Node::Text(value) => Ok(Value::Text(Cow::Borrowed(value))),
        Node::Texts(values) => Ok(Value::Texts(values)),
        Node::Ints(values) => Ok(Value::Ints(values)),
        Node::Read(fact) => read(fact, env),
        Node::Size(inner) => size(&value(inner, env)?).map(Value::Int),
        Node::ToText(inner) => match value(inner, env)? {
            Value::Text(text) => Ok(Value::Text(text)),
            Value::Int(number) => Ok(Value::Text(number.to_string().into())),
            Value::Bool(value) => Ok(Value::Text(if value { "true" } else { "false" }.into())),
            Value::Texts(_) | Value::Ints(_) => Err(Unanswered::Type("`string`")),
        },
        Node::Bool(_)
        | Node::Has(_)
        | Node::Not(_)
        | Node::Any(_)
        | Node::All(_)
        | Node::Equal(..)
        | Node::Order(..)
        | Node::In(..)
        | Node::Search(..) => truth(node, env).map(Value::Bool),
    }
}

fn int(node: &Node, env: &Env<'_>) -> Result<i64, Unanswered> {
    match value(node, env)? {
        Value::Int(number) => Ok(number),
        Value::Bool(_) | Value::Text(_) | Value::Texts(_) | Value::Ints(_) => Err(Unanswered::Type("`<` or `>`")),
    }
}

fn text<'a>(node: &'a Node, env: &Env<'a>) -> Result<Cow<'a, str>, Unanswered> {
    match value(node, env)? {
        Value::Text(text) => Ok(text),
        Value::Bool(_) | Value::Int(_) | Value::Texts(_) | Value::Ints(_) => {
            Err(Unanswered::Type("a search in a text"))
        }
    }
}

fn equal(left: &Value<'_>, right: &Value<'_>) -> Result<bool, Unanswered> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        (Value::Int(left), Value::Int(right)) => Ok(left == right),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        // INVARIANT: values of two types are neither equal nor unequal, or `!=` would hold for them.
        (Value::Text(_) | Value::Int(_) | Value::Bool(_) | Value::Texts(_) | Value::Ints(_), _) => {
            Err(Unanswered::Type("`==` or `!=`"))
        }
    }
}

fn within(one: &Value<'_>, many: &Value<'_>) -> Result<bool, Unanswered> {
    match (one, many) {
        (Value::Text(one), Value::Texts(many)) => Ok(many.iter().any(|other| one == other)),
        (Value::Int(one), Value::Ints(many)) => Ok(many.contains(one)),
        (Value::Text(_) | Value::Int(_) | Value::Bool(_) | Value::Texts(_) | Value::Ints(_), _) => {
            Err(Unanswered::Type("`in`"))
        }
    }
}

/// The characters of a text, or the elements of a list.
fn size(value: &Value<'_>) -> Result<i64, Unanswered> {
    let count = match value {
        Value::Text(text) => text.chars().count(),
        Value::Texts(list) => list.len(),
        Value::Ints(list) => list.len(),
        Value::Bool(_) | Value::Int(_) => return Err(Unanswered::Type("`size`")),
    };
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

fn read<'a>(fact: &Fact, env: &Env<'a>) -> Result<Value<'a>, Unanswered> {
    let missing = || Unanswered::Missing(fact.to_string());
    let principal = || env.facts.principal.ok_or_else(missing);
    let borrowed = |text: &'a str| Value::Text(Cow::Borrowed(text));
    let tenant = |binding: &'a Binding| borrowed(binding.tenant().as_str());
    match fact {
        Fact::Subject => Ok(borrowed(&principal()?.subject)),
        Fact::Issuer => Ok(borrowed(&principal()?.issuer)),
        Fact::Client => principal()?.client.as_deref().map(borrowed).ok_or_else(missing),
        Fact::PrincipalTenant => env.active.map(tenant).ok_or_else(missing),
        Fact::Roles => env.active.map(|binding| Value::Texts(binding.roles())).ok_or_else(missing),
        Fact::Claim(name) => claim(principal()?, name).ok_or_else(missing),
        Fact::ResourceTenant => env.active.map(tenant).ok_or_else(missing),
        Fact::Patient => env.patient.map(borrowed).ok_or_else(missing),
        Fact::Param(name) => env.found.param(name).map(borrowed).ok_or_else(missing),
        Fact::Method => Ok(borrowed(env.facts.method)),
        Fact::Ip => Ok(Value::Text(env.facts.peer.to_canonical().to_string().into())),
        Fact::Now => i64::try_from(env.facts.now).map(Value::Int).map_err(|_| missing()),
    }
}

fn claim<'a>(principal: &'a Principal, name: &str) -> Option<Value<'a>> {
    principal.claims.get(name).map(|claim| match claim {
        Claim::Text(text) => Value::Text(Cow::Borrowed(text)),
        Claim::Number(number) => Value::Int(*number),
        Claim::Bool(value) => Value::Bool(*value),
        Claim::List(list) => Value::Texts(list),
    })
}

/// Whether an optional fact is there. Without a caller there is no answer: a condition must not hold because nobody
/// has signed in.
fn has(fact: &Fact, env: &Env<'_>) -> Result<bool, Unanswered> {
    if env.facts.principal.is_none() {
        return Err(Unanswered::Missing(fact.to_string()));
    }
    Ok(read(fact, env).is_ok())
}
