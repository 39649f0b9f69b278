//! A client that follows no rules: HTTP/2 over TLS, frames written by hand.
//!
//! Heads are written as literals without Huffman and without the dynamic table (RFC 7541, section 6.2.2), so that any
//! bytes can stand in them. Of an answer it reads what needs no decoder: the data, and how a stream or connection ended.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{HOST, connect, tls};
use crate::gate::Gate;
use crate::soon;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an answer; this is its body.
    Answered(Vec<u8>),
    /// The gate reset the stream.
    Reset,
    /// The gate ended the connection.
    Closed,
}

impl Ended {
    /// The reason code of a problem document; empty where there is none.
    pub fn code(&self) -> String {
        let Ended::Answered(body) = self else { return String::new() };
        let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        problem.and_then(|problem| problem["code"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A connection.
pub struct Wire {
    stream: TlsStream<TcpStream>,
    next: u32,
}

impl Wire {
    /// A connection to a gate.
    pub async fn open(gate: &Gate) -> Self {
        Self::over(connect(gate.https, tls(&gate.files.ca, &[b"h2"]), HOST).await.unwrap()).await
    }

    /// A client on this connection.
    pub async fn over(mut stream: TlsStream<TcpStream>) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut wire = Self { stream, next: 1 };
        wire.frame(SETTINGS, 0, 0, &[]).await;
        wire
    }

    /// Sends a request of these fields, in this order, and waits for its end.
    pub async fn ask(&mut self, fields: &[(&[u8], &[u8])]) -> Ended {
        let stream = self.start(fields, true).await;
        soon("a stream to end", self.end_of(stream)).await
    }

    /// Sends a head; returns the stream's number.
    pub async fn start(&mut self, fields: &[(&[u8], &[u8])], last: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.frame(HEADERS, END_HEADERS | if last { END_STREAM } else { 0 }, stream, &literals(fields)).await;
        stream
    }

    /// Sends data on a stream.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], last: bool) {
        self.frame(DATA, if last { END_STREAM } else { 0 }, stream, bytes).await;
    }

    /// Sends trailers on a stream, which ends it.
    pub async fn trailers(&mut self, stream: u32, fields: &[(&[u8], &[u8])]) {
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &literals(fields)).await;
    }

    /// Resets a stream.
    pub async fn reset(&mut self, stream: u32) {
        self.reset_as(stream, 8).await;
    }

    /// Resets a stream for this reason (RFC 9113, section 7).
    pub async fn reset_as(&mut self, stream: u32, reason: u32) {
        self.frame(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
    }

    /// Waits for the end of a stream.
    pub async fn end_of(&mut self, stream: u32) -> Ended {
        let mut body = Vec::new();
        loop {
            let mut head = [0; 9];
            if self.stream.read_exact(&mut head).await.is_err() {
                return Ended::Closed;
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            let on = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            if self.stream.read_exact(&mut payload).await.is_err() {
                return Ended::Closed;
            }
            match kind {
                SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await,
                GOAWAY => return Ended::Closed,
                RST_STREAM if on == stream => return Ended::Reset,
                DATA if on == stream => body.extend_from_slice(&payload),
                _ => {}
            }
            if on == stream && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ended::Answered(body);
            }
        }
    }

    /// Lets the gate send so many more bytes on a stream; on stream 0, on all of them together.
    pub async fn widen(&mut self, stream: u32, bytes: u32) {
        self.frame(8, 0, stream, &bytes.to_be_bytes()).await;
    }

    /// Sends any frame at all. A gate that has hung up shows when its end is read.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.try_frame(kind, flags, stream, payload).await;
    }

    /// Sends any frame at all. False where the gate has hung up.
    pub async fn try_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await.is_ok() && self.stream.flush().await.is_ok()
    }
}

/// The pseudo-headers of a GET for `path` on the first host.
pub fn get(path: &[u8]) -> Vec<(&[u8], &[u8])> {
    vec![(b":method", b"GET"), (b":scheme", b"https"), (b":authority", HOST.as_bytes()), (b":path", path)]
}

fn literals(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0); // a literal, not indexed, with a new name
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// A string without Huffman (RFC 7541, section 5.2), its length in a prefix of seven bits.
fn text(block: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 0x80);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend_from_slice(bytes);
}
