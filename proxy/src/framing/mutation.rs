//! Streams for tests: good ones, and the same with a few bytes flipped, cut out, repeated or put in. The seed decides, so
//! that a failure can be repeated.

/// What a client may send.
pub(crate) const REQUESTS: [&str; 8] = [
    "GET /a?b=c HTTP/1.1\r\nHost: clinic.example\r\nAccept: */*\r\n\r\n",
    "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "POST /a HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n",
    "PUT /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\nDELETE /x HTTP/1.1\r\nhost: b\r\ncontent-length: 0\r\n\r\n",
    "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nhost: a\r\n\r\n",
    "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nx-empty:\r\nx-wide: \t a b \r\nx-text: \u{e9}\r\nconnection: close\r\n\r\n",
];

/// What an application may answer to a plain question.
pub(crate) const ANSWERS: [&str; 6] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.0 200 OK\r\nserver: old\r\n\r\nuntil the end",
    "HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n",
];

/// What is put in: what smugglers use.
const PIECES: [&[u8]; 22] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b"0",
    b";",
    b",",
    b"+",
    b"#",
    b"\\",
    b"\x80",
    b"content-length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: x\r\n",
    b"host: b\r\n",
    b"upgrade: x\r\n",
    b" folded\r\n",
    b"0\r\n\r\n",
];

/// A generator of numbers that are good enough to mix with (xorshift).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// One of `streams`, with up to four changes.
    pub(crate) fn mutated(&mut self, streams: &[&str]) -> Vec<u8> {
        let mut bytes = streams[self.below(streams.len())].as_bytes().to_vec();
        for _ in 0..self.below(5) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes[at] = self.below(256) as u8,
                3 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
                4 => {
                    // Where a line begins.
                    let lines: Vec<usize> = (2..bytes.len()).filter(|at| &bytes[at - 2..*at] == b"\r\n").collect();
                    if let Some(at) = lines.get(self.below(lines.len())).copied() {
                        let piece = PIECES[self.below(PIECES.len())];
                        bytes.splice(at..at, piece.iter().copied());
                    }
                }
                _ => {
                    let end = (at + self.below(12)).min(bytes.len());
                    let piece: Vec<u8> = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    }

    /// `bytes` in pieces.
    pub(crate) fn split<'b>(&mut self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + self.below(rest.len().min(40)));
            pieces.push(piece);
            rest = behind;
        }
        pieces
    }
}
