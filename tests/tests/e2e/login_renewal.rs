//! Sessions that are renewed: by an old cookie, by a provider that says less or something else, and once they have ended.

use std::time::Duration;

use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::issuer::ISSUER;
use e2e::op::{AUTHORIZE, Browser, CLIENT, COOKIE, Op};
use serde_json::{Value, json};

use crate::login_ends::{keeps_waiting, waiting};

const POLICY: &str = "
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: clinic }
roles:
  provider: { can: { records.read: tenant, rx.sign: tenant } }
  hasty: { can: { records.read: tenant }, session: { idle: 4m } }
acts:
  rx.sign: { mfa: { within: 10m } }
routes:
  home: { path: /, methods: { GET: public } }
  me: { path: /me, methods: { GET: authenticated } }
  quick: { path: /quick, methods: { GET: authenticated }, session: { idle: 4m } }
  records: { path: /records, methods: { GET: records.read } }
  sign: { path: /sign, methods: { GET: rx.sign } }
";
const RENEWAL: &str = "__Host-anteroom-renewal";

/// A gate that has sessions renewed every five minutes, with a clock that stands still at the time of the provider.
fn gate(op: &Op) -> Gate {
    let mut setup = op.setup(", renew: 5m, scopes: [openid, offline_access]");
    setup.policy = POLICY.to_owned();
    setup.more = format!("session: {{ idle: 1h, backchannel_logout: {{ clinic: {{ audience: [{CLIENT}] }} }} }}\n");
    let gate = op.still(setup, App::plain());
    person(op, "provider", now(op));
    gate
}

/// Who signed in at the provider at this time, in a session of its own.
fn person(op: &Op, role: &str, auth_time: u64) {
    let amr = ["pwd", "otp"];
    op.person(json!({
        "sub": "ada.example", "sid": "op-1", "org_id": "a", "roles": [role], "amr": amr, "auth_time": auth_time,
    }));
}

fn later(op: &Op, gate: &Gate, seconds: u64) {
    gate.clock().advance(Duration::from_secs(seconds));
    op.does().now += seconds;
}

/// The provider's time.
fn now(op: &Op) -> u64 {
    op.does().now
}

fn asked(op: &Op) -> usize {
    op.does().asked.len()
}

async fn signed_in(gate: &Gate, op: &Op) -> Browser {
    let mut browser = Browser::new(gate).await;
    assert_eq!(browser.sign_in(op, "/records").await.status, 200);
    browser
}

#[tokio::test]
async fn an_old_cookie_is_held_to_the_times_of_the_session_as_it_is_now() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    let old = browser.jar.clone();
    let mut by_the_old = async |then: u16| {
        browser.jar = old.clone();
        let answer = browser.fetch("GET", "/records").await;
        assert_eq!(answer.status.as_u16(), then, "{answer:?}");
        answer
    };
    later(&op, &gate, 300);
    assert_eq!(by_the_old(200).await.cookies(), [COOKIE, RENEWAL]);
    assert_eq!(asked(&op), 2);
    later(&op, &gate, 299);
    assert_eq!(by_the_old(200).await.cookies(), [COOKIE, RENEWAL], "what came of it is given to whoever was slow");
    assert_eq!(asked(&op), 2, "not due yet");
    // Due again: the provider is asked with the token that it gave last, and what it takes back is gone.
    later(&op, &gate, 1);
    person(&op, "nobody", now(&op));
    by_the_old(403).await;
    assert_eq!((asked(&op), op.does().asked[2].0["grant_type"].as_str()), (3, "refresh_token"));
    op.does().fails = Some(400);
    later(&op, &gate, 299);
    by_the_old(403).await;
    assert_eq!(asked(&op), 3);
    later(&op, &gate, 1);
    assert_eq!(by_the_old(401).await.code(), "TOKEN_EXPIRED");
    assert_eq!(by_the_old(401).await.code(), "SESSION_ENDED");
}

