//! Sessions that the gate made and that have ended: a provider that repeats a sign-in without asking revives none of them.

use std::time::Duration;

use e2e::app::{After, App};
use e2e::client::{Client, Protocol};
use e2e::gate::Gate;
use e2e::issuer::ISSUER;
use e2e::op::{Browser, CLIENT, Op, pairs};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::session_name;

/// A gate with a clock that stands still, at the time of the provider, and sessions that end after a quarter of an hour.
fn gate(op: &Op) -> Gate {
    renewing(op, "")
}

/// The same, with more keys of `login`.
fn renewing(op: &Op, more: &str) -> Gate {
    let mut setup = op.setup(more);
    setup.more = format!("session: {{ idle: 15m, backchannel_logout: {{ clinic: {{ audience: [{CLIENT}] }} }} }}\n");
    op.still(setup, App::plain())
}

/// Who signed in at the provider at this time, in a session of its own.
fn person(op: &Op, auth_time: u64) {
    op.person(json!({
        "sub": "ada.example", "sid": "op-1", "org_id": "a", "roles": ["provider"], "amr": ["pwd"], "auth_time": auth_time,
    }));
}

fn later(op: &Op, gate: &Gate, seconds: u64) -> u64 {
    gate.clock().advance(Duration::from_secs(seconds));
    op.does().now += seconds;
    op.does().now
}

/// An application that never answers `/me?wait`.
pub(crate) fn keeps_waiting() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/me?wait" {
            exchange.until_closed();
            return After::Close;
        }
        exchange.answer("200 OK", "", "ok")
    })
}

/// Opens that in the session of a browser: what it ends with.
pub(crate) async fn waiting(gate: &Gate, browser: &Browser) -> JoinHandle<String> {
    let mut other = Browser::new(gate).await;
    other.jar = browser.jar.clone();
    let waits = tokio::spawn(async move { other.fetch("GET", "/me?wait").await.code() });
    e2e::soon("it to be open", async {
        while gate.metric("anteroom_streams", &[]) != 1.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    waits
}

/// Signs in by `path`: `200`, or the code on the page that is shown at last.
async fn back_by(browser: &mut Browser, op: &Op, path: &str) -> &'static str {
    let sent = browser.go(path).await;
    let answer = browser.come_back(&op.sign_in(sent.header("location"))).await;
    let shown = |code: &&str| answer.text().contains(code);
    match answer.status.as_u16() {
        200 => "200",
        _ => ["SESSION_ENDED", "TOKEN_INVALID"].into_iter().find(shown).unwrap_or("another page"),
    }
}

const PLAIN: &str = "/.anteroom/login?to=/me";
const ANEW: &str = "/.anteroom/login?prompt=login";

/// A session that has ended comes back by a sign-in that is newer than its end, and by no other.
async fn comes_back_by_a_newer_sign_in_alone(browser: &mut Browser, op: &Op, gate: &Gate) {
    later(op, gate, 60);
    assert_eq!(back_by(browser, op, PLAIN).await, "SESSION_ENDED", "the provider repeats the sign-in");
    let asked = browser.go(ANEW).await;
    let asked = pairs(asked.header("location").split_once('?').unwrap().1);
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));
    later(op, gate, 120);
    assert_eq!(back_by(browser, op, ANEW).await, "TOKEN_INVALID", "the provider has not asked the person");
    let now = later(op, gate, 60);
    person(op, now);
    assert_eq!(back_by(browser, op, ANEW).await, "200");
}

/// Such a gate, and a browser in which somebody has just signed in.
async fn signed_in(op: &Op) -> (Gate, Browser) {
    let gate = gate(op);
    person(op, gate.clock().now().unix_seconds());
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(op, "/me").await.status, 200);
    (gate, browser)
}

