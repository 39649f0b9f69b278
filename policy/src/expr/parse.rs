//! From text to a tree: the grammar of CEL, as far as conditions use it.
//!
//! Our own, because a general parser of CEL recurses some forty frames for one bracket, and a policy must not be able
//! to overflow a stack. Everything accepted here is CEL with the same meaning; a test holds it against another parser.

use super::token::{Placed, Token, tokens, unexpected};
use super::{Condition, Fault, quoted};
use std::ops::Range;

/// A tree as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Tree>),
    /// `a.b.c`
    Name(Vec<String>),
    /// `f(a)` or `target.f(a)`
    Call {
        target: Option<Box<Tree>>,
        function: String,
        arguments: Vec<Tree>,
    },
    Not(Box<Tree>),
    Any(Vec<Tree>),
    All(Vec<Tree>),
    Pair {
        operator: Operator,
        left: Box<Tree>,
        right: Box<Tree>,
    },
}

/// What stands between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// Reads a text of at most 1,024 bytes into a tree of at most 200 nodes.
pub(super) fn tree(text: &str) -> Result<Tree, Fault> {
    if text.len() > Condition::LONGEST {
        return Err(Fault::new(0..text.len(), "the condition is too long").help("at most 1,024 bytes"));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, nodes: 0, depth: 0 };
    let tree = parser.any()?;
    match parser.peek() {
        (Token::End, _) => Ok(tree),
        (_, range) => Err(unexpected(text, range.clone())),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Placed],
    at: usize,
    nodes: usize,
    depth: usize,
}

static NOTHING: Placed = (Token::End, 0..0);

