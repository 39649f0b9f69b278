//! What an application, or somebody who speaks through it, answers that two readers could take for two things: nothing of
//! it reaches a client, and its connection never carries another request.

use std::time::{Duration, Instant};

use e2e::app::{After, App};
use e2e::backend::{At, Backend, answer, pipe, streamed};
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;

const GET: &str = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n";

/// Sends `answer` as it is to the first request of all, and `ok` to the others.
fn answers(answer: impl Into<String>) -> Gate {
    let answer = answer.into();
    Gate::start(
        Setup::default(),
        App::start(move |exchange| {
            exchange.read_body();
            if exchange.seen.connection > 1 {
                return exchange.answer("200 OK", "", "ok");
            }
            exchange.send(&answer);
            exchange.until_closed();
            After::Close
        }),
    )
}

#[tokio::test]
async fn every_head_that_is_read_in_two_ways_is_an_invalid_answer() {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(64 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x-many: x\r\n".repeat(200));
    let interim =
        format!("{}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n".repeat(9));
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: b\r\n folded\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        "HTTP/1.1 200 OK\r\nx-a: b\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a : b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: \0\r\ncontent-length: 0\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        &large,
        &many,
        &interim,
    ] {
        let gate = answers(answer);
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let told = client.ask("GET", "/open/x", &[]).await;
        let at: String = answer.escape_debug().take(100).collect();
        assert_eq!((told.status.as_u16(), told.code().as_str()), (502, "APP_INVALID"), "{at}");
        assert_eq!(gate.files.event(told.id())["code"], "APP_INVALID", "{at}");
        gate.app.until_alone();
        assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "ok", "{at}");
        assert_eq!(gate.app.last().connection, 2, "{at}: what was sent is not repeated, its connection not used");
    }
}

#[tokio::test]
async fn what_follows_an_answer_reaches_nobody_and_ends_the_connection() {
    let second = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    for (method, first, body) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ""),
    ] {
        let gate = answers(format!("{first}{second}"));
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let told = client.ask(method, "/open/x", &[]).await;
        assert!(told.status.is_success() || told.status == 304, "{method} {first:?}: {}", told.status);
        assert_eq!(told.text(), body, "{method} {first:?}");
        for _ in 0..3 {
            assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "ok", "{method} {first:?}");
            assert_eq!(gate.app.last().connection, 2, "{method} {first:?}");
        }
    }
}

/// Somebody who can make the application say something later: it is not the answer to whoever comes next.
#[tokio::test]
async fn what_an_application_says_unasked_is_nobodys_answer() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.read_body();
            let kept = exchange.answer("200 OK", "", "ok");
            if exchange.seen.connection == 1 {
                std::thread::sleep(Duration::from_millis(50));
                exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled");
                exchange.until_closed();
                return After::Close;
            }
            kept
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "ok");
    gate.app.until_alone();
    assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "ok");
    assert_eq!(gate.app.last().connection, 2);
}

#[tokio::test]
async fn a_body_with_bad_chunks_never_looks_whole() {
    for bad in
        ["x\r\n", "2;a=b\r\nok\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "2\nok\r\n0\r\n\r\n", "0\r\nno trailer\r\n\r\n"]
    {
        let gate = answers(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n{bad}"));
        let answer = Raw::open(&gate).await.ask(GET).await;
        assert!(answer.is_none_or(|answer| !answer.whole), "{bad:?}");
        gate.app.until_alone();
        assert_eq!(Raw::open(&gate).await.ask(GET).await.unwrap().body, b"ok", "{bad:?}");
    }
}

#[tokio::test]
async fn a_flood_of_interim_answers_is_cut_at_once() {
    let gate = Gate::start(
        Setup { timeouts: "{ response: 30s }".to_owned(), ..Setup::default() },
        App::start(|exchange| {
            while exchange.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000)) {}
            After::Close
        }),
    );
    let started = Instant::now();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let told = client.ask("GET", "/open/x", &[]).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (502, "APP_INVALID"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    gate.app.until_alone();
}

#[tokio::test]
async fn a_few_interim_answers_and_an_answer_without_a_length_are_fine() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
            exchange.send("HTTP/1.0 200 OK\r\nx-a: b\r\n\r\nuntil the end");
            After::Close
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..2 {
        assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "until the end");
    }
}

/// On HTTP/2 an answer that has no body ends by a flag, and a body may follow all the same.
#[tokio::test]
async fn a_body_behind_an_answer_on_http_2_that_has_none_reaches_nobody() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request| async move {
        let status = request.uri().path().rsplit('/').next().and_then(|last| last.parse().ok()).unwrap();
        match request.uri().query() {
            Some("late") => {
                let (filled, body) = pipe();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    filled.send("smuggled").await;
                });
                streamed(status, &[], body)
            }
            Some("empty") => {
                let (filled, body) = pipe();
                tokio::spawn(async move { filled.send("").await });
                streamed(status, &[], body)
            }
            Some(_) => answer(status, &[], "smuggled"),
            None => answer(status, &[], ""),
        }
    });
    let way = format!("url: \"http://{}\", protocol: http2", backend.address.unwrap());
    let gate = Gate::start(Setup { way: Some(way), ..Setup::default() }, App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (method, status) in [("GET", 204), ("GET", 304), ("HEAD", 200), ("HEAD", 204)] {
            for kind in ["", "?empty", "?whole", "?late"] {
                let told = client.ask(method, &format!("/open/{status}{kind}"), &[]).await;
                let expected = if matches!(kind, "" | "?empty") { status } else { 502 };
                assert_eq!(told.status.as_u16(), expected, "{method} {status}{kind} {protocol:?}");
                assert!(!told.text().contains("smuggled"));
                if expected == 502 {
                    assert_eq!(gate.files.event(told.id())["code"], "APP_INVALID", "{method} {status}{kind}");
                }
            }
        }
    }
}
