//! What takes long or is large: events one by one, long polls, leave to send, ranges, uploads and downloads of a gibibyte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use e2e::app::App;
use e2e::backend::{At, Backend, Frames, answer, pipe, streamed};
use e2e::client::{AnyBody, BOTH, Client, HOST, Protocol, body};
use e2e::gate::{Gate, Setup};
use e2e::process::Served;
use e2e::raw::Raw;
use e2e::soon;
use e2e::standstill::{stands_still_at, uploading};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::Mutex;

fn way(backend: &Backend, app: Protocol) -> String {
    let protocol = match app {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    };
    format!("url: \"http://{}\", protocol: {protocol}", backend.address.unwrap())
}

fn gate_before(backend: &Backend, app: Protocol, setup: Setup) -> Gate {
    Gate::start(Setup { way: Some(way(backend, app)), ..setup }, App::plain())
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    for app in BOTH {
        let (next, goes) = tokio::sync::mpsc::channel::<()>(1);
        let goes = Arc::new(Mutex::new(goes));
        let backend = Backend::start(At::Loopback, app, move |_| {
            let goes = Arc::clone(&goes);
            async move {
                let (events, body) = pipe();
                tokio::spawn(async move {
                    let mut goes = goes.lock().await;
                    for number in 0..20 {
                        events.send(format!("data: {number}\n\n")).await;
                        if goes.recv().await.is_none() {
                            return;
                        }
                    }
                });
                streamed(200, &[("content-type", "text/event-stream")], body)
            }
        });
        let gate = gate_before(&backend, app, Setup::default());
        for protocol in BOTH {
            let mut client = Client::open(&gate, protocol).await;
            let request = client.request("GET", "/open/events").header("accept", "text/event-stream");
            let head = client.head(request.body(body("")).unwrap()).await.unwrap();
            let mut events = Frames(head.into_body());
            for number in 0..20 {
                let event = events.piece().await.unwrap();
                assert_eq!(event, format!("data: {number}\n\n"), "{protocol:?} to {app:?}");
                next.send(()).await.unwrap();
            }
            assert_eq!(events.rest().await.unwrap().0, b"");
        }
    }
}

#[tokio::test]
async fn a_long_poll_waits_for_as_long_as_an_answer_may_take() {
    for app in BOTH {
        let backend = Backend::start(At::Loopback, app, |_| async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            answer(200, &[], "at last")
        });
        // Much longer than nothing may move in a body: here no body has begun.
        let patient = gate_before(&backend, app, Setup { timeouts: "{ idle: 200ms }".to_owned(), ..Setup::default() });
        let hasty =
            gate_before(&backend, app, Setup { timeouts: "{ response: 200ms }".to_owned(), ..Setup::default() });
        for protocol in BOTH {
            let got = Client::open(&patient, protocol).await.ask("GET", "/open/poll", &[]).await;
            assert_eq!(got.text(), "at last", "{protocol:?} to {app:?}");
            let got = Client::open(&hasty, protocol).await.ask("GET", "/open/poll", &[]).await;
            assert_eq!((got.status.as_u16(), got.code().as_str()), (504, "APP_TIMEOUT"), "{protocol:?} to {app:?}");
        }
    }
}

#[tokio::test]
async fn a_poll_that_was_given_up_does_not_take_the_connection_with_it() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request: Request<_>| async move {
        if request.uri().path() == "/open/never" {
            std::future::pending::<()>().await;
        }
        answer(200, &[], "ok")
    });
    let setup = Setup { timeouts: "{ response: 200ms }".to_owned(), ..Setup::default() };
    let gate = gate_before(&backend, Protocol::Http2, setup);
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for _ in 0..5 {
        assert_eq!(client.ask("GET", "/open/never", &[]).await.status, 504);
        assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn leave_to_send_is_given_by_the_decision_and_the_body_is_never_asked_for_without_it() {
    for app in BOTH {
        let backend = Backend::start(At::Loopback, app, |request: Request<hyper::body::Incoming>| async move {
            assert!(!request.headers().contains_key("expect"), "it was met here");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            answer(200, &[], body)
        });
        let setup = Setup { limits: "{ body: 1KiB }".to_owned(), ..Setup::default() };
        let gate = gate_before(&backend, app, setup);
        let post = |path: &str, length: usize, more: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: {length}\r\n{more}expect: 100-continue\r\n\r\n"
            )
        };
        for (path, length, more, status) in [
            ("/me", 4, "", 401),
            ("/me", 4, "authorization: Bearer nonsense\r\n", 401),
            ("/nothing", 4, "", 404),
            ("/open/a//b", 4, "", 400),
            ("/open/x", 2000, "", 413),
        ] {
            let mut raw = Raw::open(&gate).await;
            let refused = raw.ask(post(path, length, more)).await.unwrap();
            assert_eq!(refused.status(), status, "{path}: the first word is the refusal");
            let behind = raw.ask("body").await;
            assert!(behind.is_none(), "nothing is read behind it: {behind:?}");
        }
        assert!(backend.seen().is_empty());
        let token = gate.issuer().ada();
        let mut raw = Raw::open(&gate).await;
        let leave = raw.ask(post("/me", 4, &format!("authorization: Bearer {token}\r\n"))).await.unwrap();
        assert_eq!(leave.status(), 100);
        let got = raw.ask("body").await.unwrap();
        assert_eq!((got.status(), got.body.as_slice()), (200, &b"body"[..]), "{app:?}");
    }
}

