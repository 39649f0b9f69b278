//! Tokens that are none: the whole table, by the functions that judge and at a gate. None is believed.

use std::time::Duration;

use anteroom::authn;
use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::forge::{Forged, Forger, NOW};
use e2e::gate::{Files, Gate, Setup};
use e2e::raw::Raw;

/// The files of a gate that believes the forger's keys, at the forger's time.
fn files(forger: &Forger) -> (Setup, Files, App) {
    let setup = Setup {
        files: vec![("jwks.json", forger.key_set().to_string())],
        limits:
            "{ per_address: { rate: 1000/s, burst: 100000 }, refused_per_address: { rate: 1000/s, burst: 100000 } }"
                .to_owned(),
        clock: Clock::manual(NOW * 1_000),
        ..Setup::default()
    };
    let app = App::plain();
    let files = Files::write(&setup, app.address);
    (setup, files, app)
}

#[test]
fn each_is_refused_for_its_own_fault() {
    let forger = Forger::new();
    let (_, files, _app) = files(&forger);
    let plan = anteroom::config::prepare(&files.path("config.yaml")).unwrap();
    let provider = &plan.runtime.providers[0];
    let keys = provider.keys.current(Duration::ZERO).unwrap();
    let judge = |token: &str| {
        authn::verify(token, &provider.authn, &keys, NOW).and_then(|one| authn::principal(&one, &provider.authn))
    };
    for good in forger.good() {
        assert_eq!(&*judge(&good).unwrap().subject, "ada.example");
    }
    let table = forger.all();
    assert!(table.len() > 500, "{} forgeries", table.len());
    let wrong: Vec<_> = table.iter().filter(|one| judge(&one.token) != Err(one.fault)).collect();
    let told = |one: &&Forged| format!("{}: {:?}, not {:?}", one.name, judge(&one.token), one.fault);
    assert!(wrong.is_empty(), "{:#?}", wrong.iter().map(told).collect::<Vec<_>>());
}

#[tokio::test]
async fn none_is_believed_at_a_gate_on_http_1() {
    at_a_gate(Protocol::Http1).await;
}

#[tokio::test]
async fn none_is_believed_at_a_gate_on_http_2() {
    at_a_gate(Protocol::Http2).await;
}

async fn at_a_gate(protocol: Protocol) {
    let forger = Forger::new();
    let (setup, files, app) = files(&forger);
    let gate = Gate::start_with(files, app, setup.clock);
    let mut client = Client::open(&gate, protocol).await;
    let mut believed = Vec::new();
    // What cannot stand in a header is for the test below, what is larger than all headers may be for others; and HTTP/1
    // takes away the spaces behind a value.
    let sent = |token: &str| {
        let spaced = protocol == Protocol::Http1 && token.ends_with(' ');
        http::HeaderValue::from_str(token).is_ok() && token.len() < 30_000 && !spaced
    };
    let table = forger.all().into_iter().filter(|one| sent(&one.token));
    for (number, Forged { name, token, fault }) in table.enumerate() {
        // A connection that only brings refused requests is ended.
        if number % 10 == 9 {
            client = Client::open(&gate, protocol).await;
        }
        // A comma makes two credentials of it, of which one cannot be told to count.
        let (status, code) = if token.contains(',') { (400, "BAD_HEADER") } else { (401, fault.code()) };
        // Twice: what is remembered of it is no better.
        for round in ["first", "second"] {
            let answer = client.get("/me", &token).await;
            let challenged = answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\"");
            if (answer.status.as_u16(), answer.code().as_str()) != (status, code) || challenged != (status == 401) {
                believed.push(format!("{name}, {round}: {} {}", answer.status, answer.code()));
            }
        }
    }
    assert!(believed.is_empty(), "{believed:#?}");
    assert_eq!(gate.app.count(), 0, "none of it reached the application");
    for good in forger.good() {
        assert_eq!(client.get("/me", &good).await.status, 200);
    }
}

#[tokio::test]
async fn what_cannot_stand_in_a_header_proves_nobody_either() {
    let forger = Forger::new();
    let (setup, files, app) = files(&forger);
    let gate = Gate::start_with(files, app, setup.clock);
    let odd: Vec<_> = forger.all().into_iter().filter(|one| http::HeaderValue::from_str(&one.token).is_err()).collect();
    assert!(odd.len() > 3, "{odd:?}");
    for Forged { name, token, .. } in odd {
        let head = format!("GET /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\n\r\n");
        let answer = Raw::open(&gate).await.ask(head).await.unwrap();
        assert!(matches!(answer.status(), 400 | 401), "{name}: {}", answer.head);
    }
    assert_eq!(gate.app.count(), 0);
}
