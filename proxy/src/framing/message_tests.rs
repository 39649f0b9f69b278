use super::*;
use crate::framing::mutation::{ANSWERS, Dice, REQUESTS};

/// What goes on in all of what arrives in these pieces, and why nothing more does.
fn run<'p>(track: &mut impl Track, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, Option<Broken>) {
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let progress = track.advance(&held);
        passed.extend(held.drain(..progress.passed));
        if progress.broken.is_some() {
            return (passed, progress.broken);
        }
    }
    (passed, None)
}

fn requests(text: &str) -> (String, Option<Broken>) {
    let (passed, broken) = run(&mut Requests::new(1_000), [text.as_bytes()]);
    (String::from_utf8(passed).unwrap(), broken)
}

fn answers(asked: Asked, text: &str) -> (String, Option<Broken>) {
    let mut answers = Answers::new(64 * 1024);
    answers.ask(asked);
    let (passed, broken) = run(&mut answers, [text.as_bytes()]);
    (String::from_utf8(passed).unwrap(), broken)
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n";

#[test]
fn good_requests_pass_one_behind_the_other() {
    for text in REQUESTS {
        assert_eq!(requests(text), (text.to_owned(), None));
    }
    let all = REQUESTS[..6].concat();
    assert_eq!(requests(&all), (all.clone(), None));
}

#[test]
fn what_stands_before_a_fault_passes_and_nothing_behind_it() {
    let good = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let bad = "GET / HTTP/1.1\nhost: a\n\n";
    assert_eq!(
        requests(&format!("{GET}{good}{bad}{GET}")),
        (format!("{GET}{good}"), Some(Broken::Head(Fault::LineEnd)))
    );
    // One byte too many is the first of the next request.
    assert_eq!(requests(&format!("{good}d{GET}")), (format!("{good}dGET / HTTP/1.1\r\nhost: a\r\n\r\n"), None));
    assert_eq!(requests(&format!("{good}\r\n{GET}")), (good.to_owned(), Some(Broken::Head(Fault::LineEnd))));
    let chunks = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    assert_eq!(requests(&format!("{chunks}x\r\n")), (chunks.to_owned(), Some(Broken::Body(Fault::ChunkSize))));
}

#[test]
fn behind_a_request_for_another_protocol_nothing_comes_before_its_answer() {
    assert_eq!(requests(&format!("{UPGRADE}x")), (String::new(), Some(Broken::Head(Fault::Early))));
    let with_body = "POST / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nab";
    assert_eq!(requests(&format!("{with_body}x")), (with_body.to_owned(), Some(Broken::Early)));
    let mut later = Requests::new(1_000);
    assert_eq!(run(&mut later, [UPGRADE.as_bytes(), b"x"]), (UPGRADE.into(), Some(Broken::Early)));
}

#[test]
fn the_answer_decides_what_the_next_bytes_are() {
    let asked = || {
        let mut requests = Requests::new(1_000);
        assert_eq!(run(&mut requests, [UPGRADE.as_bytes()]).1, None);
        assert!(requests.is_undecided());
        requests
    };
    let mut switched = asked();
    switched.decide(true);
    assert_eq!(run(&mut switched, [&b"\x81\x00\r\n"[..]]), (b"\x81\x00\r\n".to_vec(), None));
    let mut stayed = asked();
    stayed.decide(false);
    assert_eq!(run(&mut stayed, [GET.as_bytes()]), (GET.into(), None));
    assert_eq!(run(&mut stayed, [&b"\x81\x00\r\n"[..]]).1, Some(Broken::Head(Fault::ControlInLine)));
    // A decision that nobody waits for changes nothing.
    stayed.decide(true);
    let mut early = Requests::new(1_000);
    early.decide(true);
    assert_eq!(run(&mut early, [&b"\x01\r\n"[..]]).1, Some(Broken::Head(Fault::ControlInLine)));
}

#[test]
fn an_answer_ends_where_it_ends() {
    for text in ANSWERS {
        assert_eq!(answers(Asked::Plain, text), (text.to_owned(), None));
        if !text.starts_with("HTTP/1.0") {
            let more = format!("{text}HTTP/1.1 200 OK\r\n\r\n");
            assert_eq!(answers(Asked::Plain, &more), (text.to_owned(), Some(Broken::Head(Fault::Surplus))));
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let surplus = (head.to_owned(), Some(Broken::Head(Fault::Surplus)));
    assert_eq!(answers(Asked::Head, &format!("{head}hello")), surplus);
    assert_eq!(answers(Asked::Head, head), (head.to_owned(), None));
}

#[test]
fn nothing_is_an_answer_that_was_not_asked_for() {
    let mut idle = Answers::new(64 * 1024);
    assert_eq!(run(&mut idle, [ANSWERS[0].as_bytes()]), (Vec::new(), Some(Broken::Head(Fault::Surplus))));
    let mut once = Answers::new(64 * 1024);
    once.ask(Asked::Plain);
    assert_eq!(run(&mut once, [ANSWERS[0].as_bytes()]).1, None);
    assert!(once.is_idle());
    assert_eq!(run(&mut once, [&b"H"[..]]), (Vec::new(), Some(Broken::Head(Fault::Surplus))));
}

#[test]
fn interim_answers_are_few() {
    let some = |count: usize| format!("{}{}", "HTTP/1.1 102 Processing\r\n\r\n".repeat(count), ANSWERS[0]);
    assert_eq!(answers(Asked::Plain, &some(8)), (some(8), None));
    let (passed, broken) = answers(Asked::Plain, &some(9));
    assert_eq!((passed.len(), broken), (8 * 27, Some(Broken::Head(Fault::Interim))));
}

#[test]
fn the_verdict_is_the_same_however_the_bytes_are_split() {
    let mut dice = Dice::new(2_026);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..30_000 {
        let stream = dice.mutated(&REQUESTS);
        let whole = run(&mut Requests::new(200), [stream.as_slice()]);
        let split = run(&mut Requests::new(200), dice.split(&stream));
        if whole.1 == Some(Broken::Head(Fault::Early)) {
            // Early bytes that came later: the request had gone on, and they had not.
            assert!(matches!(split.1, Some(Broken::Early | Broken::Head(Fault::Early))), "{}", stream.escape_ascii());
        } else {
            assert_eq!(whole, split, "{}", stream.escape_ascii());
        }
        if whole.1.is_some() {
            bad += 1
        } else {
            good += 1
        }
        let stream = dice.mutated(&ANSWERS);
        let asked = || {
            let mut answers = Answers::new(100);
            answers.ask(Asked::Plain);
            answers
        };
        let whole = run(&mut asked(), [stream.as_slice()]);
        assert_eq!(whole, run(&mut asked(), dice.split(&stream)), "{}", stream.escape_ascii());
    }
    assert!(good > 5_000 && bad > 5_000, "{good} passed and {bad} did not: a test of both");
}
