//! Sessions through the gate: idle time that tabs share and polls do not move, absolute lifetime, what pages are told, and
//! what brings back a session that has ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use serde_json::{Value, json};

const SESSION: &str = "session: { idle: 15m, absolute: 50m, background: [/api/things/heartbeat, '/api/things/poll/**'], \
                       header: X-Session-Remaining }\n";
const MINUTE: u64 = 60;

/// A gate whose clock stands still, and the time on it.
pub(crate) fn gate(session: &str, policy: &str) -> (Gate, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let setup = Setup {
        more: session.to_owned(),
        policy: policy.to_owned(),
        clock: Clock::manual(now * 1_000),
        ..Setup::default()
    };
    (Gate::start(setup, App::plain()), now)
}

/// A token of session `sid`, signed in at `at`.
pub(crate) fn token(gate: &Gate, sid: &str, at: u64, jti: &str) -> String {
    gate.issuer().changed(json!({ "sid": sid, "auth_time": at, "jti": jti }))
}

fn later(gate: &Gate, seconds: u64) {
    gate.clock().advance(Duration::from_secs(seconds));
}

fn told(answer: &Answer) -> (u16, String, String) {
    (answer.status.as_u16(), answer.code(), answer.header("x-session-remaining").to_owned())
}

#[tokio::test]
async fn a_session_that_only_polls_is_logged_off_on_time_with_two_tabs_open() {
    let (gate, now) = gate(SESSION, POLICY);
    let mut tabs = [Client::open(&gate, Protocol::Http1).await, Client::open(&gate, Protocol::Http2).await];
    let tokens = [token(&gate, "s-1", now, "t-1"), token(&gate, "s-1", now, "t-2")];
    assert_eq!(told(&tabs[0].get("/me", &tokens[0]).await), (200, String::new(), "900".into()));
    for minute in 1..=14 {
        later(&gate, MINUTE);
        for (tab, (token, path)) in
            tabs.iter_mut().zip(tokens.iter().zip(["/api/things/heartbeat", "/api/things/poll/news"]))
        {
            let left = (900 - minute * MINUTE).to_string();
            assert_eq!(told(&tab.get(path, token).await), (200, String::new(), left), "{path} in minute {minute}");
        }
    }
    later(&gate, MINUTE);
    let before = gate.app.count();
    for (tab, path) in tabs.iter_mut().zip(["/api/things/heartbeat", "/me"]) {
        let answer = tab.get(path, &tokens[0]).await;
        assert_eq!(told(&answer), (401, "SESSION_ENDED".into(), String::new()), "{path}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("max_age=\"0\""));
        let event = gate.files.event(answer.id());
        assert_eq!((&event["code"], &event["decision"]), (&json!("SESSION_ENDED"), &json!("deny")));
        assert_eq!(event["actor"]["sub"], "ada.example");
    }
    // A silent refresh: new tokens of the same sign-in, and one that does not say when it was.
    for renewed in [token(&gate, "s-1", now, "t-3"), gate.issuer().changed(json!({ "sid": "s-1" }))] {
        assert_eq!(tabs[0].get("/me", &renewed).await.code(), "SESSION_ENDED");
    }
    assert_eq!(gate.app.count(), before, "nothing came through");
    assert!(gate.metric("anteroom_sessions_refused_total", &[("reason", "idle")]) >= 4.0);
    // Another session of the same person is none of this one, and a newer sign-in brings it back.
    let other = token(&gate, "s-2", now + 15 * MINUTE, "t-4");
    assert_eq!(tabs[1].get("/me", &other).await.status, 200);
    let again = token(&gate, "s-1", now + 15 * MINUTE, "t-5");
    assert_eq!(told(&tabs[1].get("/me", &again).await), (200, String::new(), "900".into()));
}

