//! Every denial, on both protocols: one code, the same in the answer, the log, the metrics and the record.

use std::net::TcpListener;

use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Gate, Setup, metric};
use e2e::issuer::Issuer;
use e2e::process::Served;
use e2e::until;
use serde_json::{Value, json};

/// Who asks.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    Forger,
    Expired,
    Ada,
    Ben,
    Pat,
    Tenantless,
    NullTenant,
    EmptyTenant,
    Roleless,
}

impl Who {
    fn token(self, issuer: &Issuer) -> Option<String> {
        Some(match self {
            Who::Nobody => return None,
            Who::Forger => issuer.forged(),
            Who::Expired => issuer.changed(json!({ "exp": issuer.now - 600 })),
            Who::Ada => issuer.ada(),
            Who::Ben => issuer.token("ben.example", "a", &["front_desk"]),
            Who::Pat => issuer.changed(json!({ "sub": "pat.example", "roles": ["patient"], "patient": "p1" })),
            Who::Tenantless => issuer.changed(json!({ "org_id": null })),
            Who::NullTenant => {
                let mut claims = issuer.claims("ada.example", "a", &["provider"]);
                claims.insert("org_id".to_owned(), Value::Null);
                issuer.sign(&claims)
            }
            Who::EmptyTenant => issuer.changed(json!({ "org_id": "" })),
            Who::Roleless => issuer.token("rob.example", "a", &["RECORDS.READ", "Provider", "unheard_of"]),
        })
    }
}

struct Case {
    who: Who,
    method: &'static str,
    path: &'static str,
    header: Option<(&'static str, &'static str)>,
    status: u16,
    code: &'static str,
    rule: Option<&'static str>,
}

const fn case(
    who: Who,
    method: &'static str,
    path: &'static str,
    status: u16,
    code: &'static str,
    rule: Option<&'static str>,
) -> Case {
    Case { who, method, path, header: None, status, code, rule }
}

const fn naming(who: Who, path: &'static str, clinic: &'static str, status: u16, code: &'static str) -> Case {
    Case { who, method: "GET", path, header: Some(("x-clinic", clinic)), status, code, rule: Some("records") }
}

const RECORDS: &str = "/api/patients/p1/records/7";

const DENIALS: [Case; 31] = [
    case(Who::Nobody, "GET", "/me", 401, "NO_CREDENTIAL", Some("me")),
    case(Who::Nobody, "GET", RECORDS, 401, "NO_CREDENTIAL", Some("records")),
    case(Who::Forger, "GET", RECORDS, 401, "TOKEN_INVALID", Some("records")),
    case(Who::Expired, "GET", RECORDS, 401, "TOKEN_EXPIRED", Some("records")),
    case(Who::Roleless, "GET", RECORDS, 403, "NOT_GRANTED", Some("records")),
    case(Who::Ben, "POST", RECORDS, 403, "NOT_GRANTED", Some("records")),
    case(Who::Pat, "POST", RECORDS, 403, "NOT_GRANTED", Some("records")),
    case(Who::Pat, "GET", "/api/patients/p2/records/7", 403, "NOT_OWN", Some("records")),
    case(Who::Pat, "GET", "/api/patients/P1/records/7", 403, "NOT_OWN", Some("records")),
    case(Who::Pat, "GET", "/api/patients/p1%20/records/7", 403, "NOT_OWN", Some("records")),
    naming(Who::Ada, RECORDS, "b", 403, "TENANT_MISMATCH"),
    naming(Who::Ada, RECORDS, "a,b", 403, "TENANT_MISMATCH"),
    naming(Who::Ada, RECORDS, "A", 403, "TENANT_MISMATCH"),
    naming(Who::Pat, RECORDS, "b", 403, "TENANT_MISMATCH"),
    case(Who::Ada, "GET", "/api/clinics/b/labs", 403, "TENANT_MISMATCH", Some("clinic")),
    case(Who::Ada, "GET", "/api/labs?clinic=b", 403, "TENANT_MISMATCH", Some("query")),
    case(Who::Ada, "GET", "/api/labs?clinic=a&clinic=b", 403, "TENANT_MISMATCH", Some("query")),
    case(Who::Ada, "GET", "/api/labs?clinic=a&clini%63=a", 403, "TENANT_MISMATCH", Some("query")),
    case(Who::Tenantless, "GET", RECORDS, 403, "NO_TENANT", Some("records")),
    case(Who::NullTenant, "GET", RECORDS, 403, "NO_TENANT", Some("records")),
    case(Who::EmptyTenant, "GET", "/me", 403, "NO_TENANT", Some("me")),
    case(Who::Ada, "POST", "/api/rx/9/sign", 403, "CONDITION", Some("sign")),
    case(Who::Ada, "GET", "/nowhere", 404, "NO_ROUTE", None),
    case(Who::Nobody, "GET", "/api/patients/p1", 404, "NO_ROUTE", None),
    case(Who::Nobody, "GET", "/me/", 404, "NO_ROUTE", None),
    case(Who::Nobody, "GET", "/ME", 404, "NO_ROUTE", None),
    case(Who::Ada, "DELETE", RECORDS, 405, "METHOD_NOT_ALLOWED", Some("records")),
    case(Who::Nobody, "PUT", "/me", 405, "METHOD_NOT_ALLOWED", Some("me")),
    case(Who::Nobody, "TRACE", "/open/x", 405, "METHOD_NOT_ALLOWED", Some("open")),
    case(Who::Nobody, "PROPFIND", "/open/x", 405, "METHOD_NOT_ALLOWED", Some("open")),
    case(Who::Ada, "GET", "/open/hang-up", 502, "APP_DOWN", Some("open")),
];

