//! WebSockets: a real handshake and real frames through the gate, and every way in which none may open.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::app::{After, App, Exchange, Seen};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use serde_json::json;

/// The key and its answer from RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const OWN: &str = "origin: https://clinic.example\r\n";

/// A handshake for `path`, with these further header lines.
fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: clinic.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n{more}\r\n"
    )
}

/// A text frame as a client sends it: masked (RFC 6455, section 5.2).
pub(crate) fn masked(text: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = head(text.len(), 0x80);
    frame.extend(mask);
    frame.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A text frame as a server sends it.
pub(crate) fn plain(text: &[u8]) -> Vec<u8> {
    let mut frame = head(text.len(), 0);
    frame.extend(text);
    frame
}

fn head(length: usize, mask_bit: u8) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(small), _) if small < 126 => vec![0x81, mask_bit | small],
        (_, Ok(medium)) => [&[0x81, mask_bit | 126][..], &medium.to_be_bytes()].concat(),
        _ => [&[0x81, mask_bit | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

fn exactly(exchange: &mut Exchange, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match exchange.piece(&mut bytes[filled..]) {
            0 => return None,
            read => filled += read,
        }
    }
    Some(bytes)
}

/// Reads one frame of a client, and takes its mask off.
pub(crate) fn frame(exchange: &mut Exchange) -> Option<Vec<u8>> {
    let start = exactly(exchange, 2)?;
    assert_eq!(start[1] & 0x80, 0x80, "a client masks");
    let length = match start[1] & 0x7f {
        126 => usize::from(u16::from_be_bytes(exactly(exchange, 2)?.try_into().unwrap())),
        127 => u64::from_be_bytes(exactly(exchange, 8)?.try_into().unwrap()) as usize,
        small => usize::from(small),
    };
    let mask = exactly(exchange, 4)?;
    let text = exactly(exchange, length)?;
    Some(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

/// Takes a WebSocket, says `first`, and sends back what comes.
pub(crate) fn echoes(exchange: &mut Exchange, first: &[u8]) -> After {
    accept(exchange, first);
    while let Some(text) = frame(exchange) {
        if !exchange.send(plain(&text)) {
            break;
        }
    }
    After::Close
}

/// Says yes to a handshake and to `chat` where that is offered, with these bytes right behind.
pub(crate) fn accept(exchange: &mut Exchange, early: &[u8]) {
    let offered = exchange.seen.header("sec-websocket-protocol") == Some("chat");
    accept_with(exchange, if offered { "Sec-WebSocket-Protocol: chat\r\n" } else { "" }, early);
}

/// Says yes to a handshake, with these further header lines.
fn accept_with(exchange: &mut Exchange, more: &str, early: &[u8]) {
    let key = exchange.seen.header("sec-websocket-key").unwrap();
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}Server: Werkzeug\r\nSet-Cookie: a=b\r\n\r\n",
        STANDARD.encode(context.finish())
    );
    exchange.send([answer.as_bytes(), early].concat());
}

/// Sends every frame back, greets first where it is a WebSocket, and answers anything else with `ok`.
pub(crate) fn echo() -> App {
    App::start(|exchange| {
        if exchange.seen.header("upgrade") != Some("websocket") {
            exchange.read_body();
            return exchange.answer("200 OK", "", "ok");
        }
        echoes(exchange, &plain(b"hello"))
    })
}

async fn open(gate: &Gate) -> Raw {
    let mut raw = Raw::open(gate).await;
    let answer = raw.ask(handshake("/open/chat", OWN)).await.unwrap();
    assert_eq!(answer.status(), 101, "{}", answer.head);
    raw
}

#[tokio::test]
async fn frames_go_both_ways() {
    let gate = Gate::start(Setup::default(), echo());
    let mut raw = Raw::open(&gate).await;
    let more =
        format!("{OWN}sec-websocket-protocol: chat\r\nsec-websocket-extensions: permessage-deflate\r\ncookie: s=1\r\n");
    let answer = raw.ask(handshake("/open/chat?room=1", &more)).await.unwrap();
    raw.send(masked(b"first")).await;
    assert_eq!(answer.status(), 101);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", ACCEPT),
        ("sec-websocket-protocol", "chat"),
        ("server", ""),
        ("set-cookie", "a=b; Secure; HttpOnly; SameSite=Lax"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let expected = [plain(b"hello"), plain(b"first")].concat();
    assert_eq!(raw.bytes(expected.len()).await, expected);
    let long: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    for text in [&b"x"[..], b"a somewhat longer text", &long[..300], &long] {
        raw.send(masked(text)).await;
        let expected = plain(text);
        assert!(raw.bytes(expected.len()).await == expected, "{} bytes", text.len());
    }
    let seen = gate.app.last();
    assert_eq!(seen.target(), "/open/chat?room=1");
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("origin", "https://clinic.example"),
        ("cookie", "s=1"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let event = gate.files.event(answer.header("x-request-id"));
    assert_eq!((&event["status"], &event["decision"], &event["rule"]), (&json!(101), &json!("allow"), &json!("open")));
}

#[tokio::test]
async fn what_was_not_offered_does_not_open_one() {
    for (offered, taken, opens) in [
        ("protocol: chat, v2", "protocol: v2", true),
        ("protocol: chat, v2", "protocol: v3", false),
        ("protocol: chat", "protocol: chat, v2", false),
        ("extensions: permessage-deflate; client_max_window_bits", "extensions: permessage-deflate", true),
        ("protocol: chat", "extensions: permessage-deflate", false),
        ("protocol: permessage-deflate", "extensions: permessage-deflate", false),
    ] {
        let app = App::start(move |exchange| {
            accept_with(exchange, &format!("Sec-WebSocket-{taken}\r\n"), b"");
            exchange.until_closed();
            After::Close
        });
        let gate = Gate::start(Setup::default(), app);
        let more = format!("{OWN}sec-websocket-{offered}\r\n");
        let answer = Raw::open(&gate).await.ask(handshake("/open/chat", &more)).await.unwrap();
        let expected = if opens { (101, "") } else { (502, "APP_INVALID") };
        assert_eq!((answer.status(), answer.code().as_str()), expected, "{offered} {taken}");
    }
}

#[tokio::test]
async fn a_connection_that_became_a_websocket_never_carries_a_request_again() {
    let gate = Gate::start(Setup::default(), echo());
    for turn in 1..=3 {
        let mut raw = open(&gate).await;
        raw.bytes(plain(b"hello").len()).await;
        let mut other = Raw::open(&gate).await;
        let plain_request = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n";
        assert_eq!(other.ask(plain_request).await.unwrap().body, b"ok", "turn {turn}");
        drop(raw);
        assert_eq!(other.ask(plain_request).await.unwrap().body, b"ok", "turn {turn}");
    }
    let seen = gate.app.seen();
    for switched in seen.iter().filter(|seen| seen.header("upgrade").is_some()) {
        let later = |other: &&Seen| other.connection == switched.connection && other.turn > switched.turn;
        assert!(!seen.iter().any(|other| later(&other)), "connection {}", switched.connection);
    }
}

#[tokio::test]
async fn only_a_page_of_ours_or_a_token_in_a_header_opens_one() {
    let more = "cors: { origins: [https://portal.example], credentials: true }\n".to_owned();
    let gate = Gate::start(Setup { more, ..Setup::default() }, echo());
    let token = gate.issuer().ada();
    let (bearer, session) = (format!("authorization: Bearer {token}\r\n"), format!("cookie: __session={token}\r\n"));
    for (path, more, expected) in [
        ("/open/chat", OWN.to_owned(), ""),
        ("/open/chat", "origin: https://other.example\r\n".to_owned(), ""),
        ("/open/chat", "origin: https://portal.example\r\n".to_owned(), ""),
        ("/open/chat", String::new(), "CROSS_SITE"),
        ("/open/chat", "sec-fetch-site: same-origin\r\n".to_owned(), "CROSS_SITE"),
        ("/open/chat", "origin: null\r\n".to_owned(), "CROSS_SITE"),
        ("/open/chat", "origin: https://evil.example\r\n".to_owned(), "CROSS_SITE"),
        ("/open/chat", "origin: http://clinic.example\r\n".to_owned(), "CROSS_SITE"),
        ("/open/chat", format!("{OWN}{OWN}"), "BAD_HEADER"),
        ("/open/chat", "cookie: a=b\r\norigin: https://evil.example\r\n".to_owned(), "CROSS_SITE"),
        ("/me", format!("{session}{OWN}"), ""),
        ("/me", format!("{session}origin: https://evil.example\r\nsec-fetch-site: cross-site\r\n"), "CROSS_SITE"),
        ("/me", session.clone(), "CROSS_SITE"),
        ("/me", bearer.clone(), ""),
        ("/me", format!("{bearer}origin: https://evil.example\r\n"), ""),
        ("/me", OWN.to_owned(), "NO_CREDENTIAL"),
        ("/me", format!("authorization: Bearer {token}x\r\n{OWN}"), "TOKEN_INVALID"),
        ("/api/rx/1/sign", format!("{bearer}{OWN}"), "METHOD_NOT_ALLOWED"),
        ("/api/clinics/b/labs", format!("{bearer}{OWN}"), "TENANT_MISMATCH"),
        ("/api/clinics/a/labs", format!("{bearer}{OWN}"), ""),
        ("/no/such/place", OWN.to_owned(), "NO_ROUTE"),
    ] {
        let before = gate.app.count();
        let answer = Raw::open(&gate).await.ask(handshake(path, &more)).await.unwrap();
        let opened = expected.is_empty();
        assert_eq!((answer.status() == 101, answer.code().as_str()), (opened, expected), "{path} {more}");
        assert_eq!(gate.app.count() - before, usize::from(opened), "{path} {more}");
    }
}

#[tokio::test]
async fn a_handshake_stands_in_one_form_and_has_no_body() {
    let gate = Gate::start(Setup::default(), echo());
    let good = handshake("/open/chat", OWN);
    for (from, to) in [
        ("GET ", "POST "),
        ("version: 13", "version: 8"),
        ("version: 13", "version: 13\r\nsec-websocket-version: 8"),
        ("sec-websocket-version: 13\r\n", ""),
        (KEY, "short"),
        (KEY, "dGhlIHNhbXBsZSBub25jZQ"),
        (KEY, "dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="),
        ("connection: Upgrade", "connection: Upgrade, sec-websocket-key"),
        ("upgrade: websocket\r\n", "upgrade: websocket\r\ncontent-length: 5\r\n"),
        ("upgrade: websocket\r\n", "upgrade: websocket\r\ntransfer-encoding: chunked\r\n"),
    ] {
        let bad = good.replace(from, to);
        let answer = Raw::open(&gate).await.ask(&bad).await.unwrap();
        assert_eq!(answer.status(), 400, "{bad}");
    }
    assert_eq!(gate.app.count(), 0);
    // What names no WebSocket, or does not name it for this hop, is an ordinary request.
    for (from, to) in [
        ("upgrade: websocket", "upgrade: h2c"),
        ("upgrade: websocket", "upgrade: h2c, websocket"),
        ("connection: Upgrade", "connection: keep-alive"),
        ("HTTP/1.1", "HTTP/1.0"),
    ] {
        let answer = Raw::open(&gate).await.ask(good.replace(from, to)).await.unwrap();
        assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"ok"[..]), "{from} -> {to}");
        let seen = gate.app.last();
        assert_eq!((seen.header("upgrade"), seen.header("connection")), (None, None), "{from} -> {to}");
    }
}

#[tokio::test]
async fn an_application_that_says_no_is_heard_and_what_follows_is_judged_as_a_request() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            let refuses = exchange.seen.header("upgrade").is_some();
            exchange.read_body();
            if refuses {
                return exchange.answer("403 Forbidden", "content-type: text/plain\r\n", "not today");
            }
            exchange.answer("200 OK", "", "ok")
        }),
    );
    let mut raw = Raw::open(&gate).await;
    let smuggled = "GET /me HTTP/1.1\r\nhost: clinic.example\r\n\r\n";
    let answer = raw.ask(format!("{}{smuggled}", handshake("/open/chat", OWN))).await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_FRAMING"), "a frame before the answer is refused");
    assert!(raw.answer().await.is_none());
    assert_eq!(gate.app.count(), 0, "nothing that rode behind the handshake reached the application unjudged");
    // What comes behind the answer is the next request, and is judged.
    let mut raw = Raw::open(&gate).await;
    let answer = raw.ask(handshake("/open/chat", OWN)).await.unwrap();
    assert_eq!((answer.status(), answer.body.as_slice(), answer.code().as_str()), (403, &b"not today"[..], ""));
    assert_eq!(raw.ask(smuggled).await.unwrap().code(), "NO_CREDENTIAL");
    assert_eq!(gate.app.count(), 1);
}

