//! Test support: a TLS server of our own on loopback, well behaved and not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use certs::dev::{DevCa, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Endpoint, Reach};
use crate::network::Networks;

pub(crate) const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

/// The networks of this machine's own addresses.
pub(crate) fn loopback() -> Reach {
    Reach::and(Networks::of(vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]))
}

/// A whole answer: `head` is the status line without the version, and headers after it.
pub(crate) fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A server that answers every connection with the same bytes, and counts.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) ca: Arc<DevCa>,
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
    request: Mutex<Vec<u8>>,
}

impl Stage {
    pub(crate) async fn start(answer: Vec<u8>) -> Arc<Self> {
        Self::named(&["127.0.0.1"], answer).await
    }

    pub(crate) async fn named(names: &[&str], answer: Vec<u8>) -> Arc<Self> {
        Self::under(Arc::new(DevCa::generate(VALID).unwrap()), names, answer).await
    }

    /// Another server, under the same authority.
    pub(crate) async fn beside(&self, answer: Vec<u8>) -> Arc<Self> {
        Self::under(Arc::clone(&self.ca), &["127.0.0.1"], answer).await
    }

    async fn under(ca: Arc<DevCa>, names: &[&str], answer: Vec<u8>) -> Arc<Self> {
        let leaf = ca.issue(names, VALID).unwrap();
        let pair = certs::load_pair(leaf.cert_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(certs::server_config(vec![pair]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            ca,
            answer: Mutex::new(answer),
            asked: AtomicUsize::new(0),
            request: Mutex::new(Vec::new()),
        });
        let serving = Arc::clone(&stage);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    serving.serve(stream).await;
                }
            }
        });
        stage
    }

    async fn serve(&self, mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            request.push(byte);
        }
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|text| text.parse().unwrap());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.unwrap();
        request.extend(body);
        *self.request.lock().unwrap() = request;
        let answer = self.answer.lock().unwrap().clone();
        // A client that has read enough may have gone.
        let _gone = stream.write_all(&answer).await.is_err() || stream.shutdown().await.is_err();
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// What it answers from now on.
    pub(crate) fn say(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it has answered.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The last request, as it came.
    pub(crate) fn request(&self) -> String {
        String::from_utf8(self.request.lock().unwrap().clone()).unwrap()
    }

    /// Its address for `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// An endpoint that believes it and may reach it.
    pub(crate) fn endpoint(&self, path: &str) -> Endpoint {
        Endpoint::new(&self.url(path), Some(self.ca.ca_pem().as_bytes()), &loopback()).unwrap()
    }
}