fn app() -> App {
    App::start(|exchange| {
        exchange.read_body();
        if exchange.seen.target() == "/open/hang-up" { After::Close } else { exchange.answer("200 OK", "", "ok") }
    })
}

#[tokio::test]
async fn each_denial_has_one_code_in_the_answer_the_log_the_metric_and_the_record() {
    let served = Served::start(Setup::default(), app());
    for protocol in BOTH {
        let mut client = Client::open_at(served.https, &served.files.ca, protocol, e2e::client::HOST).await;
        for one in &DENIALS {
            let at = format!("{protocol:?} {:?} {} {} {:?}", one.who, one.method, one.path, one.header);
            let labels = [("decision", "deny"), ("code", one.code), ("rule", one.rule.unwrap_or(""))];
            let before = metric(served.health, "anteroom_requests_total", &labels);
            let bearer = one.who.token(&served.files.issuer).map(|token| format!("Bearer {token}"));
            let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
            let headers: Vec<_> = bearer.into_iter().chain(one.header).collect();
            let answer = client.ask(one.method, one.path, &headers).await;

            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (one.status, one.code), "answer: {at}");
            assert_eq!(!answer.header("www-authenticate").is_empty(), one.status == 401, "{at}");
            assert_eq!(!answer.header("allow").is_empty(), one.status == 405, "{at}");
            let after = metric(served.health, "anteroom_requests_total", &labels);
            assert!((after - before - 1.0).abs() < f64::EPSILON, "metric: {at}: {before} to {after}");
            let event = served.files.event(answer.id());
            assert_eq!(event["code"], one.code, "record: {at}");
            assert_eq!((&event["decision"], &event["status"]), (&json!("deny"), &json!(one.status)), "record: {at}");
            assert_eq!(event["rule"].as_str(), one.rule, "record: {at}");
            let line = until("a line of the log", || {
                served.log().into_iter().find(|line| line["request"] == answer.id() && line.get("code").is_some())
            });
            assert_eq!(line["code"], one.code, "log: {at}");
        }
    }
    let seen = served.app.seen();
    assert!(seen.iter().all(|seen| seen.target() == "/open/hang-up"), "{seen:?}");
}

#[tokio::test]
async fn what_is_granted_passes() {
    let gate = Gate::start(Setup::default(), app());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (who, method, path, header) in [
            (Who::Nobody, "GET", "/", None),
            (Who::Forger, "GET", "/open/x", None),
            (Who::Ada, "GET", "/me", None),
            (Who::Ada, "GET", RECORDS, None),
            (Who::Ada, "GET", RECORDS, Some(("x-clinic", "a"))),
            (Who::Ada, "POST", "/api/patients/p1/records", None),
            (Who::Ben, "GET", RECORDS, None),
            (Who::Pat, "GET", RECORDS, None),
            (Who::Pat, "GET", "/api/patients/%70%31/records/7", None),
            (Who::Ada, "GET", "/api/clinics/a/labs", None),
            (Who::Ada, "GET", "/api/labs", None),
            (Who::Ada, "GET", "/api/labs?clinic=a&other=b", None),
            (Who::Ada, "DELETE", "/api/things/1", None),
        ] {
            let bearer = who.token(gate.issuer()).map(|token| format!("Bearer {token}"));
            let bearer = bearer.as_deref().map(|bearer| ("authorization", bearer));
            let headers: Vec<_> = bearer.into_iter().chain(header).collect();
            let answer = client.ask(method, path, &headers).await;
            assert_eq!(answer.status, 200, "{who:?} {method} {path} {header:?}: {}", answer.code());
            assert_eq!(gate.files.event(answer.id())["decision"], "allow");
        }
        let npi = gate.issuer().changed(json!({ "npi": "1234567893" }));
        let signed = client.ask("POST", "/api/rx/9/sign", &[("authorization", &format!("Bearer {npi}"))]).await;
        assert_eq!(signed.status, 200);
    }
}

