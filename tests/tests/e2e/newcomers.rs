//! How often an address may open a connection: whoever comes too often is closed unread, and nobody else feels it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use e2e::app::App;
use e2e::client::{Client, HOST, Protocol, tls};
use e2e::gate::{Files, Gate, Setup};
use e2e::process::{Served, free_port};
use e2e::raw::Raw;
use e2e::soon;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Two at once, and then none for as long as a test takes.
const TWO: &str = "{ new_connections_per_address: { rate: 1/h, burst: 2 } }";
const ASK: &str = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n";

fn gate(more: &str) -> Gate {
    Gate::start(Setup { limits: TWO.to_owned(), more: more.to_owned(), ..Setup::default() }, App::plain())
}

fn turned_away(gate: &Gate) -> f64 {
    gate.metric("anteroom_connections_ended_total", &[("reason", "rate")])
}

/// A connection from an address of loopback.
pub(crate) async fn from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// Shakes hands over a connection, behind what is sent first.
pub(crate) async fn shake(gate: &Gate, mut stream: TcpStream, first: &[u8]) -> Option<Raw> {
    stream.write_all(first).await.ok()?;
    let connector = TlsConnector::from(Arc::new(tls(&gate.files.ca, &[b"http/1.1"])));
    let name = ServerName::try_from(HOST).unwrap();
    soon("a handshake", connector.connect(name, stream)).await.ok().map(Raw::over)
}

async fn is_served(raw: Option<Raw>) -> bool {
    match raw {
        Some(mut raw) => raw.ask(ASK).await.is_some_and(|answer| answer.status() == 200),
        None => false,
    }
}

#[tokio::test]
async fn an_address_that_comes_too_often_is_closed_unread_and_others_are_served() {
    let gate = gate("");
    let mut here = Client::open(&gate, Protocol::Http2).await;
    assert!(is_served(shake(&gate, from("127.0.0.1", gate.https).await, b"").await).await);
    for _ in 0..3 {
        // Nothing was sent, and no time to send something was waited for.
        let mut late = from("127.0.0.1", gate.https).await;
        let end = soon("the end", late.read(&mut [0; 1])).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    assert_eq!(turned_away(&gate), 3.0);
    assert_eq!(gate.metric("anteroom_tls_handshakes_total", &[("result", "broken_off")]), 0.0, "none has begun");
    assert_eq!(here.ask("GET", "/open/x", &[]).await.status, 200, "who is here stays");
    assert!(is_served(shake(&gate, from("127.0.0.2", gate.https).await, b"").await).await);
    assert_eq!(turned_away(&gate), 3.0);
}

#[tokio::test]
async fn with_the_proxy_protocol_the_client_is_counted_and_not_its_sender() {
    let gate = gate("client_address: { proxy_protocol: { sent_by: [127.0.0.1] } }\n");
    let comes = async |client: &str| {
        let header = format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\n");
        is_served(shake(&gate, from("127.0.0.1", gate.https).await, header.as_bytes()).await).await
    };
    for client in ["203.0.113.9", "203.0.113.10", "203.0.113.9", "203.0.113.10"] {
        assert!(comes(client).await, "{client}");
    }
    assert!(!comes("203.0.113.9").await);
    assert_eq!(turned_away(&gate), 1.0);
    // The sender's own checks are not counted.
    for _ in 0..3 {
        assert!(is_served(shake(&gate, from("127.0.0.1", gate.https).await, b"PROXY UNKNOWN\r\n").await).await);
    }
}

#[tokio::test]
async fn a_named_sender_of_a_header_is_not_counted_and_others_are() {
    let gate = gate("client_address: { header: { name: x-forwarded-for, sent_by: [127.0.0.1] } }\n");
    for _ in 0..4 {
        assert!(is_served(shake(&gate, from("127.0.0.1", gate.https).await, b"").await).await);
    }
    for fits in [true, true, false] {
        assert_eq!(is_served(shake(&gate, from("127.0.0.2", gate.https).await, b"").await).await, fits);
    }
}

#[tokio::test]
async fn a_flood_is_one_line_a_second_in_the_log() {
    let health = free_port();
    let app = App::plain();
    let setup = Setup { limits: TWO.to_owned(), health: health.to_string(), ..Setup::default() };
    let files = Files::write(&setup, app.address);
    let gate = tokio::task::spawn_blocking(move || Served::start_with(files, app, health)).await.unwrap();
    let began = std::time::Instant::now();
    for _ in 0..200 {
        drop(from("127.0.0.1", gate.https).await);
    }
    let count = || e2e::gate::metric(health, "anteroom_connections_ended_total", &[("reason", "rate")]);
    e2e::until("all to be counted", || (count() >= 198.0).then_some(()));
    let seconds = began.elapsed() + Duration::from_secs(1);
    let lines: Vec<_> = gate.log().into_iter().filter(|line| line["reason"] == "rate").collect();
    assert!(!lines.is_empty() && lines.len() as u64 <= seconds.as_secs() + 1, "{lines:?}");
    assert!(!serde_json::to_string(&lines).unwrap().contains("127.0.0.1"), "{lines:?}");
}
