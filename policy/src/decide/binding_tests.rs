//! Callers of several tenants, and tenants that demand factors.

use super::*;
use crate::bindings::Bindings;
use crate::explain::explain;
use crate::sample::{NOW, Request, ask, caller, facts, find, outcome, policy};
use proptest::prelude::*;

const CLINICS: &str = r#"
roles:
  admin: { can: { users.*: tenant }, mfa: { within: 12h } }
  member: { can: { users.read: tenant } }
  self: { can: { users.read: mine, users.write: mine } }
scopes:
  mine: resource.tenant == 'b' && principal.tenant == 'b' && 'self' in principal.roles && size(principal.roles) == 1
tenants:
  c: { mfa: required }
  "d|1": { mfa: { within: 5m, phishing_resistant: true } }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated }, resource: { tenant: [claim, header.x-clinic] } }
  users:
    path: /users
    methods: { GET: users.read, POST: users.write }
    resource: { tenant: [claim, header.x-clinic, query.clinic] }
  by_path:
    path: "/{clinic}/users"
    methods: { GET: users.read, POST: users.write }
    resource: { tenant: [path.clinic, header.x-clinic] }
  bare: { path: /bare, methods: { GET: users.read } }
  claimed: { path: /claimed, methods: { GET: users.read }, resource: { tenant: [claim] } }
  trial: { path: /trial, methods: { GET: users.read }, resource: { tenant: [header.x-clinic] }, mode: observe }
"#;

fn none() -> Request {
    Request::default()
}

fn x(tenant: &str) -> Request {
    none().header("x-clinic", tenant)
}

/// A caller who is something in each of these tenants, and has just shown these methods.
fn of(bindings: &[(&str, &[&str])], methods: &[&str]) -> Principal {
    let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let bound = |(tenant, roles): &(&str, &[&str])| Binding::new(TenantId::parse(tenant).unwrap(), owned(roles));
    let mut who = caller("", &[], &[]);
    who.bindings = Bindings::of(bindings.iter().map(bound).collect()).unwrap();
    who.factors.methods = owned(methods);
    who.factors.at = Some(NOW);
    who
}

const TWO: &[&str] = &["pwd", "otp"];

#[test]
fn a_role_counts_in_its_own_tenant_alone() {
    let policy = policy(CLINICS);
    let who = of(&[("a", &["admin"]), ("b", &["member"]), ("e", &[])], TWO);
    for (send, request, expected) in [
        ("GET /users", x("a"), "allow"),
        ("POST /users", x("a"), "allow"),
        ("GET /users", x("b"), "allow"),
        ("POST /users", x("b"), "NOT_GRANTED"),
        ("GET /users", x("e"), "NOT_GRANTED"),
        ("POST /a/users", none(), "allow"),
        ("POST /b/users", none(), "NOT_GRANTED"),
        ("POST /b/users", x("a"), "TENANT_MISMATCH"),
        ("POST /a/users", x("b"), "TENANT_MISMATCH"),
        ("POST /f/users", none(), "TENANT_MISMATCH"),
        ("POST /users", x("f"), "TENANT_MISMATCH"),
        ("POST /users", x("A"), "TENANT_MISMATCH"),
        ("POST /users", x(""), "TENANT_MISMATCH"),
        ("POST /users", x("a").query("clinic", "b"), "TENANT_MISMATCH"),
        ("POST /users", x("a").query("clinic", "a"), "allow"),
        ("POST /users", x("a").header("x-clinic", "a"), "TENANT_MISMATCH"),
        ("POST /users", none().query("clinic", "a"), "allow"),
        ("POST /users", none(), "NO_TENANT"),
        ("GET /me", none(), "NO_TENANT"),
        ("GET /me", x("e"), "allow"),
        ("GET /bare", none(), "NO_TENANT"),
        ("GET /bare", x("a"), "NO_TENANT"),
        ("GET /claimed", x("a"), "NO_TENANT"),
        ("GET /trial", none(), "observe:NO_TENANT"),
        ("GET /trial", x("e"), "observe:NOT_GRANTED"),
        ("GET /trial", x("f"), "TENANT_MISMATCH"),
    ] {
        assert_eq!(outcome(&ask(&policy, send, Some(&who), &request)), expected, "{send} {request:?}");
    }
}

#[test]
fn demands_of_a_role_hold_where_it_is_held() {
    let policy = policy(CLINICS);
    let who = of(&[("a", &["admin"]), ("b", &["member"])], &["pwd"]);
    assert_eq!(outcome(&ask(&policy, "GET /users", Some(&who), &x("a"))), "STEP_UP");
    assert_eq!(outcome(&ask(&policy, "GET /users", Some(&who), &x("b"))), "allow");
}

