//! One worker: a thread, a runtime, a listener, a pool. It accepts connections until the gate has left.
//!
//! It decides only whether there is room for one more connection. An error of `accept` never ends it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::{StartError, connection};
use crate::phase::Stage;
use crate::shared::Shared;
use crate::upstream::Pool;

/// The pause after an error of `accept` that is ours, such as no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        let door = Door { shared, pool: Pool::default(), open: JoinSet::new() };
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
    open: JoinSet<()>,
}

impl Door {
    async fn work(mut self, listener: tokio::net::TcpListener, queue: TcpListener, workers: usize) {
        self.shared.phase.worker_listens(workers);
        let mut closing = self.shared.phase.watch();
        let mut cutting = closing.clone();
        tokio::select! {
            () = self.accept(&listener) => {}
            () = closing.reached(Stage::Closing) => {}
        }
        let leaving = async {
            // Newcomers are served as long as anyone is who was here before, and no longer: they could come for ever.
            let mut here = std::mem::take(&mut self.open);
            let connections = Arc::clone(&self.shared.connections);
            while !here.is_empty() {
                tokio::select! {
                    ended = here.join_next() => drop(ended),
                    (accepted, room) = next(&connections, &listener) => self.take(accepted, room).await,
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
    async fn accept(&mut self, listener: &tokio::net::TcpListener) {
        let connections = Arc::clone(&self.shared.connections);
        loop {
            let (accepted, room) = next(&connections, listener).await;
            while self.open.try_join_next().is_some() {}
            self.take(accepted, room).await;
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

    async fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>, room: Option<OwnedSemaphorePermit>) {
        match accepted {
            Ok((stream, peer)) => self.serve(stream, peer, room),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(target: "anteroom", error = error.kind().to_string(), "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr, room: Option<OwnedSemaphorePermit>) {
        // The certificates of this moment: a reload is seen by the next handshake.
        let tls = TlsAcceptor::from(Arc::clone(&self.shared.shown.load().tls));
        let peer = peer.ip().to_canonical();
        let life = connection::serve(stream, peer, tls, Arc::clone(&self.shared), self.pool.clone());
        self.open.spawn(async move {
            life.await;
            drop(room);
        });
    }
}

/// The next connection with its place, once there is one for it.
async fn next(
    room: &Arc<Semaphore>,
    listener: &tokio::net::TcpListener,
) -> (io::Result<(TcpStream, SocketAddr)>, Option<OwnedSemaphorePermit>) {
    // ORDER: room first, so that what does not fit waits in the kernel, not with us.
    let place = Arc::clone(room).acquire_owned().await.ok();
    (listener.accept().await, place)
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
