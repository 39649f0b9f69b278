//! Ours beside httparse: what we pass, it reads as the same. (Beside hyper itself: `server/guard_tests.rs`.)

use super::mutation::{ANSWERS, Dice, REQUESTS};
use super::{answer, request};
use crate::framing::Asked;

/// The header lines of a whole head, read as plainly as can be.
fn plainly(head: &[u8]) -> (String, Vec<(String, Vec<u8>)>) {
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let lines: Vec<&[u8]> =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    let headers = lines[1..].iter().take_while(|line| !line.is_empty()).map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        (text(&line[..colon]), line[colon + 1..].trim_ascii().to_vec())
    });
    (text(lines[0]), headers.collect())
}

#[test]
fn httparse_reads_every_request_that_passes_as_the_same() {
    let mut dice = Dice::new(7);
    let mut passed = 0;
    for _ in 0..60_000 {
        let stream = dice.mutated(&REQUESTS);
        let Ok(Some(head)) = request::Reader::new(1_000).read(&stream) else { continue };
        passed += 1;
        let mut room = [httparse::EMPTY_HEADER; request::LINES];
        let mut parsed = httparse::Request::new(&mut room);
        let length = parsed.parse(&stream).unwrap_or_else(|fault| panic!("{fault}: {}", stream.escape_ascii()));
        assert_eq!(length, httparse::Status::Complete(head.length), "{}", stream.escape_ascii());
        let (line, headers) = plainly(&stream[..head.length]);
        let version = format!("HTTP/1.{}", parsed.version.unwrap());
        assert_eq!(line, format!("{} {} {version}", parsed.method.unwrap(), parsed.path.unwrap()));
        let theirs: Vec<_> =
            parsed.headers.iter().map(|header| (header.name.to_owned(), header.value.trim_ascii().to_vec())).collect();
        assert_eq!(theirs, headers, "{}", stream.escape_ascii());
        assert!(parsed.path.unwrap().parse::<http::Uri>().is_ok(), "{}", stream.escape_ascii());
    }
    assert!(passed > 10_000, "{passed}");
}

#[test]
fn httparse_reads_every_answer_that_passes_as_the_same() {
    let mut dice = Dice::new(11);
    let mut passed = 0;
    for _ in 0..40_000 {
        let stream = dice.mutated(&ANSWERS);
        let Ok(Some(head)) = answer::Reader::new(1_000).read(&stream, Asked::Plain) else { continue };
        passed += 1;
        let mut room = [httparse::EMPTY_HEADER; answer::ANSWER_LINES];
        let mut parsed = httparse::Response::new(&mut room);
        let length = parsed.parse(&stream).unwrap_or_else(|fault| panic!("{fault}: {}", stream.escape_ascii()));
        assert_eq!(length, httparse::Status::Complete(head.length), "{}", stream.escape_ascii());
        let (line, headers) = plainly(&stream[..head.length]);
        assert!(line.starts_with(&format!("HTTP/1.{} {}", parsed.version.unwrap(), parsed.code.unwrap())), "{line}");
        assert_eq!(parsed.headers.len(), headers.len(), "{}", stream.escape_ascii());
    }
    assert!(passed > 10_000, "{passed}");
}
