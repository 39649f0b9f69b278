//! `anteroom test`: what it prints, how it ends, and that it needs nothing but the files.

use std::path::Path;

use e2e::gate::{Files, POLICY, Setup};
use e2e::process::{Said, run};

fn ran(tests: &str, arguments: &[&str]) -> Said {
    let setup = Setup { policy: format!("{POLICY}\ntests:\n{tests}"), ..Setup::default() };
    let files = Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    // Where policies are reviewed there are no certificates.
    std::fs::remove_dir_all(files.path("tls")).unwrap();
    let config = files.path("config.yaml");
    run(files.root(), &[&["test", "--config", config.to_str().unwrap()], arguments].concat())
}

#[test]
fn what_holds_passes_and_what_is_not_covered_is_listed() {
    let tests = "  open: { as: anonymous, send: GET /open/x, expect: allow }\n  \
                 closed: { as: anonymous, send: GET /me, expect: NO_CREDENTIAL }\n  \
                 unclear: { as: anonymous, send: GET /a//b, expect: BAD_PATH }\n  \
                 query: { as: { roles: [provider], tenant: a }, send: 'GET /api/labs?clinic=b', expect: TENANT_MISMATCH }\n";
    let said = ran(tests, &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.ends_with("tests: 4, failed: 0\n"), "{said:?}");
    assert!(said.out.contains("note: no test passes\n") && said.out.contains("  GET of route `home`\n"), "{said:?}");
    assert!(!said.out.contains("route `open`"), "{said:?}");
    let strict = ran(tests, &["--strict"]);
    assert_eq!(strict.code, Some(1), "{strict:?}");
}

#[test]
fn a_failure_says_where_what_and_why() {
    let said = ran(
        "  mine: { as: { roles: [patient], tenant: a, claims: { patient: p1 } }, \
         send: GET /api/patients/p2/records/7, expect: allow }\n",
        &[],
    );
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("policy.yaml:") && said.out.contains("came out as `NOT_OWN`"), "{said:?}");
    assert!(said.out.contains("scope `own` of `patient` does not hold"), "{said:?}");
    assert!(said.out.ends_with("tests: 1, failed: 1\n"), "{said:?}");
}

#[test]
fn a_form_is_read_as_that_of_a_request_is() {
    let policy = super::forms::POLICY;
    let cases = [
        ("list", "POST /admin.php", "{ a: b }", "allow"),
        ("view", "POST /admin.php", "{ action: view }", "allow"),
        ("delete", "POST /admin.php", "{ id: \"7\", action: delete }", "NOT_GRANTED"),
        ("alike", "POST /admin.php", "{ action: Delete }", "NO_ROUTE"),
        ("spelt", "POST /admin.php", "{ Action: delete }", "BAD_FRAMING"),
        ("both", "POST /admin.php?action=delete", "{ action: view }", "BAD_PATH"),
        ("method", "POST /other", "{ _method: delete }", "BAD_FRAMING"),
        ("page", "POST /index.php?page=show", "{ page: users }", "BAD_FRAMING"),
    ];
    let tests: String = cases
        .iter()
        .map(|(name, send, form, expect)| {
            format!("  {name}: {{ as: {{ roles: [front_desk], tenant: a }}, send: {send}, form: {form}, expect: {expect} }}\n")
        })
        .collect();
    let setup = Setup { policy: format!("{policy}tests:\n{tests}"), ..Setup::default() };
    let files = Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    let config = files.path("config.yaml");
    let said = run(files.root(), &["test", "--config", config.to_str().unwrap()]);
    assert!(said.out.ends_with("tests: 8, failed: 0\n"), "{said:?}");

    let explain = |arguments: &[&str]| {
        let who = ["--as-role", "front_desk", "--tenant", "a"];
        run(files.root(), &[&["explain", "--config", config.to_str().unwrap()], arguments, &who].concat())
    };
    let said = explain(&["POST /admin.php", "--form", "id=7", "--form", "action=delete"]);
    assert!(said.out.contains("`delete` (/admin.php with the form action=delete)"), "{said:?}");
    assert!(said.out.contains("denied: 403 NOT_GRANTED"), "{said:?}");
    let said = explain(&["POST /admin.php", "--form", "action[]=delete"]);
    assert!(said.out.contains("x form ") && said.out.contains("denied: 400 BAD_FRAMING"), "{said:?}");
    let said = explain(&["GET /admin.php", "--form", "action=delete"]);
    assert!(said.code == Some(2) && said.err.contains("a form is read of a POST alone"), "{said:?}");
}

#[test]
fn a_case_that_is_none_is_invalid() {
    let said = ran("  wrong: { as: anonymous, send: GET /, expect: NOT_GRANTD }\n", &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("did you mean `NOT_GRANTED`?"), "{said:?}");
}

#[test]
fn the_example_holds_and_every_route_of_it_is_covered() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let said = run(house, &["test", "--config", "config.example.yaml", "--strict"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}
