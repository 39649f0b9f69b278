use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::*;
use crate::framing::Track as _;
use crate::framing::mutation::{Dice, REQUESTS};

/// A request as hyper read it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Whole { line: String, headers: Vec<(String, Vec<u8>)>, body: Vec<u8> },
    BrokenBody,
    Refused(Fault),
}

type Log = Arc<Mutex<Vec<Seen>>>;

fn head_of<B>(request: &Request<B>) -> (String, Vec<(String, Vec<u8>)>) {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    (format!("{} {} {:?}", request.method(), request.uri(), request.version()), headers)
}

/// A real server of hyper behind a guard; answers everything with `x-ours`, and to requests for an upgrade what `switch`
/// says.
async fn serve(socket: DuplexStream, log: Log, switch: bool) {
    let notes = Arc::new(Notes::default());
    let guard = Guard::new(socket, 1_000, Arc::clone(&notes));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (notes, log) = (Arc::clone(&notes), Arc::clone(&log));
        async move {
            notes.mark(&mut request);
            let asks = Notes::asks_upgrade(&request);
            let (line, headers) = head_of(&request);
            let upgrade = hyper::upgrade::on(&mut request);
            let mut status = 200;
            let seen = match request.extensions().get::<Fault>() {
                Some(fault) => {
                    status = 400;
                    Seen::Refused(*fault)
                }
                None => match request.into_body().collect().await {
                    Ok(body) => Seen::Whole { line, headers, body: body.to_bytes().to_vec() },
                    Err(_) => Seen::BrokenBody,
                },
            };
            log.lock().unwrap().push(seen);
            if asks && switch {
                status = 101;
                tokio::spawn(async move {
                    let mut io = TokioIo::new(upgrade.await.unwrap());
                    let mut piece = [0; 64];
                    while let Ok(read @ 1..) = io.read(&mut piece).await {
                        io.write_all(&piece[..read]).await.unwrap();
                    }
                });
            }
            let mut answer = Response::new(Full::new(Bytes::new()));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer.headers_mut().insert("x-ours", http::HeaderValue::from_static("yes"));
            if asks {
                notes.decide(&answer);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(guard), service)
        .with_upgrades();
    drop(connection.await);
}

/// Sends pieces, and gives back what hyper saw and what came back.
async fn exchange(pieces: Vec<&[u8]>) -> (Vec<Seen>, String) {
    let log = Log::default();
    let (mut client, socket) = duplex(64 * 1024);
    let serving = tokio::spawn(serve(socket, Arc::clone(&log), false));
    for piece in pieces {
        drop(client.write_all(piece).await);
        tokio::task::yield_now().await;
    }
    drop(client.shutdown().await);
    let mut answers = Vec::new();
    drop(client.read_to_end(&mut answers).await);
    serving.await.unwrap();
    let seen = log.lock().unwrap().clone();
    (seen, String::from_utf8(answers).unwrap())
}

/// What stands in bytes that passed, read as plainly as can be: they are known to be in order.
fn plainly(mut bytes: &[u8]) -> Vec<Seen> {
    let mut found = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head: String = bytes[..end].iter().copied().map(char::from).collect();
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let mut headers: Vec<(String, Vec<u8>)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| {
                (name.to_ascii_lowercase(), value.chars().map(|letter| letter as u8).collect::<Vec<_>>())
            })
            .map(|(name, value)| (name, value.trim_ascii().to_vec()))
            .collect();
        headers.sort();
        let of = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let mut body = Vec::new();
        let mut whole = true;
        if of("transfer-encoding").is_some() {
            loop {
                let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
                    whole = false;
                    break;
                };
                let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
                if size == 0 {
                    // Behind the last chunk up to the empty line.
                    match bytes[end..].windows(4).position(|four| four == b"\r\n\r\n") {
                        Some(last) => bytes = &bytes[end + last + 4..],
                        None => whole = false,
                    }
                    break;
                }
                let Some(data) = bytes.get(end + 2..(end + 2).saturating_add(size)) else {
                    whole = false;
                    break;
                };
                body.extend_from_slice(data);
                bytes = bytes.get(end + 2 + size + 2..).unwrap_or_default();
            }
        } else if let Some(length) = of("content-length") {
            let length: usize = std::str::from_utf8(&length).unwrap().parse().unwrap();
            match bytes.split_at_checked(length) {
                Some((data, behind)) => {
                    body = data.to_vec();
                    bytes = behind;
                }
                None => whole = false,
            }
        }
        if !whole {
            found.push(Seen::BrokenBody);
            return found;
        }
        found.push(Seen::Whole { line, headers, body });
    }
    found
}

