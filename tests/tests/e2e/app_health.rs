//! Probes of the application that the gate asks in the kubelet's place.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use certs::dev::{DevCa, Validity};
use e2e::app::{After, App};
use e2e::backend::{At, Backend, answer, pipe, streamed};
use e2e::client::Protocol;
use e2e::gate::{Files, Setup, metric, probe};
use e2e::process::{Process, Served, binary, run};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

const SECRET: &str = "what the application says to its kubelet";

/// The application of the probes: what it answers goes by the path.
fn app(listener: TcpListener) -> App {
    App::start_on(listener, |exchange| match exchange.seen.target() {
        "/ready?full=1" | "/login" | "/no-content" => exchange.answer("200 OK", "", SECRET),
        "/moved" => exchange.answer("302 Found", "location: /login\r\n", ""),
        "/away" => exchange.answer("302 Found", "location: https://elsewhere.example/\r\n", ""),
        "/round" => exchange.answer("302 Found", "location: /round\r\n", ""),
        "/slow" => {
            exchange.until_closed();
            After::Close
        }
        "/garbage" => {
            exchange.send("no HTTP at all\r\n\r\n");
            After::Close
        }
        "/broken" => exchange.answer("500 Internal Server Error", "", SECRET),
        _ => exchange.answer("404 Not Found", "", SECRET),
    })
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn get(port: u16, path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": port } })
}

/// A gate with these probes of the container `web`, each under its own container's name.
fn gate(probes: &Value) -> Served {
    let text = probes.to_string();
    let environment = [("ANTEROOM_APP_PROBES", text.as_str()), ("ANTEROOM_POD_IPS", "192.0.2.7,2001:db8::7")];
    Served::start_in(&environment, Setup::default(), App::plain())
}

/// Status and body of what the gate answers.
fn asked(gate: &Served, path: &str) -> (u16, String) {
    let text = probe(gate.health, &format!("/app-health/{path}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
}

#[test]
fn the_application_is_asked_as_the_pod_wrote_it() {
    let app = app(loopback());
    let port = app.address.port();
    let header = |name: &str, value: &str| json!({ "name": name, "value": value });
    let gate = gate(&json!({
        "web": {
            "readyz": { "httpGet": { "path": "/ready?full=1", "port": port, "scheme": "HTTP", "httpHeaders": [
                header("Host", "clinic.example"), header("X-Probe", "a"), header("X-Probe", "b"),
            ]}, "timeoutSeconds": 5 },
            "livez": get(port, "/no-content"),
        },
    }));
    assert_eq!(asked(&gate, "web/readyz"), (200, "ok".to_owned()));
    let seen = app.last();
    assert_eq!(seen.line(), "GET /ready?full=1 HTTP/1.1");
    assert_eq!((seen.header("host"), seen.all("x-probe")), (Some("clinic.example"), vec!["a", "b"]));
    assert!(seen.header("user-agent").unwrap().starts_with("kube-probe/"));
    assert_eq!(asked(&gate, "web/livez").0, 200);
    assert_eq!(app.last().header("host"), Some(format!("192.0.2.7:{port}").as_str()), "as the kubelet names the pod");
    let before = app.count();
    for unknown in ["web/startupz", "web/readyz/", "web", "other/readyz", "web/readyz%20", ""] {
        assert_eq!(asked(&gate, unknown).0, 404, "{unknown}");
    }
    let head = "HTTP/1.1 405 ";
    assert!(e2e::gate::send(gate.health, "POST /app-health/web/readyz HTTP/1.1\r\nhost: x\r\n\r\n").starts_with(head));
    assert_eq!(app.count(), before, "nothing but what is recorded is asked");
}

#[test]
fn what_the_kubelet_takes_for_well_is_well() {
    let app = app(loopback());
    let port = app.address.port();
    let http = |path: &str| json!({ "livez": get(port, path) });
    let closed = loopback().local_addr().unwrap().port();
    let gate = gate(&json!({
        "moved": http("/moved"), "away": http("/away"), "round": http("/round"), "garbage": http("/garbage"),
        "broken": http("/broken"), "missing": http("/missing"), "slow": http("/slow"),
        "refused": { "livez": get(closed, "/") },
        "tcp": { "livez": { "tcpSocket": { "port": port } }, "readyz": { "tcpSocket": { "port": closed } } },
    }));
    for well in ["moved/livez", "away/livez", "tcp/livez"] {
        assert_eq!(asked(&gate, well), (200, "ok".to_owned()), "{well}");
    }
    for (ill, why) in [
        ("broken/livez", "answered 5xx"),
        ("missing/livez", "answered 4xx"),
        ("round/livez", "redirects too often"),
        ("garbage/livez", "no answer of HTTP"),
        ("slow/livez", "did not answer in time"),
        ("refused/livez", "refuses connections"),
        ("tcp/readyz", "refuses connections"),
    ] {
        let (status, body) = asked(&gate, ill);
        assert!(status == 503 && body.contains(why) && !body.contains(SECRET), "{ill}: {status} {body}");
    }
    assert_eq!(app.seen().iter().filter(|seen| seen.target() == "/round").count(), 10);
}

#[test]
fn a_crowd_of_askers_is_one_to_the_application_and_holds_up_no_other_probe() {
    let app = app(loopback());
    let port = app.address.port();
    let gate = gate(&json!({ "web": { "livez": get(port, "/slow"), "readyz": get(port, "/login") } }));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..60).map(|_| scope.spawn(|| asked(&gate, "web/livez").0)).collect();
        while app.count() == 0 {
            assert!(began.elapsed() < e2e::PATIENCE);
        }
        assert!(probe(gate.health, "/readyz").contains(" 200 "));
        assert_eq!(asked(&gate, "web/readyz").0, 200);
        for one in crowd {
            assert_eq!(one.join().unwrap(), 503);
        }
    });
    let slow = app.seen().iter().filter(|seen| seen.target() == "/slow").count();
    assert!(slow <= 3, "{slow} questions in {:?}", began.elapsed());
    let quick = Instant::now();
    let before = app.count();
    for _ in 0..20 {
        assert_eq!(asked(&gate, "web/readyz").0, 200);
    }
    let most = usize::try_from(quick.elapsed().as_millis() / 500).unwrap() + 1;
    assert!(app.count() - before <= most, "{} in {:?}", app.count() - before, quick.elapsed());
}

