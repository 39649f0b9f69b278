//! Signing out at the gate ends the application's session as well: its cookie passes no more, and the browser lets go of it.

use e2e::app::App;
use e2e::client::{Answer, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::op::{Browser, COOKIE, Op};
use serde_json::json;

const LOGOUT: &str = "/.anteroom/logout";

/// An application that sets the cookie that the request names in `x-set`, and knows everybody with a session.
fn setting() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/api/whoami" {
            let who = r#"{"id":"ada.example"}"#;
            return exchange.answer("200 OK", "content-type: application/json\r\n", who);
        }
        let set = exchange.seen.header("x-set").map(|line| format!("set-cookie: {line}\r\n")).unwrap_or_default();
        exchange.answer("200 OK", &set, "ok")
    })
}

fn gate(session: &str) -> Gate {
    let more = "session: { clear: [] }\n".to_owned();
    Gate::start(Setup { app: format!(", session: {session}"), more, ..Setup::default() }, setting())
}

/// What the application got for a cookie.
fn got(gate: &Gate) -> Option<String> {
    gate.app.last().header("cookie").map(str::to_owned)
}

fn set(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

fn away(name: &str, path: &str) -> String {
    format!("{name}=; Max-Age=0; Path={path}; Secure; HttpOnly; SameSite=Lax")
}

async fn ask(client: &mut Client, method: &str, path: &str, token: &str, cookie: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let own = ("origin", "https://clinic.example");
    client.ask(method, path, &[("authorization", &bearer), ("cookie", cookie), own]).await
}

async fn without(client: &mut Client, path: &str, cookie: &str) -> Answer {
    client.ask("GET", path, &[("cookie", cookie)]).await
}

#[tokio::test]
async fn with_a_login_of_the_gate_both_end_and_neither_is_anybody_elses() {
    let op = Op::start();
    let mut setup = op.setup("");
    setup.app = ", session: { cookies: [sid] }".to_owned();
    setup.more = "session: {}\n".to_owned();
    let gate = op.before(setup, setting());
    let mut ada = Browser::new(&gate).await;
    assert_eq!(ada.sign_in(&op, "/me").await.status, 200);
    ada.ask("GET", "/me", &[("x-set", "sid=of-ada; Path=/; HttpOnly")]).await;
    assert_eq!(ada.go("/me").await.status, 200);
    assert_eq!(got(&gate).as_deref(), Some("sid=of-ada"));

    // Somebody else, signed in here as well, with the stolen cookie.
    op.person(json!({ "sub": "eve.example", "org_id": "a", "roles": ["provider"] }));
    let mut eve = Browser::new(&gate).await;
    eve.sign_in(&op, "/me").await;
    eve.jar.insert("sid".to_owned(), "of-ada".to_owned());
    let before = gate.app.count();
    let stolen = eve.fetch("GET", "/me").await;
    assert_eq!((stolen.status.as_u16(), stolen.code().as_str()), (401, "TOKEN_INVALID"));
    assert_eq!((gate.app.count(), set(&stolen)), (before, vec![away("sid", "/")]));
    assert_eq!(eve.go("/me").await.status, 200, "without it she goes on");
    // Nor does she end it by signing out with it.
    eve.jar.insert("sid".to_owned(), "of-ada".to_owned());
    let out = eve.fetch("POST", LOGOUT).await;
    assert_eq!((out.status.as_u16(), eve.jar.is_empty()), (204, true), "{:?}", eve.jar);
    assert_eq!(ada.go("/me").await.status, 200);
    assert_eq!(got(&gate).as_deref(), Some("sid=of-ada"));

    let kept = ada.jar.clone();
    let out = ada.fetch("POST", LOGOUT).await;
    assert_eq!(out.status, 204);
    let lines = set(&out);
    assert!(lines.contains(&away("sid", "/")) && lines.iter().any(|line| line.starts_with(&format!("{COOKIE}=;"))));
    assert!(ada.jar.is_empty(), "{:?}", ada.jar);
    // Copies of both are worth nothing.
    ada.jar.clone_from(&kept);
    let before = gate.app.count();
    assert_eq!(ada.fetch("GET", "/me").await.code(), "SESSION_ENDED");
    assert_eq!(gate.app.count(), before);
    ada.jar = [("sid".to_owned(), "of-ada".to_owned())].into();
    assert_eq!(ada.go("/open/x").await.status, 200);
    assert_eq!(got(&gate), None, "not even on a public page");
    // Nor beside the same person, after another sign-in.
    op.person(json!({ "sub": "ada.example", "org_id": "a", "roles": ["provider"] }));
    assert_eq!(ada.sign_in(&op, "/me").await.status, 200);
    assert_eq!((gate.app.last().header("x-user-id"), got(&gate)), (Some("ada.example"), None));
    // Until the application gives out the same value once more.
    ada.ask("GET", "/me", &[("x-set", "sid=of-ada; Path=/")]).await;
    ada.go("/me").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=of-ada"));
}

#[tokio::test]
async fn with_a_token_the_cookies_of_the_request_end_and_whatever_it_is_worth_the_browser_lets_go() {
    let gate = gate("{ cookies: [sid, remember] }");
    let ada = gate.issuer().changed(json!({ "sid": "s-1" }));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let bearer = format!("Bearer {ada}");
    client.ask("GET", "/me", &[("authorization", &bearer), ("x-set", "sid=a; Path=/app")]).await;
    // What was not seen being set ends too; a page of another site ends and clears nothing.
    let cookies = "sid=a; theme=dark; remember=older";
    let all = format!("__session={ada}; {cookies}");
    let foreign = [("cookie", all.as_str()), ("origin", "https://evil.example")];
    let crossing = client.ask("POST", LOGOUT, &foreign).await;
    assert_eq!((crossing.code().as_str(), set(&crossing)), ("CROSS_SITE", vec![]));
    let out = ask(&mut client, "POST", LOGOUT, &ada, cookies).await;
    assert_eq!((out.status.as_u16(), set(&out)), (204, vec![away("sid", "/app"), away("remember", "/")]));
    for cookie in [cookies, "sid=a; sid=b; theme=dark", "remember=older; theme=dark"] {
        assert_eq!(without(&mut client, "/open/x", cookie).await.status, 200);
        assert_eq!(got(&gate).as_deref(), Some("theme=dark"), "{cookie}");
    }
    without(&mut client, "/open/x", "sid=b").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=b"), "another one is no business of this");
    let forged = gate.issuer().forged();
    let out = ask(&mut client, "POST", LOGOUT, &forged, "sid=b").await;
    assert_eq!((out.code().as_str(), set(&out)), ("TOKEN_INVALID", vec![away("sid", "/")]));
    without(&mut client, "/open/x", "sid=b").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=b"), "a bad token ends nothing");
}

#[tokio::test]
async fn where_the_application_vouches_no_part_of_what_ended_counts() {
    let whoami = "{ path: /api/whoami, claims: { subject: /id }, tenant: a }";
    let gate = gate(&format!("{{ cookies: [sid, remember], whoami: {whoami} }}"));
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(without(&mut client, "/me", "sid=a; remember=r").await.status, 200);
    let own = [("cookie", "sid=a; remember=r"), ("origin", "https://clinic.example")];
    let out = client.ask("POST", LOGOUT, &own).await;
    assert_eq!((out.status.as_u16(), set(&out)), (204, vec![away("sid", "/"), away("remember", "/")]));
    let before = gate.app.count();
    for cookie in ["sid=a; remember=r", "sid=a", "remember=r"] {
        let answer = without(&mut client, "/me", cookie).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "SESSION_ENDED"), "{cookie}");
        assert_eq!(set(&answer).len(), cookie.split("; ").count(), "the browser lets go of what is left");
    }
    assert_eq!(client.ask("POST", LOGOUT, &own).await.code(), "SESSION_ENDED");
    assert_eq!(gate.app.count(), before, "the application is not asked");
    // The way to a new session is open, also with what is left of the old one.
    let anew = [("cookie", "sid=a"), ("x-set", "sid=b; Path=/")];
    client.ask("GET", "/open/login", &anew).await;
    assert_eq!(got(&gate), None);
    assert_eq!(without(&mut client, "/me", "sid=b; remember=r").await.status, 200);
    assert_eq!(got(&gate).as_deref(), Some("sid=b"));
}

