//! Every way to an application: in clear, through a unix socket, over TLS, on HTTP/1.1 and HTTP/2; and what is no way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certs::dev::{DevCa, IssuedPair, Validity};
use e2e::app::{After, App};
use e2e::backend::{At, Backend, answer};
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::process::Served;
use e2e::raw::Raw;
use e2e::{soon, until};
use http_body_util::BodyExt as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

fn setup(way: String) -> Setup {
    Setup { way: Some(way), ..Setup::default() }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    }
}

/// Says what it got: method, target, host, body.
fn echo(at: At, protocol: Protocol) -> Backend {
    Backend::start(at, protocol, |request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
        let host = host.or(parts.uri.authority().map(|one| one.as_str())).unwrap_or_default();
        let target = parts.uri.path_and_query().unwrap();
        let text = format!("{} {target} {host} {}", parts.method, String::from_utf8_lossy(&body));
        answer(200, &[("x-own", "1")], text)
    })
}

async fn ask(gate: &Gate, protocol: Protocol) -> Answer {
    Client::open(gate, protocol).await.post("POST", "/open/x?a=b", &[], "body").await
}

/// Authorities and certificates of an application of its own.
struct Pki {
    ca: DevCa,
    app: IssuedPair,
    client: IssuedPair,
}

impl Pki {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ca = DevCa::generate(Validity::days(now, 3)).unwrap();
        let issue = |names: &[&str]| ca.issue(names, Validity::days(now, 2)).unwrap();
        let app = issue(&["localhost", "app.internal"]);
        // It names no host.
        let client = ca.issue_client(&[], Validity::days(now, 2)).unwrap();
        Self { ca, app, client }
    }

    fn server(
        &self,
        demand: bool,
        alpn: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = if demand {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.ca.ca_pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(self.app.cert_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.app.key_pem.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
        Arc::new(config)
    }

    /// The files of a gate in front of it.
    fn files(&self) -> Vec<(&'static str, String)> {
        vec![
            ("app-ca.pem", self.ca.ca_pem().to_owned()),
            ("ours/tls.crt", self.client.cert_pem.clone()),
            ("ours/tls.key", self.client.key_pem.clone()),
        ]
    }
}

/// A gate before `backend`; `tls` are the keys of `app.tls`, and `host` stands in the URL.
fn secured(pki: &Pki, backend: &Backend, host: &str, protocol: Protocol, tls: &str) -> Setup {
    let port = backend.address.unwrap().port();
    let way = format!("url: \"https://{host}:{port}\", protocol: {}, tls: {{ {tls} }}", word(protocol));
    Setup { files: pki.files(), ..setup(way) }
}

#[tokio::test]
async fn a_request_means_the_same_on_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    for app in BOTH {
        let socket = folder.path().join(word(app));
        let (loopback, unix) = (echo(At::Loopback, app), echo(At::Socket(socket.clone()), app));
        let tls = echo(At::Tls(pki.server(false, &[app.alpn()], &[&version::TLS13])), app);
        let address = loopback.address.unwrap();
        let ways = [
            (&loopback, setup(format!("url: \"http://{address}\", protocol: {}", word(app)))),
            (&unix, setup(format!("url: \"unix:{}\", protocol: {}", socket.display(), word(app)))),
            (&tls, secured(&pki, &tls, "localhost", app, "ca: app-ca.pem")),
        ];
        for (backend, setup) in ways {
            let gate = Gate::start(setup, App::plain());
            for client in BOTH {
                let got = ask(&gate, client).await;
                assert_eq!((got.status.as_u16(), got.header("x-own")), (200, "1"), "{app:?} {}", got.text());
                assert_eq!(got.text(), "POST /open/x?a=b clinic.example body");
                let seen = backend.last();
                assert_eq!(seen.headers["x-forwarded-proto"], "https");
                assert_eq!(seen.headers["content-length"], "4");
                assert_eq!(seen.headers["x-request-id"], got.id());
                assert_eq!(seen.headers.get_all("host").iter().count(), usize::from(app == Protocol::Http1));
            }
        }
    }
}

#[tokio::test]
async fn connections_are_kept_on_every_way() {
    let folder = tempfile::tempdir().unwrap();
    for app in BOTH {
        let socket = folder.path().join(word(app));
        let backend = echo(At::Socket(socket.clone()), app);
        let gate =
            Gate::start(setup(format!("url: \"unix:{}\", protocol: {}", socket.display(), word(app))), App::plain());
        let mut client = Client::open(&gate, Protocol::Http2).await;
        for _ in 0..20 {
            assert_eq!(client.post("POST", "/open/x", &[], "body").await.status, 200);
        }
        assert_eq!(backend.connections(), 1);
    }
}

