//! WebSockets over HTTP/2 (RFC 8441): judged as over HTTP/1.1, one stream among others.

use std::time::Duration;

use e2e::app::App;
use e2e::client::{AnyBody, Client, HOST, Protocol, body, connect, tls};
use e2e::gate::{Gate, Setup};
use e2e::{soon, until};
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::websocket::{accept, echo, frame, masked, plain};

type Stream = TokioIo<hyper::upgrade::Upgraded>;

async fn open(gate: &Gate) -> SendRequest<AnyBody> {
    let stream = connect(gate.https, tls(&gate.files.ca, &[b"h2"]), HOST).await.unwrap();
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender.ready().await.unwrap();
    // The gate's settings, which allow an extended CONNECT, come with its first answer at the latest.
    let first = Request::get(format!("https://{HOST}/")).version(Version::HTTP_2).body(body("")).unwrap();
    soon("an answer", sender.send_request(first)).await.unwrap();
    sender
}

fn asking(path: &str, protocol: &'static str, headers: &[(&str, &str)]) -> Request<AnyBody> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://{HOST}{path}"))
        .version(Version::HTTP_2)
        .extension(hyper::ext::Protocol::from_static(protocol));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body("")).unwrap()
}

const OWN: [(&str, &str); 2] = [("origin", "https://clinic.example"), ("sec-websocket-version", "13")];

async fn ask(sender: &mut SendRequest<AnyBody>, request: Request<AnyBody>) -> Response<Incoming> {
    soon("an answer", sender.send_request(request)).await.unwrap()
}

async fn code(answer: Response<Incoming>) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = soon("a body", answer.into_body().collect()).await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

async fn opened(answer: Response<Incoming>) -> Stream {
    assert_eq!(answer.status(), 200);
    TokioIo::new(hyper::upgrade::on(answer).await.unwrap())
}

/// Waits until the application has no connection but the one that the gate keeps.
async fn alone(gate: &Gate) {
    let ended = async {
        while gate.app.open() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await
        }
    };
    soon("the application's connections to end", ended).await;
}

