use super::*;
use crate::sample::{NOW, Request, faults, file};
use crate::{Sources, compile, read};

const POLICY: &str = "
roles:
  provider: { can: { records.*: tenant } }
  patient: { can: { records.read: own } }
  admin: { can: { users.read: tenant }, mfa: { within: 5m } }
scopes: { own: resource.patient == principal.claims.patient }
routes:
  home: { path: /, methods: { GET: public } }
  records:
    path: '/patients/{patient}'
    resource: { patient: path.patient, tenant: [claim, header.x-clinic] }
    methods: { GET: records.read, '*': records.write }
  users: { path: /users, methods: { GET: users.read }, mode: observe }
tenants: { c: { mfa: required } }
tests:
  1: { as: anonymous, send: GET /, expect: allow }
  2: { as: anonymous, send: GET /patients/p1, expect: NO_CREDENTIAL }
  3: { as: { roles: [patient], tenant: a, claims: { patient: p1 } }, send: GET /patients/p1, expect: allow }
  4: { as: { roles: [patient], tenant: a, claims: { patient: p1 } }, send: GET /patients/p2, expect: NOT_OWN }
  5: { as: { roles: [provider] }, send: GET /patients/p1, expect: NO_TENANT }
  6: { as: { roles: [provider], tenant: a }, send: GET /nowhere, expect: NO_ROUTE }
  7: { as: { roles: [provider], tenant: a }, send: POST /users, expect: METHOD_NOT_ALLOWED }
  8: { as: { roles: [admin], tenant: a, factors: { methods: [pwd, otp], age: 5m } }, send: GET /users, expect: allow }
  9: { as: { roles: [admin], tenant: a, factors: { methods: [pwd, otp], age: 6m } }, send: GET /users, expect: STEP_UP }
  10: { as: { bindings: { a: [provider], b: [] } }, send: GET /patients/p1, headers: { x-clinic: a }, expect: allow }
  11: { as: { bindings: { a: [provider], b: [] } }, send: GET /patients/p1, headers: { x-clinic: b }, expect: NOT_GRANTED }
  12: { as: { bindings: { a: [provider], b: [] } }, send: GET /patients/p1, expect: NO_TENANT }
  13: { as: { bindings: { a: [provider] } }, send: GET /patients/p1, expect: allow }
  14: { as: { bindings: { c: [provider] } }, send: GET /patients/p1, expect: STEP_UP }
";

fn came(text: &str) -> (Policy, Vec<(Case, Came)>) {
    let mut sources = Sources::default();
    let id = sources.add("p.yaml", file(text));
    let raw: RawPolicy = read(&sources, id).unwrap_or_else(|faults| panic!("{faults:?}"));
    let files = [(id, raw)];
    let policy = compile(&files).unwrap();
    let ran = cases(&files).unwrap().into_iter().map(|case| {
        let mut request = Request::default();
        for (name, value) in case.headers() {
            request = request.header(name, value);
        }
        for (name, value) in case.form() {
            request = request.form(name, value);
        }
        let came = case.run(&policy, case.method(), case.target(), &request, NOW);
        (case, came)
    });
    let ran = ran.collect();
    (policy, ran)
}

#[test]
fn cases_are_decided_as_requests_are() {
    let (_, ran) = came(POLICY);
    assert_eq!(ran.len(), 14);
    for (case, came) in &ran {
        assert!(came.is(case.expect()), "{} {came:?}", case.name());
        assert_eq!(came.observed, case.name() == "9", "{} {came:?}", case.name());
    }
}

#[test]
fn a_method_is_covered_by_a_request_that_passed() {
    let (policy, ran) = came(POLICY);
    let all: Vec<Came> = ran.into_iter().map(|(_, came)| came).collect();
    let open = |came: &[Came]| {
        uncovered(&policy, came).iter().map(|(route, method)| format!("{route} {method}")).collect::<Vec<_>>()
    };
    // One of those that `*` stands for speaks for all of them.
    let rest = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map(|method| format!("records {method}"));
    assert_eq!(open(&all), rest);
    assert_eq!(open(&[]).len(), 3 + rest.len());
    let mut one = all.clone();
    one.push(Came { rule: Some(("records".to_owned(), "PUT".to_owned())), ..all[0].clone() });
    assert!(open(&one).is_empty());
}

#[test]
fn a_case_that_could_say_nothing_is_a_fault() {
    for (from, to, said) in [
        ("expect: NOT_OWN", "expect: NOT_OWNED", "bad-expect at"),
        ("expect: NOT_OWN", "expect: NOT_OWNED", "did you mean `NOT_OWN`?"),
        ("expect: NOT_OWN", "expect: deny", "write `allow`"),
        ("GET /nowhere", "get /nowhere", "bad-send at"),
        ("GET /nowhere", "GET nowhere", "bad-send at"),
        ("GET /nowhere", "TRACE /nowhere", "bad-send at"),
        ("as: anonymous", "as: anonymus", "did you mean `anonymous`?"),
        ("as: anonymous", "as: true", "must be `anonymous` or a map"),
        ("as: anonymous", "as: { role: [a] }", "did you mean `roles`?"),
        ("tenant: a", "tenant: a b", "is no name for a tenant"),
        ("{ bindings: { a: [provider] } }", "{ bindings: { a: [provider] }, roles: [x] }", "bad-binding at 0.yaml"),
        ("{ bindings: { a: [provider] } }", "{ bindings: { a: [provider] }, tenant: b }", "one tenant each"),
        ("{ bindings: { a: [provider] } }", "{ bindings: { a b: [provider] } }", "is no name for a tenant"),
        ("{ bindings: { a: [provider] } }", "{ bindings: { a: [x], a: [y] } }", "duplicate-key"),
        ("patient: p1 }", "patient: { id: 1 } }", "wrong-type"),
        ("age: 5m", "age: 5", "bad-unit"),
        ("GET /nowhere, ", "GET /nowhere, form: { a: b }, ", "a form is read of a POST alone"),
        ("expect: NO_TENANT", "headers: { X-Clinic: a }, expect: NO_TENANT", "write `x-clinic`"),
    ] {
        assert!(POLICY.contains(from), "{from}");
        let faults = faults(&POLICY.replacen(from, to, 1));
        assert!(faults.contains(said), "{to}: {faults}");
    }
}
