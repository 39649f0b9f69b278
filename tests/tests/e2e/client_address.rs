//! Whose address counts: in the record, in the limits and for the application. CVE-2026-40575 and CVE-2026-76835 are about
//! proxies that believed everybody, the second one by its default.

use std::sync::Arc;

use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol, tls};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use e2e::{soon, until};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn gate(client_address: &str) -> Gate {
    let more = format!("client_address: {client_address}\n");
    Gate::start(Setup { more, ..Setup::default() }, App::plain())
}

/// What the application was told of the client, all spellings together.
fn told(gate: &Gate) -> Vec<(String, String)> {
    let seen = gate.app.last();
    let about = seen.headers().into_iter().filter(|(name, _)| name.contains("forwarded") || name.contains("real-ip"));
    about
        .filter(|(name, _)| name != &"x-forwarded-proto" && name != &"x-forwarded-host")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn only(client: &str) -> Vec<(String, String)> {
    vec![("x-forwarded-for".to_owned(), client.to_owned())]
}

#[tokio::test]
async fn by_default_nobody_is_believed_in_a_pod_either() {
    let gate = Gate::plain();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let headers =
            [("x-forwarded-for", "198.51.100.66"), ("forwarded", "for=198.51.100.66"), ("x-real-ip", "198.51.100.66")];
        let answer = client.ask("GET", "/open/x", &headers).await;
        assert_eq!(answer.status, 200);
        assert_eq!(told(&gate), only("127.0.0.1"));
        assert_eq!(gate.files.event(answer.id())["peer"], "127.0.0.1");
    }
}

#[tokio::test]
async fn a_named_sender_is_believed_and_its_header_is_written_anew() {
    for (name, value) in [
        ("x-forwarded-for", "198.51.100.66, 203.0.113.9, 192.0.2.77"),
        ("forwarded", "for=198.51.100.66, for=\"203.0.113.9:4711\";proto=http, for=192.0.2.77"),
    ] {
        let gate = gate(&format!("{{ header: {{ name: {name}, sent_by: [127.0.0.1, 192.0.2.0/24] }} }}"));
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            let answer = client.ask("GET", "/open/x", &[(name, value)]).await;
            assert_eq!((answer.status.as_u16(), told(&gate)), (200, only("203.0.113.9")), "{name}");
            assert_eq!(gate.files.event(answer.id())["peer"], "203.0.113.9");
            // The sender for itself, such as its health check.
            client.ask("GET", "/open/x", &[]).await;
            assert_eq!(told(&gate), only("127.0.0.1"));
            // The other header is never looked at.
            let other = if name == "forwarded" { "x-forwarded-for" } else { "forwarded" };
            client.ask("GET", "/open/x", &[(other, "for=198.51.100.66")]).await;
            assert_eq!(told(&gate), only("127.0.0.1"));
        }
    }
}

#[tokio::test]
async fn whoever_is_not_named_is_not_believed() {
    let gate = gate("{ header: { name: x-forwarded-for, sent_by: [192.0.2.7] } }");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    client.ask("GET", "/open/x", &[("x-forwarded-for", "198.51.100.66")]).await;
    assert_eq!(told(&gate), only("127.0.0.1"));
}

#[tokio::test]
async fn a_word_that_cannot_be_read_is_refused_and_the_client_cannot_take_it_away() {
    let gate = gate("{ header: { name: x-forwarded-for, sent_by: [127.0.0.1] } }");
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for word in ["unknown", "203.0.113.9, x", "203.0.113.9:99999", ""] {
        let answer = client.ask("GET", "/open/x", &[("x-forwarded-for", word)]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "BAD_HEADER"), "{word}");
    }
    assert_eq!(gate.app.count(), 0);
    let headers = [("x-forwarded-for", "203.0.113.9"), ("connection", "x-forwarded-for")];
    assert_eq!(client.ask("GET", "/open/x", &headers).await.status, 200);
    assert_eq!(told(&gate), only("203.0.113.9"));
}

