//! Too much at once: connections, handshakes, requests. Whatever is too much ends at once, and the others go on.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol, connect, tls};
use e2e::gate::{Files, Gate, Setup};
use e2e::process::Process;
use e2e::raw::Raw;
use e2e::soon;
use e2e::wire::{Ended, Wire, get};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

fn gate(limits: &str) -> Gate {
    Gate::start(Setup { limits: limits.to_owned(), ..Setup::default() }, App::plain())
}

fn ended(gate: &Gate, reason: &str) -> f64 {
    gate.metric("anteroom_connections_ended_total", &[("reason", reason)])
}

/// Waits for something while the clients go on.
async fn meanwhile(what: &str, mut ask: impl FnMut() -> Option<()>) {
    let waiting = async {
        while ask().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, waiting).await;
}

/// Whether the gate ends a connection on which nothing was sent.
async fn is_ended(stream: &mut TcpStream) -> bool {
    soon("the end of a connection", stream.read(&mut [0; 1])).await.map_or(true, |bytes| bytes == 0)
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_the_others_are_served() {
    // Fewer than the two workers: neither may hold the only place while it waits for somebody.
    let gate = gate("{ connections: 1 }");
    for _ in 0..20 {
        let mut client = Client::open(&gate, Protocol::Http1).await;
        assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
        let mut late = TcpStream::connect(gate.https).await.unwrap();
        assert!(is_ended(&mut late).await);
        drop(client);
        meanwhile("the place to be free", || (gate.metric("anteroom_connections", &[]) == 0.0).then_some(())).await;
    }
    assert!(ended(&gate, "full") >= 20.0);
}

#[tokio::test]
async fn an_address_that_holds_too_many_is_told_so_and_a_named_sender_is_not_counted() {
    let few = "{ connections_per_address: 2 }";
    let gate = gate(few);
    let first = Client::open(&gate, Protocol::Http1).await;
    let mut second = Client::open(&gate, Protocol::Http2).await;
    let refused = connect(gate.https, tls(&gate.files.ca, &[b"h2"]), HOST).await;
    assert!(refused.is_err());
    assert_eq!(second.ask("GET", "/open/x", &[]).await.status, 200);
    assert!(ended(&gate, "address") >= 1.0);
    drop(first);
    meanwhile("the place to be free", || (gate.metric("anteroom_connections", &[]) == 1.0).then_some(())).await;
    Client::open(&gate, Protocol::Http1).await;

    let more = "client_address: { header: { name: x-forwarded-for, sent_by: [127.0.0.1] } }\n".to_owned();
    let trusting = Gate::start(Setup { limits: few.to_owned(), more, ..Setup::default() }, App::plain());
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Client::open(&trusting, Protocol::Http1).await);
    }
}

#[tokio::test]
async fn silent_handshakes_give_way_to_new_ones() {
    let gate = gate("{ handshakes: 4 }");
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(gate.https).await.unwrap());
    }
    // All but the newest four have given way, long before their time.
    meanwhile("the older ones to give way", || (ended(&gate, "handshakes") >= 8.0).then_some(())).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    assert_eq!(ended(&gate, "handshakes"), 9.0);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_answered_at_once() {
    let (release, waiting) = channel::<()>();
    let waiting = Arc::new(Mutex::new(waiting));
    let app = App::start(move |exchange| {
        if exchange.seen.target() == "/open/slow" {
            waiting.lock().unwrap().recv().unwrap();
        }
        exchange.answer("200 OK", "", "ok")
    });
    let gate = Gate::start(Setup { limits: "{ requests: 1 }".to_owned(), ..Setup::default() }, app);
    let mut slow = Client::open(&gate, Protocol::Http1).await;
    let slow = tokio::spawn(async move { slow.ask("GET", "/open/slow", &[]).await.status });
    meanwhile("the slow one to be with the application", || (gate.app.count() == 1).then_some(())).await;
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("GET", "/open/x", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "OVERLOADED"));
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(gate.files.event(answer.id())["code"], "OVERLOADED");
    }
    release.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), 200);
    // Its place comes back with the last byte of its answer, a moment after the client has it.
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let again = async { while client.ask("GET", "/open/x", &[]).await.status != 200 {} };
    soon("room", again).await;
}

/// A gate with few file handles.
#[tokio::test]
async fn without_file_handles_newcomers_are_turned_away_and_the_gate_lives_on() {
    let app = App::plain();
    let setup = Setup { health: e2e::process::free_port().to_string(), ..Setup::default() };
    let files = Files::write(&setup, app.address);
    let binary = e2e::process::binary();
    let run = format!("ulimit -n 64; exec {} run --config config.yaml", binary.display());
    let mut process = Process::start_as(Command::new("sh").current_dir(files.root()).args(["-c", &run]));
    let https: SocketAddr = process.line("the gate to serve", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "serving").then(|| line["address"].as_str().unwrap().parse().unwrap())
    });
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(TcpStream::connect(https).await.unwrap());
    }
    // The first ones hold all handles and say nothing; the last ones do not hang.
    for late in open.iter_mut().rev().take(30) {
        assert!(is_ended(late).await);
    }
    process.found("the log to say so", |out| out.contains("cannot accept a connection").then_some(()));
    drop(open);
    let again = async {
        loop {
            let client = Client::try_open_at(https, &files.ca, Protocol::Http2, HOST).await;
            if let Ok(mut client) = client {
                return client.ask("GET", "/open/x", &[]).await.status;
            }
        }
    };
    assert_eq!(soon("the gate to serve again", again).await, 200);
}

/// Pipelined, and each of them refused.
#[tokio::test]
async fn whoever_is_refused_again_and_again_loses_the_connection() {
    let gate = gate("{ refused_per_address: { rate: 5/s, burst: 5 } }");
    let mut raw = Raw::open(&gate).await;
    raw.send("GET /me HTTP/1.1\r\nhost: clinic.example\r\n\r\n".repeat(110)).await;
    for number in 1..=100 {
        let answer = raw.answer().await.unwrap();
        assert!(matches!(answer.status(), 401 | 429), "{number}: {}", answer.head);
        assert_eq!(answer.header("connection"), if number == 100 { "close" } else { "" }, "{number}");
    }
    assert!(raw.answer().await.is_none());
    assert_eq!(ended(&gate, "refused"), 1.0);

    let mut wire = Wire::open(&gate).await;
    let flood = async {
        for _ in 0..100 {
            wire.start(&get(b"/me"), true).await;
            let last = wire.start(&get(b"/me"), true).await;
            if wire.end_of(last).await == Ended::Closed {
                return;
            }
        }
        panic!("it goes on");
    };
    soon("the end", flood).await;
    assert_eq!(ended(&gate, "refused"), 2.0);
}

#[tokio::test]
async fn permitted_requests_take_refusals_back() {
    let gate = gate("{ refused_per_address: { rate: 1000/s, burst: 1000 } }");
    let mut raw = Raw::open(&gate).await;
    for _ in 0..8 {
        for path in ["/me"; 19].into_iter().chain(["/open/x"; 19]) {
            let answer = raw.ask(format!("GET {path} HTTP/1.1\r\nhost: clinic.example\r\n\r\n")).await.unwrap();
            assert_eq!((answer.status(), answer.header("connection")), (if path == "/me" { 401 } else { 200 }, ""));
        }
    }
    assert_eq!(ended(&gate, "refused"), 0.0);
}
