//! What the gate tells a collector, what it never tells, and that a collector which is down is nobody's problem.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anteroom::telemetry::metrics::METRICS;
use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol};
use e2e::collector::{Collector, Manner, attribute, hex, written};
use e2e::gate::{Files, Gate, Setup};
use e2e::key_server::{KEYS, KeyServer};
use e2e::process::Served;
use e2e::until;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const PATH: &str = "/api/patients/canary-4711/records/canary-7?q=canary-query";

/// A setup that sends to `address` whatever it has to tell.
fn exporting(address: &str, traces: &str) -> Setup {
    Setup {
        more: format!("telemetry: {{ otlp: \"{address}\", traces: {traces}, interval: 1s }}\n"),
        ..Setup::default()
    }
}

fn to(collector: &Collector) -> Setup {
    exporting(&format!("http://{}", collector.address), "100%")
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The spans of the requests with this trace id, server and client.
fn pair(collector: &Collector, trace: &str) -> (Span, Span) {
    until("the spans of a request", || {
        let spans = collector.spans();
        let of = |kind| spans.iter().find(|one| hex(&one.trace_id) == trace && one.kind == kind).cloned();
        Some((of(2)?, of(3)?))
    })
}

#[tokio::test]
async fn spans_metrics_and_logs_arrive_and_hold_nothing_that_a_client_chose() {
    let collector = Collector::plain(Manner::Take);
    let setup = Setup { log: "trace".to_owned(), ..to(&collector) };
    let gate = Served::start(setup, App::plain());
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http2, "clinic.example").await;
    let bearer = |changes| format!("Bearer {}", gate.files.issuer.changed(changes));
    let good =
        bearer(json!({ "sub": "canary-sub", "patient": "canary-claim", "azp": "canary-azp", "jti": "canary-jti" }));
    let given = traceparent("01");
    let mut headers = vec![
        ("authorization", good.as_str()),
        ("traceparent", given.as_str()),
        ("tracestate", "canary=canary-state"),
        ("user-agent", "canary-agent"),
        ("x-canary", "canary-header"),
        ("cookie", "canary=canary-cookie"),
        ("baggage", "canary=canary-baggage"),
    ];
    assert_eq!(client.ask("GET", PATH, &headers).await.status, 200);
    headers.retain(|(name, _)| *name != "traceparent");
    let other = bearer(json!({ "org_id": "canary-org", "roles": ["canary-role"], "sub": "canary-sub" }));
    for (method, path, status) in [
        ("GET", "/canary/canary-path?canary-query", 404),
        ("CANARY", "/open/canary-path", 405),
        ("GET", "/open/canary-path/../x", 400),
        ("GET", PATH, 403),
        ("GET", "/open/canary-path?canary-query=canary", 200),
    ] {
        headers[0].1 = other.as_str();
        assert_eq!(client.ask(method, path, &headers).await.status, status, "{method} {path}");
    }
    headers[0].1 = "Bearer canary.canary.canary";
    assert_eq!(client.ask("GET", PATH, &headers).await.status, 401);

    let (server, call) = pair(&collector, TRACE);
    assert_eq!(server.name, "GET /api/patients/{patient}/records/**");
    assert_eq!((hex(&server.parent_span_id), &call.parent_span_id), (PARENT.to_owned(), &server.span_id));
    let of = |name| attribute(&server.attributes, name);
    assert_eq!(of("http.request.method"), "GET");
    assert_eq!(of("http.route"), "/api/patients/{patient}/records/**");
    assert_eq!(of("http.response.status_code"), "200");
    assert_eq!((of("anteroom.rule"), of("anteroom.decision")), ("records".to_owned(), "allow".to_owned()));
    assert!(server.start_time_unix_nano <= call.start_time_unix_nano);
    assert!(call.end_time_unix_nano <= server.end_time_unix_nano);
    assert_eq!(attribute(&call.attributes, "http.response.status_code"), "200");

    let codes = ["NO_ROUTE", "METHOD_NOT_ALLOWED", "BAD_PATH", "NOT_GRANTED", "TOKEN_INVALID"];
    let known = [
        "http.request.method",
        "http.response.status_code",
        "url.scheme",
        "anteroom.decision",
        "http.route",
        "anteroom.rule",
        "anteroom.code",
        "error.type",
    ];
    for code in codes {
        let span = until(code, || {
            collector.spans().into_iter().find(|one| attribute(&one.attributes, "anteroom.code") == code)
        });
        assert!(span.parent_span_id.is_empty(), "a trace of our own");
        let line = until(code, || collector.logs().into_iter().find(|one| attribute(&one.attributes, "code") == code));
        assert_eq!(
            (line.severity_text.as_str(), written(&line.body.unwrap())),
            ("INFO", "a request was refused".to_owned())
        );
    }
    for attribute in collector.spans().iter().flat_map(|one| &one.attributes) {
        assert!(known.contains(&attribute.key.as_str()), "`{}`", attribute.key);
    }
    until("a debug line", || collector.logs().into_iter().find(|one| one.severity_number == 5));
    let names = until("metrics", || {
        let names: BTreeSet<_> = collector.metrics().into_iter().map(|one| one.name).collect();
        names.contains("http.server.request.duration").then_some(names)
    });
    for name in [
        "http.server.active_requests",
        "http.client.request.duration",
        "anteroom.requests",
        "anteroom.tls.handshake.duration",
        "anteroom.record.events",
        "anteroom.telemetry.dropped",
        "process.start_time",
    ] {
        assert!(names.contains(name), "`{name}` in {names:?}");
    }
    for resource in collector.resources() {
        let of = |name| attribute(&resource.attributes, name);
        assert_eq!((of("service.name"), resource.attributes.len()), ("anteroom".to_owned(), 3));
        assert!(!of("service.version").is_empty() && !of("service.instance.id").is_empty());
    }
    // The log says the same on standard output, field by field.
    let sent: BTreeSet<_> = collector.logs().iter().map(|one| attribute(&one.attributes, "request")).collect();
    for line in gate.log().iter().filter(|line| line["message"] == "a request was refused") {
        assert!(sent.contains(line["request"].as_str().unwrap()), "{line}");
    }
    let everything = collector.everything().to_ascii_lowercase();
    if let Some(at) = everything.find("canary") {
        let from = at.saturating_sub(100);
        panic!("a canary came through: {:?}", everything.chars().skip(from).take(200).collect::<String>());
    }
    assert!(!everything.contains("127.0.0.1:") || !everything.contains(&gate.app.address.to_string()));
}

