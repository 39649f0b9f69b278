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
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::account::Clients;
use super::arrival::{self, Caller};
use super::flood::Watched;
use super::guard::{Guard, Notes};
use super::handshake;
use super::io::Patient;
use super::refusals::Refusals;
use super::streams::{Handed, Streams};
use super::turns::Turns;
use crate::authn::Presented;
use crate::framing;
use crate::phase::{Stage, Stages};
use crate::pipeline;
use crate::pipeline::canonical::TARGET_LIMIT;
use crate::shared::Shared;
use crate::telemetry::ended::Ended;
use crate::upstream::{Pool, Tunnel};

/// Bytes that may wait in the kernel for a client that does not read. Without this limit a socket takes megabytes before it
/// says that nothing moves.
const UNSENT: u32 = 64 * 1024;
/// How much of that has to leave before a socket takes more: the steps in which a slow client is seen to move.
const STEP: usize = 32 * 1024;
/// How long a silent HTTP/1.1 connection is kept once the gate closes: a request may be on its way, and a connection that
/// is closed under it would lose it.
const LINGER: Duration = Duration::from_secs(1);
/// How often a silent HTTP/2 connection is asked whether it still lives, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// How often in `limits.head_time` an HTTP/2 connection is looked at, to see whether it was silent for so long.
const LOOKS: u32 = 4;
/// Bytes that wait on one HTTP/2 stream for a client that does not read.
pub(super) const SEND_BUFFER: usize = 64 * 1024;
/// Bytes that a client may send on one HTTP/2 stream before we have read them.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams of a connection: h2 takes half of that as the measure for floods of small pieces, so a smaller one would cut gRPC.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes that hyper holds of one HTTP/1.1 connection, each way; more where `limits.headers` asks for more.
const BUFFER: usize = 64 * 1024;

/// What hyper may take of a head on HTTP/1.1 beyond our own limits, in bytes.
const ABOVE: usize = 4 * 1024;
/// What HTTP/2 counts for each header beside its name and value (RFC 9113, section 6.5.2), in bytes.
const FIELD: usize = 32;

type Socket = Patient<TlsStream<TcpStream>>;

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) peer: IpAddr,
    /// The name in the ClientHello (SNI), in lower case.
    pub(crate) server_name: Option<String>,
    /// What the client has shown of itself in the handshake.
    pub(crate) certificate: Option<Presented>,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    caller: Caller,
    tls: TlsAcceptor,
    turns: Arc<Turns>,
    shared: Arc<Shared>,
    pool: Pool,
) {
    if stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)).is_err() {
        return;
    }
    let limits = shared.runtime.load().limits;
    let deadline = Instant::now() + limits.handshake_time;
    let shaking = async {
        let mut stream = stream;
        let client = arrival::admit(caller, &mut stream, deadline, &shared).await?;
        let (stream, certificate) = handshake::shake(stream, tls, &turns, deadline, &shared).await?;
        Some((stream, certificate, client))
    };
    // In a box of its own, whose memory is free again for as long as the connection lives.
    let shaken = Box::pin(arrival::or_give_way(&shared, shaking)).await;
    let Some((stream, certificate, client)) = shaken else { return };
    let arrival::Client { address: peer, place } = client;
    shared.metrics.connection(1);
    let (_, session) = stream.get_ref();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let server_name = session.server_name().map(str::to_ascii_lowercase);
    let connection = Arc::new(Connection { peer, server_name, certificate });
    let socket = Patient::new(stream, limits.least_rate.for_steps_of(STEP));
    let served = Served {
        shared: Arc::clone(&shared),
        pool,
        connection,
        requests: Arc::default(),
        // Behind a named sender the next request may be anybody's.
        refusals: place.is_some().then(Arc::default),
        tunnel: Arc::default(),
    };
    let stages = shared.phase.watch();
    if http2 {
        Box::pin(serve_http2(socket, served, stages)).await;
    } else {
        Box::pin(serve_http1(socket, served, stages)).await;
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
    /// Those that were refused; none where many clients share the connection.
    refusals: Option<Arc<Refusals>>,
    /// What the connection becomes when it stops speaking HTTP: at most once in its life.
    tunnel: Arc<OnceLock<Tunnel>>,
}

impl Served {
    /// The answer, what the connection becomes with it, and whether it has to end.
    async fn answer(self, request: Request<Incoming>) -> (Response<Handed>, Option<Tunnel>, bool) {
        self.requests.fetch_add(1, Ordering::AcqRel);
        if let Some(refusals) = &self.refusals {
            // ORDER: before it takes a place that others may need.
            refusals.turn().await;
        }
        let place = self.shared.room.request(self.shared.runtime.load().limits.requests);
        let mut answer = pipeline::handle(&self.shared, &self.pool, &self.connection, request, place.as_ref()).await;
        let tunnel = answer.extensions_mut().remove();
        let refused = answer.extensions_mut().remove::<pipeline::Refused>().is_some();
        let ends = self.refusals.as_ref().is_some_and(|refusals| refusals.note(refused));
        if ends {
            self.shared.ended(Ended::Refused);
        }
        if refused {
            // What is refused waits for nothing, so that pipelined requests would all be answered before anybody else's.
            yield_now().await;
        }
        (answer.map(|body| Handed::new(body, place)), tunnel, ends)
    }