#[tokio::test]
async fn an_application_that_answers_another_handshake_opens_nothing() {
    for answer in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ] {
        let app = App::start(move |exchange| {
            exchange.send(format!("HTTP/1.1 101 Switching Protocols\r\n{answer}\r\n"));
            exchange.until_closed();
            After::Close
        });
        let gate = Gate::start(Setup::default(), app);
        let got = Raw::open(&gate).await.ask(handshake("/open/chat", OWN)).await.unwrap();
        assert_eq!((got.status(), got.code().as_str()), (502, "APP_INVALID"), "{answer}");
        let alone = tokio::task::spawn_blocking(move || gate.app.until_alone());
        e2e::soon("the application's connection to end", alone).await.unwrap();
    }
}

#[tokio::test]
async fn silence_ends_it_and_either_side_that_leaves_ends_the_other() {
    let gate = Gate::start(Setup { timeouts: "{ idle: 600ms }".to_owned(), ..Setup::default() }, echo());
    let mut raw = open(&gate).await;
    raw.bytes(plain(b"hello").len()).await;
    let started = Instant::now();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        raw.send(masked(b"tick")).await;
        assert_eq!(raw.bytes(6).await, plain(b"tick"));
    }
    assert!(raw.bytes(1).await.is_empty(), "the gate closes it");
    assert!(started.elapsed() >= Duration::from_millis(1_750), "{:?}", started.elapsed());

    let mut raw = open(&gate).await;
    raw.bytes(plain(b"hello").len()).await;
    gate.app.follow(|exchange| {
        accept(exchange, &plain(b"bye"));
        After::Close
    });
    drop(raw);
    let mut raw = open(&gate).await;
    let expected = plain(b"bye");
    assert_eq!(raw.bytes(expected.len() + 1).await, expected, "what was sent last arrives, and then the end");
    let alone = tokio::task::spawn_blocking(move || {
        gate.app.until_alone();
        gate
    });
    let gate = e2e::soon("the application's connections to end", alone).await.unwrap();
    e2e::until("connections to be counted out", || (gate.metric("anteroom_connections", &[]) <= 1.0).then_some(()));
}

#[tokio::test]
async fn an_open_one_counts_as_a_connection_and_does_not_hold_up_the_end() {
    let mut gate = Gate::start(Setup::default(), echo());
    let mut raw = open(&gate).await;
    raw.bytes(plain(b"hello").len()).await;
    raw.send(masked(b"still here")).await;
    assert_eq!(raw.bytes(12).await, plain(b"still here"));
    assert_eq!(gate.metric("anteroom_connections", &[]), 1.0);
    let started = Instant::now();
    gate.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(raw.bytes(1).await.is_empty(), "its client is told");
}

#[tokio::test]
async fn while_observed_another_site_opens_one_and_it_is_on_the_record() {
    let gate = Gate::start(Setup { more: "rollout: { csrf: observe }\n".to_owned(), ..Setup::default() }, echo());
    let mut raw = Raw::open(&gate).await;
    let answer = raw.ask(handshake("/open/chat", "origin: https://evil.example\r\n")).await.unwrap();
    assert_eq!(answer.status(), 101);
    let event = gate.files.event(answer.header("x-request-id"));
    assert_eq!((&event["code"], &event["decision"]), (&json!("CROSS_SITE"), &json!("observe")));
}
