//! The application's own errors as clients get them, and what may be kept of an answer.

use e2e::app::{After, App};
use e2e::client::{Answer, BOTH, Client, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use serde_json::{Value, json};

const TRACE: &str = "NullReferenceException at Clinic.Patients.Show(mrn 4711-canary) in C:\\src\\canary.cs";

/// An application that fails as old ones do: `/open/503` answers 503, and so on.
fn failing() -> App {
    App::start(|exchange| {
        exchange.read_body();
        let target = exchange.seen.target().to_owned();
        let status = target.split('?').next().unwrap().rsplit('/').next().unwrap();
        let kind = target.split("kind=").nth(1).unwrap_or("text/html");
        let headers = format!(
            "content-type: {kind}\r\nretry-after: 120\r\nset-cookie: session=renewed; Path=/\r\n\
             x-debug-token: canary\r\nlocation: /canary\r\nlink: </canary>\r\nwarning: 199 canary \"canary\"\r\n\
             server: canary\r\netag: \"canary\"\r\ncontent-disposition: inline; filename=canary\r\n\
             www-authenticate: Basic realm=canary\r\n"
        );
        exchange.answer(&format!("{status} Canary Failed"), &headers, TRACE)
    })
}

fn head_and_body(answer: &Answer) -> String {
    let text: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n")).collect();
    format!("{text}\n{}", String::from_utf8_lossy(&answer.body))
}

#[tokio::test]
async fn what_an_application_says_of_its_errors_stays_inside() {
    let gate = Gate::start(Setup::default(), failing());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for status in [500, 501, 502, 503, 504, 507, 599] {
            let answer = client.ask("GET", &format!("/open/{status}"), &[]).await;
            assert_eq!(answer.status.as_u16(), status, "the status is the application's");
            assert!(!head_and_body(&answer).contains("canary"), "{}", head_and_body(&answer));
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.header("retry-after"), "120");
            assert_eq!(answer.header("set-cookie"), "session=renewed; Path=/; Secure; HttpOnly; SameSite=Lax");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_ne!(answer.header("strict-transport-security"), "");
            let problem: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((&problem["status"], &problem["request"]), (&json!(status), &json!(answer.id())));
            assert_eq!(problem.get("code"), None, "nothing was refused");
            let event = gate.files.event(answer.id());
            let said = (&event["decision"], &event["code"], &event["status"], &event["app_error"]);
            assert_eq!(said, (&json!("allow"), &Value::Null, &json!(status), &json!("masked")));
        }
        let page = client.ask("GET", "/open/500", &[("accept", "text/html")]).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.text().contains(page.id()) && !page.text().contains("Reason code"), "{}", page.text());
        let head = client.ask("HEAD", "/open/500", &[("accept", "text/html")]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (500, 0));
        assert_eq!(head.header("content-length"), page.header("content-length"));
        for status in [200, 302, 404, 409, 422] {
            let answer = client.ask("GET", &format!("/open/{status}"), &[]).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (status, TRACE));
            assert_eq!(gate.files.event(answer.id()).get("app_error"), None);
        }
    }
    assert_eq!(gate.metric("anteroom_observed_total", &[]), 0.0);
}

#[tokio::test]
async fn streams_and_grpc_and_routes_that_say_so_keep_their_errors() {
    let route = "routes:\n  frank: { path: \"/frank/**\", methods: { \"*\": public }, errors: pass }\n";
    let gate = Gate::start(Setup { policy: POLICY.replace("routes:\n", route), ..Setup::default() }, failing());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for path in ["/frank/500", "/open/500?kind=application/grpc+proto", "/open/503?kind=text/event-stream"] {
            let answer = client.ask("GET", path, &[]).await;
            assert_eq!((answer.status.is_server_error(), answer.text()), (true, TRACE), "{path}");
            assert_eq!(gate.files.event(answer.id())["app_error"], "passed", "{path}");
        }
    }
}

#[tokio::test]
async fn a_masked_error_keeps_the_connection_where_its_end_is_near() {
    let gate = Gate::start(Setup::default(), failing());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for turn in 1..=5 {
        assert_eq!(client.ask("GET", "/open/500", &[]).await.status, 500);
        assert_eq!(client.ask("GET", "/open/200", &[]).await.status, 200, "turn {turn}");
    }
    // A worker may have asked before the rest of the error was read.
    assert!(gate.app.connections() <= 3, "{}", gate.app.connections());

    gate.app.follow(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 500 Canary\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        let mut sent = 0;
        while exchange.send(&chunk) && sent < 1_000 {
            sent += 1;
        }
        assert!(sent < 1_000, "the gate reads an error without end");
        After::Close
    });
    let answer = client.ask("GET", "/open/500", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len() < 1_000), (500, true));
    let alone = tokio::task::spawn_blocking(move || gate.app.until_alone());
    drop(client);
    e2e::soon("the application to be left alone", alone).await.unwrap();
}