#[test]
fn conditions_read_the_active_tenant_and_its_roles() {
    let policy = policy(CLINICS);
    let who = of(&[("a", &["self"]), ("b", &["self"])], TWO);
    assert_eq!(outcome(&ask(&policy, "GET /users", Some(&who), &x("b"))), "allow");
    assert_eq!(outcome(&ask(&policy, "GET /users", Some(&who), &x("a"))), "NOT_OWN");
}

#[test]
fn a_tenant_can_demand_factors() {
    let policy = policy(CLINICS);
    for (tenant, methods, expected) in [
        ("a", &["pwd"][..], "allow"),
        ("c", &["pwd"], "STEP_UP"),
        ("c", TWO, "allow"),
        ("d|1", TWO, "STEP_UP"),
        ("d|1", &["hwk", "pin"], "allow"),
    ] {
        let alone = of(&[(tenant, &["member"])], methods);
        let among = of(&[("b", &["member"]), (tenant, &["member"])], methods);
        for (who, request) in [(&alone, none()), (&alone, x(tenant)), (&among, x(tenant))] {
            for send in ["GET /users", "GET /me"] {
                assert_eq!(outcome(&ask(&policy, send, Some(who), &request)), expected, "{send} {tenant} {methods:?}");
            }
        }
        assert_eq!(outcome(&ask(&policy, "GET /", Some(&alone), &none())), "allow", "a public page asks for nothing");
    }
    let denial = match ask(&policy, "GET /me", Some(&of(&[("d|1", &["admin"])], &["pwd"])), &none()).verdict {
        Verdict::Denied(Denial::StepUp(short)) => short.needed,
        other => panic!("{other:?}"),
    };
    assert_eq!((denial.within_s(), denial.phishing_resistant()), (Some(300), true), "demands add up");
}

#[test]
fn the_application_and_the_record_get_the_active_binding() {
    let policy = policy(CLINICS);
    let who = of(&[("a", &["admin", "x,y"]), ("b", &["member"])], TWO);
    let told = |send: &str, request: Request| {
        let Decision { verdict, basis } = ask(&policy, send, Some(&who), &request);
        let told = match verdict {
            Verdict::Granted(passage) | Verdict::Observed(passage, _) => passage
                .identity()
                .map_or("nobody".to_owned(), |one| format!("{} {}", one.tenant(), one.roles().join(","))),
            Verdict::Denied(denial) => denial.code().to_owned(),
        };
        let tenant = basis.tenant.map_or("-".to_owned(), |tenant| tenant.to_string());
        (told, format!("{tenant} {} {}", basis.roles.join(";"), basis.tenant_fact.as_str()))
    };
    let is = |told: &str, basis: &str| (told.to_owned(), basis.to_owned());
    assert_eq!(told("GET /users", x("a")), is("a admin", "a admin;x,y same"));
    assert_eq!(told("GET /users", x("b")), is("b member", "b member same"));
    assert_eq!(told("GET /users", x("f")), is("TENANT_MISMATCH", "-  other"));
    assert_eq!(told("GET /users", none()), is("NO_TENANT", "-  none"));
    assert_eq!(told("GET /", none()), is("nobody", "-  none"), "which one is meant is not clear");
    assert_eq!(told("GET /trial", none()), is("nobody", "-  none"));
}

#[test]
fn a_trace_and_a_detail_say_what_is_missing() {
    let policy = policy(CLINICS);
    let who = of(&[("a", &["admin"]), ("c", &["member"])], &["pwd"]);
    let told = |request: &Request| {
        let trace = explain(&find(&policy, "GET /users"), &facts("GET /users", Some(&who), request));
        trace.steps.into_iter().skip(2).map(|step| step.says).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&none()),
        [
            "the caller is of tenants `a`, `c`",
            "the caller is of several tenants, and no place that the route lists names one"
        ]
    );
    assert_eq!(
        told(&x("b")),
        ["the caller is of tenants `a`, `c`", "`header.x-clinic` names a tenant that is not the caller's"]
    );
    assert_eq!(told(&x("a").query("clinic", "c"))[1], "`header.x-clinic` and `query.clinic` name different tenants");
    assert_eq!(
        told(&x("c")),
        [
            "the caller is of tenants `a`, `c`",
            "the request names `c`",
            "tenant `c` demands two factors",
            "`amr` has `pwd`: the credential shows no two factors"
        ]
    );
    match ask(&policy, "GET /users", Some(&who), &none()).verdict {
        Verdict::Denied(denial) => assert!(denial.detail().starts_with("the caller is of several tenants")),
        other => panic!("{other:?}"),
    }
}

