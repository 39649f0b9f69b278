//! People who come to a page that asks who they are are sent to the application's own page to sign in.

use e2e::app::App;
use e2e::client::Answer;
use e2e::gate::{Files, Gate, Setup};
use e2e::issuer::Issuer;
use e2e::op::Browser;
use serde_json::json;

const COUNT: &str = "__Host-anteroom-count";

fn gate(more: &str, app: App) -> Gate {
    let app_keys = format!(", sign_in: {{ page: /open/login, back: next }}{more}");
    Gate::start(Setup { app: app_keys, ..Setup::default() }, app)
}

fn sent(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.header("location"))
}

#[tokio::test]
async fn whoever_comes_with_nothing_is_sent_there_and_scripts_are_not() {
    let gate = gate("", App::plain());
    let mut browser = Browser::new(&gate).await;
    let answer = browser.go("/me?a=b&next=//evil.example/").await;
    assert_eq!(sent(&answer), (303, "/open/login?next=%2Fme%3Fa%3Db%26next%3D%2F%2Fevil.example%2F"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let event = gate.files.event(answer.id());
    assert_eq!(
        (&event["decision"], &event["code"], &event["status"]),
        (&json!("deny"), &json!("NO_CREDENTIAL"), &json!(303))
    );
    assert_eq!(gate.app.count(), 0);
    let script = browser.fetch("GET", "/me").await;
    assert_eq!((script.status.as_u16(), script.code().as_str()), (401, "NO_CREDENTIAL"));
    let framed = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-site", "cross-site"),
        ("accept", "text/html"),
    ];
    assert_eq!(sent(&browser.ask("GET", "/me", &framed).await), (401, ""));
    let form = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html"),
    ];
    let posted = browser.ask("POST", "/me", &form).await;
    assert_eq!(sent(&posted), (401, ""));
    assert!(posted.text().contains("<a href=\"/open/login\">Sign in</a>"), "{}", posted.text());
    assert_eq!(sent(&browser.go("/closed").await), (404, ""), "what is not there asks nobody");
}

#[tokio::test]
async fn only_a_token_whose_time_is_over_leads_there() {
    let gate = gate("", App::plain());
    let now = Issuer::new().now;
    let mut browser = Browser::new(&gate).await;
    browser
        .jar
        .insert("__session".to_owned(), gate.issuer().changed(json!({ "exp": now - 3_600, "iat": now - 7_200 })));
    assert_eq!(sent(&browser.go("/me").await), (303, "/open/login?next=%2Fme"));
    browser.jar.insert("__session".to_owned(), gate.issuer().changed(json!({ "aud": "others" })));
    let refused = browser.go("/me?a=1&b=2").await;
    assert_eq!(sent(&refused), (401, ""), "it would come back with the same");
    assert!(
        refused.text().contains("<a href=\"/open/login?next=%2Fme%3Fa%3D1%26b%3D2\">Sign in</a>"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_browser_that_comes_back_again_and_again_is_told() {
    let seen_there = App::start(|exchange| {
        let cookie = exchange.seen.header("cookie").unwrap_or("none").to_owned();
        exchange.answer(
            "200 OK",
            "set-cookie: __Host-anteroom-count=9.1; Path=/; Secure\r\nset-cookie: own=1\r\n",
            &cookie,
        )
    });
    let gate = gate("", seen_there);
    let mut browser = Browser::new(&gate).await;
    for _ in 0..3 {
        assert_eq!(browser.go("/me").await.status, 303);
    }
    let told = browser.go("/me").await;
    assert_eq!(told.status, 401);
    assert!(told.text().contains("was sent to sign in several times within a minute"), "{}", told.text());
    assert!(told.text().contains("<a href=\"/open/login?next=%2Fme\">Sign in</a>"), "{}", told.text());
    // The count is between the gate and the browser.
    let page = browser.go("/open/login").await;
    assert_eq!((page.text(), page.header("set-cookie")), ("none", "own=1; Secure; HttpOnly; SameSite=Lax"));
    assert!(browser.jar[COUNT].starts_with("3."), "{:?}", browser.jar);
    // It is over once somebody is in.
    browser.jar.insert("__session".to_owned(), gate.issuer().ada());
    assert_eq!(browser.go("/me").await.status, 200);
    assert!(!browser.jar.contains_key(COUNT), "{:?}", browser.jar);
}

/// The whole way with the application's own login.
#[tokio::test]
async fn signing_in_at_the_application_leads_back() {
    let app = App::start(|exchange| {
        let known = exchange.seen.header("cookie").is_some_and(|cookies| cookies.contains("sid=s-ada"));
        match exchange.seen.target() {
            "/api/whoami" if known => {
                let json = r#"{ "id": "ada.example", "clinic": "a", "roles": ["provider"] }"#;
                exchange.answer("200 OK", "content-type: application/json\r\n", json)
            }
            "/api/whoami" => exchange.answer("401 Unauthorized", "", ""),
            "/open/login?next=%2Fme" => {
                exchange.answer("303 See Other", "location: /me\r\nset-cookie: sid=s-ada; Path=/\r\n", "")
            }
            _ => exchange.answer("200 OK", "", "ok"),
        }
    });
    let session = ", session: { cookies: [sid], whoami: { path: /api/whoami, claims: { subject: id, tenant: clinic, roles: roles } } }";
    let more = "session: {}\n".to_owned();
    let app_keys = format!(", sign_in: {{ page: /open/login, back: next }}{session}");
    let gate = Gate::start(Setup { app: app_keys, more, ..Setup::default() }, app);
    let mut browser = Browser::new(&gate).await;
    browser.jar.insert("sid".to_owned(), "s-of-before".to_owned());
    let there = browser.go("/me").await;
    assert_eq!(sent(&there), (303, "/open/login?next=%2Fme"), "a session that the application has forgotten is none");
    let back = browser.go(there.header("location")).await;
    assert_eq!(sent(&back), (303, "/me"));
    assert_eq!(browser.go("/me").await.text(), "ok");
    let old = browser.jar.clone();
    assert_eq!(browser.fetch("POST", "/.anteroom/logout").await.status, 204);
    browser.jar = old;
    let ended = browser.go("/me").await;
    assert_eq!(ended.status, 401);
    assert!(ended.text().contains("<a href=\"/open/login?next=%2Fme\">Sign in again</a>"), "{}", ended.text());
}

#[test]
fn a_page_that_not_everybody_sees_is_refused() {
    let cases = [
        ("page: /me", "no policy opens `/me` to everybody"),
        ("page: /nowhere", "no policy opens `/nowhere`"),
        ("page: login", "`login` is no path"),
        ("page: //evil.example/", "is no path"),
        ("page: https://evil.example/", "is no path"),
        ("page: /open/../me", "is no path"),
        ("page: \"/open/\\\"x\"", "is no path"),
        ("page: /.anteroom/login", "is no path"),
        ("page: /open/login, back: \"a&b\"", "`a&b` is no name of a parameter"),
        ("page: /open/login, back: \"\"", "is no name of a parameter"),
        ("back: next", "lacks the key `page`"),
    ];
    for (sign_in, fault) in cases {
        let setup = Setup { app: format!(", sign_in: {{ {sign_in} }}"), ..Setup::default() };
        let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
        let text = files.faults();
        assert!(text.contains(fault), "{sign_in}: {text}");
    }
}
