//! What tabs, the Back button, bookmarks and clocks do to sign-ins: answers without their sign-in, requests of before a new one, and
//! sessions that are over as they begin.

use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom::config::raw::LogLevel;
use e2e::app::App;
use e2e::gate::{Gate, Setup};
use e2e::op::{AUTHORIZE, Browser, COOKIE, Op};
use serde_json::{Value, json};

use crate::reload::eventually;

/// Sessions of fifteen minutes, and a first page that demands a second factor.
const STRICT: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { desk.open: tenant }, session: { idle: 15m } }
acts:
  desk.open: { mfa: { within: 5m } }
routes:
  home: { path: /, methods: { GET: desk.open } }
  me: { path: /me, methods: { GET: authenticated } }
";

/// A gate with this setup and a clock that stands still, at the time of the provider.
fn still(op: &Op, setup: Setup) -> Gate {
    let gate = op.still(setup, App::plain());
    now(op, gate.clock().now().unix_seconds());
    gate
}

/// The time at the provider, at which its person signs in.
fn now(op: &Op, now: u64) {
    op.does().now = now;
    let person =
        json!({ "sub": "ada.example", "org_id": "a", "roles": ["provider"], "amr": ["pwd"], "auth_time": now });
    op.person(person);
}

async fn signed_in(gate: &Gate, op: &Op) -> Browser {
    let mut browser = Browser::new(gate).await;
    assert_eq!(browser.sign_in(op, "/me").await.status, 200);
    browser
}

/// Begins a sign-in in a session, and comes to where the provider leads.
async fn callback(browser: &mut Browser, op: &Op) -> String {
    let sent = browser.go("/.anteroom/login?to=/me").await;
    op.sign_in(sent.header("location"))
}

const FOREIGN: &str = "/.anteroom/callback?code=code-7&state=of-somebody-else&to=//evil.example";

#[tokio::test]
async fn an_answer_without_its_sign_in_leads_whoever_is_signed_in_to_the_first_page() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go("/me").await;
    let own = op.sign_in(sent.header("location"));
    assert_eq!(browser.come_back(&own).await.status, 200);
    let asked = op.does().asked.len();
    let before = browser.jar.clone();
    for path in [own.as_str(), FOREIGN, "/.anteroom/callback", "/.anteroom/callback?error=access_denied"] {
        let on = browser.go(path).await;
        assert_eq!((on.status.as_u16(), on.header("location")), (303, "/"), "{path}");
        assert_eq!(on.cookies(), ["__Host-anteroom-count"], "{path}");
        assert_eq!(browser.go("/").await.status, 200);
        assert_eq!(browser.jar, before, "it is the same session as before");
        assert_eq!(browser.fetch("GET", path).await.status, 401, "a page is gone to, and nothing else");
    }
    assert_eq!(op.does().asked.len(), asked, "no code is shown to the provider");
}

#[tokio::test]
async fn an_answer_without_its_sign_in_is_explained_to_whoever_is_in_no_session() {
    let op = Op::start();
    let gate = still(&op, Setup { policy: STRICT.to_owned(), ..op.setup("") });
    let mut nobody = Browser::new(&gate).await;
    let mut idle = signed_in(&gate, &op).await;
    gate.clock().advance(Duration::from_secs(15 * 60));
    now(&op, gate.clock().now().unix_seconds());
    let mut out = signed_in(&gate, &op).await;
    let before = out.jar.clone();
    assert_eq!(out.fetch("POST", "/.anteroom/logout").await.status, 204);
    out.jar = before;
    let mut forged = Browser::new(&gate).await;
    forged.jar.insert(COOKIE.to_owned(), "forged".to_owned());
    for browser in [&mut nobody, &mut idle, &mut out, &mut forged] {
        let told = browser.go(FOREIGN).await;
        assert_eq!((told.status.as_u16(), told.header("location"), told.cookies()), (401, "", vec![]), "{told:?}");
        assert!(told.text().contains("gave way to one in another tab"), "{}", told.text());
        assert!(told.text().contains("<a href=\"/.anteroom/login\">Sign in again</a>"), "{}", told.text());
        assert!(!told.text().contains("evil"), "{}", told.text());
    }
}

#[tokio::test]
async fn a_browser_that_keeps_no_attempt_goes_round_in_no_circle() {
    let op = Op::start();
    let gate = still(&op, Setup { policy: STRICT.to_owned(), ..op.setup("") });
    let mut browser = signed_in(&gate, &op).await;
    let mut round = async || {
        let sent = browser.go("/").await;
        browser.jar.retain(|name, _| !name.contains("attempt"));
        if !sent.header("location").starts_with(AUTHORIZE) {
            return sent;
        }
        browser.go(&op.sign_in(sent.header("location"))).await
    };
    for _ in 0..3 {
        assert_eq!(round().await.header("location"), "/");
    }
    let told = round().await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""));
    assert!(told.text().contains("several times within a minute"), "{}", told.text());
    let told = browser.go(FOREIGN).await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""), "nor by itself");
    assert!(told.text().contains("several times within a minute"), "{}", told.text());
}

