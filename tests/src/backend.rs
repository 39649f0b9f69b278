//! An application that speaks what the plain one does not: HTTP/2, over a unix socket, over TLS, with streams both ways.
//!
//! By hyper, on a thread of its own. What a test wants to break byte by byte belongs to [`crate::app`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::client::{AnyBody, Protocol, body};

/// Where it listens.
pub enum At {
    /// TCP on loopback.
    Loopback,
    /// A unix socket.
    Socket(PathBuf),
    /// TLS on loopback.
    Tls(Arc<ServerConfig>),
}

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;

struct State {
    serve: Box<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>,
    protocol: Protocol,
    turns: Option<usize>,
    seen: Mutex<Vec<Parts>>,
    connections: AtomicUsize,
}

/// The application.
pub struct Backend {
    /// Where it listens, where that is TCP.
    pub address: Option<SocketAddr>,
    state: Arc<State>,
}

impl Backend {
    /// Answers as `serve` does.
    pub fn start<F>(at: At, protocol: Protocol, serve: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::start_for(at, protocol, None, serve)
    }

    /// The same; each connection is asked to end (GOAWAY, `Connection: close`) after `turns` requests.
    pub fn start_for<F>(
        at: At,
        protocol: Protocol,
        turns: Option<usize>,
        serve: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        let state = Arc::new(State {
            serve: Box::new(move |request| Box::pin(serve(request))),
            protocol,
            turns,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let (said, listens) = std::sync::mpsc::sync_channel(1);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                if let At::Socket(path) = &at {
                    let listener = UnixListener::bind(path).unwrap();
                    said.send(None).unwrap();
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        tokio::spawn(converse(Arc::clone(&shared), stream));
                    }
                }
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                said.send(listener.local_addr().ok()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let shared = Arc::clone(&shared);
                    match &at {
                        At::Tls(tls) => {
                            let accepting = TlsAcceptor::from(Arc::clone(tls)).accept(stream);
                            tokio::spawn(async move {
                                // A client that does not believe us is what some tests want.
                                if let Ok(stream) = accepting.await {
                                    converse(shared, stream).await;
                                }
                            });
                        }
                        At::Loopback | At::Socket(_) => drop(tokio::spawn(converse(shared, stream))),
                    }
                }
            });
        });
        Self { address: listens.recv().unwrap(), state }
    }

    /// The head of every request so far.
    pub fn seen(&self) -> Vec<Parts> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The head of the last request.
    pub fn last(&self) -> Parts {
        self.seen().pop().expect("the application got no request")
    }

    /// Connections on which HTTP was spoken so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Acquire)
    }
}

async fn converse(state: Arc<State>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    state.connections.fetch_add(1, Ordering::AcqRel);
    let turn = Arc::new(AtomicUsize::new(0));
    let enough = Arc::new(Notify::new());
    let (shared, told) = (Arc::clone(&state), Arc::clone(&enough));
    let service = service_fn(move |request: Request<Incoming>| {
        if shared.turns.is_some_and(|turns| turn.fetch_add(1, Ordering::AcqRel) + 1 >= turns) {
            told.notify_one();
        }
        let (parts, body) = request.into_parts();
        shared.seen.lock().unwrap().push(parts.clone());
        let answering = (shared.serve)(Request::from_parts(parts, body));
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let stream = TokioIo::new(stream);
    // A gate that hangs up is no fault.
    match state.protocol {
        Protocol::Http1 => {
            let mut connection = pin!(http1::Builder::new().serve_connection(stream, service));
            tokio::select! {
                _ = connection.as_mut() => return,
                () = enough.notified() => connection.as_mut().graceful_shutdown(),
            }
            drop(connection.await);
        }
        Protocol::Http2 => {
            let mut connection = pin!(http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service));
            tokio::select! {
                _ = connection.as_mut() => return,
                () = enough.notified() => connection.as_mut().graceful_shutdown(),
            }
            drop(connection.await);
        }
    }
}

/// A whole answer.
pub fn answer(status: u16, headers: &[(&'static str, &str)], text: impl Into<Bytes>) -> Response<AnyBody> {
    streamed(status, headers, body(text))
}

/// An answer with a body of any kind.
pub fn streamed(status: u16, headers: &[(&'static str, &str)], body: AnyBody) -> Response<AnyBody> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body).unwrap()
}

/// Headers of these pairs.
pub fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    pairs.collect()
}

/// A body that is sent piece by piece; it ends when this is dropped.
pub struct Pipe(mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>);

/// A body, and what it is filled through. One piece at most waits in between.
pub fn pipe() -> (Pipe, AnyBody) {
    let (sender, receiver) = mpsc::channel(1);
    (Pipe(sender), Piped(receiver).boxed())
}

impl Pipe {
    /// Sends a piece. False where nobody takes it any more.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(piece.into()))).await.is_ok()
    }

    /// Sends trailers, which ends it.
    pub async fn end_with(self, trailers: HeaderMap) {
        drop(self.0.send(Ok(Frame::trailers(trailers))).await);
    }

    /// Breaks it off.
    pub async fn break_off(self) {
        drop(self.0.send(Err(std::io::ErrorKind::BrokenPipe.into())).await);
    }

    /// Waits until nobody takes anything any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

struct Piped(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}

/// What comes of a body, frame by frame.
pub struct Frames<B>(pub B);

impl<B: http_body::Body<Data = Bytes> + Unpin> Frames<B> {
    /// The next piece of data; `None` at the end of the data, or where the body broke.
    pub async fn piece(&mut self) -> Option<Bytes> {
        match crate::soon("a piece of a body", self.0.frame()).await?.ok()?.into_data() {
            Ok(data) => Some(data),
            Err(frame) => panic!("trailers instead of data: {frame:?}"),
        }
    }

    /// The rest of the data, and the trailers behind it. `Err` where the body broke.
    pub async fn rest(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), Vec<u8>> {
        let (mut data, mut trailers) = (Vec::new(), None);
        while let Some(frame) = crate::soon("the rest of a body", self.0.frame()).await {
            let Ok(frame) = frame else { return Err(data) };
            match frame.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok((data, trailers))
    }
}
