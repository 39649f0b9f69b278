//! Routes on one path that parameters of the query or of a form tell apart: `/index.php?page=edit`.
//!
//! Decides which of them a request means. It never guesses: a parameter that any of them reads must stand at most once, in
//! one place and in its own spelling, and a value that a careless application could take for one of theirs picks none.

use crate::facts::{Occurs, RequestFacts};
use crate::raw::Mode;
use crate::route::{Demand, Route};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Where a parameter stands that picks a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// In the query.
    Query,
    /// In the form that is the body.
    Form,
}

/// A parameter that a route asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// The parameters that a route asks for, each with its value. Without any, it takes every request.
pub(crate) type Parameters = BTreeMap<Parameter, String>;

/// The routes of one path.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// By their places in the table; never empty once built.
    members: Vec<usize>,
    /// Every parameter that one of them asks for.
    names: BTreeSet<Parameter>,
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

/// What the routes of a path have to know of a form before one of them is picked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormAsked {
    /// The fields that one of them asks for, each once.
    pub fields: Vec<String>,
    /// Whether the form could pick one, by what the query says. Where not, a body that is no form picks none either.
    pub decides: bool,
    /// Whether one of them lets a caller pass whom nobody knows, with a method that a form can have.
    pub open: bool,
}

/// The methods that a request with a form can have, those among them that a POST becomes.
const WITH_FORM: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

impl Group {
    /// Adds a route.
    pub(crate) fn insert(&mut self, at: usize, parameters: &Parameters) {
        self.members.push(at);
        self.names.extend(parameters.keys().cloned());
    }

    /// Every parameter that one of them asks for.
    pub(crate) fn names(&self) -> &BTreeSet<Parameter> {
        &self.names
    }

