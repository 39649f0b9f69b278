//! People who are signed in by the gate: the way there and back, what the application gets, and what a session is.

use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::gate::Setup;
use e2e::issuer::Issuer;
use e2e::op::{AUTHORIZE, Browser, CLIENT, COOKIE, Op, pairs};
use serde_json::json;

const RECORDS: &str = "/api/patients/p1/records/7?page=2";

#[tokio::test]
async fn a_person_signs_in_and_comes_back_to_the_very_page() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go(RECORDS).await;
    assert_eq!((sent.status.as_u16(), sent.text(), sent.header("cache-control")), (303, "", "no-store"));
    let asked = pairs(sent.header("location").strip_prefix(&format!("{AUTHORIZE}?")).unwrap());
    assert_eq!(asked["redirect_uri"], "https://clinic.example/.anteroom/callback");
    assert_eq!(asked["client_id"], CLIENT);
    assert!(asked["state"].len() >= 32 && asked["nonce"].len() >= 32 && asked["code_challenge"].len() == 43);
    assert_eq!(gate.app.count(), 0);
    let event = gate.files.event(sent.id());
    assert_eq!((&event["code"], &event["status"]), (&json!("NO_CREDENTIAL"), &json!(303)));

    let callback = op.sign_in(sent.header("location"));
    let back = browser.go(&callback).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (303, RECORDS));
    let event = gate.files.event(back.id());
    assert_eq!((&event["actor"]["sub"], &event["decision"]), (&json!("ada.example"), &json!("allow")));
    assert_eq!(event["route"], "GET /.anteroom/callback");

    let page = browser.go(RECORDS).await;
    assert_eq!(page.status, 200, "{page:?}");
    let seen = gate.app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("x-tenant-id")), (Some("ada.example"), Some("a")));
    assert_eq!(seen.header("cookie"), None, "ours are no business of the application");
    assert!(!browser.jar.keys().any(|name| name.contains("attempt")), "{:?}", browser.jar.keys());

    // The code is ours, and its proof went by the header, as RFC 6749 writes it.
    let (form, shown) = op.does().asked.pop().unwrap();
    assert!(shown.starts_with("Basic ") && !form.contains_key("client_id") && form["code_verifier"].len() == 43);
}

