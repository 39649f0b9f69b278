//! A directory behind an address: asked about one subject at a time, and what it says kept for a while.
//!
//! Decides when to ask, and bounds it: one call about a subject at a time, sixteen calls in all, 256 subjects and 512
//! requests that wait, and 16 MiB of answers. The subject stands in a form, never in the address, where logs would keep it and a path could
//! be read in two ways. Whatever is no clear answer is no answer: it is refused, and the last one counts as long as it would
//! have anyway.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use moka::sync::Cache;
use policy::Principal;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::kept::{Holds, Judged, Kept};
use super::{Down, Said, Told, answer};
use crate::made_of::MadeOf;
use crate::outbound::{Endpoint, Fault};

/// How many calls there are at once.
const CALLS: usize = 16;
/// How many subjects are asked about, or wait for it, at once.
const FLIGHTS: usize = 256;
/// How many of them may be asked about where nobody waits for it: the rest is for those who do.
const UNHURRIED: usize = FLIGHTS / 2;
/// How many requests wait at once, over all subjects: each holds a place among `limits.requests`.
const WAITING: usize = 512;
/// The most bytes of one answer.
const CAP: usize = 64 * 1024;
/// How much is kept of answers, in bytes.
const ROOM: u64 = 16 * 1024 * 1024;
/// How long a call may take, the wait for its turn included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which service is asked, and how.
pub struct Settings {
    /// The address.
    pub endpoint: Endpoint,
    /// Who we are, to it.
    pub authorization: Option<HeaderValue>,
    /// How old an answer may be that counts.
    pub max_age: Duration,
    /// A digest over all that the above was made of.
    pub digest: [u8; 32],
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, authorization: _, max_age, digest: _ } = self;
        out.debug_struct("Settings")
            .field("endpoint", &endpoint.url())
            .field("max_age", max_age)
            .finish_non_exhaustive()
    }
}

/// A service, and what it said.
#[derive(Debug)]
pub struct Service {
    settings: Settings,
    kept: Cache<Mark, Kept>,
    flights: Mutex<HashMap<Mark, Flight>>,
    turns: Semaphore,
    room: Semaphore,
    counts: Counts,
    last: Mutex<Option<(Down, Duration)>>,
}

/// SHA-256 over issuer, provider and subject.
type Mark = [u8; 32];
/// What will be said, once it is, and when it was asked.
type Flight = watch::Receiver<Option<(Result<Said, Down>, Duration)>>;

#[derive(Debug, Default)]
struct Counts {
    listed: AtomicU64,
    unlisted: AtomicU64,
    failed: AtomicU64,
}

/// How a service is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Subjects that are kept.
    pub subjects: u64,
    /// Calls that were answered with somebody.
    pub listed: u64,
    /// Calls that were answered with nobody.
    pub unlisted: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Why the last call failed, and when (monotone); `None` where it did not.
    pub failure: Option<(Down, Duration)>,
}

/// Takes a subject off the list of those that are asked about, whatever became of the call.
struct Landing {
    service: Arc<Service>,
    mark: Mark,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.service.flights().remove(&self.mark);
    }
}

impl Service {
    /// A service that has not been asked yet.
    pub fn new(settings: Settings) -> Self {
        let kept = Cache::builder().weigher(|_, kept: &Kept| kept.weight()).max_capacity(ROOM).build();
        Self {
            settings,
            kept,
            flights: Mutex::default(),
            turns: Semaphore::new(CALLS),
            room: Semaphore::new(WAITING),
            counts: Counts::default(),
            last: Mutex::default(),
        }
    }