#[tokio::test]
async fn silence_ends_an_old_cookie_as_it_ends_a_new_one() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    let old = browser.jar.clone();
    later(&op, &gate, 300);
    assert_eq!(browser.fetch("GET", "/records").await.status, 200);
    op.does().fails = Some(503);
    for (seconds, then) in [(300, 200), (299, 200), (1, 503)] {
        later(&op, &gate, seconds);
        browser.jar = old.clone();
        assert_eq!(browser.fetch("GET", "/records").await.status.as_u16(), then, "after {seconds} more");
    }
    // A session's cookie alone is worth what it was made for, and no more.
    op.does().fails = None;
    later(&op, &gate, 31);
    browser.jar = old.clone();
    assert_eq!(browser.fetch("GET", "/records").await.status, 200);
    browser.jar = old.clone();
    browser.jar.remove(RENEWAL);
    assert_eq!(browser.fetch("GET", "/records").await.cookies(), [COOKIE]);
    later(&op, &gate, 300);
    browser.jar = old;
    browser.jar.remove(RENEWAL);
    assert_eq!(browser.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_renewal_that_says_less_of_the_sign_in_loses_nothing_of_it() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    later(&op, &gate, 300);
    op.lies(json!({ "sid": null, "auth_time": null }));
    assert_eq!(browser.fetch("GET", "/sign").await.status, 200, "the factors are as old as they are");
    assert_eq!(asked(&op), 2);
    // The time of the sign-in is told once: a provider that tells another on renewal makes no factor younger.
    later(&op, &gate, 331);
    op.lies(json!({ "auth_time": now(&op) }));
    assert_eq!(browser.fetch("GET", "/sign").await.code(), "STEP_UP");
    assert_eq!((browser.fetch("GET", "/records").await.status.as_u16(), asked(&op)), (200, 3));
    op.lies(json!({}));

    let now = now(&op);
    let says = json!({ "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": "l-1", "sid": "op-1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
    let told = format!("logout_token={}", gate.issuer().sign(says.as_object().unwrap()));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut provider = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(provider.post("POST", "/.anteroom/backchannel-logout", &form, told).await.status, 200);
    assert_eq!(browser.fetch("GET", "/records").await.code(), "SESSION_ENDED");
    // And the provider repeats that sign-in in vain.
    let sent = browser.go("/.anteroom/login?to=/me").await;
    let page = browser.come_back(&op.sign_in(sent.header("location"))).await;
    assert!(page.text().contains("SESSION_ENDED"), "{}", page.text());
}

#[tokio::test]
async fn another_session_or_person_is_no_renewal() {
    let op = Op::start();
    let gate = gate(&op);
    for lie in [json!({ "sid": "op-2" }), json!({ "sub": "eve.example" }), json!({ "sub": null })] {
        op.lies(json!({}));
        person(&op, "provider", now(&op));
        let mut browser = signed_in(&gate, &op).await;
        later(&op, &gate, 300);
        op.lies(lie.clone());
        assert_eq!(browser.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED", "{lie}");
    }
}

#[tokio::test]
async fn whoever_is_sent_to_show_factors_keeps_what_was_renewed_on_the_way() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    later(&op, &gate, 631);
    let old = browser.jar[RENEWAL].clone();
    let sent = browser.go("/sign").await;
    assert!(sent.header("location").starts_with(AUTHORIZE), "{sent:?}");
    let given = sent.cookies();
    assert_eq!((given.len(), &given[..2]), (3, &[COOKIE, RENEWAL][..]), "{given:?}");
    assert!(given[2].starts_with("__Host-anteroom-attempt-"), "{given:?}");
    assert_ne!(browser.jar[RENEWAL], old);
}

#[tokio::test]
async fn what_has_ended_is_given_no_cookie() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    // By the idle time of a route: it is asked for again elsewhere, and given there.
    later(&op, &gate, 300);
    let ended = browser.fetch("GET", "/quick").await;
    assert_eq!((ended.code().as_str(), ended.cookies(), asked(&op)), ("SESSION_ENDED", vec![], 2));
    let elsewhere = browser.fetch("GET", "/records").await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.cookies(), asked(&op)), (200, vec![COOKIE, RENEWAL], 2));
    // By that of a role, on a page that is for everyone.
    person(&op, "hasty", now(&op));
    let mut hasty = signed_in(&gate, &op).await;
    later(&op, &gate, 300);
    let public = hasty.go("/").await;
    assert_eq!((public.status.as_u16(), public.cookies()), (200, vec![]));
    assert_eq!(gate.app.last().header("x-user-id"), None);
}

