//! Routes that allow an odd form of their path, and routes that a parameter of the query picks.

use crate::sample::{Request, faults, policy};
use crate::{Found, Policy};
use proptest::prelude::*;

fn found(policy: &Policy, path: &str, request: &Request) -> String {
    match policy.find("GET", path, request) {
        Found::Route(found) => found.route().id().to_owned(),
        Found::MethodNotAllowed { route, .. } => format!("405 {}", route.id()),
        Found::NoRoute => "404".to_owned(),
        Found::Unclear(reason) => format!("400 {reason}"),
    }
}

const ODD: &str = "routes:
  name: { path: '/names/{name}', methods: { GET: public }, allow: [encoded_slash, encoded_percent] }
  secret: { path: /names/a/secret, methods: { GET: public } }
  file: { path: '/files/{owner}/**', methods: { GET: public }, allow: [encoded_slash] }
  page: { path: /app/page, methods: { GET: public }, allow: [path_parameters] }
  app: { path: '/app/**', methods: { GET: public } }
  strict: { path: '/strict/{x}', methods: { GET: public } }
";

#[test]
fn an_odd_form_passes_where_its_route_allows_it() {
    let policy = policy(ODD);
    let plain = Request::default();
    for (path, expected) in [
        ("/names/a%2Fb", "name"),
        ("/names/5%25", "name"),
        ("/names/a%2F5%25", "name"),
        ("/names/a%2Fsecret", "400 encoded slash that leads to another route"),
        ("/names/A%2FSecret.json", "400 encoded slash that leads to another route"),
        ("/names%2Fa", "400 encoded slash"),
        ("/names/a;v=1", "400 path parameter"),
        ("/files/o/a%2Fb", "file"),
        ("/files/o%2Fp/a", "400 encoded slash that leads to another route"),
        ("/files/o/a%25", "400 encoded percent sign"),
        ("/app/page;jsessionid=1", "page"),
        ("/app/other;jsessionid=1", "400 path parameter"),
        ("/app/page%2Fx", "400 encoded slash"),
        ("/strict/a%2Fb", "400 encoded slash"),
        ("/strict/a%25", "400 encoded percent sign"),
        ("/strict/a;b", "400 path parameter"),
        ("/nowhere/a%2Fb", "400 encoded slash"),
        ("/names/..%2Fstrict", "400 path with more than one reading"),
        ("/names/a%252Fb", "400 path with more than one reading"),
        ("/app/..;/page", "400 path with more than one reading"),
    ] {
        assert_eq!(found(&policy, path, &plain), expected, "{path}");
    }
    let Found::Route(found) = policy.find("GET", "/names/a%2F5%25", &plain) else { panic!() };
    assert_eq!(found.param("name"), Some("a/5%"));
}

/// What Rails and Spring take for a format is a part of the name only where the route says so.
#[test]
fn a_dot_in_a_name_that_a_rule_reads_needs_to_be_allowed() {
    let policy = policy(
        "
roles: { some: { can: { a.b: mine, a.c: tenant } } }
scopes: { mine: path.id == principal.subject }
routes:
  patient: { path: '/a/{id}', resource: { patient: path.id }, methods: { GET: authenticated } }
  when: { path: '/b/{id}', when: path.id != '7', methods: { GET: public } }
  scope: { path: '/c/{id}', methods: { GET: a.b } }
  study: { path: '/d/{id}', resource: { patient: path.id }, methods: { GET: a.c }, allow: [dotted_names] }
  file: { path: '/e/{id}', methods: { GET: public } }
  slash: { path: '/g/{id}/', resource: { patient: path.id }, methods: { GET: a.c } }
  below: { path: '/f/{id}/**', resource: { patient: path.id }, methods: { GET: a.c } }
",
    );
    let plain = Request::default();
    for (path, expected) in [
        ("/a/7", "patient"),
        ("/a/7.json", "400 dot in a name that a rule reads"),
        ("/a/7%2ejson", "400 dot in a name that a rule reads"),
        ("/a/7.", "400 dot in a name that a rule reads"),
        ("/g/7.json/", "400 dot in a name that a rule reads"),
        ("/b/7.json", "400 dot in a name that a rule reads"),
        ("/c/7.json", "400 dot in a name that a rule reads"),
        ("/d/1.2.840", "study"),
        ("/e/scan.pdf", "file"),
        ("/f/1.2/x.pdf", "below"),
    ] {
        assert_eq!(found(&policy, path, &plain), expected, "{path}");
    }
}

#[test]
fn what_may_be_allowed_is_a_closed_list() {
    for form in ["dot_segments", "backslash", "empty_segments", "encoded_slashes"] {
        let faults = faults(&format!("routes: {{ a: {{ path: /a, methods: {{ GET: public }}, allow: [{form}] }} }}"));
        assert!(!faults.is_empty(), "{form}");
    }
}