#[tokio::test]
async fn who_has_signed_out_signs_in_anew() {
    let op = Op::start();
    let (gate, mut browser) = signed_in(&op).await;
    later(&op, &gate, 60);
    assert_eq!(back_by(&mut browser, &op, PLAIN).await, "200", "another sign-in is no end");
    assert_eq!(browser.press("/.anteroom/logout").await.status, 303);
    comes_back_by_a_newer_sign_in_alone(&mut browser, &op, &gate).await;
}

#[tokio::test]
async fn whoever_was_idle_signs_in_anew() {
    let op = Op::start();
    let (gate, mut browser) = signed_in(&op).await;
    later(&op, &gate, 15 * 60);
    assert_eq!(browser.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    comes_back_by_a_newer_sign_in_alone(&mut browser, &op, &gate).await;
}

#[tokio::test]
async fn a_time_that_cannot_be_read_revives_nothing() {
    let op = Op::start();
    let (gate, mut browser) = signed_in(&op).await;
    let now = later(&op, &gate, 15 * 60);
    assert_eq!(browser.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    let none = [json!("1000"), json!(1000.5), json!(-5), json!([1]), json!({}), json!(now * 1_000), json!(now + 600)];
    for auth_time in none {
        // The page of the ended session leads here; too many sign-ins in a row would be told as a loop.
        later(&op, &gate, 61);
        op.lies(json!({ "auth_time": auth_time }));
        for path in [ANEW, PLAIN] {
            assert_eq!(back_by(&mut browser, &op, path).await, "TOKEN_INVALID", "{auth_time} {path}");
        }
    }
    op.lies(json!({}));
    later(&op, &gate, 61);
    assert_eq!(back_by(&mut browser, &op, PLAIN).await, "SESSION_ENDED", "the session of before is as it was");
}

#[tokio::test]
async fn what_the_provider_ends_by_its_own_name_ends() {
    let op = Op::start();
    let (gate, mut browser) = signed_in(&op).await;
    let now = later(&op, &gate, 60);
    let said = |sid: &str| -> Value {
        json!({ "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": format!("l-{sid}"), "sid": sid,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} } })
    };
    let mut provider = Client::open(&gate, Protocol::Http2).await;
    for (sid, then) in [("op-2", 200), ("op-1", 401)] {
        let token = gate.issuer().sign(said(sid).as_object().unwrap());
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let told = format!("logout_token={token}");
        assert_eq!(provider.post("POST", "/.anteroom/backchannel-logout", &form, told).await.status, 200);
        assert_eq!(browser.fetch("GET", "/me").await.status.as_u16(), then, "{sid}");
    }
    comes_back_by_a_newer_sign_in_alone(&mut browser, &op, &gate).await;
}

