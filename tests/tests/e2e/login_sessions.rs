//! What becomes of a session that the gate made: factors that are asked for, and the provider's word that is asked for again.

use std::time::Duration;

use e2e::app::App;
use e2e::gate::{Gate, Setup};
use e2e::op::{AUTHORIZE, Browser, CLIENT, COOKIE, END_SESSION, Op, pairs};
use serde_json::json;

const POLICY: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { records.read: tenant, rx.sign: tenant } }
acts:
  rx.sign: { mfa: { within: 5m } }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated } }
  records: { path: /records, methods: { GET: records.read } }
  sign: { path: /sign, methods: { GET: rx.sign, POST: rx.sign } }
";

/// A gate with a clock that stands still, at the time of the provider.
fn gate(op: &Op, more: &str) -> Gate {
    let mut setup = op.setup(more);
    setup.policy = POLICY.to_owned();
    setup.provider = format!("acr: {{ mfa: [\"urn:clinic:2fa\"] }}\n    {}", setup.provider);
    op.still(setup, App::plain())
}

fn advance(op: &Op, gate: &Gate, seconds: u64) {
    gate.clock().advance(Duration::from_secs(seconds));
    op.does().now += seconds;
}

fn person(op: &Op, amr: &[&str], auth_time: u64) {
    op.person(
        json!({ "sub": "ada.example", "org_id": "a", "roles": ["provider"], "amr": amr, "auth_time": auth_time }),
    );
}

#[tokio::test]
async fn factors_are_asked_for_on_the_way() {
    let op = Op::start();
    let gate = gate(&op, "");
    let now = gate.clock().now().unix_seconds();
    person(&op, &["pwd"], now);
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/records").await.status, 200);
    let session = browser.jar[COOKIE].clone();

    // A script gets the challenge of RFC 9470, and is sent nowhere.
    for method in ["GET", "POST"] {
        let answer = browser.fetch(method, "/sign").await;
        assert_eq!((answer.status.as_u16(), answer.code(), answer.header("location")), (401, "STEP_UP".to_owned(), ""));
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains("insufficient_user_authentication") && challenge.contains("max_age=\"300\""),
            "{challenge}"
        );
    }
    // A person is sent to show them.
    let sent = browser.go("/sign").await;
    let asked = pairs(sent.header("location").split_once('?').unwrap().1);
    assert_eq!((asked["acr_values"].as_str(), asked["max_age"].as_str()), ("urn:clinic:2fa", "300"));
    let event = gate.files.event(sent.id());
    assert_eq!((&event["code"], &event["status"]), (&json!("STEP_UP"), &json!(303)));
    person(&op, &["pwd", "otp"], now);
    let page = browser.come_back(&op.sign_in(sent.header("location"))).await;
    assert_eq!((page.status.as_u16(), gate.app.last().target()), (200, "/sign"));
    assert_ne!(browser.jar[COOKIE], session, "another session");
    // When they are too old, anew.
    advance(&op, &gate, 331);
    assert!(browser.go("/sign").await.header("location").starts_with(AUTHORIZE));
    assert_eq!(browser.go("/records").await.status, 200);
}

#[tokio::test]
async fn whoever_comes_back_without_the_factors_is_told_and_sent_no_more() {
    let op = Op::start();
    let gate = gate(&op, "");
    let now = gate.clock().now().unix_seconds();
    person(&op, &["pwd"], now);
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    let page = browser.sign_in(&op, "/sign").await;
    assert_eq!((page.status.as_u16(), page.header("location")), (401, ""));
    assert!(page.text().contains("<code>STEP_UP</code>"), "{}", page.text());
    assert_eq!(browser.go("/records").await.status, 200, "the session holds for what it was good for");
    // After a while a person may try again.
    advance(&op, &gate, 121);
    assert!(browser.go("/sign").await.header("location").starts_with(AUTHORIZE));
    assert_eq!(gate.app.count(), 2);
}

#[tokio::test]
async fn a_provider_that_does_not_say_when_signs_nobody_in_where_an_age_was_asked_for() {
    let op = Op::start();
    let gate = gate(&op, "");
    let now = gate.clock().now().unix_seconds();
    for auth_time in [json!(null), json!(now - 3_600), json!(now + 600), json!(now.to_string())] {
        person(&op, &["pwd"], now);
        op.lies(json!({}));
        let mut browser = Browser::new(&gate).await;
        browser.sign_in(&op, "/records").await;
        let before = browser.jar[COOKIE].clone();
        let sent = browser.go("/sign").await;
        op.lies(json!({ "auth_time": auth_time, "amr": ["pwd", "otp"] }));
        let page = browser.go(&op.sign_in(sent.header("location"))).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (401, ""), "{auth_time}");
        assert_eq!(browser.jar[COOKIE], before, "the session of before is still there");
    }
}

