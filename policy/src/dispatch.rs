//! Routes on one path that parameters of the query tell apart: `/index.php?page=edit`.
//!
//! Decides which of them a request means. It never guesses: a parameter that any of them reads must stand at most once and
//! in its own spelling, and a value that a careless application could take for one of theirs picks none.

use crate::facts::{Occurs, RequestFacts};
use crate::route::Route;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The parameters that a route asks for, each by its name with its value. Without any, it takes every request.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The routes of one path.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// By their places in the table; never empty once built.
    members: Vec<usize>,
    /// Every parameter that one of them asks for.
    names: BTreeSet<String>,
}

/// Which of the routes of a path a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// The one at this place in the table.
    Route(usize),
    /// None of them.
    Nothing,
    /// Two readers would see two.
    Unclear,
}

impl Group {
    /// Adds a route.
    pub(crate) fn insert(&mut self, at: usize, parameters: &Parameters) {
        self.members.push(at);
        self.names.extend(parameters.keys().cloned());
    }

    /// Every parameter that one of them asks for.
    pub(crate) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// The route that a request means: of those whose parameters it has, the one that asks for most. The compiler refuses
    /// groups in which that could be two.
    pub(crate) fn pick(&self, routes: &[Route], request: &dyn RequestFacts) -> Picked {
        let mut said: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for name in &self.names {
            match request.query(name) {
                Occurs::Absent => {}
                Occurs::Once(value) => drop(said.insert(name, value)),
                Occurs::Repeated => return Picked::Unclear,
            }
        }
        let members = || self.members.iter().filter_map(|at| Some((*at, &routes.get(*at)?.parameters)));
        for (name, value) in &said {
            let asked = || members().filter_map(|(_, parameters)| parameters.get(*name));
            if !asked().any(|one| one == value) && asked().any(|one| is_alike(value, one)) {
                return Picked::Nothing;
            }
        }
        let meant = members()
            .filter(|(_, parameters)| {
                parameters.iter().all(|(name, value)| said.get(name.as_str()).is_some_and(|one| one == value))
            })
            .max_by_key(|(_, parameters)| parameters.len());
        meant.map_or(Picked::Nothing, |(at, _)| Picked::Route(at))
    }
}

/// Whether a careless application could take `value` for `asked`: without case, signs and spaces, without a format suffix,
/// or as the number that it begins with.
fn is_alike(value: &str, asked: &str) -> bool {
    let stem = |text: &str| loosely(text.rsplit_once('.').map_or(text, |(stem, _)| stem));
    let wanted = loosely(asked);
    loosely(value) == wanted || (value.contains('.') && stem(value) == wanted) || is_number(value, asked)
}

/// Whether `asked` is a number, and `value` one that loose typing takes for the same: `07`, ` 7`, `+7`, `7.0`, `7x`.
fn is_number(value: &str, asked: &str) -> bool {
    let digits = |text: &str| -> String {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '+');
        let number: String = text.chars().take_while(char::is_ascii_digit).collect();
        match number.trim_start_matches('0') {
            "" if !number.is_empty() => "0".to_owned(),
            significant => significant.to_owned(),
        }
    };
    !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) && digits(value) == digits(asked)
}

/// Letters and digits alone, in lower case.
pub(crate) fn loosely(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether some request has the parameters of both, and neither asks for more than the other: it would mean two routes.
pub(crate) fn tie(one: &Parameters, other: &Parameters) -> bool {
    let agree = one.iter().all(|(name, value)| other.get(name).is_none_or(|their| their == value));
    let within = |small: &Parameters, large: &Parameters| small.keys().all(|name| large.contains_key(name));
    agree && !(within(one, other) && one.len() < other.len()) && !(within(other, one) && other.len() < one.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn two_that_one_request_could_mean_are_a_tie() {
        let none = parameters(&[]);
        let edit = parameters(&[("page", "edit")]);
        let view = parameters(&[("page", "view")]);
        let save = parameters(&[("do", "save")]);
        let both = parameters(&[("page", "edit"), ("do", "save")]);
        for (one, other, tied) in [
            (&none, &none, true),
            (&edit, &edit, true),
            (&edit, &save, true),
            (&none, &edit, false),
            (&edit, &view, false),
            (&edit, &both, false),
            (&view, &both, false),
        ] {
            assert_eq!((tie(one, other), tie(other, one)), (tied, tied), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_value_that_loose_typing_takes_for_another_is_its_look_alike() {
        for value in ["EDIT", "edit ", " edit", "edit.php", "Edit.html", "./edit", "edit/", "e-dit", "edit\u{a0}"] {
            assert!(is_alike(value, "edit"), "{value:?}");
        }
        for value in ["07", " 7", "+7", "7.0", "7x", "7 "] {
            assert!(is_alike(value, "7"), "{value:?}");
        }
        for (value, asked) in
            [("editor", "edit"), ("view", "edit"), ("", "edit"), ("70", "7"), ("x7", "7"), ("17", "7"), ("x", "0")]
        {
            assert!(!is_alike(value, asked), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn without_ties_the_most_specific_is_one(
            sets in prop::collection::vec(prop::collection::btree_map("[ab]", "[xy]", 0..3), 1..6),
            request in prop::collection::btree_map("[ab]", "[xy]", 0..3),
        ) {
            let free: Vec<&Parameters> = sets.iter().enumerate()
                .filter(|(at, one)| sets.iter().take(*at).all(|other| !tie(one, other))).map(|(_, one)| one).collect();
            let fits: Vec<_> = free.iter().filter(|one| one.iter().all(|(name, value)| request.get(name) == Some(value))).collect();
            let most = fits.iter().map(|one| one.len()).max();
            prop_assert!(fits.iter().filter(|one| Some(one.len()) == most).count() <= 1);
        }
    }
}
