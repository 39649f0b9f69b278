//! What is wrong with bytes that claim to be HTTP/1.
//!
//! Decides which reason code stands for which fault, and its fixed text. It never quotes what was sent.

use std::fmt;

use crate::rejection::{Oversize, Rejection};

/// Why a message was refused before it was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A carriage return or a line feed that stands alone, or an empty line before a request.
    LineEnd,
    /// A control character in the first line.
    ControlInLine,
    /// A control character in a header.
    ControlInHeader,
    /// The first line of a request is not method, target and version, one space between them.
    RequestLine,
    /// The version is neither 1.1 nor 1.0.
    Version,
    /// The target is no path: an address with a host, an authority, or `*` beside another method than OPTIONS.
    TargetForm,
    /// The target holds a byte that none may hold.
    TargetByte,
    /// The request line is too long.
    TargetTooLong,
    /// A header's name is empty, no token, too long, or parted from its colon.
    Name,
    /// A header goes on in the next line (obs-fold).
    Folded,
    /// Too many header lines.
    TooManyLines,
    /// The headers are too large.
    TooLarge,
    /// A `Content-Length` that is not one number in its shortest form.
    Length,
    /// `Content-Length` more than once.
    LengthTwice,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthBesideChunks,
    /// A `Transfer-Encoding` other than one `chunked`.
    Coding,
    /// `Transfer-Encoding` on HTTP/1.0.
    CodingOnOld,
    /// No `Host`.
    NoHost,
    /// `Host` more than once.
    HostTwice,
    /// Bytes behind a request for another protocol, before its answer.
    Early,
    /// A chunk's size is no hexadecimal number of at most 16 digits, or has an extension.
    ChunkSize,
    /// A chunk is not followed by a line end.
    ChunkEnd,
    /// A trailer that is no header.
    Trailer,
    /// A trailer of a request that would frame or route it.
    HeadOnly,
    /// Too many trailers, or too large ones.
    Trailers,
    /// The first line of an answer is not version and status.
    StatusLine,
    /// More interim answers than anyone needs, or one with a body.
    Interim,
    /// A switch of protocols that nobody asked for.
    Unasked,
    /// Bytes that no request asked for.
    Surplus,
}

impl Fault {
    /// The fixed text for the log.
    pub fn detail(self) -> &'static str {
        match self {
            Fault::LineEnd => "a line that does not end in CRLF, or an empty one before the message",
            Fault::ControlInLine => "control character in the first line",
            Fault::ControlInHeader => "control character in a header",
            Fault::RequestLine => "not a request line",
            Fault::Version => "neither HTTP/1.1 nor HTTP/1.0",
            Fault::TargetForm => "target that is not a path",
            Fault::TargetByte => "character that a target cannot hold",
            Fault::TargetTooLong => "request line too long",
            Fault::Name => "header name that is not a token",
            Fault::Folded => "header folded over two lines",
            Fault::TooManyLines => "too many header lines",
            Fault::TooLarge => "head too large",
            Fault::Length => "length that is not one plain number",
            Fault::LengthTwice => "more than one length",
            Fault::LengthBesideChunks => "length beside a transfer coding",
            Fault::Coding => "transfer coding other than one `chunked`",
            Fault::CodingOnOld => "transfer coding on HTTP/1.0",
            Fault::NoHost => "no `Host`",
            Fault::HostTwice => "more than one `Host`",
            Fault::Early => "bytes behind a request for another protocol, before its answer",
            Fault::ChunkSize => "chunk size that is not a plain number",
            Fault::ChunkEnd => "chunk that does not end where it should",
            Fault::Trailer => "trailer that is not a header",
            Fault::HeadOnly => "trailer that belongs into the head",
            Fault::Trailers => "trailers too large",
            Fault::StatusLine => "not a status line",
            Fault::Interim => "too many interim answers, or one with a body",
            Fault::Unasked => "switch of protocols that nobody asked for",
            Fault::Surplus => "bytes that no request asked for",
        }
    }

    /// What a client is told whose request has this fault.
    pub fn of_request(self) -> Rejection {
        match self {
            Fault::ControlInLine | Fault::TargetForm | Fault::TargetByte => Rejection::BadPath(self.detail()),
            Fault::ControlInHeader | Fault::Name => Rejection::BadHeader(self.detail()),
            Fault::NoHost | Fault::HostTwice => Rejection::BadHost(self.detail()),
            Fault::TargetTooLong => Rejection::TooLarge(Oversize::Target),
            Fault::TooManyLines => Rejection::TooLarge(Oversize::Lines),
            Fault::TooLarge => Rejection::TooLarge(Oversize::Headers),
            Fault::LineEnd
            | Fault::RequestLine
            | Fault::Version
            | Fault::Folded
            | Fault::Length
            | Fault::LengthTwice
            | Fault::LengthBesideChunks
            | Fault::Coding
            | Fault::CodingOnOld
            | Fault::Early
            | Fault::ChunkSize
            | Fault::ChunkEnd
            | Fault::Trailer
            | Fault::HeadOnly
            | Fault::Trailers
            | Fault::StatusLine
            | Fault::Interim
            | Fault::Unasked
            | Fault::Surplus => Rejection::BadFraming(self.detail()),
        }
    }

    /// What a client is told when the application's answer has this fault.
    pub fn of_answer(self) -> Rejection {
        Rejection::AppInvalid(self.detail())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.detail())
    }
}

impl std::error::Error for Fault {}