    /// Whether both ask the same service in the same way.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.settings.digest == other.settings.digest
    }

    /// What is said of a caller at `now` (monotone).
    pub(super) async fn ask(
        self: &Arc<Self>,
        principal: &Principal,
        now: Duration,
        background: &Handle,
    ) -> Result<Told, Down> {
        let about = About::of(principal);
        let kept = self.kept.get(&about.mark).unwrap_or_default();
        let at = kept.asked().unwrap_or(now);
        match kept.judge(now, self.settings.max_age) {
            Judged::Use(said) => Ok(self.told(said, at)),
            Judged::Renew(said) => {
                // Whoever has an answer that counts waits for nobody.
                drop(self.fly(about, now, background));
                Ok(self.told(said, at))
            }
            Judged::Down(down) => Err(down),
            Judged::Ask => {
                let _place = self.room.try_acquire().map_err(|_| Down::Busy)?;
                let mut flight = self.fly(about, now, background).ok_or(Down::Busy)?;
                let answer = flight.wait_for(Option::is_some).await.map_err(|_| Down::Leaving)?;
                let (answer, at) = answer.clone().ok_or(Down::Leaving)?;
                answer.map(|said| self.told(said, at))
            }
        }
    }

    /// What counts of a caller at `now` (monotone). Nobody waits: what is to be asked is asked meanwhile.
    pub(super) fn recall(self: &Arc<Self>, principal: &Principal, now: Duration, background: &Handle) -> Option<Told> {
        let about = About::of(principal);
        let kept = self.kept.get(&about.mark).unwrap_or_default();
        let (said, asks) = match kept.judge(now, self.settings.max_age) {
            Judged::Use(said) => (Some(said), false),
            Judged::Renew(said) => (Some(said), true),
            Judged::Ask => (None, true),
            Judged::Down(_) => (None, false),
        };
        if asks && self.flights().len() < UNHURRIED {
            drop(self.fly(about, now, background));
        }
        said.zip(kept.asked()).map(|(said, at)| self.told(said, at))
    }

    /// How old an answer may be that counts.
    pub(super) fn max_age(&self) -> Duration {
        self.settings.max_age
    }

    fn told(&self, said: Said, at: Duration) -> Told {
        let holds = Holds::of(&said, at, self.settings.max_age);
        Told { said, holds: Some(holds) }
    }

    /// Asks on `background`, unless somebody does already. The call goes on when nobody waits for it any more.
    fn fly(self: &Arc<Self>, about: About, now: Duration, background: &Handle) -> Option<Flight> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&about.mark) {
            return Some(flight.clone());
        }
        if flights.len() >= FLIGHTS {
            return None;
        }
        let (tell, flight) = watch::channel(None);
        flights.insert(about.mark, flight.clone());
        drop(flights);
        let landing = Landing { service: Arc::clone(self), mark: about.mark };
        background.spawn(async move {
            let service = Arc::clone(&landing.service);
            let began = Instant::now();
            let answer = service.call(&about).await;
            // ORDER: kept, off the list, told: whoever comes in between finds it in one place or the other.
            service.keep(about.mark, &answer, now, now.saturating_add(began.elapsed()));
            drop(landing);
            tell.send_replace(Some((answer, now)));
        });
        Some(flight)
    }

    async fn call(&self, about: &About) -> Result<Said, Down> {
        let called = tokio::time::timeout(PATIENCE, async {
            let _turn = self.turns.acquire().await.map_err(|_| Down::Leaving)?;
            let About { provider, issuer, subject, .. } = about;
            let fields = [("provider", provider.as_str()), ("issuer", issuer), ("subject", subject)];
            let authorization = self.settings.authorization.clone();
            let reply = self.settings.endpoint.post_form(&fields, authorization, CAP).await.map_err(Down::Call)?;
            answer::read(&reply.ok().map_err(Down::Call)?).map_err(Down::Answer)
        });
        called.await.unwrap_or(Err(Down::Call(Fault::Timeout)))
    }

    fn keep(&self, mark: Mark, answer: &Result<Said, Down>, began: Duration, ended: Duration) {
        let count = match answer {
            Ok(Said::Listed(_)) => &self.counts.listed,
            Ok(Said::Unlisted) => &self.counts.unlisted,
            Err(_) => &self.counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        *self.last() = answer.as_ref().err().map(|down| (*down, ended));
        let before = self.kept.get(&mark).unwrap_or_default();
        self.kept.insert(mark, before.after(answer, began, ended));
    }

    /// How it is doing.
    pub fn status(&self) -> ServiceStatus {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ServiceStatus {
            subjects: self.kept.entry_count(),
            listed: read(&self.counts.listed),
            unlisted: read(&self.counts.unlisted),
            failed: read(&self.counts.failed),
            failure: *self.last(),
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Mark, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Down, Duration)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a call is about.
struct About {
    provider: String,
    issuer: Arc<str>,
    subject: Arc<str>,
    mark: Mark,
}

impl About {
    fn of(principal: &Principal) -> Self {
        let Principal { provider, issuer, subject, .. } = principal;
        let mark = MadeOf::all([&**issuer, provider, subject]);
        Self { provider: provider.clone(), issuer: issuer.clone(), subject: subject.clone(), mark }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
