//! A change of the files reaches a running gate as a whole, or not at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use certs::dev::{DevCa, IssuedPair, Validity};
use e2e::app::App;
use e2e::client::{BOTH, Client, HOST, Protocol, connect, tls, whole};
use e2e::gate::{Files, Gate, Setup};
use e2e::key_server::{KEYS, KeyServer};
use e2e::process::{self, Served, free_port};
use e2e::volume::Volume;
use e2e::{PATIENCE, soon};
use serde_json::Value;

/// What a client may do that asks more often than any limit allows.
const WIDE: &str = "{ per_address: { rate: 100000/s, burst: 1000000 }, \
                    refused_per_address: { rate: 100000/s, burst: 1000000 } }";

/// Half of a policy: `provider` may do `word`, and nothing else.
fn roles(word: &str) -> String {
    format!(
        "apiVersion: anteroom.dev/v1\nkind: Policy\nmetadata: {{ name: roles }}\n\
         roles: {{ provider: {{ can: {{ {word}.read: tenant }} }} }}\n"
    )
}

/// The other half: `/x` demands `word`, and `/word` is there. With the first half of another policy, `/x` is for nobody; the
/// routes under `/act` are there for such a mixture to be a policy at all.
fn routes(word: &str) -> String {
    let every: String = ["alpha", "beta", "last"]
        .iter()
        .map(|act| {
            format!(
                "  act_{act}: {{ path: /act/{act}, resource: {{ tenant: [claim] }}, methods: {{ GET: {act}.read }} }}\n"
            )
        })
        .collect();
    format!(
        "apiVersion: anteroom.dev/v1\nkind: Policy\nmetadata: {{ name: routes }}\nacts: {{ {word}.read: {{ phi: true }} }}\n\
         routes:\n  x_{word}: {{ path: /x, resource: {{ tenant: [claim] }}, methods: {{ GET: {word}.read }} }}\n  \
         {word}: {{ path: /{word}, methods: {{ GET: public }} }}\n  home: {{ path: /, methods: {{ GET: public }} }}\n{every}"
    )
}

/// Files of a gate whose policies and certificates are volumes of Kubernetes.
struct Mounted {
    files: Files,
    policies: Volume,
    tls: Volume,
    ca: DevCa,
}

