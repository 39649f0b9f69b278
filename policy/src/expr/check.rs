//! From a tree to a typed one: every name known, every comparison between values that can be compared.
//!
//! Reports all faults of a condition at once. What it lets through can still have no answer, since the type of a claim
//! shows only when it is there.

use super::fact::{Fact, KNOWN, Type};
use super::parse::{Kind, Operator, Tree};
use super::{Fault, quoted};
use crate::words::{list, nearest};
use std::collections::BTreeSet;
use std::ops::Range;

/// A condition as it is evaluated.
#[derive(Debug)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Read(Fact),
    Has(Fact),
    Not(Box<Node>),
    Any(Vec<Node>),
    All(Vec<Node>),
    Equal(Box<Node>, Box<Node>),
    Order(Order, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Search(Search, Box<Node>, Box<Node>),
    Size(Box<Node>),
    ToText(Box<Node>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Search {
    Starts,
    Ends,
    Contains,
}

/// The facts without which a condition has no answer.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// It reads `resource.patient` and never asks with `has()` whether there is one.
    pub(crate) patient: bool,
    /// It reads the principal or the resource's tenant.
    pub(crate) caller: bool,
    /// The `path.NAME` that it reads.
    pub(crate) params: BTreeSet<String>,
    asks_for_patient: bool,
}

/// Checks a tree.
pub(super) fn condition(tree: &Tree) -> Result<(Node, Reads), Vec<Fault>> {
    let mut checker = Checker { faults: Vec::new(), reads: Reads::default() };
    let root = checker.wanted(tree, Type::Bool, "a condition");
    let Checker { faults, mut reads } = checker;
    reads.patient &= !reads.asks_for_patient;
    match root {
        Some(root) if faults.is_empty() => Ok((root, reads)),
        _ => Err(faults),
    }
}

struct Checker {
    faults: Vec<Fault>,
    reads: Reads,
}

// `None` means that a fault was reported.
impl Checker {
    fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        self.faults.push(fault);
        None
    }

    /// Checks a node that has to be of one type; `what` is what it is for.
    fn wanted(&mut self, tree: &Tree, wanted: Type, what: &str) -> Option<Node> {
        let (node, found) = self.node(tree)?;
        if found.can_be(wanted) {
            return Some(node);
        }
        let message = format!("{what} is {}, and this is {}", wanted.word(), found.word());
        self.fault(Fault::new(tree.range.clone(), message))
    }

    fn node(&mut self, tree: &Tree) -> Option<(Node, Type)> {
        match &tree.kind {
            Kind::Bool(value) => Some((Node::Bool(*value), Type::Bool)),
            Kind::Int(value) => Some((Node::Int(*value), Type::Int)),
            Kind::Text(value) => Some((Node::Text(value.clone()), Type::Text)),
            Kind::List(elements) => self.list(elements, &tree.range),
            Kind::Name(words) => {
                let fact = self.fact(words, &tree.range)?;
                self.reads(&fact);
                let kind = fact.kind();
                Some((Node::Read(fact), kind))
            }
            Kind::Call { target, function, arguments } => {
                self.call(target.as_deref(), function, arguments, &tree.range)
            }
            Kind::Not(inner) => {
                let inner = self.wanted(inner, Type::Bool, "what `!` turns round")?;
                Some((Node::Not(Box::new(inner)), Type::Bool))
            }
            Kind::Any(parts) => Some((Node::Any(self.parts(parts, "each side of `||`")?), Type::Bool)),
            Kind::All(parts) => Some((Node::All(self.parts(parts, "each side of `&&`")?), Type::Bool)),
            Kind::Pair { operator, left, right } => self.pair(*operator, left, right),
        }
    }

    fn parts(&mut self, parts: &[Tree], what: &str) -> Option<Vec<Node>> {
        // Collected before they are asked whether all are right, so that each is looked at.
        let checked: Vec<_> = parts.iter().map(|part| self.wanted(part, Type::Bool, what)).collect();
        checked.into_iter().collect()
    }

    fn list(&mut self, elements: &[Tree], range: &Range<usize>) -> Option<(Node, Type)> {
        let mut texts = Vec::new();
        let mut ints = Vec::new();
        for element in elements {
            match &element.kind {
                Kind::Text(text) => texts.push(text.clone()),
                Kind::Int(number) => ints.push(*number),
                Kind::Bool(_)
                | Kind::List(_)
                | Kind::Name(_)
                | Kind::Call { .. }
                | Kind::Not(_)
                | Kind::Any(_)
                | Kind::All(_)
                | Kind::Pair { .. } => {
                    return self.fault(
                        Fault::new(element.range.clone(), "a list holds texts or numbers as they are")
                            .help("compare with names one by one, with `||`"),
                    );
                }
            }
        }
        match (texts.is_empty(), ints.is_empty()) {
            (false, true) => Some((Node::Texts(texts), Type::Texts)),
            (true, false) => Some((Node::Ints(ints), Type::Ints)),
            (true, true) => self.fault(Fault::new(range.clone(), "nothing is in an empty list")),
            (false, false) => self.fault(Fault::new(range.clone(), "a list holds texts or numbers, not both")),
        }
    }

    fn fact(&mut self, words: &[String], range: &Range<usize>) -> Option<Fact> {
        if let Some(fact) = Fact::named(words) {
            return Some(fact);
        }
        let name = words.join(".");
        let fault = Fault::new(range.clone(), format!("{} is not known", quoted(&name)));
        let known = KNOWN.iter().map(|(name, _)| *name).chain(["principal.claims", "path"]);
        let fault = match (words, nearest(&name, known.clone())) {
            ([principal, claims, ..], _) if principal == "principal" && claims == "claims" => {
                fault.help("a claim has one name, as in `principal.claims.npi`")
            }
            ([path, ..], _) if path == "path" => fault.help("a segment has one name, as in `path.patient`"),
            (_, Some(near)) => fault.help(format!("did you mean `{near}`?")),
            (_, None) => {
                let all = KNOWN.iter().map(|(name, _)| *name).chain(["principal.claims.NAME", "path.NAME"]);
                fault.help(format!("there are {}", list(all, "and")))
            }
        };
        self.fault(fault)
    }

    fn reads(&mut self, fact: &Fact) {
        match fact {
            Fact::Patient => {
                self.reads.patient = true;
                self.reads.caller = true;
            }
            Fact::Param(name) => {
                self.reads.params.insert(name.clone());
            }
            Fact::Subject
            | Fact::Issuer
            | Fact::Client
            | Fact::PrincipalTenant
            | Fact::Roles
            | Fact::Claim(_)
            | Fact::ResourceTenant => self.reads.caller = true,
            Fact::Method | Fact::Ip | Fact::Now => {}
        }
    }

    fn pair(&mut self, operator: Operator, left: &Tree, right: &Tree) -> Option<(Node, Type)> {
        let order = match operator {
            Operator::Equal => return self.equal(left, right).map(|node| (node, Type::Bool)),
            Operator::Unequal => return self.equal(left, right).map(|node| (Node::Not(Box::new(node)), Type::Bool)),
            Operator::In => return self.within(left, right),
            Operator::Less => Order::Less,
            Operator::LessOrEqual => Order::LessOrEqual,
            Operator::Greater => Order::Greater,
            Operator::GreaterOrEqual => Order::GreaterOrEqual,
        };
        let what = "what `<` and `>` compare";
        let (left, right) = (self.wanted(left, Type::Int, what), self.wanted(right, Type::Int, what));
        Some((Node::Order(order, Box::new(left?), Box::new(right?)), Type::Bool))
    }

    fn equal(&mut self, left: &Tree, right: &Tree) -> Option<Node> {
        let range = left.range.start..right.range.end;
        let (left, right) = (self.node(left), self.node(right));
        let ((left, one), (right, other)) = (left?, right?);
        if one.is_list() || other.is_list() {
            return self.fault(Fault::new(range, "lists are not compared").help("`in` looks into a list"));
        }
        if !one.can_be(other) {
            let message = format!("{} never equals {}", one.word(), other.word());
            return self.fault(Fault::new(range, message).help("`string()` makes a text of a number"));
        }
        Some(Node::Equal(Box::new(left), Box::new(right)))
    }

    fn within(&mut self, left: &Tree, right: &Tree) -> Option<(Node, Type)> {
        let range = left.range.start..right.range.end;
        let (left, right) = (self.node(left), self.node(right));
        let ((left, one), (right, many)) = (left?, right?);
        let fits = match many {
            Type::Texts => one.can_be(Type::Text),
            Type::Ints => one.can_be(Type::Int),
            Type::Unknown => one.can_be(Type::Text),
            Type::Bool | Type::Int | Type::Text => false,
        };
        if !fits {
            let message = format!("{} is never in {}", one.word(), many.word());
            return self.fault(Fault::new(range, message).help("`in` looks for a value in a list"));
        }
        Some((Node::In(Box::new(left), Box::new(right)), Type::Bool))
    }

    fn call(
        &mut self,
        target: Option<&Tree>,
        function: &str,
        arguments: &[Tree],
        range: &Range<usize>,
    ) -> Option<(Node, Type)> {
        let search = match function {
            "startsWith" => Some(Search::Starts),
            "endsWith" => Some(Search::Ends),
            "contains" => Some(Search::Contains),
            _ => None,
        };
        match (search, target, arguments) {
            (Some(search), Some(text), [part]) => {
                let what = format!("what `{function}` looks at");
                let (text, part) = (self.wanted(text, Type::Text, &what), self.wanted(part, Type::Text, &what));
                Some((Node::Search(search, Box::new(text?), Box::new(part?)), Type::Bool))
            }
            (Some(_), _, _) => self.fault(
                Fault::new(range.clone(), format!("`{function}` is asked of one text about another"))
                    .help(format!("as in `client.ip.{function}('10.')`")),
            ),
            (None, None, [value]) => self.function(function, value, range),
            (None, _, _) => self.unknown(function, range),
        }
    }

    fn function(&mut self, function: &str, value: &Tree, range: &Range<usize>) -> Option<(Node, Type)> {
        match function {
            "has" => self.has(value),
            "size" => {
                let (node, found) = self.node(value)?;
                if matches!(found, Type::Bool | Type::Int) {
                    let message = format!("`size` counts a text or a list, and this is {}", found.word());
                    return self.fault(Fault::new(value.range.clone(), message));
                }
                Some((Node::Size(Box::new(node)), Type::Int))
            }
            "string" => {
                let (node, found) = self.node(value)?;
                if found.is_list() {
                    return self.fault(Fault::new(value.range.clone(), "`string` makes no text of a list"));
                }
                Some((Node::ToText(Box::new(node)), Type::Text))
            }
            _ => self.unknown(function, range),
        }
    }

    fn has(&mut self, value: &Tree) -> Option<(Node, Type)> {
        let Kind::Name(words) = &value.kind else {
            return self.fault(Fault::new(value.range.clone(), "`has` asks for a name"));
        };
        let fact = self.fact(words, &value.range)?;
        if !fact.may_be_missing() {
            return self.fault(Fault::new(value.range.clone(), format!("`{fact}` is always there")));
        }
        self.reads(&fact);
        self.reads.asks_for_patient |= fact == Fact::Patient;
        Some((Node::Has(fact), Type::Bool))
    }

    fn unknown(&mut self, function: &str, range: &Range<usize>) -> Option<(Node, Type)> {
        let known = ["startsWith", "endsWith", "contains", "size", "string", "has"];
        let fault = Fault::new(range.clone(), format!("{} is no function here", quoted(function)));
        let help = match (function, nearest(function, known)) {
            ("all" | "exists" | "exists_one" | "map" | "filter", _) => "conditions have no loops".to_owned(),
            ("matches", _) => "there are no patterns; use `startsWith`, `endsWith` or `contains`".to_owned(),
            (_, Some(near)) if near != function => format!("did you mean `{near}`?"),
            _ => "`a.startsWith(b)`, `a.endsWith(b)`, `a.contains(b)`, `size(a)`, `string(a)` and `has(a)`".to_owned(),
        };
        self.fault(fault.help(help))
    }
}
