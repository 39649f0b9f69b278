//! What a client sends on HTTP/1.1 that two readers could take for two things: refused by us, before any library reads it.

use std::time::Duration;

use e2e::app::{After, App};
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::raw::{Raw, RawAnswer};
use e2e::until;
use e2e::wire::{self, Ended, Wire};

/// What a head is refused with, by the class of what is wrong with it.
const REFUSED: [(&str, u16, &str); 45] = [
    // A length beside chunks, in both orders (CL.TE, TE.CL).
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    // Lengths.
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        400,
        "BAD_FRAMING",
    ),
    ("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 3, 3\r\n\r\nabc", 400, "BAD_FRAMING"),
    ("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: +3\r\n\r\nabc", 400, "BAD_FRAMING"),
    ("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: -1\r\n\r\nabc", 400, "BAD_FRAMING"),
    ("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 03\r\n\r\nabc", 400, "BAD_FRAMING"),
    ("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length:\r\n\r\n", 400, "BAD_FRAMING"),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 99999999999999999999\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    // Codings (TE.TE).
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_HEADER",
    ),
    (
        "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_HEADER",
    ),
    (
        "POST /open/x HTTP/1.0\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "BAD_FRAMING",
    ),
    // Lines.
    ("GET /open/x HTTP/1.1\nhost: clinic.example\n\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\nx-a: b\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-a: b\rx-c: d\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\rhost: clinic.example\r\r", 400, "BAD_FRAMING"),
    ("\r\nGET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-a: b\r\n folded\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\r\n host: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-a: \0\r\n\r\n", 400, "BAD_HEADER"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n: b\r\n\r\n", 400, "BAD_HEADER"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx a: b\r\n\r\n", 400, "BAD_HEADER"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nno colon\r\n\r\n", 400, "BAD_HEADER"),
    ("GET /open/x HTTP/1.1\r\nhost : clinic.example\r\n\r\n", 400, "BAD_HEADER"),
    // Request lines.
    ("GET  /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x  HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x HTTP/1.2\r\nhost: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("GET /open/x http/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_FRAMING"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "BAD_FRAMING"),
    ("\u{16}\u{3}\u{1}\0", 400, "BAD_PATH"),
    // Targets.
    ("GET /open/x#y HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    ("GET /open\\x HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    ("GET /open/x?a=\"b\" HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    ("GET https://clinic.example/open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    ("GET * HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    ("CONNECT clinic.example:443 HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
    // Hosts.
    ("GET /open/x HTTP/1.1\r\n\r\n", 400, "BAD_HOST"),
    ("GET /open/x HTTP/1.0\r\n\r\n", 400, "BAD_HOST"),
    ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nHost: clinic.example\r\n\r\n", 400, "BAD_HOST"),
    // Bytes behind a request for another protocol.
    (
        "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI",
        400,
        "BAD_FRAMING",
    ),
];

/// Asserts that this is a refusal as all of ours are, and the last answer of its connection.
async fn assert_refused(gate: &Gate, raw: &mut Raw, answer: &RawAnswer, status: u16, code: &str, at: &str) {
    assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{at}: {}", answer.head);
    for (name, value) in [
        ("connection", "close"),
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), value, "{at}: {}", answer.head);
    }
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{at}");
    let event = gate.files.event(answer.header("x-request-id"));
    assert_eq!((&event["code"], &event["status"]), (&code.into(), &status.into()), "{at}");
    assert!(raw.answer().await.is_none(), "{at}: the connection is closed");
}

#[tokio::test]
async fn every_head_that_is_read_in_two_ways_is_refused_by_us() {
    let large = format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx: {}\r\n\r\n", "x".repeat(40 * 1024));
    let many = format!("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n{}\r\n", "x-many: x\r\n".repeat(100));
    let long = format!("GET /open/{} HTTP/1.1\r\nhost: clinic.example\r\n\r\n", "x".repeat(16 * 1024));
    let oversize = [(large.as_str(), 431, "TOO_LARGE"), (&many, 431, "TOO_LARGE"), (&long, 414, "TOO_LARGE")];
    let cases: Vec<_> = REFUSED.into_iter().chain(oversize).collect();
    // So few for one gate that each denial has an event of its own.
    for cases in cases.chunks(15) {
        let gate = Gate::plain();
        for &(head, status, code) in cases {
            let at: String = head.escape_debug().take(120).collect();
            let mut raw = Raw::open(&gate).await;
            // What is behind it is never looked at.
            let answer = raw.ask(format!("{head}GET /open/smuggled HTTP/1.1\r\nhost: clinic.example\r\n\r\n")).await;
            let answer = answer.unwrap_or_else(|| panic!("no answer: {at}"));
            assert_refused(&gate, &mut raw, &answer, status, code, &at).await;
            assert_eq!(gate.app.count(), 0, "{at} reached the application");
        }
        let refused = gate.metric("anteroom_requests_total", &[("decision", "deny")]);
        assert_eq!(refused, cases.len() as f64);
    }
}

#[tokio::test]
async fn what_is_in_order_is_served_however_it_is_split() {
    let gate = Gate::plain();
    let stream = "POST /open/1 HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 2\r\n\r\nab\
                  POST /open/2 HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
                  GET /open/3 HTTP/1.0\r\nhost: clinic.example\r\nconnection: keep-alive\r\n\r\n\
                  OPTIONS /open/4 HTTP/1.1\r\nhost: clinic.example\r\n\r\n\
                  GET /open/5 HTTP/1.1\nhost: clinic.example\n\n";
    for at in 1..stream.len() {
        let before = gate.app.count();
        let mut raw = Raw::open(&gate).await;
        let (first, second) = stream.split_at(at);
        raw.send(first).await;
        raw.send(second).await;
        for turn in 1..=4 {
            let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer {turn} of split at {at}"));
            assert_eq!(answer.status(), 200, "{turn} of split at {at}: {}", answer.head);
        }
        let last = raw.answer().await.unwrap();
        assert_eq!((last.status(), last.code().as_str()), (400, "BAD_FRAMING"), "split at {at}");
        assert!(raw.answer().await.is_none());
        let seen = gate.app.seen().split_off(before);
        let came: Vec<_> = seen.iter().map(|seen| (seen.target(), seen.body.as_slice())).collect();
        let body = &b"ab"[..];
        assert_eq!(came, [("/open/1", body), ("/open/2", body), ("/open/3", b""), ("/open/4", b"")], "split at {at}");
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_one_head() {
    let gate = Gate::plain();
    let mut raw = Raw::open(&gate).await;
    for byte in b"GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-a: b\r\n\r\n" {
        raw.send([*byte]).await;
    }
    assert_eq!(raw.answer().await.unwrap().status(), 200);
    assert_eq!(gate.app.count(), 1);
}

#[tokio::test]
async fn a_fault_in_a_body_ends_both_connections() {
    for bad in [
        "x\r\n",
        "2;a=b\r\nab\r\n",
        " 2\r\nab\r\n",
        "2\nab\r\n",
        "2\r\nabc\r\n",
        "0\r\nno trailer\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nx-sum: 1\r\nTransfer_Encoding: chunked\r\n\r\n",
        "0\r\nhost: evil.example\r\n\r\n",
        "11111111111111111\r\n",
    ] {
        let gate = Gate::start(
            Setup::default(),
            App::start(|exchange| match exchange.read_body() {
                true => exchange.answer("200 OK", "", "ok"),
                false => After::Close,
            }),
        );
        let mut raw = Raw::open(&gate).await;
        let head = "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
        raw.send(head).await;
        until("the head to arrive", || (gate.app.count() == 1).then_some(()));
        raw.send(bad).await;
        let answer = raw.answer().await.unwrap();
        assert_refused(&gate, &mut raw, &answer, 400, "BAD_FRAMING", bad).await;
        // A request that was cut is over: its connection carries no other one.
        gate.app.until_alone();
        assert_eq!(Client::open(&gate, Protocol::Http1).await.ask("GET", "/open/x", &[]).await.status, 200);
        assert_eq!(gate.app.last().connection, 2, "{bad:?}");
    }
}

#[tokio::test]
async fn a_person_whose_cookies_are_too_large_gets_a_page() {
    let gate = Gate::plain();
    let mut raw = Raw::open(&gate).await;
    let cookies = "x".repeat(33 * 1024);
    let head = format!("GET / HTTP/1.1\r\nhost: clinic.example\r\naccept: text/html\r\ncookie: a={cookies}\r\n\r\n");
    let answer = raw.ask(head).await.unwrap();
    assert_eq!((answer.status(), answer.header("content-type")), (431, "text/html; charset=utf-8"));
    assert!(answer.body.windows(9).any(|text| text == b"TOO_LARGE"));
}

#[tokio::test]
async fn whoever_goes_on_sending_still_gets_the_answer() {
    let gate = Gate::plain();
    for length in [1_000, 100_000, 200_000] {
        let mut raw = Raw::open(&gate).await;
        raw.send(format!("POST /open/x HTTP/1.1\nhost: clinic.example\n\n{}", "x".repeat(length))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        raw.send("x".repeat(length)).await;
        assert_eq!(raw.answer().await.map(|answer| answer.code()).as_deref(), Some("BAD_FRAMING"), "{length}");
    }
}

#[tokio::test]
async fn a_broken_body_ends_only_its_own_answer() {
    let gate = Gate::plain();
    let mut raw = Raw::open(&gate).await;
    let good = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n";
    raw.send(format!("{good}POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ntransfer-encoding: chunked\r\n\r\nx"))
        .await;
    let first = raw.answer().await.unwrap();
    assert_eq!((first.status(), first.header("connection")), (200, ""));
    let second = raw.answer().await.unwrap();
    assert_refused(&gate, &mut raw, &second, 400, "BAD_FRAMING", "a bad chunk behind a good request").await;
}

#[tokio::test]
async fn a_refused_head_counts_against_its_address() {
    let limits = "{ refused_per_address: { rate: 1/m, burst: 2 } }";
    let gate = Gate::start(Setup { limits: limits.to_owned(), ..Setup::default() }, App::plain());
    let mut codes = Vec::new();
    for _ in 0..3 {
        let answer = Raw::open(&gate).await.ask("GET /open/x HTTP/1.1\nhost: clinic.example\n\n").await.unwrap();
        codes.push(answer.code());
    }
    assert_eq!(codes, ["BAD_FRAMING", "BAD_FRAMING", "LIMITED"]);
}

#[tokio::test]
async fn on_http_2_too_many_headers_are_refused_by_us() {
    let gate = Gate::plain();
    let crumbs = vec![(&b"cookie"[..], &b"a=b"[..]); 201];
    let many = vec![(&b"x-many"[..], &b""[..]); 101];
    for more in [crumbs, many] {
        let fields = [wire::get(b"/open/x"), more].concat();
        let ended = Wire::open(&gate).await.ask(&fields).await;
        assert_eq!(ended.code(), "TOO_LARGE", "{ended:?}");
    }
    let large = "x".repeat(40 * 1024);
    let answer = Client::open(&gate, Protocol::Http2).await.ask("GET", "/open/x", &[("x-large", &large)]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (431, "TOO_LARGE"));
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(gate.files.event(answer.id())["code"], "TOO_LARGE");
    assert_eq!(gate.app.count(), 0);
    let fields = [wire::get(b"/open/x"), vec![(&b"cookie"[..], &b"a=b"[..]); 190]].concat();
    assert_eq!(Wire::open(&gate).await.ask(&fields).await, Ended::Answered(b"ok".to_vec()));
}
