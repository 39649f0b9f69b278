//! One worker: a thread, a runtime, a listener, a pool. It accepts connections until the gate has left.
//!
//! It decides only whether there is room for one more connection, and that those who come do not keep it from those who are here. An error of `accept` never ends it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use super::room::Place;
use super::turns::Turns;
use super::{StartError, arrival, connection};
use crate::phase::Stage;
use crate::shared::Shared;
use crate::telemetry::ended::Ended;
use crate::upstream::Pool;

/// The pause after an error of `accept` that is ours, such as no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many connections are accepted before those that are open get their turn.
const ACCEPTS: u32 = 16;
/// How often the log tells of such errors.
const COMPLAINT: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    number: usize,
    listener: TcpListener,
    shared: Arc<Shared>,
    workers: usize,
}

impl Worker {
    pub(super) fn new(number: usize, listener: TcpListener, shared: Arc<Shared>, workers: usize) -> Self {
        Self { number, listener, shared, workers }
    }

    /// Starts the thread.
    pub(super) fn start(self) -> Result<JoinHandle<()>, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let queue = self.listener.try_clone().map_err(StartError::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(StartError::Thread)?
        };
        let (shared, workers) = (self.shared, self.workers);
        let door = Door {
            shared,
            pool: Pool::default(),
            turns: Arc::default(),
            open: JoinSet::new(),
            spare: spare(),
            complained: None,
        };
        std::thread::Builder::new()
            .name(format!("worker-{}", self.number))
            .spawn(move || runtime.block_on(door.work(listener, queue, workers)))
            .map_err(StartError::Thread)
    }
}

/// Where connections come in, and those that are open.
struct Door {
    shared: Arc<Shared>,
    pool: Pool,
    /// Who of this worker may compute a handshake.
    turns: Arc<Turns>,
    open: JoinSet<()>,
    /// A file handle for the moment at which there is no other.
    spare: Option<Socket>,
    /// When the log last told of an error.
    complained: Option<Instant>,
}

impl Door {
    async fn work(mut self, listener: tokio::net::TcpListener, queue: TcpListener, workers: usize) {
        self.shared.phase.worker_listens(workers);
        let turns = Arc::clone(&self.turns);
        tokio::spawn(async move { turns.keep().await });
        let mut closing = self.shared.phase.watch();
        let mut cutting = closing.clone();
        tokio::select! {
            () = self.accept(&listener, &queue) => {}
            () = closing.reached(Stage::Emptying) => {}
        }
        let leaving = async {
            // Newcomers are served as long as anyone is who was here before, and no longer: they could come for ever.
            let mut here = std::mem::take(&mut self.open);
            while !here.is_empty() {
                tokio::select! {
                    ended = here.join_next() => drop(ended),
                    accepted = listener.accept() => self.take(accepted, &queue).await,
                }
            }
            // ORDER: emptied, then closed at once. What the kernel has in a queue that closes is reset, and a client that is
            // in there may have sent its request already.
            drop(listener);
            self.take_queued(&queue);
            drop(queue);
            while self.open.join_next().await.is_some() {}
        };
        tokio::select! {
            () = leaving => {}
            () = cutting.reached(Stage::Cutting) => {}
        }
    }

    /// Accepts for ever.
    async fn accept(&mut self, listener: &tokio::net::TcpListener, queue: &TcpListener) {
        loop {
            for _ in 0..ACCEPTS {
                let accepted = listener.accept().await;
                while self.open.try_join_next().is_some() {}
                self.take(accepted, queue).await;
            }
            yield_now().await;
        }
    }

    /// Takes what is in the kernel's queue now: at most the backlog, whatever room there is. Asks the system itself: the
    /// runtime only knows what it was told when it last waited.
    fn take_queued(&mut self, queue: &TcpListener) {
        while let Ok((stream, peer)) = queue.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.serve(stream, peer, None);
            }
        }
    }

    /// Serves a connection where there is room for it. Where there is none it is closed at once and not left in the kernel's
    /// queue: the client has been told there that it is connected, and would hang until it gives up by itself.
    async fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>, queue: &TcpListener) {
        match accepted {
            // The gate's own look for a way around it, which led here.
            Ok((_, peer)) if self.shared.exposed.meets(peer) => {}
            // A handle for nothing but this comes first, or the next shortage finds none.
            Ok((stream, _)) if self.spare.is_none() || self.shared.room.is_short_of_handles() => {
                drop(stream);
                self.shared.ended(Ended::Full);
                self.spare = self.spare.take().or_else(spare);
            }
            Ok((stream, peer)) => match self.shared.room.connection(self.shared.runtime.load().limits.connections) {
                Some(room) => self.serve(stream, peer, Some(room)),
                None => self.shared.ended(Ended::Full),
            },
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                self.turn_away(queue);
                if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
                    self.complained = Some(Instant::now());
                    tracing::warn!(target: "anteroom", error = error.to_string(), "cannot accept a connection");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Closes whoever waits now. Where no file handle is left, the one that is kept for this is given up for it: a client
    /// that hangs in the kernel's queue cannot go elsewhere, and the next `accept` would fail at once again.
    fn turn_away(&mut self, queue: &TcpListener) {
        // ORDER: the others know before the handle is free, so that none of them keeps it.
        self.shared.room.short_of_handles();
        drop(self.spare.take());
        while let Ok((stream, peer)) = queue.accept() {
            drop(stream);
            if !self.shared.exposed.meets(peer) {
                self.shared.ended(Ended::Full);
            }
        }
        self.spare = spare();
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr, room: Option<Place>) {
        let Some(caller) = arrival::look(peer.ip().to_canonical(), &self.shared) else { return };
        // The certificates of this moment: a reload is seen by the next handshake.
        let tls = TlsAcceptor::from(Arc::clone(&self.shared.shown.load().tls));
        let (turns, shared) = (Arc::clone(&self.turns), Arc::clone(&self.shared));
        let life = connection::serve(stream, caller, tls, turns, shared, self.pool.clone());
        self.open.spawn(async move {
            life.await;
            drop(room);
        });
    }
}

/// A file handle that is good for nothing but to be closed.
fn spare() -> Option<Socket> {
    Socket::new(Domain::UNIX, Type::DGRAM, None).ok()
}

/// Errors of one connection that ended before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