#[tokio::test]
async fn use_in_one_tab_keeps_the_other_and_what_is_denied_or_streams_does_not() {
    let (gate, now) = gate(SESSION, POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = token(&gate, "s-1", now, "t-1");
    let bearer = format!("Bearer {token}");
    client.get("/me", &token).await;
    later(&gate, 10 * MINUTE);
    assert_eq!(told(&client.get("/me", &token).await).2, "900", "used");
    later(&gate, 10 * MINUTE);
    for (method, path, more, status) in [
        ("POST", "/api/rx/1/sign", ("accept", "*/*"), 403),
        ("GET", "/api/clinics/b/labs", ("accept", "*/*"), 403),
        ("GET", "/nothing/here", ("accept", "*/*"), 404),
        ("GET", "/open/page", ("accept", "*/*"), 200),
        ("GET", "/me", ("accept", "text/event-stream"), 200),
        ("GET", "/.anteroom/session", ("accept", "*/*"), 404),
    ] {
        let answer = client.ask(method, path, &[("authorization", &bearer), more]).await;
        let status = if path.starts_with("/.anteroom") { 200 } else { status };
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let left = client.get("/api/things/heartbeat", &token).await;
    assert_eq!(told(&left).2, "300", "nothing of that was activity");
    let asked = client.get("/.anteroom/session", &token).await;
    let said: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(said, json!({ "idle_s": 300, "absolute_s": 30 * MINUTE }));
    assert!(asked.header("cache-control").contains("no-store"));
    assert_eq!(client.ask("GET", "/.anteroom/session", &[]).await.code(), "NO_CREDENTIAL");
    assert_eq!(client.ask("POST", "/.anteroom/session", &[]).await.status, 405);
}

#[tokio::test]
async fn a_session_ends_some_time_after_its_sign_in_whatever_is_done() {
    let (gate, now) = gate(SESSION, POLICY);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = token(&gate, "s-1", now, "t-1");
    for _ in 0..5 {
        assert_eq!(client.get("/me", &token).await.status, 200);
        later(&gate, 10 * MINUTE - 1);
    }
    assert_eq!(
        told(&client.get("/me", &token).await),
        (200, String::new(), "5".into()),
        "the shorter of the two is told"
    );
    later(&gate, 5);
    assert_eq!(client.get("/me", &token).await.code(), "SESSION_ENDED");
    // On a public page a credential of a session that has ended makes nobody of the caller.
    assert_eq!(client.get("/open/page", &token).await.status, 200);
    assert_eq!(gate.app.last().header("x-user-id"), None);
}

#[tokio::test]
async fn one_that_is_new_counts_from_its_sign_in_unless_told_otherwise() {
    for (first_seen, code) in
        [("", "SESSION_ENDED"), (", first_seen: sign_in", "SESSION_ENDED"), (", first_seen: now", "")]
    {
        let (gate, now) = gate(&format!("session: {{ idle: 15m{first_seen} }}\n"), POLICY);
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let old = token(&gate, "s-1", now - 3 * 24 * 3_600, "t-1");
        assert_eq!(client.get("/me", &old).await.code(), code, "{first_seen}");
        // What does not say when it was counts from now, and for as long as one silence.
        let unknown = gate.issuer().changed(json!({ "sid": "s-2" }));
        assert_eq!(client.get("/me", &unknown).await.status, 200);
        later(&gate, 15 * MINUTE);
        assert_eq!(client.get("/me", &unknown).await.code(), "SESSION_ENDED");
        let renewed = gate.issuer().changed(json!({ "sid": "s-2", "jti": "new" }));
        assert_eq!(client.get("/me", &renewed).await.code(), "SESSION_ENDED", "unknown is never newer");
        let future = gate.issuer().changed(json!({ "sid": "s-2", "auth_time": now + 10_000 }));
        assert_eq!(client.get("/me", &future).await.code(), "SESSION_ENDED", "nor is what has not been yet");
    }
}

#[tokio::test]
async fn a_credential_without_a_session_is_denied_where_idle_time_is_demanded() {
    let (strict, now) = gate("session: { idle: 15m }\n", POLICY);
    for protocol in BOTH {
        let mut client = Client::open(&strict, protocol).await;
        let answer = client.get("/me", &strict.issuer().changed(json!({ "auth_time": now }))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "SESSION_ENDED"));
        assert_eq!(client.get("/open/x", &strict.issuer().ada()).await.status, 200);
    }
    let (aged, now) = gate("session: { absolute: 1h }\n", POLICY);
    let mut client = Client::open(&aged, Protocol::Http2).await;
    for (claims, code) in [
        (json!({ "auth_time": now - 3_599 }), ""),
        (json!({ "auth_time": now - 3_600 }), "SESSION_ENDED"),
        (json!({}), "SESSION_ENDED"),
    ] {
        assert_eq!(client.get("/me", &aged.issuer().changed(claims.clone())).await.code(), code, "{claims}");
    }
}

#[tokio::test]
async fn roles_and_routes_demand_less_and_the_shorter_counts() {
    let policy = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { records.read: tenant } }
  admin: { can: { records.read: tenant }, session: { idle: 5m } }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated } }
  records: { path: /records, methods: { GET: records.read }, session: { idle: 10m } }
  beat: { path: /beat, methods: { GET: authenticated }, session: { background: true } }
