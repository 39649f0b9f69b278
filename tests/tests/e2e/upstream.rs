//! Between the gate and the application: every way in which either side, or the client, can fail the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol, body, untold, whole};
use e2e::gate::{Gate, Setup};
use e2e::process::Served;
use e2e::raw::Raw;
use e2e::standstill::{stands_still_at, uploading};
use e2e::wire::{self, Ended, Wire};
use e2e::{PATIENCE, soon, until};
use http_body_util::BodyExt as _;

fn timeouts(text: &str) -> Setup {
    Setup { timeouts: text.to_owned(), ..Setup::default() }
}

const GET: &str = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n";

#[tokio::test]
async fn one_connection_carries_one_request_after_the_other() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for turn in 1..=20 {
        assert_eq!(client.post("POST", "/open/x", &[], "body").await.status, 200);
        let seen = gate.app.last();
        assert_eq!((seen.connection, seen.turn), (1, turn));
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_not_used() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.read_body();
            exchange.answer("200 OK", "", "ok");
            After::Close
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for method in ["GET", "POST", "GET", "DELETE"] {
        gate.app.until_alone();
        assert_eq!(client.post(method, "/open/x", &[], "body").await.status, 200, "{method}");
    }
    assert_eq!((gate.app.count(), gate.app.connections()), (4, 4));
}

/// Answers the first request of a connection and hangs up on the second, having read it.
fn forgetful() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.turn == 1 { exchange.answer("200 OK", "", "ok") } else { After::Close }
    })
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_once_on_a_new_connection() {
    for protocol in BOTH {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let gate = Gate::start(Setup::default(), forgetful());
            let mut client = Client::open(&gate, protocol).await;
            assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
            assert_eq!(client.ask(method, "/open/x", &[]).await.status, 200, "{method}");
            let seen = gate.app.seen();
            let came: Vec<_> = seen.iter().map(|seen| (seen.connection, seen.turn)).collect();
            assert_eq!(came, [(1, 1), (1, 2), (2, 1)], "{method}");
            assert_eq!(seen[1].head, seen[2].head, "the very same request");
        }
    }
}

#[tokio::test]
async fn what_is_not_safe_to_repeat_is_never_sent_twice() {
    for protocol in BOTH {
        for (method, text) in
            [("POST", "body"), ("POST", ""), ("DELETE", ""), ("PUT", "body"), ("PATCH", ""), ("GET", "body")]
        {
            let gate = Gate::start(Setup::default(), forgetful());
            let mut client = Client::open(&gate, protocol).await;
            assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
            let answer = client.post(method, "/open/x", &[], text).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "APP_DOWN"), "{method} {text:?}");
            assert_eq!(gate.app.count(), 2, "{method} {text:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_invalid() {
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(200 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x-many: x\r\n".repeat(300));
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/3.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "\0\u{1}\u{2}\u{3}\r\n\r\n",
        long.as_str(),
        many.as_str(),
    ] {
        let sent = garbage.to_owned();
        let gate = Gate::start(
            Setup::default(),
            App::start(move |exchange| {
                exchange.send(&sent);
                exchange.until_closed();
                After::Close
            }),
        );
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let answer = client.ask("GET", "/open/x", &[]).await;
        let at: String = garbage.chars().take(60).collect();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "APP_INVALID"), "{at:?}");
        assert_eq!(gate.files.event(answer.id())["code"], "APP_INVALID");
    }
}

#[tokio::test]
async fn a_head_that_stops_in_the_middle_is_an_application_that_hung_up() {
    for piece in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"] {
        let gate = Gate::start(
            Setup::default(),
            App::start(move |exchange| {
                exchange.send(piece);
                After::Close
            }),
        );
        let mut client = Client::open(&gate, Protocol::Http1).await;
        let answer = client.ask("GET", "/open/x", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "APP_DOWN"), "{piece:?}");
        assert_eq!(gate.app.count(), 1, "a new connection that dies is not tried again");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_does_not_pass() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
            exchange.until_closed();
            After::Close
        }),
    );
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("GET", "/open/x", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "APP_INVALID"), "{protocol:?}");
    }
}

#[tokio::test]
async fn interim_answers_are_waited_out() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.read_body();
            exchange.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
            exchange.answer("200 OK", "", "ok")
        }),
    );
    for protocol in BOTH {
        let answer = Client::open(&gate, protocol).await.ask("GET", "/open/x", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text(), answer.header("link")), (200, "ok", ""));
    }
}