#[tokio::test]
async fn the_provider_is_asked_again_and_its_word_counts() {
    let op = Op::start();
    let gate = gate(&op, ", renew: 5m, scopes: [openid, offline_access]");
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    assert_eq!(op.does().asked.len(), 1);
    advance(&op, &gate, 299);
    assert_eq!(browser.go("/records").await.status, 200);
    assert_eq!(op.does().asked.len(), 1, "not before it is due");
    advance(&op, &gate, 1);
    let old = browser.jar.clone();
    assert_eq!(browser.go("/records").await.status, 200);
    assert_eq!(op.does().asked[1].0["grant_type"], "refresh_token");
    assert_ne!(browser.jar[COOKIE], old[COOKIE]);
    assert_eq!(gate.app.last().header("cookie"), None);

    // A request that was under way with the cookies of before does not use the token twice.
    let new = std::mem::replace(&mut browser.jar, old);
    assert_eq!(browser.go("/records").await.status, 200);
    assert_eq!(op.does().asked.len(), 2);
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>());

    // Roles that are taken away are gone with the next renewal.
    op.person(json!({ "sub": "ada.example", "org_id": "a", "roles": [] }));
    assert_eq!(browser.go("/records").await.status, 200);
    advance(&op, &gate, 300);
    assert_eq!(browser.go("/records").await.status, 403);
    // And so is a person: another one is no renewal.
    op.person(json!({ "sub": "eve.example", "org_id": "a", "roles": ["provider"] }));
    advance(&op, &gate, 300);
    assert_eq!(browser.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn of_many_requests_one_asks_the_provider() {
    let op = Op::start();
    let gate = gate(&op, ", renew: 5m");
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    advance(&op, &gate, 300);
    let mut tabs = Vec::new();
    for _ in 0..8 {
        let mut tab = Browser::new(&gate).await;
        tab.jar = browser.jar.clone();
        tabs.push(tokio::spawn(async move { tab.go("/records").await.status }));
    }
    for tab in tabs {
        assert_eq!(tab.await.unwrap(), 200);
    }
    assert_eq!(op.does().asked.len(), 2, "the sign-in and one renewal");
}

#[tokio::test]
async fn a_session_that_is_not_renewed_ends() {
    let op = Op::start();
    let gate = gate(&op, ", renew: 5m");
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    // Silence ends it when twice the time has passed.
    op.does().fails = Some(503);
    advance(&op, &gate, 300);
    assert_eq!(browser.go("/records").await.status, 200);
    assert_eq!(browser.go("/records").await.status, 200);
    assert_eq!(op.does().asked.len(), 2, "a provider that fails is left alone for a while");
    advance(&op, &gate, 300);
    let down = browser.fetch("GET", "/records").await;
    assert_eq!((down.status.as_u16(), down.code()), (503, "PROVIDER_DOWN".to_owned()));
    op.does().fails = None;
    advance(&op, &gate, 31);
    assert_eq!(browser.go("/records").await.status, 200, "it recovers alone");
    // A refusal ends it at once.
    op.does().fails = Some(400);
    advance(&op, &gate, 300);
    assert_eq!(browser.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
    op.does().fails = None;
    let told = browser.go("/records").await;
    assert!(told.text().contains("SESSION_ENDED") && told.text().contains("/.anteroom/login?prompt=login"));
    // One without its token, or with that of another session, ends as well.
    let mut other = Browser::new(&gate).await;
    other.sign_in(&op, "/records").await;
    advance(&op, &gate, 300);
    let renewal = other.jar.remove("__Host-anteroom-renewal").unwrap();
    assert_eq!(other.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
    let mut third = Browser::new(&gate).await;
    third.sign_in(&op, "/records").await;
    advance(&op, &gate, 300);
    third.jar.insert("__Host-anteroom-renewal".to_owned(), renewal);
    assert_eq!(third.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_login_that_cannot_be_safe_is_no_configuration() {
    let op = Op::start();
    let faults = |change: &dyn Fn(&mut Setup)| {
        let mut setup = op.setup("");
        change(&mut setup);
        let app = App::plain();
        let files = e2e::gate::Files::write(&setup, app.address);
        let faults = anteroom::config::prepare(&files.path("config.yaml")).err();
        faults.map(|faults| faults.diagnostics.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; "))
    };
    assert_eq!(faults(&|_| {}), None);
    let replaced = |from: &'static str, to: &'static str| {
        faults(&move |setup: &mut Setup| {
            assert!(setup.provider.contains(from), "{from}");
            setup.provider = setup.provider.replace(from, to);
        })
        .unwrap_or_else(|| panic!("`{to}` passes"))
    };
    assert!(replaced("{ client_id:", "{ cookie: anteroom, client_id:").contains("no name for a session's cookie"));
    assert!(replaced("{ client_id:", "{ cookie: __Host-, client_id:").contains("no name for a session's cookie"));
    assert!(replaced("{ client_id:", "{ lifetime: 8d, client_id:").contains("`8d`"));
    assert!(replaced("{ client_id:", "{ attempt: 2h, client_id:").contains("`2h`"));
    assert!(replaced("{ client_id:", "{ renew: 30s, client_id:").contains("`30s`"));
    assert!(replaced("{ client_id:", "{ scopes: [profile], client_id:").contains("`openid`"));
    assert!(replaced("{ client_id:", "{ scopes: [\"openid x\"], client_id:").contains("no scopes"));

    assert!(replaced("https://signin.example/authorize", "http://signin.example/").contains("no address"));
    assert!(replaced("https://signin.example/end", "javascript:alert(1)").contains("no address"));
    assert!(replaced("https://127.0.0.1", "http://127.0.0.1").contains("https"));
    assert!(replaced(", private: [127.0.0.0/8]", "").contains("not public"));
    assert!(replaced("clinic:web/1", "").contains("no name of a client"));
    assert!(replaced("cookie: __session", "cookie: __Host-anteroom-count").contains("a cookie of `login`"));
    let keys = faults(&|setup: &mut Setup| setup.files[1].1 = "short".to_owned());
    assert!(keys.unwrap().contains("64 hexadecimal digits"));
    let secret = faults(&|setup: &mut Setup| setup.files[2].1 = "\n".to_owned());
    assert!(secret.unwrap().contains("no client secret"));
    let two = "providers:\n  other:\n    issuer: https://other.example/\n    audience: [x]\n    tenant: a\n    jwks: { file: jwks.json }\n    ";
    let two = faults(&|setup: &mut Setup| {
        setup.more = String::new();
        setup.provider = format!("{}\n{}{}", setup.provider, two.strip_prefix("providers:\n").unwrap(), op.config(""));
    });
    assert!(two.unwrap().contains("signs people in already"));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_goes_by_the_provider() {
    let op = Op::start();
    let gate = gate(&op, "");
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    let old = browser.jar.clone();
    let out = browser.press("/.anteroom/logout").await;
    assert_eq!(out.status, 303, "{out:?}");
    assert_eq!(out.header("clear-site-data"), "\"cache\", \"cookies\", \"storage\"", "without a section `session` too");
    let (address, query) = out.header("location").split_once('?').unwrap();
    let asked = pairs(query);
    assert_eq!((address, asked["client_id"].as_str()), (END_SESSION, CLIENT));
    assert_eq!(asked["post_logout_redirect_uri"], "https://clinic.example/");
    assert!(!browser.jar.keys().any(|name| name.starts_with(COOKIE)), "{:?}", browser.jar.keys());
    // A copy of its cookie is worth nothing, and a person is told rather than sent round.
    browser.jar = old;
    let ended = browser.fetch("GET", "/records").await;
    assert_eq!((ended.status.as_u16(), ended.code()), (401, "SESSION_ENDED".to_owned()));
    let told = browser.go("/records").await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""));
    assert!(
        told.text().contains("/.anteroom/login?prompt=login&amp;to=%2Frecords\">Sign in again</a>"),
        "{}",
        told.text()
    );
    let sent = browser.go("/.anteroom/login?prompt=login").await;
    assert_eq!(pairs(sent.header("location").split_once('?').unwrap().1)["prompt"], "login");
}

#[tokio::test]
async fn a_new_sign_in_ends_the_session_of_before() {
    let op = Op::start();
    let gate = gate(&op, "");
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/records").await;
    let old = browser.jar.clone();
    let sent = browser.go("/.anteroom/login?to=/records").await;
    assert_eq!(browser.come_back(&op.sign_in(sent.header("location"))).await.status, 200);
    browser.jar = old;
    assert_eq!(browser.fetch("GET", "/records").await.code(), "SESSION_ENDED");
}
