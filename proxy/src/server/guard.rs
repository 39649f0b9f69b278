//! Stands between the TLS socket and hyper on HTTP/1.1, and lets nothing through that was not found in order first.
//!
//! Decides what becomes of a refusal. In place of a refused head hyper gets one of our own making, behind the requests
//! that came before it: so the answers leave in their order, and the refusal takes the way of every other one, with a
//! record, our headers and a reason code. Then the connection is closed; nothing behind a fault is ever looked at. It
//! never changes a byte that passes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::UPGRADE;
use http::{Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::held::{Clue, Held, Read};
use crate::framing::{Broken, Fault, Requests};

/// How long a client that was refused may go on sending before its connection is cut: what is cut at once can take the
/// answer with it, before the client has read it.
const FAREWELL: Duration = Duration::from_secs(1);
/// The most bytes that are read and thrown away in that time.
const FAREWELL_BYTES: usize = 256 * 1024;
/// The size of one of those reads.
const PIECE: usize = 2 * 1024;

/// What the guard and the service of one connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Why the head was refused whose stand-in hyper was given.
    refused: Mutex<Option<Fault>>,
    /// Whether the body that is being read is broken, so that the connection ends with its request.
    broken: AtomicBool,
    /// How a request for another protocol was answered.
    verdict: AtomicU8,
}

const UNDECIDED: u8 = 0;
const STAYED: u8 = 1;
const SWITCHED: u8 = 2;

impl Notes {
    /// Marks a request that stands in for a refused one. The guard lets no target through that names a host, so only its
    /// own stand-in can have one.
    pub(super) fn mark<B>(&self, request: &mut Request<B>) {
        if request.uri().authority().is_some() {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            request.extensions_mut().insert(refused.take().unwrap_or(Fault::RequestLine));
        }
    }

    /// Whether a request asks for another protocol as the guard sees it.
    pub(super) fn asks_upgrade<B>(request: &Request<B>) -> bool {
        request.version() == Version::HTTP_11 && request.headers().contains_key(UPGRADE)
    }

    /// Tells how such a request was answered.
    pub(super) fn decide<B>(&self, answer: &Response<B>) {
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        self.verdict.store(if switched { SWITCHED } else { STAYED }, Ordering::Release);
    }

    /// Whether the request that is being answered is the last one, because its body is broken.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn refuse(&self, fault: Fault) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }
}

/// Wraps a socket.
#[derive(Debug)]
pub(super) struct Guard<S> {
    socket: S,
    requests: Requests,
    held: Held,
    end: End,
    notes: Arc<Notes>,
    farewell: Option<Farewell>,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing is wrong.
    Open,
    /// Bytes came behind a request for another protocol; what becomes of them depends on its answer.
    Early,
    /// Reading fails from here on.
    Cut,
    /// The stand-in is the last thing to be read.
    Refused,
}

#[derive(Debug)]
struct Farewell {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Guard<S> {
    /// Before a connection's first byte; header names and values of a request may have `headers` bytes.
    pub(super) fn new(socket: S, headers: usize, notes: Arc<Notes>) -> Self {
        let requests = Requests::new(headers);
        Self { socket, requests, held: Held::default(), end: End::Open, notes, farewell: None }
    }

    fn breaks(&mut self, broken: Broken, clue: Clue) {
        match broken {
            Broken::Head(fault) => self.refuse(fault, clue),
            // hyper ends the body with an error, and the pipeline answers that.
            Broken::Body(_) => self.end = End::Cut,
            Broken::Early => self.end = End::Early,
        }
    }

    fn refuse(&mut self, fault: Fault, clue: Clue) {
        self.notes.refuse(fault);
        let method = clue.method.unwrap_or("UNREAD");
        let accept = if clue.page { "accept: text/html\r\n" } else { "" };
        self.held.add(format!("{method} http://unread/ HTTP/1.1\r\n{accept}connection: close\r\n\r\n").as_bytes());
        self.end = End::Refused;
    }

    /// The answer to a request for another protocol, once it is known.
    fn verdict(&self) -> Option<bool> {
        match self.notes.verdict.swap(UNDECIDED, Ordering::AcqRel) {
            STAYED => Some(false),
            SWITCHED => Some(true),
            _ => None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.held.deliver(out) {
                return Poll::Ready(Ok(()));
            }
            match this.end {
                End::Open => {}
                End::Cut => {
                    // ORDER: not before hyper gets there: answers to requests before this one end nothing.
                    this.notes.broken.store(true, Ordering::Release);
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                // Nobody wakes us: hyper reads again when it has written the answer, and that is when this changes. An end
                // would make hyper drop the request that it still works on.
                End::Refused => return Poll::Pending,
                End::Early => {
                    match this.verdict() {
                        None => return Poll::Pending,
                        // What came too early is not part of what the two sides agreed to speak.
                        Some(true) => this.end = End::Cut,
                        Some(false) => this.refuse(Fault::Early, Clue::default()),
                    }
                    continue;
                }
            }
            if this.requests.is_undecided()
                && let Some(switched) = this.verdict()
            {
                this.requests.decide(switched);
            }
            let before = out.filled().len();
            match ready!(this.held.poll_read(&mut this.socket, &mut this.requests, cx, out))? {
                Read::Passed => return Poll::Ready(Ok(())),
                Read::Broken(broken, clue) => this.breaks(broken, clue),
            }
            // ORDER: what was in order goes on before the fault is told.
            if out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
            if this.end == End::Open {
                return Poll::Ready(Ok(()));
            }
        }
        let farewell =
            this.farewell.get_or_insert_with(|| Farewell { until: Box::pin(sleep(FAREWELL)), left: FAREWELL_BYTES });
        // How it ends is of no interest: the answer is out, or never will be.
        farewell.poll(&mut this.socket, cx).map(Ok)
    }
}

impl Farewell {
    fn poll<S: AsyncRead + Unpin>(&mut self, socket: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; PIECE];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut *socket).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.until.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
