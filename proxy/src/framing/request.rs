//! The head of a request.
//!
//! Decides whether it is one that every reader takes for the same request. What the target and the headers mean is judged
//! later; that hyper would accept them is part of what is decided here, so that hyper never answers by itself.

use super::fields::{Fields, is_token};
use super::lines::{Bad, Lines};
use super::{Body, Fault};
use crate::pipeline::canonical::TARGET_LIMIT;

/// The most header lines of a request.
pub const LINES: usize = 100;
/// What separates names from values and lines from each other, for every line: colon, space, CRLF.
const AROUND: usize = 4 * LINES + 2;
/// The longest request line: a method, a target, a version.
const REQUEST_LINE: usize = 64 + TARGET_LIMIT;

/// A request's head that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    lines: Lines,
    fields: Fields,
    /// Bytes that header lines may still have.
    left: usize,
    line: Option<RequestLine>,
}

#[derive(Clone, Copy, Debug)]
struct RequestLine {
    /// HTTP/1.0.
    old: bool,
}

/// What a whole head says about what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes it has.
    pub(super) length: usize,
    /// What stands behind it.
    pub(super) body: Body,
    /// Whether the connection may speak another protocol after its answer.
    pub(super) asks_upgrade: bool,
}

impl Reader {
    /// A head whose header names and values have at most `headers` bytes.
    pub(super) fn new(headers: usize) -> Self {
        let left = headers.saturating_add(AROUND);
        Self { lines: Lines::default(), fields: Fields::default(), left, line: None }
    }

    /// Reads on in `bytes`, which begin where the head does; `None` where it is not yet whole.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Head>, Fault> {
        let line = match self.line {
            Some(line) => line,
            None => match self.lines.next(bytes, REQUEST_LINE).map_err(in_request_line)? {
                Some(text) => *self.line.insert(RequestLine::read(text)?),
                None => return Ok(None),
            },
        };
        while let Some(text) = self.lines.next(bytes, self.left).map_err(in_header)? {
            if text.is_empty() {
                return self.whole(line).map(Some);
            }
            self.left = self.left.saturating_sub(text.len() + 2);
            self.fields.take(text, LINES)?;
        }
        Ok(None)
    }

    fn whole(&self, line: RequestLine) -> Result<Head, Fault> {
        // HTTP/1.0 could do without, but then the host would be anybody's guess.
        if !self.fields.has_host() {
            return Err(Fault::NoHost);
        }
        Ok(Head {
            length: self.lines.passed(),
            body: self.fields.body(line.old)?.unwrap_or(Body::None),
            asks_upgrade: self.fields.has_upgrade() && !line.old,
        })
    }
}

fn in_request_line(bad: Bad) -> Fault {
    match bad {
        Bad::End => Fault::LineEnd,
        Bad::Control => Fault::ControlInLine,
        Bad::Long => Fault::TargetTooLong,
    }
}

fn in_header(bad: Bad) -> Fault {
    match bad {
        Bad::End => Fault::LineEnd,
        Bad::Control => Fault::ControlInHeader,
        Bad::Long => Fault::TooLarge,
    }
}

impl RequestLine {
    /// Method, target and version with one space between them (RFC 9112, section 3).
    ///
    /// An empty line before it, which RFC 9112, section 2.2, would let a server pass over, is refused: whoever passes over
    /// it and who does not see the end of the body before in two places, and no client of today sends one.
    fn read(text: &[u8]) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::LineEnd);
        }
        let mut parts = text.splitn(3, |byte| *byte == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Fault::RequestLine);
        };
        if method.is_empty() || target.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Fault::RequestLine);
        }
        let old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Fault::Version),
        };
        check_target(method, target)?;
        Ok(Self { old })
    }
}

fn check_target(method: &[u8], target: &[u8]) -> Result<(), Fault> {
    if target.len() > TARGET_LIMIT {
        return Err(Fault::TargetTooLong);
    }
    if target == b"*" && method == b"OPTIONS" {
        return Ok(());
    }
    if method == b"CONNECT" || !target.starts_with(b"/") {
        return Err(Fault::TargetForm);
    }
    let path = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(path).unwrap_or((target, &[]));
    if path.iter().all(|byte| is_of_path(*byte)) && query.iter().all(|byte| is_of_query(*byte)) {
        return Ok(());
    }
    Err(Fault::TargetByte)
}