impl<'t> Parser<'t> {
    fn peek(&self) -> &'t Placed {
        self.tokens.get(self.at).or(self.tokens.last()).unwrap_or(&NOTHING)
    }

    fn next(&mut self) -> &'t Placed {
        let token = self.peek();
        self.at = self.at.saturating_add(1);
        token
    }

    fn sees(&self, sign: &str) -> bool {
        matches!(&self.peek().0, Token::Sign(found) if *found == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let seen = self.sees(sign);
        if seen {
            self.next();
        }
        seen
    }

    fn node(&mut self, range: Range<usize>, kind: Kind) -> Result<Tree, Fault> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > Condition::MOST_NODES {
            return Err(Fault::new(0..self.text.len(), "the condition is too large").help("at most 200 parts"));
        }
        Ok(Tree { range, kind })
    }

    /// `a || b || c`. Every bracket comes through here, so that this is where depth is counted.
    fn any(&mut self) -> Result<Tree, Fault> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > Condition::DEEPEST {
            let (_, range) = self.peek();
            return Err(Fault::new(range.clone(), "brackets stand too deep in brackets").help("at most 24"));
        }
        let tree = self.chain("||", Self::all, Kind::Any);
        self.depth = self.depth.saturating_sub(1);
        tree
    }

    /// `a && b && c`
    fn all(&mut self) -> Result<Tree, Fault> {
        self.chain("&&", Self::pair, Kind::All)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Tree, Fault>,
        kind: fn(Vec<Tree>) -> Kind,
    ) -> Result<Tree, Fault> {
        let first = part(self)?;
        if !self.sees(sign) {
            return Ok(first);
        }
        let start = first.range.start;
        let mut end = first.range.end;
        let mut parts = vec![first];
        while self.takes(sign) {
            let next = part(self)?;
            end = next.range.end;
            parts.push(next);
        }
        self.node(start..end, kind(parts))
    }

    /// `a == b`
    fn pair(&mut self) -> Result<Tree, Fault> {
        let left = self.not()?;
        let Some(operator) = self.operator() else { return Ok(left) };
        self.next();
        let right = self.not()?;
        if self.operator().is_some() {
            let (_, range) = self.peek();
            return Err(
                Fault::new(range.clone(), "two comparisons in a row").help("compare two values at a time, with `&&`")
            );
        }
        let range = left.range.start..right.range.end;
        self.node(range, Kind::Pair { operator, left: Box::new(left), right: Box::new(right) })
    }

    fn operator(&self) -> Option<Operator> {
        match &self.peek().0 {
            Token::Sign("==") => Some(Operator::Equal),
            Token::Sign("!=") => Some(Operator::Unequal),
            Token::Sign("<") => Some(Operator::Less),
            Token::Sign("<=") => Some(Operator::LessOrEqual),
            Token::Sign(">") => Some(Operator::Greater),
            Token::Sign(">=") => Some(Operator::GreaterOrEqual),
            Token::Word(word) if word == "in" => Some(Operator::In),
            Token::Word(_) | Token::Int(_) | Token::Text(_) | Token::Sign(_) | Token::End => None,
        }
    }

    /// `!a`
    fn not(&mut self) -> Result<Tree, Fault> {
        let (_, range) = self.peek();
        if !self.takes("!") {
            return self.value();
        }
        if self.sees("!") {
            let (_, second) = self.peek();
            return Err(Fault::new(range.start..second.end, "`!!` says nothing").help("leave both out"));
        }
        let inner = self.value()?;
        self.node(range.start..inner.range.end, Kind::Not(Box::new(inner)))
    }

    /// A value and what is called on it.
    fn value(&mut self) -> Result<Tree, Fault> {
        let mut tree = self.single()?;
        while self.takes(".") {
            let (word, range) = self.word()?;
            let start = tree.range.start;
            tree = if self.sees("(") {
                let arguments = self.arguments("(", ")")?;
                let end = self.behind();
                self.node(start..end, Kind::Call { target: Some(Box::new(tree)), function: word, arguments })?
            } else if let Kind::Name(mut words) = tree.kind {
                words.push(word);
                Tree { range: start..range.end, kind: Kind::Name(words) }
            } else {
                return Err(Fault::new(
                    range,
                    format!("only a name has parts, and {} is asked for one", quoted(&word)),
                ));
            };
        }
        Ok(tree)
    }

    fn single(&mut self) -> Result<Tree, Fault> {
        let (token, range) = self.next();
        match token {
            Token::Word(word) if is_keyword(word) => self.keyword(word, range),
            Token::Word(word) if self.sees("(") => {
                let arguments = self.arguments("(", ")")?;
                let end = self.behind();
                self.node(range.start..end, Kind::Call { target: None, function: word.clone(), arguments })
            }
            Token::Word(word) => self.node(range.clone(), Kind::Name(vec![word.clone()])),
            Token::Text(text) => self.node(range.clone(), Kind::Text(text.clone())),
            Token::Int(number) => self.int(i128::from(*number), range.clone()),
            Token::Sign("-") => match self.peek() {
                (Token::Int(number), digits) => {
                    self.next();
                    self.int(-i128::from(*number), range.start..digits.end)
                }
                _ => Err(unexpected(self.text, range.clone())),
            },
            Token::Sign("(") => {
                let inner = self.any()?;
                self.expect(")")?;
                Ok(Tree { range: range.start..self.behind(), kind: inner.kind })
            }
            Token::Sign("[") => {
                self.at = self.at.saturating_sub(1);
                let elements = self.arguments("[", "]")?;
                let end = self.behind();
                self.node(range.start..end, Kind::List(elements))
            }
            Token::Sign(_) => Err(unexpected(self.text, range.clone())),
            Token::End => Err(Fault::new(range.clone(), "the condition ends where a value was to come")),
        }
    }

    fn keyword(&mut self, word: &str, range: &Range<usize>) -> Result<Tree, Fault> {
        match word {
            "true" => self.node(range.clone(), Kind::Bool(true)),
            "false" => self.node(range.clone(), Kind::Bool(false)),
            "null" => Err(Fault::new(range.clone(), "nothing is ever `null` here")
                .help("`has(principal.claims.name)` asks whether something is there")),
            _ => Err(unexpected(self.text, range.clone())),
        }
    }

    fn int(&mut self, number: i128, range: Range<usize>) -> Result<Tree, Fault> {
        match i64::try_from(number) {
            Ok(number) => self.node(range, Kind::Int(number)),
            Err(_) => Err(Fault::new(range, "the number does not fit 64 bits")),
        }
    }

    fn word(&mut self) -> Result<(String, Range<usize>), Fault> {
        match self.next() {
            (Token::Word(word), range) if !is_keyword(word) => Ok((word.clone(), range.clone())),
            (_, range) => Err(Fault::new(range.clone(), "a name was to come after the `.`")),
        }
    }

    /// `(a, b)` or `[a, b]`
    fn arguments(&mut self, open: &str, close: &str) -> Result<Vec<Tree>, Fault> {
        self.expect(open)?;
        let mut found = Vec::new();
        if self.takes(close) {
            return Ok(found);
        }
        loop {
            found.push(self.any()?);
            if !self.takes(",") {
                self.expect(close)?;
                return Ok(found);
            }
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes(sign) {
            return Ok(());
        }
        match self.peek() {
            (Token::End, range) => Err(Fault::new(range.clone(), format!("`{sign}` is missing at the end"))),
            (_, range) => Err(unexpected(self.text, range.clone())),
        }
    }

    /// Where the token before ends.
    fn behind(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(self.text.len(), |(_, range)| range.end)
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "true" | "false" | "null" | "in")
}
