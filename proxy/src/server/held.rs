//! Bytes on their way from a socket to hyper, which see only what has been found in order.
//!
//! Decides nothing: it asks whoever follows the connection how many bytes may go on. In the common case they are read
//! straight into hyper's buffer and stay there; only the beginning of a head that is not yet whole is held back, so it
//! holds no more than the largest head that may pass.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::framing::{Broken, Progress, Track};

/// What is held back, and in front of it what may go on but found no room.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// So many of them may go on.
    ready: usize,
    /// So many of those have gone on.
    gone: usize,
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes that may go on, or the end of the connection.
    Passed,
    /// A fault; what was in order before it may go on, and stands in the buffer or is held.
    Broken(Broken, Clue),
}

/// What the refused bytes begin with, for the form of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clue {
    /// The method, where it is one that a policy can name.
    pub(crate) method: Option<&'static str>,
    /// Whether a page is wanted.
    pub(crate) page: bool,
}

impl Held {
    /// Hands out what may go on. False where there is nothing.
    pub(crate) fn deliver(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let waiting = self.bytes.get(self.gone..self.ready).unwrap_or_default();
        if waiting.is_empty() {
            return false;
        }
        let (now, _) = waiting.split_at_checked(out.remaining()).unwrap_or((waiting, &[]));
        out.put_slice(now);
        self.gone += now.len();
        if self.gone == self.ready {
            self.bytes.drain(..self.ready);
            (self.ready, self.gone) = (0, 0);
            if self.bytes.is_empty() {
                // An idle connection holds nothing.
                self.bytes = Vec::new();
            }
        }
        true
    }

    /// Lets bytes go on that did not come from the socket.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.ready);
        self.bytes.extend_from_slice(bytes);
        self.ready = self.bytes.len();
    }

    /// Reads until something may go on, the connection ends, or something is wrong. There must be nothing to deliver.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        track: &mut impl Track,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Read>> {
        let before = out.filled().len();
        loop {
            ready!(Pin::new(&mut *socket).poll_read(cx, out))?;
            let fresh = out.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(Read::Passed));
            }
            let broken = if self.bytes.is_empty() {
                let Progress { passed, broken } = track.advance(fresh);
                let rest = fresh.get(passed..).unwrap_or_default();
                let broken = broken.map(|broken| (broken, Clue::of(rest)));
                if broken.is_none() {
                    self.bytes.extend_from_slice(rest);
                }
                out.set_filled(before + passed);
                broken
            } else {
                self.bytes.extend_from_slice(fresh);
                out.set_filled(before);
                let Progress { passed, broken } = track.advance(&self.bytes);
                self.ready = passed;
                let broken = broken.map(|broken| (broken, Clue::of(self.bytes.get(passed..).unwrap_or_default())));
                if broken.is_some() {
                    self.bytes.truncate(passed);
                }
                self.deliver(out);
                broken
            };
            if let Some((broken, clue)) = broken {
                return Poll::Ready(Ok(Read::Broken(broken, clue)));
            }
            if out.filled().len() > before {
                return Poll::Ready(Ok(Read::Passed));
            }
        }
    }
}

impl Clue {
    fn of(refused: &[u8]) -> Self {
        let named =
            |method: &&str| refused.strip_prefix(method.as_bytes()).is_some_and(|behind| behind.starts_with(b" "));
        Self {
            method: crate::pipeline::METHODS.into_iter().find(named),
            page: memchr::memmem::find(refused, b"text/html").is_some(),
        }
    }
}