/// Answers with a range of a text, with no body at all, or with what `OPTIONS` is for.
async fn shelf(request: Request<hyper::body::Incoming>) -> Response<AnyBody> {
    match (request.method().as_str(), request.uri().path()) {
        ("OPTIONS", _) => answer(204, &[("allow", "GET, HEAD")], ""),
        (_, "/open/204") => answer(204, &[("x-own", "1")], ""),
        (_, "/open/304") => answer(304, &[("etag", "\"7\"")], ""),
        (_, "/open/reset") => answer(205, &[], ""),
        ("HEAD", _) => {
            let (pipe, body) = pipe();
            drop(pipe);
            streamed(200, &[("content-length", "10"), ("accept-ranges", "bytes")], body)
        }
        _ => match request.headers().get("range").and_then(|range| range.to_str().ok()) {
            Some("bytes=2-4") => answer(206, &[("content-range", "bytes 2-4/10")], "234"),
            Some("bytes=0-1,4-5") => {
                let parts = "--x\r\ncontent-range: bytes 0-1/10\r\n\r\n01\r\n--x\r\ncontent-range: bytes 4-5/10\r\n\r\n45\r\n--x--";
                answer(206, &[("content-type", "multipart/byteranges; boundary=x")], parts)
            }
            Some(_) => answer(416, &[("content-range", "bytes */10")], ""),
            None => answer(200, &[("accept-ranges", "bytes")], "0123456789"),
        },
    }
}

#[tokio::test]
async fn answers_without_a_body_and_parts_of_one_are_what_the_application_said() {
    for app in BOTH {
        let backend = Backend::start(At::Loopback, app, shelf);
        let gate = gate_before(&backend, app, Setup::default());
        for protocol in BOTH {
            let at = format!("{protocol:?} to {app:?}");
            let mut client = Client::open(&gate, protocol).await;
            let none = client.ask("GET", "/open/204", &[]).await;
            assert_eq!((none.status.as_u16(), none.header("x-own"), none.body.len()), (204, "1", 0), "{at}");
            let same = client.ask("GET", "/open/304", &[("if-none-match", "\"7\"")]).await;
            assert_eq!((same.status.as_u16(), same.header("etag"), same.body.len()), (304, "\"7\"", 0), "{at}");
            assert_eq!(backend.last().headers["if-none-match"], "\"7\"");
            let head = client.ask("HEAD", "/open/x", &[]).await;
            assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "10", 0), "{at}");
            let part = client.ask("GET", "/open/x", &[("range", "bytes=2-4")]).await;
            assert_eq!((part.status.as_u16(), part.header("content-range"), part.text()), (206, "bytes 2-4/10", "234"));
            let parts = client.ask("GET", "/open/x", &[("range", "bytes=0-1,4-5")]).await;
            assert!(parts.status == 206 && parts.text().ends_with("45\r\n--x--"), "{at}");
            let beyond = client.ask("GET", "/open/x", &[("range", "bytes=99-")]).await;
            assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */10"), "{at}");
            let options = client.ask("OPTIONS", "/open/x", &[]).await;
            assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD"), "{at}");
            assert_eq!(client.ask("GET", "/open/x", &[]).await.text(), "0123456789", "{at}: all in step");
        }
        assert!(backend.connections() <= 4, "{app:?}: {} connections", backend.connections());
    }
}

/// A body of `left` bytes, made as it is taken.
struct Made {
    left: u64,
    piece: Bytes,
}

impl http_body::Body for Made {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let piece = self.piece.slice(..usize::try_from(self.left.min(self.piece.len() as u64)).unwrap());
        self.left -= piece.len() as u64;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left)
    }
}

fn made(length: u64) -> AnyBody {
    Made { left: length, piece: Bytes::from(vec![b'x'; 64 * 1024]) }.boxed()
}

async fn counted(mut body: hyper::body::Incoming) -> u64 {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
    }
    count
}

const MIB: u64 = 1024 * 1024;

