//! Routes that forms pick, beside and instead of the query.

use crate::sample::{Request, faults, policy};
use crate::{Found, Policy};

const POLICY: &str = "
roles: { admin: { can: { pages.*: tenant } } }
routes:
  index: { path: /admin.php, methods: { GET: public, POST: public } }
  view: { path: /admin.php, form: { action: view }, methods: { POST: pages.view } }
  delete: { path: /admin.php, form: { action: delete }, methods: { POST: pages.delete } }
  all: { path: /admin.php, form: { action: delete, which: all }, methods: { POST: pages.purge } }
  beat: { path: /admin.php, query: { action: beat }, methods: { '*': authenticated } }
  wide: { path: /**, methods: { '*': public } }
";

fn picked(policy: &Policy, request: &Request) -> String {
    match policy.find("POST", "/admin.php", request) {
        Found::Route(found) => found.route().id().to_owned(),
        Found::MethodNotAllowed { route, .. } => format!("{} 405", route.id()),
        Found::NoRoute => "none".to_owned(),
        Found::Unclear(_) => "unclear".to_owned(),
    }
}

fn request(text: &str) -> Request {
    let (query, form) = text.split_once(' ').unwrap();
    let mut request = Request::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        request = request.query(name, value);
    }
    for (name, value) in form.split('&').filter_map(|pair| pair.split_once('=')) {
        request = request.form(name, value);
    }
    request
}

#[test]
fn the_form_picks_the_route_that_asks_for_most() {
    let policy = policy(POLICY);
    for (said, route) in [
        (" ", "index"),
        (" action=list", "index"),
        (" action=view", "view"),
        (" action=delete", "delete"),
        (" action=delete&which=one", "delete"),
        (" action=delete&which=all", "all"),
        (" which=all", "index"),
        ("action=beat ", "beat"),
        ("x=1 action=view&x=2", "view"),
        // A look-alike picks none, and no wider path is asked.
        (" action=DELETE", "none"),
        (" action=delete.php", "none"),
        (" action=view&which=ALL", "none"),
        // What is asked for in a form does not come in by the query, and not the other way round.
        ("action=delete ", "none"),
        ("action=Delete ", "none"),
        ("action=list ", "index"),
        (" action=beat", "none"),
        ("which=all ", "unclear"),
        ("which=one action=delete", "unclear"),
        ("action=beat action=delete", "unclear"),
        ("action=view action=view", "unclear"),
        (" action=view&action=view", "unclear"),
        ("action=beat&action=beat ", "unclear"),
    ] {
        assert_eq!(picked(&policy, &request(said)), route, "{said}");
    }
}

#[test]
fn a_path_says_what_it_has_to_know_of_a_form() {
    let policy = policy(POLICY);
    let asked = |path: &str, query: &str| policy.form_asked(path, &request(&format!("{query} ")));
    let admin = asked("/admin.php", "");
    assert_eq!((admin.fields.join(" "), admin.decides, admin.open), ("action which".to_owned(), true, true));
    for path in ["/other", "/ADMIN.php", "//admin.php", "/admin.php/x"] {
        assert!(asked(path, "").fields.is_empty() && !asked(path, "").decides, "{path}");
    }
    let paged = crate::sample::policy(
        "roles: { admin: { can: { a.*: tenant } } }\nroutes:\n  \
         one: { path: /a, query: { page: x }, form: { do: v }, methods: { POST: a.do } }\n  \
         two: { path: /a, query: { page: z }, methods: { POST: authenticated } }",
    );
    let decides = |query: &str| paged.form_asked("/a", &request(&format!("{query} "))).decides;
    assert!(decides("page=x") && decides("page=x&page=z"));
    assert!(!decides("page=z") && !decides(""));
    assert!(!paged.form_asked("/a", &request(" ")).open);
}

#[test]
fn what_could_never_be_asked_of_a_form_is_a_fault() {
    let said = |routes: &str| faults(&format!("routes:\n{routes}"));
    for (routes, fault) in [
        ("  a: { path: /a, form: { x: v }, methods: { GET: public } }", "asks for a form, and GET has none"),
        ("  a: { path: /a, form: { 'x y': z }, methods: { POST: public } }", "is no name of a field of a form"),
        ("  a: { path: /a, form: { x: \"a\\u0000\" }, methods: { POST: public } }", "is no value of a field of a form"),
        ("  a: { path: /a, form: { _method: put }, methods: { POST: public } }", "how forms name another method"),
        ("  a: { path: /a, query: { x: v }, form: { X: v }, methods: { POST: public } }", "in the query and in a form"),
        (
            "  a: { path: /a, form: { x: v }, methods: { POST: public } }\n  \
             b: { path: /a, form: { x: v }, methods: { POST: public } }",
            "fits the same requests as",
        ),
        (
            "  a: { path: /a, form: { x: v }, methods: { POST: public } }\n  \
             b: { path: /a, query: { z: v }, methods: { POST: public } }",
            "fits the same requests as",
        ),
        (
            "  a: { path: /a, query: { k: one }, form: { x: v }, methods: { POST: public } }\n  \
             b: { path: /a, query: { k: two, X: v }, methods: { POST: public } }",
            "spells `x` in another way",
        ),
        (
            "  a: { path: /a, form: { clinic: v }, methods: { POST: public } }\n  \
             b: { path: /a, resource: { tenant: [query.clinic] }, methods: { POST: authenticated } }",
            "finds its resource in the query by `clinic`",
        ),
    ] {
        assert!(said(routes).contains(fault), "{routes}\n{}", said(routes));
    }
    assert_eq!(
        said(
            "  a: { path: /a, form: { x: v }, methods: { POST: public } }\n  \
              b: { path: /a, query: { x: v }, methods: { POST: public, GET: public } }"
        ),
        ""
    );
}
