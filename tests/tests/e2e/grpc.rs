//! Calls as gRPC makes them: HTTP/2 to the gate and from it, messages one by one in both directions, trailers at the end.
//!
//! The frames of gRPC (a byte, a length, a message) mean nothing to the gate, so here the messages are plain text.

use std::time::Duration;

use bytes::Bytes;
use e2e::app::App;
use e2e::backend::{At, Backend, Frames, answer, headers, pipe, streamed};
use e2e::client::{AnyBody, Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::soon;
use e2e::wire::{self, Ended, Wire};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc+proto")];

/// What the four kinds of methods do: `/open/unary` and `/open/client` answer once with all that came, `/open/server`
/// answers three times, `/open/both` answers each message at once, `/open/fails` does not answer at all.
async fn serve(request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, body) = request.into_parts();
    let mut asked = Frames(body);
    let (answers, body) = pipe();
    let ok = |trailers: Option<HeaderMap>| {
        let mut end = headers(&[("grpc-status", "0"), ("x-cost-bin", "AAEC")]);
        // What the client sent behind its messages, sent back under other names.
        for (name, value) in trailers.unwrap_or_default().iter() {
            end.append(http::HeaderName::try_from(format!("x-got-{name}")).unwrap(), value.clone());
        }
        end
    };
    match parts.uri.path() {
        "/open/fails" => return answer(200, &[GRPC[0], ("grpc-status", "12"), ("grpc-message", "no such method")], ""),
        "/open/unary" | "/open/client" => {
            let (data, trailers) = asked.rest().await.unwrap();
            tokio::spawn(async move {
                answers.send(data).await;
                answers.end_with(ok(trailers)).await;
            });
        }
        "/open/server" => {
            tokio::spawn(async move {
                asked.rest().await.unwrap();
                for message in ["one", "two", "three"] {
                    answers.send(message).await;
                }
                answers.end_with(ok(None)).await;
            });
        }
        _ => {
            tokio::spawn(async move {
                while let Some(Ok(frame)) = asked.0.frame().await {
                    match frame.into_data() {
                        Ok(data) => drop(answers.send([&b"re: "[..], &data].concat()).await),
                        Err(frame) => return answers.end_with(ok(frame.into_trailers().ok())).await,
                    }
                }
                answers.end_with(ok(None)).await;
            });
        }
    }
    streamed(200, GRPC, body)
}

fn gate_before(backend: &Backend, setup: Setup) -> Gate {
    let way = format!("url: \"http://{}\", protocol: http2", backend.address.unwrap());
    Gate::start(Setup { way: Some(way), ..setup }, App::plain())
}

fn started() -> (Backend, Gate) {
    let backend = Backend::start(At::Loopback, Protocol::Http2, serve);
    let gate = gate_before(&backend, Setup::default());
    (backend, gate)
}

fn call(client: &Client, path: &str, body: AnyBody) -> Request<AnyBody> {
    let request = client.request("POST", path).header("content-type", "application/grpc+proto");
    request.header("te", "trailers").header("grpc-timeout", "5S").body(body).unwrap()
}

#[tokio::test]
async fn one_question_one_answer_and_a_status_behind_it() {
    let (backend, gate) = started();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let head = client.head(call(&client, "/open/unary", e2e::client::body("hello"))).await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &GRPC[0].1.parse().unwrap()));
    let (data, trailers) = Frames(head.into_body()).rest().await.unwrap();
    let trailers = trailers.unwrap();
    assert_eq!(
        (data.as_slice(), &trailers["grpc-status"], &trailers["x-cost-bin"]),
        (&b"hello"[..], &"0".parse().unwrap(), &"AAEC".parse().unwrap())
    );
    let seen = backend.last();
    assert_eq!(
        (&seen.headers["te"], &seen.headers["grpc-timeout"]),
        (&"trailers".parse().unwrap(), &"5S".parse().unwrap())
    );
    assert_eq!(seen.uri.authority().unwrap(), "clinic.example");
}

#[tokio::test]
async fn an_answer_of_trailers_alone_stays_one() {
    let (_backend, gate) = started();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let head = client.head(call(&client, "/open/fails", e2e::client::body("hello"))).await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["grpc-status"]), (200, &"12".parse().unwrap()));
    assert_eq!(head.headers()["grpc-message"], "no such method");
    assert!(http_body::Body::is_end_stream(head.body()), "the head ends the stream");
}

