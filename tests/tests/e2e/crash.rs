//! The machine stops without a word: what was answered on a strict act is on the record, and the record can be read.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol};
use e2e::gate::Setup;
use e2e::process::{Process, Served};
use e2e::until;
use serde_json::Value;

/// A strict act of the tests' policy.
const STRICT: &str = "/api/patients/p1/records";
/// How many answers a round waits for before the gate is killed.
const ANSWERS: usize = 150;

/// Asks one after the other until the gate is gone, and notes the id of each answer that arrived.
async fn ask_on(
    served: (std::net::SocketAddr, String, String),
    protocol: Protocol,
    delivered: Arc<Mutex<Vec<String>>>,
) {
    let (https, ca, token) = served;
    let mut client = Client::open_at(https, &ca, protocol, HOST).await;
    loop {
        let bearer = format!("Bearer {token}");
        let request =
            client.request("GET", STRICT).header("authorization", bearer).body(e2e::client::body("")).unwrap();
        let Ok(answer) = client.head(request).await else { return };
        assert_eq!(answer.status(), 200);
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        delivered.lock().unwrap().push(id);
        if e2e::client::whole(answer).await.is_err() {
            return;
        }
    }
}

/// The lines of the record: whole ones, and how many were torn.
fn lines(folder: &std::path::Path) -> (Vec<Value>, usize) {
    let (mut whole, mut torn) = (Vec::new(), 0);
    for entry in audit::read(folder).unwrap() {
        match entry.unwrap() {
            audit::Entry::Line(line) => whole.push(serde_json::from_str(&line.text).unwrap()),
            audit::Entry::Fault { .. } => torn += 1,
        }
    }
    (whole, torn)
}

#[tokio::test]
async fn a_killed_gate_has_recorded_every_strict_answer_that_arrived() {
    let mut served = Served::start(Setup::default(), App::plain());
    let (mut all, mut numbers) = (HashSet::new(), 0);
    for round in 1..=3 {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..4 {
            for protocol in BOTH {
                let to = (served.https, served.files.ca.clone(), served.files.issuer.ada());
                asking.spawn(ask_on(to, protocol, Arc::clone(&delivered)));
            }
        }
        while delivered.lock().unwrap().len() < ANSWERS {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        served.process.signal("KILL");
        while let Some(ended) = asking.join_next().await {
            ended.unwrap();
        }
        assert!(!served.process.end().success());
        all.extend(std::mem::take(&mut *delivered.lock().unwrap()));

        let (record, torn) = lines(&served.files.path("audit"));
        let recorded: HashSet<&str> = record.iter().map(|event| event["request"].as_str().unwrap()).collect();
        let missing: Vec<_> = all.iter().filter(|id| !recorded.contains(id.as_str())).collect();
        assert!(missing.is_empty(), "round {round}: {} of {} are not recorded", missing.len(), all.len());
        assert!(torn <= round, "one line at most is torn by each kill");
        let mut seqs: Vec<u64> = record.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted(), "in order");
        seqs.dedup();
        assert_eq!(seqs.len(), record.len(), "no number stands twice");
        assert!(record.len() > numbers);
        numbers = record.len();

        // The next gate goes on where this one ended. The socket that the dead one left is no obstacle.
        served.process = Process::start(served.files.root(), &["run", "--config", "config.yaml"]);
        served.https = served.process.line("the gate to serve", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "serving").then(|| line["address"].as_str().unwrap().parse().unwrap())
        });
    }
    until("the last gate to be ready", || e2e::gate::probe(served.health, "/readyz").contains(" 200 ").then_some(()));
}
