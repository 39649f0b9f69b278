//! One worker: a thread, a runtime, a listener, a pool. It accepts connections until it is told to stop.
//!
//! It decides only whether there is room for one more connection. An error of `accept` never ends it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{GRACE, StartError, connection};
use crate::shared::Shared;
use crate::upstream::Pool;

/// The pause after an error of `accept` that is ours, such as no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Worker {
    number: usize,
    listener: TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    workers: usize,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        shared: Arc<Shared>,
        workers: usize,
    ) -> Self {
        Self { number, listener, tls: TlsAcceptor::from(tls), shared, workers }
    }

    /// Starts the thread.
    pub(super) fn start(self, stop: watch::Receiver<bool>) -> Result<JoinHandle<()>, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(StartError::Thread)?
        };
        let (tls, shared, workers) = (self.tls, self.shared, self.workers);
        std::thread::Builder::new()
            .name(format!("worker-{}", self.number))
            .spawn(move || runtime.block_on(accept(listener, tls, shared, workers, stop)))
            .map_err(StartError::Thread)
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    workers: usize,
    mut stop: watch::Receiver<bool>,
) {
    let pool = Pool::default();
    let mut open = JoinSet::new();
    let stopping = stop.clone();
    shared.phase.worker_listens(workers);
    loop {
        // ORDER: room first, so that what does not fit waits in the kernel, not with us.
        let room = tokio::select! {
            room = Arc::clone(&shared.connections).acquire_owned() => room,
            _ = stop.changed() => break,
        };
        let Ok(room) = room else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let life = connection::serve(
                    stream,
                    peer.ip().to_canonical(),
                    tls.clone(),
                    Arc::clone(&shared),
                    pool.clone(),
                    stopping.clone(),
                );
                open.spawn(async move {
                    life.await;
                    drop(room);
                });
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(target: "anteroom", error = error.kind().to_string(), "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // ORDER: what the kernel has already accepted for us is served before the listener closes, or it would be reset.
    while let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await {
        let (tls, shared, pool, stopping) = (tls.clone(), Arc::clone(&shared), pool.clone(), stopping.clone());
        open.spawn(connection::serve(stream, peer.ip().to_canonical(), tls, shared, pool, stopping));
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    let ended = timeout(GRACE, all).await;
    shared.phase.worker_ends();
    if ended.is_err() {
        tracing::warn!(target: "anteroom", seconds = GRACE.as_secs(), "connections were cut that did not end in time");
    }
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
