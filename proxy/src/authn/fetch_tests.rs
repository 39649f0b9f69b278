//! Fetching from a TLS server of our own, well behaved and not.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use certs::dev::{DevCa, Validity};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::authn::signing::{Maker, NOW, provider};
use crate::authn::{KeyStore, Pace, Remembered, Renewal, TokenFault, keep_fresh};

const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

/// A server that answers every connection with the same bytes, and counts.
struct Issuer {
    address: SocketAddr,
    ca: DevCa,
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
    request: Mutex<Vec<u8>>,
    answered: Notify,
}

impl Issuer {
    async fn start(answer: Vec<u8>) -> Arc<Self> {
        Self::named(&["127.0.0.1"], answer).await
    }

    async fn named(names: &[&str], answer: Vec<u8>) -> Arc<Self> {
        let ca = DevCa::generate(VALID).unwrap();
        let leaf = ca.issue(names, VALID).unwrap();
        let pair = certs::load_pair(leaf.cert_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(certs::server_config(vec![pair]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            ca,
            answer: Mutex::new(answer),
            asked: AtomicUsize::new(0),
            request: Mutex::new(Vec::new()),
            answered: Notify::new(),
        });
        let serving = Arc::clone(&issuer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    serving.serve(stream).await;
                }
            }
        });
        issuer
    }

    async fn serve(&self, mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        *self.request.lock().unwrap() = head;
        let answer = self.answer.lock().unwrap().clone();
        // A client that has read enough may have gone.
        let _gone = stream.write_all(&answer).await.is_err() || stream.shutdown().await.is_err();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answered.notify_one();
    }

    fn say(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn source(&self) -> Source {
        Source::new(&format!("https://{}/keys?v=1", self.address), Some(self.ca.ca_pem().as_bytes())).unwrap()
    }
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn keys(maker: &Maker) -> Vec<u8> {
    answer("200 OK\r\ncontent-type: application/json", &json!({ "keys": [maker.jwk("e")] }).to_string())
}

#[tokio::test]
async fn a_key_set_is_fetched() {
    let issuer = Issuer::start(keys(&Maker::ed25519())).await;
    assert_eq!(issuer.source().fetch().await.unwrap().len(), 1);
    let request = String::from_utf8(issuer.request.lock().unwrap().clone()).unwrap();
    assert!(request.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("host: {}\r\n", issuer.address)), "{request}");
}

#[tokio::test]
async fn chunks_and_an_end_by_closing_are_read() {
    let set = json!({ "keys": [Maker::ed25519().jwk("e")] }).to_string();
    let (one, two) = set.split_at(10);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    let issuer = Issuer::start(chunked.into_bytes()).await;
    assert!(issuer.source().fetch().await.is_ok());
    issuer.say(format!("HTTP/1.1 200 OK\r\n\r\n{set}").into_bytes());
    assert!(issuer.source().fetch().await.is_ok());
}

#[tokio::test]
async fn bad_answers_are_refused() {
    let issuer = Issuer::start(Vec::new()).await;
    let set = json!({ "keys": [Maker::ed25519().jwk("e")] }).to_string();
    let long = " ".repeat(MAX_KEY_SET + 1);
    let redirect = format!("302 Found\r\nlocation: https://{}/keys", issuer.address);
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x: y\r\n".repeat(MAX_HEADERS + 1), b"\r\n"].concat();
    let cases = [
        (answer(&redirect, &set), FetchFault::Status(302)),
        (answer("500 Oops", &set), FetchFault::Status(500)),
        (answer("204 No Content", ""), FetchFault::Status(204)),
        (answer("200 OK\r\ncontent-encoding: gzip", &set), FetchFault::Encoded),
        (answer("200 OK", &long), FetchFault::TooLarge),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_bytes(), FetchFault::TooLarge),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), FetchFault::Http),
        (b"SSH-2.0-x\r\n".to_vec(), FetchFault::Http),
        (Vec::new(), FetchFault::Http),
        (endless, FetchFault::Http),
        (answer("200 OK", "<html>"), FetchFault::Keys(KeySetFault::Json(crate::authn::JsonFault::Syntax))),
        (answer("200 OK", r#"{"keys":[]}"#), FetchFault::Keys(KeySetFault::NoneUsable)),
    ];
    for (bytes, expected) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        issuer.say(bytes);
        assert_eq!(issuer.source().fetch().await.err(), Some(expected), "{shown}");
    }
}

#[tokio::test]
async fn only_the_right_certificate_is_believed() {
    let (one, other) = (Issuer::start(Vec::new()).await, Issuer::start(Vec::new()).await);
    let url = format!("https://{}/keys", one.address);
    let stranger = Source::new(&url, Some(other.ca.ca_pem().as_bytes())).unwrap();
    assert_eq!(stranger.fetch().await.err(), Some(FetchFault::Tls));
    let elsewhere = Issuer::named(&["issuer.example"], keys(&Maker::ed25519())).await;
    assert_eq!(elsewhere.source().fetch().await.err(), Some(FetchFault::Tls));
}