#[tokio::test]
async fn a_slow_application_is_given_up_and_its_connection_with_it() {
    let (gone, closed) = sync_channel(1);
    let gate = Gate::start(
        timeouts("{ response: 250ms }"),
        App::start(move |exchange| {
            gone.send(exchange.until_closed()).unwrap();
            After::Close
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let started = Instant::now();
    let answer = client.ask("GET", "/open/x", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "APP_TIMEOUT"));
    assert!(started.elapsed() >= Duration::from_millis(250));
    assert!(closed.recv_timeout(PATIENCE).unwrap(), "the connection is not used again");
}

#[tokio::test]
async fn an_answer_that_stops_arriving_is_cut() {
    let gate = Gate::start(
        timeouts("{ idle: 250ms }"),
        App::start(|exchange| {
            exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
            exchange.until_closed();
            After::Close
        }),
    );
    let answer = Raw::open(&gate).await.ask(GET).await.unwrap();
    assert_eq!((answer.status(), answer.whole, answer.body.as_slice()), (200, false, &b"half"[..]));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let head = client.head(client.request("GET", "/open/x").body(body("")).unwrap()).await.unwrap();
    assert!(whole(head).await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_seen_as_cut() {
    for sent in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ] {
        let gate = Gate::start(
            Setup::default(),
            App::start(move |exchange| {
                exchange.send(sent);
                After::Close
            }),
        );
        let answer = Raw::open(&gate).await.ask(GET).await.unwrap();
        assert_eq!((answer.status(), answer.whole), (200, false), "{sent:?}");
        let mut client = Client::open(&gate, Protocol::Http2).await;
        let head = client.head(client.request("GET", "/open/x").body(body("")).unwrap()).await.unwrap();
        assert!(whole(head).await.is_err(), "{sent:?}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 45\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ] {
        let sent = format!("{answer}{poison}");
        let gate = Gate::start(
            Setup::default(),
            App::start(move |exchange| {
                if exchange.seen.target() == "/open/first" {
                    exchange.send(&sent);
                    return After::Keep;
                }
                exchange.answer("200 OK", "", "mine")
            }),
        );
        for protocol in BOTH {
            for _ in 0..10 {
                let mut client = Client::open(&gate, protocol).await;
                let first = client.ask(method, "/open/first", &[]).await;
                assert!(first.status.is_success() || first.status == 304, "{answer:?}");
                let second = client.ask("GET", "/open/second", &[]).await;
                assert_eq!(second.text(), "mine", "{protocol:?} {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| match exchange.seen.target().to_owned().as_str() {
            "/open/204" => {
                exchange.send("HTTP/1.1 204 No Content\r\nx-own: 1\r\n\r\n");
                After::Keep
            }
            "/open/304" => {
                exchange.send("HTTP/1.1 304 Not Modified\r\netag: \"7\"\r\n\r\n");
                After::Keep
            }
            _ => exchange.answer("200 OK", "", "four"),
        }),
    );
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let none = client.ask("GET", "/open/204", &[]).await;
        assert_eq!((none.status.as_u16(), none.header("x-own"), none.body.len()), (204, "1", 0));
        let same = client.ask("GET", "/open/304", &[]).await;
        assert_eq!((same.status.as_u16(), same.header("etag"), same.body.len()), (304, "\"7\"", 0));
        let head = client.ask("HEAD", "/open/x", &[]).await;
        assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "4", 0));
        assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "four", "the connection still stands");
    }
    let mut raw = Raw::open(&gate).await;
    for path in ["/open/x", "/me"] {
        raw.send(format!("HEAD {path} HTTP/1.1\r\nhost: clinic.example\r\n\r\n")).await;
        let head = raw.answer_to_head().await.unwrap();
        assert_ne!(head.header("content-length"), "0", "{}", head.head);
    }
    assert_eq!(raw.ask(GET).await.unwrap().body, b"four", "no body of `HEAD` stands before it");
}

#[tokio::test]
async fn trailers_of_the_application_pass_to_whoever_takes_them_but_for_those_of_a_head() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\n\r\n";
            exchange.send(format!("{head}2\r\nok\r\n0\r\nx-late: fine\r\nset-cookie: late=1\r\n\r\n"));
            After::Keep
        }),
    );
    let mut raw = Raw::open(&gate).await;
    let answer = raw.ask("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nte: trailers\r\n\r\n").await.unwrap();
    assert_eq!((answer.status(), answer.body.as_slice(), answer.header("trailer")), (200, &b"ok"[..], "x-late"));
    assert_eq!(answer.trailers, "x-late: fine\r\n");
    let silent = raw.ask(GET).await.unwrap();
    assert_eq!((silent.body.as_slice(), silent.header("trailer"), silent.trailers.as_str()), (&b"ok"[..], "", ""));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let head = client.head(client.request("GET", "/open/x").header("te", "trailers").body(body("")).unwrap()).await;
    let collected = head.unwrap().into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!((trailers.len(), &trailers["x-late"]), (1, &http::HeaderValue::from_static("fine")));
    assert!(gate.app.connections() <= 2, "one for each worker: it goes on behind trailers");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_length_and_by_its_chunks() {
    let setup = Setup { limits: "{ body: 1KiB }".to_owned(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let fits = client.post("POST", "/open/x", &[], vec![b'x'; 1024]).await;
        assert_eq!(fits.status, 200);
        assert_eq!(gate.app.last().body.len(), 1024);
        let count = gate.app.count();
        let told = client.post("POST", "/open/x", &[], vec![b'x'; 1025]).await;
        assert_eq!((told.status.as_u16(), told.code().as_str()), (413, "TOO_LARGE"), "{protocol:?}");
        assert_eq!(gate.app.count(), count, "the application heard nothing of it");

        let mut client = Client::open(&gate, protocol).await;
        let found = client.send(client.request("POST", "/open/x").body(untold(1600)).unwrap()).await;
        assert_eq!((found.status.as_u16(), found.code().as_str()), (413, "TOO_LARGE"), "{protocol:?}");
        let event = gate.files.event(found.id());
        assert_eq!((&event["code"], &event["status"]), (&"TOO_LARGE".into(), &413.into()));
        assert!(gate.app.seen().iter().all(|seen| seen.body.len() <= 1024));
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_is_not_waited_for_for_ever() {
    let (cut, ended) = sync_channel(4);
    let gate = Gate::start(
        timeouts("{ idle: 250ms, response: 30s }"),
        App::start(move |exchange| {
            cut.send(exchange.read_body()).unwrap();
            After::Close
        }),
    );
    let mut raw = Raw::open(&gate).await;
    let head = "POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 100\r\n\r\nhalf";
    let answer = raw.ask(head).await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_FRAMING"));
    assert!(!ended.recv_timeout(PATIENCE).unwrap(), "the application sees that the body is not whole");
    let mut wire = Wire::open(&gate).await;
    let mut fields = wire::get(b"/open/x");
    fields[0] = (b":method", b"POST");
    let stream = wire.start(&fields, false).await;
    wire.data(stream, b"half", false).await;
    let Ended::Answered(_) = soon("an answer", wire.end_of(stream)).await else { panic!("no answer") };
    assert!(!ended.recv_timeout(PATIENCE).unwrap());
}

#[tokio::test]
async fn a_client_that_hangs_up_in_its_body_leaves_no_whole_request() {
    let (cut, ended) = sync_channel(4);
    let gate = Gate::start(
        Setup::default(),
        App::start(move |exchange| {
            cut.send(exchange.read_body()).unwrap();
            After::Close
        }),
    );
    for framing in ["content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let count = gate.app.count();
        let mut raw = Raw::open(&gate).await;
        raw.send(format!("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\n{framing}")).await;
        until("the request to arrive", || (gate.app.count() > count).then_some(()));
        drop(raw);
        assert!(!ended.recv_timeout(PATIENCE).unwrap(), "{framing:?}");
    }
    let mut wire = Wire::open(&gate).await;
    let mut fields = wire::get(b"/open/x");
    fields[0] = (b":method", b"POST");
    let stream = wire.start(&fields, false).await;
    wire.data(stream, b"half", false).await;
    let count = gate.app.count();
    until("the request to arrive", || (gate.app.count() >= count.max(3)).then_some(()));
    wire.reset(stream).await;
    assert!(!ended.recv_timeout(PATIENCE).unwrap());
    // hyper takes this one for the end of the body.
    let stream = wire.start(&fields, false).await;
    wire.data(stream, b"half", false).await;
    until("the request to arrive", || (gate.app.count() > count.max(3)).then_some(()));
    wire.reset_as(stream, 0).await;
    assert!(!ended.recv_timeout(PATIENCE).unwrap());
}

#[tokio::test]
async fn an_application_that_answers_before_the_upload_ends_is_heard() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.answer("403 Forbidden", "connection: close\r\n", "not you");
            // Takes what still comes for a while, as a server does that closes with care.
            exchange.until_closed();
            After::Close
        }),
    );
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.post("POST", "/open/x", &[], vec![b'x'; 2 * 1024 * 1024]).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (403, "not you"), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it_only_when_the_request_may_pass() {
    let gate = Gate::plain();
    let post = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
    };
    let mut raw = Raw::open(&gate).await;
    assert_eq!(raw.ask(post("/open/x")).await.unwrap().status(), 100);
    assert_eq!(raw.ask("body").await.unwrap().status(), 200);
    assert_eq!(gate.app.last().body, b"body");
    let refused = Raw::open(&gate).await.ask(post("/me")).await.unwrap();
    assert_eq!((refused.status(), refused.code().as_str()), (401, "NO_CREDENTIAL"));
}

