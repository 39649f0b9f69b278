//! How often one caller may ask: GCRA buckets (governor), one table for the whole process.
//!
//! Decides whether one more request fits, and when the next one will. It never looks at a request: who is asking and
//! under which quota are arguments, and so is the time. The table is bounded; while it is nearly full, a caller
//! without a bucket must also fit into that of its /48 and a global one, so that a flood of new addresses cannot make the
//! table forget and so begin anew.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter};
use policy::units::Rate;
use quick_cache::sync::Cache;

/// The most buckets at once; one takes about 200 bytes.
const BUCKETS: usize = 32_768;
/// From how many buckets on the table counts as nearly full.
const CROWDED: usize = BUCKETS - BUCKETS / 16;
/// How much wider the shared buckets of a crowded table are than a single one.
const SHARED_WIDTH: u32 = 16;

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many requests grow back in `per`.
    pub count: NonZeroU32,
    /// The time in which they grow back; at least a nanosecond for each.
    pub per: Duration,
    /// How many fit at once.
    pub burst: NonZeroU32,
}

impl Quota {
    /// A rate with a burst; a zero of either counts as one.
    pub fn of(rate: Rate, burst: u32) -> Self {
        let number = |value| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        Self { count: number(rate.count), per: rate.per, burst: number(burst) }
    }

    /// Whether a burst grows back within 30 days; longer ones do not fit the arithmetic of a bucket.
    pub fn is_sane(self) -> bool {
        let whole = self.per.checked_div(self.count.get()).and_then(|each| each.checked_mul(self.burst.get()));
        whole.is_some_and(|whole| whole <= Duration::from_secs(30 * 24 * 60 * 60))
    }

    fn governor(self) -> GovernorQuota {
        let each =
            self.per.checked_div(self.count.get()).filter(|each| !each.is_zero()).unwrap_or(Duration::from_nanos(1));
        GovernorQuota::with_period(each).unwrap_or(GovernorQuota::per_second(NonZeroU32::MIN)).allow_burst(self.burst)
    }

    fn widened(self) -> Self {
        let wide = |number: NonZeroU32| number.saturating_mul(NonZeroU32::MIN.saturating_add(SHARED_WIDTH - 1));
        Self { count: wide(self.count), per: self.per, burst: wide(self.burst) }
    }
}

/// Whom a bucket belongs to. The quota is part of it: a reload that changes a quota starts new buckets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    quota: Quota,
    who: u128,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Address,
    Refused,
    Act,
    Report,
    Login,
    Newcomer,
    Prefix,
    Everyone,
}

impl Kind {
    /// What clients are told. The shared buckets stand in for that of an address.
    fn name(self) -> &'static str {
        match self {
            Kind::Address | Kind::Prefix | Kind::Everyone => "address",
            Kind::Refused => "refused",
            Kind::Act => "act",
            Kind::Report => "report",
            Kind::Login => "login",
            Kind::Newcomer => "newcomer",
        }
    }
}

/// Why a request does not fit: how long until one does, and which limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Time until one more request fits.
    pub wait: Duration,
    /// The name of the limit, as clients are told: `address`, `refused` or `act`.
    pub limit: &'static str,
    /// How much it allows.
    pub quota: Quota,
}

impl Full {
    /// Any of them, to list what they all have in common.
    pub(crate) fn sample() -> Self {
        let one = NonZeroU32::MIN;
        let quota = Quota { count: one, per: Duration::from_secs(1), burst: one };
        Self { wait: Duration::ZERO, limit: Kind::Address.name(), quota }
    }

    /// Whole seconds for `Retry-After`, rounded up, at least one.
    pub fn seconds(self) -> u64 {
        whole_seconds(self.wait)
    }

    /// The value of `RateLimit-Policy`: the burst, and the seconds in which all of it grows back
    /// (draft-ietf-httpapi-ratelimit-headers-10, section 3).
    pub fn policy_field(self) -> String {
        let Quota { count, per, burst } = self.quota;
        let window = per.checked_mul(burst.get()).map_or(Duration::MAX, |all| all / count.get());
        format!("\"{}\";q={burst};w={}", self.limit, whole_seconds(window))
    }

    /// The value of `RateLimit`: nothing left now, more after as many seconds as `Retry-After` says (section 4).
    pub fn field(self) -> String {
        format!("\"{}\";r=0;t={}", self.limit, self.seconds())
    }
}

/// Whole seconds, rounded up, at least one.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

/// The buckets of a process.
pub struct Limits {
    clock: SetClock,
    buckets: Cache<Key, Arc<Bucket>>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Limits").field("buckets", &self.buckets.len()).finish_non_exhaustive()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, SetClock, StateInformationMiddleware>;

struct Bucket {
    limiter: Limiter,
    /// Nanoseconds of our clock before which nothing fits; lets the bucket be looked at without using it up.
    full_until: AtomicU64,
}

impl Limits {
    /// An empty table.
    pub fn new() -> Self {
        Self { clock: SetClock::default(), buckets: Cache::new(BUCKETS) }
    }

    /// Takes one request of `address` from its bucket.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub fn take_address(&self, address: IpAddr, quota: Quota, now: Duration) -> Result<(), Full> {
        self.take(Kind::Address, site(address), quota, Some(wide_site(address)), now)
    }

