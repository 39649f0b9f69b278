//! Controls that are observed: they let pass what they would have refused, and say so; and what is never waived.

use bytes::Bytes;
use e2e::app::App;
use e2e::client::{BOTH, Client, Protocol, untold};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::raw::Raw;
use e2e::{process, until};
use serde_json::{Value, json};

fn observing(control: &str) -> Setup {
    Setup { more: format!("rollout: {{ {control}: observe }}\n"), ..Setup::default() }
}

fn status(gate: &Gate) -> Value {
    let control = gate.files.path("control.sock");
    let out = process::run(gate.files.root(), &["status", "--control", control.to_str().unwrap()]);
    serde_json::from_str(&out.out).unwrap()
}

/// What `control` says of itself in `status`.
fn said(gate: &Gate, control: &str) -> Value {
    let status = status(gate);
    let others = status["rollout"].as_object().unwrap().iter().filter(|(name, _)| *name != control);
    for (name, other) in others {
        assert_eq!(other["stage"], "enforce", "{name}");
        assert_eq!(other.get("would_have").and_then(Value::as_u64).unwrap_or(0), 0, "{name}");
    }
    status["rollout"][control].clone()
}

fn observed(gate: &Gate, id: &str, code: &str) {
    let event = gate.files.event(id);
    let said = (&event["code"], &event["decision"], &event["mode"]);
    assert_eq!(said, (&json!(code), &json!("observe"), &json!("observe")));
}

#[tokio::test]
async fn observed_errors_leave_as_they_are_and_are_counted() {
    let app = App::start(|exchange| {
        exchange.read_body();
        exchange.answer("500 Oops", "content-type: text/html\r\nx-inner: 7\r\n", "a trace")
    });
    let gate = Gate::start(observing("errors"), app);
    for protocol in BOTH {
        let answer = Client::open(&gate, protocol).await.ask("GET", "/open/x", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text(), answer.header("x-inner")), (500, "a trace", "7"));
        let event = gate.files.event(answer.id());
        assert_eq!((&event["app_error"], &event["decision"]), (&json!("observed"), &json!("allow")));
    }
    assert_eq!(said(&gate, "errors"), json!({ "stage": "observe", "would_have": 2 }));
    assert_eq!(gate.metric("anteroom_observed_total", &[("control", "errors")]), 2.0);
}

#[tokio::test]
async fn observed_limits_let_pass_and_say_so() {
    let act = "  labs.read: { limit: { per: subject, rate: 1/h, burst: 1 } }\n";
    let setup = Setup {
        policy: POLICY.replace("acts:\n", &format!("acts:\n{act}")),
        limits: "{ per_address: { rate: 1/h, burst: 3 }, refused_per_address: { rate: 1/h, burst: 1 } }".to_owned(),
        ..observing("limits")
    };
    let gate = Gate::start(setup, App::plain());
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.get("/api/labs", &token).await.status, 200);
    let act = client.get("/api/labs", &token).await;
    assert_eq!((act.status.as_u16(), act.header("ratelimit")), (200, ""));
    observed(&gate, act.id(), "LIMITED");
    for _ in 0..3 {
        let refused = client.ask("GET", "/no/such/place", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (404, "NO_ROUTE"), "a refusal stays what it is");
    }
    // The address has used up its refusals and its requests, and this token was not seen before.
    let fresh = gate.issuer().token("ben.example", "a", &["provider"]);
    let pressed = client.get("/me", &fresh).await;
    assert_eq!(pressed.status, 200);
    observed(&gate, pressed.id(), "LIMITED");
    let told = said(&gate, "limits");
    assert_eq!(told["stage"], "observe");
    assert!(told["would_have"].as_u64().unwrap() >= 3, "{told}");
}