/// An application that lets everyone keep everything.
fn keeping() -> App {
    App::start(|exchange| {
        exchange.read_body();
        let keep = "cache-control: public, max-age=600\r\nsurrogate-control: max-age=600\r\n\
                    cdn-cache-control: public, max-age=600\r\netag: \"1\"\r\n";
        exchange.answer("200 OK", keep, "ok")
    })
}

#[tokio::test]
async fn what_a_known_caller_gets_is_for_no_shared_cache() {
    let kept = "routes:\n  kept: { path: /kept, methods: { GET: authenticated }, cache: private }\n";
    let policy = POLICY.replace("routes:\n", kept);
    for (headers, me, kept) in [
        ("{}", "no-store", "private, max-age=600"),
        ("{ cache: private }", "private, max-age=600", "private, max-age=600"),
    ] {
        let setup = Setup { policy: policy.clone(), headers: headers.to_owned(), ..Setup::default() };
        let gate = Gate::start(setup, keeping());
        let token = gate.issuer().ada();
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            let anyone = client.ask("GET", "/open/x", &[]).await;
            assert_eq!(anyone.header("cache-control"), "public, max-age=600", "nobody is known");
            assert_eq!(anyone.header("surrogate-control"), "max-age=600");
            for (path, expected) in [
                ("/open/x", "private, max-age=600"),
                ("/me", me),
                ("/kept", kept),
                ("/api/patients/p1/records/7", "no-store"),
            ] {
                let answer = client.get(path, &token).await;
                assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, expected), "{path}");
                assert_eq!(answer.header("surrogate-control"), "", "{path}");
                assert_eq!(answer.header("cdn-cache-control"), "", "{path}");
            }
        }
    }
}

/// An application with a word for each of the headers that keep sites apart.
fn opinionated() -> App {
    App::start(|exchange| {
        exchange.read_body();
        let own = "cross-origin-opener-policy: unsafe-none\r\ncross-origin-resource-policy: cross-origin\r\n\
                   permissions-policy: camera=*\r\nreferrer-policy: unsafe-url\r\nx-frame-options: ALLOWALL\r\n";
        exchange.answer("200 OK", own, "ok")
    })
}

#[tokio::test]
async fn sites_are_kept_apart_unless_the_configuration_says_otherwise() {
    let names = [
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        "referrer-policy",
        "x-frame-options",
        "cross-origin-embedder-policy",
    ];
    let strict = "strict-origin-when-cross-origin";
    for (headers, expected) in [
        ("{}", ["same-origin", "same-origin", "camera=()", strict, "DENY", ""]),
        (
            "{ coop: same-origin-allow-popups, corp: cross-origin, permissions: \"camera=(self)\", referrer: same-origin }",
            ["same-origin-allow-popups", "cross-origin", "camera=(self)", "same-origin", "DENY", ""],
        ),
        (
            "{ coop: app, corp: app, permissions: \"\", referrer: app, csp: { enforce: \"frame-ancestors 'self'\" } }",
            ["unsafe-none", "cross-origin", "camera=*", "unsafe-url", "SAMEORIGIN", ""],
        ),
        (
            "{ csp: { enforce: \"frame-ancestors 'self' https://portal.example\" } }",
            ["same-origin", "same-origin", "camera=()", strict, "", ""],
        ),
        ("{ csp: { enforce: \"\" } }", ["same-origin", "same-origin", "camera=()", strict, "DENY", ""]),
    ] {
        let gate = Gate::start(Setup { headers: headers.to_owned(), ..Setup::default() }, opinionated());
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            for path in ["/open/x", "/me"] {
                let answer = client.ask("GET", path, &[]).await;
                for (name, value) in names.iter().zip(expected) {
                    let said = answer.header(name);
                    // What is left to the application is absent where the gate answers.
                    let left = path == "/me" && ["unsafe-none", "unsafe-url", "camera=*"].contains(&value);
                    let left = left || (path == "/me" && headers.contains("corp: app") && value == "cross-origin");
                    let fits = if left {
                        said.is_empty()
                    } else {
                        said == value || (!value.is_empty() && said.contains(value))
                    };
                    assert!(fits, "{headers} {path} {name}: {said}");
                }
            }
        }
    }
}
