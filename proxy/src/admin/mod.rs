//! What is not for clients: probes and metrics on the health listener, status on the control socket, the fetching of keys,
//! the counting of refusals, the look for a way around the gate.
//!
//! All of it runs on one thread of its own, so that a busy gate still answers its probes. The health listener is read-only
//! and says nothing that the pod's network may not know; everything else is on the control socket.

mod app_health;
mod control;
mod exposed;
mod health;
mod keys;
mod revoke;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::pin::Pin;
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
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt as _};

use crate::config::Pod;
use crate::phase::Stage;
use crate::server::StartError;
use crate::shared::Shared;
use app_health::AppHealth;
pub(crate) use keys::KeyTasks;
pub(crate) use revoke::LONGEST_S;

/// Requests that are answered at once; more than these are turned away.
const AT_ONCE: usize = 64;
/// The pause after an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are open at once.
const CONNECTIONS: usize = 128;
/// How long a client may take for a head, and an answer to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often refusals that were counted are looked through.
const SETTLE: Duration = Duration::from_secs(1);

/// The sockets of this thread.
pub(crate) struct Listeners {
    pub(crate) health: std::net::TcpListener,
    pub(crate) control: Option<UnixListener>,
    pub(crate) control_path: Option<PathBuf>,
}

/// What status tells beside the shared state.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) https: SocketAddr,
    pub(crate) workers: usize,
}

pub(crate) type Answer = Response<Full<Bytes>>;

/// Starts the thread; the handle is for tasks that fetch keys on it.
///
/// # Errors
/// Where the thread or its runtime cannot be made.
pub(crate) fn start(
    listeners: Listeners,
    about: About,
    pod: Pod,
    shared: Arc<Shared>,
) -> Result<(JoinHandle<()>, Handle), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let inside = runtime.enter();
    let health = tokio::net::TcpListener::from_std(listeners.health).map_err(StartError::Thread)?;
    let control = listeners.control.map(tokio::net::UnixListener::from_std).transpose().map_err(StartError::Thread)?;
    drop(inside);
    let path = listeners.control_path;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            runtime.block_on(run(health, control, Arc::new(about), pod, shared));
            // A socket that nobody answers on would only puzzle.
            path.map(std::fs::remove_file);
        })
        .map_err(StartError::Thread)?;
    Ok((thread, handle))
}

async fn run(
    health: tokio::net::TcpListener,
    control: Option<tokio::net::UnixListener>,
    about: Arc<About>,
    pod: Pod,
    shared: Arc<Shared>,
) {
    tokio::spawn(exposed::watch(Arc::clone(&shared), pod.addresses.clone()));
    let gate = Arc::clone(&shared);
    let probes = answers_of(guarded(move |request| health::answer(&gate, request)));
    let app = AppHealth::new(pod);
    let longest = 2 * PATIENCE + app.longest();
    let answers = move |request: Request<Incoming>| {
        let (app, probes) = (app.clone(), probes.clone());
        async move {
            // Those wait for the application, so they do not share the limits of those that wait for nobody.
            if health::asks_app(&request) { app.answer(request.uri().path()).await } else { probes(request).await }
        }
    };
    tokio::spawn(accept(health, answers, longest));
    if let Some(control) = control {
        let gate = Arc::clone(&shared);
        let told = Arc::clone(&shared);
        let asked = answers_of(guarded(move |request| control::answer(&gate, &about, request)));
        let answers = move |request: Request<Incoming>| {
            let (asked, told, revokes) = (asked.clone(), Arc::clone(&told), request.uri().path() == "/revoke");
            async move {
                let answer = asked(request).await;
                // What a restart would forget is not said to be done.
                if revokes && answer.status().is_success() && told.sessions.durable().await.is_err() {
                    let said = "revoked, and not written: a restart forgets it\n".to_owned();
                    return plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", said);
                }
                answer
            }
        };
        tokio::spawn(async move {
            let mut open = Open::default();
            loop {
                match control.accept().await {
                    Ok((stream, _)) => open.add(tokio::spawn(serve(stream, answers.clone(), 2 * PATIENCE))),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        });
    }
    tokio::spawn(crate::pipeline::sweep(Arc::clone(&shared)));
    let gate = Arc::clone(&shared);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SETTLE).await;
            gate.denials.settle(gate.clock.now());
        }
    });
    // Probes are answered until the workers are done: readiness is then false, liveness still true.
    shared.phase.watch().reached(Stage::Over).await;
}

/// Answers on a listener for probes that wait for nobody, for ever.
pub(crate) async fn probes(
    listener: tokio::net::TcpListener,
    answer: impl Fn(&Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
) {
    accept(listener, answers_of(guarded(answer)), 2 * PATIENCE).await;
}

async fn accept<F>(
    listener: tokio::net::TcpListener,
    answers: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    longest: Duration,
) where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut open = Open::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.add(tokio::spawn(serve(stream, answers.clone(), longest))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
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

/// The connections of one listener, the oldest first. The newest one is always served: whoever fills the listener pushes
/// its own connections out, and a probe that comes after them is answered.
#[derive(Default)]
struct Open(VecDeque<JoinHandleOfTask>);

type JoinHandleOfTask = tokio::task::JoinHandle<()>;

impl Open {
    fn add(&mut self, task: JoinHandleOfTask) {
        while self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(task);
        while self.0.front().is_some_and(JoinHandleOfTask::is_finished) {
            self.0.pop_front();
        }
    }
}

/// A guarded answerer as a function: what has no place is told so.
fn answers_of(
    answers: Guarded,
) -> impl Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Clone + Send + 'static {
    move |request| {
        let answers = answers.clone();
        Box::pin(async move { answers.oneshot(request).await.unwrap_or_else(|_| busy()) })
    }
}

/// Serves one connection: one head within [`PATIENCE`], and one answer; `longest` in all.
async fn serve<S, F>(stream: S, answers: impl Fn(Request<Incoming>) -> F, longest: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Answer>,
{
    let service = service_fn(|request| {
        let answer = answers(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A prober that hangs up is of no interest, nor one that does not read.
    drop(timeout(longest, connection).await);
}

fn busy() -> Answer {
    plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "busy\n".into())
}

pub(crate) fn plain(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    answer
}
