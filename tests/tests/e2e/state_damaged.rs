//! What a restart does to those for whom the application alone vouches: it tells no time of a sign-in, so nobody can show one that is
//! later than a damage of the state.

use std::time::Duration;

use e2e::app::App;
use e2e::client::{Client, HOST, Protocol};
use e2e::gate::Setup;
use e2e::process::{Served, free_port};
use serde_json::Value;

const VOUCHING: &str =
    ", session: { cookies: [sid], whoami: { path: /api/whoami, claims: { subject: /id }, tenant: a } }";

/// An application that knows everybody who has a cookie, and sets the one that `x-set` names.
fn app() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/api/whoami" {
            return exchange.answer("200 OK", "content-type: application/json\r\n", r#"{"id":"ada.example"}"#);
        }
        let set = exchange.seen.header("x-set").map(|sid| format!("set-cookie: sid={sid}; Path=/\r\n"));
        exchange.answer("200 OK", &set.unwrap_or_default(), "ok")
    })
}

fn setup(session: &str, damaged: bool) -> Setup {
    demanding("idle: 1h", session, damaged)
}

/// The same with these demands on sessions.
fn demanding(demands: &str, session: &str, damaged: bool) -> Setup {
    let journal = ("state/journal", "damaged".repeat(100));
    Setup {
        app: session.to_owned(),
        more: format!("session: {{ {demands}, state: state }}\n"),
        health: free_port().to_string(),
        files: if damaged { vec![journal] } else { Vec::new() },
        ..Setup::default()
    }
}

/// What comes of a request with this cookie, or without: the status, or the code.
async fn ask(gate: &Served, method: &str, path: &str, sid: &str, set: Option<&str>) -> String {
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http1, HOST).await;
    let cookie = format!("sid={sid}");
    let mut headers = vec![("origin", "https://clinic.example")];
    headers.extend((!sid.is_empty()).then_some(("cookie", cookie.as_str())));
    headers.extend(set.map(|set| ("x-set", set)));
    let answer = client.ask(method, path, &headers).await;
    if answer.status.is_success() { answer.status.as_u16().to_string() } else { answer.code() }
}

/// The gate after a stop, and what is done to its files meanwhile.
fn again(gate: Served, meanwhile: impl FnOnce(&Served)) -> Served {
    let mut gate = gate;
    gate.process.signal("TERM");
    assert!(gate.process.end().success());
    meanwhile(&gate);
    Served::start_with(gate.files, gate.app, gate.health)
}

fn told(gate: &Served) -> Option<Value> {
    gate.log().into_iter().find(|line| line["message"].as_str().is_some_and(|text| text.contains("damaged")))
}

fn start(setup: Setup) -> Served {
    let health = setup.health.parse().unwrap();
    let app = app();
    Served::start_with(e2e::gate::Files::write(&setup, app.address), app, health)
}

#[tokio::test]
async fn what_was_lost_is_told_with_what_helps_those_whom_the_application_vouches_for() {
    let gate = start(setup(VOUCHING, true));
    let line = told(&gate).unwrap();
    assert!(line["detail"].as_str().unwrap().contains("unless the folder `session.state` is taken away"), "{line}");
    assert_eq!(ask(&gate, "POST", "/open/login", "", Some("one")).await, "200");
    assert_eq!(ask(&gate, "GET", "/me", "one", None).await, "SESSION_ENDED", "a new sign-in helps nobody");
    let gate = again(gate, |_| {});
    assert_eq!((ask(&gate, "GET", "/me", "one", None).await.as_str(), told(&gate)), ("SESSION_ENDED", None));
    let gate = again(gate, |gate| std::fs::remove_dir_all(gate.files.path("state")).unwrap());
    assert_eq!((ask(&gate, "GET", "/me", "one", None).await.as_str(), told(&gate)), ("200", None));
    let gate = start(setup("", true));
    let line = told(&gate).unwrap();
    assert!(!line["detail"].as_str().unwrap().contains("session.state"), "{line}");
}

#[tokio::test]
async fn who_has_signed_out_before_goes_on_after_a_restart_by_a_cookie_that_was_not_exchanged() {
    // Whether the time of sessions is limited or not.
    for demands in ["idle: 1h", "clear: []"] {
        who_signs_in_again_goes_on(demands).await;
    }
}

async fn who_signs_in_again_goes_on(demands: &str) {
    let gate = start(demanding(demands, VOUCHING, false));
    assert_eq!(ask(&gate, "POST", "/open/login", "", Some("one")).await, "200");
    assert_eq!(ask(&gate, "GET", "/me", "one", None).await, "200");
    assert_eq!(ask(&gate, "POST", "/.anteroom/logout", "one", None).await, "204");
    // An end is of a whole second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for sid in ["two", "three"] {
        assert_eq!(ask(&gate, "POST", "/open/login", "", Some(sid)).await, "200");
        assert_eq!(ask(&gate, "GET", "/me", sid, None).await, "200");
    }
    assert_eq!(ask(&gate, "GET", "/me", "three", Some("four")).await, "200");
    assert_eq!(ask(&gate, "GET", "/me", "four", None).await, "200");
    let gate = again(gate, |_| {});
    for (sid, then) in [("one", "SESSION_ENDED"), ("two", "200"), ("four", "SESSION_ENDED")] {
        assert_eq!(ask(&gate, "GET", "/me", sid, None).await, then, "{demands}: {sid}");
    }
    assert_eq!(ask(&gate, "POST", "/open/login", "", Some("five")).await, "200");
    assert_eq!(ask(&gate, "GET", "/me", "five", None).await, "200");
}