#[tokio::test]
async fn many_requests_at_once_share_one_connection() {
    let together = Arc::new(tokio::sync::Barrier::new(50));
    let backend = Backend::start(At::Loopback, Protocol::Http2, move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            answer(200, &[], "ok")
        }
    });
    let gate =
        Gate::start(setup(format!("url: \"http://{}\", protocol: http2", backend.address.unwrap())), App::plain());
    let mut clients = Vec::new();
    for _ in 0..50 {
        // One connection is one worker's, so its requests meet in one pool.
        clients.push(Client::open(&gate, Protocol::Http1).await);
    }
    let asking = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.ask("GET", "/open/x", &[]).await.status.as_u16() }));
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), 200);
    }
    assert!(backend.connections() <= 2, "one for each worker");
}

/// What the log says of the one request that failed.
fn detail(served: &Served, id: &str) -> String {
    until("the line of a request", || {
        let lines = served.log();
        let line = lines.iter().find(|line| line["request"] == id && line["detail"].is_string())?;
        Some(line["detail"].as_str().unwrap().to_owned())
    })
}

async fn fails(setup: Setup) -> (u16, String, String) {
    let served = Served::start(setup, App::plain());
    let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http2, e2e::client::HOST).await;
    let got = client.post("POST", "/open/x", &[], "body").await;
    (got.status.as_u16(), got.code(), detail(&served, got.id()))
}

#[tokio::test]
async fn a_certificate_that_is_not_the_right_one_is_not_believed() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    for app in BOTH {
        let backend = echo(At::Tls(theirs.server(false, &[app.alpn()], &[&version::TLS13])), app);
        let down = |detail: &str| (502, "APP_DOWN".to_owned(), detail.to_owned());
        let another_authority = secured(&ours, &backend, "localhost", app, "ca: app-ca.pem");
        let said = "the application's certificate is of an authority that is not trusted";
        assert_eq!(fails(another_authority).await, down(said));
        let systems =
            Setup { files: Vec::new(), ..secured(&theirs, &backend, "localhost", app, "server_name: localhost") };
        assert_eq!(fails(systems).await, down(said), "the system knows nothing of it");
        let another_name = secured(&theirs, &backend, "127.0.0.1", app, "ca: app-ca.pem");
        assert_eq!(fails(another_name).await, down("the application's certificate is for another name"));
        assert_eq!(backend.connections(), 0, "not one byte of a request was sent");
        let named = Gate::start(
            secured(&theirs, &backend, "127.0.0.1", app, "ca: app-ca.pem, server_name: app.internal"),
            App::plain(),
        );
        assert_eq!(ask(&named, Protocol::Http1).await.status, 200);
    }
}

#[tokio::test]
async fn an_application_that_wants_to_know_who_asks_is_shown_a_certificate() {
    let pki = Pki::new();
    for app in BOTH {
        for version in [&version::TLS13, &version::TLS12] {
            let backend = echo(At::Tls(pki.server(true, &[app.alpn()], &[version])), app);
            let tls = "ca: app-ca.pem, client_certificate: { directory: ours }";
            let gate = Gate::start(secured(&pki, &backend, "localhost", app, tls), App::plain());
            assert_eq!(ask(&gate, Protocol::Http2).await.status, 200, "{app:?} {version:?}");
            let (status, code, detail) = fails(secured(&pki, &backend, "localhost", app, "ca: app-ca.pem")).await;
            assert_eq!((status, code.as_str()), (502, "APP_DOWN"), "{app:?} {version:?}");
            // With TLS 1.3 the application says so only behind the handshake, and h2 keeps no word of it.
            let lost = app == Protocol::Http2 && version.version == rustls::ProtocolVersion::TLSv1_3;
            let said = detail.contains("certificate") || detail.contains("TLS") || (lost && detail.contains("hung up"));
            assert!(said, "{app:?} {version:?}: {detail}");
            assert_eq!(backend.connections(), 1, "only the first was let in");
        }
    }
}

