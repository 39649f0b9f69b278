//! HTTPS for the API server: HTTP/1.1 and HTTP/2, one path, bodies of a bounded length.
//!
//! Decides how many may be connected and ask at once, and how long each may take. Who calls is not asked: the answer is made
//! of the question alone, and tells nobody anything that is not in it. So everything that a stranger in the cluster's
//! network could make grow is bounded.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::review::{self, LONGEST};
use super::{Desk, sidecar};
use crate::phase::{Stage, Stages};

/// Connections that are open at once, and those of one address.
const CONNECTIONS: usize = 512;
const OF_ONE_ADDRESS: usize = 64;
/// Streams of one HTTP/2 connection at once.
const STREAMS: u32 = 64;
/// The bytes of all bodies that are being read; as they grow by doubling, they take up 32 MiB at most.
pub(super) const BODIES: usize = 8 * LONGEST;
/// How long a handshake may take, and how long the head of a request on HTTP/1.1, the silence before it included. A silent
/// HTTP/2 connection stays for as long as it answers pings.
const PATIENCE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);
/// How long a body may take, the wait for room included: less than the API server waits.
const BODY: Duration = Duration::from_secs(4);
/// How long a connection has to end once the injector closes: longer than any question takes. A caller that is gone never
/// hears of it.
const GOODBYE: Duration = Duration::from_secs(5);
/// The pause after an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections that are open, by address. As large as [`CONNECTIONS`].
#[derive(Debug, Default)]
struct Room(Mutex<HashMap<IpAddr, usize>>);

/// A place for one connection.
struct Place(Arc<Room>, IpAddr);

impl Room {
    fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let total: usize = open.values().sum();
        let of_one = open.get(&address).copied().unwrap_or(0);
        if total >= CONNECTIONS || of_one >= OF_ONE_ADDRESS {
            return None;
        }
        open.insert(address, of_one.saturating_add(1));
        Some(Place(Arc::clone(self), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match open.get_mut(&self.1) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            Some(_) | None => drop(open.remove(&self.1)),
        }
    }
}

/// Serves until the last stage but one: what is open then is cut.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let room = Arc::new(Room::default());
    let mut open = JoinSet::new();
    let (mut closing, mut cutting) = (desk.phase.watch(), desk.phase.watch());
    let accepting = async {
        loop {
            let accepted = listener.accept().await;
            while open.try_join_next().is_some() {}
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let place = room.place(peer.ip().to_canonical());
            if let (Some(place), Some(tls)) = (place, desk.shown.tls()) {
                let desk = Arc::clone(&desk);
                open.spawn(async move {
                    connection(stream, TlsAcceptor::from(tls), desk).await;
                    drop(place);
                });
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = closing.reached(Stage::Closing) => {}
    }
    drop(listener);
    tokio::select! {
        () = async { while open.join_next().await.is_some() {} } => {}
        () = cutting.reached(Stage::Cutting) => {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, desk: Arc<Desk>) {
    // Answers are small; without this the last piece of one may wait for a confirmation of the one before.
    drop(stream.set_nodelay(true));
    let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stages = desk.phase.watch();
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(request, &desk).await) }
    });
    let io = TokioIo::new(stream);
    // An API server that hangs up is of no interest.
    if is_http2 {
        let served = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(16 * 1024)
            .keep_alive_interval(SILENCE)
            .keep_alive_timeout(PATIENCE)
            .serve_connection(io, service);
        let mut served = std::pin::pin!(served);
        if !until_closing(served.as_mut(), stages).await {
            served.as_mut().graceful_shutdown();
            drop(timeout(GOODBYE, served).await);
        }
    } else {
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SILENCE)
            .max_buf_size(32 * 1024)
            .serve_connection(io, service);
        let mut served = std::pin::pin!(served);
        if !until_closing(served.as_mut(), stages).await {
            served.as_mut().graceful_shutdown();
            drop(timeout(GOODBYE, served).await);
        }
    }
}

/// Drives a connection until the injector closes; true where it ended before.
async fn until_closing<T>(served: impl Future<Output = T>, mut stages: Stages) -> bool {
    tokio::select! {
        _ended = served => true,
        () = stages.reached(Stage::Closing) => false,
    }
}

type Answer = Response<Full<Bytes>>;

/// Answers one request. `?timeout=` is the API server's word on how long it waits; ours is shorter.
async fn answer(request: Request<Incoming>, desk: &Desk) -> Answer {
    if request.uri().path() != "/mutate" {
        return said(StatusCode::NOT_FOUND, "only `/mutate` is here");
    }
    if request.method() != Method::POST {
        let mut answer = said(StatusCode::METHOD_NOT_ALLOWED, "POST only");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    if !is_json(&request) {
        return said(StatusCode::UNSUPPORTED_MEDIA_TYPE, "`application/json` only");
    }
    match timeout(BODY, body(request, desk)).await {
        Err(_) => said(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        Ok(Err(status)) => said(status, "the body is too long, or broke off"),
        Ok(Ok(body)) => reviewed(&body, desk),
    }
}

fn is_json(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole body. It takes up room as it comes, not before, so that slow ones keep nobody waiting; and it is copied, since
/// each piece as hyper gives it, of one byte perhaps, costs many times its length.
async fn body(request: Request<Incoming>, desk: &Desk) -> Result<Vec<u8>, StatusCode> {
    let said = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|length| length > LONGEST) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let room = async |bytes: u32| desk.bodies.acquire_many(bytes).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE);
    let (mut rest, mut whole, mut held) = (request.into_body(), Vec::new(), room(0).await?);
    while let Some(frame) = rest.frame().await {
        let Ok(piece) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        let length = u32::try_from(piece.len()).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        if whole.len().saturating_add(piece.len()) > LONGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        held.merge(room(length).await?);
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

fn reviewed(body: &[u8], desk: &Desk) -> Answer {
    match review::answer(body, |pod| sidecar::judge(pod, &desk.settings)) {
        Ok(answered) => {
            desk.counts.count(answered.outcome);
            let (request, detail) = (answered.uid.as_str(), answered.reason.as_deref());
            match detail {
                Some(detail) => tracing::warn!(target: "anteroom", request, detail, "a pod was refused"),
                None => tracing::debug!(target: "anteroom", request, "a pod was looked at"),
            }
            let mut answer = Response::new(Full::new(Bytes::from(answered.body)));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        }
        Err(malformed) => {
            desk.counts.count_malformed();
            let detail = malformed.to_string();
            tracing::warn!(target: "anteroom", detail, "a request was no question of an API server");
            said(StatusCode::BAD_REQUEST, &detail)
        }
    }
}

fn said(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
