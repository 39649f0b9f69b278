//! What is open when whoever stands behind its caller says something else: a directory that takes a role away or falls silent, a
//! provider that withdraws a key or gives none; and an upload of a session that has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use e2e::app::{After, App};
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, POLICY, Setup};
use e2e::until;
use e2e::wire::{Wire, get};
use serde_json::json;

use crate::directory::{PEOPLE, asking_for, listed};
use crate::keys::{fetching_for, next, ready, set_of};
use crate::open_streams::{Socket, app};
use crate::sessions::token;

pub(crate) fn manual() -> (Clock, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (Clock::manual(now * 1_000), now)
}

/// Lets so many seconds pass, and what is open be looked at, also for what is asked on the way.
pub(crate) async fn passes(gate: &Gate, seconds: u64) {
    gate.clock().advance(Duration::from_secs(seconds.saturating_sub(4)));
    for _ in 0..seconds.min(4) {
        tokio::time::sleep(Duration::from_millis(400)).await;
        gate.clock().advance(Duration::from_secs(1));
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
}

pub(crate) fn were_cut(gate: &Gate, reason: &str) -> f64 {
    gate.metric("anteroom_streams_cut_total", &[("reason", reason)])
}

const LABS: &str = "/api/clinics/a/labs";

#[tokio::test]
async fn a_role_that_a_service_takes_away_ends_what_is_open_within_its_age() {
    let (gate, service) = asking_for(app(), manual().0);
    *service.says.lock().unwrap() = json!({ "a": ["provider"], "b": ["provider"] });
    let token = gate.issuer().token("ada.example", "z", &["admin"]);
    let mut socket = Socket::open(&gate, LABS, &token).await;
    let mut spared = Socket::open(&gate, "/api/clinics/b/labs", &token).await;
    *service.says.lock().unwrap() = json!({ "b": ["provider"] });
    passes(&gate, 290).await;
    assert!(socket.lives().await, "what was said counts, and is not asked for all the time");
    passes(&gate, 20).await;
    socket.ends().await;
    assert_eq!(were_cut(&gate, "policy"), 1.0);
    assert!(spared.lives().await, "what may still be goes on");
    *service.says.lock().unwrap() = json!({});
    passes(&gate, 310).await;
    spared.ends().await;
}

#[tokio::test]
async fn what_is_open_is_of_the_tenant_that_the_application_was_told() {
    let (gate, service) = asking_for(app(), manual().0);
    *service.says.lock().unwrap() = json!({ "a": ["provider"] });
    let token = gate.issuer().token("ada.example", "z", &["admin"]);
    let mut socket = Socket::open(&gate, "/me", &token).await;
    *service.says.lock().unwrap() = json!({ "b": ["provider"] });
    passes(&gate, 310).await;
    socket.ends().await;
    assert_eq!(were_cut(&gate, "policy"), 1.0);
    let mut other = Socket::open(&gate, "/me", &token).await;
    passes(&gate, 310).await;
    assert!(other.lives().await, "another may be opened, and goes on");
}

#[tokio::test]
async fn a_service_that_says_nothing_ends_what_is_open_at_the_age_of_its_answer() {
    let (gate, service) = asking_for(app(), manual().0);
    let token = gate.issuer().token("ada.example", "z", &["admin"]);
    let mut socket = Socket::open(&gate, LABS, &token).await;
    service.fails.store(true, Ordering::Release);
    // A change of the configuration makes nothing count for longer.
    passes(&gate, 400).await;
    gate.files.put("policies/policy.yaml", &format!("{POLICY}\n# another text\n"));
    gate.running.as_ref().unwrap().reloads().ask();
    until("a reload", || (gate.shared().reloads.status().done == 1).then_some(()));
    passes(&gate, 190).await;
    assert!(socket.lives().await);
    passes(&gate, 15).await;
    socket.ends().await;
    assert_eq!(were_cut(&gate, "directory"), 1.0);
}

#[tokio::test]
async fn a_role_that_is_taken_out_of_a_file_ends_what_is_open() {
    let gate = Gate::start(listed(", when_missing: token"), app());
    let token = gate.issuer().token("ada.example", "z", &["front_desk"]);
    let mut labs = Socket::open(&gate, LABS, &token).await;
    let mut me = Socket::open(&gate, "/me", &token).await;
    let change = |people: &str, done: u64| {
        gate.files.put("people.yaml", people);
        gate.running.as_ref().unwrap().reloads().ask();
        until("the change", || (gate.shared().reloads.status().done >= done).then_some(()));
    };
    change(&PEOPLE.replace("ada.example: { a: [provider] }", "ada.example: { a: [front_desk] }"), 1);
    labs.ends().await;
    assert!(me.lives().await);
    // Whoever is not listed any more is what the token says, and not what the directory has said.
    change(&PEOPLE.replace("ada.example: { a: [provider] }", "ada.example: { a: [provider], b: [provider] }"), 2);
    me.ends().await;
    let mut labs = Socket::open(&gate, LABS, &token).await;
    change(&PEOPLE.replace("    ada.example: { a: [provider] }\n", ""), 3);
    labs.ends().await;
}

#[tokio::test]
async fn a_withdrawn_key_ends_what_it_has_opened() {
    let (gate, server) = fetching_for(app(), manual().0).await;
    ready(&gate).await;
    let new = next(gate.issuer());
    server.publish(set_of(&[&gate.issuer().key, &new.key]));
    let mut old_one = Socket::open(&gate, "/me", &gate.issuer().ada()).await;
    let mut new_one = Socket::open(&gate, "/me", &new.ada()).await;
    passes(&gate, 31).await;
    assert!(old_one.lives().await && new_one.lives().await);
    server.publish(set_of(&[&new.key]));
    // Whoever comes with a key that is not known makes the gate look.
    Client::open(&gate, Protocol::Http2).await.get("/me", &next(gate.issuer()).ada()).await;
    passes(&gate, 1).await;
    old_one.ends().await;
    assert!(new_one.lives().await);
    assert_eq!(were_cut(&gate, "credential"), 1.0);
}

#[tokio::test]
async fn keys_that_are_too_old_open_nothing_and_end_what_is_open() {
    let (clock, now) = manual();
    let (gate, server) = fetching_for(app(), clock).await;
    ready(&gate).await;
    let token = gate.issuer().changed(json!({ "exp": now + 3 * 86_400 }));
    let mut socket = Socket::open(&gate, "/me", &token).await;
    server.be_down(true);
    passes(&gate, 86_390).await;
    assert!(socket.lives().await);
    passes(&gate, 15).await;
    socket.ends().await;
    assert_eq!(were_cut(&gate, "keys"), 1.0);
}

/// Answers whole and at once, and goes on reading.
fn early(read: &Arc<AtomicUsize>) -> App {
    let read = Arc::clone(read);
    App::start(move |exchange| {
        if exchange.seen.target() != "/me" {
            exchange.read_body();
            return exchange.answer("200 OK", "", "ok");
        }
        exchange.answer("200 OK", "", "ok");
        let mut piece = [0; 4096];
        loop {
            match exchange.piece(&mut piece) {
                0 => return After::Close,
                length => read.fetch_add(length, Ordering::AcqRel),
            };
        }
    })
}

#[tokio::test]
async fn an_upload_ends_with_its_session_though_the_answer_is_over() {
    let (clock, now) = manual();
    let read = Arc::<AtomicUsize>::default();
    let setup = Setup { more: "session: { idle: 15m }\n".to_owned(), clock, ..Setup::default() };
    let gate = Gate::start(setup, early(&read));
    let bearer = format!("Bearer {}", token(&gate, "s-1", now, "t-1"));
    let mut wire = Wire::open(&gate).await;
    let mut fields = get(b"/me");
    fields[0] = (b":method", b"POST");
    fields.push((b"authorization", bearer.as_bytes()));
    let stream = wire.start(&fields, false).await;
    wire.data(stream, b"first", false).await;
    assert!(matches!(wire.end_of(stream).await, e2e::wire::Ended::Answered(_)));
    let has_read = |least: usize| until("the upload", || (read.load(Ordering::Acquire) >= least).then_some(()));
    has_read(5);
    wire.data(stream, b"second", false).await;
    has_read(11);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.ask("POST", "/.anteroom/logout", &[("authorization", &bearer)]).await.status, 204);
    let began = Instant::now();
    assert_eq!(wire.end_of(stream).await, e2e::wire::Ended::Reset);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let before = read.load(Ordering::Acquire);
    wire.data(stream, b"third", false).await;
    gate.app.until_alone();
    assert_eq!(read.load(Ordering::Acquire), before, "and no end that looks like one");
    assert_eq!(were_cut(&gate, "ended"), 1.0);
}