    /// As [`Served::answer`], for HTTP/2: a tunnel is a stream beside the others, and ends with the connection at the latest.
    async fn answer_on_stream(self, request: Request<Incoming>) -> Result<Response<Handed>, Infallible> {
        let mut stages = self.shared.phase.watch();
        let (answer, tunnel, _) = self.answer(request).await;
        if let Some(tunnel) = tunnel {
            tokio::spawn(async move { tunnel.run(stages.reached(Stage::Closing)).await });
        }
        Ok(answer)
    }

    /// As [`Served::answer`] behind a guard; once the gate closes, the client broke the framing or was refused too often,
    /// the answer says that it is the last one of its connection.
    async fn answer_and_part(
        self,
        mut request: Request<Incoming>,
        notes: Arc<Notes>,
    ) -> Result<Response<Handed>, Infallible> {
        let shared = Arc::clone(&self.shared);
        let kept = Arc::clone(&self.tunnel);
        notes.mark(&mut request);
        let asks_upgrade = Notes::asks_upgrade(&request);
        let (mut answer, tunnel, refused) = self.answer(request).await;
        if let Some(tunnel) = tunnel {
            // It is the first: behind a `101` no request is read any more.
            drop(kept.set(tunnel));
        }
        if asks_upgrade {
            notes.decide(&answer);
        }
        let ends = refused || notes.is_broken();
        // Behind a `101` there is no next request, and its `Connection` says something else.
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if (shared.phase.stage() >= Stage::Closing || ends) && !switches {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }
}

async fn serve_http1(socket: Socket, served: Served, mut stages: Stages) {
    let limits = served.shared.runtime.load().limits;
    let headers = usize::try_from(limits.headers).unwrap_or(usize::MAX);
    let head = headers.saturating_add(TARGET_LIMIT).saturating_add(ABOVE);
    let tunnel = Arc::clone(&served.tunnel);
    let notes = Arc::new(Notes::default());
    let guard = Guard::new(socket, headers, Arc::clone(&notes));
    let service = service_fn(move |request| served.clone().answer_and_part(request, Arc::clone(&notes)));
    // INVARIANT: hyper's own limits on a head (these two, and 100 lines) are above the guard's, so that it never refuses
    // one by itself.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(head)
        .max_buf_size(head.max(BUFFER))
        .serve_connection(TokioIo::new(guard), service)
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

async fn serve_http2(socket: Socket, served: Served, mut stages: Stages) {
    let limits = served.shared.runtime.load().limits;
    let headers = usize::try_from(limits.headers).unwrap_or(usize::MAX);
    // Above ours, so that what is over ours is refused by us; what is far over it h2 answers by itself.
    let list = headers.saturating_add(TARGET_LIMIT).saturating_add(FIELD * 4 * framing::LINES);
    let list = u32::try_from(list).unwrap_or(u32::MAX);
    let requests = Arc::clone(&served.requests);
    let refusals = served.refusals.clone().unwrap_or_default();
    let streams = Streams::new(Arc::clone(&served.shared));
    let link = streams.link();
    let clients = if served.refusals.is_some() { Clients::One } else { Clients::Many };
    let socket = Watched::new(socket, clients, Arc::clone(&served.shared), Arc::clone(&link));
    let service = service_fn(move |request| served.clone().answer_on_stream(request));
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_header_list_size(list)
        .enable_connect_protocol() // WebSockets (RFC 8441)
        .max_concurrent_streams(limits.streams)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let (mut seen, mut silent) = (0, 0);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stages.reached(Stage::Closing) => break,
            () = refusals.enough() => break,
            () = sleep(limits.head_time / LOOKS) => {
                // HTTP/2 has no limit of its own on silence: with no request, new or open, the connection is asked to end.
                let now = requests.load(Ordering::Acquire);
                silent = if now == seen && link.running() == 0 { silent + 1 } else { 0 };
                if silent >= LOOKS { break }
                seen = now;
            }
        }
    }
    // GOAWAY twice (RFC 9113, section 6.8): what the client sent before it read the first is served.
    connection.as_mut().graceful_shutdown();
    // A client that never asked for anything may not even have begun to speak HTTP/2, and would not hear the goodbye. From
    // others, what they were handed is still on its way.
    let asked = requests.load(Ordering::Acquire) > 0;
    let farewell = if asked { limits.least_rate.for_steps_of(2 * SEND_BUFFER) } else { LINGER };
    let goodbye = Instant::now();
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            // It goes on all the same.
            () = refusals.enough() => return,
            () = sleep(farewell.min(LINGER)) => {
                // Where everything has left, what is still missing is the answer to our ping.
                let most = if link.is_done() { farewell.min(PING) } else { farewell };
                if link.running() == 0 && goodbye.elapsed() >= most { return }
            }
        }
    }
}