#[tokio::test]
async fn what_is_ended_by_its_name_in_the_record_ends() {
    let op = Op::start();
    let gate = gate(&op);
    person(&op, gate.clock().now().unix_seconds());
    let mut browser = Browser::new(&gate).await;
    let name = session_name::name_of(&gate, &browser.sign_in(&op, "/me").await);
    let signed_in = gate.files.record().into_iter().find(|event| event["route"] == "GET /.anteroom/callback").unwrap();
    assert_eq!(signed_in["actor"]["session"], json!(name), "from the first event on");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().changed(json!({ "sid": "op-1" }));
    let answer = client.get("/me", &token).await;
    assert_eq!(session_name::name_of(&gate, &answer), name, "a token of the same session at the provider");
    assert_eq!(session_name::end(&gate, &name).code, Some(0));
    assert_eq!(browser.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    later(&op, &gate, 60);
    comes_back_by_a_newer_sign_in_alone(&mut browser, &op, &gate).await;
}

#[tokio::test]
async fn a_session_that_the_provider_names_not_is_one_in_the_record_and_ends_alone() {
    let op = Op::start();
    let setup = op.setup("");
    let gate = op.before(setup, keeps_waiting());
    op.person(json!({ "sub": "ada.example", "org_id": "a", "roles": ["provider"], "amr": ["pwd"] }));
    let (mut one, mut other) = (Browser::new(&gate).await, Browser::new(&gate).await);
    let mut names = Vec::new();
    for browser in [&mut one, &mut other] {
        names.push(session_name::name_of(&gate, &browser.sign_in(&op, "/me").await));
    }
    assert_ne!(names[0], names[1]);
    let waits = waiting(&gate, &one).await;
    assert_eq!(session_name::end(&gate, &names[0]).code, Some(0));
    assert_eq!(e2e::soon("the end of what is open", waits).await.unwrap(), "SESSION_ENDED");
    assert_eq!(one.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    assert_eq!(other.fetch("GET", "/me").await.status, 200, "the same person in another browser");
}

#[tokio::test]
async fn what_has_ended_is_not_renewed_and_no_renewal_revives_it() {
    let op = Op::start();
    let gate = renewing(&op, ", renew: 5m, scopes: [openid, offline_access]");
    person(&op, gate.clock().now().unix_seconds());
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
    let copy = browser.jar.clone();
    let own = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")];
    assert_eq!(browser.ask("POST", "/.anteroom/logout", &own).await.status, 204);
    // The person signs in anew at the provider, for something else, and a copy of the cookies of before is due for renewal.
    let now = later(&op, &gate, 300);
    person(&op, now);
    let asked = op.does().asked.len();
    browser.jar = copy.clone();
    let answer = browser.fetch("GET", "/me").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "SESSION_ENDED"));
    assert_eq!(op.does().asked.len(), asked, "the provider is not asked to bring it back");
    assert!(answer.headers.get_all("set-cookie").iter().next().is_none(), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_refused_renewal_ends_what_is_open_and_keeps_nobody_from_signing_out() {
    let op = Op::start();
    let mut setup = op.setup(", renew: 5m, scopes: [openid, offline_access]");
    setup.more = "session: { idle: 1h }\n".to_owned();
    let gate = op.still(setup, keeps_waiting());
    person(&op, gate.clock().now().unix_seconds());
    for leaves in [false, true] {
        let mut browser = Browser::new(&gate).await;
        assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
        let waits = waiting(&gate, &browser).await;
        op.does().fails = Some(400);
        later(&op, &gate, 300);
        if leaves {
            let own = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")];
            let asked = op.does().asked.len();
            assert_eq!(browser.ask("POST", "/.anteroom/logout", &own).await.status, 204);
            assert_eq!(op.does().asked.len(), asked, "nobody is asked for leave");
        } else {
            assert_eq!(browser.fetch("GET", "/me").await.code(), "TOKEN_EXPIRED");
        }
        assert_eq!(e2e::soon("the end of what is open", waits).await.unwrap(), "SESSION_ENDED");
        op.does().fails = None;
        let now = later(&op, &gate, 1);
        person(&op, now);
    }
}

#[tokio::test]
async fn what_was_lost_locks_nobody_out_who_signs_in_since() {
    let op = Op::start();
    let mut setup = op.setup("");
    setup.more = "session: { idle: 15m, state: state }\n".to_owned();
    setup.files.push(("state/journal", "damaged".repeat(100)));
    let gate = op.still(setup, App::plain());
    let now = later(&op, &gate, 60);
    // The provider does not say when the person signed in.
    op.person(json!({ "sub": "ada.example", "sid": "op-1", "org_id": "a", "roles": ["provider"], "amr": ["pwd"] }));
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200, "the session is of since");
    assert_eq!(browser.fetch("GET", "/me").await.status, 200);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for (claims, status) in [
        (json!({ "sid": "s-1" }), 401),
        (json!({ "sid": "s-2", "auth_time": now - 61 }), 401),
        (json!({ "sid": "s-3", "auth_time": now }), 200),
    ] {
        let token = gate.issuer().changed(claims.clone());
        assert_eq!(client.get("/me", &token).await.status.as_u16(), status, "{claims}");
    }
}
