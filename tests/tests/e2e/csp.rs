//! Content policies in two stages, and the reports of browsers.

use std::time::Duration;

use e2e::app::App;
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Files, Gate, POLICY, Setup};
use e2e::process;
use serde_json::{Value, json};

const REPORTS: &str = "/.anteroom/csp-report";
const OLD: (&str, &str) = ("content-type", "application/csp-report");
const NEW: (&str, &str) = ("content-type", "application/reports+json");
const STAGED: &str = "{ csp: { enforce: \"frame-ancestors 'none'\", observe: \"script-src 'self'\" } }";

fn staged() -> Gate {
    Gate::start(Setup { headers: STAGED.to_owned(), ..Setup::default() }, App::plain())
}

fn policies(answer: &Answer, name: &str) -> Vec<String> {
    answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn old(directive: &str, disposition: Option<&str>) -> String {
    let mut report = json!({
        "document-uri": "https://clinic.example/patients/4711-canary",
        "violated-directive": directive,
        "blocked-uri": "https://evil.example/canary",
        "original-policy": "script-src 'self'",
    });
    if let Some(disposition) = disposition {
        report["disposition"] = disposition.into();
    }
    json!({ "csp-report": report }).to_string()
}

fn new(directive: &str, disposition: &str) -> Value {
    json!({ "type": "csp-violation", "age": 3, "url": "https://clinic.example/patients/4711-canary", "user_agent": "x",
        "body": { "effectiveDirective": directive, "disposition": disposition, "blockedURL": "inline",
            "documentURL": "https://clinic.example/patients/4711-canary", "statusCode": 200 } })
}

fn counted(gate: &Gate, directive: &str, disposition: &str) -> f64 {
    gate.metric("anteroom_csp_reports_total", &[("directive", directive), ("disposition", disposition)])
}

#[tokio::test]
async fn two_policies_go_out_together_and_both_say_where_reports_go() {
    let gate = staged();
    let suffix = "; report-uri /.anteroom/csp-report; report-to anteroom";
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for path in ["/open/x", "/me"] {
            let answer = client.ask("GET", path, &[]).await;
            assert_eq!(policies(&answer, "content-security-policy"), [format!("frame-ancestors 'none'{suffix}")]);
            let observed = policies(&answer, "content-security-policy-report-only");
            assert_eq!(observed, [format!("script-src 'self'{suffix}")]);
            assert_eq!(answer.header("reporting-endpoints"), "anteroom=\"/.anteroom/csp-report\"");
        }
    }
    let plain = Gate::plain();
    let answer = Client::open(&plain, Protocol::Http2).await.ask("GET", "/open/x", &[]).await;
    let expected = "object-src 'none'; base-uri 'self'; frame-ancestors 'none'";
    assert_eq!(policies(&answer, "content-security-policy"), [expected], "nothing is staged, so nothing is reported");
    assert_eq!(policies(&answer, "content-security-policy-report-only").len(), 0);
    assert_eq!(answer.header("reporting-endpoints"), "");
}

#[tokio::test]
async fn reports_are_counted_by_directive_and_leave_nothing_else_behind() {
    let gate = staged();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let all = json!([new("img-src", "report"), { "type": "deprecation", "body": {} }, new("img-src", "enforce"),
            new("canary-src", "report")]);
        for (kind, text) in [
            (OLD, old("script-src-elem 'self'", None)),
            (OLD, old("script-src-elem", Some("report"))),
            (NEW, all.to_string()),
        ] {
            let answer = client.post("POST", REPORTS, &[kind], text).await;
            assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
            assert_ne!(answer.header("strict-transport-security"), "");
        }
    }
    let expected =
        [("script-src-elem", "unsaid"), ("script-src-elem", "report"), ("img-src", "report"), ("img-src", "enforce")];
    for (directive, disposition) in expected {
        assert_eq!(counted(&gate, directive, disposition), 2.0, "{directive} {disposition}");
    }
    assert_eq!(counted(&gate, "other", "report"), 2.0, "a directive that nobody knows has no name of its own");
    assert_eq!(gate.metric("anteroom_observed_total", &[("control", "csp")]), 8.0);
    assert!(!gate.probe("/metrics").contains("canary"));
    assert_eq!((gate.app.count(), gate.files.record().len()), (0, 0), "neither access nor a denial");
    let control = gate.files.path("control.sock");
    let status = process::run(gate.files.root(), &["status", "--control", control.to_str().unwrap()]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["csp_reports"]["report"], json!({ "img-src": 2, "other": 2, "script-src-elem": 2 }));
    assert_eq!(status["rollout"]["csp"], json!({ "stage": "enforce", "would_have": 8 }));
}

