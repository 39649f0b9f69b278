//! One question to a running gate, over its control socket or its health listener.
//!
//! It decides how long to wait and how much to read, not what an answer means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long the gate may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Where the control socket is.
#[derive(Debug, clap::Args)]
pub(super) struct Control {
    /// The control socket, as `listen.control` names it, with `unix:` or without
    #[arg(long, value_name = "SOCKET", default_value = "/run/anteroom/control.sock", value_parser = socket)]
    control: PathBuf,
}

#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn socket(written: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(PathBuf::from(written.strip_prefix("unix:").unwrap_or(written)))
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

/// Asks over the control socket.
///
/// # Errors
/// Fit for users.
pub(super) fn control(at: &Control, method: Method, path: &str) -> Result<Answer, String> {
    let shown = at.control.display();
    let asked = wait(async { exchange(UnixStream::connect(&at.control).await?, method, path).await });
    asked.map_err(|error| format!("no answer from `{shown}`: {error}\n  hint: `listen.control` names the socket"))
}

/// Asks the health listener.
///
/// # Errors
/// Fit for users.
pub(super) fn probe(address: SocketAddr, path: &str) -> Result<Answer, String> {
    let asked = wait(async { exchange(TcpStream::connect(address).await?, Method::GET, path).await });
    asked.map_err(|error| format!("no answer from `{address}`: {error}\n  hint: `listen.health` names the address"))
}

/// JSON for people.
///
/// # Errors
/// Where it is none; fit for users.
pub(super) fn pretty(text: &str) -> Result<String, String> {
    let value: Result<serde_json::Value, _> = serde_json::from_str(text);
    let text = value.and_then(|value| serde_json::to_string_pretty(&value));
    text.map(|text| format!("{text}\n")).map_err(|error| format!("the gate answered no JSON: {error}"))
}

fn wait(asking: impl Future<Output = Result<Answer, AnyError>>) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    match runtime.block_on(async { timeout(PATIENCE, asking).await }) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("none within {} s", PATIENCE.as_secs())),
    }
}

async fn exchange<S>(stream: S, method: Method, path: &str) -> Result<Answer, AnyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::builder().method(method).uri(path).header("host", "gate").body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    #[expect(clippy::disallowed_methods, reason = "the body is limited, as the ban asks")]
    let body = Limited::new(answer.into_body(), LONGEST).collect().await?.to_bytes();
    Ok(Answer { status, text: String::from_utf8(body.to_vec())? })
}
