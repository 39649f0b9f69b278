//! The record: one event a request, on disk when it has to be, and no request without one.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::{After, App};
use e2e::client::{BOTH, Client, Protocol, body};
use e2e::gate::{Gate, Setup};
use e2e::issuer::Issuer;
use e2e::raw::Raw;
use e2e::until;
use e2e::wire::{self, Wire};
use serde_json::{Value, json};

fn manual() -> Clock {
    Clock::manual(Issuer::new().now * 1_000)
}

const PATH: &str = "/api/patients/patient-4711/records/7?secret=1";

#[tokio::test]
async fn an_event_has_the_fields_of_the_form_and_no_others() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let bearer = format!("Bearer {}", gate.issuer().changed(json!({ "azp": "web", "amr": ["pwd", "otp"] })));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("authorization", bearer.as_str()), ("traceparent", trace), ("x-clinic", "a")];
    let answer = client.ask("GET", PATH, &headers).await;
    assert_eq!(answer.status, 200);
    let event = gate.files.event(answer.id());
    let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("`{name}` in {event}")).to_owned();
    assert_eq!(event["v"], 1);
    assert_eq!(event["kind"], "answer");
    assert_eq!(text("id").len(), 26, "a ULID");
    let at = text("at");
    assert!(at.len() == 24 && at.ends_with('Z') && at.as_bytes()[19] == b'.', "{at}");
    assert_eq!(event["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!text("origin").is_empty() && !text("replica").is_empty());
    assert_eq!(event["actor"]["iss"], "https://issuer.example/");
    assert_eq!(event["actor"]["sub"], "ada.example");
    assert_eq!(event["actor"]["roles"], json!(["provider"]));
    assert_eq!(event["actor"]["client"], "web");
    assert_eq!(event["actor"]["factors"]["methods"], json!(["pwd", "otp"]));
    assert_eq!(event["tenant"], "a");
    let patient = text("patient");
    assert!(patient.starts_with("hp:") && patient.len() == 35, "{patient}");
    assert_eq!((event["rule"].clone(), event["act"].clone()), (json!("records"), json!("records.read")));
    assert_eq!(event["route"], "GET /api/patients/{patient}/records/**");
    assert!(text("policy").starts_with("sha256:") && text("policy").len() == 71);
    assert_eq!((event["mode"].clone(), event["decision"].clone()), (json!("enforce"), json!("allow")));
    assert_eq!((event["code"].clone(), event["status"].clone()), (Value::Null, json!(200)));
    assert_eq!(event["facts"]["tenant"], "same");
    assert_eq!(event["peer"], "127.0.0.1");
    let known = [
        "v", "id", "at", "kind", "request", "trace", "origin", "seq", "actor", "tenant", "patient", "rule", "act",
        "route", "policy", "mode", "decision", "code", "facts", "status", "peer", "replica",
    ];
    for name in event.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "`{name}` is not in the form");
    }
    assert!(!event.to_string().contains("4711") && !event.to_string().contains("secret"));
}

#[tokio::test]
async fn one_patient_is_one_pseudonym_within_a_clinic_only() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let mut patients = Vec::new();
    for (tenant, path) in [("a", "p1"), ("a", "p1"), ("a", "p2"), ("b", "p1"), ("a", "%70%31")] {
        let token = gate.issuer().token("ada.example", tenant, &["provider"]);
        let answer = client.get(&format!("/api/patients/{path}/records"), &token).await;
        patients.push(gate.files.event(answer.id())["patient"].as_str().unwrap().to_owned());
    }
    assert_eq!(patients[0], patients[1]);
    assert_eq!(patients[0], patients[4], "by its meaning, not its spelling");
    assert_ne!(patients[0], patients[2]);
    assert_ne!(patients[0], patients[3], "two clinics cannot compare their patients");
}

#[tokio::test]
async fn every_request_leaves_one_event_in_order() {
    let gate = Gate::plain();
    let mut ids = Vec::new();
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for path in ["/", "/open/x", "/me", "/nowhere", "/api/patients/p1/records", "/open/../x"] {
            ids.push(client.ask("GET", path, &[]).await.id().to_owned());
        }
    }
    let events = until("all events", || Some(gate.files.record()).filter(|events| events.len() >= ids.len()));
    let mut recorded: Vec<_> = events.iter().map(|event| event["request"].as_str().unwrap().to_owned()).collect();
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|two| two[0] + 1 == two[1]), "{seqs:?}");
    recorded.sort();
    ids.sort();
    assert_eq!(recorded, ids);
}