#[tokio::test]
async fn a_trace_goes_on_below_our_span() {
    for protocol in BOTH {
        let collector = Collector::plain(Manner::Take);
        let gate = Gate::start(to(&collector), App::plain());
        let mut client = Client::open(&gate, protocol).await;
        let given = traceparent("01");
        let headers = [("traceparent", given.as_str()), ("tracestate", "a=1,b=2"), ("connection", "traceparent")];
        let headers = if protocol == Protocol::Http1 { &headers[..] } else { &headers[..2] };
        let answer = client.ask("GET", "/open/x", headers).await;
        let (_, call) = pair(&collector, TRACE);
        let seen = gate.app.last();
        assert_eq!(seen.header("traceparent"), Some(format!("00-{TRACE}-{}-01", hex(&call.span_id)).as_str()));
        assert_eq!(seen.header("tracestate"), Some("a=1,b=2"));
        assert_eq!(gate.files.event(answer.id())["trace"], TRACE);

        // A client that declines is not traced; the application is told so, and the record knows the trace.
        let given = traceparent("00");
        let answer = client.ask("GET", "/open/x", &[("traceparent", &given)]).await;
        let passed = gate.app.last().header("traceparent").unwrap().to_owned();
        assert!(passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-00"), "{passed}");
        assert!(!passed.contains(PARENT));
        assert_eq!(gate.files.event(answer.id())["trace"], TRACE);

        // What is malformed is dropped, with its state; the trace is then a new one of ours.
        for bad in ["canary", "00-canary-canary-01", &given.replace("00-", "01-"), &format!("{given}-x")] {
            let answer = client.ask("GET", "/open/x", &[("traceparent", bad), ("tracestate", "a=1")]).await;
            let seen = gate.app.last();
            let event = gate.files.event(answer.id());
            let trace = event["trace"].as_str().unwrap();
            assert!(trace != TRACE && trace.len() == 32, "{bad}");
            assert!(seen.header("traceparent").unwrap().starts_with(&format!("00-{trace}-")), "{bad}");
            assert_eq!(seen.header("tracestate"), None, "{bad}");
        }
        let long = format!("a={}", "x".repeat(511));
        client.ask("GET", "/open/x", &[("traceparent", &traceparent("01")), ("tracestate", &long)]).await;
        let seen = gate.app.last();
        assert!(seen.header("traceparent").is_some() && seen.header("tracestate").is_none());
    }
}

#[tokio::test]
async fn without_an_exporter_a_good_trace_passes_and_a_bad_one_does_not() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let given = traceparent("01");
    client.ask("GET", "/open/x", &[("traceparent", &given), ("tracestate", "a=1")]).await;
    let seen = gate.app.last();
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(given.as_str()), Some("a=1")));
    client.ask("GET", "/open/x", &[("traceparent", "junk"), ("tracestate", "a=1")]).await;
    let seen = gate.app.last();
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (None, None));
    let answer = client.ask("GET", "/open/x", &[]).await;
    assert_eq!(gate.app.last().header("traceparent"), None);
    assert!(gate.files.event(answer.id()).get("trace").is_none());
}

