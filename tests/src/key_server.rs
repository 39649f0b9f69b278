//! A provider's addresses on loopback, over TLS under the authority of a gate's files: its keys, its metadata, and whatever else a
//! test has it say. It counts who asks, confirms what has not changed, and goes down and comes back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::client::{AnyBody, body};
use crate::gate::Files;

/// Where its keys are.
pub const KEYS: &str = "/keys";
/// Where its metadata is.
pub const METADATA: &str = "/.well-known/openid-configuration";

/// An answer: status, headers, body.
pub type Said = (StatusCode, HeaderMap, String);

/// The server.
#[derive(Debug)]
pub struct KeyServer {
    /// Where it listens.
    pub address: SocketAddr,
    keys: Mutex<Value>,
    metadata: Mutex<Value>,
    /// What it says instead, whatever it is asked for.
    instead: Mutex<Option<Said>>,
    down: AtomicBool,
    hangs: AtomicBool,
    asked: Mutex<Vec<(String, HeaderMap)>>,
}

impl KeyServer {
    /// A server that publishes `keys`, and metadata that names them.
    pub async fn start(files: &Files, keys: Value) -> Arc<Self> {
        let read = |name: &str| std::fs::read(files.path(name)).unwrap();
        let pair = certs::load_pair(&read("tls/tls.crt"), &read("tls/tls.key")).unwrap();
        let acceptor = TlsAcceptor::from(certs::server_config(vec![pair]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metadata =
            json!({ "issuer": format!("https://{address}"), "jwks_uri": format!("https://{address}{KEYS}") });
        let server = Arc::new(Self {
            address,
            keys: Mutex::new(keys),
            metadata: Mutex::new(metadata),
            instead: Mutex::new(None),
            down: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            asked: Mutex::new(Vec::new()),
        });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if !serving.down.load(Ordering::SeqCst) {
                    tokio::spawn(Arc::clone(&serving).serve(acceptor.clone(), stream));
                }
            }
        });
        server
    }

    async fn serve(self: Arc<Self>, acceptor: TlsAcceptor, stream: TcpStream) {
        let Ok(stream) = acceptor.accept(stream).await else { return };
        let service = service_fn(|request: Request<Incoming>| {
            let server = Arc::clone(&self);
            async move {
                let answer = server.answer(&request);
                while server.hangs.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok::<_, Infallible>(answer)
            }
        });
        drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<AnyBody> {
        let path = request.uri().path().to_owned();
        self.asked.lock().unwrap().push((path.clone(), request.headers().clone()));
        let (status, headers, text) = match self.instead.lock().unwrap().clone() {
            Some(said) => said,
            None if path == METADATA => plain(self.metadata.lock().unwrap().to_string()),
            None if path == KEYS => {
                let text = self.keys.lock().unwrap().to_string();
                let tag = format!("\"{}\"", text.len() + text.bytes().map(usize::from).sum::<usize>());
                let mut headers = HeaderMap::new();
                headers.insert("etag", tag.parse().unwrap());
                let known = request.headers().get("if-none-match").is_some_and(|known| known == tag.as_str());
                if known { (StatusCode::NOT_MODIFIED, headers, String::new()) } else { (StatusCode::OK, headers, text) }
            }
            None => (StatusCode::NOT_FOUND, HeaderMap::new(), String::new()),
        };
        let mut response = Response::new(body(text));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Publishes other keys from now on.
    pub fn publish(&self, keys: Value) {
        *self.keys.lock().unwrap() = keys;
    }

    /// Says other metadata from now on.
    pub fn describe(&self, metadata: Value) {
        *self.metadata.lock().unwrap() = metadata;
    }

    /// Says this from now on, whatever it is asked for; `None`: what it should.
    pub fn say(&self, instead: Option<Said>) {
        *self.instead.lock().unwrap() = instead;
    }

    /// Goes down, or comes back: while it is down, each connection is closed at once.
    pub fn be_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Hangs, or goes on: while it hangs, it reads what it is asked and says nothing.
    pub fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// How often it was asked for `path`.
    pub fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == path).count()
    }

    /// The headers of the last request.
    pub fn last(&self) -> HeaderMap {
        self.asked.lock().unwrap().last().unwrap().1.clone()
    }
}

/// A good answer without headers.
pub fn plain(text: String) -> Said {
    (StatusCode::OK, HeaderMap::new(), text)
}
