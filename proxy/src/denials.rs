//! Refused requests on the record: the first of a kind one by one, the rest of its minute as one event with a count.
//!
//! Decides which of the two a refusal becomes, so that whoever floods the gate cannot fill the record, nor take the room of
//! those who are let in: what nobody is known to have asked takes only what the record can spare
//! ([`Record::reserve_spare`]). It never drops a refusal without counting it, and never decides whether one is refused.
//!
//! Of a kind are refusals with the same code under the same policies, by the same actor or, where nobody was identified,
//! from the same network: of an IPv4 address 24 bits, of an IPv6 address 48. Bounds: [`KINDS`] kinds at once, and one more for each code, which
//! takes all that find no room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audit::{Actor, AuditSlot, Counted, Draft, Kind, NotRecorded, Record};

use crate::clock::Now;
use crate::made_of::MadeOf;
use crate::request_id::{RequestId, RequestIds};

/// How many refusals of a kind are recorded one by one in each of its minutes.
const SINGLE: u32 = 20;
/// How long refusals of a kind are counted before their event is written.
const MINUTE: Duration = Duration::from_secs(60);
/// The most kinds at once; one takes about 200 bytes, one that counts about 1 KiB.
const KINDS: usize = 4_096;

/// What becomes of a refusal.
#[derive(Debug)]
pub(crate) enum Noted {
    /// It gets an event of its own, in this place.
    Single(AuditSlot),
    /// It was counted by an event that carries this id.
    Counted(RequestId),
}

/// Who refusals of a kind come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    /// Nobody who was identified.
    Network(IpAddr),
    /// A digest of issuer and subject.
    Actor([u8; 32]),
    /// Whoever finds no room as one of the others.
    Everyone,
}

/// A minute of one kind; it begins with the first refusal.
struct Minute {
    began: Now,
    singles: u32,
    counting: Option<Counting>,
}

/// An event that is still counting. Its place on the record is taken already, so that it cannot be lost for lack of room.
struct Counting {
    id: RequestId,
    slot: AuditSlot,
    draft: Draft,
    since: Now,
    requests: u64,
    prefix: u8,
}

/// What refusals have in common that share an event.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Common {
    code: &'static str,
    who: Who,
    policy: Arc<str>,
}

/// The refusals of a process that are being counted.
#[derive(Default)]
pub struct Denials {
    minutes: Mutex<HashMap<Common, Minute>>,
    counted: AtomicU64,
}

impl std::fmt::Debug for Denials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Denials").field("counted", &self.counted).finish_non_exhaustive()
    }
}

/// What is known of a refusal.
pub(crate) struct Refused<'a> {
    /// Its reason code.
    pub(crate) code: &'static str,
    /// Who asked, where that is known.
    pub(crate) actor: Option<[&'a str; 2]>,
    /// From where.
    pub(crate) peer: IpAddr,
    /// The digest of the policies that judged it.
    pub(crate) policy: &'a Arc<str>,
}

impl Denials {
    /// Finds out what becomes of a refusal. `draft` is asked for where a new event begins to count.
    ///
    /// # Errors
    /// Where the record takes nothing at all, or has not even room for one counting event of this code.
    pub(crate) fn note(
        &self,
        record: &Record,
        ids: &RequestIds,
        now: Now,
        refused: &Refused<'_>,
        draft: impl Fn() -> Draft,
    ) -> Result<Noted, NotRecorded> {
        let mut minutes = self.lock();
        let mut kind = Common { code: refused.code, who: Who::of(refused), policy: Arc::clone(refused.policy) };
        if minutes.len() >= KINDS && !minutes.contains_key(&kind) {
            kind.who = Who::Everyone;
        }
        let who = kind.who;
        let everyone = Common { who: Who::Everyone, ..kind.clone() };
        let minute = current(&mut minutes, kind, now);
        if who != Who::Everyone && minute.singles < SINGLE {
            match place(record, who) {
                Ok(slot) => {
                    minute.singles += 1;
                    return Ok(Noted::Single(slot));
                }
                Err(NotRecorded::Busy | NotRecorded::Full) => {}
                Err(closed @ (NotRecorded::Failed | NotRecorded::Closed)) => return Err(closed),
            }
        }
        if minute.counting.is_none() && who != Who::Everyone {
            match place(record, who) {
                Ok(slot) => minute.counting = Some(Counting::new(slot, ids.next(), now, draft(), who)),
                Err(NotRecorded::Busy | NotRecorded::Full) => {
                    let minute = current(&mut minutes, everyone, now);
                    return self.count(minute, record, ids, now, draft);
                }
                Err(closed @ (NotRecorded::Failed | NotRecorded::Closed)) => return Err(closed),
            }
        }
        self.count(minute, record, ids, now, draft)
    }