const LARGE: u64 = 64 * 1024 * 1024;

/// The resident memory of a process, in bytes.
fn resident(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn large_bodies_stream_through_in_both_directions() {
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let app = App::start(move |exchange| {
        if exchange.seen.line().starts_with("POST") {
            let mut piece = vec![0; 64 * 1024];
            let mut left = LARGE;
            while left > 0 {
                let read = exchange.piece(&mut piece) as u64;
                if read == 0 {
                    return After::Close;
                }
                left -= read;
                count.fetch_add(read, Ordering::AcqRel);
            }
            exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            return After::Close;
        }
        exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..LARGE / piece.len() as u64 {
            exchange.send(&piece);
        }
        After::Keep
    });
    let setup = Setup { limits: "{ body: 1GiB }".to_owned(), ..Setup::default() };
    let served = Served::start(setup, app);
    let before = resident(served.process.id());
    for protocol in BOTH {
        let mut client = Client::open_at(served.https, &served.files.ca, protocol, e2e::client::HOST).await;
        taken.store(0, Ordering::Release);
        let sent = client.post("POST", "/open/x", &[], vec![b'x'; usize::try_from(LARGE).unwrap()]).await;
        assert_eq!((sent.status.as_u16(), taken.load(Ordering::Acquire)), (200, LARGE), "{protocol:?}");
        let got = client.ask("GET", "/open/x", &[]).await;
        assert_eq!((got.status.as_u16(), got.body.len() as u64), (200, LARGE), "{protocol:?}");
    }
    let grown = resident(served.process.id()).saturating_sub(before);
    assert!(grown < 24 * 1024 * 1024, "{} MiB more for bodies that only pass", grown / 1024 / 1024);
}

#[tokio::test(flavor = "current_thread")]
async fn a_client_that_does_not_read_holds_the_application_up() {
    let progress = Arc::new(AtomicU64::new(0));
    let written = Arc::clone(&progress);
    let gate = Gate::start(
        Setup::default(),
        App::start(move |exchange| {
            exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..LARGE / piece.len() as u64 {
                if !exchange.send(&piece) {
                    return After::Close;
                }
                written.fetch_add(piece.len() as u64, Ordering::AcqRel);
            }
            After::Keep
        }),
    );
    for protocol in BOTH {
        progress.store(0, Ordering::Release);
        let mut client = Client::open(&gate, protocol).await;
        let head = client.head(client.request("GET", "/open/x").body(body("")).unwrap()).await.unwrap();
        // This thread drives the client's connection too: while it waits here, nobody reads.
        let stood = stands_still_at(&progress);
        assert!(stood < LARGE / 2, "{protocol:?}: {stood} bytes went somewhere");
        assert_eq!(whole(head).await.unwrap().body.len() as u64, LARGE, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_application_that_does_not_read_holds_the_client_up() {
    let (release, wait) = sync_channel::<()>(0);
    let wait = Mutex::new(wait);
    let setup = Setup { limits: "{ body: 1GiB }".to_owned(), ..Setup::default() };
    let gate = Gate::start(
        setup,
        App::start(move |exchange| {
            wait.lock().unwrap().recv().ok();
            let mut piece = vec![0; 64 * 1024];
            let mut left = LARGE;
            while left > 0 {
                match exchange.piece(&mut piece) as u64 {
                    0 => return After::Close,
                    read => left -= read,
                }
            }
            exchange.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
            After::Close
        }),
    );
    let mut raw = Raw::open(&gate).await;
    raw.send(format!("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: {LARGE}\r\n\r\n")).await;
    let (sending, progress) = uploading(raw, LARGE);
    let stood = tokio::task::spawn_blocking(move || stands_still_at(&progress)).await.unwrap();
    assert!(stood < LARGE / 2, "{stood} bytes went somewhere");
    release.send(()).unwrap();
    let mut raw = soon("the rest to be sent", sending).await.unwrap();
    assert_eq!(raw.answer().await.unwrap().body, b"ok");
}
