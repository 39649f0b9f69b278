//! What is not for clients: probes and metrics on the health listener, status on the control socket, the fetching of keys.
//!
//! All of it runs on one thread of its own, so that a busy gate still answers its probes. The health listener is read-only
//! and says nothing that the pod's network may not know; everything else is on the control socket.

mod control;
mod health;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt as _};

use crate::authn::{self, Pace, Renewal};
use crate::config::{CertificateNote, KeySource};
use crate::server::StartError;
use crate::shared::Shared;

/// Requests that are answered at once; more than these are turned away.
const AT_ONCE: usize = 64;
/// Connections that are open at once.
const CONNECTIONS: usize = 128;
/// How long a client may take for a head, and an answer to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sockets of this thread.
pub(crate) struct Listeners {
    pub(crate) health: std::net::TcpListener,
    pub(crate) control: Option<UnixListener>,
    pub(crate) control_path: Option<PathBuf>,
}

/// What status tells beside the shared state.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) certificates: Vec<CertificateNote>,
    pub(crate) https: SocketAddr,
    pub(crate) workers: usize,
}

type Answer = Response<Full<Bytes>>;

/// Starts the thread.
///
/// # Errors
/// Where the thread, its runtime or a client for keys cannot be made.
pub(crate) fn start(
    listeners: Listeners,
    about: About,
    sources: Vec<KeySource>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let inside = runtime.enter();
    let health = tokio::net::TcpListener::from_std(listeners.health).map_err(StartError::Thread)?;
    let control = listeners.control.map(tokio::net::UnixListener::from_std).transpose().map_err(StartError::Thread)?;
    drop(inside);
    let path = listeners.control_path;
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            runtime.block_on(run(health, control, Arc::new(about), sources, shared, stop));
            // A socket that nobody answers on would only puzzle.
            path.map(std::fs::remove_file);
        })
        .map_err(StartError::Thread)
}

async fn run(
    health: tokio::net::TcpListener,
    control: Option<tokio::net::UnixListener>,
    about: Arc<About>,
    sources: Vec<KeySource>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    for source in sources {
        tokio::spawn(keep_fresh(source, Arc::clone(&shared), stop.clone()));
    }
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let gate = Arc::clone(&shared);
    let probes = guarded(move |request| health::answer(&gate, request));
    let at_health = Arc::clone(&room);
    tokio::spawn(async move {
        loop {
            let accepted = accept_in(&at_health, async { health.accept().await.map(|(stream, _)| stream) }).await;
            if let Some((stream, place)) = accepted {
                tokio::spawn(serve(stream, probes.clone(), place));
            }
        }
    });
    if let Some(control) = control {
        let gate = Arc::clone(&shared);
        let answers = guarded(move |request| control::answer(&gate, &about, request));
        tokio::spawn(async move {
            loop {
                let accepted = accept_in(&room, async { control.accept().await.map(|(stream, _)| stream) }).await;
                if let Some((stream, place)) = accepted {
                    tokio::spawn(serve(stream, answers.clone(), place));
                }
            }
        });
    }
    // Probes are answered until the workers are done: readiness is then false, liveness still true.
    drop(stop.wait_for(|stop| *stop).await);
    while shared.phase.has_workers() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Keeps one provider's keys fresh until the gate stops.
async fn keep_fresh(from: KeySource, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let renewal = Renewal { provider: from.provider, store: from.store, source: from.source, pace: Pace::default() };
    let now = || shared.clock.now().unix_seconds();
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    authn::keep_fresh(renewal, now, spread, stopped).await;
}

/// Any number, to spread the fetches of many replicas.
fn spread() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the fetches come at the same time; nothing worse.
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_be_bytes(bytes))
}

type Guarded = BoxCloneSyncService<Request<Incoming>, Answer, BoxError>;

/// An answerer with limits that all of its connections share.
fn guarded(answer: impl Fn(&Request<Incoming>) -> Answer + Clone + Send + Sync + 'static) -> Guarded {
    BoxCloneSyncService::new(ServiceBuilder::new().load_shed().concurrency_limit(AT_ONCE).timeout(PATIENCE).service_fn(
        move |request: Request<Incoming>| {
            let answer = answer(&request);
            async move { Ok::<_, BoxError>(answer) }
        },
    ))
}

/// Waits for room and then for a connection; `None` after an error of `accept`, which is waited out.
async fn accept_in<S>(
    room: &Arc<Semaphore>,
    accept: impl Future<Output = std::io::Result<S>>,
) -> Option<(S, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match accept.await {
        Ok(stream) => Some((stream, place)),
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// Serves one connection: a head and an answer, each within [`PATIENCE`], as many as the client wants.
async fn serve<S>(stream: S, answers: Guarded, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.oneshot(request).await.unwrap_or_else(|_| busy())) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    // A prober that hangs up is of no interest.
    drop(connection.await);
    drop(place);
}

fn busy() -> Answer {
    plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "busy\n".into())
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    answer
}
