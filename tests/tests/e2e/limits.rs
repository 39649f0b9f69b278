//! Limits: how many pass, whoever serves them, and when the next one may.

use std::time::Duration;

use anteroom::clock::Clock;
use e2e::app::App;
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::issuer::Issuer;
use serde_json::json;

fn manual() -> Clock {
    Clock::manual(Issuer::new().now * 1_000)
}

/// The policy of the tests with a limit on reading records.
fn limited(per: &str, rate: &str) -> String {
    let act = format!("  records.read: {{ limit: {{ per: {per}, rate: {rate}, burst: 20 }} }}\n");
    POLICY.replace("acts:\n", &format!("acts:\n{act}"))
}

/// How many of `total` requests pass, sent on 16 connections at once: both workers get some.
async fn passing(gate: &Gate, total: usize, path: &str, tokens: &[String]) -> usize {
    let mut clients = Vec::new();
    for number in 0..16 {
        clients.push(Client::open(gate, BOTH[number % 2]).await);
    }
    let sending = clients.into_iter().enumerate().map(|(number, mut client)| {
        let (path, token) = (path.to_owned(), tokens[number % tokens.len()].clone());
        tokio::spawn(async move {
            let mut passed = 0;
            for _ in 0..total / 16 {
                let answer = client.get(&path, &token).await;
                match answer.status.as_u16() {
                    200 => passed += 1,
                    429 => {
                        assert!(answer.code() == "LIMITED" && answer.header("retry-after").parse::<u64>().unwrap() > 0)
                    }
                    other => panic!("{other} {}", answer.code()),
                }
            }
            passed
        })
    });
    let mut passed = 0;
    for task in sending.collect::<Vec<_>>() {
        passed += e2e::soon("a client", task).await.unwrap();
    }
    passed
}

#[tokio::test]
async fn two_workers_share_the_limit_of_a_subject() {
    let setup = Setup { policy: limited("subject", "1/m"), clock: manual(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let ada = gate.issuer().ada();
    // The same person with another token, from another sign-in.
    let again = gate.issuer().changed(json!({ "jti": "another" }));
    assert_eq!(passing(&gate, 96, "/api/patients/p1/records", &[ada.clone(), again]).await, 20);
    assert_eq!(gate.app.count(), 20);
    let bea = gate.issuer().token("bea.example", "a", &["provider"]);
    assert_eq!(passing(&gate, 32, "/api/patients/p1/records", &[bea]).await, 20, "another person has her own");
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.get("/me", &ada).await.status, 200, "another act is not limited");
    let told = client.get("/api/patients/p1/records", &ada).await;
    assert_eq!(told.header("retry-after"), "60");
    gate.clock().advance(Duration::from_secs(59));
    assert_eq!(client.get("/api/patients/p1/records", &ada).await.status, 429);
    gate.clock().advance(Duration::from_secs(1));
    assert_eq!(client.get("/api/patients/p1/records", &ada).await.status, 200);
    assert_eq!(client.get("/api/patients/p1/records", &ada).await.status, 429);
}

#[tokio::test]
async fn an_act_limited_by_address_counts_all_people_there_together() {
    let setup = Setup { policy: limited("address", "1/m"), clock: manual(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let tokens = [gate.issuer().ada(), gate.issuer().token("bea.example", "b", &["provider"])];
    assert_eq!(passing(&gate, 96, "/api/patients/p1/records", &tokens).await, 20);
}

#[tokio::test]
async fn a_limit_is_not_used_up_by_being_denied() {
    let setup = Setup { policy: limited("subject", "1/m"), clock: manual(), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    let ada = gate.issuer().ada();
    let bearer = format!("Bearer {ada}");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for _ in 0..30 {
        let crossing =
            client.ask("GET", "/api/patients/p1/records", &[("authorization", &bearer), ("x-clinic", "b")]).await;
        assert_eq!(crossing.code(), "TENANT_MISMATCH");
    }
    assert_eq!(passing(&gate, 32, "/api/patients/p1/records", &[ada]).await, 20);
}

#[tokio::test]
async fn two_workers_share_the_limit_of_an_address() {
    let limits = "{ per_address: { rate: 1/m, burst: 50 }, refused_per_address: { rate: 1000/s, burst: 100000 } }";
    let gate = Gate::start(Setup { limits: limits.to_owned(), clock: manual(), ..Setup::default() }, App::plain());
    assert_eq!(passing(&gate, 96, "/me", &[gate.issuer().ada()]).await, 50);
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for path in ["/", "/nowhere", "/open/../x", "/quiet"] {
        let answer = client.ask("GET", path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "LIMITED"), "{path}: before anything else");
    }
    let told = client.ask("GET", "/", &[]).await;
    assert_eq!(told.header("retry-after"), "60");
    gate.clock().advance(Duration::from_secs(180));
    let event = gate.files.event(told.id());
    assert_eq!((event["kind"].as_str(), event["code"].as_str()), (Some("denials"), Some("LIMITED")));
    for expected in [200, 200, 200, 429] {
        assert_eq!(client.ask("GET", "/", &[]).await.status.as_u16(), expected);
    }
}

#[tokio::test]
async fn whoever_is_refused_too_often_is_not_judged_any_more() {
    let limits = "{ refused_per_address: { rate: 1/m, burst: 10 } }";
    for protocol in BOTH {
        let gate = Gate::start(Setup { limits: limits.to_owned(), clock: manual(), ..Setup::default() }, App::plain());
        let mut client = Client::open(&gate, protocol).await;
        let known = gate.issuer().ada();
        assert_eq!(client.get("/me", &known).await.status, 200);
        for turn in 0..10 {
            let answer = client.get("/me", &gate.issuer().forged()).await;
            assert_eq!(answer.code(), "TOKEN_INVALID", "{turn}");
        }
        let answer = client.get("/me", &gate.issuer().forged()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "LIMITED"));
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        let fresh = gate.issuer().token("bea.example", "a", &["provider"]);
        let answer = client.get("/me", &fresh).await;
        assert_eq!(answer.code(), "LIMITED", "no signature is checked for this address now, not even a good one");
        for path in ["/nowhere", "/me"] {
            assert_eq!(client.ask("GET", path, &[]).await.code(), "LIMITED", "{path}");
        }
        assert_eq!(client.get("/me", &known).await.status, 200, "who was known before goes on");
        assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200, "and what is public stays so");
        gate.clock().advance(Duration::from_secs(180));
        assert_eq!(client.get("/me", &fresh).await.status, 200);
        assert_eq!(client.get("/me", &gate.issuer().forged()).await.code(), "TOKEN_INVALID");
    }
}

#[tokio::test]
async fn what_the_application_fails_at_is_not_held_against_the_client() {
    let limits = "{ refused_per_address: { rate: 1/m, burst: 3 } }";
    let setup = Setup { limits: limits.to_owned(), clock: manual(), ..Setup::default() };
    let gate = Gate::start(
        setup,
        App::start(|exchange| match exchange.seen.target() {
            "/open/down" => e2e::app::After::Close,
            _ => exchange.answer("404 Not Found", "", "no"),
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..10 {
        assert_eq!(client.ask("GET", "/open/down", &[]).await.status, 502);
        assert_eq!(client.ask("GET", "/open/none", &[]).await.status, 404, "the application's own");
    }
    assert_eq!(client.ask("GET", "/me", &[]).await.code(), "NO_CREDENTIAL");
}