    fn routes<'r>(&self, routes: &'r [Route]) -> impl Iterator<Item = (usize, &'r Route)> {
        self.members.iter().filter_map(|at| Some((*at, routes.get(*at)?)))
    }

    /// Whether one of them asks for `name` there.
    fn asks(&self, source: Source, name: &str) -> bool {
        self.names.iter().any(|one| one.source == source && one.name == name)
    }

    /// What they have to know of a form.
    pub(crate) fn form(&self, routes: &[Route], request: &dyn RequestFacts) -> FormAsked {
        let in_form = |parameter: &&Parameter| parameter.source == Source::Form;
        let fields = self.names.iter().filter(in_form).map(|one| one.name.clone()).collect();
        let fits = |route: &Route| {
            route.query().all(|(name, value)| match request.query(name) {
                Occurs::Absent => false,
                Occurs::Once(said) => said == value,
                Occurs::Repeated => true,
            })
        };
        let is_open = |route: &Route| {
            let public = |demand: &Demand| match demand {
                Demand::Public => true,
                Demand::Authenticated | Demand::Act(_) => false,
            };
            route.mode == Mode::Observe
                || route.methods.each().any(|(method, demand)| WITH_FORM.contains(&method) && public(demand))
        };
        FormAsked {
            fields,
            decides: self.routes(routes).any(|(_, route)| route.form().next().is_some() && fits(route)),
            open: self.routes(routes).any(|(_, route)| is_open(route)),
        }
    }

    /// What a request says of the parameters. `None` where a careless reader could take it for something else: more than
    /// once, in two places, or in one where nobody asks for it and an application may look all the same.
    fn said<'r>(&self, request: &'r dyn RequestFacts) -> Option<BTreeMap<&Parameter, Cow<'r, str>>> {
        let mut said = BTreeMap::new();
        for parameter in &self.names {
            let other = match parameter.source {
                Source::Query if self.asks(Source::Form, &parameter.name) => request.form(&parameter.name),
                // What stands in the body is seen when it passes.
                Source::Query => Occurs::Absent,
                Source::Form => request.query(&parameter.name),
            };
            let here = match parameter.source {
                Source::Query => request.query(&parameter.name),
                Source::Form => request.form(&parameter.name),
            };
            let both = self.asks(Source::Query, &parameter.name) && self.asks(Source::Form, &parameter.name);
            match (here, other) {
                (Occurs::Absent, Occurs::Absent) => {}
                (Occurs::Once(value), Occurs::Absent) => drop(said.insert(parameter, value)),
                // It is looked at where it stands.
                (Occurs::Absent, Occurs::Once(_)) if both => {}
                (Occurs::Absent | Occurs::Once(_) | Occurs::Repeated, _) => return None,
            }
        }
        Some(said)
    }

    /// The route that a request means: of those whose parameters it has, the one that asks for most. The compiler refuses
    /// groups in which that could be two.
    pub(crate) fn pick(&self, routes: &[Route], request: &dyn RequestFacts) -> Picked {
        let Some(said) = self.said(request) else { return Picked::Unclear };
        let members = || self.routes(routes).map(|(at, route)| (at, &route.parameters));
        for (parameter, value) in &said {
            let asked = || members().flat_map(|(_, all)| all).filter(|(one, _)| one.name == parameter.name);
            let exact = asked().any(|(one, asked)| one.source == parameter.source && asked == value);
            // INVARIANT: what is asked for in a form alone must not come in by the query: many read the two as one.
            if !exact && asked().any(|(_, asked)| is_alike(value, asked)) {
                return Picked::Nothing;
            }
        }
        let meant = members()
            .filter(|(_, parameters)| {
                parameters.iter().all(|(parameter, value)| said.get(parameter).is_some_and(|one| one == value))
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

/// Whether some request has the parameters of both, and neither asks for more than the other: it would mean two routes. A
/// request that says one parameter in two places means none.
pub(crate) fn tie(one: &Parameters, other: &Parameters) -> bool {
    let agree = one.iter().all(|(parameter, value)| {
        let elsewhere = |their: &Parameter| their.name == parameter.name && their.source != parameter.source;
        other.get(parameter).is_none_or(|their| their == value) && !other.keys().any(elsewhere)
    });
    let within = |small: &Parameters, large: &Parameters| small.keys().all(|name| large.contains_key(name));
    agree && !(within(one, other) && one.len() < other.len()) && !(within(other, one) && other.len() < one.len())
}

#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(source: Source, pairs: &[(&str, &str)]) -> Parameters {
        let parameter = |name: &str| Parameter { name: name.to_owned(), source };
        pairs.iter().map(|(name, value)| (parameter(name), (*value).to_owned())).collect()
    }

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        of(Source::Query, pairs)
    }

    #[test]
    fn two_that_one_request_could_mean_are_a_tie() {
        let none = parameters(&[]);
        let edit = parameters(&[("page", "edit")]);
        let view = parameters(&[("page", "view")]);
        let save = parameters(&[("do", "save")]);
        let both = parameters(&[("page", "edit"), ("do", "save")]);
        let form = of(Source::Form, &[("page", "edit")]);
        let other = of(Source::Form, &[("do", "save")]);
        let mixed = edit.clone().into_iter().chain(other.clone()).collect();
        for (one, other, tied) in [
            (&none, &none, true),
            (&edit, &edit, true),
            (&edit, &save, true),
            (&none, &edit, false),
            (&edit, &view, false),
            (&edit, &both, false),
            (&view, &both, false),
            (&none, &form, false),
            (&form, &form, true),
            (&form, &edit, false),
            (&form, &both, false),
            (&other, &edit, true),
            (&other, &mixed, false),
            (&view, &mixed, false),
            (&save, &mixed, false),
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

    fn source() -> impl Strategy<Value = Source> {
        prop::sample::select(vec![Source::Query, Source::Form])
    }

    fn parameter() -> impl Strategy<Value = Parameter> {
        ("[ab]", source()).prop_map(|(name, source)| Parameter { name, source })
    }

    proptest! {
        #[test]
        fn without_ties_the_most_specific_is_one(
            sets in prop::collection::vec(prop::collection::btree_map(parameter(), "[xy]", 0..3), 1..6),
            request in prop::collection::btree_map("[ab]", (source(), "[xy]"), 0..3),
        ) {
            // A name stands in one place: in two it is refused before.
            let request: Parameters = request.into_iter().map(|(name, (source, value))| (Parameter { name, source }, value)).collect();
            let free: Vec<&Parameters> = sets.iter().enumerate()
                .filter(|(at, one)| sets.iter().take(*at).all(|other| !tie(one, other))).map(|(_, one)| one).collect();
            let fits: Vec<_> = free.iter().filter(|one| one.iter().all(|(name, value)| request.get(name) == Some(value))).collect();
            let most = fits.iter().map(|one| one.len()).max();
            prop_assert!(fits.iter().filter(|one| Some(one.len()) == most).count() <= 1);
        }
    }
}