fn ends_connection(seen: &Seen) -> bool {
    match seen {
        Seen::Whole { line, headers, .. } => {
            let says = |what: &str| {
                headers.iter().filter(|(name, _)| name == "connection").any(|(_, value)| {
                    String::from_utf8_lossy(value).split(',').any(|one| one.trim().eq_ignore_ascii_case(what))
                })
            };
            says("close") || (line.ends_with("1.0") && !says("keep-alive"))
        }
        Seen::BrokenBody | Seen::Refused(_) => true,
    }
}

#[tokio::test]
async fn hyper_reads_what_passes_as_we_do_and_answers_nothing_by_itself() {
    let mut dice = Dice::new(42);
    for _ in 0..4_000 {
        let stream = dice.mutated(&REQUESTS);
        let pieces = if dice.below(2) == 0 { vec![stream.as_slice()] } else { dice.split(&stream) };
        let (seen, answers) = exchange(pieces).await;
        let shown = stream.escape_ascii().to_string();
        assert_eq!(answers.matches("x-ours: yes").count(), answers.matches("HTTP/1.").count(), "{shown}\n{answers}");

        let mut requests = Requests::new(1_000);
        let progress = requests.advance(&stream);
        let mut expected = plainly(&stream[..progress.passed]);
        match progress.broken {
            Some(Broken::Head(fault)) => expected.push(Seen::Refused(fault)),
            Some(Broken::Early) => expected.push(Seen::Refused(Fault::Early)),
            // hyper sees a body that ends badly, or one that never does.
            Some(Broken::Body(_)) | None => {}
        }
        if let Some(last) = expected.iter().position(ends_connection) {
            expected.truncate(last + 1);
        }
        let asked = |seen: &Seen| matches!(seen, Seen::Whole { headers, .. } if headers.iter().any(|(name, _)| name == "upgrade"));
        if expected.iter().any(asked) || seen.iter().any(asked) {
            // When its bytes come decides whether the request itself is refused, or only what is behind it.
            continue;
        }
        if expected.last() == Some(&Seen::BrokenBody) && seen.len() < expected.len() {
            // It may have been dropped with the connection before the end of the body was missed.
            expected.pop();
        }
        assert_eq!(seen, expected, "{shown}");
    }
}

#[tokio::test]
async fn answers_leave_in_order_and_the_refusal_comes_last() {
    let good = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab";
    let bad = "GET /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nGET /4 HTTP/1.1\r\nhost: a\r\n\r\n";
    let stream = format!("{good}{bad}");
    for at in 0..stream.len() {
        let (first, second) = stream.as_bytes().split_at(at);
        let (seen, answers) = exchange(vec![first, second]).await;
        let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "200", "400"], "split at {at}");
        assert_eq!(seen.last(), Some(&Seen::Refused(Fault::LengthBesideChunks)));
        assert!(answers.rsplit("HTTP/1.1 ").next().unwrap().contains("connection: close"), "{answers}");
    }
}

