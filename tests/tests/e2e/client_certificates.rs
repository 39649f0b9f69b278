//! Clients that show certificates: who is believed, who that is, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use anteroom::clock::Clock;
use certs::dev::{ClientName, DevCa, IssuedPair, Validity};
use e2e::app::App;
use e2e::client::{HOST, connect};
use e2e::gate::{Gate, Setup};
use e2e::raw::{Raw, RawAnswer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::handshakes::{now, roots, with_tls};

/// The value of `identity` in most tests.
const DEVICES: &str = "identity: { provider: devices, name: spiffe, callers: { \
    \"spiffe://clinic.example/devices/**\": { tenant: a, roles: [provider] }, \
    \"spiffe://clinic.example/devices/desk\": { tenant: b, roles: [front_desk] } } }";
const SEVEN: ClientName<'_> = ClientName::Uri("spiffe://clinic.example/devices/7");

/// A gate that asks for certificates, and the authority behind them.
struct Asking {
    gate: Gate,
    ca: DevCa,
}

impl Asking {
    /// `more` stands in `client_certificates`, beside `ca`.
    fn start(mode: &str, more: &str, crl: Option<&dyn Fn(&DevCa) -> String>) -> Self {
        Self::start_at(mode, more, crl, Setup::default().clock)
    }

    fn start_at(mode: &str, more: &str, crl: Option<&dyn Fn(&DevCa) -> String>, clock: Clock) -> Self {
        let app = App::plain();
        let ca = DevCa::generate(Validity::days(now(), 30)).unwrap();
        let list = if crl.is_some() { "crl: clients.crl, " } else { "" };
        let written = format!("client_certificates: {{ mode: {mode}, ca: clients.pem, {list}{more} }}");
        let files = with_tls(&Setup::default(), &written, &app);
        files.put("clients.pem", ca.ca_pem());
        if let Some(crl) = crl {
            files.put("clients.crl", &crl(&ca));
        }
        Self { gate: Gate::start_with(files, app, clock), ca }
    }

    fn issue(&self, name: ClientName<'_>) -> IssuedPair {
        self.ca.issue_client(&[name], Validity::days(now(), 2)).unwrap()
    }

    fn config(&self, pair: &IssuedPair) -> ClientConfig {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pair.cert_pem.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots(&self.gate))
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    async fn open(&self, pair: &IssuedPair) -> Raw {
        Raw::over(connect(self.gate.https, self.config(pair), HOST).await.unwrap())
    }

    /// Whether the gate serves this client at all. In TLS 1.3 a client learns of a refusal with its first read.
    async fn serves(&self, config: ClientConfig) -> bool {
        let Ok(stream) = connect(self.gate.https, config, HOST).await else { return false };
        get(&mut Raw::over(stream), "/", "").await.is_some_and(|answer| answer.status() == 200)
    }

    fn counted(&self, result: &str) -> f64 {
        self.gate.metric("anteroom_tls_handshakes_total", &[("result", result)])
    }

    async fn reloaded(&self, done: u64) {
        let wait = async {
            while self.gate.shared().reloads.status().done < done {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        e2e::soon("a reload", wait).await;
    }
}

fn plain(gate: &Gate) -> ClientConfig {
    e2e::client::tls(&gate.files.ca, &[b"http/1.1"])
}

async fn get(raw: &mut Raw, path: &str, headers: &str) -> Option<RawAnswer> {
    raw.ask(format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{headers}\r\n")).await
}

fn code(answer: Option<RawAnswer>) -> (u16, String) {
    let answer = answer.unwrap();
    (answer.status(), answer.code())
}

fn no_list(ca: &DevCa) -> String {
    ca.revoke(&[], Validity::days(now(), 1)).unwrap()
}

#[tokio::test]
async fn a_spiffe_id_is_a_principal_and_the_record_names_it() {
    let asking = Asking::start("optional", DEVICES, None);
    let mut raw = asking.open(&asking.issue(SEVEN)).await;
    let answer = get(&mut raw, "/api/patients/p1/records/7", "").await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = asking.gate.app.last();
    assert_eq!(seen.header("x-user-id"), Some("spiffe://clinic.example/devices/7"));
    assert_eq!((seen.header("x-tenant-id"), seen.header("x-user-roles")), (Some("a"), Some("provider")));
    let event = asking.gate.files.event(answer.header("x-request-id"));
    assert_eq!(event["actor"]["iss"], "certificate:devices");
    assert_eq!(event["actor"]["sub"], "spiffe://clinic.example/devices/7");
    assert_eq!(event["tenant"], "a");
    // The most exact name counts: this one is of another clinic.
    let mut desk = asking.open(&asking.issue(ClientName::Uri("spiffe://clinic.example/devices/desk"))).await;
    assert_eq!(code(get(&mut desk, "/me", "").await).0, 200);
    assert_eq!(asking.gate.app.last().header("x-tenant-id"), Some("b"));
}

#[tokio::test]
async fn other_kinds_of_names_are_principals_too() {
    for (kind, listed, name) in [
        ("dns", "*.devices.example", ClientName::Dns("seven.devices.example")),
        ("email", "ada@clinic.example", ClientName::Email("ada@clinic.example")),
        ("uri", "urn:clinic:7", ClientName::Uri("urn:clinic:7")),
    ] {
        let identity = format!(
            "identity: {{ provider: devices, name: {kind}, callers: {{ \"{listed}\": {{ tenant: a, roles: [provider] }} }} }}"
        );
        let asking = Asking::start("required", &identity, None);
        let mut raw = asking.open(&asking.issue(name)).await;
        assert_eq!(code(get(&mut raw, "/me", "").await).0, 200, "{kind}");
    }
}

#[tokio::test]
async fn names_that_are_not_listed_or_not_clear_prove_nobody() {
    let asking = Asking::start("optional", DEVICES, None);
    for name in [
        "spiffe://clinic.example/other/7",
        "spiffe://other.example/devices/7",
        "spiffe://clinic.example/devices/7\0",
        "spiffe://clinic.example/devices/../devices/7",
        "https://clinic.example/devices/7",
    ] {
        let mut raw = asking.open(&asking.issue(ClientName::Uri(name))).await;
        assert_eq!(code(get(&mut raw, "/me", "").await), (401, "TOKEN_INVALID".to_owned()), "{name:?}");
        assert_eq!(code(get(&mut raw, "/", "").await).0, 200, "a public page is for everyone");
        assert_eq!(asking.gate.app.last().header("x-user-id"), None);
    }
    let two = asking.ca.issue_client(&[SEVEN, ClientName::Uri("urn:x")], Validity::days(now(), 2)).unwrap();
    let mut raw = asking.open(&two).await;
    assert_eq!(code(get(&mut raw, "/me", "").await).1, "TOKEN_INVALID");
    // Without a certificate it is nobody, not a bad credential.
    let mut raw = Raw::over(connect(asking.gate.https, plain(&asking.gate), HOST).await.unwrap());
    assert_eq!(code(get(&mut raw, "/me", "").await), (401, "NO_CREDENTIAL".to_owned()));
}

#[tokio::test]
async fn a_token_wins_over_the_certificate_and_is_judged_alone() {
    let asking = Asking::start("optional", DEVICES, None);
    let mut raw = asking.open(&asking.issue(SEVEN)).await;
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let issuer = asking.gate.issuer();
    assert_eq!(code(get(&mut raw, "/me", &bearer(&issuer.ada())).await).0, 200);
    assert_eq!(asking.gate.app.last().header("x-user-id"), Some("ada.example"));
    let forged = code(get(&mut raw, "/me", &bearer(&issuer.forged())).await);
    assert_eq!(forged, (401, "TOKEN_INVALID".to_owned()), "the certificate does not make up for it");
    assert_eq!(code(get(&mut raw, "/me", "").await).0, 200);
    assert_eq!(asking.gate.app.last().header("x-user-id"), Some("spiffe://clinic.example/devices/7"));
}

#[tokio::test]
async fn required_means_that_nobody_comes_without() {
    let asking = Asking::start("required", DEVICES, Some(&no_list));
    assert!(asking.serves(asking.config(&asking.issue(SEVEN))).await);
    assert!(!asking.serves(plain(&asking.gate)).await);
    let strangers = DevCa::generate(Validity::days(now(), 30)).unwrap();
    let stranger = strangers.issue_client(&[SEVEN], Validity::days(now(), 2)).unwrap();
    assert!(!asking.serves(asking.config(&stranger)).await);
    let server = asking.ca.issue(&["clinic.example"], Validity::days(now(), 2)).unwrap();
    assert!(!asking.serves(asking.config(&server)).await, "a certificate of a server is none of a client");
    e2e::until("the refusals", || {
        (asking.counted("no_certificate") == 1.0 && asking.counted("bad_certificate") == 2.0).then_some(())
    });
    let until = asking.gate.metric("anteroom_crl_next_update_seconds", &[]);
    assert!((until - (now() + 86_400) as f64).abs() < 100.0, "{until}");
}

#[tokio::test]
async fn a_bad_certificate_is_refused_where_none_is_needed() {
    let asking = Asking::start("optional", DEVICES, None);
    assert!(asking.serves(plain(&asking.gate)).await);
    let stranger = DevCa::generate(Validity::days(now(), 30)).unwrap();
    let stranger = stranger.issue_client(&[SEVEN], Validity::days(now(), 2)).unwrap();
    assert!(!asking.serves(asking.config(&stranger)).await);
}

#[tokio::test]
async fn a_list_that_is_old_lets_nobody_in() {
    let old = |ca: &DevCa| ca.revoke(&[], Validity { not_before: now() - 7_200, not_after: now() - 3_600 }).unwrap();
    let asking = Asking::start("optional", DEVICES, Some(&old));
    assert!(!asking.serves(asking.config(&asking.issue(SEVEN))).await);
    assert!(asking.serves(plain(&asking.gate)).await);
    e2e::until("the refusal", || (asking.counted("bad_certificate") == 1.0).then_some(()));
}

#[tokio::test]
async fn a_revoked_client_loses_its_open_connection_and_its_session() {
    let asking = Asking::start("optional", DEVICES, Some(&no_list));
    let (good, bad) = (asking.issue(SEVEN), asking.issue(SEVEN));
    let (good_config, bad_config) = (asking.config(&good), asking.config(&bad));
    let mut kept = Raw::over(connect(asking.gate.https, good_config.clone(), HOST).await.unwrap());
    let mut lost = Raw::over(connect(asking.gate.https, bad_config.clone(), HOST).await.unwrap());
    for raw in [&mut kept, &mut lost] {
        assert_eq!(code(get(raw, "/me", "").await).0, 200);
    }
    // Its session is resumed as long as nothing has changed.
    let again = connect(asking.gate.https, bad_config.clone(), HOST).await.unwrap();
    assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    let mut again = Raw::over(again);
    assert_eq!(code(get(&mut again, "/me", "").await).0, 200);

    asking.gate.files.put("clients.crl", &asking.ca.revoke(&[&bad], Validity::days(now(), 1)).unwrap());
    asking.reloaded(1).await;
    assert_eq!(code(get(&mut kept, "/me", "").await).0, 200, "the other one goes on");
    for raw in [&mut lost, &mut again] {
        assert_eq!(code(get(raw, "/me", "").await), (401, "TOKEN_INVALID".to_owned()));
    }
    assert!(!asking.serves(bad_config).await, "no ticket helps");
    assert!(asking.serves(good_config).await);
}

#[tokio::test]
async fn a_certificate_ends_in_its_second_and_a_list_within_a_minute() {
    let start = now();
    for (with_list, expected) in [(false, "TOKEN_EXPIRED"), (true, "TOKEN_INVALID")] {
        let clock = Clock::manual(start * 1_000);
        let list: Option<&dyn Fn(&DevCa) -> String> = if with_list { Some(&no_list) } else { None };
        let asking = Asking::start_at("optional", DEVICES, list, clock);
        let config = asking.config(&asking.issue(SEVEN));
        let mut raw = Raw::over(connect(asking.gate.https, config.clone(), HOST).await.unwrap());
        assert_eq!(code(get(&mut raw, "/me", "").await).0, 200);
        // The list lasts a day, the certificate two.
        asking.gate.clock().advance(Duration::from_secs(if with_list { 90_000 } else { 180_000 }));
        assert_eq!(code(get(&mut raw, "/me", "").await), (401, expected.to_owned()));
        // The library takes the ticket by the machine's clock; the gate looks at the certificate again.
        assert!(!asking.serves(config).await, "{expected}");
    }
}

#[tokio::test]
async fn once_certificates_are_required_an_open_connection_without_one_serves_nothing() {
    let asking = Asking::start("optional", DEVICES, None);
    let mut raw = Raw::over(connect(asking.gate.https, plain(&asking.gate), HOST).await.unwrap());
    assert_eq!(code(get(&mut raw, "/", "").await).0, 200);
    let config = std::fs::read_to_string(asking.gate.files.path("config.yaml")).unwrap();
    asking.gate.files.put("config.yaml", &config.replace("mode: optional", "mode: required"));
    asking.reloaded(1).await;
    assert_eq!(code(get(&mut raw, "/", "").await), (401, "NO_CREDENTIAL".to_owned()));
}

#[tokio::test]
async fn no_header_is_a_certificate() {
    let asking = Asking::start("optional", DEVICES, None);
    let mut raw = Raw::over(connect(asking.gate.https, plain(&asking.gate), HOST).await.unwrap());
    let names = [
        "x-ssl-client-cert",
        "x-ssl-client-verify",
        "ssl-client-s-dn",
        "x-client-cert",
        "x-client-cert-chain",
        "client-cert",
        "client-cert-chain",
        "x-forwarded-client-cert",
        "x-forwarded-tls-client-cert-info",
        "x-arr-clientcert",
        "x-amzn-mtls-clientcert",
        "cf-client-cert-der-base64",
    ];
    let forged: String = names.iter().map(|name| format!("{name}: canary\r\n")).collect();
    assert_eq!(code(get(&mut raw, "/me", &forged).await), (401, "NO_CREDENTIAL".to_owned()));
    assert_eq!(code(get(&mut raw, "/", &forged).await).0, 200);
    assert!(!asking.gate.app.last().headers().iter().any(|(_, value)| *value == "canary"));
}

#[tokio::test]
async fn a_browser_with_a_certificate_is_asked_where_the_request_comes_from() {
    let asking = Asking::start("optional", DEVICES, None);
    let mut raw = asking.open(&asking.issue(SEVEN)).await;
    let post = |headers: &str| format!("POST /me HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\n{headers}\r\n");
    assert_eq!(raw.ask(post("")).await.unwrap().status(), 200, "a machine says nothing of sites");
    let foreign = raw.ask(post("sec-fetch-site: cross-site\r\n")).await;
    assert_eq!(code(foreign), (403, "CROSS_SITE".to_owned()));
    let foreign = raw.ask(post("origin: https://evil.example\r\n")).await;
    assert_eq!(code(foreign), (403, "CROSS_SITE".to_owned()));
    assert_eq!(raw.ask(post(&format!("origin: https://{HOST}\r\n"))).await.unwrap().status(), 200);
}

#[test]
fn what_is_not_clear_is_refused_before_it_runs() {
    let app = App::plain();
    let ca = DevCa::generate(Validity::days(now(), 30)).unwrap();
    for (written, expected) in [
        ("identity: { provider: devices, name: spiffe, callers: {} }", "`callers` has 0 entries"),
        (
            "identity: { provider: clinic, name: dns, callers: { a.example: { tenant: a } } }",
            "provider of tokens already",
        ),
        ("identity: { provider: d, name: dns, callers: { A.example: { tenant: a } } }", "no name of this kind"),
        ("identity: { provider: d, name: dns, callers: { \"*\": { tenant: a } } }", "no name of this kind"),
        ("identity: { provider: d, name: dns, callers: { a.example: { tenant: \"\" } } }", "no name for a tenant"),
        (
            "identity: { provider: d, name: dns, callers: { a.example: { tenant: a, roles: [\"a,b\"] } } }",
            "name for a role",
        ),
        (
            "identity: { provider: d, name: spiffe, callers: { \"spiffe://a/x\": { tenant: a }, \"spiffe://b/x\": { tenant: a } } }",
            "another trust domain",
        ),
        ("crl: clients.pem", "`X509 CRL`"),
        ("crl: missing.crl", "cannot read"),
    ] {
        let files =
            with_tls(&Setup::default(), &format!("client_certificates: {{ ca: clients.pem, {written} }}"), &app);
        files.put("clients.pem", ca.ca_pem());
        let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
        let text = policy::render(&faults.diagnostics, &faults.sources, false);
        assert!(text.contains(expected), "{written}:\n{text}");
    }
}
