//! A connection that no longer speaks HTTP: bytes go both ways until one side has had enough.
//!
//! Decides only when that ends: when a side hangs up or stops reading, when nothing moved in either direction for the idle
//! limit, when the caller's session or credential ends, or when the gate is told to stop. It never reads what passes, and holds at most [`PIECE`] bytes of each
//! direction: a side that does not read holds the other one up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{Instant, sleep_until, timeout};

use crate::sessions::open::Held;

/// The most bytes of one direction that are held, and the size of one read.
const PIECE: usize = 16 * 1024;
/// How long the two sides may take to be told the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Both ends of a connection that switched protocols, as soon as the heads have passed. Bytes that came early, behind
/// either head, are part of them.
#[derive(Clone, Debug)]
pub(crate) struct Tunnel {
    client: OnUpgrade,
    app: OnUpgrade,
    idle: Duration,
    /// On behalf of whom; nobody on a public page.
    open: Option<Arc<Held>>,
}

impl Tunnel {
    /// A tunnel that ends when nothing moved for `idle`, or when `open` is cut.
    pub(crate) fn new(client: OnUpgrade, app: OnUpgrade, idle: Duration, open: Option<Held>) -> Self {
        Self { client, app, idle, open: open.map(Arc::new) }
    }

    /// Carries bytes until it ends, at the latest when `stop` is ready.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let Self { client, app, idle, open } = self;
        // An end that never comes belongs to a side that hung up between the heads and here.
        let Ok((Ok(client), Ok(app))) = timeout(idle, async { tokio::join!(client, app) }).await else { return };
        let cut = async {
            match &open {
                Some(open) => drop(open.cut().await),
                None => std::future::pending().await,
            }
        };
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = cut => {}
            }
        };
        splice(TokioIo::new(client), TokioIo::new(app), idle, stop).await;
    }
}

async fn splice(
    client: impl AsyncRead + AsyncWrite,
    app: impl AsyncRead + AsyncWrite,
    idle: Duration,
    stop: impl Future<Output = ()>,
) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_app, mut to_app) = split(app);
    let activity = Activity { started: Instant::now(), last: AtomicU64::new(0) };
    tokio::select! {
        // How it ended is of no interest: either side may hang up at any time.
        _ = async { tokio::try_join!(pump(&mut from_client, &mut to_app, &activity), pump(&mut from_app, &mut to_client, &activity)) } => {}
        () = activity.rests(idle) => {}
        () = stop => {}
    }
    // Whoever still listens is told; who does not is not waited for.
    drop(timeout(FAREWELL, async { tokio::join!(to_client.shutdown(), to_app.shutdown()) }).await);
}

/// Carries one direction to its end, and passes the end on.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    activity: &Activity,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        buffer.clear();
        let size = (&mut *from).take(PIECE as u64).read_buf(&mut buffer).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        activity.note();
        to.write_all(&buffer).await?;
        to.flush().await?;
        activity.note();
    }
}

/// When something moved last, in either direction.
struct Activity {
    started: Instant,
    /// Milliseconds since the start.
    last: AtomicU64,
}

impl Activity {
    fn note(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Ends once nothing moved for `limit`.
    async fn rests(&self, limit: Duration) {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            sleep_until(self.started + Duration::from_millis(last) + limit).await;
            if self.last.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::io::duplex;

    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn bytes_go_both_ways_and_an_end_is_passed_on() {
        let (mut client, gate_client) = duplex(64);
        let (mut app, gate_app) = duplex(64);
        let running = tokio::spawn(splice(gate_client, gate_app, IDLE, pending()));
        client.write_all(b"ping").await.unwrap();
        let mut four = [0; 4];
        app.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");
        app.write_all(b"pong").await.unwrap();
        client.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"pong");
        app.write_all(b"last").await.unwrap();
        drop(app);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
        drop(client);
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_one_direction_keeps_both_alive() {
        let (mut client, gate_client) = duplex(64);
        let (mut app, gate_app) = duplex(64);
        let started = Instant::now();
        let running = tokio::spawn(splice(gate_client, gate_app, IDLE, pending()));
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            app.write_all(b"tick").await.unwrap();
            let mut four = [0; 4];
            client.read_exact(&mut four).await.unwrap();
        }
        running.await.unwrap();
        let took = started.elapsed();
        assert!((Duration::from_secs(49)..Duration::from_secs(52)).contains(&took), "{took:?}");
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(app.read(&mut [0; 4]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_does_not_read_holds_the_other_up() {
        let (mut client, gate_client) = duplex(64);
        let (_app, gate_app) = duplex(64);
        let _running = tokio::spawn(splice(gate_client, gate_app, IDLE, pending()));
        let taken = async {
            let mut taken = 0;
            while client.write_all(&[7; 64]).await.is_ok() {
                taken += 64;
            }
            taken
        };
        let taken = taken.await;
        assert!(taken <= PIECE + 4 * 64, "{taken} bytes went into a tunnel whose other side reads nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn being_told_to_stop_ends_it_at_once_for_both() {
        let (mut client, gate_client) = duplex(64);
        let (mut app, gate_app) = duplex(64);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let running = tokio::spawn(splice(gate_client, gate_app, IDLE, async { drop(stopped.await) }));
        stop.send(()).unwrap();
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(app.read(&mut [0; 4]).await.unwrap(), 0);
        running.await.unwrap();
    }
}
