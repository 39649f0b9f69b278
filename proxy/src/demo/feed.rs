//! The live view of the record: reads what the gate appends to its audit directory and hands it to open pages.
//!
//! Decides which lines a page still has to see. It reads the record as anybody else would, from the files: what the
//! page shows is what was written, byte for byte. It never writes there.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use audit::Follower;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{Semaphore, mpsc, watch};

/// The most lines that are kept for pages that open later.
const MAX_LINES: usize = 400;
/// The most pages that follow at once.
const MAX_PAGES: usize = 16;
/// How often the record is looked at.
const INTERVAL: Duration = Duration::from_millis(150);
/// After how much silence a page is told that the connection still stands.
const SILENCE: Duration = Duration::from_secs(15);

/// The latest lines of the record, numbered from 1.
pub(super) struct Feed {
    lines: Mutex<Lines>,
    last: watch::Sender<u64>,
    pages: Arc<Semaphore>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<(u64, Arc<str>)>,
    last: u64,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { lines: Mutex::default(), last: watch::Sender::new(0), pages: Arc::new(Semaphore::new(MAX_PAGES)) }
    }

    fn push(&self, line: &str) {
        let mut lines = self.lines();
        lines.last = lines.last.saturating_add(1);
        let number = lines.last;
        lines.kept.push_back((number, line.into()));
        if lines.kept.len() > MAX_LINES {
            lines.kept.pop_front();
        }
        drop(lines);
        self.last.send_replace(number);
    }

    /// The kept lines with a higher number than `seen`.
    fn after(&self, seen: u64) -> Vec<(u64, Arc<str>)> {
        self.lines().kept.iter().filter(|(number, _)| *number > seen).cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream of server-sent events that starts behind line `seen`. `None` when too many pages follow already.
    pub(super) fn stream(self: &Arc<Self>, seen: u64) -> Option<EventStream> {
        let permit = Arc::clone(&self.pages).try_acquire_owned().ok()?;
        let (sender, receiver) = mpsc::channel(32);
        let feed = Arc::clone(self);
        tokio::spawn(async move {
            feed.tell(seen, &sender).await;
            drop(permit);
        });
        Some(EventStream { receiver })
    }

    /// Sends lines until the page is gone.
    async fn tell(&self, mut seen: u64, page: &mpsc::Sender<Bytes>) {
        let mut last = self.last.subscribe();
        // A page from before a restart has seen numbers that do not exist yet.
        if seen > *last.borrow_and_update() {
            seen = 0;
        }
        loop {
            for (number, line) in self.after(seen) {
                seen = number;
                if page.send(Bytes::from(format!("id: {number}\ndata: {line}\n\n"))).await.is_err() {
                    return;
                }
            }
            let news = tokio::select! {
                changed = last.changed() => changed.is_ok(),
                () = page.closed() => false,
                () = tokio::time::sleep(SILENCE) => page.send(Bytes::from_static(b": still here\n\n")).await.is_ok(),
            };
            if !news {
                return;
            }
        }
    }
}

/// The body of an answer that goes on for as long as the page is open.
pub(super) struct EventStream {
    receiver: mpsc::Receiver<Bytes>,
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Follows the record in `directory` until the task is dropped. Until the gate has made that folder, nothing is there.
pub(super) async fn follow(feed: Arc<Feed>, directory: PathBuf) {
    let mut follower = Follower::new(directory);
    loop {
        for line in follower.poll().unwrap_or_default() {
            feed.push(&line);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_is_bounded_and_starts_where_a_page_left_off() {
        let feed = Feed::new();
        for number in 0..MAX_LINES + 50 {
            feed.push(&number.to_string());
        }
        assert_eq!(feed.after(0).len(), MAX_LINES);
        let last = feed.after((MAX_LINES + 49) as u64);
        assert_eq!(last.iter().map(|(_, line)| &**line).collect::<Vec<_>>(), ["449"]);
    }

    #[tokio::test]
    async fn what_is_appended_to_the_record_comes_into_the_feed() {
        let folder = tempfile::tempdir().unwrap();
        let feed = Arc::new(Feed::new());
        let following = tokio::spawn(follow(Arc::clone(&feed), folder.path().join("audit")));
        tokio::time::sleep(2 * INTERVAL).await;
        std::fs::create_dir(folder.path().join("audit")).unwrap();
        std::fs::write(folder.path().join("audit/audit-00000001.jsonl"), "{\"a\":1}\n{\"a\":").unwrap();
        tokio::time::sleep(2 * INTERVAL).await;
        let lines = feed.after(0);
        assert_eq!(lines.iter().map(|(_, line)| &**line).collect::<Vec<_>>(), ["{\"a\":1}"]);
        following.abort();
    }

    #[tokio::test]
    async fn a_page_gets_old_lines_and_new_ones() {
        let feed = Arc::new(Feed::new());
        feed.push("{\"a\":1}");
        let mut stream = feed.stream(0).unwrap();
        assert_eq!(stream.receiver.recv().await.unwrap(), "id: 1\ndata: {\"a\":1}\n\n");
        feed.push("{\"a\":2}");
        assert_eq!(stream.receiver.recv().await.unwrap(), "id: 2\ndata: {\"a\":2}\n\n");
        let _others: Vec<_> = (1..MAX_PAGES).map(|_| feed.stream(2).unwrap()).collect();
        assert!(feed.stream(0).is_none(), "pages are bounded");
    }
}
