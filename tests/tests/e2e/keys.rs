//! The keys of providers, fetched from servers that rotate them, go down, come back, and lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anteroom::clock::Clock;
use anteroom::dev_key::DevKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Files, Gate, Setup};
use e2e::issuer::Issuer;
use e2e::key_server::{KEYS, KeyServer, METADATA, plain};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::reload::eventually;

/// What stands in the configuration for keys behind `url`.
fn at(url: &str) -> String {
    format!("{{ url: \"{url}\", ca: ca.pem, private: [127.0.0.0/8] }}")
}

/// A gate whose provider's keys are at a server, which publishes those of its issuer.
pub(crate) async fn fetching(clock: Clock) -> (Gate, Arc<KeyServer>) {
    fetching_for(App::plain(), clock).await
}

/// The same, before this application.
pub(crate) async fn fetching_for(app: App, clock: Clock) -> (Gate, Arc<KeyServer>) {
    let files = Files::write(&setup(), app.address);
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    (start(files, app, &at(&server.url(KEYS)), clock), server)
}

fn start(files: Files, app: App, jwks: &str, clock: Clock) -> Gate {
    files.put("config.yaml", &written(&app).replace("{ file: jwks.json }", jwks));
    Gate::start_with(files, app, clock)
}

/// A folder with the files of a gate, and the application that is to stand behind it.
fn folder() -> (Files, App) {
    let app = App::plain();
    (Files::write(&setup(), app.address), app)
}

/// A gate before which somebody stands who sends more, and is refused more, than any client may.
fn setup() -> Setup {
    Setup {
        limits: "{ per_address: { rate: 100000/s, burst: 1000000 }, \
                 refused_per_address: { rate: 100000/s, burst: 1000000 } }"
            .to_owned(),
        more: "client_address: { header: { name: x-forwarded-for, sent_by: [127.0.0.0/8] } }\n".to_owned(),
        ..Setup::default()
    }
}

fn written(app: &App) -> String {
    e2e::gate::config(&setup(), app.address)
}

pub(crate) async fn ready(gate: &Gate) {
    eventually("the keys", || gate.shared().unready().is_empty().then_some(())).await;
}

/// The public keys of several, the first one first.
pub(crate) fn set_of(keys: &[&DevKey]) -> Value {
    let all: Vec<Value> = keys.iter().map(|key| key.key_set()["keys"][0].clone()).collect();
    json!({ "keys": all })
}

/// An issuer of the same name with a key of its own.
pub(crate) fn next(of: &Issuer) -> Issuer {
    Issuer { now: of.now, ..Issuer::new() }
}

/// The same key once more.
fn again(key: &DevKey) -> DevKey {
    DevKey::from_pem(key.pem().as_bytes()).unwrap()
}

