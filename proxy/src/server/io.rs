//! A socket that does not wait for ever for its peer to read.
//!
//! Decides when a write has been stuck for too long, and ends the connection then. Reads are limited where their meaning
//! is known: the head by hyper's timer, a body by its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::upstream::Stall;

/// Wraps a socket; a write that makes no progress for the limit fails with `TimedOut`. Holds `H` for as long as the socket
/// is open, whatever protocol is spoken on it by then.
#[derive(Debug)]
pub(crate) struct Patient<S, H = ()> {
    socket: S,
    stall: Stall,
    _held: H,
}

impl<S> Patient<S> {
    /// Writes may stand still for at most `limit`.
    pub(crate) fn new(socket: S, limit: Duration) -> Self {
        Self::holding(socket, limit, ())
    }
}

impl<S, H> Patient<S, H> {
    /// The same, and holds something that the socket takes up.
    pub(crate) fn holding(socket: S, limit: Duration, held: H) -> Self {
        Self { socket, stall: Stall::new(limit), _held: held }
    }

    fn judged<T>(&mut self, progress: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match progress {
            Poll::Ready(result) => {
                self.stall.moved();
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(self.stall.poll_waiting(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Patient<S, H> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Patient<S, H> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_write(cx, data);
        this.judged(progress, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_write_vectored(cx, data);
        this.judged(progress, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_flush(cx);
        this.judged(progress, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.judged(progress, cx)
    }
}
