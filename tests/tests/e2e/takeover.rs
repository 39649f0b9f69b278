//! One gate leaves while another on its own address takes over: whoever goes by readiness loses nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol, body, whole};
use e2e::gate::{Files, Gate, Setup, probe};
use e2e::{PATIENCE, soon};

/// What a client may do that asks more often than any limit allows.
const WIDE: &str = "{ per_address: { rate: 100000/s, burst: 1000000 } }";

/// A gate as clients know it: where it is, and who signed its certificate.
#[derive(Clone)]
struct Place {
    https: SocketAddr,
    health: SocketAddr,
    ca: String,
}

/// The ready ones, as a Service in front of both would know them.
type Endpoints = Arc<Mutex<Vec<Place>>>;

fn place(gate: &Gate) -> Place {
    Place { https: gate.https, health: gate.health, ca: gate.files.ca.clone() }
}

/// Looks at readiness again and again, as a kubelet does.
fn watch(all: Vec<Place>, endpoints: Endpoints, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let ready = |place: &&Place| {
                // A gate that has left refuses the connection.
                std::panic::catch_unwind(|| probe(place.health, "/readyz")).is_ok_and(|text| text.contains(" 200 "))
            };
            let ready: Vec<Place> = all.iter().filter(ready).cloned().collect();
            *endpoints.lock().unwrap() = ready;
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

/// Asks on kept connections to whichever gate is ready; returns how many answers came from each, and what went wrong.
async fn keep_asking(
    endpoints: Endpoints,
    protocol: Protocol,
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<Vec<SocketAddr>>>,
) -> Vec<String> {
    let mut lost = Vec::new();
    let mut turn = 0;
    while !stop.load(Ordering::Acquire) {
        turn += 1;
        let ready = endpoints.lock().unwrap().clone();
        let place = ready[turn % ready.len()].clone();
        let mut client = match Client::try_open_at(place.https, &place.ca, protocol, HOST).await {
            Ok(client) => client,
            Err(error) => {
                lost.push(format!("no connection: {error}"));
                continue;
            }
        };
        for _ in 0..50 {
            let request = client.request("GET", "/open/a").body(body("")).unwrap();
            let answer = match client.head(request).await {
                Ok(head) => whole(head).await,
                // The gate had ended the connection, and nothing of this request was sent: any client asks anew.
                Err(error) if error.is_canceled() || error.is_closed() => break,
                Err(error) => Err(error.to_string()),
            };
            match answer {
                Ok(answer) if answer.status == 200 => {
                    answered.lock().unwrap().push(place.https);
                    if answer.header("connection") == "close" {
                        break;
                    }
                }
                Ok(answer) => lost.push(format!("{}", answer.status)),
                Err(error) => lost.push(error),
            }
        }
    }
    lost
}

async fn eventually(what: &str, ask: impl Fn() -> bool) {
    let started = Instant::now();
    while !ask() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_second_instance_takes_over_and_nothing_is_lost() {
    let setup =
        || Setup { drain: "{ delay: 1s, deadline: 20s }".to_owned(), limits: WIDE.to_owned(), ..Setup::default() };
    let app = App::plain();
    let second = Files::write(&setup(), app.address);
    let mut first = Gate::start(setup(), app);
    let second = Gate::start_with(second, App::plain(), setup().clock);

    let endpoints: Endpoints = Arc::new(Mutex::new(vec![place(&first)]));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let watcher = watch(vec![place(&first), place(&second)], Arc::clone(&endpoints), Arc::clone(&done));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let (endpoints, stop, answered) = (Arc::clone(&endpoints), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(keep_asking(endpoints, BOTH[number % 2], stop, answered))
        })
        .collect();
    let of = |address: SocketAddr| answered.lock().unwrap().iter().filter(|one| **one == address).count();
    eventually("the first gate to be at work", || of(first.https) > 200).await;

    let (from, to) = (first.https, second.https);
    let running = first.running.take().unwrap();
    soon("the first gate to leave", running.drain(std::future::ready(()), std::future::pending())).await.unwrap();
    let before = of(to);
    eventually("the second gate to be at work", || of(to) > before + 200).await;
    stop.store(true, Ordering::Release);
    let mut lost = Vec::new();
    for client in clients {
        lost.extend(client.await.unwrap());
    }
    done.store(true, Ordering::Release);
    watcher.join().unwrap();
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), of(from) + of(to), lost.first());
    assert!(endpoints.lock().unwrap().iter().all(|place| place.https == to), "only the second is ready now");
}

#[test]
fn a_control_socket_that_cannot_be_opened_says_why() {
    let files = Files::write(&Setup::default(), App::plain().address);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    files.put("config.yaml", &config.replace("unix:control.sock", "unix:run/control.sock"));
    let run = || e2e::process::run(files.root(), &["run", "--config", "config.yaml"]);
    let said = run();
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(
        said.err.contains("`run/control.sock`") && said.err.contains("the folder `run` does not exist"),
        "{}",
        said.err
    );
    files.put("run/control.sock", "no socket");
    let said = run();
    assert!(said.code == Some(1) && said.err.contains("something else has this name"), "{}", said.err);
}
