//! Fetching keys and metadata from a TLS server of our own, well behaved and not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::authn::signing::{Maker, NOW, at, provider};
use crate::authn::{Remembered, Renewal, TokenFault, keep_fresh};
use crate::outbound::stage::{Stage, answer};

const DAY: Duration = Duration::from_secs(86_400);

fn set(maker: &Maker, kid: &str) -> String {
    json!({ "keys": [maker.jwk(kid)] }).to_string()
}

fn keys(maker: &Maker) -> Vec<u8> {
    answer("200 OK\r\ncontent-type: application/json", &set(maker, "e"))
}

fn direct(stage: &Stage) -> (Arc<KeyStore>, Source) {
    let store = Arc::new(KeyStore::awaiting(DAY));
    (Arc::clone(&store), Source::Keys { store, at: stage.endpoint("/keys") })
}

fn fetcher(source: Source) -> Fetcher {
    Fetcher::new("clinic".to_owned(), source, Pace::of(DAY))
}

#[tokio::test]
async fn a_key_set_is_fetched() {
    let stage = Stage::start(keys(&Maker::ed25519())).await;
    let (store, source) = direct(&stage);
    assert_eq!(fetcher(source).fetch(false, at(NOW)).await, Ok(None));
    assert_eq!(store.status().keys, 1);
    assert!(stage.request().starts_with("GET /keys HTTP/1.1\r\n"));
    assert!(!stage.request().contains("cache-control"), "caches on the way may answer");
}

