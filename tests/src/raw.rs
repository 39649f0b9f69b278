//! A client that follows no rules: HTTP/1.1 over TLS, the bytes as given.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{HOST, connect, tls};
use crate::gate::Gate;
use crate::soon;

/// A TLS connection.
pub struct Raw {
    /// The connection.
    pub stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The head with its empty line.
    pub head: String,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
    /// What stands behind the last chunk, line by line.
    pub trailers: String,
}

impl RawAnswer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1);
        let mut found = lines.filter_map(|line| line.split_once(':')).filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value.trim())
    }

    /// The reason code of a problem document; empty where there is none.
    pub fn code(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        problem.and_then(|problem| problem["code"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Raw {
    /// A connection to a gate for HTTP/1.1.
    pub async fn open(gate: &Gate) -> Self {
        Self::over(connect(gate.https, tls(&gate.files.ca, &[b"http/1.1"]), HOST).await.unwrap())
    }

    /// A client on this connection.
    pub fn over(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes; a gate that has hung up is no fault.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = async { self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok() };
        soon("bytes to be taken", sent).await
    }

    /// Reads one answer; `None` where the connection ended before its head did.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        soon("an answer", self.read_answer(false)).await
    }

    /// Reads one answer to `HEAD`.
    pub async fn answer_to_head(&mut self) -> Option<RawAnswer> {
        soon("an answer", self.read_answer(true)).await
    }

    /// Sends one request and reads its answer.
    pub async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Option<RawAnswer> {
        self.send(bytes).await;
        self.answer().await
    }

    /// The next bytes, whatever they are; fewer than asked for where the connection ended before.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let filled = async { while self.buffer.len() < length && self.more().await > 0 {} };
        soon("bytes", filled).await;
        self.buffer.drain(..length.min(self.buffer.len())).collect()
    }

    async fn read_answer(&mut self, head_only: bool) -> Option<RawAnswer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.more().await == 0 {
                return None;
            }
        };
        let head: String = self.buffer.drain(..end).map(char::from).collect();
        let mut answer = RawAnswer { head, body: Vec::new(), whole: true, trailers: String::new() };
        if head_only || matches!(answer.status(), 204 | 304 | 100..=199) {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == "chunked" {
            answer.whole = self.chunks(&mut answer).await.is_some();
        } else if let Ok(length) = answer.header("content-length").parse::<usize>() {
            while self.buffer.len() < length && self.more().await > 0 {}
            answer.whole = self.buffer.len() >= length;
            answer.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        } else {
            while self.more().await > 0 {}
            answer.body = std::mem::take(&mut self.buffer);
        }
        Some(answer)
    }

    async fn chunks(&mut self, answer: &mut RawAnswer) -> Option<()> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            if size == 0 {
                return self.trailers(&mut answer.trailers).await;
            }
            while self.buffer.len() < size + 2 {
                if self.more().await == 0 {
                    return None;
                }
            }
            answer.body.extend(self.buffer.drain(..size));
            let end: Vec<u8> = self.buffer.drain(..2).collect();
            assert_eq!(end, b"\r\n", "a chunk ends in its line end");
        }
    }

    async fn trailers(&mut self, trailers: &mut String) -> Option<()> {
        loop {
            match self.line().await? {
                end if end == "\r\n" => return Some(()),
                line => trailers.push_str(&line),
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                return Some(self.buffer.drain(..end + 2).map(char::from).collect());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    async fn more(&mut self) -> usize {
        let mut piece = [0; 16 * 1024];
        let read = self.stream.read(&mut piece).await.unwrap_or(0);
        self.buffer.extend_from_slice(&piece[..read]);
        read
    }
}