#[tokio::test]
async fn a_client_cannot_ask_for_more_than_our_share() {
    let collector = Collector::plain(Manner::Take);
    let mut gate = Gate::start(exporting(&format!("http://{}", collector.address), "20%"), App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for _ in 0..300 {
        client.ask("GET", "/quiet", &[("traceparent", &traceparent("01"))]).await;
    }
    gate.stop().await;
    let traced = collector.spans().iter().filter(|one| one.kind == 2).count();
    // 60 are expected; 20 and 120 are more than five standard deviations away.
    assert!((20..=120).contains(&traced), "{traced} of 300");
    let asked = gate.app.seen().iter().filter(|one| one.header("traceparent").unwrap().ends_with("-01")).count();
    assert_eq!(asked, traced, "the application is asked to trace what we trace");
}

#[tokio::test]
async fn what_is_left_goes_out_when_the_gate_stops() {
    let collector = Collector::plain(Manner::Take);
    let setup = Setup {
        more: format!("telemetry: {{ otlp: \"http://{}/base/\", traces: 100%, interval: 1h }}\n", collector.address),
        ..Setup::default()
    };
    let mut gate = Gate::start(setup, App::plain());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    client.ask("GET", "/open/x", &[]).await;
    gate.stop().await;
    assert_eq!(collector.received("/base/v1/metrics").len(), 1);
    assert!(!collector.received("/base/v1/traces").is_empty());
}

#[tokio::test]
async fn a_collector_that_hangs_slows_nothing_down() {
    let collector = Collector::plain(Manner::Hang);
    let quiet = Gate::plain();
    let mut gate = Gate::start(to(&collector), App::plain());
    let mut without = Client::open(&quiet, Protocol::Http1).await;
    let mut with = Client::open(&gate, Protocol::Http1).await;
    until("the exporter to hang", || (collector.count() > 0).then_some(()));
    let (mut usual, mut hung) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for (client, times) in [(&mut without, &mut usual), (&mut with, &mut hung)] {
            let started = Instant::now();
            assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
            times.push(started.elapsed());
        }
    }
    usual.sort();
    hung.sort();
    let (usual, hung) = (usual[100], hung[100]);
    assert!(hung < usual * 2 + Duration::from_millis(2), "{usual:?} without, {hung:?} with");
    // A round of metrics is given up after its time, and counted.
    until("a round to be given up", || {
        (gate.metric("anteroom_telemetry_dropped_total", &[("signal", "metrics")]) > 0.0).then_some(())
    });
    let started = Instant::now();
    gate.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "the last of it gets two seconds: {:?}", started.elapsed());
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_said_once() {
    let collector = Collector::plain(Manner::Refuse(400));
    let gate = Served::start(to(&collector), App::plain());
    let mut client = Client::open_at(gate.https, &gate.files.ca, Protocol::Http1, "clinic.example").await;
    client.ask("GET", "/open/x", &[]).await;
    for signal in ["traces", "metrics", "logs"] {
        until(signal, || {
            (e2e::gate::metric(gate.health, "anteroom_telemetry_dropped_total", &[("signal", signal)]) > 0.0)
                .then_some(())
        });
    }
    let warned = |signal: &str| {
        let said =
            |line: &serde_json::Value| line["message"] == "telemetry cannot be delivered" && line["signal"] == signal;
        gate.log().into_iter().filter(said).count()
    };
    until("a second round", || (collector.received("/v1/metrics").len() > 2).then_some(()));
    for signal in ["traces", "metrics", "logs"] {
        assert_eq!(warned(signal), 1, "{signal}");
    }
    collector.behave(Manner::Take);
    until("better times", || {
        gate.log()
            .into_iter()
            .find(|line| line["message"] == "telemetry is delivered again" && line["signal"] == "metrics")
    });
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_what_it_missed() {
    let collector = Collector::plain(Manner::Refuse(503));
    let gate = Gate::start(to(&collector), App::plain());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let given = traceparent("01");
    client.ask("GET", "/open/x", &[("traceparent", &given)]).await;
    until("a first try", || (!collector.received("/v1/traces").is_empty()).then_some(()));
    collector.behave(Manner::Take);
    until("a second try", || (collector.received("/v1/traces").len() > 1).then_some(()));
    assert!(gate.metric("anteroom_telemetry_dropped_total", &[("signal", "traces")]) == 0.0);
}

#[tokio::test]
async fn a_remote_collector_is_verified_and_gets_its_key() {
    let collector = Collector::tls(Manner::Take);
    let key = "telemetry-key";
    let more = |ca: &str| {
        format!(
            "telemetry: {{ otlp: \"https://{}\", traces: 100%, interval: 1s, ca: {ca}, headers: {{ file: {key} }} }}\n",
            collector.address
        )
    };
    let start = |ca: &str, with: &str| {
        let key = (key, "Authorization: Bearer secret-of-the-collector\n".to_owned());
        let files = vec![key, ("collector.pem", with.to_owned())];
        Gate::start(Setup { more: more(ca), files, ..Setup::default() }, App::plain())
    };
    let stranger = start("ca.pem", "");
    let dropped = |gate: &Gate| gate.metric("anteroom_telemetry_dropped_total", &[("signal", "metrics")]);
    until("a handshake to fail", || (dropped(&stranger) > 0.0).then_some(()));
    assert_eq!(collector.count(), 0, "nothing goes to a collector whose certificate is not trusted");
    drop(stranger);
    let known = start("collector.pem", collector.ca.as_deref().unwrap());
    let first = until("metrics", || collector.received("/v1/metrics").pop());
    assert!(first.head.contains("authorization: Bearer secret-of-the-collector\r\n"), "{}", first.head);
    assert!(first.head.contains("content-type: application/x-protobuf\r\n"), "{}", first.head);
    assert_eq!(dropped(&known), 0.0);
}

#[tokio::test]
async fn a_reload_takes_up_another_collector_but_does_not_switch_it_off() {
    let (first, second) = (Collector::plain(Manner::Take), Collector::plain(Manner::Take));
    let gate = Gate::start(to(&first), App::plain());
    until("the first", || (first.count() > 0).then_some(()));
    let config = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    gate.files.put("config.yaml", &config.replace(&first.address.to_string(), &second.address.to_string()));
    until("the second", || (second.count() > 1).then_some(()));
    let count = first.count();
    gate.files.put("config.yaml", config.split_once("telemetry:").unwrap().0);
    until("a refusal", || (gate.metric("anteroom_reload_failed", &[]) > 0.0).then_some(()));
    assert!(gate.shared().reloads.status().failure.as_ref().unwrap().faults[0].contains("`telemetry`"));
    let before = second.count();
    until("the second to go on", || (second.count() > before).then_some(()));
    assert_eq!(first.count(), count, "the first is left alone");
}

#[test]
fn what_is_unsafe_is_refused_with_a_hint() {
    let app = App::plain();
    for (telemetry, code, said) in [
        ("{ otlp: \"http://collector:4318\" }", "telemetry", "unencrypted"),
        ("{ otlp: \"http://192.0.2.7:4318\" }", "telemetry", "unencrypted"),
        ("{ otlp: \"https://key@collector:4318\" }", "telemetry", "user name"),
        ("{ otlp: collector:4318 }", "telemetry", "no address"),
        ("{ otlp: \"http://127.0.0.1:4318\", ca: ca.pem }", "telemetry", "`https` only"),
        ("{ otlp: \"https://collector:4318\", ca: jwks.json }", "telemetry", "CA bundle"),
        ("{ otlp: \"https://collector:4318\", ca: ca.pem, headers: { file: jwks.json } }", "telemetry", "line 1"),
        ("{ otlp: \"http://127.0.0.1:4318\", traces: 1 }", "bad-unit", "percentage"),
        ("{ otlp: \"http://127.0.0.1:4318\", traces: 101% }", "bad-unit", "more than the whole"),
        ("{ otlp: \"http://127.0.0.1:4318\", interval: 10ms }", "range", "`1s` and `1h`"),
        ("{ traces: 1% }", "missing-key", "otlp"),
    ] {
        let setup = Setup { more: format!("telemetry: {telemetry}\n"), ..Setup::default() };
        let files = Files::write(&setup, app.address);
        let faults = anteroom::config::prepare(&files.path("config.yaml")).expect_err(telemetry);
        let shown = policy::render(&faults.diagnostics, &faults.sources, false);
        let fault = faults.diagnostics.iter().find(|one| one.code == code);
        assert!(fault.is_some() && shown.contains(said), "{telemetry}:\n{shown}");
    }
}

/// Every metric is on the list that the manual is made of, with its labels, and every one on the list is shown.
#[tokio::test]
async fn the_list_of_metrics_is_what_is_shown() {
    let app = App::start(|exchange| {
        if exchange.seen.target().starts_with("/open/hang-up") {
            return After::Close;
        }
        exchange.read_body();
        exchange.answer("200 OK", "set-cookie: bare=1\r\n", "ok")
    });
    // The controls that observe have something to observe, and there is a list of revoked certificates.
    let setup = Setup { more: "rollout: { cookies: observe, csp: observe }\n".to_owned(), ..Setup::default() };
    let clients = "client_certificates: { mode: optional, ca: clients.pem, crl: clients.crl }";
    let files = crate::handshakes::with_tls(&setup, clients, &app);
    let valid = certs::dev::Validity::days(crate::handshakes::now(), 2);
    let ca = certs::dev::DevCa::generate(valid).unwrap();
    files.put("clients.pem", ca.ca_pem());
    files.put("clients.crl", &ca.revoke(&[], valid).unwrap());
    let keys = KeyServer::start(&files, files.issuer.key.key_set()).await;
    let fetched = format!("{{ url: \"{}\", ca: ca.pem, private: [127.0.0.0/8] }}", keys.url(KEYS));
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap().replace("{ file: jwks.json }", &fetched);
    files.put("config.yaml", &config);
    let gate = Gate::start_with(files, app, setup.clock);
    crate::reload::eventually("the keys", || gate.shared().unready().is_empty().then_some(())).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().ada();
    assert_eq!(client.get("/api/patients/1/records/7", &token).await.status, 200);
    assert_eq!(client.ask("GET", "/nowhere", &[]).await.status, 404);
    assert_eq!(client.ask("GET", "/open/hang-up", &[]).await.status, 502);
    let report = r#"{"csp-report": {"document-uri": "https://clinic.example/", "effective-directive": "img-src"}}"#;
    let kind = [("content-type", "application/csp-report")];
    assert_eq!(client.post("POST", "/.anteroom/csp-report", &kind, report).await.status, 204);
    let shown = shown(&gate.probe("/metrics"));
    let listed: BTreeMap<_, BTreeSet<_>> = METRICS
        .iter()
        .map(|one| {
            (one.name.to_owned(), one.labels.split(", ").filter(|one| !one.is_empty()).map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(shown, listed);
}

/// The names of the metrics in a text, each with all the labels that it has anywhere.
fn shown(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("# TYPE ") {
            current = named.split(' ').next().unwrap().to_owned();
            found.entry(current.clone()).or_default();
        } else if line.starts_with(&current) && !current.is_empty() {
            let labels =
                line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
            // Values hold neither `=` nor `"` here.
            let names = labels.split('"').step_by(2).map(|name| name.trim_start_matches(',').trim_end_matches('='));
            let names = names.filter(|name| !name.is_empty() && *name != "le").map(str::to_owned);
            found.entry(current.clone()).or_default().extend(names);
        }
    }
    found
}
