//! Forms that are held before the decision: each caller has a share, and nobody keeps the others out.

use std::time::{Duration, Instant};

use e2e::app::App;
use e2e::client::{Client, HOST, Protocol, connect, tls};
use e2e::gate::{Gate, Setup};
use e2e::process::Served;
use e2e::raw::Raw;

use super::forms::{PLAIN, POLICY, gate};

/// How many places one caller has.
const SHARE: usize = 16;

/// Sends the beginning of a form, and no more. It has its place by then: its body was asked for.
async fn hold(gate: &Gate, target: &str, token: &str) -> Raw {
    let mut raw = Raw::open(gate).await;
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let asked = raw
        .ask(format!(
            "POST {target} HTTP/1.1\r\nHost: {HOST}\r\n{token}Content-Type: {PLAIN}\r\nContent-Length: 13\r\n\
             Expect: 100-continue\r\n\r\n"
        ))
        .await;
    assert_eq!(asked.unwrap().status(), 100, "{target}");
    raw.send("act").await;
    raw
}

async fn code(client: &mut Client, target: &str, token: &str, body: &'static str) -> String {
    let bearer = format!("Bearer {token}");
    let sent = [("content-type", PLAIN), ("authorization", bearer.as_str())];
    let sent = if token.is_empty() { &sent[..1] } else { &sent };
    let answer = client.post("POST", target, sent, body).await;
    if answer.status == 200 { "ok".to_owned() } else { answer.code() }
}

#[tokio::test]
async fn one_caller_who_sends_slowly_keeps_only_its_own_forms_out() {
    let gate = gate("");
    let greedy = gate.issuer().token("greedy", "a", &["provider"]);
    let other = gate.issuer().token("other", "a", &["provider"]);
    let begun = Instant::now();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let mut held = Vec::new();
    for _ in 0..SHARE {
        held.push(hold(&gate, "/admin.php", &greedy).await);
    }
    assert_eq!(code(&mut client, "/admin.php", &greedy, "action=delete").await, "OVERLOADED");
    // Neither another caller nor one whom nobody knows waits for it.
    for _ in 0..2 * SHARE {
        assert_eq!(code(&mut client, "/admin.php", &other, "action=delete").await, "ok");
        assert_eq!(code(&mut client, "/index.php?page=in", "", "option=login").await, "ok");
    }
    // Strangers at one address have a share too, which is not that of those who are known there.
    let mut strangers = Vec::new();
    for _ in 0..SHARE {
        strangers.push(hold(&gate, "/index.php?page=in", "").await);
    }
    assert_eq!(code(&mut client, "/index.php?page=in", "", "option=login").await, "OVERLOADED");
    assert_eq!(code(&mut client, "/admin.php", &other, "action=delete").await, "ok");
    assert_eq!(code(&mut client, "/other", "", "option=login").await, "ok", "nothing is read there");
    // Who goes on has its answer, and its place is free again.
    let mut first = held.remove(0);
    assert_eq!(first.ask("ion=delete").await.unwrap().status(), 200);
    assert_eq!(code(&mut client, "/admin.php", &greedy, "action=delete").await, "ok");
    // A hold ends, however slow the client.
    let answer = held.remove(0).answer().await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_FRAMING"));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_place_is_free_once_what_was_held_is_on_its_way() {
    let gate = gate("");
    let ada = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let mut uploads = Vec::new();
    for _ in 0..2 * SHARE {
        let mut raw = Raw::open(&gate).await;
        raw.send(format!(
            "POST /admin.php HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ada}\r\nContent-Type: {PLAIN}\r\n\
             Content-Length: 32\r\n\r\naction=view&which%5B%5D=a&"
        ))
        .await;
        uploads.push(raw);
        e2e::until("it to be on its way", || (gate.app.open() >= uploads.len()).then_some(()));
    }
    assert_eq!(code(&mut client, "/admin.php", &ada, "action=view").await, "ok");
    for mut raw in uploads {
        assert_eq!(raw.ask("x=1234").await.unwrap().status(), 200);
    }
}

/// A piece of a body, as the HTTP library gives it, costs many times its one byte.
#[tokio::test]
async fn forms_in_tiny_pieces_cost_what_they_hold() {
    const FORMS: usize = 8;
    const PIECES: usize = 60_000;
    let setup = Setup { policy: POLICY.to_owned(), ..Setup::default() };
    let served = Served::start(setup, App::plain());
    let mut held = Vec::new();
    for _ in 0..FORMS {
        let stream = connect(served.https, tls(&served.files.ca, &[b"http/1.1"]), HOST).await.unwrap();
        let mut raw = Raw::over(stream);
        let head = format!(
            "POST /index.php?page=in HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {PLAIN}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
        );
        raw.send(head).await;
        held.push(raw);
    }
    let before = served.process.peak();
    for raw in &mut held {
        raw.send("1\r\na\r\n".repeat(PIECES)).await;
    }
    for raw in &mut held {
        raw.send("0\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().code(), "NO_ROUTE", "its beginning was read whole");
    }
    let grown = served.process.peak().saturating_sub(before) / 1024;
    assert!(grown < 8 * 1024, "{grown} KiB for {} KiB of forms", FORMS * PIECES / 1024);
}
