//! The head of an answer of the application.
//!
//! Decides whether it is one that every reader takes for the same answer, and what stands behind it, which depends on what
//! was asked (RFC 9112, section 6.3).

use super::fields::Fields;
use super::lines::{Bad, Lines};
use super::message::Asked;
use super::{Body, Fault};

/// The most header lines of an answer.
pub const ANSWER_LINES: usize = 200;
/// The longest status line, in bytes.
const STATUS_LINE: usize = 1_024;

/// An answer's head that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    lines: Lines,
    fields: Fields,
    /// Bytes that the head may still have.
    left: usize,
    line: Option<StatusLine>,
}

#[derive(Clone, Copy, Debug)]
struct StatusLine {
    status: u16,
    /// HTTP/1.0.
    old: bool,
}

/// What a whole head says about what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes it has.
    pub(super) length: usize,
    /// What comes next.
    pub(super) next: Next,
}

/// What comes behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another head: this one was in between.
    Head,
    /// A body, and then the answer is over.
    Body(Body),
    /// Another protocol.
    Switched,
}

impl Reader {
    /// A head of at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { lines: Lines::default(), fields: Fields::default(), left: most, line: None }
    }

    /// Reads on in `bytes`, which begin where the head does; `None` where it is not yet whole.
    pub(super) fn read(&mut self, bytes: &[u8], asked: Asked) -> Result<Option<Head>, Fault> {
        let line = match self.line {
            Some(line) => line,
            None => match self.lines.next(bytes, STATUS_LINE).map_err(in_status_line)? {
                Some(text) => {
                    self.left = self.left.saturating_sub(text.len() + 2);
                    *self.line.insert(StatusLine::read(text)?)
                }
                None => return Ok(None),
            },
        };
        // Its own end counts, and the empty line behind it.
        while let Some(text) = self.lines.next(bytes, self.left.saturating_sub(4)).map_err(in_header)? {
            if text.is_empty() {
                let next = self.next(line, asked)?;
                return Ok(Some(Head { length: self.lines.passed(), next }));
            }
            self.left = self.left.saturating_sub(text.len() + 2);
            self.fields.take(text, ANSWER_LINES)?;
        }
        Ok(None)
    }

    fn next(&self, line: StatusLine, asked: Asked) -> Result<Next, Fault> {
        let named = self.fields.body(line.old)?;
        match (line.status, asked) {
            // ORDER: a switch is an interim status too.
            (101, Asked::Upgrade) => match named {
                None | Some(Body::None) => Ok(Next::Switched),
                Some(Body::Length(_) | Body::Chunks | Body::UntilEnd) => Err(Fault::Interim),
            },
            (101, Asked::Plain | Asked::Head) => Err(Fault::Unasked),
            (100..=199, _) => match named {
                None | Some(Body::None) => Ok(Next::Head),
                Some(Body::Length(_) | Body::Chunks | Body::UntilEnd) => Err(Fault::Interim),
            },
            // Whatever they name, they have none.
            (204 | 304, _) | (_, Asked::Head) => Ok(Next::Body(Body::None)),
            (_, Asked::Plain | Asked::Upgrade) => Ok(Next::Body(named.unwrap_or(Body::UntilEnd))),
        }
    }
}

fn in_status_line(bad: Bad) -> Fault {
    match bad {
        Bad::End => Fault::LineEnd,
        Bad::Control | Bad::Long => Fault::StatusLine,
    }
}

fn in_header(bad: Bad) -> Fault {
    match bad {
        Bad::End => Fault::LineEnd,
        Bad::Control => Fault::ControlInHeader,
        Bad::Long => Fault::TooLarge,
    }
}