/// Sends `length` bytes up and down through a gate that is a process of its own, for each pair of protocols, and holds its
/// peak of memory against a bound that does not know of `length`.
async fn large_bodies_pass(length: u64, clients: &[Protocol], apps: &[Protocol]) {
    for app in apps.iter().copied() {
        let backend = Backend::start(At::Loopback, app, move |request: Request<hyper::body::Incoming>| async move {
            if request.method() == "POST" {
                return answer(200, &[], counted(request.into_body()).await.to_string());
            }
            streamed(200, &[], made(length))
        });
        let setup = Setup { way: Some(way(&backend, app)), limits: "{ body: 2GiB }".to_owned(), ..Setup::default() };
        let served = Served::start(setup, App::plain());
        for protocol in clients.iter().copied() {
            let mut client = Client::open_at(served.https, &served.files.ca, protocol, HOST).await;
            assert_eq!(client.ask("POST", "/open/x", &[]).await.text(), "0", "warm");
            let before = served.process.peak();
            let request = client.request("POST", "/open/x").body(made(length)).unwrap();
            let head = unhurried(client.head_at_last(request)).await.unwrap();
            let said = head.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(said, length.to_string(), "{protocol:?} to {app:?}");
            let request = client.request("GET", "/open/x").body(body("")).unwrap();
            let head = client.head(request).await.unwrap();
            assert_eq!(unhurried(counted(head.into_body())).await, length, "{protocol:?} to {app:?}");
            let grown = served.process.peak().saturating_sub(before);
            assert!(grown < 12 * MIB, "{protocol:?} to {app:?}: {} MiB more at the peak", grown / MIB);
        }
    }
}

/// A gibibyte in a debug build takes longer than anything else.
async fn unhurried<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(300), waiting).await.expect("a large body came to its end")
}

#[tokio::test]
async fn a_gibibyte_needs_no_more_memory_than_a_small_body() {
    large_bodies_pass(1024 * MIB, &BOTH, &BOTH).await;
}

#[tokio::test]
async fn one_client_that_does_not_read_holds_up_its_own_stream_alone() {
    const LARGE: u64 = 64 * MIB;
    let progress = Arc::new(AtomicU64::new(0));
    let written = Arc::clone(&progress);
    let backend = Backend::start(At::Loopback, Protocol::Http2, move |request: Request<_>| {
        let written = Arc::clone(&written);
        async move {
            if request.uri().path() == "/open/small" {
                return answer(200, &[], "small");
            }
            let (pieces, body) = pipe();
            tokio::spawn(async move {
                for _ in 0..LARGE / (64 * 1024) {
                    if !pieces.send(vec![b'x'; 64 * 1024]).await {
                        return;
                    }
                    written.fetch_add(64 * 1024, Ordering::AcqRel);
                }
            });
            streamed(200, &[], body)
        }
    });
    let setup = Setup { way: Some(way(&backend, Protocol::Http2)), ..Setup::default() };
    let gate = Gate::start(setup, App::plain());
    // Each on a connection and a thread of its own, so that nobody reads behind the test's back.
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let at = (gate.https, gate.files.ca.clone());
    let slow = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut heads = Vec::new();
            for _ in 0..8 {
                let mut client = Client::open_at(at.0, &at.1, Protocol::Http2, HOST).await;
                let request = client.request("GET", "/open/large").body(body("")).unwrap();
                heads.push((client.head(request).await.unwrap(), client));
            }
            wait.recv().unwrap();
            for (head, client) in heads {
                assert_eq!(counted(head.into_body()).await, LARGE);
                drop(client);
            }
        });
    });
    let watched = Arc::clone(&progress);
    let stood = tokio::task::spawn_blocking(move || stands_still_at(&watched)).await.unwrap();
    assert!(stood < 8 * 8 * MIB, "{} MiB of eight streams went somewhere", stood / MIB);
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for _ in 0..20 {
            assert_eq!(client.ask("GET", "/open/small", &[]).await.text(), "small", "beside those that stand still");
        }
    }
    assert!(backend.connections() <= 2, "all of them share one connection for each worker");
    go.send(()).unwrap();
    soon("the slow ones", tokio::task::spawn_blocking(move || slow.join().unwrap())).await.unwrap();
}

#[tokio::test]
async fn an_application_that_does_not_read_holds_the_client_up() {
    const LARGE: u64 = 32 * MIB;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let backend = Backend::start(At::Loopback, Protocol::Http2, move |request: Request<hyper::body::Incoming>| {
        let wait = Arc::clone(&wait);
        async move {
            let wait = wait.lock().await.take();
            if let Some(wait) = wait {
                wait.await.unwrap();
            }
            answer(200, &[], counted(request.into_body()).await.to_string())
        }
    });
    let setup = Setup { limits: "{ body: 1GiB }".to_owned(), ..Setup::default() };
    let gate = gate_before(&backend, Protocol::Http2, setup);
    let mut raw = Raw::open(&gate).await;
    raw.send(format!("POST /open/x HTTP/1.1\r\nhost: clinic.example\r\ncontent-length: {LARGE}\r\n\r\n")).await;
    let (sending, progress) = uploading(raw, LARGE);
    let stood = tokio::task::spawn_blocking(move || stands_still_at(&progress)).await.unwrap();
    assert!(stood < LARGE / 2, "{} MiB went somewhere", stood / MIB);
    go.send(()).unwrap();
    let mut raw = soon("the rest to be sent", sending).await.unwrap();
    assert_eq!(raw.answer().await.unwrap().body, LARGE.to_string().as_bytes());
}