impl Mounted {
    fn of(setup: &Setup, app: SocketAddr) -> Self {
        let mut files = Files::write(setup, app);
        let ca = DevCa::generate(Validity::days(now(), 30)).unwrap();
        files.ca = ca.ca_pem().to_owned();
        let pair = issue(&ca, 2);
        let (roles, routes) = (roles("alpha"), routes("alpha"));
        let policies = Volume::mount(files.path("policies"), &[("roles.yaml", &roles), ("routes.yaml", &routes)]);
        let tls = Volume::mount(files.path("tls"), &[("tls.crt", &pair.cert_pem), ("tls.key", &pair.key_pem)]);
        Self { files, policies, tls, ca }
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn issue(ca: &DevCa, days: u32) -> IssuedPair {
    ca.issue(&["clinic.example", "127.0.0.1"], Validity::days(now(), days)).unwrap()
}

fn swap_policy(volume: &mut Volume, word: &str) {
    volume.swap(&[("roles.yaml", &roles(word)), ("routes.yaml", &routes(word))]);
}

fn digest(gate: &Gate) -> String {
    gate.shared().runtime.load().policy_digest.to_string()
}

fn done(gate: &Gate) -> u64 {
    gate.shared().reloads.status().done
}

/// Waits without holding up the clients of this thread.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn done_more(gate: &Gate, than: u64) {
    eventually("a reload", || (done(gate) > than).then_some(())).await;
}

/// The certificate that a new connection is shown.
async fn leaf(address: SocketAddr, ca: &str) -> Vec<u8> {
    let stream = connect(address, tls(ca, &[b"h2"]), HOST).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(issued: &IssuedPair) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject as _;
    rustls_pki_types::CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap().to_vec()
}

/// What became of one request: its path, status and id.
type Told = (&'static str, u16, String);

/// Asks until told to stop, on a new connection after every 40 requests; every request must be answered.
async fn ask_on(
    address: SocketAddr,
    ca: String,
    protocol: Protocol,
    token: String,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<Told> {
    let mut told = Vec::new();
    let bearer = format!("Bearer {token}");
    while !stop.load(Ordering::Acquire) {
        let mut client = Client::open_at(address, &ca, protocol, HOST).await;
        for path in ["/x", "/alpha", "/x", "/beta"].into_iter().cycle().take(40) {
            let answer = client.ask("GET", path, &[("authorization", &bearer)]).await;
            told.push((path, answer.status.as_u16(), answer.id().to_owned()));
            count.fetch_add(1, Ordering::AcqRel);
        }
    }
    told
}

#[tokio::test]
async fn ten_thousand_requests_do_not_notice_that_policies_and_certificates_are_swapped_twice() {
    let setup = Setup { limits: WIDE.to_owned(), ..Setup::default() };
    let app = App::plain();
    let Mounted { files, mut policies, tls: mut volume, ca } = Mounted::of(&setup, app.address);
    let mut gate = Gate::start_with(files, app, setup.clock);
    let alpha = digest(&gate);
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            let token = gate.issuer().ada();
            tokio::spawn(ask_on(gate.https, gate.files.ca.clone(), BOTH[number % 2], token, stop, count))
        })
        .collect();

    let mut beta = String::new();
    for days in [5, 9] {
        let pair = issue(&ca, days);
        // Both at once: whatever the gate reads first, the two kinds of files are judged by themselves.
        let before = done(&gate);
        swap_policy(&mut policies, "beta");
        done_more(&gate, before).await;
        beta = digest(&gate);
        assert_ne!(beta, alpha);
        let before = done(&gate);
        volume.swap(&[("tls.crt", &pair.cert_pem), ("tls.key", &pair.key_pem)]);
        done_more(&gate, before).await;
        assert_eq!(leaf(gate.https, &gate.files.ca).await, der(&pair));
        let shown = tokio::task::spawn_blocking({
            let health = gate.health;
            move || e2e::gate::metric(health, "anteroom_certificate_expiry_seconds", &[])
        });
        let expiry = (now() + u64::from(days) * 86_400) as f64;
        assert!((shown.await.unwrap() - expiry).abs() < 100.0);
        let before = done(&gate);
        swap_policy(&mut policies, "alpha");
        done_more(&gate, before).await;
        assert_eq!(digest(&gate), alpha);
    }
    eventually("enough requests", || (count.load(Ordering::Acquire) >= 10_000).then_some(())).await;
    stop.store(true, Ordering::Release);
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.unwrap());
    }
    assert!(told.len() >= 10_000);
    assert_eq!((done(&gate), gate.shared().reloads.status().failed), (6, 0));

    // What is refused again and again stands in the record as a count, written at the end.
    gate.stop().await;
    let record = gate.files.record();
    let stands_for = |event: &Value| event["counted"]["requests"].as_u64().unwrap_or(1);
    assert!(record.iter().map(stands_for).sum::<u64>() >= told.len() as u64);
    let events: BTreeMap<String, Value> =
        record.into_iter().map(|event| (event["request"].as_str().unwrap().to_owned(), event)).collect();
    let mut judged = BTreeMap::new();
    for (path, status, id) in &told {
        let event = &events[id];
        let policy = event["policy"].as_str().unwrap();
        let word = if policy == alpha { "alpha" } else { "beta" };
        assert!(policy == alpha || policy == beta, "{event}");
        let expected = match *path {
            "/x" => 200,
            path if path.ends_with(word) => 200,
            _ => 404,
        };
        assert_eq!(*status, expected, "{path} under {word}: {event}");
        if *path == "/x" {
            assert_eq!(event["rule"], format!("x_{word}"), "{event}");
            assert_eq!(event["act"], format!("{word}.read"), "{event}");
        }
        *judged.entry(word).or_insert(0) += 1;
    }
    assert!(judged["alpha"] > 500 && judged["beta"] > 500, "{judged:?}");
}

#[tokio::test]
async fn two_swaps_in_a_breath_end_with_the_last() {
    let setup = Setup::default();
    let app = App::plain();
    let Mounted { files, mut policies, .. } = Mounted::of(&setup, app.address);
    let gate = Gate::start_with(files, app, setup.clock);
    for round in 0..3_u64 {
        swap_policy(&mut policies, "beta");
        policies.swap(&[("roles.yaml", &roles("last")), ("routes.yaml", &routes("last"))]);
        let mut client = Client::open(&gate, Protocol::Http2).await;
        eventually("the last policy", || {
            let runtime = gate.shared().runtime.load();
            runtime.policy.routes().any(|route| route.id() == "last").then_some(())
        })
        .await;
        // The policy is there a moment before it is counted.
        done_more(&gate, 2 * round).await;
        assert_eq!((done(&gate), gate.shared().reloads.status().failed), (2 * round + 1, 0), "one settled set");
        assert_eq!(client.ask("GET", "/last", &[]).await.status, 200);
        assert_eq!(client.ask("GET", "/beta", &[]).await.status, 404);
        swap_policy(&mut policies, "alpha");
        done_more(&gate, 2 * round + 1).await;
    }
}