const BY_QUERY: &str = "routes:
  index: { path: /index.php, methods: { GET: public } }
  edit: { path: /index.php, query: { page: edit }, methods: { GET: public } }
  save: { path: /index.php, query: { page: edit, do: save }, methods: { POST: public } }
  user: { path: /index.php, query: { page: '7' }, methods: { GET: public } }
  only: { path: '/only/{x}', query: { a: '1' }, methods: { GET: public } }
  rest: { path: '/**', methods: { GET: public } }
";

#[test]
fn the_query_picks_one_of_the_routes_of_a_path() {
    let policy = policy(BY_QUERY);
    let ask = |path: &str, query: &[(&str, &str)]| {
        let request = query.iter().fold(Request::default(), |request, (name, value)| request.query(name, value));
        found(&policy, path, &request)
    };
    let index = |query: &[(&str, &str)]| ask("/index.php", query);
    assert_eq!(index(&[]), "index");
    assert_eq!(index(&[("page", "view")]), "index");
    assert_eq!(index(&[("other", "edit")]), "index");
    assert_eq!(index(&[("page", "edit")]), "edit");
    assert_eq!(index(&[("page", "edit"), ("x", "y")]), "edit");
    assert_eq!(index(&[("do", "save")]), "index");
    assert_eq!(index(&[("page", "edit"), ("do", "save")]), "405 save");
    assert_eq!(index(&[("page", "7")]), "user");
    for alike in ["Edit", "edit ", "edit.php", "./edit", "07", " 7", "7x"] {
        assert_eq!(index(&[("page", alike)]), "404", "{alike:?}");
    }
    for twice in [[("page", "edit"), ("page", "edit")], [("page", "view"), ("page", "edit")]] {
        assert_eq!(index(&twice), "400 parameter that picks the route");
    }
    // The path has the last word: no less specific route is asked.
    assert_eq!(ask("/only/x", &[]), "404");
    assert_eq!(ask("/only/x", &[("a", "1")]), "only");
    assert_eq!(ask("/other", &[("page", "edit")]), "rest");
    // Look-alikes of the path are nobody's, whatever the query says.
    for path in ["/Index.php", "/index.php/", "/index.php/x", "/index"] {
        assert_eq!(ask(path, &[("page", "edit")]), if path == "/index" { "rest" } else { "404" }, "{path}");
    }
}

#[test]
fn routes_that_one_request_could_mean_are_faults() {
    let with = |one: &str, other: &str| {
        faults(&format!(
            "routes:\n  a: {{ path: /p, query: {one}, methods: {{ GET: public }} }}\n  \
             b: {{ path: /p, query: {other}, methods: {{ GET: public }} }}\n"
        ))
    };
    for (one, other, code) in [
        ("{ x: '1' }", "{ x: '1' }", "route-tie"),
        ("{ x: '1' }", "{ z: '1' }", "route-tie"),
        ("{ x: '1' }", "{ X: '2' }", "route-tie"),
        ("{ x: '1', z: '1' }", "{ X: '1', x: '2', z: '1' }", "bad-name"),
        ("{ 'a b': '1' }", "{ x: '1' }", "bad-name"),
        ("{ x: \"a\\nb\" }", "{ x: '1' }", "bad-value"),
    ] {
        let faults = with(one, other);
        assert!(faults.contains(code), "{one} {other}: {faults}");
    }
    for (one, other) in [("{}", "{ x: '1' }"), ("{ x: '1' }", "{ x: '2' }"), ("{ x: '1' }", "{ x: '1', z: '' }")] {
        assert_eq!(with(one, other), "", "{one} {other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A path in an odd form leads where its plain readings lead, or nowhere.
    #[test]
    fn allowing_never_opens_another_route(path in "(/(a|b|secret|page|names|app|files|strict|%2F|%25|;x|\\.\\.|%2e){1,4}){1,4}") {
        let policy = policy(ODD);
        let none = Request::default();
        if let Found::Route(odd) = policy.find("GET", &path, &none) {
            prop_assert!(!path.split(['/', ';']).any(|one| one == ".." || one == "%2e%2e"), "{}", path);
            let plain = path.split(';').next().unwrap_or_default().replace("%25", "x");
            let (split, whole) = (plain.replace("%2F", "/"), plain.replace("%2F", "x"));
            prop_assert_eq!(found(&policy, &whole, &none), odd.route().id(), "{}", path);
            let split = found(&policy, &split, &none);
            prop_assert!(split == odd.route().id() || split == "404", "{} {}", path, split);
        }
    }
}