#[tokio::test]
async fn what_is_no_report_of_ours_is_not_counted() {
    let gate = staged();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let elsewhere = old("img-src", None).replace("https://clinic.example", "https://evil.example");
    let long = old("img-src", None).replace("4711", &"4".repeat(17 * 1024));
    for (kind, text) in [
        (OLD, elsewhere),
        (OLD, long),
        (("content-type", "text/plain"), old("img-src", None)),
        (NEW, old("img-src", None)),
        (OLD, json!([new("img-src", "report")]).to_string()),
        (NEW, "[".repeat(10_000)),
        (OLD, String::new()),
    ] {
        assert_eq!(client.post("POST", REPORTS, &[kind], text).await.status, 204);
    }
    let many: Vec<_> = (0..70)
        .map(|_| {
            json!({ "type": "csp-violation", "url": "https://clinic.example/",
        "body": { "effectiveDirective": "font-src" } })
        })
        .collect();
    client.post("POST", REPORTS, &[NEW], Value::from(many).to_string()).await;
    assert_eq!(counted(&gate, "font-src", "unsaid"), 50.0, "of those that come together the first fifty count");
    assert_eq!(gate.metric("anteroom_csp_reports_total", &[]), 50.0);
}

#[tokio::test]
async fn one_address_cannot_count_without_end_and_is_answered_all_the_same() {
    let gate = staged();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let started = std::time::Instant::now();
    for _ in 0..400 {
        assert_eq!(client.post("POST", REPORTS, &[OLD], old("img-src", None)).await.status, 204);
    }
    let most = 201.0 + 10.0 * (started.elapsed() + Duration::from_millis(100)).as_secs_f64();
    let count = counted(&gate, "img-src", "unsaid");
    assert!((200.0..=most.max(200.0)).contains(&count), "{count} of at most {most}");
    assert_eq!(gate.files.record().len(), 0);
}

#[tokio::test]
async fn nothing_under_the_gates_own_path_reaches_the_application() {
    let wide = POLICY.replace("routes:\n", "routes:\n  all: { path: \"/**\", methods: { \"*\": public } }\n");
    for (headers, post) in [(STAGED, 204), ("{}", 404)] {
        let setup = Setup { policy: wide.clone(), headers: headers.to_owned(), ..Setup::default() };
        let gate = Gate::start(setup, App::plain());
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            assert_eq!(client.post("POST", REPORTS, &[OLD], old("img-src", None)).await.status.as_u16(), post);
            for (method, path) in
                [("GET", REPORTS), ("POST", "/.anteroom/x"), ("PUT", "/.anteroom"), ("GET", "/.anteroom/")]
            {
                let answer = client.ask(method, path, &[]).await;
                assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NO_ROUTE"), "{method} {path}");
            }
        }
        assert_eq!(gate.app.count(), 0);
    }
}

#[test]
fn a_route_cannot_name_the_gates_own_path() {
    for path in ["/.anteroom/csp-report", "/.anteroom/{x}", "/.anteroom/**"] {
        let own = format!("routes:\n  own: {{ path: \"{path}\", methods: {{ POST: public }} }}\n");
        let setup = Setup { policy: POLICY.replace("routes:\n", &own), ..Setup::default() };
        let files = Files::write(&setup, "127.0.0.1:3000".parse().unwrap());
        let faults = anteroom::config::prepare(&files.path("config.yaml")).unwrap_err();
        assert!(faults.diagnostics.iter().any(|one| one.code == "reserved-path"), "{path}: {:?}", faults.diagnostics);
    }
}