#[test]
fn a_set_that_changes_while_it_is_read_is_never_half_of_each() {
    let setup = Setup::default();
    let Mounted { files, mut policies, .. } = Mounted::of(&setup, "127.0.0.1:9".parse().unwrap());
    let config = files.path("config.yaml");
    let digest = || anteroom::config::prepare(&config).map(|plan| plan.runtime.policy_digest.to_string());
    let alpha = digest().unwrap();
    swap_policy(&mut policies, "beta");
    let beta = digest().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            for word in ["alpha", "beta"].into_iter().cycle() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                swap_policy(&mut policies, word);
                std::thread::sleep(Duration::from_millis(15));
            }
        }
    });
    let mut good = 0;
    for _ in 0..60 {
        match digest() {
            Ok(read) => {
                assert!(read == alpha || read == beta, "a mixture");
                good += 1;
            }
            Err(faults) => {
                let text = policy::render(&faults.diagnostics, &faults.sources, false);
                assert!(text.contains("change faster than they can be read"), "{text}");
            }
        }
    }
    stop.store(true, Ordering::Release);
    writer.join().unwrap();
    assert!(good > 10, "only {good} of 60 were read whole");
}

#[tokio::test]
async fn a_bad_set_leaves_the_last_good_one_standing_and_says_so() {
    let health = free_port();
    let setup = Setup { health: health.to_string(), ..Setup::default() };
    let app = App::plain();
    let Mounted { files, mut policies, tls: mut volume, ca } = Mounted::of(&setup, app.address);
    let served = tokio::task::spawn_blocking(move || Served::start_with(files, app, health)).await.unwrap();
    let root = served.files.root().to_owned();
    let status = || {
        let said = process::run(&root, &["status", "--control", "control.sock"]);
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
    };
    let metric = |name: &str, labels: &[(&str, &str)]| e2e::gate::metric(health, name, labels);
    let first = leaf(served.https, &served.files.ca).await;
    assert_eq!(status()["reload"]["failure"], Value::Null);
    assert_eq!(metric("anteroom_reload_failed", &[]), 0.0);
    assert!(now().abs_diff(metric("anteroom_reload_last_good_seconds", &[]) as u64) < 30);

    let number = metric("anteroom_configuration_number", &[]);
    assert!(number > 0.0 && number < 2_f64.powi(48), "a gauge holds it exactly: {number}");
    assert_eq!(metric("anteroom_record_limit_bytes", &[]), 64.0 * 1024.0 * 1024.0);

    // The certificate of one pair with the key of another.
    let (one, two) = (issue(&ca, 5), issue(&ca, 6));
    volume.swap(&[("tls.crt", &one.cert_pem), ("tls.key", &two.key_pem)]);
    let told = eventually("the refusal", || {
        let failure = status()["reload"]["failure"].clone();
        (!failure.is_null()).then_some(failure)
    })
    .await;
    let text = told["faults"][0].as_str().unwrap();
    assert!(text.contains("config.yaml:") && text.contains("(certificate)"), "{text}");
    assert_eq!(metric("anteroom_reload_failed", &[]), 1.0);
    assert_eq!(metric("anteroom_reload_total", &[("result", "refused")]), 1.0);
    assert_eq!(metric("anteroom_reload_total", &[("result", "done")]), 0.0);
    assert_eq!(leaf(served.https, &served.files.ca).await, first, "the old pair stays");
    let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http2, HOST).await;
    assert_eq!(client.get("/x", &served.files.issuer.ada()).await.status, 200);
    let ready = process::run(&root, &["healthcheck", "--address", &health.to_string()]);
    assert_eq!((ready.code, ready.out.as_str()), (Some(0), "ok\n"), "a bad set does not take the gate out of service");

    // A good certificate with a policy that is none is not half applied.
    volume.swap(&[("tls.crt", &two.cert_pem), ("tls.key", &two.key_pem)]);
    policies.swap(&[("roles.yaml", "roles: [hunter2]\n"), ("routes.yaml", &routes("beta"))]);
    eventually("the second refusal", || {
        let failure = status()["reload"]["failure"].clone();
        failure.to_string().contains("roles.yaml").then_some(())
    })
    .await;
    assert_ne!(leaf(served.https, &served.files.ca).await, der(&one));
    assert_eq!(client.get("/alpha", &served.files.issuer.ada()).await.status, 200, "the old policy stays");
    assert_eq!(metric("anteroom_configuration_number", &[]), number);

    // Once it is right, it is taken.
    swap_policy(&mut policies, "beta");
    eventually("the recovery", || status()["reload"]["failure"].is_null().then_some(())).await;
    assert_eq!(leaf(served.https, &served.files.ca).await, der(&two));
    assert_eq!(client.get("/beta", &served.files.issuer.ada()).await.status, 200);
    assert_eq!(metric("anteroom_reload_failed", &[]), 0.0);
    assert_ne!(metric("anteroom_configuration_number", &[]), number);
    let log = served.process.out();
    assert!(log.contains("not reloaded; the last good configuration stays") && log.contains("\"reloaded\""), "{log}");
    for secret in ["hunter2", "PRIVATE KEY", two.key_pem.lines().nth(1).unwrap()] {
        assert!(!log.contains(secret) && !told.to_string().contains(secret), "`{secret}` is told");
    }
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_with_that_text() {
    let gate = Gate::plain();
    let config = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    for (key, from, to) in [
        ("listen.https", "https: \"127.0.0.1:0\"", "https: \"127.0.0.1:1\""),
        ("listen.health", "health: \"127.0.0.1:0\"", "health: \"127.0.0.1:1\""),
        ("listen.control", "unix:control.sock", "unix:other.sock"),
        ("workers", "workers: 2", "workers: 3"),
        ("audit.directory", "directory: audit", "directory: elsewhere"),
        ("audit.size", "size: 64MiB", "size: 65MiB"),
        ("log.level", "level: info", "level: debug"),
    ] {
        assert!(config.contains(from), "{from}");
        gate.files.put("config.yaml", &config.replace(from, to));
        let expected = format!("`{key}` cannot change while the gate runs: it needs a restart (restart)");
        eventually(&expected, || {
            let failure = gate.shared().reloads.status().failure.clone();
            failure.filter(|failure| failure.faults == [expected.clone()])
        })
        .await;
    }
    assert_eq!(done(&gate), 0);
    assert!(!gate.files.path("elsewhere").exists());
    gate.files.put("config.yaml", &config);
    eventually("the recovery", || gate.shared().reloads.status().failure.is_none().then_some(())).await;
}