#[tokio::test]
async fn allow_lists_what_the_route_takes_and_get_covers_head() {
    let gate = Gate::plain();
    let token = gate.issuer().ada();
    let bearer = format!("Bearer {token}");
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let answer = client.ask("DELETE", "/me", &[]).await;
        let mut allow: Vec<_> = answer.header("allow").split(", ").collect();
        allow.sort_unstable();
        assert_eq!(allow, ["GET", "HEAD", "POST"]);
        let head = client.ask("HEAD", "/me", &[("authorization", &bearer)]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), "2", "of the answer to GET");
        assert!(gate.app.last().line().starts_with("HEAD /me "));
        let refused = client.ask("HEAD", "/me", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.body.len()), (401, 0));
        assert_eq!(gate.files.event(refused.id())["code"], "NO_CREDENTIAL");
    }
}

#[tokio::test]
async fn observing_passes_records_and_never_waives_the_tenant() {
    let gate = Gate::start(Setup::default(), app());
    let path = "/api/watched/p1";
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (who, code, tenant) in [
            (Who::Nobody, "NO_CREDENTIAL", None),
            (Who::Ben, "NOT_GRANTED", Some("a")),
            (Who::Pat, "NOT_GRANTED", Some("a")),
        ] {
            let labels = [("decision", "observe"), ("code", code), ("rule", "watched")];
            let before = gate.metric("anteroom_requests_total", &labels);
            let bearer = who.token(gate.issuer()).map(|token| format!("Bearer {token}"));
            let headers: Vec<_> = bearer.as_deref().map(|bearer| ("authorization", bearer)).into_iter().collect();
            let answer = client.ask("GET", path, &headers).await;
            assert_eq!(answer.status, 200, "{who:?}");
            assert_eq!(gate.app.last().header("x-tenant-id"), tenant, "{who:?}");
            let event = gate.files.event(answer.id());
            assert_eq!((&event["decision"], &event["mode"]), (&json!("observe"), &json!("observe")), "{who:?}");
            assert_eq!(event["code"], code, "{who:?}");
            assert!(gate.metric("anteroom_requests_total", &labels) > before, "{who:?}");
        }
        let count = gate.app.count();
        let bearer = format!("Bearer {}", gate.issuer().ada());
        let crossing = client.ask("GET", path, &[("authorization", &bearer), ("x-clinic", "b")]).await;
        assert_eq!((crossing.status.as_u16(), crossing.code().as_str()), (403, "TENANT_MISMATCH"));
        let forged = client.get(path, &gate.issuer().forged()).await;
        assert_eq!((forged.status.as_u16(), forged.code().as_str()), (401, "TOKEN_INVALID"));
        assert_eq!(gate.app.count(), count);
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_is_down_and_what_is_denied_stays_denied() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::start_at(Setup::default(), App::plain(), Some(nobody));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let answer = client.get(RECORDS, &gate.issuer().ada()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "APP_DOWN"));
    let event = gate.files.event(answer.id());
    assert_eq!((&event["code"], &event["status"], &event["tenant"]), (&json!("APP_DOWN"), &json!(502), &json!("a")));
    assert_eq!(event["actor"]["sub"], "ada.example");
    assert_eq!(client.ask("GET", RECORDS, &[]).await.status, 401);
    assert!(gate.probe("/startedz").contains(" 200 "), "starting never waits for the application");
}

#[tokio::test]
async fn a_header_that_names_the_tenant_twice_disagrees_in_any_spelling() {
    let app = ", unclear_headers: strip".to_owned();
    let gate = Gate::start(Setup { app, ..Setup::default() }, App::plain());
    let bearer = format!("Bearer {}", gate.issuer().ada());
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for second in ["x-clinic", "X_Clinic", "x.clinic", "x_clinic"] {
        let headers = [("authorization", bearer.as_str()), ("x-clinic", "a"), (second, "b")];
        let answer = client.ask("GET", RECORDS, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "TENANT_MISMATCH"), "{second}");
    }
    // Alone, another spelling is the header too: it is judged, not passed over.
    let answer = client.ask("GET", RECORDS, &[("authorization", &bearer), ("X_Clinic", "b")]).await;
    assert_eq!(answer.code(), "TENANT_MISMATCH");
    assert_eq!(gate.app.count(), 0);
}
