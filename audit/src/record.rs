//! Opening, asking and closing a record.
//!
//! Decides whether the settings make sense and who owns the writer thread. Never writes by itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::directory::{Directory, OpenError, Opening};
use crate::event::{LINE_MAX, ORIGIN_MAX};
use crate::queue::{AuditSlot, Entrance, Health, NotRecorded, Queue};
use crate::writer::{self, Writer};

/// Where and how a record is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the segments; made (mode 0700) if it is not there. One process at a time may hold it.
    pub directory: PathBuf,
    /// Bytes that all segments together may have; at least 1 MiB. A record that has reached it refuses.
    pub size: u64,
    /// Bytes after which a new segment begins; at least 64 KiB, at most `size`.
    pub segment: u64,
    /// Events that may be on their way at once; 1 to 65,536. Each counts 24 KiB against `size` until it is written.
    pub queue: usize,
    /// The name of the log, `clinic/a/pod-7/3`: 1 to 512 bytes, no quotes, backslashes or control characters.
    /// `seq` counts on within one origin, restarts included.
    pub origin: String,
    /// The name of this replica; bounds as for `origin`.
    pub replica: String,
    /// Fills a buffer with random bytes, for the ids of the events. They need not be secret, but unique.
    pub random: fn(&mut [u8]),
}

/// Bounds of the settings.
const SIZE_MIN: u64 = 1 << 20;
const SEGMENT_MIN: u64 = 64 << 10;
const QUEUE_MAX: usize = 65_536;

impl Settings {
    fn check(&self) -> Result<(), OpenError> {
        let fault = if self.size < SIZE_MIN {
            "the audit size is under `1MiB`"
        } else if self.segment < SEGMENT_MIN || self.segment > self.size {
            "an audit segment is under `64KiB` or over the whole size"
        } else if self.queue == 0 || self.queue > QUEUE_MAX {
            "the audit queue is empty or over `65536` events"
        } else if !is_name(&self.origin) || !is_name(&self.replica) {
            "the audit origin or replica is empty, over 512 bytes, or holds a quote, backslash or control character"
        } else {
            return Ok(());
        };
        Err(OpenError::Settings(fault))
    }
}

fn is_name(name: &str) -> bool {
    let plain = |letter: char| !letter.is_control() && letter != '"' && letter != '\\';
    !name.is_empty() && name.len() <= ORIGIN_MAX && name.chars().all(plain)
}

/// A handle on the record; clones share it. When the last handle and the last slot are gone, the record closes.
#[derive(Clone)]
pub struct Record {
    entrance: Arc<Entrance>,
    opening: Arc<Opening>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Record {
    /// Locks the directory, finds where the record stands, begins a new segment and starts the writer thread.
    ///
    /// # Errors
    /// Settings out of bounds, a directory that another process holds, or one that cannot be read and written.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        settings.check()?;
        let (directory, opening) = Directory::open(&settings.directory, &settings.origin)?;
        let queue = Arc::new(Queue::new(settings.queue, settings.size, opening.bytes));
        let writer = Writer::new(Arc::clone(&queue), directory, &settings, opening.next_seq)?;
        writer::start(writer)?;
        Ok(Self { entrance: Arc::new(Entrance(queue)), opening: Arc::new(opening) })
    }

    /// Room for one event. Takes no time worth naming and never waits.
    ///
    /// # Errors
    /// There is no room, in memory or on disk, or the disk refuses, or the record is closed.
    pub fn reserve(&self) -> Result<AuditSlot, NotRecorded> {
        self.entrance.reserve(false)
    }

    /// Room for one event that the record can spare: while half of the queue or a quarter of the size is free beside it.
    /// For events that anyone on the network can cause, so that no number of them takes the room of the others.
    ///
    /// # Errors
    /// As [`Record::reserve`].
    pub fn reserve_spare(&self) -> Result<AuditSlot, NotRecorded> {
        self.entrance.reserve(true)
    }

    /// How the record is doing. Waits for nobody.
    pub fn health(&self) -> Health {
        self.entrance.0.health()
    }

    /// What was found when the record was opened.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Takes no more reservations, waits until every slot that is out was used or dropped, and ends the writer.
    /// Slots may be held for long: put a limit on this wait.
    ///
    /// # Errors
    /// [`NotRecorded::Failed`] if events were left that the disk did not take.
    pub async fn close(&self) -> Result<(), NotRecorded> {
        self.entrance.0.close();
        self.entrance.0.until_ended().await
    }
}

const _: () = assert!(LINE_MAX as u64 * 2 < SEGMENT_MIN, "a segment holds several lines");
