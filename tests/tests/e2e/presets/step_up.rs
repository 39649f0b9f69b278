//! Contexts of Entra at a gate that serves: it gives one out only to who asks by a claim.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::app::App;
use e2e::client::{BOTH, Client};
use e2e::gate::{Gate, Setup};
use e2e::op::{AUTHORIZE, Browser, Op, pairs};
use serde_json::{Map, Value, json};

use super::OURS;

const DIRECTORY: &str = "11111111-2222-3333-4444-555555555555";
const API: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const POLICY: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { records.read: tenant, rx.sign: tenant, rx.void: tenant } }
acts:
  rx.sign: { mfa: { within: 5m } }
  rx.void: { mfa: { phishing_resistant: true } }
routes:
  records: { path: /records, methods: { GET: records.read } }
  sign: { path: /sign, methods: { GET: rx.sign } }
  void: { path: /void, methods: { GET: rx.void } }
";

const ACR: &str = "acr: { mfa: [c1, c3], phishing_resistant: [c2] }";

/// The keys of Entra as the provider `row`, beside the one of all tests.
fn entra(more: &str) -> String {
    let keys = format!("preset: entra\nissuer: {}\naudience: [{API}]\ntenants: any\n{OURS}\n{more}", issuer());
    let lines: Vec<String> = keys.lines().map(|line| format!("    {line}")).collect();
    format!("claims: {{ tenant: org_id, roles: roles }}\n    tenants: any\n  row:\n{}", lines.join("\n"))
}

fn issuer() -> String {
    format!("https://login.microsoftonline.com/{DIRECTORY}/v2.0")
}

/// A person of the directory at `now`, who has met these contexts.
fn person(now: u64, contexts: &[&str]) -> Value {
    json!({
        "iss": issuer(), "sub": "ada.example", "tid": DIRECTORY, "ver": "2.0", "roles": ["provider"], "sid": "s1",
        "auth_time": now, "acrs": contexts,
    })
}

/// An access token of a person who has met these contexts.
fn token(gate: &Gate, contexts: &[&str]) -> String {
    let now = gate.issuer().now;
    let mut claims: Map<String, Value> = person(now, contexts).as_object().unwrap().clone();
    let more = json!({ "aud": API, "azp": "web", "azpacr": "0", "scp": "records", "iat": now, "exp": now + 600 });
    claims.extend(more.as_object().unwrap().clone());
    gate.issuer().sign(&claims)
}

#[tokio::test]
async fn what_falls_short_gets_the_claims_challenge() {
    let gate = Gate::start(Setup { policy: POLICY.to_owned(), provider: entra(ACR), ..Setup::default() }, App::plain());
    let token = |contexts: &[&str]| token(&gate, contexts);
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (path, short, context, age) in [
            ("/sign", &[][..], "c1", ", max_age=\"300\""),
            ("/sign", &["c9"], "c1", ", max_age=\"300\""),
            ("/void", &["c1"], "c2", ""),
        ] {
            let answer = client.get(path, &token(short)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP"), "{path} {answer:?}");
            let claims = json!({ "access_token": { "acrs": { "essential": true, "value": context } } });
            let expected = format!(
                "Bearer realm=\"{DIRECTORY}\", \
                 authorization_uri=\"https://login.microsoftonline.com/{DIRECTORY}/oauth2/authorize\", \
                 error=\"insufficient_claims\", error_description=\"stronger or more recent sign-in needed\", \
                 claims=\"{}\"{age}",
                STANDARD.encode(claims.to_string()),
            );
            assert_eq!(answer.header("www-authenticate"), expected, "{path}");
            assert_eq!(client.get(path, &token(&[context])).await.status, 200, "{path}: what was asked for does");
        }
    }
}

#[tokio::test]
async fn where_no_context_is_listed_there_is_none_to_demand() {
    let gate = Gate::start(Setup { policy: POLICY.to_owned(), provider: entra(""), ..Setup::default() }, App::plain());
    let mut client = Client::open(&gate, BOTH[0]).await;
    let answer = client.get("/sign", &token(&gate, &["c1"])).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP"), "{answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(!challenge.contains("claims="), "{challenge}");
}

#[tokio::test]
async fn a_sign_in_asks_by_the_claim() {
    let op = Op::start();
    let mut setup = op.setup("");
    setup.policy = POLICY.to_owned();
    setup.provider = entra(&format!("{ACR}\n{}", op.config("")));
    let gate = op.before(setup, App::plain());
    let now = op.does().now;
    // The provider of the tests, as the directory.
    let as_the_directory = |callback: String| callback.split("&iss=").next().unwrap().to_owned();
    op.lies(person(now, &[]));
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go("/records").await;
    let page = browser.come_back(&as_the_directory(op.sign_in(sent.header("location")))).await;
    assert_eq!(page.status, 200, "{page:?}");

    let sent = browser.go("/sign").await;
    assert!(sent.header("location").starts_with(AUTHORIZE), "{sent:?}");
    let asked = pairs(sent.header("location").split_once('?').unwrap().1);
    let claims: Value = serde_json::from_str(&asked["claims"]).unwrap();
    assert_eq!(claims, json!({ "id_token": { "acrs": { "essential": true, "value": "c1" } } }));
    assert_eq!((asked.get("acr_values"), asked["max_age"].as_str()), (None, "300"));
    op.lies(person(now, &["c1"]));
    let page = browser.come_back(&as_the_directory(op.sign_in(sent.header("location")))).await;
    assert_eq!((page.status.as_u16(), gate.app.last().target()), (200, "/sign"), "{page:?}");
}
