use crate::sample::{compiled, faults, file, policy};
use crate::{Demand, Found, Per};

/// A file that is right, with `from` made `to`.
fn with(from: &str, to: &str) -> String {
    const RIGHT: &str = r#"
roles:
  provider: { can: { records.read: tenant, records.write: tenant } }
  patient: { can: { records.read: own } }
scopes:
  own: resource.patient == principal.claims.patient
tenants:
  clinic-a: { mfa: { within: 12h } }
acts:
  records.*: { phi: true, audit: strict }
  records.write: { limit: { per: subject, rate: 60/m } }
routes:
  health: { path: /healthz, methods: { GET: public }, audit: none }
  records:
    path: /api/{patient}/records/**
    resource: { patient: path.patient, tenant: [claim, header.x-clinic] }
    methods: { GET: records.read, POST: records.write }
"#;
    assert!(from.is_empty() || RIGHT.contains(from), "{from}");
    faults(&if from.is_empty() { RIGHT.to_owned() } else { RIGHT.replacen(from, to, 1) })
}

#[test]
fn a_policy_that_is_right_has_no_faults() {
    assert_eq!(with("", ""), "");
}

#[test]
fn each_fault_has_a_place_and_a_hint() {
    for (from, to, place, said) in [
        ("records.read: own", "records.read: onw", "`onw`", "unknown-scope|did you mean `own`?"),
        ("records.read: own", "records.read: any_tenant", "`any_tenant`", "unknown-scope|did you mean `tenant`?"),
        ("records.read: own", "records.raed: own", "`records.raed`", "unknown-act|did you mean `records.read`?"),
        ("records.read: own", "users.*: own", "`users.*`", "unknown-act|stands under `methods`"),
        ("clinic-a: {", "clinic a: {", "`clinic a`", "bad-name|is no name for a tenant (1 to 128 letters"),
        ("within: 12h", "within: 0s", "`0s`", "bad-mfa|no factors are younger"),
        ("records.read: own", "Records.Read: own", "`Records.Read`", "bad-name|lower-case words"),
        (
            "records.write: { limit",
            "record.write: { limit",
            "`record.write`",
            "unknown-act|did you mean `records.write`?",
        ),
        ("phi: true,", "phi: true, mfa: requird,", "`requird`", "unknown-word|did you mean `required`?"),
        (
            "phi: true,",
            "phi: true, mfa: true,",
            "`true`",
            "wrong-type|must be `required` or `phishing_resistant` or a map",
        ),
        ("phi: true,", "phi: true, mfa: { withn: 5m },", "`withn`", "unknown-key|did you mean `within`?"),
        ("phi: true,", "phi: true, mfa: { within: 5 },", "`5`", "bad-unit|write the unit"),
        ("phi: true,", "phi: true, mfa: { within: 0s },", "`0s`", "bad-mfa|at least `1s`"),
        ("phi: true,", "phi: true, mfa: {},", "`{`", "too-few|`mfa` needs at least 1 entry"),
        ("phi: true,", "phi: true, mfa:,", "`mfa`", "no-value|wanted is"),
        ("provider: {", "provider: { mfa: { within: 250ms },", "`250ms`", "bad-mfa|at least `1s`"),
        ("rate: 60/m", "rate: 60/m, burst: 0", "`0`", "bad-limit|at least 1"),
        ("provider:", "'pro,vider':", "`'pro,vider'`", "bad-name|as the provider spells it"),
        ("  own:", "  tenant: 'true'\n  own:", "`tenant`", "bad-name|not free"),
        ("  own:", "  any_tenant: 'true'\n  own:", "`any_tenant`", "bad-name|not free"),
        ("  health:", "  he.alth:", "`he.alth`", "bad-name|no name for a route"),
        ("GET: public", "get: public", "`get`", "bad-method|write `GET`"),
        ("GET: public", "GETT: public", "`GETT`", "bad-method|did you mean `GET`?"),
        ("GET: public", "TRACE: public", "`TRACE`", "bad-method|there are `GET`"),
        ("GET: public", "GET: pubic", "`pubic`", "bad-name|did you mean `public`?"),
        ("GET: public", "GET: reading", "`reading`", "bad-name|an act is lower-case words"),
        ("GET: public", "", "`health`", "no-methods|has no methods"),
        ("/healthz", "healthz", "`healthz`", "bad-path|begins with `/`"),
        ("/healthz", "'/health//z'", "`/`", "bad-path|is empty"),
        ("/healthz", "/a/**/z", "`**`", "bad-path|last segment"),
        ("/healthz", "'/{a}/{a}'", "`{a}`", "bad-path|twice"),
        ("patient: path.patient", "patient: path.id", "`path.id`", "bad-place|needs a segment `{id}`"),
        ("patient: path.patient", "patient: claim", "`claim`", "bad-place|not a patient"),
        ("header.x-clinic", "header.X-Clinic", "`header.X-Clinic`", "bad-place|write `header.x-clinic`"),
        ("header.x-clinic", "header.x-tenant-id", "`header.x-tenant-id`", "bad-place|keeps for itself"),
        ("== principal.claims", "= principal.claims", "`=`", "bad-condition|`==` compares"),
        ("== principal.claims", "== principle.claims", "`principle.claims.patient`", "bad-condition|is not known"),
        (
            "patient: path.patient, ",
            "",
            "`own`",
            "unanswerable|add `resource: { patient: path.NAME }` to route `records`",
        ),
        ("resource.patient ==", "path.person ==", "`own`", "unanswerable|needs a segment `{person}`"),
        ("audit: none", "resource: { tenant: [claim] }", "`public`", "public-resource|names a resource"),
        ("audit: none", "when: has(principal.client)", "`has(principal.client)`", "unanswerable|who is asking"),
        ("audit: none", "when: path.x == 'a'", "`path.x == 'a'`", "unanswerable|needs a segment `{x}`"),
        (
            "records.*: { phi: true",
            "records.read: { phi: false }\n  records.*: { phi: true",
            "`records.read`",
            "contradiction|`phi`",
        ),
        (
            "records.write: tenant",
            "records.*: own",
            "`tenant`",
            "contradiction|can `records.read` under `own` and under `tenant`",
        ),
    ] {
        let shown = with(from, to);
        let (code, hint) = said.split_once('|').unwrap();
        let line = shown.lines().find(|line| line.starts_with(code));
        let line = line.unwrap_or_else(|| panic!("{from} -> {to}: {shown}"));
        assert!(line.contains(hint), "{from} -> {to}: {line}");
        assert!(line.split(": ").next().unwrap_or_default().ends_with(place), "{from} -> {to}: {line}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let shown = faults(
        "roles: { a: { can: { x.y: nowhere, q.z: tenant } } }\nscopes: { s: now > , t: now + 1 }\n\
         routes: { r: { path: a, methods: { get: public, POST: x.y }, when: 'nwo > 1' }, r2: { path: '//', methods: {} } }",
    );
    let codes: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
    for code in ["unknown-scope", "unknown-act", "bad-condition", "bad-path", "bad-method", "no-methods"] {
        assert!(codes.contains(&code), "{code} in {shown}");
    }
    assert!(codes.len() >= 8, "{shown}");
}

