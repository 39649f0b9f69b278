//! Streams that stand still: how much goes into one whose other end takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::raw::Raw;
use crate::until;

/// How much passes before everything stands still, because the other end takes nothing.
pub fn stands_still_at(progress: &AtomicU64) -> u64 {
    let mut last = (progress.load(Ordering::Acquire), Instant::now());
    until("the stream to stand still", || {
        let now = progress.load(Ordering::Acquire);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(300)).then_some(now)
    })
}

/// Sends the body of a request, `length` bytes of it, as fast as it is taken; the number is how many were.
pub fn uploading(mut raw: Raw, length: u64) -> (JoinHandle<Raw>, Arc<AtomicU64>) {
    let progress = Arc::new(AtomicU64::new(0));
    let sent = Arc::clone(&progress);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..length / piece.len() as u64 {
            assert!(raw.send(&piece).await);
            sent.fetch_add(piece.len() as u64, Ordering::AcqRel);
        }
        raw
    });
    (sending, progress)
}