#[tokio::test]
async fn many_answers_to_one_question_and_one_to_many() {
    let (_backend, gate) = started();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let head = client.head(call(&client, "/open/server", e2e::client::body("count"))).await.unwrap();
    let (data, trailers) = Frames(head.into_body()).rest().await.unwrap();
    assert_eq!((data.as_slice(), &trailers.unwrap()["grpc-status"]), (&b"onetwothree"[..], &"0".parse().unwrap()));

    let (questions, body) = pipe();
    let asking = tokio::spawn(async move {
        for message in ["a", "b", "c"] {
            assert!(questions.send(message).await);
        }
    });
    let head = client.head(call(&client, "/open/client", body)).await.unwrap();
    asking.await.unwrap();
    assert_eq!(Frames(head.into_body()).rest().await.unwrap().0, b"abc");
}

#[tokio::test]
async fn both_sides_talk_at_once_and_trailers_go_both_ways() {
    let (_backend, gate) = started();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let mut calls = Vec::new();
    // Several at once, on one connection of the client and one to the application.
    for _ in 0..5 {
        let (questions, body) = pipe();
        let head = client.head(call(&client, "/open/both", body)).await.unwrap();
        calls.push((questions, Frames(head.into_body())));
    }
    for turn in 0..200 {
        for (questions, answers) in &mut calls {
            assert!(questions.send(format!("{turn}")).await);
            // Each answer is here before the next question leaves.
            assert_eq!(answers.piece().await.unwrap(), Bytes::from(format!("re: {turn}")));
        }
    }
    for (questions, mut answers) in calls {
        questions.end_with(headers(&[("x-sum", "7"), ("x-tenant-id", "evil"), ("authorization", "evil")])).await;
        let (rest, trailers) = answers.rest().await.unwrap();
        let trailers = trailers.unwrap();
        assert_eq!((rest.len(), trailers.len()), (0, 3), "{trailers:?}");
        assert_eq!(
            (&trailers["x-got-x-sum"], &trailers["grpc-status"]),
            (&"7".parse().unwrap(), &"0".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_side_that_only_listens_is_not_taken_for_one_that_has_gone() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request| async move {
        let (answers, body) = pipe();
        tokio::spawn(async move {
            // The client's side stays open and silent for many times the limit.
            let _asked = request;
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                answers.send("tick").await;
            }
            answers.end_with(headers(&[("grpc-status", "0")])).await;
        });
        streamed(200, GRPC, body)
    });
    let gate = gate_before(&backend, Setup { timeouts: "{ idle: 500ms }".to_owned(), ..Setup::default() });
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let (_questions, body) = pipe();
    let head = client.head(call(&client, "/open/both", body)).await.unwrap();
    let (data, trailers) = Frames(head.into_body()).rest().await.unwrap();
    assert_eq!((data.len(), trailers.is_some()), (80, true));
}

#[tokio::test]
async fn a_stream_on_which_nobody_talks_is_cut() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request| async move {
        let (answers, body) = pipe();
        tokio::spawn(async move {
            let _asked = request;
            answers.send("one").await;
            answers.gone().await;
        });
        streamed(200, GRPC, body)
    });
    let gate = gate_before(&backend, Setup { timeouts: "{ idle: 250ms }".to_owned(), ..Setup::default() });
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let (questions, body) = pipe();
    let head = client.head(call(&client, "/open/both", body)).await.unwrap();
    assert_eq!(Frames(head.into_body()).rest().await, Err(b"one".to_vec()));
    soon("the client's side to be told", questions.gone()).await;
}

