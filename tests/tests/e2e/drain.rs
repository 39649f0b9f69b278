//! The gate leaves without losing a request that reached it in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::app::{After, App};
use e2e::client::{BOTH, Client, HOST, Protocol, connect, tls, whole};
use e2e::gate::{Files, Setup};
use e2e::process::{self, Served, free_port};
use e2e::raw::Raw;
use e2e::{PATIENCE, soon};
use serde_json::Value;

/// What a client may do that asks more often than any limit allows.
const WIDE: &str = "{ per_address: { rate: 100000/s, burst: 1000000 } }";

fn setup(drain: &str) -> Setup {
    Setup { drain: drain.to_owned(), limits: WIDE.to_owned(), ..Setup::default() }
}

async fn serve(setup: Setup, app: App) -> Served {
    tokio::task::spawn_blocking(|| Served::start(setup, app)).await.unwrap()
}

/// The exit code, once the process has ended, and the process' files.
async fn end(mut served: Served) -> (Option<i32>, Served) {
    tokio::task::spawn_blocking(move || (served.process.end().code(), served)).await.unwrap()
}

async fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ask() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn says(served: &Served, message: &str) -> bool {
    served.process.out().contains(message)
}

/// One request of a client under load: when it began, and whether a whole answer came.
struct Try {
    began: Instant,
    id: Option<String>,
}

/// Asks on kept connections until one ends and no other can be opened.
async fn keep_asking(address: SocketAddr, ca: String, protocol: Protocol, stop: Arc<AtomicBool>) -> Vec<Try> {
    let mut tries = Vec::new();
    'connections: while !stop.load(Ordering::Acquire) {
        let began = Instant::now();
        let Ok(mut client) = Client::try_open_at(address, &ca, protocol, HOST).await else {
            tries.push(Try { began, id: None });
            return tries;
        };
        loop {
            let began = Instant::now();
            let request = client.request("GET", "/open/a").body(e2e::client::body("")).unwrap();
            let answer = match client.head(request).await {
                Ok(head) => whole(head).await.ok(),
                Err(_) => None,
            };
            let last = answer.as_ref().is_some_and(|answer| answer.header("connection") == "close");
            let id = answer.map(|answer| answer.id().to_owned());
            let lost = id.is_none();
            tries.push(Try { began, id });
            if last {
                continue 'connections;
            }
            if lost {
                return tries;
            }
        }
    }
    tries
}

/// Asks once on each of many connections.
async fn keep_coming(address: SocketAddr, ca: String, protocol: Protocol) -> Vec<Try> {
    let mut tries = Vec::new();
    loop {
        let began = Instant::now();
        let Ok(mut client) = Client::try_open_at(address, &ca, protocol, HOST).await else {
            tries.push(Try { began, id: None });
            return tries;
        };
        let request = client.request("GET", "/open/a").body(e2e::client::body("")).unwrap();
        let answer = match client.head(request).await {
            Ok(head) => whole(head).await.ok(),
            Err(_) => None,
        };
        tries.push(Try { began, id: answer.map(|answer| answer.id().to_owned()) });
    }
}