#[test]
fn who_hangs_up_does_not_let_the_next_one_ask_at_once() {
    let app = app(loopback());
    let gate = gate(&json!({ "web": { "livez": get(app.address.port(), "/slow") } }));
    let began = Instant::now();
    for _ in 0..50 {
        let mut one = TcpStream::connect(gate.health).unwrap();
        one.write_all(b"GET /app-health/web/livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        // Once this is answered, the one before it was heard.
        assert!(probe(gate.health, "/livez").contains(" 200 "));
        drop(one);
    }
    assert_eq!(asked(&gate, "web/livez").0, 503);
    // Each takes a second, and its answer serves for half of one.
    let most = usize::try_from(began.elapsed().as_millis() / 1_500).unwrap() + 1;
    assert!(app.connections() <= most, "{} questions in {:?}", app.connections(), began.elapsed());
}

#[test]
fn an_application_on_ipv6_loopback_alone_is_found() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let app = app(listener);
    let gate = gate(&json!({ "web": { "livez": get(app.address.port(), "/login") } }));
    assert_eq!(asked(&gate, "web/livez").0, 200);
}

#[test]
fn tls_is_taken_without_a_look_at_the_certificate() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Long over, and of an authority that nobody knows.
    let ca = DevCa::generate(Validity::days(now - 90_000_000, 3)).unwrap();
    let pair = ca.issue(&["nobody.example"], Validity::days(now - 90_000_000, 2)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pair.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let tls = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let backend = Backend::start(At::Tls(tls), Protocol::Http1, |_| async { answer(200, &[], "ok") });
    let port = backend.address.unwrap().port();
    let gate = gate(&json!({
        "web": {
            "livez": { "httpGet": { "path": "/x", "port": port, "scheme": "HTTPS" } },
            "readyz": { "httpGet": { "path": "/x", "port": port } },
        },
    }));
    assert_eq!(asked(&gate, "web/livez").0, 200);
    assert_eq!(backend.last().uri.path(), "/x");
    assert_eq!(asked(&gate, "web/readyz").0, 503, "in clear it is no HTTP");
}

#[test]
fn grpc_is_asked_for_its_health() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request| async move {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        let asked = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
        let (serving, status) = match &asked[5..] {
            [] => (1, "0"),
            b"\x0a\x06clinic" => (2, "0"),
            _ => (3, "5"),
        };
        let (answers, body) = pipe();
        tokio::spawn(async move {
            answers.send(vec![0, 0, 0, 0, 2, 8, serving]).await;
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            answers.end_with(trailers).await;
        });
        streamed(200, &[("content-type", "application/grpc")], body)
    });
    let port = backend.address.unwrap().port();
    let rpc = |service: Option<&str>| match service {
        Some(service) => json!({ "livez": { "grpc": { "port": port, "service": service } } }),
        None => json!({ "livez": { "grpc": { "port": port } } }),
    };
    let gate = gate(&json!({ "all": rpc(None), "clinic": rpc(Some("clinic")), "other": rpc(Some("other")) }));
    assert_eq!(asked(&gate, "all/livez").0, 200);
    assert_eq!(asked(&gate, "clinic/livez"), (503, "the application is not serving".to_owned()));
    assert_eq!(asked(&gate, "other/livez"), (503, "the application does not know the service".to_owned()));
}

#[test]
fn what_the_pod_says_must_be_understood() {
    let files = Files::write(&Setup::default(), App::plain().address);
    for (name, value, told) in [
        ("ANTEROOM_APP_PROBES", "{", "EOF"),
        ("ANTEROOM_APP_PROBES", r#"{"web": {"livez": {"exec": {"command": ["true"]}}}}"#, "unknown field `exec`"),
        ("ANTEROOM_APP_PROBES", r#"{"web": {"livez": {"tcpSocket": {"port": 1, "host": "10.0.0.1"}}}}"#, "`10.0.0.1`"),
        ("ANTEROOM_POD_IPS", "127.0.0.1", "`127.0.0.1` is not how others reach the pod"),
        ("ANTEROOM_POD_IPS", "pod-7", "`pod-7` is no address"),
    ] {
        for command in ["run", "check"] {
            let mut process = std::process::Command::new(binary());
            process.current_dir(files.root()).args([command, "--config", "config.yaml"]).env(name, value);
            let mut process = Process::start_as(&mut process);
            let code = process.end().code();
            let said = process.err();
            assert!(code == Some(2) && said.contains(told) && said.contains(name), "{command} {name}={value}: {said}");
        }
    }
    assert_eq!(run(files.root(), &["check", "--config", "config.yaml"]).code, Some(0));
}

#[test]
fn no_probe_waits_for_the_application_that_is_not_there() {
    let gone = Duration::from_millis(500);
    let gate = gate(&json!({}));
    let began = Instant::now();
    for path in ["/startedz", "/livez", "/readyz"] {
        assert!(probe(gate.health, path).contains(" 200 "), "{path}");
    }
    assert!(began.elapsed() < gone, "{:?}", began.elapsed());
    assert!(metric(gate.health, "process_start_time_seconds", &[]) > 0.0);
    assert_eq!(gate.app.count(), 0);
}