#[tokio::test]
async fn a_plain_port_and_a_closed_one_are_faults() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let ca = DevCa::generate(VALID).unwrap();
    let source = Source::new(&format!("https://{address}/"), Some(ca.ca_pem().as_bytes())).unwrap();
    let serving = async {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    };
    let (fetched, ()) = tokio::join!(source.fetch(), serving);
    assert_eq!(fetched.err(), Some(FetchFault::Tls));
    drop(plain);
    assert_eq!(source.fetch().await.err(), Some(FetchFault::Connect));
}

#[test]
fn addresses_are_https_and_plain() {
    let ca = DevCa::generate(VALID).unwrap();
    let read = |url: &str| Source::new(url, Some(ca.ca_pem().as_bytes())).map(|source| (source.host, source.port));
    assert_eq!(read("https://issuer.example/keys"), Ok(("issuer.example".to_owned(), 443)));
    assert_eq!(read("https://[::1]:8443/keys"), Ok(("::1".to_owned(), 8443)));
    for url in ["http://issuer.example/keys", "issuer.example", "/keys", "", "https://", "https:///keys", "file:///etc"]
    {
        assert_eq!(read(url), Err(SourceFault::NotHttps), "{url}");
    }
    for url in ["https://user:word@issuer.example/", "https://issuer.example/#x"] {
        assert_eq!(read(url), Err(SourceFault::Decorated), "{url}");
    }
    assert!(matches!(Source::new("https://a.example/", Some(b"")).err(), Some(SourceFault::Trust(_))));
}

/// Fast enough for a test, and with the proportions of the real one.
const PACE: Pace = Pace {
    refresh: Duration::from_secs(600),
    cool_down: Duration::from_millis(50),
    retry_first: Duration::from_millis(5),
    retry_most: Duration::from_millis(20),
};

#[tokio::test]
async fn keys_are_fetched_at_once_and_on_demand_but_not_on_every_demand() {
    let (first, second) = (Maker::ed25519(), Maker::ed25519());
    let issuer = Issuer::start(keys(&first)).await;
    let (store, memory) = (Arc::new(KeyStore::awaiting()), Remembered::new());
    let began = tokio::time::Instant::now();
    let task = tokio::spawn(keep_fresh(renewal(&issuer, &store, PACE), || NOW, || 0, std::future::pending()));
    until(|| store.status().generation == 1).await;
    assert!(memory.verify(&first.token("EdDSA", "e", json!({})), &provider(), &store, NOW).is_ok());

    let rotated = json!({ "keys": [second.jwk("f")] }).to_string();
    issuer.say(answer("200 OK", &rotated));
    for index in 0..10_000 {
        let token = format!("{}.e30.AAAA", crate::authn::signing::b64(format!(r#"{{"alg":"EdDSA","kid":"{index}"}}"#)));
        assert_eq!(memory.verify(&token, &provider(), &store, NOW).unwrap_err(), TokenFault::UnknownKey);
    }
    until(|| store.status().generation == 2).await;
    assert!(memory.verify(&second.token("EdDSA", "f", json!({})), &provider(), &store, NOW).is_ok());
    assert!(memory.verify(&first.token("EdDSA", "e", json!({})), &provider(), &store, NOW).is_err());
    tokio::time::sleep(PACE.cool_down * 3).await;
    let windows = began.elapsed().as_millis() / PACE.cool_down.as_millis();
    let asked = issuer.asked.load(Ordering::SeqCst) as u128;
    assert!(asked <= 1 + windows && asked < 100, "{asked} fetches in {windows} windows for 10,000 unknown keys");
    task.abort();
}

#[tokio::test]
async fn failures_are_retried_and_leave_the_keys() {
    let maker = Maker::ed25519();
    let issuer = Issuer::start(answer("503 Busy", "")).await;
    let store = Arc::new(KeyStore::awaiting());
    let pace = Pace { refresh: Duration::from_millis(10), ..PACE };
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let shutdown = async move { stopped.notified().await };
    let task = tokio::spawn(keep_fresh(renewal(&issuer, &store, pace), || NOW, || 500, shutdown));
    until(|| issuer.asked.load(Ordering::SeqCst) >= 3).await;
    assert_eq!(store.current(NOW).err(), Some(TokenFault::NoKeys));
    assert_eq!(store.status().last_error.as_deref(), Some("the host answered 503"));

    issuer.say(keys(&maker));
    until(|| store.status().keys == 1).await;
    for worse in [answer("200 OK", r#"{"keys":[]}"#), answer("200 OK", "nonsense"), answer("503 Busy", "")] {
        issuer.say(worse);
        let asked = issuer.asked.load(Ordering::SeqCst);
        until(|| issuer.asked.load(Ordering::SeqCst) >= asked + 3).await;
        assert_eq!(store.status().keys, 1);
        assert!(store.status().last_error.is_some());
    }
    stop.notify_one();
    tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}

fn renewal(issuer: &Issuer, store: &Arc<KeyStore>, pace: Pace) -> Renewal {
    Renewal { provider: "clinic".to_owned(), store: Arc::clone(store), source: issuer.source(), pace }
}

async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}
