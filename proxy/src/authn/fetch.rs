//! One fetch of a provider's key set: HTTPS, one address, one answer.
//!
//! Decides what counts as an answer: status 200, uncompressed, within the limits of size and time, over verified TLS.
//! Never follows a redirect, never asks a proxy, never keeps a connection, and never takes an address from a token.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::CertError;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::keys::{KeySet, KeySetFault, MAX_KEY_SET};

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the whole fetch may take.
const TOTAL: Duration = Duration::from_secs(10);
/// The most headers, and the most bytes of them, in an answer.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 32 * 1024;

/// Why an address cannot be a source of keys. `Display` is fit for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceFault {
    /// Not an absolute `https` address with a host.
    NotHttps,
    /// A user name, password or fragment in the address.
    Decorated,
    /// The CA bundle, or the system's trust store, cannot be used.
    Trust(CertError),
}

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceFault::NotHttps => f.write_str("keys are fetched over `https://` only; give the full address"),
            SourceFault::Decorated => f.write_str("the address must not hold a user name, a password or a fragment"),
            SourceFault::Trust(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for SourceFault {}

/// Why a fetch failed. `Display` is fit for the status page and the log; it holds nothing of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchFault {
    /// No such host, refused, or unreachable.
    Connect,
    /// The handshake failed: mostly a certificate that is not trusted for this host.
    Tls,
    /// It took too long.
    Timeout,
    /// The answer is not HTTP/1.1, or broke off.
    Http,
    /// Not 200; redirects are not followed.
    Status(u16),
    /// Compressed although not asked for.
    Encoded,
    /// Larger than [`MAX_KEY_SET`].
    TooLarge,
    /// Fetched, but not a key set that can be used.
    Keys(KeySetFault),
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchFault::Connect => f.write_str("the host cannot be reached"),
            FetchFault::Tls => f.write_str("no trusted TLS connection to the host"),
            FetchFault::Timeout => f.write_str("the host took too long"),
            FetchFault::Http => f.write_str("the answer is not HTTP/1.1 or broke off"),
            FetchFault::Status(status) => write!(f, "the host answered {status}"),
            FetchFault::Encoded => f.write_str("the answer is compressed"),
            FetchFault::TooLarge => write!(f, "the answer is larger than {MAX_KEY_SET} bytes"),
            FetchFault::Keys(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for FetchFault {}

/// An address that was checked, with the trust that goes with it.
#[derive(Clone, Debug)]
pub struct Source {
    host: String,
    server: ServerName<'static>,
    port: u16,
    authority: String,
    target: String,
    tls: Arc<ClientConfig>,
}

impl Source {
    /// Checks an address. With `ca_pem` only the authorities in it are believed, else those of the system.
    ///
    /// # Errors
    /// An address that is not plain `https`, or unusable authorities.
    pub fn new(url: &str, ca_pem: Option<&[u8]>) -> Result<Self, SourceFault> {
        if url.contains(['#', '@']) {
            return Err(SourceFault::Decorated);
        }
        let uri: Uri = url.parse().map_err(|_| SourceFault::NotHttps)?;
        let authority = uri.authority().ok_or(SourceFault::NotHttps)?;
        if uri.scheme_str() != Some("https") || authority.host().is_empty() {
            return Err(SourceFault::NotHttps);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let server = ServerName::try_from(host.clone()).map_err(|_| SourceFault::NotHttps)?;
        Ok(Self {
            server,
            port: uri.port_u16().unwrap_or(443),
            authority: authority.as_str().to_owned(),
            target: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            tls: certs::client_config(ca_pem).map_err(SourceFault::Trust)?,
            host,
        })
    }

    /// Fetches and reads the key set.
    ///
    /// # Errors
    /// Whatever keeps it from being a key set that can be used.
    pub async fn fetch(&self) -> Result<KeySet, FetchFault> {
        let body = tokio::time::timeout(TOTAL, self.body()).await.map_err(|_| FetchFault::Timeout)??;
        KeySet::from_jwks(&body).map_err(FetchFault::Keys)
    }

    async fn body(&self) -> Result<Bytes, FetchFault> {
        let stream = tokio::time::timeout(CONNECT, self.connect()).await.map_err(|_| FetchFault::Timeout)??;
        self.exchange(TokioIo::new(stream)).await
    }

    async fn connect(&self) -> Result<impl AsyncRead + AsyncWrite + Unpin + 'static, FetchFault> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| FetchFault::Connect)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(self.server.clone(), stream).await.map_err(|_| FetchFault::Tls)
    }

    /// One request on a connection of its own, driven here so that no task outlives the fetch.
    async fn exchange<S>(&self, io: TokioIo<S>) -> Result<Bytes, FetchFault>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .handshake(io)
            .await
            .map_err(|_| FetchFault::Http)?;
        let request = self.request()?;
        let mut answer = pin!(async move {
            let response = sender.send_request(request).await.map_err(|_| FetchFault::Http)?;
            whole(response).await
        });
        tokio::select! {
            biased;
            done = &mut answer => return done,
            // The server may close before the last bytes are taken out of the buffer; its errors reach the answer too.
            _ended = connection => {}
        }
        answer.await
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, FetchFault> {
        Request::get(self.target.as_str())
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, concat!("anteroom/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(|_| FetchFault::Http)
    }
}

/// The body of an acceptable answer, at most [`MAX_KEY_SET`] bytes.
async fn whole(response: http::Response<Incoming>) -> Result<Bytes, FetchFault> {
    if response.status() != StatusCode::OK {
        return Err(FetchFault::Status(response.status().as_u16()));
    }
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(FetchFault::Encoded);
    }
    #[expect(clippy::disallowed_methods, reason = "behind `Limited`")]
    let collected = Limited::new(response.into_body(), MAX_KEY_SET).collect().await;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(fault) if fault.is::<LengthLimitError>() => Err(FetchFault::TooLarge),
        Err(_) => Err(FetchFault::Http),
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