#[tokio::test]
async fn limits_live_on() {
    let limits = "{ per_address: { rate: 1/h, burst: 3 } }".to_owned();
    let gate = Gate::start(Setup { limits, ..Setup::default() }, App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for expected in [200, 200, 200, 429] {
        assert_eq!(client.ask("GET", "/", &[]).await.status, expected);
    }
    gate.files.put("policies/policy.yaml", &format!("{}\n# another text\n", e2e::gate::POLICY));
    done_more(&gate, 0).await;
    assert_eq!(client.ask("GET", "/", &[]).await.code(), "LIMITED");
}

#[tokio::test]
async fn a_remembered_token_is_judged_anew_once_a_setting_of_its_provider_has_changed() {
    let gate = Gate::plain();
    let config = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    let generation = || gate.shared().runtime.load().providers[0].authn.generation();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().ada();
    assert_eq!(client.get("/me", &token).await.status, 200);
    let first = generation();

    // A change elsewhere leaves the provider, and what is remembered of its tokens, as it is.
    gate.files.put("config.yaml", &config.replace("drain: { delay: 0s }", "drain: { delay: 1s }"));
    done_more(&gate, 0).await;
    assert_eq!(generation(), first);
    let runtime = gate.shared().runtime.load_full();
    let provider = &runtime.providers[0];
    let at = gate.clock().now();
    assert!(gate.shared().tokens.known(&token, &provider.authn, &provider.keys, at).is_some_and(|known| known.is_ok()));

    gate.files.put("config.yaml", &config.replace("https://api.clinic.example", "https://other.clinic.example"));
    done_more(&gate, 1).await;
    assert_ne!(generation(), first);
    assert_eq!(client.get("/me", &token).await.code(), "TOKEN_INVALID");

    gate.files.put("config.yaml", &config);
    done_more(&gate, 2).await;
    assert_eq!(generation(), first);
    assert_eq!(client.get("/me", &token).await.status, 200);
}

#[tokio::test]
async fn keys_in_a_file_are_exchanged() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let old = gate.issuer().ada();
    let next = e2e::issuer::Issuer::new();
    assert_eq!(client.get("/me", &old).await.status, 200);
    assert_eq!(client.get("/me", &next.ada()).await.code(), "TOKEN_INVALID");
    gate.files.put("jwks.json", &next.key.key_set().to_string());
    done_more(&gate, 0).await;
    assert_eq!(client.get("/me", &next.ada()).await.status, 200);
    assert_eq!(client.get("/me", &old).await.code(), "TOKEN_INVALID", "it was remembered");
}

