//! Stands between the application's socket and hyper's client on HTTP/1.1, and lets no answer through that was not found
//! in order first.
//!
//! Decides when a connection is lost: at the first byte that is not part of an answer to a request of ours. What came
//! before it may be used; what stands behind it is never looked at, and the connection never carries a request again. It
//! never changes a byte that passes.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use http::header::UPGRADE;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::RequestBody;
use crate::framing::{Answers, Asked, Broken, Fault};
use crate::server::held::{Held, Read};

/// What the guard is told of the next request.
#[derive(Clone, Debug, Default)]
pub(super) struct Question(Arc<AtomicU8>);

const PLAIN: u8 = 1;
const HEAD: u8 = 2;
const UPGRADES: u8 = 3;

impl Question {
    fn set<B>(&self, request: &Request<B>) {
        let asked = match *request.method() {
            Method::HEAD => HEAD,
            _ if request.headers().contains_key(UPGRADE) => UPGRADES,
            _ => PLAIN,
        };
        self.0.store(asked, Ordering::Release);
    }

    fn take(&self) -> Option<Asked> {
        match self.0.swap(0, Ordering::AcqRel) {
            PLAIN => Some(Asked::Plain),
            HEAD => Some(Asked::Head),
            UPGRADES => Some(Asked::Upgrade),
            _ => None,
        }
    }
}

/// A way to send requests over a guarded connection, one at a time.
#[derive(Debug)]
pub(crate) struct GuardedSender {
    sender: SendRequest<RequestBody>,
    question: Question,
}

impl GuardedSender {
    /// The sender of a connection whose guard has this `question`.
    pub(super) fn new(sender: SendRequest<RequestBody>, question: Question) -> Self {
        Self { sender, question }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether a request can be sent now.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends a request.
    pub(super) fn try_send_request(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        // ORDER: before hyper can write the first byte of it.
        self.question.set(&request);
        self.sender.try_send_request(request)
    }
}

/// Wraps the application's socket.
#[derive(Debug)]
pub(super) struct Guard<S> {
    socket: S,
    answers: Answers,
    held: Held,
    broken: Option<Fault>,
    question: Question,
}

impl<S> Guard<S> {
    /// Before the first byte of a connection; the head of an answer may have `head` bytes.
    pub(super) fn new(socket: S, head: usize) -> (Self, Question) {
        let question = Question::default();
        let answers = Answers::new(head);
        (Self { socket, answers, held: Held::default(), broken: None, question: question.clone() }, question)
    }

    /// What is written while nothing is asked is the next request. What an application sends before that is surplus.
    fn note_question(&mut self) {
        if self.answers.is_idle()
            && let Some(asked) = self.question.take()
        {
            self.answers.ask(asked);
        }
    }
}

/// The fault in an answer, where that is why hyper gave up.
pub(super) fn fault(error: &hyper::Error) -> Option<Fault> {
    error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Fault>().copied()
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.held.deliver(out) {
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = this.broken {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
            let before = out.filled().len();
            match ready!(this.held.poll_read(&mut this.socket, &mut this.answers, cx, out))? {
                Read::Passed => return Poll::Ready(Ok(())),
                Read::Broken(broken, _) => {
                    this.broken = Some(match broken {
                        Broken::Head(fault) | Broken::Body(fault) => fault,
                        Broken::Early => Fault::Surplus,
                    });
                }
            }
            // ORDER: what was in order goes on before the fault is told.
            if out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.note_question();
        Pin::new(&mut this.socket).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.note_question();
        Pin::new(&mut this.socket).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