#[tokio::test]
async fn a_drain_under_load_loses_nothing_that_came_before_the_gate_closes() {
    let served = serve(setup("{ delay: 1s, deadline: 15s }"), App::plain()).await;
    let (address, ca, health) = (served.https, served.files.ca.clone(), served.health);
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..4 {
        let protocol = BOTH[number % 2];
        clients.push(tokio::spawn(keep_asking(address, ca.clone(), protocol, Arc::clone(&stop))));
        clients.push(tokio::spawn(keep_coming(address, ca.clone(), protocol)));
    }
    // An idle connection is no reason to stay.
    let idle = Client::open_at(address, &ca, Protocol::Http1, HOST).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = Instant::now();
    served.process.signal("TERM");
    let fell = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        loop {
            let probe = e2e::gate::probe(health, "/readyz");
            if probe.contains(" 503 ") {
                assert!(probe.contains("leaving"), "{probe}");
                return Instant::now();
            }
            assert!(started.elapsed() < PATIENCE);
        }
    })
    .await
    .unwrap();
    assert!(fell - told < Duration::from_millis(900), "readiness falls at once: {:?}", fell - told);
    let (code, served) = end(served).await;
    let left = told.elapsed();
    stop.store(true, Ordering::Release);
    assert_eq!(code, Some(0), "{}", served.process.out());
    assert!(left >= Duration::from_secs(1), "{left:?}");
    assert!(left < Duration::from_secs(10), "{left:?}");
    drop(idle);

    let closes = told + Duration::from_secs(1);
    let recorded: Vec<Value> = served.files.record();
    let ids: std::collections::HashSet<&str> = recorded.iter().filter_map(|event| event["request"].as_str()).collect();
    let (mut before, mut during, mut lost_after) = (0, 0, 0);
    for client in clients {
        for one in client.await.unwrap() {
            match &one.id {
                Some(id) => {
                    assert!(ids.contains(id.as_str()), "an answer without its record");
                    if one.began < told { before += 1 } else { during += 1 }
                }
                None if one.began >= closes => lost_after += 1,
                None => panic!("lost, {:?} before the gate closed", closes - one.began),
            }
        }
    }
    assert!(before > 20 && during > 20, "{before} {during}");
    // Each client ends with the one that found no gate any more.
    assert!(lost_after <= 8, "{lost_after}");
}

#[tokio::test]
async fn what_is_open_ends_and_newcomers_are_still_served_meanwhile() {
    for protocol in BOTH {
        let gate = Arc::new(std::sync::Barrier::new(2));
        let release = Arc::clone(&gate);
        let app = App::start(move |exchange| {
            if exchange.seen.target() == "/open/slow" {
                release.wait();
            }
            exchange.answer("200 OK", "", "ok")
        });
        let served = serve(setup("{ delay: 100ms, deadline: 15s }"), app).await;
        let (address, ca) = (served.https, served.files.ca.clone());
        let mut client = Client::open_at(address, &ca, protocol, HOST).await;
        let slow = tokio::spawn(async move { client.ask("GET", "/open/slow", &[]).await });
        eventually("the slow request", || served.app.count() == 1).await;
        served.process.signal("TERM");
        eventually("the gate to leave", || says(&served, "\"leaving\"")).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        // The worker that still has a connection still listens; which one the kernel picks is its own affair.
        let mut newcomers = 0;
        for _ in 0..20 {
            if let Ok(mut late) = Client::try_open_at(address, &ca, Protocol::Http1, HOST).await {
                let answer = late.ask("GET", "/open/late", &[]).await;
                assert_eq!((answer.status.as_u16(), answer.header("connection")), (200, "close"));
                newcomers += 1;
            }
        }
        assert_eq!(newcomers, 20);
        assert!(!slow.is_finished());
        tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
        let answer = soon("the slow answer", slow).await.unwrap();
        assert_eq!(answer.text(), "ok");
        if protocol == Protocol::Http1 {
            assert_eq!(answer.header("connection"), "close");
        }
        let (code, served) = end(served).await;
        assert_eq!(code, Some(0));
        assert_eq!(served.files.event(answer.id())["status"], 200);
    }
}

