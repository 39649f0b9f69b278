//! One POST to the collector: HTTP/1.1, over verified TLS or to loopback.
//!
//! Decides what an address of a collector may be, and what counts as delivered. It never follows a redirect, never asks
//! a proxy, and never waits longer than [`CONNECT`] and [`TOTAL`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::CertError;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a whole exchange may take.
const TOTAL: Duration = Duration::from_secs(5);
/// The most of an answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The most headers of an answer, and the most bytes of them.
const ANSWER_HEADERS: usize = 100;
const ANSWER_HEAD: usize = 32 * 1024;
/// The most headers that the configuration may add.
const MORE_HEADERS: usize = 16;
/// Headers that are ours.
const OUR_HEADERS: [&str; 7] =
    ["host", "content-type", "content-length", "transfer-encoding", "connection", "te", "upgrade"];

/// Why an address cannot be a collector. `Display` is fit for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressFault {
    /// Not an absolute address with a host.
    Form,
    /// A user name, a password, a query or a fragment in it.
    Decorated,
    /// Plain HTTP to somewhere else than loopback.
    Clear,
    /// The CA bundle, or the system's trust store, cannot be used.
    Trust(CertError),
}

impl fmt::Display for AddressFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressFault::Form => out.write_str("this is no address of a collector"),
            AddressFault::Decorated => {
                out.write_str("the address must not hold a user name, a password, a query or a fragment")
            }
            AddressFault::Clear => out
                .write_str("plain `http` is for an agent on loopback only: telemetry would leave the pod unencrypted"),
            AddressFault::Trust(fault) => fault.fmt(out),
        }
    }
}

impl std::error::Error for AddressFault {}

/// Why something was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No such host, refused, or unreachable.
    Connect,
    /// The handshake failed: mostly a certificate that is not trusted for this host.
    Tls,
    /// It took too long.
    Timeout,
    /// The answer is not HTTP/1.1, or broke off.
    Http,
    /// It was refused.
    Status(StatusCode),
}

impl Fault {
    /// Whether the same message may be taken later (OTLP, "Retryable Response Codes").
    pub(super) fn may_pass(self) -> bool {
        match self {
            Fault::Connect | Fault::Tls | Fault::Timeout | Fault::Http => true,
            Fault::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Connect => out.write_str("the collector cannot be reached"),
            Fault::Tls => out.write_str("no trusted TLS connection to the collector"),
            Fault::Timeout => out.write_str("the collector took too long"),
            Fault::Http => out.write_str("the collector's answer is not HTTP/1.1 or broke off"),
            Fault::Status(status) => write!(out, "the collector answered {}", status.as_u16()),
        }
    }
}

/// Where telemetry goes, checked, with the trust that goes with it.
#[derive(Clone)]
pub struct Collector {
    place: Place,
    authority: String,
    prefix: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone)]
enum Place {
    Loopback(SocketAddr),
    Tls { host: String, port: u16, server: ServerName<'static>, config: Arc<ClientConfig> },
}

impl fmt::Debug for Collector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers are secrets.
        write!(out, "Collector({}{})", self.authority, self.prefix)
    }
}

impl Collector {
    /// Checks an address. With `ca_pem` only the authorities in it are believed, else those of the system.
    ///
    /// # Errors
    /// An address that is no plain base address, is not `https` off loopback, or unusable authorities.
    pub fn new(
        url: &str,
        ca_pem: Option<&[u8]>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, AddressFault> {
        if url.contains(['#', '@', '?']) {
            return Err(AddressFault::Decorated);
        }
        let uri: Uri = url.parse().map_err(|_| AddressFault::Form)?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(AddressFault::Form)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let place = match uri.scheme_str() {
            Some("https") => {
                let server = ServerName::try_from(host.clone()).map_err(|_| AddressFault::Form)?;
                let config = certs::client_config(ca_pem).map_err(AddressFault::Trust)?;
                Place::Tls { host, port: uri.port_u16().unwrap_or(443), server, config }
            }
            Some("http") => {
                // A name is not looked up: what it stands for could change.
                let address = if host == "localhost" { "127.0.0.1" } else { &host };
                let address = address.parse().map_err(|_| AddressFault::Clear)?;
                let address = SocketAddr::new(address, uri.port_u16().unwrap_or(80));
                Some(Place::Loopback(address)).filter(|_| address.ip().is_loopback()).ok_or(AddressFault::Clear)?
            }
            _ => return Err(AddressFault::Form),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { place, authority: authority.as_str().to_owned(), prefix, headers })
    }

    /// The port that it is reached on.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Loopback(address) => address.port(),
            Place::Tls { port, .. } => *port,
        }
    }

    fn request(&self, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::post(format!("{}{path}", self.prefix))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, concat!("anteroom/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|_| Fault::Http)?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }

    async fn connect(&self) -> Result<Sender, Fault> {
        match &self.place {
            Place::Loopback(address) => {
                let stream = TcpStream::connect(address).await.map_err(|_| Fault::Connect)?;
                handshake(stream).await
            }
            Place::Tls { host, port, server, config } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|_| Fault::Connect)?;
                let connector = TlsConnector::from(Arc::clone(config));
                handshake(connector.connect(server.clone(), stream).await.map_err(|_| Fault::Tls)?).await
            }
        }
    }
}

