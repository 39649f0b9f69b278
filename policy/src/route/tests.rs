use crate::reading::Reading;
use crate::sample::{Request, policy};
use crate::template::{Segment, Template};
use crate::{Found, Mode, Policy};
use proptest::prelude::*;

/// A policy with a route for each path, named by its place.
fn routes(paths: &[&str]) -> Policy {
    let lines: String = paths
        .iter()
        .enumerate()
        .map(|(at, path)| format!("  r{at}: {{ path: '{path}', methods: {{ GET: public }} }}\n"))
        .collect();
    policy(&format!("routes:\n{lines}"))
}

fn found(policy: &Policy, path: &str) -> Option<String> {
    match policy.find("GET", path, &Request::default()) {
        Found::Route(found) => Some(found.route().template().to_owned()),
        Found::NoRoute | Found::Unclear(_) => None,
        Found::MethodNotAllowed { .. } => panic!("{path} has no GET"),
    }
}

#[test]
fn the_most_specific_path_wins_from_the_left() {
    let policy = routes(&[
        "/",
        "/api",
        "/api/**",
        "/api/{kind}",
        "/api/users",
        "/api/{kind}/list",
        "/api/users/{id}",
        "/api/users/",
        "/{any}/users/7",
        "/api/users/{id}/**",
        "/api/a:b",
    ]);
    for (path, template) in [
        ("/", Some("/")),
        ("/api", Some("/api")),
        ("/api/", None), // the look-alike of `/api`
        ("/api/Users", None),
        ("/api/users.json", None),
        ("/api/x", Some("/api/{kind}")),
        ("/api/users", Some("/api/users")),
        ("/api/%75sers", Some("/api/users")),
        ("/api/users/", Some("/api/users/")),
        ("/api/x/list", Some("/api/{kind}/list")),
        ("/api/x/other", Some("/api/**")),
        ("/api/users/list", Some("/api/users/{id}")),
        ("/api/users/7", Some("/api/users/{id}")),
        ("/api/users/7/", None), // the look-alike of `/api/users/7`
        ("/api/users/7/x/", Some("/api/users/{id}/**")),
        ("/api/users/7/x/y", Some("/api/users/{id}/**")),
        ("/other/users/7", Some("/{any}/users/7")),
        ("/api/a:b", Some("/api/a:b")),
        ("/api/a%3Ab", Some("/api/a:b")),
        ("/API", None),
        ("/other", None),
        ("/other/users/7/", None),
        ("//api", None),
        ("/api/../api/users", None),
        ("/api/%2e%2e/users", None),
        ("/api/users%2f7", None),
        ("api", None),
        ("", None),
        ("*", None),
    ] {
        assert_eq!(found(&policy, path).as_deref(), template, "{path}");
    }
}

#[test]
fn the_winner_alone_is_asked_for_the_method() {
    let policy = policy(
        "roles: { all: { can: { '*': tenant } } }\nroutes:\n  wide: { path: /a/**, methods: { '*': public } }\n  \
         narrow: { path: /a/b, methods: { POST: a.post, GET: authenticated, '*': a.rest } }\n  \
         read: { path: /a/c, methods: { GET: public, DELETE: a.delete } }\n  \
         head: { path: /a/d, methods: { HEAD: public, GET: a.get } }",
    );
    let demand = |method: &str, path: &str| match policy.find(method, path, &Request::default()) {
        Found::Route(found) => match found.demand() {
            super::Demand::Public => "public".to_owned(),
            super::Demand::Authenticated => "authenticated".to_owned(),
            super::Demand::Act(act) => act.name().to_owned(),
        },
        Found::MethodNotAllowed { route, allow } => format!("405 {} {allow}", route.id()),
        Found::NoRoute => "404".to_owned(),
        Found::Unclear(reason) => reason.to_owned(),
    };
    for (method, path, expected) in [
        ("PUT", "/a/x", "public"),
        ("POST", "/a/b", "a.post"),
        ("HEAD", "/a/b", "authenticated"),
        ("PATCH", "/a/b", "a.rest"),
        ("HEAD", "/a/c", "public"),
        ("POST", "/a/c", "405 read GET, HEAD, DELETE"),
        ("get", "/a/c", "405 read GET, HEAD, DELETE"),
        ("HEAD", "/a/d", "public"),
        ("TRACE", "/a/x", "405 wide GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("CONNECT", "/a/b", "405 narrow GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("GET", "/b", "404"),
    ] {
        assert_eq!(demand(method, path), expected, "{method} {path}");
    }
}

#[test]
fn names_hold_what_the_path_says_decoded() {
    let policy = routes(&["/{a}/x/{b}/**", "/{c}/{d}/y"]);
    let params = |path: &str| match policy.find("GET", path, &Request::default()) {
        Found::Route(found) => ["a", "b", "c", "d"].map(|name| found.param(name).unwrap_or("-").to_owned()).join(" "),
        other => format!("{other:?}"),
    };
    assert_eq!(params("/1/x/2%20%C3%BC/3"), "1 2 ü - -");
    assert_eq!(params("/1/x/y"), "1 y - -", "the literal goes before the name");
    assert_eq!(params("/1/2/y"), "- - 1 2");
    assert!(params("/1//y").starts_with("Unclear"));
}

#[test]
fn a_route_says_what_the_policy_says() {
    let policy = policy(
        "mode: observe\nroutes: { one: { path: /a, methods: { GET: public }, audit: none }, \
         two: { path: /b, methods: { GET: public }, mode: enforce } }",
    );
    let said: Vec<_> = policy.routes().map(|one| (one.id(), one.template(), one.recorded(), one.mode())).collect();
    assert_eq!(said, [("one", "/a", false, Mode::Observe), ("two", "/b", true, Mode::Enforce)]);
}

/// How specific a template is on a path, segment by segment, or `None` if it does not fit. The plain reading of the
/// rule, without a tree.
fn rank(template: &Template, path: &[&str]) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let mut rest = path.iter();
    for segment in template.segments() {
        match (segment, rest.next()) {
            (Segment::Rest, _) => {
                rank.push(1);
                return Some(rank);
            }
            (Segment::Literal(text), Some(part)) if text == part => rank.push(3),
            (Segment::Param(_), Some(part)) if !part.is_empty() => rank.push(2),
            _ => return None,
        }
    }
    // The end goes before `**`, which fits nothing more as well.
    rank.push(2);
    rest.next().is_none().then_some(rank)
}

