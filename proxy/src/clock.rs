//! The edge's clock: the only place that asks the machine for the time.
//!
//! Everything below gets a [`Now`] as an argument, so that a test sets the time and never sleeps for it.
//! It never adjusts the wall clock and never compares wall times for durations: those use the monotone part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time, milliseconds since 1970-01-01T00:00:00Z; zero where the machine's clock stands before that.
    pub unix_ms: u64,
    /// Monotone time since the clock was made; differences of it are durations.
    pub monotone: Duration,
}

impl Now {
    /// Wall time in whole seconds since 1970, as tokens count it (RFC 7519, `NumericDate`).
    pub fn unix_seconds(self) -> u64 {
        self.unix_ms / 1_000
    }
}

/// A date as HTTP writes it (RFC 9110, 5.6.7, the two obsolete forms included), in Unix seconds.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Where a process gets its time from.
#[derive(Debug)]
pub enum Clock {
    /// The machine's clocks.
    System {
        /// The origin of the monotone part.
        started: Instant,
    },
    /// A clock that stands still until [`Clock::advance`] moves it: for tests.
    Manual {
        /// Wall time at the origin, milliseconds since 1970.
        origin_ms: u64,
        /// Milliseconds passed since the origin.
        passed_ms: AtomicU64,
    },
}

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the ban points to")]
    pub fn system() -> Self {
        Clock::System { started: Instant::now() }
    }

    /// A clock that stands at `origin_ms` (milliseconds since 1970) until it is advanced.
    pub fn manual(origin_ms: u64) -> Self {
        Clock::Manual { origin_ms, passed_ms: AtomicU64::new(0) }
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that the ban points to")]
    pub fn now(&self) -> Now {
        match self {
            Clock::System { started } => {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Now { unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX), monotone: started.elapsed() }
            }
            Clock::Manual { origin_ms, passed_ms } => {
                let passed = passed_ms.load(Ordering::Acquire);
                Now { unix_ms: origin_ms.saturating_add(passed), monotone: Duration::from_millis(passed) }
            }
        }
    }

    /// Moves a manual clock forward; a system clock is left alone.
    pub fn advance(&self, by: Duration) {
        match self {
            Clock::System { .. } => {}
            Clock::Manual { passed_ms, .. } => {
                let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                passed_ms.fetch_add(by, Ordering::AcqRel);
            }
        }
    }
}