#[tokio::test]
async fn whoever_asks_by_script_gets_401_and_never_a_redirect() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    for answer in [
        browser.fetch("GET", "/me").await,
        browser.fetch("POST", "/me").await,
        browser.ask("GET", "/me", &[]).await,
        browser.ask("GET", "/me", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]).await,
        browser.ask("GET", "/me", &[("accept", "text/event-stream")]).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("location")), (401, ""));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    // A form that was sent too late cannot be sent again after signing in; its page says where to go.
    let page = browser.ask("POST", "/me", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")]).await;
    assert_eq!(page.status, 401);
    assert!(page.text().contains("<a href=\"/.anteroom/login\">Sign in</a>"), "{}", page.text());
    // A token in a header is not replaced by a sign-in, nor is the refusal of what policy denies.
    let bad = browser.ask("GET", "/me", &[("accept", "text/html"), ("authorization", "Bearer x")]).await;
    assert_eq!((bad.status.as_u16(), bad.header("location")), (401, ""));
    op.person(json!({ "sub": "ada.example", "org_id": "a", "roles": ["nobody"] }));
    let denied = browser.sign_in(&op, RECORDS).await;
    assert_eq!((denied.status.as_u16(), denied.header("location")), (403, ""));
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn a_page_of_ones_own_leads_there_too() {
    let op = Op::start();
    let gate = op.gate(op.setup(", scopes: [openid, offline_access], prompt: select_account, cookie: __Host-clinic"));
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go("/.anteroom/login?to=/open/a%3Fb=c").await;
    let asked = pairs(sent.header("location").split_once('?').unwrap().1);
    assert_eq!((asked["scope"].as_str(), asked["prompt"].as_str()), ("openid offline_access", "select_account"));
    let page = browser.come_back(&op.sign_in(sent.header("location"))).await;
    assert_eq!((page.status.as_u16(), gate.app.last().target()), (200, "/open/a?b=c"));
    assert_eq!(gate.app.last().header("x-user-id"), Some("ada.example"), "a public page knows who asks");
    assert!(browser.jar.contains_key("__Host-clinic"));
    for path in [
        "/.anteroom/login?to=//evil.example",
        "/.anteroom/login?to=https://evil.example",
        "/.anteroom/login?to=/a&to=/b",
    ] {
        let refused = browser.go(path).await;
        assert_eq!((refused.status.as_u16(), refused.header("location")), (400, ""), "{path}");
    }
    assert_eq!(browser.fetch("GET", "/.anteroom/login").await.status, 401, "no script is sent to another site");
    assert_eq!(browser.fetch("POST", "/.anteroom/login").await.status, 405);
    assert_eq!(browser.fetch("POST", "/.anteroom/callback").await.status, 405);
    assert_eq!(browser.go("/.anteroom/other").await.status, 404);
}

#[tokio::test]
async fn tabs_do_not_get_into_each_others_way() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let mut sent = Vec::new();
    for tab in 0..6 {
        let answer = browser.go(&format!("/api/things/{tab}?tab={tab}")).await;
        sent.push(op.sign_in(answer.header("location")));
    }
    assert_eq!(browser.jar.len(), 4, "the number is bounded");
    for (tab, callback) in sent.iter().enumerate() {
        let back = browser.go(callback).await;
        if tab < 2 {
            assert_eq!((back.status.as_u16(), back.header("location")), (401, ""), "tab {tab} gave way");
            assert!(back.text().contains("/.anteroom/login"), "a way to begin anew");
        } else {
            assert_eq!(back.header("location"), format!("/api/things/{tab}?tab={tab}"));
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_its_lifetime_and_a_long_stay_at_the_provider_begins_anew() {
    let op = Op::start();
    let now = Issuer::new().now;
    let setup = Setup { clock: Clock::manual(now * 1_000), ..op.setup(", lifetime: 30m, attempt: 5m") };
    let gate = op.gate(setup);
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go(RECORDS).await;
    let callback = op.sign_in(sent.header("location"));
    gate.clock().advance(Duration::from_secs(301));
    let anew = browser.go(&callback).await;
    assert!(anew.status == 303 && anew.header("location").starts_with(AUTHORIZE), "{anew:?}");
    op.does().now = now + 301;
    let page = browser.come_back(&op.sign_in(anew.header("location"))).await;
    assert_eq!((page.status.as_u16(), gate.app.last().target()), (200, RECORDS));

    gate.clock().advance(Duration::from_secs(29 * 60));
    assert_eq!(browser.go("/me").await.status, 200);
    gate.clock().advance(Duration::from_secs(60));
    let over = browser.fetch("GET", "/me").await;
    assert_eq!((over.status.as_u16(), over.code()), (401, "TOKEN_EXPIRED".to_owned()));
    let sent = browser.go("/me").await;
    assert!(sent.status == 303 && sent.header("location").starts_with(AUTHORIZE));
    assert_eq!(browser.go("/").await.status, 200, "on a public page the caller is nobody");
    assert_eq!(gate.app.last().header("x-user-id"), None);
}

#[tokio::test]
async fn each_sign_in_is_a_session_of_its_own() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/me").await;
    let first = browser.jar[COOKIE].clone();
    let sent = browser.go("/.anteroom/login?to=/me").await;
    browser.come_back(&op.sign_in(sent.header("location"))).await;
    assert_ne!(browser.jar[COOKIE], first);
}

#[tokio::test]
async fn the_application_can_neither_see_nor_set_our_cookies() {
    let op = Op::start();
    let app = App::start(|exchange| {
        let cookies = "set-cookie: __Host-anteroom=evil; Path=/; Secure\r\nset-cookie: theme=dark\r\n";
        exchange.answer("200 OK", cookies, "")
    });
    let gate = op.before(op.setup(""), app);
    let mut browser = Browser::new(&gate).await;
    browser.jar.insert("theme".to_owned(), "light".to_owned());
    browser.sign_in(&op, "/me").await;
    let session = browser.jar[COOKIE].clone();
    assert!(session != "evil" && browser.jar["theme"] == "dark");
    assert_eq!(browser.go("/me").await.status, 200);
    assert_eq!(gate.app.last().header("cookie"), Some("theme=dark"));
    // A page of another site that posts with the session's cookie is refused as with any other.
    let headers = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(browser.ask("POST", "/me", &headers).await.code(), "CROSS_SITE");
}

#[tokio::test]
async fn the_secret_is_shown_in_the_one_way_that_the_provider_takes() {
    for (posts, keys, status) in [
        (true, ", client_auth: client_secret_post", 200),
        (true, "", 401),
        (false, ", client_auth: client_secret_basic", 200),
        (false, ", client_auth: client_secret_post", 401),
    ] {
        let op = Op::start();
        op.does().posts = posts;
        let gate = op.gate(op.setup(keys));
        let mut browser = Browser::new(&gate).await;
        let back = browser.sign_in(&op, "/me").await;
        assert_eq!(back.status, status, "{posts} {keys}");
    }
}
