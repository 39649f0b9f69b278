//! Where the injector's certificate comes from, and the one that it shows.
//!
//! Decides when files are looked at again and when the keeper of an own certificate is asked. A file that is half written, a
//! key of another certificate or an API server that is down leaves the last good one standing; where there never was one,
//! the injector is not ready and shakes no hands.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use super::own::Keeper;
use crate::clock::Clock;
use crate::config::{print_of, read_bytes};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the keeper is asked, and the shortest and the longest pause after it failed.
const TEND: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// Where the certificate comes from.
#[derive(Debug)]
pub enum Source {
    /// `tls.crt` and `tls.key` in a folder, exchanged by whoever mounts it.
    Files(PathBuf),
    /// Made by the injector itself.
    Own(Box<Keeper>),
}

/// What is shown now.
#[derive(Debug, Default)]
pub(super) struct Shown {
    tls: ArcSwapOption<ServerConfig>,
    not_after: AtomicI64,
    believed: AtomicBool,
    faults: AtomicU64,
}

impl Shown {
    /// What the next handshake shows; nothing before there is any.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.load_full()
    }

    /// Whether there is a certificate at `now` (Unix seconds) that the API server can believe.
    pub(super) fn is_usable(&self, now: u64) -> bool {
        self.believed.load(Ordering::Acquire) && self.not_after() > i64::try_from(now).unwrap_or(i64::MAX)
    }

    /// The last second of what is shown, in Unix seconds; zero before there is any.
    pub(super) fn not_after(&self) -> i64 {
        self.not_after.load(Ordering::Acquire)
    }

    /// How often a certificate could not be read, made, written or announced.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    fn show(&self, tls: Arc<ServerConfig>, not_after: i64) {
        if self.not_after.swap(not_after, Ordering::AcqRel) != not_after {
            tracing::info!(target: "anteroom", seconds = not_after, "a certificate is shown until then");
        }
        self.tls.store(Some(tls));
    }

    fn failed(&self, detail: &str) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        tracing::error!(target: "anteroom", detail, "the injector's certificate needs attention");
    }
}

/// Keeps `shown` up to date, for ever.
pub(super) async fn keep(source: Source, shown: Arc<Shown>, clock: Arc<Clock>) {
    match source {
        Source::Files(folder) => files(&folder, &shown).await,
        Source::Own(keeper) => own(*keeper, &shown, &clock).await,
    }
}

/// Both files once a second, by their contents: what stands behind the links of a Secret's volume is exchanged at once, but
/// not while they are read, so that a pair of two halves is passed over until the next look.
async fn files(folder: &Path, shown: &Shown) {
    let mut seen = None;
    loop {
        let (cert, key) = (read_bytes(&folder.join("tls.crt")), read_bytes(&folder.join("tls.key")));
        let print = (print_of(&cert), print_of(&key));
        if seen != Some(print) {
            let pair = match (cert, key) {
                (Ok(cert), Ok(key)) => certs::load_pair(&cert, &key).map_err(|fault| fault.to_string()),
                (Err(reason), _) => Err(format!("`tls.crt`: {reason}")),
                (_, Err(reason)) => Err(format!("`tls.key`: {reason}")),
            };
            let made = pair.and_then(|pair| {
                let tls = certs::server_config(vec![pair.clone()]).map_err(|fault| fault.to_string())?;
                Ok((tls, pair.not_after()))
            });
            match made {
                Ok((tls, not_after)) => {
                    shown.show(tls, not_after);
                    shown.believed.store(true, Ordering::Release);
                }
                Err(detail) => shown.failed(&detail),
            }
            seen = Some(print);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn own(mut keeper: Keeper, shown: &Shown, clock: &Clock) {
    let mut again = AGAIN;
    let mut serving: Option<i64> = None;
    loop {
        let fault = match keeper.tend(clock.now()).await {
            Ok(kept) => {
                // A configuration made anew would forget the sessions of the API server.
                if serving != Some(kept.not_after) {
                    shown.show(kept.tls, kept.not_after);
                    serving = Some(kept.not_after);
                }
                if kept.untold.is_none() {
                    shown.believed.store(true, Ordering::Release);
                }
                kept.untold
            }
            Err(fault) => Some(fault.to_string()),
        };
        let pause = match fault {
            None => {
                again = AGAIN;
                TEND
            }
            Some(detail) => {
                shown.failed(&detail);
                let pause = again;
                again = (again * 2).min(AGAIN_AT_MOST);
                pause
            }
        };
        tokio::time::sleep(pause).await;
    }
}