#[tokio::test]
async fn a_refusal_has_the_method_and_the_form_that_were_asked_for() {
    for (head, method, page) in [
        ("GET /# HTTP/1.1\r\n", Some("GET"), false),
        ("HEAD / HTTP/1.1\r\naccept: text/html\r\nx:\0\r\n", Some("HEAD"), true),
        ("BREW / HTTP/1.1\n", None, false),
    ] {
        let mut requests = Requests::new(1_000);
        let (mut held, mut room) = (Held::default(), [0; 1_000]);
        let mut out = ReadBuf::new(&mut room);
        let mut socket = head.as_bytes();
        let read = std::future::poll_fn(|cx| held.poll_read(&mut socket, &mut requests, cx, &mut out)).await.unwrap();
        let Read::Broken(Broken::Head(_), clue) = read else { panic!("{head:?} passed") };
        assert_eq!((clue.method, clue.page), (method, page), "{head:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut_by_the_clock() {
    for dripped in [true, false] {
        let (mut client, socket) = duplex(1_024);
        let started = Instant::now();
        let serving = tokio::spawn(serve(socket, Log::default(), false));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
        while dripped && timeout(Duration::from_secs(5), client.read_u8()).await.is_err() {
            drop(client.write_all(b"x: y\r\n").await);
        }
        serving.await.unwrap();
        let took = started.elapsed();
        assert!((Duration::from_secs(30)..Duration::from_secs(36)).contains(&took), "{took:?}");
    }
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";

async fn head(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn behind_a_switch_everything_passes() {
    let (mut client, socket) = duplex(1_024);
    let _serving = tokio::spawn(serve(socket, Log::default(), true));
    client.write_all(UPGRADE).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 101"));
    for text in [&b"\0\r\n\n"[..], b"GET / HTTP/9\n\n"] {
        client.write_all(text).await.unwrap();
        let mut back = vec![0; text.len()];
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(back, text);
    }
}

#[tokio::test]
async fn behind_another_answer_heads_go_on() {
    let log = Log::default();
    let (mut client, socket) = duplex(1_024);
    let _serving = tokio::spawn(serve(socket, Arc::clone(&log), false));
    for _ in 0..3 {
        client.write_all(UPGRADE).await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    }
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n\0").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    assert!(head(&mut client).await.starts_with("HTTP/1.1 400"));
    assert_eq!(log.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn what_comes_early_never_passes_even_when_the_answer_is_a_switch() {
    // In one piece with the head: the request itself is refused.
    let (mut client, socket) = duplex(1_024);
    let _serving = tokio::spawn(serve(socket, Log::default(), true));
    client.write_all(&[UPGRADE, b"early"].concat()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 400"));
    // Behind it: whatever the answer is, the bytes go nowhere.
    let mut requests = Requests::new(1_000);
    assert_eq!(requests.advance(UPGRADE).passed, UPGRADE.len());
    for (verdict, refused) in [(SWITCHED, false), (STAYED, true)] {
        let notes = Arc::new(Notes::default());
        let (mut client, socket) = duplex(1_024);
        let mut guard = Guard::new(socket, 1_000, Arc::clone(&notes));
        let mut room = [0; 256];
        client.write_all(UPGRADE).await.unwrap();
        assert_eq!(guard.read(&mut room).await.unwrap(), UPGRADE.len());
        client.write_all(b"early").await.unwrap();
        assert!(timeout(Duration::from_millis(20), guard.read(&mut room)).await.is_err(), "undecided");
        notes.verdict.store(verdict, Ordering::Release);
        let read = guard.read(&mut room).await;
        assert_eq!(read.is_ok(), refused);
        assert_eq!(notes.refused.lock().unwrap().take(), refused.then_some(Fault::Early));
        if let Ok(read) = read {
            assert!(room[..read].starts_with(b"UNREAD http://unread/ "), "only the stand-in is read");
        }
    }
}

#[tokio::test]
async fn a_stand_in_is_the_only_request_with_a_host_in_its_target() {
    for target in ["http://unread/", "https://a/", "unread", "//unread/"] {
        let (seen, _) = exchange(vec![format!("UNREAD {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()]).await;
        if target == "//unread/" {
            assert!(matches!(&seen[..], [Seen::Whole { line, .. }] if line.contains("//unread/")), "{seen:?}");
        } else {
            assert_eq!(seen, [Seen::Refused(Fault::TargetForm)]);
        }
    }
}
