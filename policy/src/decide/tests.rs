use super::*;
use crate::sample::{Request, ask, caller, outcome, policy};
use crate::{Bindings, Claim, Policy};
use proptest::prelude::*;

const CLINIC: &str = r#"
roles:
  provider: { can: { records.*: tenant } }
  patient: { can: { records.read: own } }
  night: { can: { records.read: late, records.write: late } }
scopes:
  own: resource.tenant == principal.tenant && resource.patient == principal.claims.patient
  late: now > 9000000000
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated }, resource: { tenant: [header.x-clinic, query.clinic] } }
  records:
    path: /{clinic}/patients/{patient}/records/**
    resource: { patient: path.patient, tenant: [claim, path.clinic, header.x-clinic] }
    methods: { GET: records.read, POST: records.write, DELETE: records.purge }
  search:
    path: /search
    resource: { patient: query.patient }
    methods: { GET: records.read, POST: authenticated }
  sign: { path: /sign, methods: { POST: authenticated }, when: "principal.claims.npi != ''" }
  trial: { path: "/trial/{clinic}", methods: { GET: records.read, POST: authenticated }, mode: observe,
           resource: { patient: query.patient, tenant: [path.clinic, header.x-clinic] } }
"#;

fn none() -> Request {
    Request::default()
}

fn clinic(send: &str, principal: Option<&Principal>, request: &Request) -> String {
    outcome(&ask(&policy(CLINIC), send, principal, request))
}

#[test]
fn the_order_is_the_file() {
    let provider = caller("a", &["provider"], &[]);
    let patient = caller("a", &["patient"], &[("patient", "p1")]);
    let nobody = caller("a", &[], &[]);
    let homeless = caller("", &["provider"], &[]);
    let x = |tenant| none().header("x-clinic", tenant);
    for (send, who, request, expected) in [
        ("GET /", None, none(), "allow"),
        ("GET /", Some(&homeless), none(), "allow"),
        ("GET /me", None, none(), "NO_CREDENTIAL"),
        ("GET /me", Some(&homeless), none(), "NO_TENANT"),
        ("GET /me", Some(&nobody), none(), "allow"),
        ("GET /me", Some(&nobody), x("a"), "allow"),
        ("GET /me", Some(&nobody), x("b"), "TENANT_MISMATCH"),
        ("GET /me", Some(&nobody), x(""), "TENANT_MISMATCH"),
        ("GET /me", Some(&nobody), x("A"), "TENANT_MISMATCH"),
        ("GET /me", Some(&nobody), x("a").header("x-clinic", "a"), "TENANT_MISMATCH"),
        ("GET /me", Some(&nobody), x("a").query("clinic", "b"), "TENANT_MISMATCH"),
        ("GET /a/patients/p1/records", None, none(), "NO_CREDENTIAL"),
        ("GET /a/patients/p1/records", Some(&homeless), none(), "NO_TENANT"),
        ("GET /b/patients/p1/records", Some(&provider), none(), "TENANT_MISMATCH"),
        ("GET /b/patients/p1/records", Some(&nobody), none(), "TENANT_MISMATCH"),
        ("GET /a/patients/p1/records", Some(&provider), x("b"), "TENANT_MISMATCH"),
        ("GET /a/patients/p1/records", Some(&nobody), none(), "NOT_GRANTED"),
        ("GET /a/patients/p1/records/7", Some(&provider), none(), "allow"),
        ("HEAD /a/patients/p1/records/7", Some(&provider), none(), "allow"),
        ("POST /a/patients/p1/records/", Some(&provider), x("a"), "allow"),
        ("POST /a/patients/p1/records", Some(&patient), none(), "NOT_GRANTED"),
        ("GET /a/patients/p1/records/7", Some(&patient), none(), "allow"),
        ("GET /a/patients/%701/records/7", Some(&patient), none(), "allow"),
        ("GET /a/patients/p2/records/7", Some(&patient), none(), "NOT_OWN"),
        ("GET /search", Some(&provider), none(), "allow"),
        ("GET /search", Some(&patient), none(), "NOT_OWN"),
        ("GET /search", Some(&patient), none().query("patient", ""), "NOT_OWN"),
        ("GET /search", Some(&patient), none().query("patient", "p1"), "allow"),
        ("GET /search", Some(&patient), none().query("patient", "p1").query("patient", "p2"), "NOT_OWN"),
        ("GET /search", Some(&provider), none().query("patient", "p1").query("patient", "p2"), "NOT_OWN"),
        ("POST /search", Some(&nobody), none().query("patient", "p1").query("patient", "p2"), "NOT_OWN"),
        ("POST /sign", Some(&nobody), none(), "CONDITION"),
        ("POST /sign", Some(&caller("a", &[], &[("npi", "")])), none(), "CONDITION"),
        ("POST /sign", Some(&caller("a", &[], &[("npi", "1")])), none(), "allow"),
    ] {
        assert_eq!(clinic(send, who, &request), expected, "{send} {who:?} {request:?}");
    }
}

const DEMANDING: &str = r#"
roles:
  clerk: { can: { users.read: tenant, keys.make: tenant } }
  admin: { can: { users.*: tenant }, mfa: { within: 12h } }
  support: { can: { users.read: tenant }, mfa: phishing_resistant }
acts:
  keys.make: { mfa: { within: 5m, phishing_resistant: true } }
  "*.make": { mfa: required }
  users.purge: { mfa: required }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated }, resource: { tenant: [header.x-clinic] } }
  users:
    path: /users
    methods: { GET: users.read, POST: users.write, DELETE: users.purge }
    resource: { tenant: [claim, header.x-clinic] }
  keys: { path: /keys, methods: { POST: keys.make } }
  trial: { path: /trial, methods: { GET: users.read }, mode: observe, resource: { tenant: [header.x-clinic] } }
"#;

fn with(roles: &[&str], methods: &[&str], age: Option<u64>) -> Principal {
    let mut caller = caller("a", roles, &[]);
    caller.factors.methods = methods.iter().map(|one| (*one).to_owned()).collect();
    caller.factors.at = age.map(|age| crate::sample::NOW - age);
    caller
}

#[test]
fn a_demand_of_any_role_held_applies_whichever_grants() {
    let policy = policy(DEMANDING);
    let (pwd, otp, key) = (&["pwd"][..], &["pwd", "otp"][..], &["hwk", "pin"][..]);
    let hours = 60 * 60;
    for (send, roles, methods, age, expected) in [
        ("GET /", &["admin"][..], pwd, None, "allow"),
        ("GET /users", &["clerk"], pwd, None, "allow"),
        ("GET /users", &["clerk", "admin"], pwd, None, "STEP_UP"),
        ("GET /me", &["clerk"], pwd, None, "allow"),
        ("GET /me", &["admin"], pwd, None, "STEP_UP"),
        ("GET /me", &["admin"], otp, Some(0), "allow"),
        ("GET /users", &["admin"], otp, Some(12 * hours), "allow"),
        ("GET /users", &["admin"], otp, Some(12 * hours + 1), "STEP_UP"),
        ("GET /users", &["admin"], otp, None, "STEP_UP"),
        ("GET /users", &["support"], otp, Some(0), "STEP_UP"),
        ("GET /users", &["support"], key, None, "allow"),
        ("GET /users", &["support", "admin"], key, None, "STEP_UP"),
        ("GET /users", &["support", "admin"], key, Some(9), "allow"),
        ("POST /keys", &["clerk"], key, Some(300), "allow"),
        ("POST /keys", &["clerk"], key, Some(301), "STEP_UP"),
        ("POST /keys", &["clerk"], otp, Some(1), "STEP_UP"),
        ("POST /keys", &["clerk", "admin"], key, Some(301), "STEP_UP"),
        ("DELETE /users", &["clerk"], pwd, None, "STEP_UP"),
        ("DELETE /users", &["clerk"], otp, None, "NOT_GRANTED"),
        ("DELETE /users", &["ADMIN"], otp, None, "NOT_GRANTED"),
        ("GET /trial", &["admin"], pwd, None, "observe:STEP_UP"),
    ] {
        let who = with(roles, methods, age);
        assert_eq!(outcome(&ask(&policy, send, Some(&who), &none())), expected, "{send} {roles:?} {methods:?} {age:?}");
    }
}

#[test]
fn factors_are_asked_for_after_the_tenant_and_before_the_roles() {
    let policy = policy(DEMANDING);
    let asked = |send: &str, who: &Principal, clinic: &str| {
        outcome(&ask(&policy, send, Some(who), &none().header("x-clinic", clinic)))
    };
    let admin = with(&["admin"], &["pwd"], None);
    assert_eq!(asked("GET /users", &admin, "b"), "TENANT_MISMATCH");
    assert_eq!(asked("GET /trial", &admin, "b"), "TENANT_MISMATCH", "observing waives no tenant");
    assert_eq!(asked("GET /users", &admin, "a"), "STEP_UP");
    assert_eq!(asked("DELETE /users", &with(&[], &["pwd"], None), "a"), "STEP_UP");
    let homeless = Principal { bindings: Bindings::none(), ..admin.clone() };
    assert_eq!(outcome(&ask(&policy, "GET /users", Some(&homeless), &none())), "NO_TENANT");
    match ask(&policy, "GET /trial", Some(&admin), &none()).verdict {
        Verdict::Observed(passage, _) => assert!(passage.identity().is_some(), "who it is was proved"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_up_says_all_that_is_demanded_and_what_is_missing() {
    let policy = policy(DEMANDING);
    let who = with(&["clerk", "admin"], &["hwk", "pin"], Some(400));
    let denial = match ask(&policy, "POST /keys", Some(&who), &none()).verdict {
        Verdict::Denied(denial) => denial,
        other => panic!("{other:?}"),
    };
    assert_eq!((denial.code(), denial.status()), ("STEP_UP", 401));
    assert_eq!(
        denial.detail(),
        "the factors were shown too long ago; demanded are two factors, one that cannot be phished, at most 300 s ago"
    );
    let Denial::StepUp(short) = denial else { panic!() };
    assert_eq!((short.needed.within_s(), short.needed.phishing_resistant()), (Some(300), true));
}

#[test]
fn a_claim_that_is_empty_or_of_another_type_owns_nothing() {
    for claim in [None, Some(Claim::Text(String::new())), Some(Claim::Number(1)), Some(Claim::List(vec!["1".into()]))] {
        let mut patient = caller("a", &["patient"], &[]);
        patient.claims.extend(claim.map(|claim| ("patient".to_owned(), claim)));
        for request in [none(), none().query("patient", ""), none().query("patient", "1")] {
            assert_eq!(clinic("GET /search", Some(&patient), &request), "NOT_OWN", "{patient:?}");
        }
    }
}

#[test]
fn roles_add_up_and_the_record_names_those_that_grant() {
    let policy = policy(CLINIC);
    let basis = |roles: &[&str], patient: &str| {
        let who = caller("a", roles, &[("patient", "p1")]);
        let decision = ask(&policy, &format!("GET /a/patients/{patient}/records"), Some(&who), &none());
        let granted: Vec<String> = decision.basis.granted_by.iter().map(ToString::to_string).collect();
        (outcome(&decision), granted.join(","), decision.basis.own)
    };
    let is = |outcome: &str, granted: &str, own| (outcome.to_owned(), granted.to_owned(), own);
    assert_eq!(basis(&["provider"], "p2"), is("allow", "provider", None));
    assert_eq!(basis(&["patient"], "p1"), is("allow", "patient", Some(true)));
    assert_eq!(basis(&["patient"], "p2"), is("NOT_OWN", "", Some(false)));
    assert_eq!(basis(&["patient", "provider", "other"], "p2"), is("allow", "provider", Some(false)));
    assert_eq!(basis(&["night", "patient"], "p1"), is("allow", "patient", Some(true)));
    assert_eq!(basis(&["night"], "p1"), is("NOT_OWN", "", Some(false)));
    assert_eq!(basis(&["PROVIDER"], "p1"), is("NOT_GRANTED", "", None));
}

#[test]
fn the_basis_says_what_was_looked_at() {
    let policy = policy(CLINIC);
    let basis = |who: Option<&Principal>, clinic: &str| {
        ask(&policy, &format!("GET /{clinic}/patients/p%2D9/records"), who, &none()).basis
    };
    let provider = caller("a", &["provider"], &[]);
    let same = basis(Some(&provider), "a");
    assert_eq!((same.tenant, same.tenant_fact.as_str()), (TenantId::parse("a"), "same"));
    assert_eq!(same.patient.as_deref(), Some("p-9"));
    let other = basis(Some(&provider), "b");
    assert_eq!((other.tenant, other.tenant_fact.as_str()), (TenantId::parse("a"), "other"));
    let nobody = basis(None, "a");
    assert_eq!((nobody.tenant, nobody.tenant_fact.as_str()), (None, "none"));
    assert_eq!(nobody.patient.as_deref(), Some("p-9"));
}

#[test]
fn the_application_is_told_who_only_where_it_was_proved() {
    let policy = policy(CLINIC);
    let told = |send: &str, who: Option<&Principal>| match ask(&policy, send, who, &none()).verdict {
        Verdict::Granted(passage) | Verdict::Observed(passage, _) => passage
            .identity()
            .map(|one| format!("{} {} {}", one.tenant(), one.subject(), one.roles().join(",")))
            .unwrap_or("nobody".to_owned()),
        Verdict::Denied(denial) => denial.code().to_owned(),
    };
    let odd = caller("a", &["provider", "x,admin", "a\r\nb", "night"], &[]);
    let homeless = caller("", &["provider"], &[]);
    assert_eq!(told("GET /me", Some(&odd)), "a user-1 provider,night");
    assert_eq!(told("GET /", Some(&odd)), "a user-1 provider,night");
    assert_eq!(told("GET /", Some(&homeless)), "nobody");
    assert_eq!(told("GET /", None), "nobody");
    assert_eq!(told("GET /trial/a", Some(&caller("a", &["night"], &[]))), "a user-1 night");
    assert_eq!(told("GET /trial/a", Some(&homeless)), "nobody");
    assert_eq!(told("GET /trial/a", None), "nobody");
}

#[test]
fn observing_waives_all_but_the_tenant() {
    let x = |tenant| none().header("x-clinic", tenant);
    let patient = caller("a", &["patient"], &[("patient", "p1")]);
    let homeless = caller("", &["provider"], &[]);
    for (who, request, expected) in [
        (None, none(), "observe:NO_CREDENTIAL"),
        (None, x("a"), "observe:NO_CREDENTIAL"),
        (None, x("b"), "TENANT_MISMATCH"),
        (None, x("a").header("x-clinic", "a"), "TENANT_MISMATCH"),
        (Some(&homeless), none(), "observe:NO_TENANT"),
        (Some(&homeless), x("b"), "TENANT_MISMATCH"),
        (Some(&caller("b", &["provider"], &[])), none(), "TENANT_MISMATCH"),
        (Some(&caller("a", &["provider"], &[])), x("b"), "TENANT_MISMATCH"),
        (Some(&caller("a", &["provider"], &[])), x("a"), "allow"),
        (Some(&caller("a", &[], &[])), none(), "observe:NOT_GRANTED"),
        (Some(&patient), none().query("patient", "p2"), "observe:NOT_OWN"),
        (Some(&patient), none().query("patient", "p1"), "allow"),
    ] {
        assert_eq!(clinic("GET /trial/a", who, &request), expected, "{who:?} {request:?}");
    }
}

#[test]
fn a_detail_names_the_policy_and_never_the_request() {
    let policy = policy(CLINIC);
    let detail = |send: &str, who: &Principal, request: Request| match ask(&policy, send, Some(who), &request).verdict {
        Verdict::Denied(denial) => denial.detail(),
        other => panic!("{other:?}"),
    };
    let patient = caller("a", &["patient"], &[("patient", "canary-1")]);
    let records = "GET /a/patients/canary-2/records";
    assert_eq!(detail(records, &patient, none()), "scope `own` does not hold");
    assert_eq!(
        detail(records, &caller("a", &["patient"], &[]), none()),
        "scope `own` has no answer: `principal.claims.patient` is missing"
    );
    assert_eq!(
        detail(records, &patient, none().header("x-clinic", "canary-3")),
        "`header.x-clinic` names a tenant that is not the caller's"
    );
    assert_eq!(detail("DELETE /a/patients/p/records", &patient, none()), "no role held grants `records.purge`");
    assert_eq!(detail("POST /sign", &patient, none()), "`when` has no answer: `principal.claims.npi` is missing");
}

const ROLES: [&str; 3] = ["r0", "r1", "r2"];
const ACTS: [&str; 3] = ["a.x", "a.y", "b.x"];
const SCOPES: [&str; 4] = ["tenant", "own", "late", "broken"];

/// A policy with these grants, `(role, act, scope)` by their places, and its routes in one mode.
fn matrix(grants: &[(usize, usize, usize)], mode: &str) -> Policy {
    let can = |role: usize| {
        let one = |(_, act, scope): &(usize, usize, usize)| format!("{}: {}", ACTS[*act], SCOPES[*scope]);
        grants.iter().filter(|grant| grant.0 == role).map(one).collect::<Vec<_>>().join(", ")
    };
    let roles: String =
        (0..ROLES.len()).map(|role| format!("  {}: {{ can: {{ {} }} }}\n", ROLES[role], can(role))).collect();
    let routes: String = ACTS
        .iter()
        .enumerate()
        .map(|(at, act)| {
            format!(
                "  p{at}: {{ path: '/{at}/{{clinic}}/{{patient}}', methods: {{ GET: {act} }}, \
             resource: {{ patient: path.patient, tenant: [path.clinic, header.x-clinic, query.clinic] }} }}\n"
            )
        })
        .collect();
    policy(&format!(
        "mode: {mode}\nroles:\n{roles}scopes:\n  own: resource.patient == principal.claims.patient\n  \
         late: now < 5\n  broken: principal.claims.absent != 'x'\nroutes:\n{routes}"
    ))
}

/// At most one scope for each role and act: more are a fault of the policy.
fn grants() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::btree_map((0..ROLES.len(), 0..ACTS.len()), 0..SCOPES.len(), 1..9)
        .prop_map(|grants| grants.into_iter().map(|((role, act), scope)| (role, act, scope)).collect())
}

fn passes(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Granted(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn removing_factors_never_lets_more_pass(
        held in prop::sample::subsequence(vec!["clerk", "admin", "support", "other"], 0..4),
        shown in prop::sample::subsequence(vec!["pwd", "pin", "otp", "hwk", "fpt", "user", "mfa"], 1..6),
        lost in any::<prop::sample::Index>(), age in prop::option::of(0_u64..50_000),
    ) {
        let policy = policy(DEMANDING);
        let all = with(&held, &shown, age);
        let mut fewer = all.clone();
        fewer.factors.methods.remove(lost.index(shown.len()));
        let mut timeless = all.clone();
        timeless.factors.at = None;
        for send in ["GET /", "GET /me", "GET /users", "POST /users", "DELETE /users", "POST /keys"] {
            let passed = passes(&ask(&policy, send, Some(&all), &none()));
            for less in [&fewer, &timeless] {
                prop_assert!(passed || !passes(&ask(&policy, send, Some(less), &none())), "{}", send);
            }
        }
    }

    #[test]
    fn removing_a_grant_never_lets_more_pass(
        grants in grants(), lost in any::<prop::sample::Index>(), held in prop::sample::subsequence(ROLES.to_vec(), 0..3),
    ) {
        let mut fewer = grants.clone();
        fewer.remove(lost.index(grants.len()));
        let (before, after) = (matrix(&grants, "enforce"), matrix(&fewer, "enforce"));
        let who = caller("a", &held, &[("patient", "p1")]);
        for at in 0..ACTS.len() {
            for patient in ["p1", "p2"] {
                let send = format!("GET /{at}/a/{patient}");
                let passed = passes(&ask(&before, &send, Some(&who), &none()));
                prop_assert!(passed || !passes(&ask(&after, &send, Some(&who), &none())), "{}", send);
            }
        }
    }

    #[test]
    fn another_tenant_never_passes(
        grants in grants(), observe in any::<bool>(), mine in "[ab]?", path in "[abA]", header in "[ab]?", query in "[ab]?",
        named in (any::<bool>(), any::<bool>()), act in 0..ACTS.len(), anonymous in any::<bool>(),
    ) {
        let policy = matrix(&grants, if observe { "observe" } else { "enforce" });
        let who = caller(&mine, &ROLES, &[("patient", "p1")]);
        let mut request = none();
        let mut places = vec![path.clone()];
        if named.0 { request = request.header("x-clinic", &header); places.push(header.clone()); }
        if named.1 { request = request.query("clinic", &query); places.push(query.clone()); }
        let principal = (!anonymous).then_some(&who);
        let decision = ask(&policy, &format!("GET /{act}/{path}/p1"), principal, &request);
        let one = places.iter().all(|place| *place == path);
        let own = !anonymous && !mine.is_empty() && places.iter().all(|place| *place == mine);
        match &decision.verdict {
            Verdict::Granted(passage) => {
                prop_assert!(own);
                prop_assert_eq!(passage.identity().unwrap().tenant().as_str(), &mine);
            }
            Verdict::Observed(passage, _) => {
                prop_assert!(observe && one);
                prop_assert!(own || principal.is_none_or(|who| who.bindings.is_empty()));
                prop_assert_eq!(passage.identity().is_some(), own);
            }
            Verdict::Denied(_) => prop_assert!(!observe || !own),
        }
    }
}
