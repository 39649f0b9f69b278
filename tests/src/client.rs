//! Clients that follow the rules: HTTP/1.1 and HTTP/2 over TLS, by hyper.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::Gate;
use crate::soon;

/// The name that the clients ask for.
pub const HOST: &str = "clinic.example";

/// The most that is read of an answer's body.
const LONGEST: usize = 128 * 1024 * 1024;

/// A body of any kind.
pub type AnyBody = BoxBody<Bytes, std::io::Error>;

/// A body of these bytes.
pub fn body(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A body of `length` bytes that does not tell its length beforehand.
pub fn untold(length: usize) -> AnyBody {
    Untold(length).boxed()
}

struct Untold(usize);

impl http_body::Body for Untold {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let piece = self.0.min(200);
        self.0 -= piece;
        Poll::Ready((piece > 0).then(|| Ok(http_body::Frame::data(Bytes::from(vec![b'x'; piece])))))
    }
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Both, for tests that hold on each.
pub const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

impl Protocol {
    /// Its name in ALPN.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        }
    }
}

/// A TLS configuration that believes `ca` and offers `alpn`.
pub fn tls(ca: &str, alpn: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::clone(&certs::client_config(Some(ca.as_bytes())).unwrap());
    config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
    config
}

/// A TLS connection to `address` for the host `name`.
pub async fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

enum Sender {
    Http1(http1::SendRequest<AnyBody>),
    Http2(http2::SendRequest<AnyBody>),
}

/// One connection.
pub struct Client {
    sender: Sender,
    protocol: Protocol,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The one value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let all: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(all.len() <= 1, "`{name}` stands {} times", all.len());
        all.first().map_or("", |value| value.to_str().unwrap())
    }

    /// The names of the cookies that it gives or takes back.
    pub fn cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().split('=').next().unwrap()).collect()
    }

    /// The reason code of a problem document; empty where there is none.
    pub fn code(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return String::new();
        }
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The id of the request.
    pub fn id(&self) -> &str {
        self.header("x-request-id")
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    /// A connection to a gate for its first host.
    pub async fn open(gate: &Gate, protocol: Protocol) -> Self {
        Self::open_at(gate.https, &gate.files.ca, protocol, HOST).await
    }

    /// A connection to `address`, for the host `name`.
    pub async fn open_at(address: SocketAddr, ca: &str, protocol: Protocol, name: &str) -> Self {
        Self::try_open_at(address, ca, protocol, name).await.unwrap()
    }

    /// As [`Client::open_at`], where there may be nobody.
    ///
    /// # Errors
    /// Where no connection can be made.
    pub async fn try_open_at(
        address: SocketAddr,
        ca: &str,
        protocol: Protocol,
        name: &str,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let stream = connect(address, tls(ca, &[protocol.alpn()]), name).await?;
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(async move { drop(connection.await) });
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(async move { drop(connection.await) });
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, protocol })
    }

    /// A request for `path` on the first host, in the form that the protocol wants.
    pub fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match self.protocol {
            Protocol::Http1 => Request::builder().method(method).uri(path).header("host", HOST),
            Protocol::Http2 => {
                Request::builder().method(method).uri(format!("https://{HOST}{path}")).version(http::Version::HTTP_2)
            }
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn head(&mut self, request: Request<AnyBody>) -> Result<Response<Incoming>, hyper::Error> {
        soon("an answer", self.head_at_last(request)).await
    }

    /// The same without a bound on the time, for what is large: the caller has one.
    pub async fn head_at_last(&mut self, request: Request<AnyBody>) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<AnyBody>) -> Answer {
        whole(self.head(request).await.unwrap()).await.unwrap()
    }

    /// `method` on `path` with these headers and no body.
    pub async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.post(method, path, headers, "").await
    }

    /// `method` on `path` with these headers and a body.
    pub async fn post(&mut self, method: &str, path: &str, headers: &[(&str, &str)], text: impl Into<Bytes>) -> Answer {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body(text)).unwrap()).await
    }

    /// GET with a bearer token.
    pub async fn get(&mut self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, &[("authorization", &format!("Bearer {token}"))]).await
    }
}

/// The rest of an answer.
///
/// # Errors
/// Where its body does not come to its end.
pub async fn whole(answer: Response<Incoming>) -> Result<Answer, String> {
    let (parts, body) = answer.into_parts();
    let body = soon("a body", Limited::new(body, LONGEST).collect()).await.map_err(|error| error.to_string())?;
    Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}