#[tokio::test]
async fn a_strict_answer_is_on_disk_before_its_head_arrives() {
    let gate = Gate::plain();
    let ada = format!("Bearer {}", gate.issuer().ada());
    let desk = format!("Bearer {}", gate.issuer().token("ben.example", "a", &["front_desk"]));
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        // Twenty of each refusal are recorded one by one.
        for turn in 0..10 {
            for (method, bearer) in [("GET", Some(&ada)), ("POST", Some(&ada)), ("POST", Some(&desk)), ("GET", None)] {
                let mut request = client.request(method, "/api/patients/p1/records");
                if let Some(bearer) = bearer {
                    request = request.header("authorization", bearer);
                }
                let head = client.head(request.body(body("")).unwrap()).await.unwrap();
                // At once, without waiting for anything.
                let record = gate.files.record();
                let id = head.headers()["x-request-id"].to_str().unwrap();
                let found = record.iter().find(|event| event["request"] == id);
                let found = found.unwrap_or_else(|| panic!("{protocol:?} {method} {turn}: not there yet"));
                assert_eq!(found["status"], head.status().as_u16());
                e2e::client::whole(head).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_route_without_a_record_leaves_none() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let quiet = client.ask("GET", "/quiet", &[]).await;
    assert_eq!(quiet.status, 200);
    let loud = client.ask("GET", "/open/x", &[]).await;
    gate.files.event(loud.id());
    assert!(gate.files.record().iter().all(|event| event["request"] != quiet.id()));
}

#[tokio::test]
async fn a_full_record_closes_the_gate_and_nothing_reaches_the_application() {
    let setup = Setup { audit_size: "1MiB".to_owned(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let token = gate.issuer().ada();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    let mut passed = 0;
    let refused = loop {
        let count = gate.app.count();
        let answer = client.get("/api/patients/p1/records", &token).await;
        if answer.status == 200 {
            passed += 1;
            assert!(passed < 10_000, "it never fills");
            continue;
        }
        assert_eq!(gate.app.count(), count, "nothing reached the application");
        break answer;
    };
    assert!(passed > 100, "{passed}");
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "NOT_RECORDED"));
    assert!(!refused.header("retry-after").is_empty());
    let count = gate.app.count();
    for (method, path) in
        [("GET", "/"), ("POST", "/open/x"), ("GET", "/me"), ("GET", "/nowhere"), ("GET", "/open/../x")]
    {
        let answer = client.ask(method, path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "NOT_RECORDED"), "{method} {path}");
    }
    assert_eq!(gate.app.count(), count);
    assert_eq!(client.ask("GET", "/quiet", &[]).await.status, 200, "what needs no record passes");
    assert!(gate.probe("/readyz").contains(" 503 ") && gate.probe("/readyz").contains("record"));
    assert!(gate.probe("/livez").contains(" 200 "), "a restart would not help");
    assert!((gate.metric("anteroom_record_failed", &[]) - 1.0).abs() < f64::EPSILON);
    let size: u64 = std::fs::read_dir(gate.files.path("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size <= 1024 * 1024, "{size}");
    assert_eq!(gate.files.record().len(), passed, "one event for each that passed");
}

#[tokio::test]
async fn a_flood_of_refusals_becomes_one_event_whose_id_the_answers_carry() {
    let mut gate = Gate::start(Setup { clock: manual(), ..Setup::default() }, App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        let mut ids = Vec::new();
        for _ in 0..60 {
            let answer = client.ask("GET", "/me", &[]).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "NO_CREDENTIAL"));
            ids.push(answer.id().to_owned());
        }
        assert!(ids[20..].iter().all(|id| *id == ids[20]), "one id for all that are counted");
        assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200, "who is let in has her own event");
        gate.clock().advance(Duration::from_secs(60));
        let event = gate.files.event(&ids[20]);
        assert_eq!((event["kind"].as_str(), event["decision"].as_str()), (Some("denials"), Some("deny")));
        assert_eq!((event["code"].as_str(), event["status"].as_u64()), (Some("NO_CREDENTIAL"), Some(401)));
        assert_eq!(event["counted"], json!({ "requests": 40, "seconds": 60, "prefix": 24 }));
        assert_eq!(event["peer"], "127.0.0.0");
        for name in ["actor", "tenant", "rule", "act", "route", "facts"] {
            assert!(event.get(name).is_none(), "{name}");
        }
        for id in &ids[..20] {
            assert_eq!(gate.files.event(id)["kind"], "answer");
        }
    }
    assert!((gate.metric("anteroom_record_denials_counted_total", &[]) - 80.0).abs() < f64::EPSILON);
    gate.stop().await;
    assert_eq!(gate.files.record().len(), 2 * (20 + 1 + 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_an_aborted_event() {
    let (arrived, arrival) = sync_channel(8);
    let (release, wait) = sync_channel::<()>(8);
    let wait = Mutex::new(wait);
    let gate = Gate::start(
        Setup::default(),
        App::start(move |exchange| {
            arrived.send(()).unwrap();
            wait.lock().unwrap().recv().ok();
            exchange.answer("200 OK", "", "late")
        }),
    );
    let token = gate.issuer().ada();
    let path = "/api/patients/p1/records";
    let mut raw = Raw::open(&gate).await;
    raw.send(format!("GET {path} HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\n\r\n")).await;
    arrival.recv_timeout(e2e::PATIENCE).unwrap();
    drop(raw);
    let bearer = format!("Bearer {token}");
    let mut wire = Wire::open(&gate).await;
    let mut fields = wire::get(path.as_bytes());
    fields.push((b"authorization", bearer.as_bytes()));
    let stream = wire.start(&fields, true).await;
    arrival.recv_timeout(e2e::PATIENCE).unwrap();
    wire.reset(stream).await;
    let events = until("two events", || Some(gate.files.record()).filter(|events| events.len() == 2));
    for event in &events {
        assert_eq!(event["aborted"], true, "{event}");
        assert_eq!((&event["status"], &event["decision"]), (&Value::Null, &json!("allow")), "{event}");
        assert_eq!((&event["actor"]["sub"], &event["rule"]), (&json!("ada.example"), &json!("records")));
    }
    release.send(()).unwrap();
    release.send(()).unwrap();
    let after = Client::open(&gate, Protocol::Http1).await.ask("GET", "/me", &[]).await;
    gate.files.event(after.id());
    assert_eq!(gate.files.record().len(), 3, "a late answer adds nothing");
}

#[tokio::test]
async fn the_numbers_go_on_after_a_restart() {
    let mut gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..5 {
        client.ask("GET", "/open/x", &[]).await;
    }
    drop(client);
    gate.stop().await;
    assert_eq!(gate.files.record().len(), 5, "stopping writes what was waiting");
    let plan = anteroom::config::prepare(&gate.files.path("config.yaml")).unwrap_or_else(|_| panic!("the same files"));
    let again = anteroom::server::start(plan, anteroom::clock::Clock::system()).unwrap();
    until("the workers", || again.shared().phase.is_started().then_some(()));
    let mut client = Client::open_at(again.https(), &gate.files.ca, Protocol::Http1, e2e::client::HOST).await;
    let answer = client.ask("GET", "/open/x", &[]).await;
    let last = gate.files.event(answer.id());
    let seqs: Vec<_> = gate.files.record().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|two| two[0] + 1 == two[1]), "{seqs:?}");
    assert_eq!(last["seq"].as_u64(), seqs.last().copied());
}

#[tokio::test]
async fn open_requests_end_before_the_gate_does() {
    let (arrived, arrival) = sync_channel(1);
    let (release, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let mut gate = Gate::start(
        Setup::default(),
        App::start(move |exchange| {
            arrived.send(()).unwrap();
            wait.lock().unwrap().recv().ok();
            exchange.answer("200 OK", "", "late");
            After::Close
        }),
    );
    let mut raw = Raw::open(&gate).await;
    raw.send("GET /open/x HTTP/1.1\r\nhost: clinic.example\r\n\r\n").await;
    arrival.recv_timeout(e2e::PATIENCE).unwrap();
    let (health, https) = (gate.health, gate.https);
    let stopping = tokio::spawn(async move {
        gate.stop().await;
        gate
    });
    while !tokio::task::spawn_blocking(move || e2e::gate::probe(health, "/readyz").contains("leaving")).await.unwrap() {
    }
    release.send(()).unwrap();
    let answer = raw.answer().await.unwrap();
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"late"[..]));
    let gate = e2e::soon("the gate to stop", stopping).await.unwrap();
    assert_eq!(gate.files.record().len(), 1);
    assert!(tokio::net::TcpStream::connect(https).await.is_err(), "nobody listens any more");
}
