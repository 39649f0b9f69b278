//! Sign-ins that somebody else has touched: none of them makes a session, and none is explained by what was sent.

use e2e::client::Answer;
use e2e::gate::Gate;
use e2e::op::{AUTHORIZE, Browser, COOKIE, Op};
use serde_json::json;

fn refused(answer: &Answer, code: &str) {
    let status = if code == "PROVIDER_DOWN" { 503 } else { 401 };
    assert_eq!((answer.status.as_u16(), answer.header("location")), (status, ""), "{answer:?}");
    assert!(answer.text().contains(&format!("<code>{code}</code>")), "{}", answer.text());
    for word in ["script", "code-", "evil", "state=", "eyJ"] {
        assert!(!answer.text().contains(word), "`{word}` in {}", answer.text());
    }
}

/// The provider's answer to a fresh sign-in, and the browser that asked for it.
async fn answered(gate: &Gate, op: &Op) -> (Browser, String) {
    let mut browser = Browser::new(gate).await;
    let sent = browser.go("/me").await;
    let callback = op.sign_in(sent.header("location"));
    (browser, callback)
}

async fn is_nobody(browser: &mut Browser) {
    assert_eq!(browser.fetch("GET", "/me").await.status, 401);
    assert!(!browser.jar.contains_key(COOKIE));
}