#[tokio::test]
async fn a_protocol_that_the_application_does_not_speak_is_not_tried_again_as_another_one() {
    let pki = Pki::new();
    let invalid = |detail: &str| (502, "APP_INVALID".to_owned(), detail.to_owned());
    for alpn in [&[][..], &[&b"http/1.1"[..]]] {
        let backend = echo(At::Tls(pki.server(false, alpn, &[&version::TLS13])), Protocol::Http1);
        let (status, code, detail) =
            fails(secured(&pki, &backend, "localhost", Protocol::Http2, "ca: app-ca.pem")).await;
        assert_eq!((status, code.as_str()), (502, "APP_INVALID"));
        assert!(detail.ends_with("(ALPN)"), "{detail}");
        assert!(backend.seen().is_empty());
    }
    let http1 = App::start(|exchange| exchange.answer("400 Bad Request", "", "what is `PRI`?"));
    let way = format!("url: \"http://{}\", protocol: http2", http1.address);
    assert_eq!(fails(setup(way)).await, invalid("the answer is not HTTP/2"));
    assert!(http1.seen().iter().all(|seen| !seen.head.contains("/open")), "the preface, and nothing behind it");
    let http2 = echo(At::Loopback, Protocol::Http2);
    let (status, ..) = fails(setup(format!("url: \"http://{}\"", http2.address.unwrap()))).await;
    assert_eq!(status, 502);
    assert!(http2.seen().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_down() {
    let down = |detail: &str| (502, "APP_DOWN".to_owned(), detail.to_owned());
    for protocol in BOTH {
        let way = |url: &str| setup(format!("url: \"{url}\", protocol: {}", word(protocol)));
        assert_eq!(fails(way("unix:nothing.sock")).await, down("the application's socket does not exist"));
        let refused = down("the application refuses connections");
        let free = e2e::process::free_port();
        assert_eq!(fails(way(&format!("http://{free}"))).await, refused);
        assert_eq!(fails(way(&format!("https://{free}"))).await, refused);
        let nowhere = down("the application's host cannot be found or reached");
        assert_eq!(fails(way("https://nothing.invalid")).await, nowhere);
    }
}

#[tokio::test]
async fn a_crowd_fails_together_and_not_one_after_the_other() {
    // Takes connections and never says a word: over TLS that is a handshake that does not end.
    let silent = App::start(|exchange| {
        exchange.until_closed();
        After::Close
    });
    let way = format!("url: \"https://{}\", protocol: http2", silent.address);
    let gate = Gate::start(Setup { timeouts: "{ connect: 500ms }".to_owned(), ..setup(way) }, App::plain());
    let started = std::time::Instant::now();
    let mut asking = Vec::new();
    for _ in 0..10 {
        let mut client = Client::open(&gate, Protocol::Http1).await;
        asking.push(tokio::spawn(async move { client.ask("GET", "/open/x", &[]).await.status.as_u16() }));
    }
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 502);
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn connections_that_are_asked_to_end_lose_nothing_that_may_be_repeated() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let backend = Backend::start_for(At::Loopback, Protocol::Http2, Some(7), move |_| {
        counted.fetch_add(1, Ordering::AcqRel);
        async move { answer(200, &[], "ok") }
    });
    let way = format!("url: \"http://{}\", protocol: http2", backend.address.unwrap());
    let gate = Gate::start(setup(way), App::plain());
    let mut asking = Vec::new();
    for _ in 0..8 {
        let mut client = Client::open(&gate, Protocol::Http2).await;
        asking.push(tokio::spawn(async move {
            for turn in 0..100 {
                let method = if turn % 2 == 0 { "GET" } else { "DELETE" };
                assert_eq!(client.ask(method, "/open/x", &[]).await.status, 200, "{method}, turn {turn}");
            }
        }));
    }
    for asked in asking {
        soon("the requests", asked).await.unwrap();
    }
    assert_eq!(count.load(Ordering::Acquire), 800, "and nothing came twice");
    assert!(backend.connections() > 20, "{} connections", backend.connections());
}

#[tokio::test]
async fn a_websocket_does_not_reach_an_application_on_http_2() {
    let backend = echo(At::Loopback, Protocol::Http2);
    let way = format!("url: \"http://{}\", protocol: http2", backend.address.unwrap());
    let gate = Gate::start(setup(way), App::plain());
    let head = "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                origin: https://clinic.example\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = Raw::open(&gate).await.ask(head).await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (502, "APP_INVALID"));
    assert!(backend.seen().is_empty());
}

#[tokio::test]
async fn whom_the_gate_believes_changes_with_the_files_and_kept_connections_with_it() {
    let (right, wrong) = (Pki::new(), Pki::new());
    let backend = echo(At::Tls(right.server(false, &[b"h2"], &[&version::TLS13])), Protocol::Http2);
    let gate = Gate::start(secured(&right, &backend, "localhost", Protocol::Http2, "ca: app-ca.pem"), App::plain());
    let reloads = gate.running.as_ref().unwrap().reloads();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    reloads.ask();
    until("a reload without a change", || (gate.metric("anteroom_reload_total", &[]) > 0.0).then_some(()));
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    assert_eq!(backend.connections(), 1, "what has not changed is kept");
    for (ca, status) in [(&wrong, 502), (&right, 200)] {
        gate.files.put("app-ca.pem", ca.ca.ca_pem());
        reloads.ask();
        let started = std::time::Instant::now();
        while client.ask("GET", "/open/x", &[]).await.status != status {
            assert!(started.elapsed() < e2e::PATIENCE, "waited in vain for {status}");
        }
    }
    assert_eq!(backend.connections(), 2);
}