#[tokio::test]
async fn an_observed_body_passes_whatever_its_size() {
    let gate = Gate::start(Setup { limits: "{ body: 1KiB }".to_owned(), ..observing("body") }, App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let fits = client.post("POST", "/open/x", &[], vec![b'x'; 1_024]).await;
        assert_eq!(gate.files.event(fits.id())["decision"], "allow");
        let told = client.post("POST", "/open/x", &[], Bytes::from(vec![b'x'; 5_000])).await;
        assert_eq!((told.status.as_u16(), gate.app.last().body.len()), (200, 5_000));
        observed(&gate, told.id(), "TOO_LARGE");
        let request = client.request("POST", "/open/x").body(untold(5_000)).unwrap();
        let untold = client.send(request).await;
        assert_eq!((untold.status.as_u16(), gate.app.last().body.len()), (200, 5_000));
        observed(&gate, untold.id(), "TOO_LARGE");
    }
    assert_eq!(said(&gate, "body"), json!({ "stage": "observe", "would_have": 4 }));
}

#[tokio::test]
async fn an_observed_policy_is_reported_only_and_stops_no_frame() {
    let app = App::start(|exchange| {
        exchange.read_body();
        exchange.answer("200 OK", "x-frame-options: SAMEORIGIN\r\n", "ok")
    });
    let gate = Gate::start(observing("csp"), app);
    for protocol in BOTH {
        let answer = Client::open(&gate, protocol).await.ask("GET", "/open/x", &[]).await;
        assert_eq!(answer.header("content-security-policy"), "");
        let expected = "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; report-uri /.anteroom/csp-report; \
                        report-to anteroom";
        assert_eq!(answer.header("content-security-policy-report-only"), expected);
        assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN", "the application's own word stays");
    }
    assert_eq!(said(&gate, "csp"), json!({ "stage": "observe", "would_have": 0 }));
}

#[tokio::test]
async fn observed_hsts_is_soon_forgotten() {
    let gate = Gate::start(observing("hsts"), App::plain());
    let answer = Client::open(&gate, Protocol::Http2).await.ask("GET", "/open/x", &[]).await;
    assert_eq!(answer.header("strict-transport-security"), "max-age=300");
    assert_eq!(said(&gate, "hsts"), json!({ "stage": "observe" }), "what browsers make of it nobody can count");
}

/// With everything observed that can be, these hold all the same.
#[tokio::test]
async fn some_things_are_never_waived() {
    let all = "rollout: { cookies: observe, csrf: observe, csp: observe, hsts: observe, errors: observe, \
               limits: observe, body: observe }\n";
    let gate = Gate::start(Setup { more: all.to_owned(), ..Setup::default() }, App::plain());
    for (head, status, code) in [
        ("GET /open/%2e%2e/me HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
        ("GET /open/a%2fb HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 400, "BAD_PATH"),
        (
            "GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nauthorization: a\r\nauthorization: b\r\n\r\n",
            400,
            "BAD_HEADER",
        ),
        ("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\nx-http-method-override: PUT\r\n\r\n", 400, "BAD_HEADER"),
        ("GET /open/x HTTP/1.1\r\nhost: evil.example\r\n\r\n", 400, "BAD_HOST"),
        ("GET /me HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 401, "NO_CREDENTIAL"),
        ("GET /nowhere HTTP/1.1\r\nhost: clinic.example\r\n\r\n", 404, "NO_ROUTE"),
    ] {
        let mut raw = Raw::open(&gate).await;
        let answer = raw.ask(head).await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{head}");
    }
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let forged = [("authorization", &*format!("Bearer {token}")), ("x-tenant-id", "evil")];
    assert_eq!(client.ask("GET", "/me", &forged).await.status, 200);
    assert_eq!(gate.app.last().header("x-tenant-id"), Some("a"));
    let other = client.get("/api/clinics/b/labs", &token).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (403, "TENANT_MISMATCH"));
    let events = until("the record", || Some(gate.files.record()).filter(|events| events.len() == 9));
    assert_eq!(events.iter().filter(|event| event["decision"] == "deny").count(), 8);
}