";
    let (gate, now) = gate("session: { idle: 20m, header: X-Session-Remaining }\n", policy);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let of =
        |role: &str, sid: &str, at: u64| gate.issuer().changed(json!({ "sid": sid, "auth_time": at, "roles": [role] }));
    let (ada, root) = (of("provider", "s-1", now), of("admin", "s-2", now));
    for (path, token, left) in [("/me", &ada, "1200"), ("/records", &ada, "600"), ("/me", &root, "300")] {
        assert_eq!(told(&client.get(path, token).await), (200, String::new(), left.into()), "{path}");
    }
    later(&gate, 6 * MINUTE);
    assert_eq!(client.get("/records", &root).await.code(), "SESSION_ENDED", "for whoever holds the role");
    assert_eq!(told(&client.get("/beat", &ada).await).2, "840", "a beat is no activity");
    later(&gate, 5 * MINUTE);
    assert_eq!(client.get("/records", &ada).await.code(), "SESSION_ENDED");
    assert_eq!(client.get("/me", &ada).await.status, 200, "other routes wait longer");
    assert_eq!(client.get("/records", &ada).await.code(), "SESSION_ENDED", "and that does not bring it back there");
    let again = of("provider", "s-1", now + 11 * MINUTE);
    assert_eq!(client.get("/records", &again).await.status, 200);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let with = |session: &str| Setup { more: format!("session: {session}\n"), ..Setup::default() };
    for session in [
        "{ idle: 0s }",
        "{ idle: 25h }",
        "{ idle: 1500ms }",
        "{ absolute: 366d }",
        "{ background: [heartbeat] }",
        "{ background: ['/**'] }",
        "{ background: ['/a*'] }",
        "{ header: X-User-Id }",
        "{ header: Cookie }",
        "{ after_logout: 'https://evil.example/' }",
        "{ after_logout: '//evil.example' }",
        "{ after_logout: '/\\evil.example' }",
        "{ backchannel_logout: { nobody: {} } }",
        "{ backchannel_logout: { clinic: { audience: [''] } } }",
        "{ revoked: missing.yaml }",
        "{ first_seen: never }",
        "{ idel: 15m }",
    ] {
        let files = e2e::gate::Files::write(&with(session), "127.0.0.1:1".parse().unwrap());
        let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
        assert_eq!(faults.diagnostics.len(), 1, "{session}: {:?}", faults.diagnostics);
        assert!(faults.diagnostics[0].span.is_some(), "{session}");
    }
    for session in ["{}", "{ idle: 1s, absolute: 365d, clear: [] }", "{ backchannel_logout: { clinic: {} } }"] {
        let files = e2e::gate::Files::write(&with(session), "127.0.0.1:1".parse().unwrap());
        assert!(anteroom::config::prepare(&files.path("config.yaml")).is_ok(), "{session}");
    }
    let policy = POLICY
        .replace("methods: { GET: public } }\n  open", "methods: { GET: public }, session: { idle: 0s } }\n  open");
    let setup = Setup { policy, ..Setup::default() };
    let files = e2e::gate::Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    assert!(anteroom::config::prepare(&files.path("config.yaml")).is_err());
}
