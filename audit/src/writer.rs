//! The one thread that writes: it gathers groups, gives the sequence numbers, and brings a failed record back.
//!
//! Decides the order of the lines (that of the queue) and when a new segment begins. Never drops an event: a group
//! that the disk refuses is kept, byte for byte, and written again into a new segment, so that a line may stand twice
//! in a record that failed, but is never missing from it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::directory::{Directory, OpenError, Segment};
use crate::event::{Event, Stamp};
use crate::queue::{Item, NotRecorded, Outcome, Queue, Waiter};
use crate::record::Settings;

/// Bytes after which a group is closed; it may be one line longer.
const GROUP: usize = 256 * 1024;
/// How long a failed record waits before it tries the disk again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    queue: Arc<Queue>,
    directory: Directory,
    segment: Segment,
    /// Bytes of the segments before this one.
    before: u64,
    size: u64,
    segment_size: u64,
    origin: Arc<str>,
    replica: Arc<str>,
    random: fn(&mut [u8]),
    next_seq: u64,
}

/// The lines of one commit. Kept until they are on disk.
#[derive(Default)]
struct Group {
    lines: Vec<u8>,
    waiters: Vec<Waiter>,
    newest: u64,
}

impl Group {
    fn tell(&mut self, outcome: Outcome) {
        for waiter in &mut self.waiters {
            waiter.tell(outcome);
        }
    }
}

impl Writer {
    /// Begins the first segment of this run.
    pub(crate) fn new(
        queue: Arc<Queue>,
        mut directory: Directory,
        settings: &Settings,
        next_seq: u64,
    ) -> Result<Self, OpenError> {
        let (segment, before) = directory.begin().map_err(|source| OpenError::Disk {
            act: "begin a segment in",
            path: settings.directory.clone(),
            source,
        })?;
        Ok(Self {
            queue,
            directory,
            segment,
            before,
            size: settings.size,
            segment_size: settings.segment,
            origin: settings.origin.as_str().into(),
            replica: settings.replica.as_str().into(),
            random: settings.random,
            next_seq,
        })
    }

    /// Writes until the record is closed and every permit was used.
    fn run(mut self) -> Outcome {
        let mut group = Group::default();
        loop {
            let mut items = self.queue.take();
            if items.is_empty() {
                return Ok(());
            }
            while !items.is_empty() {
                self.gather(&mut items, &mut group);
                self.commit(&mut group, &mut items)?;
            }
        }
    }

    /// Turns items into lines, in order, until the group is large enough.
    fn gather(&mut self, items: &mut VecDeque<Item>, group: &mut Group) {
        group.lines.clear();
        group.waiters.clear();
        while group.lines.len() < GROUP
            && let Some(item) = items.pop_front()
        {
            let mut random = [0; 10];
            (self.random)(&mut random);
            let stamp = Stamp {
                origin: Arc::clone(&self.origin),
                replica: Arc::clone(&self.replica),
                seq: self.next_seq,
                random,
                aborted: item.aborted,
            };
            group.newest = group.newest.max(item.draft.at);
            group.waiters.push(item.waiter);
            Event::stamped(item.draft, stamp).append_line(&mut group.lines);
            self.next_seq = self.next_seq.saturating_add(1);
        }
    }

    /// Brings the group to disk, however long that takes; an error only where the record is closed meanwhile.
    fn commit(&mut self, group: &mut Group, rest: &mut VecDeque<Item>) -> Outcome {
        let mut result = self.append(&group.lines);
        while let Err(error) = result {
            // ORDER: fail first, so that nobody reserves or queues with a waiter after the waiters were told.
            self.queue.fail(error.to_string());
            group.tell(Err(NotRecorded::Failed));
            for item in rest.iter_mut() {
                item.waiter.tell(Err(NotRecorded::Failed));
            }
            let closing = self.queue.pause(RETRY);
            result = self.begin().and_then(|()| self.append(&group.lines));
            if closing && result.is_err() {
                return Err(NotRecorded::Failed);
            }
        }
        let bytes = self.before.saturating_add(self.segment.bytes());
        // ORDER: the numbers first, so that whoever was told finds its event counted.
        self.queue.synced(group.waiters.len(), bytes, group.newest);
        group.tell(Ok(()));
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        (self.segment, self.before) = self.directory.begin()?;
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let filled = self.segment.bytes();
        if filled > 0 && filled.saturating_add(length) > self.segment_size {
            self.begin()?;
        }
        // The permits see to this, except where a failed segment has left lines that stand twice now.
        if self.before.saturating_add(self.segment.bytes()).saturating_add(length) > self.size {
            return Err(io::Error::other(NotRecorded::Full));
        }
        self.segment.append(lines)
    }
}

/// Runs the writer on a thread of its own.
pub(crate) fn start(writer: Writer) -> Result<(), OpenError> {
    let last = LastWord { queue: Arc::clone(&writer.queue), outcome: Err(NotRecorded::Failed) };
    let run = move || last.after(writer);
    // The thread is not joined: `Record::close` waits for its last word.
    thread::Builder::new().name("audit".into()).spawn(run).map(drop).map_err(OpenError::Thread)
}

/// Tells the queue that the writer is gone, however it went: nobody waits for a thread that is no more.
struct LastWord {
    queue: Arc<Queue>,
    outcome: Outcome,
}

impl LastWord {
    fn after(mut self, writer: Writer) {
        self.outcome = writer.run();
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.queue.end(self.outcome);
    }
}
