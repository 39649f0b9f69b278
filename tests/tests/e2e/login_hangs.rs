//! A provider that hangs: whoever signs in is told so within the time that is stated, nobody else notices, and it is forgotten when
//! the provider is back.

use std::time::{Duration, Instant};

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Files, Gate, OTHER, Setup};
use e2e::key_server::{KeyServer, METADATA};
use e2e::op::{Browser, COOKIE, Hang, Op};
use serde_json::json;

use crate::reload::eventually;

/// The longest that a call to a provider may take, as docs/limits.md says.
const CALL: Duration = Duration::from_secs(10);
/// What a machine with much to do may add.
const BUSY: Duration = Duration::from_secs(5);

/// Others go on: public pages, tokens of this provider and of another one, and beginning to sign in.
async fn others_go_on(gate: &Gate) {
    let theirs = gate.issuer().changed(json!({ "iss": "https://other.example/", "aud": "other" }));
    // Connections of their own, so that every worker has to answer.
    for _ in 0..6 {
        let mut client = Client::open(gate, Protocol::Http2).await;
        assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
        assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
        assert_eq!(client.get("/me", &theirs).await.status, 200);
        assert_eq!(Browser::new(gate).await.go("/me").await.status, 303);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_holds_up_its_own_sign_ins_alone_and_for_ten_seconds() {
    let op = Op::start();
    let mut setup = op.setup("");
    setup.provider.push_str(OTHER);
    let gate = op.gate(setup);
    let mut signing_in = Vec::new();
    // More than there are workers, in each way to hang.
    for (count, hang) in [(3, Hang::BeforeTheHead), (6, Hang::AfterTheHead)] {
        op.does().hangs = Some(hang);
        for _ in 0..3 {
            let mut browser = Browser::new(&gate).await;
            let sent = browser.go("/me").await;
            let callback = op.sign_in(sent.header("location"));
            signing_in.push(tokio::spawn(async move {
                let began = Instant::now();
                let answer = browser.go(&callback).await;
                (browser, answer, began.elapsed())
            }));
        }
        eventually("the provider to be asked", || (op.does().asked.len() == count).then_some(())).await;
    }
    others_go_on(&gate).await;
    assert!(signing_in.iter().all(|one| !one.is_finished()), "all of that while they wait");
    let mut told = Vec::new();
    for one in signing_in {
        let (browser, answer, took) = one.await.unwrap();
        assert!(took < CALL + BUSY, "{took:?}");
        assert_eq!((answer.status.as_u16(), answer.header("location")), (503, ""), "{answer:?}");
        assert!(answer.text().contains("<code>PROVIDER_DOWN</code>"), "{}", answer.text());
        assert!(
            answer.text().contains("<a href=\"/.anteroom/login\">Try again</a>"),
            "a way to try again: {}",
            answer.text()
        );
        assert!(!browser.jar.contains_key(COOKIE));
        assert_eq!(gate.files.event(answer.id())["code"], "PROVIDER_DOWN");
        told.push(browser);
    }
    // It is back, and whoever tries again is in.
    op.does().hangs = None;
    for mut browser in told {
        assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
    }
}

#[tokio::test]
async fn metadata_that_does_not_come_holds_up_nobody() {
    let mut setup = Setup::default();
    setup.provider.push_str(OTHER);
    let app = App::plain();
    let files = Files::write(&setup, app.address);
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    server.describe(json!({
        "issuer": server.url(""), "jwks_uri": server.url("/keys"), "token_endpoint": server.url("/token"),
        "authorization_endpoint": "https://signin.example/authorize", "code_challenge_methods_supported": ["S256"],
    }));
    server.hang(true);
    let login = "login: { client_id: web, keys: { file: login.keys } }";
    let signs_in = format!("discovery: {{ ca: ca.pem, private: [127.0.0.0/8] }}\n    {login}");
    let config = e2e::gate::config(&setup, app.address)
        .replace("issuer: https://issuer.example/", &format!("issuer: {}", server.url("")))
        .replacen("jwks: { file: jwks.json }", &signs_in, 1);
    files.put("config.yaml", &config);
    files.put("login.keys", &format!("{}\n", "0a1b".repeat(16)));
    let gate = Gate::start_with(files, app, Clock::system());
    eventually("the provider to be asked", || (server.asked(METADATA) == 1).then_some(())).await;
    let theirs = gate.issuer().changed(json!({ "iss": "https://other.example/", "aud": "other" }));
    let mut fastest = CALL;
    for _ in 0..4 {
        let mut browser = Browser::new(&gate).await;
        for path in ["/me", "/.anteroom/login"] {
            let began = Instant::now();
            let told = browser.go(path).await;
            fastest = fastest.min(began.elapsed());
            assert_eq!((told.status.as_u16(), told.header("location")), (503, ""), "{told:?}");
            assert!(told.text().contains("<code>PROVIDER_DOWN</code>"), "{}", told.text());
        }
        assert_eq!(browser.fetch("GET", "/me").await.status, 401);
        assert_eq!(browser.go("/open/x").await.status, 200);
        let mut client = Client::open(&gate, Protocol::Http2).await;
        assert_eq!(client.get("/me", &theirs).await.status, 200);
        assert_eq!(
            client.get("/me", &gate.issuer().changed(json!({ "iss": server.url("") }))).await.code(),
            "PROVIDER_DOWN"
        );
    }
    assert!(fastest < CALL / 5, "nobody waits for it: {fastest:?}");
    server.hang(false);
    let mut browser = Browser::new(&gate).await;
    let until = Instant::now() + CALL + BUSY;
    while browser.go("/me").await.status != 303 {
        assert!(Instant::now() < until, "it is back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let ours = gate.issuer().changed(json!({ "iss": server.url("") }));
    // Its keys are fetched by what its metadata says, so they come behind it.
    while client.get("/me", &ours).await.status != 200 {
        assert!(Instant::now() < until + CALL, "its keys are back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_outlives_a_renewal_that_hangs() {
    let op = Op::start();
    let gate = op.still(op.setup(", renew: 5m"), App::plain());
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
    gate.clock().advance(Duration::from_secs(300));
    op.does().hangs = Some(Hang::BeforeTheHead);
    let mut tabs = Vec::new();
    for _ in 0..3 {
        let mut tab = Browser::new(&gate).await;
        tab.jar = browser.jar.clone();
        tabs.push(tokio::spawn(async move {
            let began = Instant::now();
            (tab.go("/me").await.status, began.elapsed())
        }));
    }
    eventually("the provider to be asked", || (op.does().asked.len() == 2).then_some(())).await;
    let mut last = Duration::ZERO;
    for tab in tabs {
        let (status, took) = tab.await.unwrap();
        assert_eq!(status, 200);
        last = last.max(took);
    }
    assert!(last < BUSY, "the provider's last word still holds: {last:?}");
    // Nobody else waits for the same renewal.
    let began = Instant::now();
    assert_eq!(browser.go("/me").await.status, 200);
    assert!(began.elapsed() < last, "{:?}", began.elapsed());
    assert_eq!(op.does().asked.len(), 2, "one of them has asked");
}

#[tokio::test]
async fn what_comes_of_a_slow_renewal_counts_for_the_next_request_and_whoever_has_no_other_word_waits() {
    let op = Op::start();
    let gate = op.still(op.setup(", renew: 5m"), App::plain());
    let mut browser = Browser::new(&gate).await;
    assert_eq!(browser.sign_in(&op, "/me").await.status, 200);
    let (mut then, first) = (browser.jar[COOKIE].clone(), browser.jar.clone());
    for fails in [None, Some(400)] {
        gate.clock().advance(Duration::from_secs(300));
        op.does().fails = fails;
        op.does().hangs = Some(Hang::ForAWhile);
        assert_eq!(browser.go("/me").await.status, 200);
        assert_eq!(browser.jar[COOKIE], then, "nothing has come of it so far");
        // A cookie of before the last renewal is not good for the time of this one.
        let mut old = Browser::new(&gate).await;
        old.jar = first.clone();
        let old = fails.map(|_| tokio::spawn(async move { old.fetch("GET", "/me").await.code() }));
        if let Some(old) = &old {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            assert!(!old.is_finished());
        }
        op.does().hangs = None;
        if let Some(old) = old {
            assert_eq!(old.await.unwrap(), "TOKEN_EXPIRED");
            assert_eq!(browser.fetch("GET", "/me").await.code(), "SESSION_ENDED");
        } else {
            let began = Instant::now();
            while browser.jar[COOKIE] == then {
                assert!(began.elapsed() < BUSY, "the next answer brings it");
                assert_eq!(browser.go("/me").await.status, 200);
            }
            then = browser.jar[COOKIE].clone();
        }
        assert_eq!(op.does().asked.len(), if fails.is_some() { 3 } else { 2 });
    }
}
