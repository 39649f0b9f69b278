//! Handshakes: who is turned away and how that is told, what is resumed, and what is said of certificates that end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use certs::dev::{DevCa, Validity};
use e2e::app::App;
use e2e::client::{HOST, connect, tls};
use e2e::gate::{Files, Gate, Setup};
use e2e::process::{self, Served, free_port};
use e2e::raw::Raw;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;

/// What a client of this gate believes.
pub(crate) fn roots(gate: &Gate) -> RootCertStore {
    roots_of(&gate.files.ca)
}

fn roots_of(ca: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    roots
}

fn speaking(ca: &str, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots_of(ca))
        .with_no_client_auth()
}

const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Files of a gate whose `tls` section has more in it.
pub(crate) fn with_tls(setup: &Setup, more: &str, app: &App) -> Files {
    let files = Files::write(setup, app.address);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let plain = "tls: { certificates: [{ directory: tls }] }";
    assert!(config.contains(plain));
    files.put(
        "config.yaml",
        &config.replace(plain, &format!("tls: {{ certificates: [{{ directory: tls }}], {more} }}")),
    );
    files
}

fn count(gate: &Gate, result: &str) -> f64 {
    gate.metric("anteroom_tls_handshakes_total", &[("result", result)])
}

#[tokio::test]
async fn an_old_client_is_refused_and_counted_by_its_reason() {
    let gate = Gate::plain();
    let refused = connect(gate.https, speaking(&gate.files.ca, OLD), HOST).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    e2e::until("the refusal to be counted", || (count(&gate, "old_version") == 1.0).then_some(()));
    assert_eq!(gate.metric("anteroom_tls_handshake_duration_seconds_count", &[("result", "failed")]), 1.0);
    assert_eq!(gate.metric("anteroom_connections", &[]), 0.0);
}

#[tokio::test]
async fn tls_1_2_is_served_where_it_is_asked_for_and_1_3_still_wins() {
    let app = App::plain();
    let files = with_tls(&Setup::default(), "minimum: \"1.2\"", &app);
    let gate = Gate::start_with(files, app, Setup::default().clock);
    let old = connect(gate.https, speaking(&gate.files.ca, OLD), HOST).await.unwrap();
    assert_eq!(old.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = format!("{:?}", old.get_ref().1.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.starts_with("TLS_ECDHE_"), "{suite}");
    assert_eq!(Raw::over(old).ask(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n")).await.unwrap().status(), 200);
    let new = connect(gate.https, tls(&gate.files.ca, &[b"h2"]), HOST).await.unwrap();
    assert_eq!(new.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

fn served(files: Files, app: App, health: SocketAddr) -> Served {
    Served::start_with(files, app, health)
}

#[tokio::test]
async fn the_log_names_each_reason_once_a_minute_and_no_client() {
    let health = free_port();
    let app = App::plain();
    let files = Files::write(&Setup { health: health.to_string(), ..Setup::default() }, app.address);
    let gate = tokio::task::spawn_blocking(move || served(files, app, health)).await.unwrap();
    let ca = &gate.files.ca;
    for _ in 0..3 {
        connect(gate.https, speaking(ca, OLD), HOST).await.unwrap_err();
        connect(gate.https, tls(ca, &[b"h2"]), "canary.example").await.unwrap_err();
        connect(gate.https, tls(ca, &[b"imap"]), HOST).await.unwrap_err();
    }
    let stranger = DevCa::generate(Validity::days(now(), 1)).unwrap();
    connect(gate.https, tls(stranger.ca_pem(), &[b"h2"]), HOST).await.unwrap_err();
    e2e::until("all to be counted", || {
        let all: f64 = ["old_version", "unknown_name", "no_protocol", "by_the_client"]
            .iter()
            .map(|word| e2e::gate::metric(health, "anteroom_tls_handshakes_total", &[("result", word)]))
            .sum();
        (all == 10.0).then_some(())
    });
    let lines = e2e::until("the lines", || {
        let log = gate.log();
        let told: Vec<_> = log.into_iter().filter(|line| line["message"] == "a TLS handshake was refused").collect();
        (told.len() >= 4).then_some(told)
    });
    let mut reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["by_the_client", "no_protocol", "old_version", "unknown_name"], "{lines:?}");
    assert!(lines.iter().all(|line| line["count"] == 1 && line["level"] == "warn"), "{lines:?}");
    let old = lines.iter().find(|line| line["reason"] == "old_version").unwrap();
    assert!(old["detail"].as_str().unwrap().contains("`tls.minimum`"), "{old}");
    let all = serde_json::to_string(&lines).unwrap();
    assert!(!all.contains("canary") && !all.contains("127.0.0.1"), "{all}");
}

#[tokio::test]
async fn a_session_ends_with_what_it_began_under_and_no_sooner() {
    let gate = Gate::plain();
    let config = Arc::new(tls(&gate.files.ca, &[b"http/1.1"]));
    let kind = async || {
        let stream = tokio::net::TcpStream::connect(gate.https).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(&config)).connect(name, stream).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        // The tickets come with the answer.
        let answer = Raw::over(stream).ask(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n")).await.unwrap();
        assert_eq!(answer.status(), 200);
        kind
    };
    let reloaded = async |done: u64| {
        while gate.shared().reloads.status().done < done {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    assert_eq!(kind().await, HandshakeKind::Full);
    // The two workers share one configuration, and so its tickets.
    assert_eq!(kind().await, HandshakeKind::Resumed);
    gate.running.as_ref().unwrap().reloads().ask();
    e2e::soon("a reload", reloaded(1)).await;
    assert_eq!(kind().await, HandshakeKind::Resumed, "nothing of TLS has changed");
    let ca = DevCa::generate(Validity::days(now(), 3)).unwrap();
    let pair = ca.issue(&[HOST], Validity::days(now(), 2)).unwrap();
    gate.files.put("tls/tls.crt", &pair.cert_pem);
    gate.files.put("tls/tls.key", &pair.key_pem);
    e2e::soon("another reload", reloaded(2)).await;
    // The client resumes without looking at a certificate, so it would not notice the new authority if it could.
    let stream = tokio::net::TcpStream::connect(gate.https).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let refused = tokio_rustls::TlsConnector::from(Arc::clone(&config)).connect(name, stream).await;
    assert!(refused.unwrap_err().to_string().contains("certificate"), "a full handshake");
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_told_in_the_log_and_in_status() {
    let health = free_port();
    let app = App::plain();
    let files = Files::write(&Setup { health: health.to_string(), ..Setup::default() }, app.address);
    let gate = tokio::task::spawn_blocking(move || served(files, app, health)).await.unwrap();
    // The harness' certificate lasts two days.
    let line =
        e2e::until("the line", || gate.log().into_iter().find(|line| line["message"] == "a certificate ends soon"));
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.contains("clinic.example") && detail.ends_with("in 1 days"), "{line}");
    assert!(line["seconds"].as_i64().unwrap() > 100_000, "{line}");
    let status = process::run(gate.files.root(), &["status", "--control", "control.sock"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["certificates"][0]["expires_soon"], true);
    assert_eq!(status["client_certificates"], serde_json::Value::Null);
}