/// What status tells of the provider.
pub(crate) fn told(gate: &Gate) -> Value {
    let said = e2e::process::run(gate.files.root(), &["status", "--control", "control.sock"]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    status["providers"]["clinic"].clone()
}

#[tokio::test]
async fn ten_thousand_unknown_keys_are_one_fetch() {
    let (gate, server) = fetching(Clock::system()).await;
    ready(&gate).await;
    assert_eq!(server.asked(KEYS), 1);
    let began = Instant::now();
    let claims = gate.issuer().ada().split('.').nth(1).unwrap().to_owned();
    let gate = Arc::new(gate);
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (gate, claims) = (Arc::clone(&gate), claims.clone());
            tokio::spawn(async move {
                let mut client = Client::open(&gate, Protocol::Http2).await;
                for index in 0..2_500 {
                    let head = json!({ "alg": "ES256", "kid": format!("{task}-{index}") }).to_string();
                    let token = format!("Bearer {}.{claims}.{}", URL_SAFE_NO_PAD.encode(head), "A".repeat(86));
                    let headers = [("authorization", token.as_str()), ("x-forwarded-for", "192.0.2.7")];
                    assert_eq!(client.ask("GET", "/me", &headers).await.code(), "TOKEN_INVALID");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let windows = 1 + began.elapsed().as_secs() / 30;
    let asked = server.asked(KEYS) as u64;
    assert!((2..=1 + windows).contains(&asked), "{asked} fetches in {windows} windows");
    assert_eq!(server.last()["cache-control"], "no-cache");
    assert!(server.last().contains_key("if-none-match"), "a condition, so that the answer is small");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
}

/// People who ask all the time, each time with a token never seen before, by the key that signs at that moment.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(gate: &Arc<Gate>, signs: &Arc<std::sync::Mutex<Arc<Issuer>>>) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..6)
            .map(|person| {
                let (gate, signs) = (Arc::clone(gate), Arc::clone(signs));
                let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
                tokio::spawn(async move {
                    let mut client = Client::open(&gate, Protocol::Http2).await;
                    let mut number = 0;
                    while !stop.load(Ordering::SeqCst) {
                        number += 1;
                        let issuer = Arc::clone(&signs.lock().unwrap());
                        let token = issuer.token(&format!("{person}.{number}.example"), "a", &["provider"]);
                        let answer = client.get("/me", &token).await;
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        Self { stop, served, tasks }
    }

    /// Waits until `more` requests were served.
    async fn goes_on(&self, more: usize) {
        let until = self.served.load(Ordering::SeqCst) + more;
        eventually("more requests", || (self.served.load(Ordering::SeqCst) >= until).then_some(())).await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_rotation_loses_no_request_however_abrupt() {
    let (gate, server) = fetching(Clock::system()).await;
    ready(&gate).await;
    let gate = Arc::new(gate);
    let (old, new) =
        (Arc::new(Issuer { key: again(&gate.issuer().key), now: gate.issuer().now }), Arc::new(next(gate.issuer())));
    let signs = Arc::new(std::sync::Mutex::new(Arc::clone(&old)));
    let load = Load::start(&gate, &signs);
    load.goes_on(100).await;
    // The new key is published in the very moment in which it signs, and nobody was told before.
    server.publish(set_of(&[&new.key, &old.key]));
    *signs.lock().unwrap() = Arc::clone(&new);
    load.goes_on(100).await;
    assert_eq!(server.asked(KEYS), 2, "one fetch for all who came with the new key");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(
        client.get("/me", &old.ada()).await.status,
        200,
        "what the old key signed is good while it is published"
    );
    load.end().await;
}

#[tokio::test]
async fn a_second_rotation_within_the_window_is_refused_until_it_has_passed() {
    let now = Issuer::new().now;
    let (gate, server) = fetching(Clock::manual(now * 1_000)).await;
    ready(&gate).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let (second, third) = (next(gate.issuer()), next(gate.issuer()));
    server.publish(set_of(&[&second.key]));
    assert_eq!(client.get("/me", &second.ada()).await.status, 200);
    assert_eq!(client.get("/me", &gate.issuer().ada()).await.code(), "TOKEN_INVALID", "withdrawn");
    server.publish(set_of(&[&third.key]));
    assert_eq!(client.get("/me", &third.ada()).await.code(), "TOKEN_INVALID");
    assert_eq!(server.asked(KEYS), 2);
    gate.clock().advance(Duration::from_secs(30));
    assert_eq!(client.get("/me", &third.ada()).await.status, 200);
    assert_eq!(server.asked(KEYS), 3);
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_waited_for() {
    let (files, app) = folder();
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    server.be_down(true);
    let gate = start(files, app, &at(&server.url(KEYS)), Clock::system());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let answer = client.get("/me", &gate.issuer().ada()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "PROVIDER_DOWN"));
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200, "public pages need nobody's keys");
    assert_eq!(gate.shared().unready(), ["keys"]);
    assert_eq!(gate.metric("anteroom_provider_keys", &[("provider", "clinic")]), 0.0);
    eventually("a failure to be counted", || {
        (gate.metric("anteroom_provider_fetch_failures_total", &[("provider", "clinic")]) >= 1.0).then_some(())
    })
    .await;
    server.be_down(false);
    ready(&gate).await;
    assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
    assert_eq!(gate.metric("anteroom_provider_keys", &[("provider", "clinic")]), 1.0);
    let fetched = gate.metric("anteroom_provider_keys_fetched_seconds", &[("provider", "clinic")]);
    assert!((fetched - gate.issuer().now as f64).abs() < 60.0, "{fetched}");
}

#[tokio::test]
async fn last_good_keys_hold_for_as_long_as_is_said_and_no_longer() {
    let now = Issuer::new().now;
    let (gate, server) = fetching(Clock::manual(now * 1_000)).await;
    ready(&gate).await;
    server.be_down(true);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let at = |hours: u64| Issuer { key: again(&gate.issuer().key), now: now + hours * 3_600 }.ada();
    gate.clock().advance(Duration::from_secs(24 * 3_600));
    assert_eq!(client.get("/me", &at(24)).await.status, 200);
    assert_eq!(told(&gate)["age_s"], 24 * 3_600);
    gate.clock().advance(Duration::from_secs(1));
    let answer = client.get("/me", &at(24)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "PROVIDER_DOWN"), "a remembered token too");
    assert_eq!(gate.shared().unready(), ["keys"]);
    assert_eq!((&told(&gate)["usable"], &told(&gate)["keys"]), (&json!(false), &json!(1)));
    assert_eq!(gate.metric("anteroom_provider_keys", &[("provider", "clinic")]), 0.0);
}

#[tokio::test]
async fn a_provider_that_is_down_is_nobody_elses_trouble() {
    let (files, app) = folder();
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    server.be_down(true);
    let more = format!(
        "    tenants: any\n  other:\n    issuer: https://other.example/\n    audience: [other]\n    claims: {{ tenant: org_id }}\n    tenants: any\n    jwks: {}\n",
        at(&server.url(KEYS))
    );
    let config = written(&app).replace("policies: policies\n", &format!("{more}policies: policies\n"));
    files.put("config.yaml", &config);
    let gate = Gate::start_with(files, app, Clock::system());
    assert!(gate.shared().unready().is_empty(), "who can be let in is");
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
    let theirs = gate.issuer().changed(json!({ "iss": "https://other.example/", "aud": "other" }));
    assert_eq!(client.get("/me", &theirs).await.code(), "PROVIDER_DOWN");
    assert_eq!(client.get("/me", &gate.issuer().token("eve.example", "a", &["provider"])).await.status, 200);
}

#[tokio::test]
async fn answers_that_lead_elsewhere_are_refused() {
    let (files, app) = folder();
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    let mut elsewhere = HeaderMap::new();
    elsewhere.insert("location", server.url("/moved").parse().unwrap());
    server.say(Some((StatusCode::FOUND, elsewhere, String::new())));
    let gate = start(files, app, &at(&server.url(KEYS)), Clock::system());
    let error = eventually("the error", || told(&gate)["error"].as_str().map(ToOwned::to_owned)).await;
    assert!(error.contains("302") && error.contains("redirects are not followed"), "{error}");
    assert_eq!((server.asked("/moved"), told(&gate)["keys"].as_u64()), (0, Some(0)));
}

#[tokio::test]
async fn an_address_inside_is_called_only_where_it_is_listed() {
    let (files, app) = folder();
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    // A literal address is refused before anything starts, a name when it is looked up.
    let config = written(&app);
    let unlisted = format!("{{ url: \"{}\", ca: ca.pem, private: [10.0.0.0/8] }}", server.url(KEYS));
    files.put("config.yaml", &config.replace("{ file: jwks.json }", &unlisted));
    let said = e2e::process::run(files.root(), &["check", "--config", "config.yaml"]);
    assert!(said.err.contains("not public") && said.err.contains("add its network"), "{}", said.err);
    let named = unlisted.replace("127.0.0.1", "localhost");
    files.put("config.yaml", &config.replace("{ file: jwks.json }", &named));
    let gate = Gate::start_with(files, app, Clock::system());
    let error = eventually("the error", || told(&gate)["error"].as_str().map(ToOwned::to_owned)).await;
    assert!(error.contains("not public"), "{error}");
    assert_eq!(server.asked(KEYS), 0);
}

/// A gate whose provider is found by its metadata.
async fn discovering() -> (Gate, Arc<KeyServer>) {
    let (files, app) = folder();
    let server = KeyServer::start(&files, files.issuer.key.key_set()).await;
    let config = written(&app)
        .replace("issuer: https://issuer.example/", &format!("issuer: {}", server.url("")))
        .replace("jwks: { file: jwks.json }", "discovery: { ca: ca.pem, private: [127.0.0.0/8] }");
    files.put("config.yaml", &config);
    (Gate::start_with(files, app, Clock::system()), server)
}

#[tokio::test]
async fn keys_are_found_by_the_metadata() {
    let (gate, server) = discovering().await;
    ready(&gate).await;
    assert_eq!((server.asked(METADATA), server.asked(KEYS)), (1, 1));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let of = |issuer: &Issuer| {
        let mut claims = issuer.claims("ada.example", "a", &["provider"]);
        claims.insert("iss".to_owned(), json!(server.url("")));
        issuer.sign(&claims)
    };
    assert_eq!(client.get("/me", &of(gate.issuer())).await.status, 200);
    let new = next(gate.issuer());
    server.publish(set_of(&[&new.key]));
    assert_eq!(client.get("/me", &of(&new)).await.status, 200);
    assert_eq!((server.asked(METADATA), server.asked(KEYS)), (1, 2));
}

#[tokio::test]
async fn metadata_of_another_issuer_or_to_an_address_inside_gives_no_keys() {
    let (gate, server) = discovering().await;
    ready(&gate).await;
    for (metadata, says) in [
        (json!({ "issuer": "https://evil.example", "jwks_uri": server.url(KEYS) }), "another `issuer`"),
        (json!({ "issuer": format!("{}/", server.url("")), "jwks_uri": server.url(KEYS) }), "another `issuer`"),
        (json!({ "issuer": server.url(""), "jwks_uri": "https://10.0.0.1/keys" }), "jwks_uri"),
        (json!({ "issuer": server.url(""), "jwks_uri": "http://127.0.0.1/keys" }), "jwks_uri"),
    ] {
        server.describe(metadata);
        let folder = gate.files.root().to_owned();
        std::fs::write(folder.join("token"), gate.issuer().ada()).unwrap();
        let explained = tokio::task::spawn_blocking(move || {
            let asked = ["explain", "GET https://clinic.example/me", "--token", "token", "--config", "config.yaml"];
            e2e::process::run(&folder, &asked)
        });
        let said = explained.await.unwrap();
        assert!(said.err.contains(says), "{says}: {} {}", said.out, said.err);
    }
    server.say(Some(plain("{}".to_owned())));
    let mut client = Client::open(&gate, Protocol::Http2).await;
    assert_eq!(client.get("/me", "").await.code(), "TOKEN_INVALID", "the gate that runs is none the worse");
}
