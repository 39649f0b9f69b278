//! The record: who did what to whose data, when, from where and under which rule, in order and on disk.
//!
//! A request takes an [`AuditSlot`] before it is answered ([`Record::reserve`]); from then on there is room for its
//! event, in memory and on disk. When the answer is known, [`AuditSlot::write`] queues the event without waiting, and
//! [`Written::durable`] waits until it is on disk for those who need that. One thread writes: it takes all that is
//! queued, writes it at once, and syncs once for the whole group.
//!
//! What it never does: delete, overwrite or reorder a line, drop an event silently, or let a request pass that it
//! cannot record. A record that is full or cannot be written refuses. One that the disk refused tries again by itself,
//! in a new segment; one that is full stays so until it is opened anew with more room.
//!
//! On disk a record is a directory of segments (`audit-00000001.jsonl`, …), each of whole lines, each line one JSON
//! object of the form in [`Event`]. [`read`] gives the lines back in order, [`Follower`] those that are new.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod directory;
mod event;
mod follower;
mod queue;
mod reader;
mod record;
mod stamp;
mod writer;

pub use directory::{OpenError, Opening, TornTail};
pub use event::{Actor, Counted, Decision, Draft, Event, Factors, Facts, Kind, LINE_MAX, Mode, TenantFact, VERSION};
pub use follower::Follower;
pub use queue::{AuditSlot, Health, NotRecorded, Written};
pub use reader::{Entry, Fault, Line, Place, READ_LINE_MAX, Reader, read};
pub use record::{Record, Settings};
pub use stamp::rfc3339;