impl StatusLine {
    /// Version, one space, three digits, and a reason that nobody reads; its space is often left out when it is empty.
    fn read(text: &[u8]) -> Result<Self, Fault> {
        let (version, rest) = text.split_at_checked(9).ok_or(Fault::StatusLine)?;
        let old = match version {
            b"HTTP/1.1 " => false,
            b"HTTP/1.0 " => true,
            _ => return Err(Fault::StatusLine),
        };
        let (code, reason) = rest.split_at_checked(3).ok_or(Fault::StatusLine)?;
        let digits = code.iter().try_fold(0_u16, |sum, byte| {
            byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u16::from(byte - b'0')))
        });
        // RFC 9110, section 15: what is outside is invalid.
        let status = digits.filter(|status| (100..600).contains(status)).ok_or(Fault::StatusLine)?;
        if reason.is_empty() || reason.starts_with(b" ") { Ok(Self { status, old }) } else { Err(Fault::StatusLine) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(head: &str, asked: Asked) -> Result<Next, Fault> {
        let found = Reader::new(64 * 1024).read(head.as_bytes(), asked)?.unwrap();
        assert_eq!(found.length, head.len());
        Ok(found.next)
    }

    #[test]
    fn what_follows_depends_on_status_headers_and_question() {
        let with = |status: &str, lines: &str| format!("HTTP/1.1 {status}\r\n{lines}\r\n");
        let length = "content-length: 3\r\n";
        for (head, asked, expected) in [
            (with("200 OK", length), Asked::Plain, Next::Body(Body::Length(3))),
            (with("200", length), Asked::Plain, Next::Body(Body::Length(3))),
            (with("200 ", "content-length: 0\r\n"), Asked::Plain, Next::Body(Body::None)),
            (with("200 OK", "transfer-encoding: chunked\r\n"), Asked::Upgrade, Next::Body(Body::Chunks)),
            (with("200 OK", ""), Asked::Plain, Next::Body(Body::UntilEnd)),
            (with("200 OK", length), Asked::Head, Next::Body(Body::None)),
            (with("204 No Content", length), Asked::Plain, Next::Body(Body::None)),
            (with("304 Not Modified", length), Asked::Plain, Next::Body(Body::None)),
            (with("100 Continue", ""), Asked::Plain, Next::Head),
            (with("103 Early Hints", "link: a\r\n"), Asked::Head, Next::Head),
            (with("101 Switching Protocols", ""), Asked::Upgrade, Next::Switched),
        ] {
            assert_eq!(next(&head, asked), Ok(expected), "{head:?} to {asked:?}");
        }
        for (head, fault) in [
            (with("101 Switching Protocols", ""), Fault::Unasked),
            (with("100 Continue", length), Fault::Interim),
            (with("200 OK", "content-length: 3\r\ntransfer-encoding: chunked\r\n"), Fault::LengthBesideChunks),
            (with("200 OK", "content-length: 3\r\ncontent-length: 3\r\n"), Fault::LengthTwice),
            (with("204 No Content", "transfer-encoding: gzip\r\n"), Fault::Coding),
            (with("200 OK", "a: b\r\n c\r\n"), Fault::Folded),
            (with("200 OK", "a : b\r\n"), Fault::Name),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), Fault::CodingOnOld),
            ("HTTP/1.1 200 OK\na: b\n\n".to_owned(), Fault::LineEnd),
            ("HTTP/1.1 200 OK\r\na: \0\r\n\r\n".to_owned(), Fault::ControlInHeader),
        ] {
            assert_eq!(next(&head, Asked::Plain), Err(fault), "{head:?}");
        }
        for line in ["SSH-2.0-x", "HTTP/1.1 20 OK", "HTTP/1.1 abc", "HTTP/1.1 2000", "HTTP/1.1  200", "HTTP/1.1 099"] {
            assert_eq!(next(&format!("{line}\r\n\r\n"), Asked::Plain), Err(Fault::StatusLine), "{line}");
        }
        assert_eq!(next("HTTP/1.1 600 x\r\n\r\n", Asked::Plain), Err(Fault::StatusLine));
    }

    #[test]
    fn a_head_is_no_larger_than_it_may_be() {
        let head = |length: usize| format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(length - 24));
        assert_eq!(Reader::new(100).read(head(100).as_bytes(), Asked::Plain).map(|head| head.is_some()), Ok(true));
        assert_eq!(Reader::new(100).read(head(101).as_bytes(), Asked::Plain), Err(Fault::TooLarge));
    }
}