    fn count(
        &self,
        minute: &mut Minute,
        record: &Record,
        ids: &RequestIds,
        now: Now,
        draft: impl Fn() -> Draft,
    ) -> Result<Noted, NotRecorded> {
        let counting = match &mut minute.counting {
            Some(counting) => counting,
            // ORDER: here the full room of the record counts, not only what it can spare: there is one of these for each code.
            none => none.insert(Counting::new(record.reserve()?, ids.next(), now, draft(), Who::Everyone)),
        };
        counting.requests = counting.requests.saturating_add(1);
        self.counted.fetch_add(1, Ordering::Relaxed);
        Ok(Noted::Counted(counting.id))
    }

    /// Writes the events of all minutes that are over. To be called every second or so.
    pub(crate) fn settle(&self, now: Now) {
        self.lock().retain(|_, minute| {
            let over = minute.is_over(now);
            if over {
                minute.write(now);
            }
            !over
        });
    }

    /// Writes whatever was counted: for the end of the process, before the record closes.
    pub(crate) fn finish(&self, now: Now) {
        for (_, mut minute) in self.lock().drain() {
            minute.write(now);
        }
    }

    /// How many refusals were counted rather than recorded one by one, since the start.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Common, Minute>> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The minute of a kind that `now` is in; one that is over is written and begins anew.
fn current(minutes: &mut HashMap<Common, Minute>, kind: Common, now: Now) -> &mut Minute {
    let minute = minutes.entry(kind).or_insert_with(|| Minute { began: now, singles: 0, counting: None });
    if minute.is_over(now) {
        minute.write(now);
        *minute = Minute { began: now, singles: 0, counting: None };
    }
    minute
}

/// Room for the event of somebody: of whom we know, as for any other; of whom we do not, what can be spared.
fn place(record: &Record, who: Who) -> Result<AuditSlot, NotRecorded> {
    match who {
        Who::Actor(_) => record.reserve(),
        Who::Network(_) | Who::Everyone => record.reserve_spare(),
    }
}

impl Who {
    fn of(refused: &Refused<'_>) -> Self {
        let Some(actor) = refused.actor else { return Who::Network(network(refused.peer).0) };
        Who::Actor(MadeOf::all(actor))
    }
}

impl Minute {
    fn is_over(&self, now: Now) -> bool {
        now.monotone.saturating_sub(self.began.monotone) >= MINUTE
    }

    fn write(&mut self, now: Now) {
        if let Some(counting) = self.counting.take() {
            counting.write(now);
        }
    }
}

impl Counting {
    /// An event that stands for all of a kind: what may differ between them is left out.
    fn new(slot: AuditSlot, id: RequestId, now: Now, draft: Draft, who: Who) -> Self {
        let (peer, prefix) = match who {
            Who::Network(_) => network(draft.peer),
            Who::Actor(_) | Who::Everyone => (unspecified(draft.peer), 0),
        };
        let draft = Draft {
            kind: Kind::Denials,
            request: id.to_string(),
            trace: None,
            actor: draft.actor.filter(|_| matches!(who, Who::Actor(_))).map(|actor| Actor { session: None, ..actor }),
            tenant: None,
            patient: None,
            rule: None,
            act: None,
            route: None,
            facts: None,
            peer,
            ..draft
        };
        Self { id, slot, draft, since: now, requests: 0, prefix }
    }

    fn write(self, now: Now) {
        let Self { slot, draft, since, requests, prefix, .. } = self;
        let lasted = now.monotone.saturating_sub(since.monotone);
        let seconds = lasted.as_secs() + u64::from(lasted.subsec_nanos() > 0);
        let counted = Counted { requests, seconds: seconds.max(1), prefix };
        drop(slot.write(Draft { at: now.unix_ms, counted: Some(counted), ..draft }));
    }
}

/// The network that an address belongs to, and how many of its bits that is.
fn network(address: IpAddr) -> (IpAddr, u8) {
    match address.to_canonical() {
        IpAddr::V4(four) => (IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & 0xffff_ff00)), 24),
        IpAddr::V6(six) => (IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !((1 << 80) - 1))), 48),
    }
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests;