/// Reads headers to add: one `Name: value` a line; empty lines and those that start with `#` are passed over.
///
/// # Errors
/// The first line that is no header, is one of ours, or is one too many.
pub fn read_headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is a secret, and stays out of the message.
        let (name, value) = line.split_once(':').ok_or_else(|| format!("line {number} is no `Name: value`"))?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| format!("line {number} has no header name"))?;
        let mut value = HeaderValue::try_from(value.trim())
            .map_err(|_| format!("the value on line {number} cannot stand in a header"))?;
        if OUR_HEADERS.contains(&name.as_str()) || headers.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{name}` on line {number} is set by the gate, or stands here twice"));
        }
        value.set_sensitive(true);
        headers.push((name, value));
    }
    if headers.len() > MORE_HEADERS {
        return Err(format!("there are more than {MORE_HEADERS} headers"));
    }
    Ok(headers)
}

type Sender = http1::SendRequest<Full<Bytes>>;

/// The one connection to the collector, made when it is needed.
#[derive(Debug, Default)]
pub(super) struct Client {
    kept: Option<(Arc<Collector>, Sender)>,
}

impl Client {
    /// Sends one message; returns the body of the collector's answer, at most [`ANSWER_LIMIT`] bytes.
    pub(super) async fn send(&mut self, to: &Arc<Collector>, path: &str, body: Bytes) -> Result<Bytes, Fault> {
        // Taken out: a connection on which an exchange was given up is not used again.
        let kept = self.kept.take().filter(|(collector, _)| Arc::ptr_eq(collector, to)).map(|(_, sender)| sender);
        let exchange = async {
            let mut sender = match still_open(kept).await {
                Some(sender) => sender,
                None => timeout(CONNECT, to.connect()).await.map_err(|_| Fault::Timeout)??,
            };
            let answer = sender.send_request(to.request(path, body)?).await.map_err(|_| Fault::Http)?;
            let status = answer.status();
            #[expect(clippy::disallowed_methods, reason = "behind `Limited`")]
            let whole = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await.map_err(|_| Fault::Http)?;
            Ok((sender, status, whole.to_bytes()))
        };
        let (sender, status, answer) = timeout(TOTAL, exchange).await.map_err(|_| Fault::Timeout)??;
        self.kept = Some((Arc::clone(to), sender));
        if status.is_success() { Ok(answer) } else { Err(Fault::Status(status)) }
    }
}

/// A kept connection, where the collector has not closed it meanwhile.
async fn still_open(kept: Option<Sender>) -> Option<Sender> {
    let mut sender = kept?;
    sender.ready().await.is_ok().then_some(sender)
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Sender, Fault> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(ANSWER_HEADERS)
        .max_buf_size(ANSWER_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Fault::Http)?;
    tokio::spawn(async move {
        // How it ends is seen by whoever waits for an answer; it ends when its sender is dropped.
        drop(connection.await);
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> AddressFault {
        Collector::new(url, None, Vec::new()).unwrap_err()
    }

    #[test]
    fn nothing_leaves_the_pod_in_clear() {
        for good in ["http://127.0.0.1:4318", "http://localhost:4318/", "http://[::1]:4318/base/", "http://127.8.8.8"] {
            assert!(Collector::new(good, None, Vec::new()).is_ok(), "{good}");
        }
        for bad in [
            "http://collector:4318",
            "http://192.0.2.7:4318",
            "http://[2001:db8::7]:4318",
            "http://127.0.0.1.evil.example",
        ] {
            assert_eq!(refused(bad), AddressFault::Clear, "{bad}");
        }
        for bad in ["https://u:p@collector", "https://collector/?a=b", "https://collector/#a", "http://x@127.0.0.1"] {
            assert_eq!(refused(bad), AddressFault::Decorated, "{bad}");
        }
        for bad in ["", "/v1/traces", "ftp://collector", "collector:4318", "https://", "https://-/"] {
            assert_eq!(refused(bad), AddressFault::Form, "{bad}");
        }
        assert!(matches!(Collector::new("https://a", Some(b""), Vec::new()), Err(AddressFault::Trust(_))));
    }

    #[test]
    fn the_signal_is_appended_to_the_base() {
        let of = |url| Collector::new(url, None, Vec::new()).unwrap().request("/v1/logs", Bytes::new()).unwrap();
        assert_eq!(of("http://127.0.0.1:4318").uri(), "/v1/logs");
        assert_eq!(of("http://127.0.0.1:4318/a/b/").uri(), "/a/b/v1/logs");
        assert_eq!(of("http://127.0.0.1:4318").headers()["host"], "127.0.0.1:4318");
    }

    #[test]
    fn headers_are_read_line_by_line() {
        let read = read_headers("# keys\n\nAuthorization: Bearer a:b\r\nX-Team:  clinic \n").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].0.as_str(), read[0].1.as_bytes()), ("authorization", &b"Bearer a:b"[..]));
        assert!(read[0].1.is_sensitive());
        for bad in ["secret", ": secret", "a b: secret", "a: sec\u{1}ret", "Host: secret", "a: secret\nA: secret"] {
            let said = read_headers(bad).unwrap_err();
            assert!(!said.contains("secret"), "{said}");
        }
        assert!(read_headers(&(0..17).map(|n| format!("a{n}: b\n")).collect::<String>()).is_err());
    }
}