#[tokio::test]
async fn the_limit_of_an_address_is_the_client_s() {
    let setup = Setup {
        more: "client_address: { header: { name: x-forwarded-for, sent_by: [127.0.0.1] } }\n".to_owned(),
        limits: "{ per_address: { rate: 1/h, burst: 2 } }".to_owned(),
        ..Setup::default()
    };
    let gate = Gate::start(setup, App::plain());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for (address, status) in [
        ("203.0.113.9", 200),
        ("203.0.113.9", 200),
        ("203.0.113.9", 429),
        ("198.51.100.1, 203.0.113.9", 429),
        ("203.0.113.10", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
    ] {
        assert_eq!(client.ask("GET", "/open/x", &[("x-forwarded-for", address)]).await.status, status, "{address}");
    }
}

/// A client whose connection begins with these bytes; `None` where TLS does not come about.
async fn behind(gate: &Gate, header: &[u8]) -> Option<Raw> {
    let mut stream = TcpStream::connect(gate.https).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // In two pieces: a header may arrive in any number of them.
    let (start, end) = header.split_at(header.len() / 2);
    stream.write_all(start).await.unwrap();
    stream.flush().await.unwrap();
    tokio::task::yield_now().await;
    drop(stream.write_all(end).await);
    let connector = TlsConnector::from(Arc::new(tls(&gate.files.ca, &[b"http/1.1"])));
    let name = ServerName::try_from(HOST).unwrap();
    soon("a handshake", connector.connect(name, stream)).await.ok().map(Raw::over)
}

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xcb\0\x71\x09\xc0\0\x02\x01\x12\x67\x01\xbb\xe0\0\x01x";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const ASK: &str = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-forwarded-for: 198.51.100.66\r\n\r\n";

#[tokio::test]
async fn the_proxy_protocol_of_a_named_sender_tells_the_client() {
    let gate = gate("{ proxy_protocol: { sent_by: [127.0.0.0/8] } }");
    for (header, client) in
        [(V1, "203.0.113.9"), (V2, "203.0.113.9"), (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")]
    {
        let mut raw = behind(&gate, header).await.unwrap();
        let answer = raw.ask(ASK).await.unwrap();
        assert_eq!((answer.status(), told(&gate)), (200, only(client)));
        assert_eq!(gate.files.event(answer.header("x-request-id"))["peer"], client);
    }
}

#[tokio::test]
async fn a_named_sender_must_send_it() {
    let gate = gate("{ proxy_protocol: { sent_by: [127.0.0.1] } }");
    for header in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\n", &V2[..15]] {
        assert!(behind(&gate, header).await.is_none(), "{header:?}");
    }
    until("them to be counted", || {
        (gate.metric("anteroom_connections_ended_total", &[("reason", "proxy_protocol")]) >= 4.0).then_some(())
    });
    assert_eq!(gate.app.count(), 0);
}

#[tokio::test]
async fn a_header_that_does_not_come_ends_with_the_handshake_s_time() {
    let setup = Setup {
        more: "client_address: { proxy_protocol: { sent_by: [127.0.0.1] } }\n".to_owned(),
        limits: "{ handshake_time: 200ms }".to_owned(),
        ..Setup::default()
    };
    let gate = Gate::start(setup, App::plain());
    for start in [&b""[..], b"PROXY TCP4 203", &V2[..20]] {
        let mut stream = TcpStream::connect(gate.https).await.unwrap();
        stream.write_all(start).await.unwrap();
        let end = soon("the end", stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_err() || end.unwrap() == 0);
    }
}

#[tokio::test]
async fn from_anybody_else_it_is_never_read() {
    for client_address in ["peer", "{ proxy_protocol: { sent_by: [192.0.2.7] } }"] {
        let gate = gate(client_address);
        for header in [V1, V2, LOCAL] {
            assert!(behind(&gate, header).await.is_none());
        }
        let mut raw = behind(&gate, b"").await.unwrap();
        assert_eq!(raw.ask(ASK).await.unwrap().status(), 200);
        assert_eq!(told(&gate), only("127.0.0.1"));
    }
}
