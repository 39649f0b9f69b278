//! The application's session beside callers whose tenants a directory tells: theirs, and ended with theirs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::Gate;
use serde_json::json;

use crate::directory::{Service, before};

const LOGOUT: &str = "/.anteroom/logout";

fn start() -> (Gate, Service) {
    let app = App::start(|exchange| {
        exchange.read_body();
        let set = exchange.seen.header("x-set").map(|line| format!("set-cookie: {line}\r\n")).unwrap_or_default();
        exchange.answer("200 OK", &set, "ok")
    });
    let clock = Clock::manual(e2e::issuer::Issuer::new().now * 1_000);
    before(app, clock, ", session: { cookies: [sid] }", "session: { clear: [] }\n")
}

/// What the application got for a cookie.
fn got(gate: &Gate) -> Option<String> {
    gate.app.last().header("cookie").map(str::to_owned)
}

#[tokio::test]
async fn logging_out_ends_it_whether_or_not_the_directory_can_be_asked() {
    for down in [false, true] {
        let (gate, service) = start();
        let mut client = Client::open(&gate, Protocol::Http2).await;
        let ada = gate.issuer().changed(json!({ "org_id": "z", "sid": "s-1", "exp": gate.issuer().now + 7_200 }));
        let bearer = format!("Bearer {ada}");
        let here = [("authorization", bearer.as_str()), ("x-clinic", "a"), ("origin", "https://clinic.example")];
        let ask = |more: &[(&'static str, &'static str)]| [&here[..], more].concat();
        let record = "/api/patients/1/records/7";
        assert_eq!(client.ask("GET", record, &ask(&[("x-set", "sid=mine; Path=/")])).await.status, 200);
        assert_eq!(client.ask("GET", record, &ask(&[("cookie", "sid=mine")])).await.status, 200);
        assert_eq!(got(&gate).as_deref(), Some("sid=mine"));
        if down {
            service.fails.store(true, Ordering::Release);
            gate.clock().advance(Duration::from_secs(3_600));
        }
        assert_eq!(client.ask("POST", LOGOUT, &ask(&[("cookie", "sid=mine")])).await.status, 204);
        assert_eq!(client.ask("GET", "/open/x", &[("cookie", "sid=mine")]).await.status, 200);
        assert_eq!(got(&gate), None, "{down}");
    }
}

#[tokio::test]
async fn on_a_public_page_a_directory_that_is_down_takes_nobodys_own_cookie_away() {
    let (gate, service) = start();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = |subject: &str| {
        let exp = gate.issuer().now + 7_200;
        format!("Bearer {}", gate.issuer().changed(json!({ "sub": subject, "org_id": "z", "exp": exp })))
    };
    let (ada, eve) = (token("ada.example"), token("eve.example"));
    let record = "/api/patients/1/records/7";
    let first = [("authorization", ada.as_str()), ("x-clinic", "a"), ("x-set", "sid=mine; Path=/")];
    assert_eq!(client.ask("GET", record, &first).await.status, 200);
    service.fails.store(true, Ordering::Release);
    gate.clock().advance(Duration::from_secs(3_600));
    let down = client.ask("GET", record, &[("authorization", &ada), ("x-clinic", "a")]).await;
    assert_eq!(down.code(), "PROVIDER_DOWN");
    let anew = [("authorization", ada.as_str()), ("cookie", "sid=mine"), ("x-set", "sid=other; Path=/")];
    let answer = client.ask("GET", "/open/x", &anew).await;
    assert_eq!((answer.status.as_u16(), got(&gate).as_deref()), (200, Some("sid=mine")));
    assert_eq!(answer.header("set-cookie").split(';').next(), Some("sid=other"), "the application's own");
    // It is nobody else's, and what is set meanwhile is not hers yet.
    for (who, cookie) in [(&eve, "sid=mine"), (&ada, "sid=other"), (&ada, "sid=unknown")] {
        assert_eq!(client.ask("GET", "/open/x", &[("authorization", who), ("cookie", cookie)]).await.status, 200);
        assert_eq!(got(&gate), None, "{cookie}");
    }
    service.fails.store(false, Ordering::Release);
    gate.clock().advance(Duration::from_secs(60));
    let again = [("authorization", ada.as_str()), ("x-clinic", "a"), ("cookie", "sid=mine")];
    assert_eq!(client.ask("GET", record, &again).await.status, 200);
    assert_eq!(got(&gate).as_deref(), Some("sid=mine"), "and it is still hers");
}
