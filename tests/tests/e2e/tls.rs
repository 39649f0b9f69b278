//! What a client sees of TLS, and the strict headers of every answer.

use std::sync::Arc;

use e2e::app::{After, App};
use e2e::client::{BOTH, Client, HOST, Protocol, connect, tls};
use e2e::gate::{Gate, Setup};
use e2e::raw::Raw;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, NamedGroup, ProtocolVersion};

use crate::handshakes::roots;

fn with_group(gate: &Gate, group: &'static dyn rustls::crypto::SupportedKxGroup) -> ClientConfig {
    let provider = rustls::crypto::CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots(gate))
        .with_no_client_auth()
}

#[tokio::test]
async fn tls_1_3_with_the_hybrid_group_and_http_2() {
    let gate = Gate::plain();
    let stream = connect(gate.https, tls(&gate.files.ca, &[b"http/1.1", b"h2"]), HOST).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]), "h2 is preferred, whatever the client's order");
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_client_without_the_hybrid_group_is_served_too() {
    let gate = Gate::plain();
    for group in [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1] {
        let stream = connect(gate.https, with_group(&gate, group), HOST).await.unwrap();
        assert_eq!(stream.get_ref().1.negotiated_key_exchange_group().unwrap().name(), group.name());
    }
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_no_certificate() {
    let gate = Gate::plain();
    let refused = connect(gate.https, tls(&gate.files.ca, &[b"h2"]), "unknown.example").await.unwrap_err();
    let rustls = refused.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    assert!(matches!(rustls, Some(rustls::Error::AlertReceived(_))), "{refused:?}");
}

#[tokio::test]
async fn plain_http_gets_nothing() {
    let gate = Gate::plain();
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(gate.https).unwrap();
        stream.set_read_timeout(Some(e2e::PATIENCE)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: clinic.example\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer).unwrap_or_default()
    });
    let answer = answer.await.unwrap();
    assert!(!answer.starts_with(b"HTTP/"), "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_host_of_another_connection_is_misdirected() {
    let gate = Gate::plain();
    for protocol in BOTH {
        let mut client = Client::open_at(gate.https, &gate.files.ca, protocol, "other.example").await;
        let answer = client.ask("GET", "/", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (421, "MISDIRECTED"), "{protocol:?}");
    }
    // A client that sends no name (it came by address) is judged by `Host` alone.
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http1, "127.0.0.1").await;
    assert_eq!(client.ask("GET", "/", &[]).await.status, 200);
}

#[tokio::test]
async fn a_host_that_is_not_served_is_refused() {
    let gate = Gate::plain();
    for host in ["stranger.example", "clinic.example.stranger.example", "xclinic.example", "clinic.example."] {
        let mut raw = Raw::open(&gate).await;
        let answer = raw.ask(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "BAD_HOST"), "{host}");
    }
    assert_eq!(gate.app.count(), 0);
}

/// Answers the way old applications do.
fn telltale_app() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/open/hang-up" {
            return After::Close;
        }
        let headers = "server: OldHTTPd/1.3\r\nx-powered-by: Script/4\r\nx-aspnet-version: 2\r\nx-runtime: 1\r\n\
                       strict-transport-security: max-age=0\r\nx-frame-options: ALLOWALL\r\n\
                       referrer-policy: unsafe-url\r\ncontent-security-policy: default-src 'self'\r\n\
                       set-cookie: one=1; Path=/\r\nset-cookie: two=2\r\nkeep-alive: timeout=5\r\n\
                       connection: keep-alive, x-inner\r\nx-inner: secret\r\nx-request-id: forged\r\n";
        exchange.answer("200 OK", headers, "ok")
    })
}

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let setup =
        Setup { limits: "{ body: 10B, per_address: { rate: 1000/s, burst: 1000 } }".to_owned(), ..Setup::default() };
    let gate = Gate::start(setup, telltale_app());
    let desk = gate.issuer().token("ben.example", "a", &["front_desk"]);
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let bearer = format!("Bearer {desk}");
        let bearer = [("authorization", bearer.as_str())];
        for (expected, method, path, headers, body) in [
            (200, "GET", "/open/x", &[][..], ""),
            (400, "GET", "/a/../b", &[], ""),
            (401, "GET", "/me", &[], ""),
            (403, "POST", "/api/patients/p1/records", &bearer, ""),
            (404, "GET", "/nowhere", &[], ""),
            (405, "DELETE", "/me", &[], ""),
            (413, "POST", "/open/x", &[], "more than ten bytes"),
            (502, "GET", "/open/hang-up", &[], ""),
        ] {
            let answer = client.post(method, path, headers, body).await;
            let at = format!("{protocol:?} {method} {path}");
            assert_eq!(answer.status.as_u16(), expected, "{at}: {}", answer.code());
            assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains", "{at}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{at}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{at}");
            assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin", "{at}");
            let policies: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
            assert!(policies.iter().any(|one| one.to_str().unwrap().contains("frame-ancestors 'none'")), "{at}");
            for gone in ["server", "x-powered-by", "x-aspnet-version", "x-runtime", "x-inner", "keep-alive"] {
                assert_eq!(answer.header(gone), "", "{at}: {gone}");
            }
            assert!(answer.id().len() >= 16 && answer.id() != "forged", "{at}: {}", answer.id());
            if expected == 200 {
                assert_eq!(policies.len(), 2, "the application's policy stays beside ours");
                assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
            } else {
                assert_eq!(answer.header("cache-control"), "no-store", "{at}");
                assert!(!answer.text().contains(path) || path == "/me", "{at}");
            }
        }
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_a_problem() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let page = client.ask("GET", "/me", &[("accept", "text/html,application/xhtml+xml;q=0.9")]).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("NO_CREDENTIAL") && page.text().contains(page.id()));
    let problem = client.ask("GET", "/me", &[("accept", "application/json")]).await;
    let said: serde_json::Value = serde_json::from_slice(&problem.body).unwrap();
    assert_eq!((said["code"].as_str(), said["status"].as_u64()), (Some("NO_CREDENTIAL"), Some(401)));
    assert_eq!(said["request"].as_str(), Some(problem.id()));
    let keys: Vec<_> = said.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["type", "title", "status", "detail", "code", "request"]);
}