#[tokio::test]
async fn a_request_that_is_on_its_way_on_a_silent_connection_is_served() {
    let served = serve(setup("{ delay: 0s, deadline: 15s }"), App::plain()).await;
    let (address, ca) = (served.https, served.files.ca.clone());
    // One that was used before, one that was not: the first byte comes when the gate closes already.
    let mut used = Raw::over(connect(address, tls(&ca, &[b"http/1.1"]), HOST).await.unwrap());
    let request = format!("GET /open/a HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    assert_eq!(used.ask(&request).await.unwrap().status(), 200);
    let mut fresh = Raw::over(connect(address, tls(&ca, &[b"http/1.1"]), HOST).await.unwrap());
    served.process.signal("TERM");
    eventually("the gate to leave", || says(&served, "\"leaving\"")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for raw in [&mut used, &mut fresh] {
        let answer = raw.ask(&request).await.expect("an answer");
        assert_eq!((answer.status(), answer.header("connection")), (200, "close"));
    }
    assert_eq!(end(served).await.0, Some(0));
}

#[tokio::test]
async fn who_waits_in_the_kernel_is_served_before_the_listener_closes() {
    let health = free_port();
    let setup = Setup { health: health.to_string(), ..setup("{ delay: 0s, deadline: 15s }") };
    let app = App::plain();
    let files = Files::write(&setup, app.address);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    files.put("config.yaml", &config.replace("workers: 2", "workers: 1"));
    let served = tokio::task::spawn_blocking(move || Served::start_with(files, app, health)).await.unwrap();
    let (address, ca) = (served.https, served.files.ca.clone());
    // The kernel takes these while the gate stands still.
    served.process.signal("STOP");
    let waiting: Vec<_> = (0..12)
        .map(|number| {
            let ca = ca.clone();
            tokio::spawn(async move {
                let mut client = Client::try_open_at(address, &ca, BOTH[number % 2], HOST).await?;
                let request = client.request("GET", "/open/a").body(e2e::client::body("")).unwrap();
                let answer = whole(client.head(request).await?).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.status.as_u16())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    served.process.signal("TERM");
    served.process.signal("CONT");
    for one in waiting {
        assert_eq!(soon("an answer", one).await.unwrap().expect("it was reset"), 200);
    }
    assert_eq!(end(served).await.0, Some(0));
}

fn stuck() -> App {
    App::start(|exchange| if exchange.until_closed() { After::Close } else { After::Keep })
}

/// A request that the application never answers; `None` where the gate cut it.
async fn never_answered(served: &Served, protocol: Protocol) -> tokio::task::JoinHandle<Option<u16>> {
    let mut client = Client::open_at(served.https, &served.files.ca, protocol, HOST).await;
    let request = client.request("GET", "/open/stuck").body(e2e::client::body("")).unwrap();
    let asked = tokio::spawn(async move { client.head(request).await.ok().map(|answer| answer.status().as_u16()) });
    eventually("the request to arrive", || served.app.count() >= 1).await;
    asked
}

#[tokio::test]
async fn the_deadline_cuts_what_does_not_end_and_it_is_on_the_record() {
    for protocol in BOTH {
        let served = serve(setup("{ delay: 0s, deadline: 700ms }"), stuck()).await;
        let asked = never_answered(&served, protocol).await;
        let told = Instant::now();
        served.process.signal("TERM");
        let (code, served) = end(served).await;
        assert!((Duration::from_millis(600)..Duration::from_secs(5)).contains(&told.elapsed()), "{:?}", told.elapsed());
        assert_eq!(code, Some(0), "{}", served.process.out());
        assert!(says(&served, "the deadline has passed"));
        assert_eq!(soon("the cut", asked).await.unwrap(), None);
        let record = served.files.record();
        assert_eq!(record.len(), 1, "{record:?}");
        assert_eq!(record[0]["decision"], "allow", "{record:?}");
        assert_eq!(record[0]["aborted"], true, "{record:?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let served = serve(setup("{ delay: 3m, deadline: 5m }"), stuck()).await;
    let asked = never_answered(&served, Protocol::Http2).await;
    let told = Instant::now();
    served.process.signal("TERM");
    eventually("the gate to leave", || says(&served, "\"leaving\"")).await;
    // A reload that is asked for now changes nothing, and ends nothing.
    served.process.signal("HUP");
    let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http1, HOST).await;
    assert_eq!(client.ask("GET", "/nowhere", &[]).await.status, 404, "within the delay all is as before");
    served.process.signal("TERM");
    let (code, served) = end(served).await;
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    assert_eq!(code, Some(0), "{}", served.process.out());
    assert!(says(&served, "a second signal came"));
    assert_eq!(soon("the cut", asked).await.unwrap(), None);
    assert_eq!(served.files.record().len(), 2);
}

#[tokio::test]
async fn after_the_command_newcomers_are_served_until_the_pod_is_told_to_end() {
    let served = serve(setup("{ delay: 100ms, deadline: 60s }"), App::plain()).await;
    let said = process::run(served.files.root(), &["drain", "--control", "control.sock"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let kept = Client::open_at(served.https, &served.files.ca, Protocol::Http2, HOST).await;
    // Much longer than the delay, and with nobody who stays: the application of the pod may still be asked for.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http1, HOST).await;
        let answer = client.ask("GET", "/open/a", &[]).await;
        assert_eq!(answer.status, 200);
        if began.elapsed() > Duration::from_secs(1) {
            assert_eq!(answer.header("connection"), "close");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(e2e::gate::probe(served.health, "/livez").contains(" 200 "), "a drain is no illness");
    assert!(e2e::gate::probe(served.health, "/startedz").contains(" 200 "));
    drop(kept);
    let told = Instant::now();
    served.process.signal("TERM");
    let (code, served) = end(served).await;
    assert_eq!(code, Some(0), "{}", served.process.out());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    assert!(!says(&served, "are cut"), "{}", served.process.out());
}

#[tokio::test]
async fn without_a_signal_the_command_ends_it_at_the_deadline() {
    let served = serve(setup("{ delay: 0s, deadline: 1s }"), App::plain()).await;
    let told = Instant::now();
    assert_eq!(process::run(served.files.root(), &["drain", "--control", "control.sock"]).code, Some(0));
    let (code, served) = end(served).await;
    assert_eq!(code, Some(0), "{}", served.process.out());
    assert!((Duration::from_millis(900)..Duration::from_secs(6)).contains(&told.elapsed()), "{:?}", told.elapsed());
}

#[tokio::test]
async fn the_first_process_of_a_container_hears_the_signal() {
    let health = free_port();
    let app = App::plain();
    let files = Files::write(&Setup { health: health.to_string(), ..setup("{ delay: 0s }") }, app.address);
    let mut alone = std::process::Command::new("unshare");
    alone.args(["--pid", "--fork", "--kill-child"]).arg(process::binary());
    if !std::process::Command::new("unshare").args(["--pid", "--fork", "true"]).status().is_ok_and(|it| it.success()) {
        return e2e::skipped("a namespace of processes needs root");
    }
    let served = tokio::task::spawn_blocking(move || Served::start_as(&mut alone, files, app, health)).await.unwrap();
    let own = served.process.id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let killed = std::process::Command::new("kill").args(["-TERM", children.trim()]).status().unwrap();
    assert!(killed.success());
    let (code, served) = end(served).await;
    assert_eq!(code, Some(0), "{}", served.process.out());
    assert!(says(&served, "\"stopped\""));
}

#[tokio::test]
async fn the_command_drains_and_the_signal_after_it_is_not_the_second() {
    let served = serve(setup("{ delay: 1s, deadline: 10s }"), App::plain()).await;
    let root = served.files.root().to_owned();
    let health = served.health.to_string();
    let run = |arguments: &[&str]| {
        let said = process::run(&root, arguments);
        (said.code, said.out, said.err)
    };
    assert_eq!(run(&["healthcheck", "--address", &health]).0, Some(0));
    let status = |key: &str| {
        let (_, out, err) = run(&["status", "--control", "control.sock"]);
        serde_json::from_str::<Value>(&out).unwrap_or_else(|_| panic!("{out}{err}"))[key].clone()
    };
    assert_eq!(status("draining"), false);
    let told = Instant::now();
    let (code, out, err) = run(&["drain", "--control", "control.sock"]);
    assert_eq!((code, out.as_str()), (Some(0), "draining: readiness has fallen\n"), "{err}");
    let (code, _, err) = run(&["healthcheck", "--address", &health]);
    assert_eq!((code, err.trim()), (Some(1), "leaving"));
    assert_eq!(run(&["healthcheck", "--live", "--address", &health]).0, Some(0));
    assert_eq!(status("draining"), true);
    // As Kubernetes does after a `preStop` hook.
    served.process.signal("TERM");
    let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http2, HOST).await;
    assert_eq!(client.ask("GET", "/open/a", &[]).await.status, 200);
    let (code, served) = end(served).await;
    assert_eq!(code, Some(0));
    assert!(told.elapsed() >= Duration::from_secs(1), "{:?}", told.elapsed());
    assert!(says(&served, "the control socket") && !says(&served, "a second signal"));
    assert!(!served.files.path("control.sock").exists());
    let (code, _, err) = run(&["drain", "--control", "control.sock"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no answer from `control.sock`"), "{err}");
    assert_eq!(run(&["healthcheck", "--live", "--address", &health]).0, Some(1));
}
