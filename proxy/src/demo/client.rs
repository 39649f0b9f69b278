//! A real client for the tries: sends one over TLS to the gate, or in clear straight to the application.
//!
//! Decides nothing: what comes back is shown as it came. Its only trust is the demo's own CA.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tries::Try;

/// How long one exchange may take; longer than the gate's own wait for the application.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most of an answer that is shown, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Where a try goes.
pub(super) enum Target {
    /// The gate, over TLS as `localhost`.
    Gate(SocketAddr, TlsConnector),
    /// The application itself, as if there were no gate.
    App(SocketAddr),
}

/// An answer, as it came.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Told {
    pub(super) fn to_json(&self) -> Value {
        json!({ "status": self.status, "headers": self.headers, "body": self.body })
    }
}

/// Sends `one` as often as it says, each time on a connection of its own; the last answer counts.
///
/// # Errors
/// In words for the page: no connection, no answer, no answer in time.
pub(super) async fn send(target: &Target, one: &Try, token: Option<&str>) -> Result<Told, String> {
    let mut last = Err("not sent".to_owned());
    for _ in 0..one.repeat {
        let exchange = exchange(target, one, token);
        last = tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    }
    last
}

async fn exchange(target: &Target, one: &Try, token: Option<&str>) -> Result<Told, String> {
    match target {
        Target::Gate(address, connector) => {
            let stream = connect(*address).await?;
            let name = ServerName::try_from("localhost").map_err(|fault| fault.to_string())?;
            let stream = connector.connect(name, stream).await.map_err(|fault| format!("no TLS: {fault}"))?;
            let request = request(one, &format!("localhost:{}", address.port()), token)?;
            over(stream, request).await
        }
        Target::App(address) => over(connect(*address).await?, request(one, &address.to_string(), token)?).await,
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|fault| format!("no connection: {fault}"))
}

fn request(one: &Try, host: &str, token: Option<&str>) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder().method(one.method).uri(one.path);
    if !one.headers.iter().any(|(name, _)| *name == HOST) {
        request = request.header(HOST, host);
    }
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in &one.headers {
        request = request.header(*name, value);
    }
    let body = one.body.clone().unwrap_or_default();
    request.body(Full::new(Bytes::from(body))).map_err(|fault| fault.to_string())
}

#[expect(clippy::disallowed_methods, reason = "behind `Limited`, as the ban asks")]
async fn over<I>(stream: I, request: Request<Full<Bytes>>) -> Result<Told, String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|fault| fault.to_string())?;
    tokio::spawn(async move { drop(connection.await) });
    let answer =
        sender.send_request(request).await.map_err(|_| "the connection was closed without an answer".to_owned())?;
    let (head, body): (_, Incoming) = answer.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| "the answer broke off".to_owned())?.to_bytes();
    Ok(Told {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