#[tokio::test]
async fn what_breaks_on_one_side_breaks_on_the_other() {
    let (told, mut hears) = tokio::sync::mpsc::channel(4);
    let backend = Backend::start(At::Loopback, Protocol::Http2, move |request| {
        let told = told.clone();
        async move {
            let path = request.uri().path().to_owned();
            let (answers, body) = pipe();
            tokio::spawn(async move {
                let mut asked = Frames(request.into_body());
                answers.send("one").await;
                match path.as_str() {
                    "/open/app" => {
                        asked.piece().await.unwrap();
                        answers.break_off().await;
                    }
                    "/open/client" => told.send(asked.rest().await.is_err()).await.unwrap(),
                    _ => {
                        answers.gone().await;
                        told.send(true).await.unwrap();
                    }
                }
            });
            streamed(200, GRPC, body)
        }
    });
    let gate = gate_before(&backend, Setup::default());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let (questions, body) = pipe();
    let head = client.head(call(&client, "/open/app", body)).await.unwrap();
    let mut answers = Frames(head.into_body());
    assert_eq!(answers.piece().await.unwrap(), "one");
    assert!(questions.send("break off").await);
    assert_eq!(answers.rest().await, Err(Vec::new()), "the application breaks off");

    let (questions, body) = pipe();
    let head = client.head(call(&client, "/open/client", body)).await.unwrap();
    let mut answers = Frames(head.into_body());
    assert_eq!(answers.piece().await.unwrap(), "one");
    questions.break_off().await;
    assert!(soon("word of the end", hears.recv()).await.unwrap(), "the client breaks off");

    let (questions, body) = pipe();
    let head = client.head(call(&client, "/open/gone", body)).await.unwrap();
    let mut answers = Frames(head.into_body());
    assert_eq!(answers.piece().await.unwrap(), "one");
    drop((questions, answers, client));
    assert!(soon("word of the end", hears.recv()).await.unwrap(), "the client hangs up");
}

#[tokio::test]
async fn more_trailers_than_may_be_end_the_stream_alone() {
    let backend = Backend::start(At::Loopback, Protocol::Http2, |request| async move {
        let many = request.uri().path() == "/open/many";
        let read = Frames(request.into_body()).rest().await;
        if read.is_err() {
            return answer(500, &[], "");
        }
        let (answers, body) = pipe();
        tokio::spawn(async move {
            answers.send("data").await;
            let text = "x".repeat(if many { 20 * 1024 } else { 8 * 1024 });
            answers.end_with(headers(&[("grpc-status", "0"), ("x-long", &text)])).await;
        });
        streamed(200, GRPC, body)
    });
    let gate = gate_before(&backend, Setup::default());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    // The reset may overtake the head.
    if let Ok(many) = client.head(call(&client, "/open/many", e2e::client::body("x"))).await {
        assert!(Frames(many.into_body()).rest().await.is_err());
    }
    let few = client.head(call(&client, "/open/few", e2e::client::body("x"))).await.unwrap();
    assert!(Frames(few.into_body()).rest().await.is_ok(), "the connections still stand");

    let (questions, body) = pipe();
    let sending = async {
        questions.send("data").await;
        questions.end_with(headers(&[("x-long", &"x".repeat(20 * 1024))])).await;
    };
    let request = call(&client, "/open/few", body);
    let (refused, ()) = tokio::join!(client.head(request), sending);
    assert_eq!(refused.unwrap().status(), 431);
}

#[tokio::test]
async fn what_the_gate_refuses_is_refused_with_the_status_that_grpc_maps() {
    let (backend, gate) = started();
    let mut client = Client::open(&gate, Protocol::Http2).await;
    for (path, status) in [("/me", 401), ("/nothing/here", 404), ("/open/%2e%2e/me", 400)] {
        let head = client.head(call(&client, path, e2e::client::body("x"))).await.unwrap();
        assert_eq!(head.status().as_u16(), status, "{path}");
        assert_eq!(head.headers()["content-type"], "application/problem+json");
    }
    assert!(backend.seen().is_empty());
}

#[tokio::test]
async fn trailers_that_are_no_fields_are_refused_by_the_protocol() {
    let (_backend, gate) = started();
    for (name, value) in [(&b"X-Upper"[..], &b"1"[..]), (b"x-\x01", b"1"), (b"x-line", b"a\r\nb")] {
        let mut wire = Wire::open(&gate).await;
        let mut fields = wire::get(b"/open/unary");
        fields[0] = (b":method", b"POST");
        let stream = wire.start(&fields, false).await;
        wire.data(stream, b"hello", false).await;
        wire.trailers(stream, &[(name, value)]).await;
        let ended = soon("the end", wire.end_of(stream)).await;
        assert!(!matches!(&ended, Ended::Answered(body) if body == b"hello"), "{name:?}: {ended:?}");
    }
}