    /// Takes one refused request of `address` from the bucket of refusals.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub fn take_refused(&self, address: IpAddr, quota: Quota, now: Duration) -> Result<(), Full> {
        self.take(Kind::Refused, site(address), quota, Some(wide_site(address)), now)
    }

    /// Looks whether one more refused request of `address` would fit, and takes nothing.
    ///
    /// # Errors
    /// [`Full`] where it would not.
    pub fn look_refused(&self, address: IpAddr, quota: Quota, now: Duration) -> Result<(), Full> {
        let key = Key { kind: Kind::Refused, quota, who: site(address) };
        let until = self.buckets.get(&key).map_or(0, |bucket| bucket.full_until.load(Ordering::Acquire));
        match Duration::from_nanos(until).checked_sub(now) {
            Some(wait) if !wait.is_zero() => Err(Full { wait, limit: Kind::Refused.name(), quota }),
            _ => Ok(()),
        }
    }

    /// Takes one request of the caller `who` (128 bits of a digest over act and caller) from its bucket for an act.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub fn take_act(&self, who: u128, quota: Quota, now: Duration) -> Result<(), Full> {
        self.take(Kind::Act, who, quota, None, now)
    }

    /// Takes one report of a browser at `address` from its bucket: 10 a second, 200 at once.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub(crate) fn take_report(&self, address: IpAddr, now: Duration) -> Result<(), Full> {
        let quota = Quota::of(Rate { count: 10, per: Duration::from_secs(1) }, 200);
        self.take(Kind::Report, site(address), quota, Some(wide_site(address)), now)
    }

    /// Takes one sign-in of `address` from its bucket: 5 a second, 100 at once. A clinic can be one address.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub(crate) fn take_login(&self, address: IpAddr, now: Duration) -> Result<(), Full> {
        let quota = Quota::of(Rate { count: 5, per: Duration::from_secs(1) }, 100);
        self.take(Kind::Login, site(address), quota, Some(wide_site(address)), now)
    }

    /// Takes one new connection of `address` from its bucket.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub(crate) fn take_newcomer(&self, address: IpAddr, quota: Quota, now: Duration) -> Result<(), Full> {
        self.take(Kind::Newcomer, site(address), quota, Some(wide_site(address)), now)
    }

    fn take(&self, kind: Kind, who: u128, quota: Quota, wide: Option<u128>, now: Duration) -> Result<(), Full> {
        let full = |wait| Full { wait, limit: kind.name(), quota };
        self.clock.set(now);
        let key = Key { kind, quota, who };
        if let Some(bucket) = self.buckets.get(&key) {
            return bucket.take(now).map_err(full);
        }
        if self.buckets.len() >= CROWDED {
            if let Some(prefix) = wide {
                self.bucket(Key { kind: Kind::Prefix, quota: quota.widened(), who: prefix }).take(now).map_err(full)?;
            }
            let everyone = Key { kind: Kind::Everyone, quota: quota.widened().widened(), who: 0 };
            self.bucket(everyone).take(now).map_err(full)?;
        }
        self.bucket(key).take(now).map_err(full)
    }

    fn bucket(&self, key: Key) -> Arc<Bucket> {
        let made: Result<_, std::convert::Infallible> = self.buckets.get_or_insert_with(&key, || {
            let limiter = RateLimiter::direct_with_clock(key.quota.governor(), self.clock.clone());
            Ok(Arc::new(Bucket {
                limiter: limiter.with_middleware::<StateInformationMiddleware>(),
                full_until: AtomicU64::new(0),
            }))
        });
        match made {
            Ok(bucket) => bucket,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Bucket {
    /// Takes one; where it does not fit, says how long until one does.
    fn take(&self, now: Duration) -> Result<(), Duration> {
        let (fits, wait) = match self.limiter.check() {
            Ok(left) => (true, if left.remaining_burst_capacity() == 0 { grows_back(&left) } else { Duration::ZERO }),
            Err(until) => (false, until.wait_time_from(nanos(now))),
        };
        self.full_until
            .store(count(if wait.is_zero() { Duration::ZERO } else { now.saturating_add(wait) }), Ordering::Release);
        if fits { Ok(()) } else { Err(wait) }
    }
}

fn grows_back(left: &StateSnapshot) -> Duration {
    left.quota().replenish_interval()
}

fn nanos(time: Duration) -> Nanos {
    Nanos::from(time)
}

fn count(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The part of an address that one customer holds: an IPv4 address whole, of an IPv6 address the first 64 bits.
pub(crate) fn site(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => u128::from(u32::from(four)),
        IpAddr::V6(six) => u128::from(six) & !u128::from(u64::MAX),
    }
}

/// The part of an address that one network holds: of an IPv4 address the first 24 bits, of an IPv6 address the first 48.
pub(crate) fn wide_site(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => u128::from(u32::from(four) & 0xffff_ff00),
        IpAddr::V6(six) => u128::from(six) & !((1 << 80) - 1),
    }
}

/// A clock that stands where it was set last and never goes back, shared by all buckets.
#[derive(Clone, Debug, Default)]
struct SetClock(Arc<AtomicU64>);

impl SetClock {
    fn set(&self, now: Duration) {
        self.0.fetch_max(count(now), Ordering::AcqRel);
    }
}

impl GovernorClock for SetClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
