//! Factors that fall short: the challenge, the same code everywhere, and what suffices.

use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use serde_json::{Value, json};

const POLICY: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { records.read: tenant, rx.sign: tenant } }
  admin: { can: { users.read: tenant }, mfa: { within: 12h } }
acts:
  rx.sign: { mfa: { within: 5m, phishing_resistant: true } }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated } }
  records: { path: /records, methods: { GET: records.read } }
  sign: { path: /sign, methods: { POST: rx.sign } }
  users: { path: /users, methods: { GET: users.read }, resource: { tenant: [header.x-clinic] } }
  watched: { path: /watched, methods: { GET: users.read }, mode: observe }
";
const PAPE: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

fn gate(acr: &str) -> Gate {
    let provider = format!("claims: {{ tenant: org_id, roles: roles }}\n    acr: {acr}");
    Gate::start(Setup { policy: POLICY.to_owned(), provider, ..Setup::default() }, App::plain())
}

fn token(gate: &Gate, roles: &[&str], changes: Value) -> String {
    let mut changes = changes;
    changes["roles"] = json!(roles);
    format!("Bearer {}", gate.issuer().changed(changes))
}

fn stepped_up(answer: &Answer, acr_values: &str, max_age: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP"), "{answer:?}");
    let expected = format!(
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"stronger or more recent sign-in needed\", acr_values=\"{acr_values}\", max_age=\"{max_age}\""
    );
    assert_eq!(answer.header("www-authenticate"), expected);
}

#[tokio::test]
async fn a_missing_or_stale_factor_is_challenged() {
    let gate = gate("{}");
    let now = gate.issuer().now;
    let short = [
        json!({}),
        json!({ "auth_time": now }),
        json!({ "amr": ["pwd"], "auth_time": now }),
        json!({ "amr": ["otp"], "auth_time": now }),
        json!({ "amr": ["hwk", "user"], "auth_time": now }),
        json!({ "amr": "mfa", "auth_time": now }),
        json!({ "acr": PAPE, "auth_time": now }),
        json!({ "amr": ["pwd", "otp"] }),
        json!({ "amr": ["pwd", "otp"], "auth_time": now - 12 * 3_600 - 60 }),
        json!({ "amr": ["pwd", "otp"], "auth_time": now + 600 }),
    ];
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for claims in &short {
            let token = token(&gate, &["admin"], claims.clone());
            stepped_up(&client.ask("GET", "/users", &[("authorization", &token)]).await, PAPE, "43200");
        }
        let odd = token(&gate, &["admin"], json!({ "amr": ["pwd", "otp"], "auth_time": now.to_string() }));
        let answer = client.ask("GET", "/users", &[("authorization", &odd)]).await;
        assert_eq!(answer.code(), "TOKEN_INVALID", "a time that cannot be read is not taken for none");
        for methods in [json!(["pwd", "otp"]), json!(["mfa"]), json!(["hwk", "pin"])] {
            let token = token(&gate, &["admin"], json!({ "amr": methods, "auth_time": now - 3_600 }));
            assert_eq!(client.ask("GET", "/users", &[("authorization", &token)]).await.status, 200, "{methods}");
        }
    }
    assert_eq!(gate.app.count(), 2 * 3, "what fell short never came through");
}

#[tokio::test]
async fn a_role_that_is_held_demands_whichever_role_grants() {
    let gate = gate("{}");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for (roles, path, status) in [
        (&["provider"][..], "/records", 200),
        (&["provider", "admin"], "/records", 401),
        (&["admin"], "/me", 401),
        (&["provider"], "/users", 403),
        (&["admin"], "/", 200),
    ] {
        let token = token(&gate, roles, json!({ "amr": ["pwd"] }));
        let answer = client.ask("GET", path, &[("authorization", &token)]).await;
        assert_eq!(answer.status, status, "{roles:?} {path}");
    }
}

