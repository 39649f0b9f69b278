//! The Kubernetes API, as little of it as the injector needs: one request on a connection of its own.
//!
//! Decides what counts as an answer: JSON within the limits of size and time, over TLS by the cluster's authority. The token
//! and the authority are read for each request, since the kubelet exchanges them. It never follows a redirect, never asks a
//! proxy, and neither the token nor an answer ever stands in an error.

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::read_bytes;

/// How long resolving, connecting and the TLS handshake may take together, and how long the whole.
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(10);
/// The most of an answer that is read, in bytes: a Secret holds at most 1 MiB.
const LONGEST: usize = 2 * 1024 * 1024;

/// Why a request failed. `Display` is fit for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The token or the authority of the service account cannot be read or used.
    Account(String),
    /// No such host, refused, or unreachable.
    Connect,
    /// The handshake failed: mostly a certificate that is not the cluster's.
    Tls,
    /// It took too long.
    Timeout,
    /// The answer is not HTTP/1.1 or no JSON, broke off, or is too large.
    Http,
    /// It was refused.
    Status(StatusCode),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Account(reason) => write!(out, "the service account cannot be used: {reason}"),
            Fault::Connect => out.write_str("the API server cannot be reached"),
            Fault::Tls => out.write_str("no trusted TLS connection to the API server"),
            Fault::Timeout => out.write_str("the API server took too long"),
            Fault::Http => out.write_str("the API server's answer is not to be read"),
            Fault::Status(StatusCode::FORBIDDEN) => {
                out.write_str("the API server forbids it: the role of the service account is too small")
            }
            Fault::Status(status) => write!(out, "the API server answered {}", status.as_u16()),
        }
    }
}

/// Where the API server is, and who we are to it.
#[derive(Clone, Debug)]
pub(super) struct Api {
    host: String,
    port: u16,
    server: ServerName<'static>,
    authority: String,
    account: PathBuf,
}

impl Api {
    /// An API server at an address such as `https://kubernetes.default.svc`, asked as the account in this folder (`token`,
    /// `ca.crt`). `None` where that is no plain `https` address.
    pub(super) fn new(url: &str, account: PathBuf) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority().filter(|one| !one.as_str().contains('@'))?;
        if uri.scheme_str() != Some("https")
            || !matches!(uri.path_and_query().map(|one| one.as_str()), None | Some("/"))
        {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let server = ServerName::try_from(host.clone()).ok()?;
        let port = uri.port_u16().unwrap_or(443);
        Some(Self { host, port, server, authority: authority.as_str().to_owned(), account })
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// Whatever keeps it from being known.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.ask(Method::GET, path, "application/json", Bytes::new()).await
    }

    /// Sends JSON: POST, PUT, or PATCH with a JSON patch.
    ///
    /// # Errors
    /// Whatever keeps it from being done; then it may or may not have been.
    pub(super) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Fault> {
        let kind = if method == Method::PATCH { "application/json-patch+json" } else { "application/json" };
        self.ask(method, path, kind, Bytes::from(body.to_string())).await
    }

    async fn ask(&self, method: Method, path: &str, kind: &'static str, body: Bytes) -> Result<Value, Fault> {
        let asking = async {
            let stream = timeout(CONNECT, self.connect()).await.map_err(|_| Fault::Timeout)??;
            let answer = exchange(TokioIo::new(stream), self.request(method, path, kind, body)?).await?;
            serde_json::from_slice(&answer).map_err(|_| Fault::Http)
        };
        timeout(TOTAL, asking).await.map_err(|_| Fault::Timeout)?
    }

    async fn connect(&self) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Fault> {
        let bundle = self.file("ca.crt")?;
        let config = certs::client_config(Some(&bundle)).map_err(|fault| Fault::Account(fault.to_string()))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| Fault::Connect)?;
        TlsConnector::from(Arc::clone(&config)).connect(self.server.clone(), stream).await.map_err(|_| Fault::Tls)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let token = self.file("token")?;
        let mut bearer = HeaderValue::try_from([b"Bearer ", token.trim_ascii()].concat())
            .map_err(|_| Fault::Account("`token` cannot stand in a header".to_owned()))?;
        bearer.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind)
            .header(header::USER_AGENT, concat!("anteroom-injector/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|_| Fault::Http)
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, Fault> {
        read_bytes(&self.account.join(name)).map_err(|reason| Fault::Account(format!("`{name}`: {reason}")))
    }
}

/// One exchange, driven here so that no task outlives it.
async fn exchange<S>(io: TokioIo<S>, request: Request<Full<Bytes>>) -> Result<Bytes, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::Builder::new().max_headers(100).max_buf_size(64 * 1024).handshake(io).await.map_err(|_| Fault::Http)?;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(|_| Fault::Http)?;
        if !response.status().is_success() {
            return Err(Fault::Status(response.status()));
        }
        #[expect(clippy::disallowed_methods, reason = "behind `Limited`")]
        let whole = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|_| Fault::Http)?;
        Ok(whole.to_bytes())
    });
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        done = &mut answer => return done,
        // The server may close before the last bytes are taken out of the buffer; its errors reach the answer too.
        _ended = &mut connection => {}
    }
    answer.await
}
