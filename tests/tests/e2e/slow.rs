//! Slow clients: each wait for them ends, on both protocols, and whoever only has nothing to do is left alone.

use std::time::{Duration, Instant};

use e2e::app::{After, App};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use e2e::soon;
use e2e::wire::{Ended, Wire, get};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The body of a large answer: more than fits into the buffers on the way.
const LARGE: usize = 32 * 1024 * 1024;

fn gate(limits: &str, app: App) -> Gate {
    let limits = format!("{{ refused_per_address: {{ rate: 1000/s, burst: 1000 }}, {limits} }}");
    Gate::start(Setup { limits, ..Setup::default() }, app)
}

/// Large answers, and events that come slowly.
fn app() -> App {
    App::start(|exchange| match exchange.seen.target() {
        "/open/large" => {
            exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..LARGE / piece.len() {
                if !exchange.send(&piece) {
                    break;
                }
            }
            After::Close
        }
        "/open/events" => {
            exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
            exchange.send("6\r\ndata:1\r\n");
            std::thread::sleep(Duration::from_millis(1_500));
            exchange.send("6\r\ndata:2\r\n0\r\n\r\n");
            After::Keep
        }
        _ => {
            exchange.read_body();
            exchange.answer("200 OK", "", "ok")
        }
    })
}

const FAST: &str = "least_rate: { per_second: 64KiB, grace: 500ms }";

#[tokio::test]
async fn silence_before_and_within_a_handshake_ends() {
    let gate = gate("handshake_time: 200ms", app());
    for start in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(gate.https).await.unwrap();
        stream.write_all(start).await.unwrap();
        let end = soon("the end", stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_err() || end.unwrap() == 0);
    }
    e2e::until("both to be counted", || {
        (gate.metric("anteroom_tls_handshakes_total", &[("result", "timeout")]) >= 2.0).then_some(())
    });
}

#[tokio::test]
async fn a_slow_head_ends_however_steadily_it_drips() {
    let gate = gate("head_time: 500ms", app());
    let mut raw = Raw::open(&gate).await;
    let mut dripped = 0;
    let started = Instant::now();
    while raw.send("x").await && started.elapsed() < e2e::PATIENCE {
        sleep(Duration::from_millis(20)).await;
        dripped += 1;
    }
    assert!(dripped < 100, "{dripped}");
    let mut silent = Raw::open(&gate).await;
    assert!(silent.bytes(1).await.is_empty());
}

#[tokio::test]
async fn http_2_without_preface_with_the_preface_alone_and_with_a_piece_of_it_ends() {
    let gate = gate("head_time: 300ms", app());
    for start in [&b""[..], b"PRI * HTTP", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut raw = Raw::over(
            e2e::client::connect(gate.https, e2e::client::tls(&gate.files.ca, &[b"h2"]), "clinic.example")
                .await
                .unwrap(),
        );
        raw.send(start).await;
        soon("the end", raw.stream.read_to_end(&mut Vec::new())).await.unwrap_or(0);
    }
    let mut idle = Wire::open(&gate).await;
    assert_eq!(soon("the end", idle.end_of(1)).await, Ended::Closed);
}

#[tokio::test]
async fn a_body_that_drips_is_refused_and_a_steady_one_is_not() {
    let gate = gate(FAST, app());
    for (piece, pause, status) in [("x".repeat(8), 40, 400), ("x".repeat(16 * 1024), 20, 200)] {
        let mut raw = Raw::open(&gate).await;
        let length = piece.len() * 25;
        raw.send(format!("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: {length}\r\n\r\n")).await;
        for _ in 0..25 {
            raw.send(&piece).await;
            sleep(Duration::from_millis(pause)).await;
        }
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.head);
        let mut wire = Wire::open(&gate).await;
        let mut fields = get(b"/open/x");
        fields[0] = (b":method", b"POST");
        let stream = wire.start(&fields, false).await;
        for number in 0..25 {
            // The windows' own limit of 64 KiB: nobody reads what would widen them.
            wire.data(stream, &piece.as_bytes()[..piece.len().min(1_000)], number == 24).await;
            sleep(Duration::from_millis(if piece.len() > 1_000 { 5 } else { pause })).await;
        }
        let ended = wire.end_of(stream).await;
        let expected = if status == 200 { Ended::Answered(b"ok".to_vec()) } else { ended.clone() };
        assert_eq!((ended.clone(), ended.code() == "BAD_FRAMING"), (expected, status == 400));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_lets_go_of_the_application() {
    let gate = gate(FAST, app());
    let mut raw = Raw::open(&gate).await;
    raw.send("GET /open/large HTTP/1.1\r\nhost: clinic.example\r\n\r\n").await;
    let mut wire = Wire::open(&gate).await;
    let stream = wire.start(&get(b"/open/large"), true).await;
    e2e::until("both to be with the application", || (gate.app.count() == 2).then_some(()));
    gate.app.until_alone();
    // The stream is reset; its connection lives.
    assert_eq!(wire.end_of(stream).await, Ended::Reset);
    assert!(gate.metric("anteroom_connections_ended_total", &[("reason", "slow_reader")]) >= 1.0);
    // The window of the whole connection is what the large answer used up.
    wire.widen(0, 1024 * 1024).await;
    assert_eq!(wire.ask(&get(b"/open/x")).await, Ended::Answered(b"ok".to_vec()));
    let mut read = 0;
    let mut piece = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = soon("the rest", raw.stream.read(&mut piece)).await {
        read += bytes;
    }
    assert!(read < LARGE, "the connection was cut");
}

#[tokio::test]
async fn a_stream_on_which_nothing_waits_is_left_alone() {
    let gate = gate(FAST, app());
    let mut raw = Raw::open(&gate).await;
    let mut wire = Wire::open(&gate).await;
    let stream = wire.start(&get(b"/open/events"), true).await;
    let answer = raw.ask("GET /open/events HTTP/1.1\r\nhost: clinic.example\r\n\r\n").await.unwrap();
    assert_eq!((answer.body.as_slice(), answer.whole), (&b"data:1data:2"[..], true));
    assert_eq!(wire.end_of(stream).await, Ended::Answered(b"data:1data:2".to_vec()));
}

/// What is still sent once the answer is over is no conversation.
#[tokio::test]
async fn a_body_that_drips_behind_its_answer_ends_and_its_connection_with_it() {
    let app = App::start(|exchange| {
        let after = exchange.answer("200 OK", "", "ok");
        exchange.read_body();
        after
    });
    let gate = gate(&format!("head_time: 1s, {FAST}"), app);
    let mut wire = Wire::open(&gate).await;
    let mut fields = get(b"/open/x");
    fields[0] = (b":method", b"POST");
    let stream = wire.start(&fields, false).await;
    assert_eq!(soon("the answer", wire.end_of(stream)).await, Ended::Answered(b"ok".to_vec()));
    // From here on it reads nothing, so that no ping of ours is answered.
    let dripping = async {
        while wire.try_frame(0, 0, stream, b"x").await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the end", dripping).await;
    gate.app.until_alone();
}