#[tokio::test]
async fn the_challenge_asks_for_what_is_accepted() {
    let gate = gate("{ mfa: ['urn:2fa', '2'], phishing_resistant: [phr, phrh] }");
    let now = gate.issuer().now;
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let admin = token(&gate, &["admin"], json!({ "acr": "1", "auth_time": now }));
    stepped_up(&client.ask("GET", "/users", &[("authorization", &admin)]).await, "urn:2fa 2 phr phrh", "43200");
    let weak = token(&gate, &["provider"], json!({ "acr": "urn:2fa", "auth_time": now }));
    stepped_up(&client.ask("POST", "/sign", &[("authorization", &weak)]).await, "phr phrh", "300");
    for (method, path, roles, acr) in [
        ("GET", "/users", "admin", "urn:2fa"),
        ("GET", "/users", "admin", "2"),
        ("GET", "/users", "admin", "phr"),
        ("POST", "/sign", "provider", "phrh"),
    ] {
        let token = token(&gate, &[roles], json!({ "acr": acr, "auth_time": now }));
        assert_eq!(client.ask(method, path, &[("authorization", &token)]).await.status, 200, "{path} {acr}");
    }
}

#[tokio::test]
async fn the_code_is_the_same_in_the_answer_the_record_and_the_metrics() {
    let gate = gate("{}");
    let now = gate.issuer().now;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = token(&gate, &["admin"], json!({ "amr": ["pwd"], "auth_time": now - 50 }));
    let answer = client.ask("GET", "/users", &[("authorization", &token)]).await;
    assert_eq!(answer.code(), "STEP_UP");
    let event = gate.files.event(answer.id());
    assert_eq!(
        (&event["code"], &event["decision"], &event["status"]),
        (&json!("STEP_UP"), &json!("deny"), &json!(401))
    );
    assert_eq!(event["actor"]["factors"]["methods"], json!(["pwd"]));
    let age = event["actor"]["factors"]["age_s"].as_u64().unwrap();
    assert!((50..120).contains(&age), "{age}");
    assert_eq!(gate.metric("anteroom_requests_total", &[("code", "STEP_UP")]), 1.0);

    let page = client.ask("GET", "/users", &[("authorization", &token), ("accept", "text/html")]).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(page.text().contains("STEP_UP") && page.text().contains("sign in again with a second factor"));
    assert!(page.header("www-authenticate").contains("insufficient_user_authentication"));
}

#[tokio::test]
async fn a_foreign_tenant_is_not_asked_for_factors_and_observing_waives_them_only() {
    let gate = gate("{}");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = token(&gate, &["admin"], json!({ "amr": ["pwd"] }));
    let foreign = client.ask("GET", "/users", &[("authorization", &token), ("x-clinic", "b")]).await;
    assert_eq!((foreign.status.as_u16(), foreign.code().as_str()), (403, "TENANT_MISMATCH"));
    let watched = client.ask("GET", "/watched", &[("authorization", &token)]).await;
    assert_eq!(watched.status, 200);
    let event = gate.files.event(watched.id());
    assert_eq!((&event["code"], &event["decision"]), (&json!("STEP_UP"), &json!("observe")));
    assert_eq!(gate.app.last().header("x-tenant-id"), Some("a"));
}

#[test]
fn contexts_that_cannot_stand_in_a_challenge_are_refused() {
    for bad in
        ["{ mfa: ['a b'] }", "{ mfa: [''] }", "{ mfa: ['a\"b'] }", "{ phishing_resistant: ['ä'] }", "{ mfs: [a] }"]
    {
        let provider = format!("claims: {{ tenant: org_id, roles: roles }}\n    acr: {bad}");
        let setup = Setup { policy: POLICY.to_owned(), provider, ..Setup::default() };
        let files = e2e::gate::Files::write(&setup, "127.0.0.1:1".parse().unwrap());
        let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
        assert_eq!(faults.diagnostics.len(), 1, "{bad}");
        assert!(faults.diagnostics[0].span.is_some(), "{bad}");
    }
}