async fn says(stream: &mut Stream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    soon("a frame", stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn frames_go_both_ways_beside_other_requests_of_the_connection() {
    let gate = Gate::start(Setup::default(), echo());
    let mut sender = open(&gate).await;
    let offering = [OWN[0], OWN[1], ("sec-websocket-protocol", "chat")];
    let answer = ask(&mut sender, asking("/open/chat", "websocket", &offering)).await;
    for name in ["upgrade", "connection", "sec-websocket-accept", "server"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert!(answer.headers().contains_key("strict-transport-security"));
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let mut one = opened(answer).await;
    says(&mut one, &plain(b"hello")).await;
    let mut two = opened(ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await).await;
    says(&mut two, &plain(b"hello")).await;
    let long = vec![b'x'; 100_000];
    for text in [&b"first"[..], b"", &long] {
        one.write_all(&masked(text)).await.unwrap();
        two.write_all(&masked(b"other")).await.unwrap();
        says(&mut one, &plain(text)).await;
        says(&mut two, &plain(b"other")).await;
        let beside = Request::get(format!("https://{HOST}/open/x")).version(Version::HTTP_2).body(body("")).unwrap();
        assert_eq!(ask(&mut sender, beside).await.status(), 200);
    }
    let seen = gate.app.seen().into_iter().find(|seen| seen.target() == "/open/chat").unwrap();
    assert_eq!(seen.line(), "GET /open/chat HTTP/1.1");
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(seen.header("sec-websocket-version"), Some("13"));
    let event = gate.files.event(&id);
    assert_eq!((event["route"].as_str(), event["status"].as_u64()), (Some("GET /open/**"), Some(200)));
    let keys: Vec<_> =
        gate.app.seen().iter().filter_map(|seen| seen.header("sec-websocket-key").map(str::to_owned)).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    drop((one, two, sender));
    alone(&gate).await;
}

#[tokio::test]
async fn it_is_judged_as_a_get_whose_origin_is_checked() {
    let gate = Gate::start(Setup::default(), echo());
    let mut sender = open(&gate).await;
    let before = gate.app.count();
    let token = format!("Bearer {}", gate.issuer().ada());
    let with = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let version = [("sec-websocket-version", "13")];
        version.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let cookie = format!("__session={}", gate.issuer().ada());
    for (path, headers, status, expected) in [
        ("/me", with(&[("origin", "https://clinic.example")]), 401, "NO_CREDENTIAL"),
        ("/nowhere", with(&[("origin", "https://clinic.example")]), 404, "NO_ROUTE"),
        ("/open/../me", with(&[("origin", "https://clinic.example")]), 400, "BAD_PATH"),
        ("/open/chat", with(&[("origin", "https://evil.example")]), 403, "CROSS_SITE"),
        ("/me", with(&[("origin", "https://evil.example"), ("cookie", &cookie)]), 403, "CROSS_SITE"),
        ("/api/rx/1/sign", with(&[("authorization", &token)]), 405, "METHOD_NOT_ALLOWED"),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = ask(&mut sender, asking(path, "websocket", &headers)).await;
        assert_eq!(code(answer).await, (status, expected.to_owned()), "{path} {headers:?}");
    }
    assert_eq!(gate.app.count(), before);
    let mut allowed = opened(
        ask(
            &mut sender,
            asking(
                "/me",
                "websocket",
                &with(&[("authorization", &token)])
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect::<Vec<_>>(),
            ),
        )
        .await,
    )
    .await;
    says(&mut allowed, &plain(b"hello")).await;
    assert_eq!(gate.app.last().header("x-tenant-id"), Some("a"));
}

#[tokio::test]
async fn a_proxy_whose_own_client_sent_a_key_gets_the_answer_to_it() {
    let gate = Gate::start(Setup::default(), echo());
    let mut sender = open(&gate).await;
    let headers = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "https://clinic.example"),
    ];
    let answer = ask(&mut sender, asking("/open/chat", "websocket", &headers)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, section 1.3");
    assert_eq!(gate.app.last().header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[tokio::test]
async fn what_is_asked_for_in_another_way_is_refused() {
    let gate = Gate::start(Setup::default(), echo());
    let before = gate.app.count();
    let mut sender = open(&gate).await;
    for (protocol, headers, expected) in [
        ("connect-udp", &[][..], "BAD_PATH"),
        ("WebSocket", &[("sec-websocket-version", "13")], "BAD_PATH"),
        ("websocket", &[], "BAD_HEADER"),
        ("websocket", &[("sec-websocket-version", "8")], "BAD_HEADER"),
        ("websocket", &[("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZQ==")], "BAD_HEADER"),
        ("websocket", &[("sec-websocket-version", "13"), ("content-length", "0")], "BAD_FRAMING"),
    ] {
        let headers: Vec<_> = headers.iter().copied().chain([("origin", "https://clinic.example")]).collect();
        let answer = ask(&mut sender, asking("/open/chat", protocol, &headers)).await;
        assert_eq!(code(answer).await, (400, expected.to_owned()), "{protocol} {headers:?}");
    }
    assert_eq!(gate.app.count() - before, 1, "only the first request of the connection");
}

#[tokio::test]
async fn only_an_application_that_agrees_opens_one() {
    let gate = Gate::plain();
    let mut sender = open(&gate).await;
    let answer = ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await;
    assert_eq!(code(answer).await, (502, "APP_INVALID".to_owned()), "an ordinary 200 opens nothing");
    gate.app.follow(|exchange| exchange.answer("403 Forbidden", "", "no"));
    let answer = ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await;
    assert_eq!(answer.status(), 403, "its no is heard");
    gate.app.follow(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        );
        e2e::app::After::Close
    });
    let answer = ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await;
    assert_eq!(code(answer).await, (502, "APP_INVALID".to_owned()), "nor does another's");
}

#[tokio::test]
async fn either_side_that_leaves_ends_the_other_and_the_connection_stays() {
    let app = App::start(|exchange| {
        if exchange.seen.header("upgrade").is_none() {
            return exchange.answer("200 OK", "", "ok");
        }
        accept(exchange, &plain(b"hello"));
        // Until the client says one thing, or leaves.
        drop(frame(exchange));
        e2e::app::After::Close
    });
    let gate = Gate::start(Setup::default(), app);
    let mut sender = open(&gate).await;
    let mut stream = opened(ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await).await;
    says(&mut stream, &plain(b"hello")).await;
    stream.write_all(&masked(b"bye")).await.unwrap();
    let mut rest = Vec::new();
    soon("its end", stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    let mut stream = opened(ask(&mut sender, asking("/open/chat", "websocket", &OWN)).await).await;
    says(&mut stream, &plain(b"hello")).await;
    stream.shutdown().await.unwrap();
    drop(stream);
    let active = || gate.metric("http_server_active_requests", &[]);
    until("the requests to end", || (active() < 0.5).then_some(()));
    let beside = Request::get(format!("https://{HOST}/open/x")).version(Version::HTTP_2).body(body("")).unwrap();
    assert_eq!(ask(&mut sender, beside).await.status(), 200);
    drop(sender);
    alone(&gate).await;
    assert_eq!(Client::open(&gate, Protocol::Http2).await.ask("GET", "/open/x", &[]).await.status, 200);
}
