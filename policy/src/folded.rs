//! Routes as a careless application tells them apart: without case, marks, trailing slashes, dots, spaces and format
//! suffixes, and with what stands behind the name of a script taken for a path of its own.
//!
//! Decides whether a path is the look-alike of a route that is more specific than the one it fits: `/admin/`, `/Admin`,
//! `/admin.json` and `/index.php/admin` beside a route `/admin` and a wider `/**`. Many frameworks would run the stricter
//! page for them, so the wider route must not judge them. It never finds a route: that is done by the exact path alone. What
//! a route's path writes out is that route's own, whatever it looks like.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::letters::plain;
use crate::template::{Segment, Template};

/// Suffixes of scripts behind which servers pass on the rest of the path (`PATH_INFO`, RFC 3875, section 4.1.5).
const SCRIPTS: [&str; 17] = [
    "php", "php3", "php4", "php5", "php7", "php8", "phtml", "asp", "aspx", "ashx", "asmx", "cfm", "cfc", "cgi", "fcgi",
    "pl", "py",
];

/// A last segment with so many dots is nobody's: each of them could begin a format.
const MOST_DOTS: usize = 64;

/// Names of files that servers show for the folder that they stand in, without their suffix.
const INDEXES: [&str; 2] = ["index", "default"];

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

    /// Whether a careless reader would take `path` for a route that is more specific than `exact`, which it fits and whose
    /// path is `template`.
    pub(crate) fn has_stricter(&self, exact: usize, template: &Template, path: &[Cow<'_, str>]) -> bool {
        let path = careless(path);
        !self.root.find(&path).contains(&exact)
            || self.has_stricter_stem(exact, template, &path)
            || self.has_script_of_another(exact, template, &path)
    }

    /// Whether a careless reader finds a route for `path`, and it is not `exact`.
    pub(crate) fn leads_elsewhere(&self, exact: usize, path: &[Cow<'_, str>]) -> bool {
        let mut path = careless(path);
        if self.is_of_another(exact, &path) {
            return true;
        }
        let stem = path.pop().and_then(|last| last.rsplit_once('.').map(|(stem, _)| stem.to_owned()));
        path.extend(stem);
        self.is_of_another(exact, &path)
    }

    /// Whether the path without its format belongs to another route. Some take what stands behind the last dot for one, some
    /// what stands behind any.
    fn has_stricter_stem(&self, exact: usize, template: &Template, path: &[String]) -> bool {
        let Some((last, folder)) = path.split_last() else { return false };
        if template.names(folder.len()) {
            return false;
        }
        let dots: Vec<usize> = last.match_indices('.').map(|(at, _)| at).filter(|at| *at > 0).take(MOST_DOTS).collect();
        let mut stems = dots.iter().filter_map(|at| last.get(..*at));
        let mut another = |stem: &str| {
            let short: Vec<String> = folder.iter().cloned().chain([stem.to_owned()]).collect();
            !self.root.find(&short).contains(&exact)
        };
        dots.len() == MOST_DOTS || stems.any(&mut another) || (is_index(last) && self.is_of_another(exact, folder))
    }

    /// Whether the path names a script, and the script or what stands behind it belongs to another route.
    fn has_script_of_another(&self, exact: usize, template: &Template, path: &[String]) -> bool {
        let script = path.iter().position(|segment| is_script(segment));
        let Some(at) = script.filter(|at| at + 1 < path.len() && !template.names(*at)) else { return false };
        let (before, behind) = path.split_at(at);
        let Some((name, behind)) = behind.split_first() else { return false };
        let script: Vec<String> = before.iter().chain([name]).cloned().collect();
        let within: Vec<String> = before.iter().chain(behind).cloned().collect();
        self.is_of_another(exact, &script) || self.is_of_another(exact, &within) || self.is_of_another(exact, behind)
    }

    /// Whether there is a route for this path, and it is not `exact`.
    fn is_of_another(&self, exact: usize, path: &[String]) -> bool {
        let found = self.root.find(path);
        !found.is_empty() && !found.contains(&exact)
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

/// The segments of a path as a careless reader sees them.
fn careless(path: &[Cow<'_, str>]) -> Vec<String> {
    let mut path: Vec<String> = path.iter().map(|segment| folded(segment)).collect();
    while path.last().is_some_and(String::is_empty) {
        path.pop();
    }
    path
}

/// A segment in its loosest reading, without the spaces around it that some take off, and without the dots and spaces at
/// its end that some file systems drop.
fn folded(segment: &str) -> String {
    plain(segment).trim_start_matches(' ').trim_end_matches(['.', ' ']).to_owned()
}

fn is_script(segment: &str) -> bool {
    segment.rsplit_once('.').is_some_and(|(stem, suffix)| !stem.is_empty() && SCRIPTS.contains(&suffix))
}

fn is_index(segment: &str) -> bool {
    segment.split_once('.').is_some_and(|(stem, _)| INDEXES.contains(&stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(templates: &[&str]) -> (Folded, Vec<Template>) {
        let mut table = Folded::default();
        let templates: Vec<Template> =
            templates.iter().map(|text| Template::parse(text).unwrap_or_else(|_| panic!("{text}"))).collect();
        for (at, template) in templates.iter().enumerate() {
            table.insert(at, template);
        }
        (table, templates)
    }

    fn stricter(table: &(Folded, Vec<Template>), exact: usize, path: &str) -> bool {
        let path: Vec<_> = path.split('/').skip(1).map(Cow::Borrowed).collect();
        table.0.has_stricter(exact, &table.1[exact], &path)
    }

    #[test]
    fn a_look_alike_of_a_stricter_route_is_seen() {
        let table = table(&["/w/**", "/w/admin", "/w/admin/{id}/del"]);
        for path in [
            "/w/admin/",
            "/w/Admin",
            "/w/ADMIN/7/del",
            "/w/admin/7/del/",
            "/w/admin.json",
            "/w/admin ",
            "/w/admin.",
            "/w/admin.a.b",
            "/w/admin.calendar",
        ] {
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
    fn what_unicode_hides_is_seen() {
        let table = table(&["/w/**", "/w/admin", "/w/{name}/notes", "/w/new/notes", "/w/Müller"]);
        for path in [
            "/w/admin\u{a0}",
            "/w/ admin",
            "/w/\u{3000}admin",
            "/w/admin\u{200b}",
            "/w/ad\u{ad}min",
            "/w/ａｄｍｉｎ",
            "/ｗ/admin",
            "/w/ádmin",
            "/w/\u{202e}admin",
            "/w/admin．json",
            "/w/muller",
        ] {
            assert!(stricter(&table, 0, path), "{path:?}");
        }
        assert!(stricter(&table, 2, "/w/nèw/notes"));
        assert!(stricter(&table, 2, "/w/\u{200b}/notes"), "it may be no name at all");
        for path in ["/w/報告", "/w/é.pdf", "/w/аdmin", "/w/山田　太郎", "/w/ädministrator"] {
            assert!(!stricter(&table, 0, path), "{path:?}");
        }
        assert!(!stricter(&table, 2, "/w/Zoë Müller/notes"));
        assert!(!stricter(&table, 4, "/w/Müller"), "what a route writes out is its own");
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

    #[test]
    fn what_stands_behind_a_script_is_seen() {
        let table = table(&["/**", "/", "/admin", "/app/list.php", "/app/**", "/cgi/run.cgi/**"]);
        for path in
            ["/index.php", "/index.php/", "/Index.html", "/index.php/admin", "/x.php/admin", "/index.php/Admin/"]
        {
            assert!(stricter(&table, 0, path), "{path}");
        }
        for path in ["/app/list.php/x", "/app/LIST.php/x/y", "/app/x.php/list.php"] {
            assert!(stricter(&table, 4, path), "{path}");
        }
        for path in ["/other", "/x.php", "/index", "/indexes.html"] {
            assert!(!stricter(&table, 0, path), "{path}");
        }
        assert!(!stricter(&table, 3, "/app/list.php"));
        assert!(!stricter(&table, 5, "/cgi/run.cgi/admin"), "its own path says so");
    }

    #[test]
    fn each_dot_could_begin_a_format() {
        let table = table(&["/**", "/a.b"]);
        assert!(stricter(&table, 0, "/a.b.c.d"));
        assert!(stricter(&table, 0, &format!("/x{}", ".".repeat(MOST_DOTS) + "y")));
        assert!(!stricter(&table, 0, "/a.c.b.d"));
    }

    #[test]
    fn a_route_that_writes_a_suffix_out_is_the_exact_one() {
        let table = table(&["/**", "/logo", "/logo.png", "/index.php", "/"]);
        assert!(!stricter(&table, 2, "/logo.png"));
        assert!(!stricter(&table, 3, "/index.php"));
        assert!(stricter(&table, 0, "/logo.gif"));
    }
}
