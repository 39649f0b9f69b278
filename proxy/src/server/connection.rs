//! One connection: the TLS handshake, then HTTP/1.1 or HTTP/2 as ALPN says, until it ends, idles or is told to.
//!
//! Decides limits of the connection. It never looks at a request; each goes to the pipeline.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::io::Patient;
use crate::phase::{Stage, Stages};
use crate::pipeline;
use crate::pipeline::canonical::TARGET_LIMIT;
use crate::shared::Shared;
use crate::telemetry::metrics::Handshake;
use crate::upstream::body::AnswerBody;
use crate::upstream::{Pool, Tunnel};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, and stay silent between two.
const HEAD: Duration = Duration::from_secs(30);
/// How long a client may not read while we have something to write.
const WRITE: Duration = Duration::from_secs(60);
/// How long a silent HTTP/1.1 connection is kept once the gate closes: a request may be on its way, and a connection that
/// is closed under it would lose it.
const LINGER: Duration = Duration::from_secs(1);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// How often a silent HTTP/2 connection is asked whether it still lives, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// Bytes that wait on one HTTP/2 stream for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

type Socket = Patient<TlsStream<TcpStream>>;

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) peer: IpAddr,
    /// The name in the ClientHello (SNI), in lower case.
    pub(crate) server_name: Option<String>,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, tls: TlsAcceptor, shared: Arc<Shared>, pool: Pool) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let started = shared.clock.now().monotone;
    let accepted = timeout(HANDSHAKE, tls.accept(stream)).await;
    let took = shared.clock.now().monotone.saturating_sub(started);
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return shared.metrics.handshake(Handshake::Failed, took),
        Err(_) => return shared.metrics.handshake(Handshake::TimedOut, took),
    };
    shared.metrics.handshake(Handshake::Ok, took);
    shared.metrics.connection(1);
    let (_, session) = stream.get_ref();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let server_name = session.server_name().map(str::to_ascii_lowercase);
    let connection = Arc::new(Connection { peer, server_name });
    let socket = TokioIo::new(Patient::new(stream, WRITE));
    let served =
        Served { shared: Arc::clone(&shared), pool, connection, requests: Arc::default(), tunnel: Arc::default() };
    let stages = shared.phase.watch();
    if http2 {
        serve_http2(socket, served, stages).await
    } else {
        serve_http1(socket, served, stages).await
    }
    shared.metrics.connection(-1);
}

/// What each request of a connection needs.
#[derive(Clone)]
struct Served {
    shared: Arc<Shared>,
    pool: Pool,
    connection: Arc<Connection>,
    /// Requests so far, to see whether anything happened.
    requests: Arc<AtomicU64>,
    /// What the connection becomes when it stops speaking HTTP: at most once in its life.
    tunnel: Arc<OnceLock<Tunnel>>,
}

impl Served {
    async fn answer(self, request: Request<Incoming>) -> (Response<AnswerBody>, Option<Tunnel>) {
        self.requests.fetch_add(1, Ordering::AcqRel);
        let mut answer = pipeline::handle(&self.shared, &self.pool, &self.connection, request).await;
        let tunnel = answer.extensions_mut().remove();
        (answer, tunnel)
    }

    /// As [`Served::answer`], for HTTP/2: a tunnel is a stream beside the others, and ends with the connection at the latest.
    async fn answer_on_stream(self, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
        let mut stages = self.shared.phase.watch();
        let (answer, tunnel) = self.answer(request).await;
        if let Some(tunnel) = tunnel {
            tokio::spawn(async move { tunnel.run(stages.reached(Stage::Closing)).await });
        }
        Ok(answer)
    }

    /// As [`Served::answer`]; once the gate closes, the answer says that it is the last one of its connection.
    async fn answer_and_part(self, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
        let shared = Arc::clone(&self.shared);
        let kept = Arc::clone(&self.tunnel);
        let (mut answer, tunnel) = self.answer(request).await;
        if let Some(tunnel) = tunnel {
            // It is the first: behind a `101` no request is read any more.
            drop(kept.set(tunnel));
        }
        // Behind a `101` there is no next request, and its `Connection` says something else.
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if shared.phase.stage() >= Stage::Closing && !switches {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }
}

async fn serve_http1(socket: TokioIo<Socket>, served: Served, mut stages: Stages) {
    let head = usize::try_from(served.shared.runtime.load().limits.headers).unwrap_or(usize::MAX);
    let tunnel = Arc::clone(&served.tunnel);
    let service = service_fn(move |request| served.clone().answer_and_part(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(head.saturating_add(TARGET_LIMIT))
        .serve_connection(socket, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let silent = async {
        stages.reached(Stage::Closing).await;
        sleep(LINGER).await;
    };
    tokio::select! {
        // How it ended is of no interest: a client may hang up at any time.
        _ = connection.as_mut() => {}
        () = silent => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
    if let Some(tunnel) = tunnel.get() {
        // Part of the connection's life, so that it counts as one and ends with the others.
        tunnel.clone().run(stages.reached(Stage::Closing)).await;
    }
}

async fn serve_http2(socket: TokioIo<Socket>, served: Served, mut stages: Stages) {
    let head = u32::try_from(served.shared.runtime.load().limits.headers).unwrap_or(u32::MAX);
    let requests = Arc::clone(&served.requests);
    let service = service_fn(move |request| served.clone().answer_on_stream(request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(head)
        .enable_connect_protocol() // WebSockets (RFC 8441)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(socket, service);
    let mut connection = pin!(connection);
    let mut seen = 0;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stages.reached(Stage::Closing) => break,
            () = sleep(HEAD) => {
                // HTTP/2 has no limit of its own on silence: without a new request the connection is asked to end. Streams
                // that are open finish first.
                let now = requests.load(Ordering::Acquire);
                if now == seen { break }
                seen = now;
            }
        }
    }
    // GOAWAY twice (RFC 9113, section 6.8): what the client sent before it read the first is served.
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}