fn changed(callback: &str, name: &str, value: &str) -> String {
    let (path, query) = callback.split_once('?').unwrap();
    let pairs = query.split('&').map(|pair| match pair.split_once('=').unwrap() {
        (key, _) if key == name => format!("{key}={value}"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[tokio::test]
async fn an_answer_that_is_not_for_this_browser_is_none() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let (mut thief, callback) = answered(&gate, &op).await;
    // Another person's answer in my browser would sign me in as them, and mine in theirs would give them my session.
    let mut other = Browser::new(&gate).await;
    refused(&other.go(&callback).await, "TOKEN_INVALID");
    is_nobody(&mut other).await;
    other.go("/me").await;
    refused(&other.go(&callback).await, "TOKEN_INVALID");
    is_nobody(&mut other).await;
    for odd in [
        changed(&callback, "state", "x"),
        changed(&callback, "state", ""),
        callback.split("&state").next().unwrap().to_owned(),
        "/.anteroom/callback".to_owned(),
        "/.anteroom/callback?".to_owned(),
    ] {
        refused(&thief.go(&odd).await, "TOKEN_INVALID");
    }
    for odd in ["&state=x", "&code=x", "&iss=https://evil.example", "&error=evil", "&%63ode=y"] {
        refused(&thief.go(&format!("{callback}{odd}")).await, "TOKEN_INVALID");
    }
    assert!(op.does().asked.is_empty(), "the provider was not asked");
    is_nobody(&mut thief).await;
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_none() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    for iss in ["https%3A%2F%2Fevil.example", "https%3A%2F%2Fissuer.example", ""] {
        let (mut browser, callback) = answered(&gate, &op).await;
        refused(&browser.go(&changed(&callback, "iss", iss)).await, "TOKEN_INVALID");
        is_nobody(&mut browser).await;
    }
    assert!(op.does().asked.is_empty(), "a code for one provider is not shown to another");
}

#[tokio::test]
async fn an_error_of_the_provider_is_told_without_its_words() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let (mut browser, callback) = answered(&gate, &op).await;
    let error = callback.replace("code=", "error=access_denied&error_description=%3Cscript%3Eevil%3C/script%3E&x=");
    let page = browser.go(&error).await;
    refused(&page, "TOKEN_INVALID");
    assert!(page.text().contains("ended the sign-in") && page.text().contains("Sign in</a>"));
    is_nobody(&mut browser).await;
}

#[tokio::test]
async fn a_code_counts_once() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let (mut browser, callback) = answered(&gate, &op).await;
    let before = browser.jar.clone();
    assert_eq!(browser.go(&callback).await.status, 303);
    let session = browser.jar[COOKIE].clone();
    assert_eq!(browser.go(&callback).await.header("location"), "/", "by the session that there is");
    assert_eq!(browser.jar[COOKIE], session, "and it makes no other");
    // With the cookies of before, as somebody has them who copied all.
    let mut thief = Browser::new(&gate).await;
    thief.jar = before.clone();
    refused(&thief.go(&callback).await, "TOKEN_INVALID");
    assert_eq!(op.does().asked.len(), 1);
    // Another gate of the same keys does not remember; the provider does.
    let another = op.gate(op.setup(""));
    let mut thief = Browser::new(&another).await;
    thief.jar = before;
    refused(&thief.go(&callback).await, "TOKEN_INVALID");
    assert_eq!(op.does().asked.len(), 2);
    is_nobody(&mut thief).await;
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_sign_in_makes_no_session() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let now = op.does().now;
    let lies = [
        json!({ "nonce": null }),
        json!({ "nonce": "another" }),
        json!({ "nonce": ["another"] }),
        json!({ "aud": "another" }),
        json!({ "aud": "https://api.clinic.example" }),
        json!({ "aud": ["clinic:web/1", "another"] }),
        json!({ "azp": "another" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": now - 60 }),
        json!({ "iat": now + 600 }),
        json!({ "iat": null }),
        json!({ "auth_time": now.to_string() }),
        json!({ "auth_time": now + 600 }),
        json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
        json!({ "at_hash": "" }),
        json!({ "at_hash": 7 }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
    ];
    for lie in lies {
        op.lies(lie.clone());
        let (mut browser, callback) = answered(&gate, &op).await;
        let answer = browser.go(&callback).await;
        let code = if lie.get("exp").is_some() { "TOKEN_EXPIRED" } else { "TOKEN_INVALID" };
        refused(&answer, code);
        is_nobody(&mut browser).await;
    }
    op.lies(json!({}));
    for tokens in [
        json!({ "id_token": null }),
        json!({ "id_token": "" }),
        json!({ "id_token": "a.b.c" }),
        json!({ "id_token": 7 }),
    ] {
        op.does().tokens = tokens.as_object().unwrap().clone();
        let (mut browser, callback) = answered(&gate, &op).await;
        refused(&browser.go(&callback).await, "TOKEN_INVALID");
        is_nobody(&mut browser).await;
    }
    op.does().tokens.clear();
    op.lies(json!({ "aud": ["clinic:web/1", "another"], "azp": "clinic:web/1" }));
    let (mut browser, callback) = answered(&gate, &op).await;
    assert_eq!(browser.come_back(&callback).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_fails_in_the_middle_signs_nobody_in() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    for status in [500, 503, 302, 204] {
        op.does().fails = Some(status);
        let (mut browser, callback) = answered(&gate, &op).await;
        refused(&browser.go(&callback).await, "PROVIDER_DOWN");
        is_nobody(&mut browser).await;
    }
    op.does().fails = None;
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200, "it recovers alone");
}

#[tokio::test]
async fn a_session_is_ours_or_none() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let sent = browser.go("/me").await;
    let attempt = browser.jar.values().next().unwrap().clone();
    browser.come_back(&op.sign_in(sent.header("location"))).await;
    let session = browser.jar[COOKIE].clone();
    let flipped = |at: usize| {
        let mut other = session.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(other).unwrap()
    };
    let mut odd: Vec<String> = (0..session.len()).step_by(17).map(flipped).collect();
    odd.extend([
        String::new(),
        "x".to_owned(),
        session[..session.len() - 1].to_owned(),
        format!("{session}A"),
        attempt,
    ]);
    odd.push(format!("{session}; {COOKIE}={session}"));
    for value in odd {
        browser.jar.insert(COOKIE.to_owned(), value.clone());
        let answer = browser.fetch("GET", "/me").await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "TOKEN_INVALID".to_owned()), "{value}");
        assert!(browser.go("/me").await.header("location").starts_with(AUTHORIZE), "a person signs in anew");
        assert_eq!(browser.go("/").await.status, 200);
    }
    browser.jar.retain(|name, _| !name.contains("attempt"));
    browser.jar.insert(COOKIE.to_owned(), session.clone());
    assert_eq!(browser.fetch("GET", "/me").await.status, 200);

    // Another key, another name of ours at the provider, another cookie: each opens none of the others' sessions.
    let mut other_key = op.setup("");
    other_key.files[1].1 = "0b1c".repeat(16);
    let mut other_client = op.setup("");
    other_client.provider = other_client.provider.replace("clinic:web/1", "another");
    let mut other_cookie = op.setup("");
    other_cookie.provider = other_cookie.provider.replace("{ client_id", "{ cookie: __Host-anteroom-2, client_id");
    for (setup, name) in [(other_key, COOKIE), (other_client, COOKIE), (other_cookie, "__Host-anteroom-2")] {
        let gate = op.gate(setup);
        let mut thief = Browser::new(&gate).await;
        thief.jar.insert(name.to_owned(), session.clone());
        assert_eq!(thief.fetch("GET", "/me").await.code(), "TOKEN_INVALID");
    }
    let mut rotated = op.setup("");
    rotated.files[1].1 = format!("{}\n{}\n", "0b1c".repeat(16), "0a1b".repeat(16));
    let gate = op.gate(rotated);
    let mut person = Browser::new(&gate).await;
    person.jar.insert(COOKIE.to_owned(), session);
    assert_eq!(person.fetch("GET", "/me").await.status, 200, "the old key opens, and the new one seals");
}

#[tokio::test]
async fn a_session_beside_a_token_counts_in_the_order_that_is_said() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    browser.sign_in(&op, "/me").await;
    let token = gate.issuer().token("eve.example", "b", &["provider"]);
    let bearer = format!("Bearer {token}");
    let by_header = browser.ask("GET", "/me", &[("authorization", &bearer)]).await;
    assert_eq!((by_header.status.as_u16(), gate.app.last().header("x-user-id")), (200, Some("eve.example")));
    let bad = browser.ask("GET", "/me", &[("authorization", "Bearer bad")]).await;
    assert_eq!(bad.code(), "TOKEN_INVALID", "no way back from a bad token to a session");
    browser.jar.insert("__session".to_owned(), token);
    assert_eq!(browser.fetch("GET", "/me").await.status, 200);
    assert_eq!(gate.app.last().header("x-user-id"), Some("ada.example"), "a session before a token in a cookie");
    browser.jar.insert(COOKIE.to_owned(), "bad".to_owned());
    assert_eq!(browser.fetch("GET", "/me").await.code(), "TOKEN_INVALID", "and no way back from a bad session");
}

