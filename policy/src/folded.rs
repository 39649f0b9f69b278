//! Routes as a careless application tells them apart: without case, trailing slashes, dots, spaces and format suffixes.
//!
//! Decides whether a path is the look-alike of a route that is more specific than the one it fits: `/admin/`, `/Admin` and
//! `/admin.json` beside a route `/admin` and a wider `/**`. Many frameworks would run the stricter page for them, so the
//! wider route must not judge them. It never finds a route: that is done by the exact path alone.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::template::{Segment, Template};

/// The longest part behind a dot that frameworks take for a format, in bytes.
const LONGEST_SUFFIX: usize = 5;

/// The routes by their folded paths.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    root: Branch,
}

#[derive(Debug, Default)]
struct Branch {
    literals: HashMap<String, Branch>,
    param: Option<Box<Branch>>,
    /// The routes that end here; several where only case or a slash tells them apart.
    here: Vec<usize>,
    rest: Vec<usize>,
}

impl Folded {
    /// Adds the route at place `at` of the table.
    pub(crate) fn insert(&mut self, at: usize, template: &Template) {
        let mut branch = &mut self.root;
        for segment in template.segments() {
            match segment {
                // The one that stands for a trailing slash.
                Segment::Literal(text) if text.is_empty() => {}
                Segment::Literal(text) => branch = branch.literals.entry(folded(text)).or_default(),
                Segment::Param(_) => branch = branch.param.get_or_insert_default(),
                Segment::Rest => return branch.rest.push(at),
            }
        }
        branch.here.push(at);
    }

    /// Whether a careless reader would take `path` for a route that is more specific than `exact`, which it fits.
    pub(crate) fn has_stricter(&self, exact: usize, path: &[Cow<'_, str>]) -> bool {
        let mut path: Vec<String> = path.iter().map(|segment| folded(segment)).collect();
        while path.last().is_some_and(String::is_empty) {
            path.pop();
        }
        if !self.root.find(&path).contains(&exact) {
            return true;
        }
        let Some(stem) = path.last().and_then(|last| without_suffix(last)).map(str::to_owned) else { return false };
        if let Some(last) = path.last_mut() {
            *last = stem;
        }
        !self.root.find(&path).contains(&exact)
    }
}

impl Branch {
    fn find(&self, path: &[String]) -> &[usize] {
        let Some((first, others)) = path.split_first() else {
            return if self.here.is_empty() { &self.rest } else { &self.here };
        };
        let literal = self.literals.get(first).map_or(&[][..], |branch| branch.find(others));
        if !literal.is_empty() {
            return literal;
        }
        let param = self.param.as_ref().filter(|_| !first.is_empty()).map_or(&[][..], |branch| branch.find(others));
        if param.is_empty() { &self.rest } else { param }
    }
}

/// A segment without case, and without the dots and spaces at its end that some file systems drop.
fn folded(segment: &str) -> String {
    segment.trim_end_matches(['.', ' ']).to_lowercase()
}

/// A segment without what looks like a format: `7.json` is `7`.
fn without_suffix(segment: &str) -> Option<&str> {
    let (stem, suffix) = segment.rsplit_once('.')?;
    let format =
        (1..=LONGEST_SUFFIX).contains(&suffix.len()) && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (format && !stem.is_empty()).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(templates: &[&str]) -> Folded {
        let mut table = Folded::default();
        for (at, text) in templates.iter().enumerate() {
            table.insert(at, &Template::parse(text).unwrap_or_else(|_| panic!("{text}")));
        }
        table
    }

    fn stricter(table: &Folded, exact: usize, path: &str) -> bool {
        let path: Vec<_> = path.split('/').skip(1).map(Cow::Borrowed).collect();
        table.has_stricter(exact, &path)
    }

    #[test]
    fn a_look_alike_of_a_stricter_route_is_seen() {
        let table = table(&["/w/**", "/w/admin", "/w/admin/{id}/del"]);
        for path in
            ["/w/admin/", "/w/Admin", "/w/ADMIN/7/del", "/w/admin/7/del/", "/w/admin.json", "/w/admin ", "/w/admin."]
        {
            assert!(stricter(&table, 0, path), "{path}");
        }
        for path in ["/w", "/w/", "/w/other", "/w/Other/", "/w/administrator", "/w/admin/7", "/w/x.json", "/w/a/admin"]
        {
            assert!(!stricter(&table, 0, path), "{path}");
        }
        assert!(!stricter(&table, 1, "/w/admin"));
        assert!(!stricter(&table, 2, "/w/admin/7/del"));
        assert!(!stricter(&table, 2, "/w/admin/Seven.PDF/del"));
    }

    #[test]
    fn a_name_in_braces_does_not_take_the_look_alike_of_a_literal() {
        let table = table(&["/patients/{id}", "/patients/new"]);
        assert!(stricter(&table, 0, "/patients/New"));
        assert!(stricter(&table, 0, "/patients/new.json"));
        assert!(!stricter(&table, 0, "/patients/newton"));
        assert!(!stricter(&table, 0, "/patients/P-7.pdf"));
    }

    #[test]
    fn two_routes_that_only_case_or_a_slash_tells_apart_are_both_exact() {
        let table = table(&["/a", "/a/", "/A"]);
        for exact in 0..3 {
            assert!(!stricter(&table, exact, "/a"));
        }
    }
}
