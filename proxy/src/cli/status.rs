//! `anteroom status`: asks a running gate over its control socket.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Exit, complain, print};

/// How long the gate may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// The control socket, as `listen.control` names it without `unix:`
    #[arg(long, value_name = "SOCKET", default_value = "/run/anteroom/control.sock")]
    control: PathBuf,
}

pub(super) fn run(args: &StatusArgs) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::Failed;
        }
    };
    let asked = runtime.block_on(async { timeout(PATIENCE, ask(&args.control)).await });
    match asked {
        Ok(Ok(text)) => print(&text),
        Ok(Err(error)) => {
            complain(&format!(
                "error: no answer from `{}`: {error}\n  hint: `listen.control` names the socket",
                args.control.display()
            ));
            Exit::Failed
        }
        Err(_) => {
            complain(&format!("error: no answer from `{}` within {} s", args.control.display(), PATIENCE.as_secs()));
            Exit::Failed
        }
    }
}

async fn ask(socket: &std::path::Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::get("/status").header("host", "control").body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let collected = collect(Limited::new(answer.into_body(), LONGEST)).await?;
    let value: serde_json::Value = serde_json::from_slice(&collected)?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

#[expect(clippy::disallowed_methods, reason = "the body is limited, as the ban asks")]
async fn collect<B>(body: Limited<B>) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Ok(body.collect().await?.to_bytes())
}