#[tokio::test]
async fn no_spelling_of_an_address_leads_to_another_site() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    let evil = [
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "/%09/evil.example",
        "/%0a/evil.example",
        "/%0d%0a/evil.example",
        "%09//evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "http://evil.example",
        "HTTPS://EVIL.EXAMPLE",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "@evil.example",
        "clinic.example.evil.example",
        ".evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/a/..//evil.example",
        "/%2e%2e//evil.example",
        "/a//evil.example",
        "//clinic.example@evil.example",
        "/%00",
        "/%0d%0aset-cookie:%20a=b",
        "/%E2%80%8B/evil.example%ff",
        "",
        "?a",
        "#a",
        "/.anteroom/login",
        "/.anteroom/callback",
        "/%2eanteroom/login",
    ];
    assert!(evil.len() > 30);
    for to in evil {
        let encoded = anteroom::outbound::encode(to);
        let answer = browser.go(&format!("/.anteroom/login?to={encoded}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""), "{to}");
    }
}

#[tokio::test]
async fn going_round_in_circles_ends_with_a_page() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut browser = Browser::new(&gate).await;
    for _ in 0..3 {
        // A browser that keeps everything but the session, and a gate that would send it away for ever.
        browser.sign_in(&op, "/me").await;
        browser.jar.remove(COOKIE);
    }
    // Each of them passed, so nothing counts so far.
    assert!(browser.go("/me").await.header("location").starts_with(AUTHORIZE));
    for _ in 0..3 {
        let sent = browser.go("/me").await;
        assert_eq!(browser.go(&op.sign_in(sent.header("location"))).await.status, 303);
        browser.jar.remove(COOKIE);
    }
    let told = browser.go("/me").await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""));
    assert!(told.text().contains("several times within a minute") && told.text().contains("NO_CREDENTIAL"));
    assert!(told.text().contains(told.id()));
    let told = browser.go("/.anteroom/login?to=/me").await;
    assert_eq!((told.status.as_u16(), told.header("location")), (401, ""));
    // A browser that keeps no cookie at all is told at once.
    let mut blocked = Browser::new(&gate).await;
    let sent = blocked.go("/me").await;
    blocked.jar.clear();
    let told = blocked.go(&op.sign_in(sent.header("location"))).await;
    refused(&told, "TOKEN_INVALID");
    assert!(told.text().contains("cookies are blocked"));
}

#[tokio::test]
async fn a_session_that_fits_no_cookie_is_none() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    op.lies(json!({ "roles": vec!["a-role-with-a-long-name"; 200] }));
    let (mut browser, callback) = answered(&gate, &op).await;
    refused(&browser.go(&callback).await, "TOKEN_INVALID");
    is_nobody(&mut browser).await;
}