#[tokio::test]
async fn the_application_may_move() {
    let gate = Gate::plain();
    let config = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/", &[]).await.status, 200);
    }
    assert_eq!(gate.app.connections(), 1, "it is kept");
    let moved = App::plain();
    gate.files.put("config.yaml", &config.replace(&gate.app.address.to_string(), &moved.address.to_string()));
    done_more(&gate, 0).await;
    assert_eq!(client.ask("GET", "/", &[]).await.status, 200);
    assert_eq!((gate.app.count(), moved.count()), (4, 1));
}

#[tokio::test]
async fn sighup_reloads_at_once() {
    let served = tokio::task::spawn_blocking(|| Served::start(Setup::default(), App::plain())).await.unwrap();
    let reloads = || served.log().iter().filter(|line| line["message"] == "reloaded").count();
    served.process.signal("HUP");
    eventually("a reload", || (reloads() == 1).then_some(())).await;
    served.process.signal("HUP");
    eventually("another", || (reloads() == 2).then_some(())).await;
    let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http2, HOST).await;
    assert_eq!(client.get("/me", &served.files.issuer.ada()).await.status, 200);
}

#[tokio::test]
async fn fetched_keys_survive_and_a_new_address_is_fetched() {
    let setup = Setup::default();
    let app = App::plain();
    let files = Files::write(&setup, app.address);
    let keys = KeyServer::start(&files, files.issuer.key.key_set()).await;
    let other = KeyServer::start(&files, files.issuer.key.key_set()).await;
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let at = |server: &KeyServer, last_good: &str| {
        let written =
            format!("url: \"{}\", ca: ca.pem, private: [127.0.0.0/8], last_good: {last_good}", server.url(KEYS));
        config.replace("{ file: jwks.json }", &format!("{{ {written} }}"))
    };
    files.put("config.yaml", &at(&keys, "24h"));
    let gate = Gate::start_with(files, app, setup.clock);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let token = gate.issuer().ada();
    eventually("the keys", || gate.shared().unready().is_empty().then_some(())).await;
    assert_eq!(client.get("/me", &token).await.status, 200);

    let store = || Arc::clone(&gate.shared().runtime.load().providers[0].keys);
    let first = store();
    gate.files.put("policies/policy.yaml", &format!("{}\n# another text\n", e2e::gate::POLICY));
    done_more(&gate, 0).await;
    assert!(Arc::ptr_eq(&store(), &first));
    assert_eq!(client.get("/me", &gate.issuer().token("eve.example", "a", &["provider"])).await.status, 200);
    assert_eq!(keys.asked(KEYS), 1, "the keys were there");

    // How long they are used is changed under them.
    keys.be_down(true);
    gate.files.put("config.yaml", &at(&keys, "2h"));
    done_more(&gate, 1).await;
    assert!(Arc::ptr_eq(&store(), &first));
    assert_eq!(client.get("/me", &gate.issuer().token("eva.example", "a", &["provider"])).await.status, 200);

    gate.files.put("config.yaml", &at(&other, "24h"));
    done_more(&gate, 2).await;
    assert!(!Arc::ptr_eq(&store(), &first));
    eventually("the other keys", || gate.shared().unready().is_empty().then_some(())).await;
    assert_eq!(client.get("/me", &token).await.status, 200);
    assert_eq!((keys.asked(KEYS), other.asked(KEYS)), (1, 1));
    // The task of the first address has ended: nobody else holds its keys.
    eventually("the task to end", || (Arc::strong_count(&first) == 1).then_some(())).await;
}

#[tokio::test]
async fn a_body_in_flight_is_not_disturbed() {
    let gate = Gate::start(
        Setup::default(),
        App::start(|exchange| {
            exchange.read_body();
            let length = exchange.seen.body.len();
            exchange.answer("200 OK", "", &length.to_string())
        }),
    );
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>>(1);
    let stream = Body(receiver);
    let request = client.request("POST", "/open/up").body(http_body_util::BodyExt::boxed(stream)).unwrap();
    let answer = tokio::spawn(async move { whole(client.head(request).await.unwrap()).await.unwrap() });
    sender.send(Ok(hyper::body::Frame::data("before ".into()))).await.unwrap();
    eventually("the request to arrive", || (gate.app.count() == 1).then_some(())).await;
    gate.files.put("policies/policy.yaml", &routes("beta"));
    done_more(&gate, 0).await;
    sender.send(Ok(hyper::body::Frame::data("after".into()))).await.unwrap();
    drop(sender);
    let answer = soon("the answer", answer).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "12"));
}

struct Body(tokio::sync::mpsc::Receiver<Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>>);

impl hyper::body::Body for Body {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}
