//! How much goes on at once, over all workers: connections, those of one address, handshakes, requests.
//!
//! Decides whether there is room for one more. Whatever does not fit is turned away at once, never queued: a client that
//! is told so can go elsewhere, one that hangs in a queue cannot. The table of addresses has one entry for each that has a
//! connection, so it is bounded by their number.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::site;

/// How long newcomers are closed after no file handle was left.
const SHORTAGE: Duration = Duration::from_millis(100);

/// What goes on at this moment.
#[derive(Debug, Default)]
pub struct Room {
    connections: AtomicUsize,
    requests: AtomicUsize,
    addresses: Mutex<HashMap<u128, usize>>,
    handshakes: Mutex<Handshakes>,
    /// When a worker last found no file handle left.
    short: Mutex<Option<Instant>>,
}

/// Those that shake hands, by the order in which they came.
#[derive(Debug, Default)]
struct Handshakes {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// One of something; gives its place back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    of: Of,
}

#[derive(Debug)]
enum Of {
    Connection,
    Request,
    Address(u128),
    Handshake(u64),
}

impl Room {
    /// A place for one more connection; none where there are `most` already.
    pub(crate) fn connection(self: &Arc<Self>, most: usize) -> Option<Place> {
        take(&self.connections, most).then(|| self.place(Of::Connection))
    }

    /// A place for one more request; none where there are `most` already.
    pub(crate) fn request(self: &Arc<Self>, most: usize) -> Option<Place> {
        take(&self.requests, most).then(|| self.place(Of::Request))
    }

    /// A place for one more connection of an address (IPv6: of its /64); none where it has `most` already.
    pub(crate) fn address(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let site = site(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(site).or_default();
        let fits = *count < most;
        if fits {
            *count = count.saturating_add(1);
        }
        fits.then(|| self.place(Of::Address(site)))
    }

    /// A place for one more handshake, always. Where there are `most` already, the one that has waited longest is told to
    /// give way: an honest client is through in a moment, so the oldest is one that says nothing.
    pub(crate) fn handshake(self: &Arc<Self>, most: usize) -> (Place, Arc<Notify>) {
        let mut handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        while handshakes.waiting.len() >= most {
            let Some((_, oldest)) = handshakes.waiting.pop_first() else { break };
            oldest.notify_one();
        }
        let number = handshakes.next;
        handshakes.next = number.wrapping_add(1);
        let told = Arc::new(Notify::new());
        handshakes.waiting.insert(number, Arc::clone(&told));
        (self.place(Of::Handshake(number)), told)
    }

    /// A worker has found no file handle left.
    pub(crate) fn short_of_handles(&self) {
        *self.short.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether one found that a moment ago: newcomers are closed until then.
    pub(crate) fn is_short_of_handles(&self) -> bool {
        let short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        short.is_some_and(|since| since.elapsed() < SHORTAGE)
    }

    fn place(self: &Arc<Self>, of: Of) -> Place {
        Place { room: Arc::clone(self), of }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.of {
            Of::Connection => drop(self.room.connections.fetch_sub(1, Ordering::AcqRel)),
            Of::Request => drop(self.room.requests.fetch_sub(1, Ordering::AcqRel)),
            Of::Address(site) => {
                let mut addresses = self.room.addresses.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = addresses.get_mut(&site) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        addresses.remove(&site);
                    }
                }
            }
            Of::Handshake(number) => {
                let mut handshakes = self.room.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
                handshakes.waiting.remove(&number);
            }
        }
    }
}

fn take(count: &AtomicUsize, most: usize) -> bool {
    let more = |now: usize| (now < most).then(|| now.saturating_add(1));
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_when_they_are_dropped() {
        let room = Arc::new(Room::default());
        let first = room.connection(2).unwrap();
        let second = room.connection(2).unwrap();
        assert!(room.connection(2).is_none());
        drop(first);
        assert!(room.connection(2).is_some());
        // A limit that a reload has lowered holds for newcomers.
        assert!(room.connection(1).is_none());
        drop(second);
        let request = room.request(1);
        assert!(request.is_some() && room.request(1).is_none(), "requests have their own count");
    }

    #[test]
    fn an_address_has_its_own_count_and_leaves_no_trace() {
        let room = Arc::new(Room::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let held = room.address(address("2001:db8::1"), 1).unwrap();
        assert!(room.address(address("2001:db8::2"), 1).is_none(), "one /64 is one address");
        assert!(room.address(address("2001:db8:0:1::2"), 1).is_some());
        assert!(room.address(address("192.0.2.1"), 1).is_some());
        drop(held);
        assert!(room.addresses.lock().unwrap().is_empty());
        assert!(room.address(address("2001:db8::2"), 1).is_some());
    }

    #[tokio::test]
    async fn the_oldest_handshake_gives_way() {
        let room = Arc::new(Room::default());
        let (oldest, told) = room.handshake(2);
        let (_second, second_told) = room.handshake(2);
        let (third, _) = room.handshake(2);
        told.notified().await;
        drop(oldest);
        drop(third);
        let (_fourth, _) = room.handshake(2);
        let still = tokio::time::timeout(std::time::Duration::ZERO, second_told.notified()).await;
        assert!(still.is_err(), "the others stay");
    }
}