#[tokio::test]
async fn no_spelling_and_no_cookie_beside_it_brings_an_ended_session_back() {
    let gate = gate("{ cookies: [sid, remember], whoami: { path: /api/whoami, claims: { subject: /id }, tenant: a } }");
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(without(&mut client, "/me", "sid=s1").await.status, 200);
    assert_eq!(without(&mut client, "/me", "remember=r1").await.code(), "NO_CREDENTIAL", "the first names the session");
    let own = [("cookie", "sid=s1"), ("origin", "https://clinic.example")];
    assert_eq!(client.ask("POST", LOGOUT, &own).await.status, 204);
    let before = gate.app.count();
    for cookie in [
        "sid=s1",
        "sid=\"s1\"",
        "sid= s1",
        "sid=%731",
        "sid=%25731",
        "sid=S1",
        "sid=s1; remember=x",
        "remember=x; sid=\"s1\"",
        // Python's, and of all that is built on it.
        r#"sid="\1631""#,
        r#"sid="s\061""#,
        r"sid=\1631",
        r#"sid="\s1""#,
        // Of readers that end at a blank or a comma, and of those that skip what is no letter of base64.
        "sid=s1,x",
        "sid=s1 x",
        "sid=\"s1",
        "sid=s1.",
        "sid=s1==",
        "sid=%c5%9b1",
    ] {
        let code = without(&mut client, "/me", cookie).await.code();
        assert!(matches!(code.as_str(), "SESSION_ENDED" | "NO_CREDENTIAL" | "TOKEN_INVALID"), "{cookie}: {code}");
        assert_eq!(gate.app.count(), before, "{cookie}");
    }
    for cookie in [r#"sid="\1631""#, "sid=s1,x", "sid=s1; sid=x", "sid=x; sid=y", "sid=\"s1", "sid=S1"] {
        assert_eq!(without(&mut client, "/open/x", cookie).await.status, 200);
        assert_eq!(got(&gate), None, "{cookie}");
    }
    assert_eq!(
        without(&mut client, "/me", "sid=s2").await.code(),
        "SESSION_ENDED",
        "it may be the same to the application"
    );
    client.ask("GET", "/open/login", &[("x-set", "sid=s3; Path=/")]).await;
    assert_eq!(without(&mut client, "/me", "sid=s3").await.status, 200, "one that it has set since is another");
}