#[tokio::test]
async fn bad_answers_are_refused_and_leave_the_keys() {
    let maker = Maker::ed25519();
    let stage = Stage::start(keys(&maker)).await;
    let (store, source) = direct(&stage);
    let mut fetcher = fetcher(source);
    assert_eq!(fetcher.fetch(false, at(NOW)).await, Ok(None));
    let long = " ".repeat(MAX_KEY_SET + 1);
    let redirect = format!("302 Found\r\nlocation: https://{}/keys", stage.address);
    let cases = [
        (answer(&redirect, &set(&maker, "f")), FetchFault::Call(Fault::Redirect(302))),
        (answer("500 Oops", &set(&maker, "f")), FetchFault::Call(Fault::Status(500))),
        (answer("204 No Content", ""), FetchFault::Call(Fault::Status(204))),
        (answer("200 OK", &long), FetchFault::Call(Fault::TooLarge(MAX_KEY_SET))),
        (answer("200 OK", "<html>"), FetchFault::Keys(KeySetFault::Json(crate::authn::JsonFault::Syntax))),
        (answer("200 OK", r#"{"keys":{}}"#), FetchFault::Keys(KeySetFault::NoKeys)),
        // Nothing was asked under a condition.
        (answer("304 Not Modified", ""), FetchFault::Call(Fault::Redirect(304))),
    ];
    for (count, (bytes, expected)) in (1..).zip(cases) {
        stage.say(bytes);
        assert_eq!(fetcher.fetch(false, at(NOW + 60)).await, Err(expected));
        let status = store.status();
        assert_eq!((status.keys, status.state.fetched_at, status.state.failed), (1, Some(at(NOW)), count));
        assert_eq!(status.state.last_error, Some(expected.to_string()));
    }
}

#[tokio::test]
async fn a_set_without_a_usable_key_withdraws_them_all() {
    let maker = Maker::ed25519();
    let good = answer("200 OK\r\netag: \"1\"", &set(&maker, "e"));
    let stage = Stage::start(good.clone()).await;
    let ((store, source), memory) = (direct(&stage), Remembered::new());
    let mut fetcher = fetcher(source);
    let token = maker.token("EdDSA", "e", json!({}));
    for none in [json!([]), json!([Maker::Secret(vec![7; 64]).jwk("s")]), json!([{ "kty": "ML-DSA", "kid": "e" }, 7])] {
        stage.say(good.clone());
        assert_eq!(fetcher.fetch(false, at(NOW)).await, Ok(None));
        assert!(memory.verify(&token, &provider(), &store, at(NOW)).is_ok());
        stage.say(answer("200 OK\r\netag: \"1\"", &json!({ "keys": none }).to_string()));
        let withdrawn = FetchFault::Keys(KeySetFault::NoneUsable);
        assert_eq!(fetcher.fetch(false, at(NOW + 60)).await, Err(withdrawn));
        assert_eq!(memory.known(&token, &provider(), &store, at(NOW + 60)).unwrap().unwrap_err(), TokenFault::NoKeys);
        assert_eq!(memory.verify(&token, &provider(), &store, at(NOW + 60)).unwrap_err(), TokenFault::NoKeys);
        let status = store.status();
        assert_eq!((status.keys, status.skipped.len()), (0, none.as_array().unwrap().len()));
        assert_eq!(status.state.last_error, Some(withdrawn.to_string()));
        // What goes bad then brings nothing back, and the next answer has to be a whole one.
        stage.say(answer("500 Oops", ""));
        assert!(fetcher.fetch(false, at(NOW + 120)).await.is_err());
        assert!(!stage.request().contains("if-none-match"), "{}", stage.request());
        assert!(store.current(at(NOW + 120).monotone).is_err());
    }
    stage.say(good);
    assert_eq!(fetcher.fetch(false, at(NOW + 180)).await, Ok(None));
    assert!(memory.verify(&token, &provider(), &store, at(NOW + 180)).is_ok());
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let stage =
        Stage::start(answer("200 OK\r\netag: W/\"1\"\r\ncache-control: max-age=300", &set(&Maker::ed25519(), "e")))
            .await;
    let (store, source) = direct(&stage);
    let mut fetcher = fetcher(source);
    assert_eq!(fetcher.fetch(false, at(NOW)).await, Ok(Some(300)));
    stage.say(b"HTTP/1.1 304 Not Modified\r\ncache-control: max-age=120\r\nage: 20\r\n\r\n".to_vec());
    assert_eq!(fetcher.fetch(false, at(NOW + 300)).await, Ok(Some(100)));
    assert!(stage.request().contains("if-none-match: W/\"1\"\r\n"), "{}", stage.request());
    let status = store.status();
    assert_eq!((status.state.generation, status.state.fetched_at), (1, Some(at(NOW + 300))));
    // A bad version is never known, so the good one is asked for again.
    stage.say(answer("200 OK\r\netag: \"2\"", "{}"));
    assert!(fetcher.fetch(false, at(NOW + 400)).await.is_err());
    stage.say(answer("200 OK\r\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT", &set(&Maker::ed25519(), "f")));
    assert_eq!(fetcher.fetch(true, at(NOW + 500)).await, Ok(None));
    assert!(stage.request().contains("if-none-match: W/\"1\"\r\n"), "{}", stage.request());
    assert!(stage.request().contains("cache-control: no-cache\r\n"), "a pressing fetch goes past caches");
    assert_eq!(store.status().state.generation, 2);
    stage.say(keys(&Maker::ed25519()));
    assert!(fetcher.fetch(false, at(NOW + 600)).await.is_ok());
    assert!(stage.request().contains("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    assert!(!stage.request().contains("if-none-match"));
}

/// A provider whose metadata and whose keys are two servers.
struct Provider {
    metadata: Arc<Stage>,
    keys: Arc<Stage>,
    store: Arc<KeyStore>,
    fetcher: Fetcher,
}

impl Provider {
    async fn start() -> Self {
        let metadata = Stage::start(Vec::new()).await;
        let keys = metadata.beside(keys(&Maker::ed25519())).await;
        let store = Arc::new(KeyStore::awaiting(DAY));
        let by = Discovery {
            issuer: metadata.url(""),
            at: metadata.endpoint("/.well-known/openid-configuration"),
            store: Arc::new(MetadataStore::awaiting(DAY)),
        };
        let fetcher = fetcher(Source::Discovered { store: Arc::clone(&store), by });
        let provider = Self { metadata, keys, store, fetcher };
        provider.names(&provider.keys.url("/jwks"), "max-age=1000");
        provider
    }

    fn names(&self, jwks_uri: &str, caching: &str) {
        let document = json!({ "issuer": self.metadata.url(""), "jwks_uri": jwks_uri }).to_string();
        self.metadata.say(answer(&format!("200 OK\r\ncache-control: {caching}"), &document));
    }
}

#[tokio::test]
async fn keys_are_where_the_metadata_says() {
    let mut provider = Provider::start().await;
    assert_eq!(provider.fetcher.fetch(false, at(NOW)).await, Ok(None));
    assert_eq!(provider.store.status().keys, 1);
    assert!(provider.keys.request().starts_with("GET /jwks "));
    // Within its life the metadata is not asked for again.
    assert!(provider.fetcher.fetch(false, at(NOW + 900)).await.is_ok());
    assert_eq!((provider.metadata.asked(), provider.keys.asked()), (1, 2));
    provider.names(&provider.keys.url("/moved"), "max-age=1000");
    assert!(provider.fetcher.fetch(false, at(NOW + 1_100)).await.is_ok());
    assert!(provider.keys.request().starts_with("GET /moved "));
}

#[tokio::test]
async fn metadata_that_went_bad_leaves_the_keys_where_they_were() {
    let mut provider = Provider::start().await;
    assert!(provider.fetcher.fetch(false, at(NOW)).await.is_ok());
    provider.metadata.say(answer("200 OK", r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/"}"#));
    assert!(provider.fetcher.fetch(false, at(NOW + 2_000)).await.is_ok(), "by what was known");
    assert_eq!(provider.keys.asked(), 2);
    // Once the keys cannot be fetched there, the metadata is asked at once.
    provider.keys.say(answer("404 Not Found", ""));
    assert!(provider.fetcher.fetch(false, at(NOW + 2_010)).await.is_err());
    let before = provider.metadata.asked();
    provider.names(&provider.keys.url("/moved"), "max-age=1000");
    provider.keys.say(keys(&Maker::ed25519()));
    assert!(provider.fetcher.fetch(false, at(NOW + 2_020)).await.is_ok());
    assert_eq!(provider.metadata.asked(), before + 1);
    assert!(provider.keys.request().starts_with("GET /moved "));
}

#[tokio::test]
async fn metadata_does_not_lead_where_keys_may_not_be_fetched() {
    for jwks_uri in ["http://127.0.0.1/jwks", "https://10.0.0.1/jwks", "https://169.254.169.254/jwks"] {
        let mut provider = Provider::start().await;
        provider.names(jwks_uri, "max-age=1000");
        let refused = FetchFault::Metadata(MetadataFault::Keys);
        assert_eq!(provider.fetcher.fetch(false, at(NOW)).await, Err(refused), "{jwks_uri}");
        let status = provider.store.status();
        assert_eq!((status.keys, status.state.last_error), (0, Some(refused.to_string())));
    }
}

/// Fast enough for a test, and with the proportions of the real one.
const PACE: Pace = Pace {
    refresh: Duration::from_secs(600),
    least: Duration::from_millis(10),
    most: Duration::from_secs(600),
    retry_first: Duration::from_millis(5),
    retry_most: Duration::from_millis(20),
};

#[tokio::test]
async fn keys_are_fetched_at_once_and_on_demand_but_not_on_every_demand() {
    let (first, second) = (Maker::ed25519(), Maker::ed25519());
    let stage = Stage::start(keys(&first)).await;
    let ((store, source), memory) = (direct(&stage), Remembered::new());
    let task = tokio::spawn(keep_fresh(renewal(source, PACE), || at(NOW), || 0, std::future::pending()));
    until(|| store.status().state.generation == 1).await;
    assert!(memory.verify(&first.token("EdDSA", "e", json!({})), &provider(), &store, at(NOW)).is_ok());

    stage.say(answer("200 OK", &set(&second, "f")));
    let granted = store.granted();
    let rotated = second.token("EdDSA", "f", json!({}));
    assert_eq!(memory.verify(&rotated, &provider(), &store, at(NOW)).unwrap_err(), TokenFault::UnknownKey);
    for index in 0..10_000 {
        let token = format!("{}.e30.AAAA", crate::authn::signing::b64(format!(r#"{{"alg":"EdDSA","kid":"{index}"}}"#)));
        assert_eq!(memory.verify(&token, &provider(), &store, at(NOW)).unwrap_err(), TokenFault::UnknownKey);
    }
    // Whoever waits for that fetch finds the new key, and the old one gone.
    assert!(store.settled(granted).await);
    assert!(memory.verify(&rotated, &provider(), &store, at(NOW)).is_ok());
    assert!(memory.verify(&first.token("EdDSA", "e", json!({})), &provider(), &store, at(NOW)).is_err());
    assert_eq!(stage.asked(), 2, "one at first, and one for 10,001 tokens with unknown keys");
    task.abort();
}

#[tokio::test]
async fn failures_are_retried_and_leave_the_keys() {
    let maker = Maker::ed25519();
    let stage = Stage::start(answer("503 Busy", "")).await;
    let (store, source) = direct(&stage);
    let pace = Pace { refresh: Duration::from_millis(10), ..PACE };
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let shutdown = async move { stopped.notified().await };
    let task = tokio::spawn(keep_fresh(renewal(source, pace), || at(NOW), || 500, shutdown));
    until(|| stage.asked() >= 3).await;
    assert_eq!(store.current(at(NOW).monotone).err(), Some(TokenFault::NoKeys));
    assert_eq!(store.status().state.last_error.as_deref(), Some("the host answered 503"));

    stage.say(keys(&maker));
    until(|| store.status().keys == 1).await;
    for worse in [answer("200 OK", r#"{"keys":{}}"#), answer("200 OK", "nonsense"), answer("503 Busy", "")] {
        stage.say(worse);
        let asked = stage.asked();
        until(|| stage.asked() >= asked + 3).await;
        assert_eq!(store.status().keys, 1);
        assert!(store.status().state.last_error.is_some());
    }
    stop.notify_one();
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}

fn renewal(source: Source, pace: Pace) -> Renewal {
    Renewal { provider: "clinic".to_owned(), source, pace }
}

async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}