const ROLES: [&str; 4] = ["admin", "member", "self", "other"];
const TENANTS: [&str; 4] = ["a", "b", "c", "d|1"];

/// Bindings in some of the tenants, each with some of the roles.
fn bound() -> impl Strategy<Value = Vec<(&'static str, Vec<&'static str>)>> {
    let roles = prop::collection::vec(prop::sample::subsequence(ROLES.to_vec(), 0..ROLES.len()), TENANTS.len());
    (prop::sample::subsequence(TENANTS.to_vec(), 1..TENANTS.len()), roles)
        .prop_map(|(tenants, roles)| tenants.into_iter().zip(roles).collect())
}

fn who(bindings: &[(&'static str, Vec<&'static str>)], methods: &[&str]) -> Principal {
    let borrowed: Vec<(&str, &[&str])> = bindings.iter().map(|(tenant, roles)| (*tenant, roles.as_slice())).collect();
    of(&borrowed, methods)
}

/// What came out, and as what in which tenant.
fn came(
    policy: &crate::Policy,
    send: &str,
    who: &Principal,
    request: &Request,
) -> (String, Option<(String, Vec<String>)>) {
    let decision = ask(policy, send, Some(who), request);
    let outcome = outcome(&decision);
    let identity = match decision.verdict {
        Verdict::Granted(passage) | Verdict::Observed(passage, _) => {
            passage.identity().map(|one| (one.tenant().to_string(), one.roles().to_vec()))
        }
        Verdict::Denied(_) => None,
    };
    (outcome, identity)
}

const SENDS: [&str; 6] = ["GET /me", "GET /users", "POST /users", "GET /a/users", "POST /b/users", "GET /trial"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_held_elsewhere_changes_nothing_here(
        bindings in bound(), named in prop::sample::select(TENANTS.to_vec()), strong in any::<bool>(),
    ) {
        let policy = policy(CLINICS);
        let methods = if strong { &["hwk", "pin"][..] } else { &["pwd"] };
        let here: Vec<_> = bindings.iter().filter(|(tenant, _)| *tenant == named).cloned().collect();
        let (everywhere, here_alone) = (who(&bindings, methods), who(&here, methods));
        for send in SENDS {
            let (all, alone) = (came(&policy, send, &everywhere, &x(named)), came(&policy, send, &here_alone, &x(named)));
            if here.is_empty() {
                prop_assert_eq!(&all.0, "TENANT_MISMATCH", "{}", send);
            } else {
                prop_assert_eq!(all, alone, "{}", send);
            }
        }
    }

    #[test]
    fn removing_a_binding_lets_nothing_pass_that_named_its_tenant(
        bindings in bound(), lost in any::<prop::sample::Index>(), named in prop::option::of(prop::sample::select(TENANTS.to_vec())),
    ) {
        let policy = policy(CLINICS);
        let mut fewer = bindings.clone();
        fewer.remove(lost.index(bindings.len()));
        let (all, fewer) = (who(&bindings, TWO), who(&fewer, TWO));
        let request = named.map_or_else(none, x);
        for send in SENDS {
            let (before, after) = (came(&policy, send, &all, &request).0, came(&policy, send, &fewer, &request).0);
            // Whoever is left with one tenant need not name it any more.
            let cleared = before.ends_with("NO_TENANT") && named.is_none() && fewer.bindings.only().is_some();
            prop_assert!(before == "allow" || after != "allow" || cleared, "{} {} {}", send, before, after);
        }
    }

    #[test]
    fn nobody_acts_for_a_tenant_that_is_not_theirs(
        bindings in bound(), header in prop::option::of("[abcf]?"), query in prop::option::of("[abcf]?"),
        send in prop::sample::select(SENDS.to_vec()),
    ) {
        let policy = policy(CLINICS);
        let mut request = none();
        if let Some(header) = &header { request = request.header("x-clinic", header); }
        if let Some(query) = &query { request = request.query("clinic", query); }
        let caller = who(&bindings, TWO);
        if let (_, Some((tenant, roles))) = came(&policy, send, &caller, &request) {
            let held = caller.bindings.in_tenant(&tenant);
            prop_assert_eq!(held.map(Binding::roles), Some(roles.as_slice()));
            prop_assert!(header.is_none_or(|header| header == tenant));
            let path = send.split('/').nth(1).filter(|part| part.len() == 1);
            prop_assert!(path.is_none_or(|path| path == tenant));
        }
    }
}