#[tokio::test]
async fn a_request_of_before_a_new_sign_in_clears_nothing() {
    let op = Op::start();
    let gate = op.gate(Setup { more: "session: {}\n".to_owned(), ..op.setup("") });
    let mut browser = signed_in(&gate, &op).await;
    let mut tab = Browser::new(&gate).await;
    tab.jar = browser.jar.clone();
    let back = callback(&mut browser, &op).await;
    assert_eq!(browser.come_back(&back).await.status, 200);
    // It was under way with the session of before.
    let told = tab.go("/me").await;
    assert_eq!((told.status.as_u16(), told.header("clear-site-data"), told.cookies()), (401, "", vec![]), "{told:?}");
    assert!(told.text().contains("SESSION_ENDED") && told.text().contains("has signed in again since"));
    assert!(told.text().contains("/.anteroom/login?to=%2Fme\">Sign in again</a>"), "{}", told.text());
    assert_eq!(tab.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    assert_eq!(gate.metric("anteroom_sessions_refused_total", &[("reason", "replaced")]), 2.0);
    assert_eq!(browser.go("/me").await.status, 200);
    // What ends otherwise is cleared.
    tab.jar = browser.jar.clone();
    assert_eq!(browser.fetch("POST", "/.anteroom/logout").await.status, 204);
    let told = tab.go("/me").await;
    assert!(told.header("clear-site-data").contains("cookies"), "{told:?}");
    assert!(told.text().contains("You are signed out here"), "{}", told.text());
}

#[tokio::test]
async fn what_renews_the_session_of_before_takes_the_place_of_no_new_one() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let op = Op::start();
    let gate = op.still(
        op.setup(", renew: 5m"),
        App::start(move |exchange| {
            if exchange.seen.target() == "/me?slow" {
                wait.lock().unwrap().recv().unwrap();
            }
            exchange.answer("200 OK", "", "ok")
        }),
    );
    let mut browser = signed_in(&gate, &op).await;
    let back = callback(&mut browser, &op).await;
    gate.clock().advance(Duration::from_secs(300));
    let mut tab = Browser::new(&gate).await;
    tab.jar = browser.jar.clone();
    let slow = tokio::spawn(async move { tab.go("/me?slow").await });
    let arrived = || gate.app.seen().iter().any(|seen| seen.target() == "/me?slow").then_some(());
    eventually("the request to arrive", arrived).await;
    assert_eq!(op.does().asked.len(), 2, "its session was renewed");
    assert_eq!(browser.go(&back).await.header("location"), "/me");
    go.send(()).unwrap();
    assert!(!slow.await.unwrap().cookies().contains(&COOKIE));
}

/// What the gate logs: a process has one log, so whoever reads it is alone in its process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The lines whose message holds `part`.
    fn that_say(&self, part: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"].as_str().unwrap().contains(part)).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_sign_in_that_is_over_as_it_begins_is_told_at_once() {
    let lines = Lines::default();
    let log = anteroom::telemetry::log::start(LogLevel::Info, lines.clone(), None).unwrap();
    for by_role in [false, true] {
        let op = Op::start();
        let mut setup = op.setup("");
        match by_role {
            true => setup.policy = STRICT.to_owned(),
            false => setup.more = "session: { idle: 15m }\n".to_owned(),
        }
        let gate = still(&op, setup);
        let mut browser = signed_in(&gate, &op).await;
        let before = browser.jar[COOKIE].clone();
        // The provider's clock is behind, so that a sign-in of now is one of sixteen minutes ago.
        let real = gate.clock().now().unix_seconds();
        now(&op, real - 960);
        op.lies(json!({ "exp": real + 300 }));
        for browser in [&mut Browser::new(&gate).await, &mut browser] {
            let back = callback(browser, &op).await;
            let told = browser.go(&back).await;
            assert_eq!((told.status.as_u16(), told.cookies()), (401, vec![]), "{told:?}");
            assert!(told.text().contains("SESSION_ENDED"), "{}", told.text());
            let link = "<a href=\"/.anteroom/login?prompt=login&amp;to=%2Fme\">Sign in again</a>";
            assert!(told.text().contains(link), "{}", told.text());
            assert_eq!(gate.files.event(told.id())["actor"]["sub"], "ada.example");
        }
        assert_eq!(browser.jar[COOKIE], before);
        assert_eq!(browser.fetch("GET", "/me").await.status, 200, "the session of before goes on");
        // Whoever signed in there long ago is no sign of a clock.
        op.does().now = real;
        let back = callback(&mut browser, &op).await;
        assert!(browser.go(&back).await.text().contains("SESSION_ENDED"));
    }
    drop(log);
    let told = lines.that_say("the clock of the provider");
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|line| line["level"] == "warn" && line["seconds"] == 960), "{told:?}");
    assert!(told[0]["detail"].as_str().unwrap().contains("the sign-in is 960 s old by ours"), "{told:?}");
}

#[tokio::test]
async fn a_new_sign_in_of_which_nobody_says_when_it_was_is_told() {
    let lines = Lines::default();
    let log = anteroom::telemetry::log::start(LogLevel::Info, lines.clone(), None).unwrap();
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let anew = "/.anteroom/login?prompt=login&to=/me";
    let now = op.does().now;
    for (path, auth_time) in [("/.anteroom/login?to=/me", json!(null)), (anew, json!(null)), (anew, json!(now))] {
        op.lies(json!({ "auth_time": auth_time }));
        let sent = browser.go(path).await;
        let back = browser.go(&op.sign_in(sent.header("location"))).await;
        assert_eq!(back.status, 303, "{path}");
        assert_eq!(browser.fetch("GET", "/me").await.status, 200, "{path}");
    }
    drop(log);
    let told = lines.that_say("a new sign-in was asked for");
    assert_eq!(told.len(), 1, "{told:?}");
}
