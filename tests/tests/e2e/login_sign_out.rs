//! Signing out at the provider, in the way that each provider understands, or at the gate alone.

use std::collections::BTreeMap;

use e2e::app::App;
use e2e::client::Answer;
use e2e::gate::{Files, Gate};
use e2e::op::{Browser, CLIENT, COOKIE, END_SESSION, Op, pairs};
use serde_json::json;

/// The ID token's cookie.
const ID_TOKEN: &str = "__Host-anteroom-id-token";

const POLICY: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
routes:
  records: { path: /records, methods: { GET: authenticated } }
";

/// A gate whose provider has `preset`, with more keys of `login`.
fn gate(op: &Op, preset: &str, more: &str) -> Gate {
    let mut setup = op.setup(more);
    setup.policy = POLICY.to_owned();
    let keys = format!("jwks: {{ file: jwks.json }}\n    algorithms: [ES256]\n    {}", op.config(more));
    setup.provider = format!("tenant: a\n  row:\n    {}\n    {keys}", preset.replace('\n', "\n    "));
    op.before(setup, App::plain())
}

/// Signs in with a person of `issuer`, and goes to `path`.
async fn signed_in(op: &Op, gate: &Gate, issuer: &str) -> Browser {
    op.lies(json!({ "iss": issuer, "groups": ["provider"], "tid": "11111111-2222-3333-4444-555555555555" }));
    let mut browser = Browser::new(gate).await;
    let sent = browser.go("/records").await;
    let callback = op.sign_in(sent.header("location"));
    let back = browser.go(callback.split("&iss=").next().unwrap()).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (303, "/records"), "{back:?}");
    browser
}

async fn sign_out(browser: &mut Browser) -> (String, BTreeMap<String, String>) {
    let out: Answer = browser.press("/.anteroom/logout").await;
    assert_eq!(out.status, 303, "{out:?}");
    assert!(!browser.jar.keys().any(|name| name.starts_with(COOKIE)), "{:?}", browser.jar.keys());
    let location = out.header("location");
    location.split_once('?').map_or((location.to_owned(), BTreeMap::new()), |(to, asked)| (to.to_owned(), pairs(asked)))
}

const OKTA: (&str, &str) = (
    "preset: okta\nissuer: https://clinic.okta.com/oauth2/default\naudience: [api]\ntenant: a",
    "https://clinic.okta.com/oauth2/default",
);
const COGNITO: (&str, &str) = (
    "preset: cognito\nissuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE\nclients: [web]\ntenant: a",
    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE",
);
const KEYCLOAK: (&str, &str) = (
    "preset: keycloak\nissuer: https://id.clinic.example/realms/clinic\naudience: [api]\nclients: [web]\ntenant: a",
    "https://id.clinic.example/realms/clinic",
);

#[tokio::test]
async fn cognito_is_told_by_its_own_name_where_to_come_back_to() {
    let op = Op::start();
    let gate = gate(&op, COGNITO.0, "");
    let mut browser = signed_in(&op, &gate, COGNITO.1).await;
    assert!(!browser.jar.contains_key(ID_TOKEN));
    let (address, asked) = sign_out(&mut browser).await;
    let expected = [("client_id", CLIENT), ("logout_uri", "https://clinic.example/")];
    assert_eq!((address.as_str(), asked), (END_SESSION, pairs_of(&expected)));
}

fn pairs_of(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn okta_is_shown_the_id_token_that_nobody_else_sees() {
    let op = Op::start();
    let gate = gate(&op, OKTA.0, "");
    let mut browser = signed_in(&op, &gate, OKTA.1).await;
    let kept = browser.jar[ID_TOKEN].clone();
    assert!(!kept.contains('.'), "sealed");
    assert_eq!(browser.fetch("GET", "/records").await.status, 200);
    let seen = gate.app.last();
    assert!(!seen.headers().iter().any(|(_, value)| value.contains("id-token")), "{:?}", seen.headers());
    let old = browser.jar.clone();
    let (address, asked) = sign_out(&mut browser).await;
    assert_eq!((address.as_str(), asked["client_id"].as_str()), (END_SESSION, CLIENT));
    assert_eq!(asked["post_logout_redirect_uri"], "https://clinic.example/");
    let hint = &asked["id_token_hint"];
    assert_eq!(hint.split('.').count(), 3, "{hint}");

    // That of another session signs nobody out, and signing out goes on without it.
    let mut other = signed_in(&op, &gate, OKTA.1).await;
    other.jar.insert(ID_TOKEN.to_owned(), old[ID_TOKEN].clone());
    let (address, asked) = sign_out(&mut other).await;
    assert_eq!((address.as_str(), asked.get("id_token_hint")), (END_SESSION, None));
}

#[tokio::test]
async fn an_id_token_that_does_not_fit_is_not_kept() {
    let op = Op::start();
    let gate = gate(&op, OKTA.0, "");
    op.person(json!({ "sub": "ada.example", "picture": "x".repeat(3_000) }));
    let mut browser = signed_in(&op, &gate, OKTA.1).await;
    assert!(!browser.jar.contains_key(ID_TOKEN));
    let (address, asked) = sign_out(&mut browser).await;
    assert_eq!((address.as_str(), asked.get("id_token_hint")), (END_SESSION, None));
}

#[tokio::test]
async fn a_key_asks_for_it_at_other_providers_and_a_key_takes_it_out() {
    for (preset, more, has) in
        [(KEYCLOAK, "", false), (KEYCLOAK, ", id_token_hint: true", true), (OKTA, ", id_token_hint: false", false)]
    {
        let op = Op::start();
        let gate = gate(&op, preset.0, more);
        let mut browser = signed_in(&op, &gate, preset.1).await;
        assert_eq!(browser.jar.contains_key(ID_TOKEN), has, "{more}");
        assert_eq!(sign_out(&mut browser).await.1.contains_key("id_token_hint"), has, "{more}");
    }
}

#[tokio::test]
async fn signing_out_can_end_at_the_gate() {
    let op = Op::start();
    let mut setup = op.setup("");
    setup.provider = setup.provider.replace(&format!("\"{END_SESSION}\""), "none");
    setup.policy = POLICY.to_owned();
    setup.more = "session: { after_logout: /bye }\n".to_owned();
    let gate = op.gate(setup);
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    let (address, asked) = sign_out(&mut browser).await;
    assert_eq!((address.as_str(), asked.len()), ("/bye", 0));
}

#[test]
fn a_hint_is_for_a_place_to_sign_out_at() {
    let op = Op::start();
    let mut setup = op.setup(", id_token_hint: true");
    setup.provider = setup.provider.replace(&format!("\"{END_SESSION}\""), "none");
    let faults =
        anteroom::config::prepare(&Files::write(&setup, App::plain().address).path("config.yaml")).err().unwrap();
    let shown = policy::render(&faults.diagnostics, &faults.sources, false);
    assert!(shown.contains("`end_session_endpoint: none` leads nobody there"), "{shown}");
}