#[tokio::test]
async fn the_page_of_an_ended_session_says_so_and_leads_back() {
    let op = Op::start();
    let gate = gate(&op);
    let mut browser = signed_in(&gate, &op).await;
    op.does().fails = Some(400);
    later(&op, &gate, 300);
    assert_eq!(browser.fetch("GET", "/records").await.code(), "TOKEN_EXPIRED");
    op.does().fails = None;
    let told = browser.go("/records?a=%22b&c='%3E").await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""));
    let link =
        "<a href=\"/.anteroom/login?prompt=login&amp;to=%2Frecords%3Fa%3D%2522b%26c%3D%27%253E\">Sign in again</a>";
    assert!(told.text().contains(link), "{}", told.text());
    assert!(told.text().contains("You are signed out here"), "{}", told.text());
    assert_eq!(told.text().matches("<a ").count(), 1);
    person(&op, "provider", now(&op));
    let sent = browser.go("/.anteroom/login?prompt=login&to=%2Frecords%3Fa%3D%2522b").await;
    let page = browser.come_back(&op.sign_in(sent.header("location"))).await;
    assert_eq!((page.status.as_u16(), gate.app.last().target()), (200, "/records?a=%22b"));
}

#[tokio::test]
async fn what_is_open_ends_with_the_login_that_it_was_opened_by() {
    type Change = fn(&Gate, &Op);
    let changes: [(&str, Change); 4] = [
        ("nothing", |gate, _| gate.files.put("policies/policy.yaml", &format!("{POLICY}\n# no more\n"))),
        ("the keys", |gate, _| gate.files.put("login.keys", &format!("{}\n", "0b1c".repeat(16)))),
        ("the cookie", |gate, op| configure(gate, &op.config(""), &op.config(", cookie: __Host-other"))),
        ("all of it", |gate, op| configure(gate, &op.config(""), "")),
    ];
    for (what, change) in changes {
        let op = Op::start();
        let setup = Setup { policy: POLICY.to_owned(), more: "session: {}\n".to_owned(), ..op.setup("") };
        let gate = op.before(setup, keeps_waiting());
        let browser = signed_in(&gate, &op).await;
        let waits = waiting(&gate, &browser).await;
        change(&gate, &op);
        gate.running.as_ref().unwrap().reloads().ask();
        e2e::until("the reload", || (gate.metric("anteroom_reload_total", &[("result", "done")]) >= 1.0).then_some(()));
        if what == "nothing" {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert!(!waits.is_finished());
            waits.abort();
        } else {
            e2e::soon(what, waits).await.unwrap();
            assert_eq!(gate.metric("anteroom_streams_cut_total", &[("reason", "policy")]), 1.0, "{what}");
        }
    }
}

fn configure(gate: &Gate, login: &str, by: &str) {
    let text = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    gate.files.put("config.yaml", &text.replace(login, by));
}

#[tokio::test]
async fn the_end_of_the_session_of_before_is_on_disk_before_the_next_begins() {
    let op = Op::start();
    let setup = Setup { more: "session: { idle: 1h, state: state }\n".to_owned(), ..op.setup("") };
    let gate = op.gate(setup);
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
    let sent = browser.go("/.anteroom/login?to=/me").await;
    let callback = op.sign_in(sent.header("location"));
    let written = || std::fs::metadata(gate.files.path("state/journal")).unwrap().len();
    // What was done so far is written after a quarter of a second.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = written();
    assert_eq!(browser.go(&callback).await.status, 303);
    assert!(written() > before, "{before}");
}

#[tokio::test]
async fn a_page_of_another_site_makes_nobody_sign_in_within_itself() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let mut by = async |path: &str, dest: &str, site: &str| -> Value {
        let headers = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", dest),
            ("sec-fetch-site", site),
            ("accept", "text/html"),
        ];
        let answer = browser.ask("GET", path, &headers).await;
        assert_eq!(answer.cookies().is_empty(), answer.status != 303, "{answer:?}");
        json!([answer.status.as_u16(), gate.files.event(answer.id())["code"]])
    };
    for dest in ["iframe", "frame"] {
        assert_eq!(by("/.anteroom/login", dest, "cross-site").await, json!([403, "CROSS_SITE"]));
        assert_eq!(by("/me", dest, "cross-site").await, json!([401, "NO_CREDENTIAL"]));
        assert_eq!(by("/.anteroom/login", dest, "same-origin").await, json!([303, null]));
    }
    assert_eq!(by("/.anteroom/login", "document", "cross-site").await, json!([303, null]), "a link elsewhere");
    assert_eq!(by("/me", "document", "cross-site").await, json!([303, "NO_CREDENTIAL"]));
}