fn template() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "{}", "{}"]);
    (prop::collection::vec(part, 0..4), prop::sample::select(vec!["", "/", "/**"])).prop_map(|(parts, end)| {
        let named: String = parts
            .iter()
            .enumerate()
            .map(|(at, part)| if *part == "{}" { format!("/{{p{at}}}") } else { format!("/{part}") })
            .collect();
        let whole = format!("{named}{end}");
        if whole.is_empty() { "/".to_owned() } else { whole }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_tree_finds_what_the_rule_says(
        templates in prop::collection::vec(template(), 1..10),
        paths in prop::collection::vec("(/[ab]|/c){0,5}/?", 12),
    ) {
        let mut shapes = std::collections::BTreeMap::new();
        for text in &templates {
            let parsed = Template::parse(text).unwrap_or_else(|_| panic!("{text}"));
            shapes.entry(parsed.shape()).or_insert(parsed);
        }
        let texts: Vec<&str> = shapes.values().map(Template::text).collect();
        let backwards: Vec<&str> = texts.iter().rev().copied().collect();
        let (policy, same) = (routes(&texts), routes(&backwards));
        for path in paths {
            let parts = Reading::of(&path).map(|reading| reading.segments);
            let parts: Option<Vec<&str>> = parts.as_ref().map(|parts| parts.iter().map(AsRef::as_ref).collect());
            let best = parts.and_then(|parts| {
                shapes.values().filter_map(|one| Some((rank(one, &parts)?, one))).max_by(|a, b| a.0.cmp(&b.0))
            });
            // A trailing slash alone must not lead to a wider route than the path without it.
            let bare = |text: &str| match text.trim_end_matches('/') {
                "" => "/".to_owned(),
                bare => bare.to_owned(),
            };
            let short = bare(&path);
            let short = Reading::of(&short).map(|reading| reading.segments);
            let short: Option<Vec<&str>> = short.as_ref().map(|parts| parts.iter().map(AsRef::as_ref).collect());
            let ranked: Vec<_> = short.iter().flat_map(|parts| shapes.values().filter_map(|one| {
                let folded = Template::parse(&bare(one.text())).unwrap_or_else(|_| panic!("{}", one.text()));
                Some((rank(&folded, parts)?, one.text()))
            })).collect();
            let most = ranked.iter().map(|(rank, _)| rank).max();
            let alike: Vec<&str> = ranked.iter().filter(|(rank, _)| Some(rank) == most).map(|(_, text)| *text).collect();
            let best = best.filter(|(_, template)| alike.contains(&template.text()));
            let expected = best.map(|(_, template)| template.text().to_owned());
            prop_assert_eq!(found(&policy, &path), expected.clone(), "{} among {:?}", path, texts);
            prop_assert_eq!(found(&same, &path), expected, "the order of the file does not matter");
        }
    }

    #[test]
    fn any_text_is_a_path_or_none(path in ".{0,40}") {
        drop(found(&routes(&["/**", "/{a}/{b}"]), &path));
    }
}