#[tokio::test]
async fn a_cookie_that_was_set_beside_a_token_proves_nobody_without_it() {
    let gate = gate("{ cookies: [sid], whoami: { path: /api/whoami, claims: { subject: /id }, tenant: a } }");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().ada();
    let bearer = format!("Bearer {token}");
    let set = [("authorization", bearer.as_str()), ("x-set", "sid=mine; Path=/; HttpOnly; Secure; SameSite=Lax")];
    assert_eq!(client.ask("GET", "/me", &set).await.status, 200);
    assert_eq!(ask(&mut client, "GET", "/me", &token, "sid=mine").await.status, 200);
    for cookie in ["sid=mine", "sid=\"mine\"", "sid=%6dine", "sid=MINE", "sid=mine="] {
        assert_eq!(without(&mut client, "/me", cookie).await.code(), "NO_CREDENTIAL", "{cookie}");
    }
    for cookie in [r#"sid="\155ine""#, r#"sid="mi\ne""#, "sid=mine,x", "sid=\"mine"] {
        let code = without(&mut client, "/me", cookie).await.code();
        assert!(matches!(code.as_str(), "NO_CREDENTIAL" | "TOKEN_INVALID"), "{cookie}: {code}");
    }
    assert_eq!(without(&mut client, "/me", "sid=other").await.status, 200);
}

#[tokio::test]
async fn no_credential_that_nobody_judges_goes_beside_one_that_was() {
    let provider = "token: [{ cookie: tok }]\n    claims: { tenant: org_id, roles: roles }".to_owned();
    let gate = Gate::start(Setup { provider, ..Setup::default() }, App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let cookie = format!("tok={}", gate.issuer().ada());
    let sent = [("cookie", cookie.as_str()), ("authorization", "Bearer somebody-elses")];
    assert_eq!(client.ask("GET", "/me", &sent).await.status, 200);
    assert_eq!(gate.app.last().header("authorization"), None);
}

#[tokio::test]
async fn no_logout_makes_the_gate_forget_what_another_one_has_ended() {
    let gate = gate("{ cookies: [sid] }");
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let ada = gate.issuer().changed(json!({ "sid": "s-1" }));
    assert_eq!(ask(&mut client, "POST", LOGOUT, &ada, "sid=of-ada").await.status, 204);
    let eve = gate.issuer().changed(json!({ "sub": "eve.example", "sid": "s-2" }));
    for round in 0..8 {
        let guesses: Vec<String> = (0..2_800).map(|number| format!("sid={round}{number:04}")).collect();
        assert_eq!(ask(&mut client, "POST", LOGOUT, &eve, &guesses.join(";")).await.status, 204);
    }
    without(&mut client, "/open/x", "sid=of-ada").await;
    assert_eq!(got(&gate), None, "it is known still");
    without(&mut client, "/open/x", "sid=00001").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=00001"), "of many under one name none is ended that is not hers");
    // Her session ended with the first: what comes with it later is not hers to end.
    assert_eq!(ask(&mut client, "POST", LOGOUT, &eve, "sid=later").await.status, 204);
    without(&mut client, "/open/x", "sid=later").await;
    assert_eq!(got(&gate).as_deref(), Some("sid=later"));
    // Of two under a name, that which was set for the caller.
    let joan = gate.issuer().changed(json!({ "sub": "joan.example", "sid": "s-3" }));
    let bearer = format!("Bearer {joan}");
    client.ask("GET", "/me", &[("authorization", &bearer), ("x-set", "sid=of-joan; Path=/")]).await;
    assert_eq!(ask(&mut client, "POST", LOGOUT, &joan, "sid=tossed; sid=of-joan").await.status, 204);
    without(&mut client, "/open/x", "sid=of-joan").await;
    assert_eq!(got(&gate), None);
}