#[test]
fn a_policy_without_routes_is_refused() {
    assert!(faults("").starts_with("no-routes at 0.yaml:3:"), "{}", faults(""));
    assert!(faults("routes: {}").starts_with("no-routes"));
    assert!(compiled(&[]).unwrap_err().starts_with("no-routes at :"));
}

#[test]
fn the_form_is_checked_before_the_meaning() {
    let right = file("routes: { r: { path: /, methods: { GET: public } } }");
    assert!(compiled(&[&right]).is_ok());
    for (from, to) in [
        ("anteroom.dev/v1", "anteroom.dev/v2"),
        ("kind: Policy", "kind: Config"),
        ("metadata: { name: sample }\n", ""),
        ("methods: {", "mfa: {}, methods: {"),
        ("routes:", "never: []\nroutes:"),
        ("routes:", "mode: warn\nroutes:"),
    ] {
        let shown = compiled(&[&right.replacen(from, to, 1)]).unwrap_err();
        assert!(!shown.is_empty(), "{from} -> {to}");
    }
}

#[test]
fn files_share_one_namespace_and_both_places_are_named() {
    let one = file(
        "roles: { nurse: { can: { a.b: mine } } }\nscopes: { mine: 'true' }\nroutes: { r: { path: /a, methods: { GET: a.b } } }\n\
         tenants: { z: { mfa: required } }",
    );
    let two = one.replace("name: sample", "name: other");
    let shown = compiled(&[&one, &two]).unwrap_err();
    for (what, first, again) in [
        ("role `nurse`", "0.yaml:4:10", "1.yaml:4:10"),
        ("scope `mine`", "0.yaml:5:11", "1.yaml:5:11"),
        ("route `r`", "0.yaml:6:11", "1.yaml:6:11"),
        ("tenant `z`", "0.yaml:7:12", "1.yaml:7:12"),
    ] {
        assert!(
            shown.lines().any(|line| line.contains(first) && line.contains(&format!("{what} is defined here first"))),
            "{shown}"
        );
        assert!(
            shown.lines().any(|line| line.contains(again) && line.contains(&format!("{what} is defined again"))),
            "{shown}"
        );
    }
    assert!(!shown.contains("policy `"), "{shown}");
    assert!(compiled(&[&one, &one]).unwrap_err().contains("policy `sample` is defined again"));

    let routes = file("routes: { s: { path: /b, methods: { GET: a.b } } }").replace("name: sample", "name: other");
    assert!(compiled(&[&one, &routes]).is_ok(), "a role of one file grants an act of another");
}

#[test]
fn routes_that_tie_are_named_both() {
    let shown = faults(
        "routes: { one: { path: '/a/{x}', methods: { GET: public } }, two: { path: '/a/{y}', methods: { POST: public } } }",
    );
    assert_eq!(shown.lines().filter(|line| line.starts_with("route-tie")).count(), 2, "{shown}");
    assert!(shown.contains("route `one` fits the same paths as route `two`"), "{shown}");
    assert!(shown.contains("route `two` fits the same paths as route `one`"), "{shown}");
}

#[test]
fn what_acts_says_holds_on_every_route() {
    let policy = policy(
        "roles: { all: { can: { '*': tenant } } }\n\
         acts: { records.*: { phi: true, audit: strict }, '*.write': { limit: { per: address, rate: 60/m, burst: 5 } } }\n\
         routes: { r: { path: /r, methods: { GET: records.read, POST: records.write } }, u: { path: /u, methods: { POST: users.write } } }",
    );
    let act = |method: &str, path: &str| match policy.find(method, path, &crate::sample::Request::default()) {
        Found::Route(found) => match found.demand() {
            Demand::Act(act) => {
                let limit = act.limit().map(|limit| (limit.per, limit.rate.count, limit.burst));
                (act.name().to_owned(), act.phi(), act.strict(), limit)
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let limit = Some((Per::Address, 60, 5));
    assert_eq!(act("GET", "/r"), ("records.read".to_owned(), true, true, None));
    assert_eq!(act("POST", "/r"), ("records.write".to_owned(), true, true, limit));
    assert_eq!(act("POST", "/u"), ("users.write".to_owned(), false, false, limit));
    assert_eq!(policy.roles().collect::<Vec<_>>(), ["all"]);
}
