//! A watcher below HTTP/2: the heads of all frames, on their way in and out.
//!
//! Decides when a client makes more work than it gives reason to, and ends its connection. Each kind of frame that costs us
//! something and carries nothing has a budget: so many at once, so many a second, and some more for real work (pieces of
//! bodies, answers), so that gRPC with its pings and window updates is never near it. What h2 bounds by itself (the size and
//! number of CONTINUATION frames, streams that are reset before they are accepted, many small DATA frames) is bounded here
//! again for frames that are empty.
//!
//! It also finds streams whose answer was handed to h2 as a whole and that the client never takes: nothing else knows of
//! them. It never looks at a payload, and never changes a byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::account::{Account, Clients};
use super::frames::Frames;
use super::streams::Link;
use crate::pace::Alarm;
use crate::shared::Shared;
use crate::telemetry::ended::Ended;

/// Watches a socket on which HTTP/2 is spoken.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    shared: Arc<Shared>,
    link: Arc<Link>,
    incoming: Frames,
    outgoing: Frames,
    account: Box<Account>,
    alarm: Alarm,
    over: bool,
}

impl<S> Watched<S> {
    /// Watches `socket`, whose streams are at the other end of `link`.
    pub(super) fn new(socket: S, clients: Clients, shared: Arc<Shared>, link: Arc<Link>) -> Self {
        let limits = shared.runtime.load().limits;
        Self {
            socket,
            shared,
            link,
            incoming: Frames::after_preface(),
            outgoing: Frames::from_the_start(),
            account: Box::new(Account::new(clients, limits.head_time, limits.least_rate, Instant::now())),
            alarm: Alarm::default(),
            over: false,
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        let now = Instant::now();
        while let Some(head) = self.incoming.next(&mut bytes) {
            self.account.came(head, now)?;
        }
        self.link.leaving(self.account.leaving());
        self.account.late(self.link.running(), now)
    }

    /// Notes whether the socket takes what we write. While it does not, no stream is late: the socket has its own limit.
    fn takes(&mut self, takes: bool) {
        let stuck = self.link.socket_takes(takes);
        self.account.put_off(takes, stuck);
    }

    fn wrote(&mut self, mut bytes: &[u8]) {
        let now = Instant::now();
        while let Some(head) = self.outgoing.next(&mut bytes) {
            self.account.left(head, now);
        }
        self.link.leaving(self.account.leaving());
    }

    /// Looks when it is time to; pending until then.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let now = Instant::now();
            if let Err(why) = self.account.late(self.link.running(), now) {
                return Poll::Ready(why);
            }
            let Some(at) = self.account.next_look(now) else { return Poll::Pending };
            if self.alarm.poll_passed(at, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The end: said once, whatever is still asked of the socket.
    fn end(&mut self, why: Ended) -> io::Error {
        if !self.over {
            self.over = true;
            self.shared.ended(why);
        }
        io::Error::new(io::ErrorKind::InvalidData, why.name())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let ended = match Pin::new(&mut this.socket).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => this.read(buffer.filled().get(before..).unwrap_or_default()).err(),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => match this.poll_late(cx) {
                Poll::Ready(why) => Some(why),
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(ended.map_or(Ok(()), |why| Err(this.end(why))))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_write(cx, data);
        this.takes(progress.is_ready());
        progress.map_ok(|written| {
            this.wrote(data.get(..written).unwrap_or(data));
            written
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_write_vectored(cx, data);
        this.takes(progress.is_ready());
        progress.map_ok(|written| {
            let mut left = written;
            for piece in data {
                let taken = left.min(piece.len());
                this.wrote(piece.get(..taken).unwrap_or(piece));
                left = left.saturating_sub(taken);
            }
            written
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_flush(cx);
        this.takes(progress.is_ready());
        progress
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