/// Visible ASCII without what begins a fragment, what some take for a slash, and what hyper would not take.
fn is_of_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>' | b'"')
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Option<Head>, Fault> {
        Reader::new(1_000).read(head.as_bytes())
    }

    fn line(text: &str) -> Result<(), Fault> {
        read(&format!("{text}\r\nhost: a\r\n\r\n")).map(|head| assert!(head.is_some(), "{text}"))
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let head = "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";
        let found = read(&format!("{head}GET")).unwrap().unwrap();
        assert_eq!(found, Head { length: head.len(), body: Body::None, asks_upgrade: false });
        assert_eq!(read(&head[..head.len() - 1]), Ok(None));
        let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nUpgrade: x\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(read(upgrade), Ok(Some(Head { length: upgrade.len(), body: Body::Length(3), asks_upgrade: true })));
        let old = upgrade.replace("HTTP/1.1", "HTTP/1.0");
        assert!(!read(&old).unwrap().unwrap().asks_upgrade, "HTTP/1.0 knows no upgrade");
    }

    #[test]
    fn a_request_line_has_three_parts_and_two_spaces() {
        for fine in ["GET / HTTP/1.1", "get / HTTP/1.0", "OPTIONS * HTTP/1.1", "M-SEARCH /a[]^{}|\"~ HTTP/1.1"] {
            assert_eq!(line(fine), Ok(()), "{fine}");
        }
        for (bad, fault) in [
            ("", Fault::LineEnd),
            ("GET", Fault::RequestLine),
            ("GET /", Fault::RequestLine),
            ("GET  / HTTP/1.1", Fault::RequestLine),
            (" GET / HTTP/1.1", Fault::RequestLine),
            ("G(T / HTTP/1.1", Fault::RequestLine),
            ("GET / HTTP/1.1 ", Fault::Version),
            ("GET /  HTTP/1.1", Fault::Version),
            ("GET / HTTP/1.1 x", Fault::Version),
            ("GET / http/1.1", Fault::Version),
            ("GET / HTTP/1.2", Fault::Version),
            ("GET / HTTP/2.0", Fault::Version),
            ("GET / HTTP/01.1", Fault::Version),
            ("GET / XTTP/1.1", Fault::Version),
            ("PRI * HTTP/2.0", Fault::Version),
            ("GET\t/ HTTP/1.1", Fault::RequestLine),
            ("GET * HTTP/1.1", Fault::TargetForm),
            ("GET a HTTP/1.1", Fault::TargetForm),
            ("GET ?a HTTP/1.1", Fault::TargetForm),
            ("GET http://a/ HTTP/1.1", Fault::TargetForm),
            ("CONNECT a:443 HTTP/1.1", Fault::TargetForm),
            ("CONNECT / HTTP/1.1", Fault::TargetForm),
            ("GET /#a HTTP/1.1", Fault::TargetByte),
            ("GET /?#a HTTP/1.1", Fault::TargetByte),
            ("GET /a\\b HTTP/1.1", Fault::TargetByte),
            ("GET /?a\\b HTTP/1.1", Fault::TargetByte),
            ("GET /?a=\"b\" HTTP/1.1", Fault::TargetByte),
            ("GET /<a> HTTP/1.1", Fault::TargetByte),
            ("GET /é HTTP/1.1", Fault::TargetByte),
            ("GET /\t HTTP/1.1", Fault::TargetByte),
            ("GET /\u{1} HTTP/1.1", Fault::ControlInLine),
        ] {
            assert_eq!(line(bad), Err(fault), "{bad:?}");
        }
    }

    #[test]
    fn a_host_stands_once_on_every_version() {
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n"), Err(Fault::NoHost));
        assert_eq!(read("GET / HTTP/1.0\r\n\r\n"), Err(Fault::NoHost));
        assert_eq!(read("GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n"), Err(Fault::HostTwice));
        assert_eq!(read("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"), Err(Fault::CodingOnOld));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_whole() {
        let target = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(length));
        assert!(read(&target(TARGET_LIMIT - 1)).unwrap().is_some());
        assert_eq!(read(&target(TARGET_LIMIT)), Err(Fault::TargetTooLong));
        assert_eq!(read(&"a".repeat(REQUEST_LINE + 2)), Err(Fault::TargetTooLong));
        assert_eq!(read(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(1_000 + AROUND))), Err(Fault::TooLarge));
        let many = |lines: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a:\r\n".repeat(lines));
        assert!(read(&many(LINES - 1)).unwrap().is_some());
        assert_eq!(read(&many(LINES)), Err(Fault::TooManyLines));
    }
}
