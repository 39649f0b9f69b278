//! How often a reason for a refused handshake is told in the log.
//!
//! Decides when a line is due: the first time at once, then at most once a minute for each reason, with how often it came
//! up since. Reasons are a closed list, so what is kept is bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certs::Refusal;

/// The least time between two lines about one reason.
const PAUSE: Duration = Duration::from_secs(60);

/// Refused handshakes that the log has not told yet.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Refusal, Told>>);

#[derive(Debug)]
struct Told {
    /// When the last line was due.
    at: Duration,
    /// How often it came up since.
    since: u64,
}

impl Refusals {
    /// Notes one refusal at `now` (monotone time). Where a line is due: how many it stands for.
    pub(crate) fn due(&self, refusal: Refusal, now: Duration) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = told.get_mut(&refusal) else {
            told.insert(refusal, Told { at: now, since: 0 });
            return Some(1);
        };
        last.since = last.since.saturating_add(1);
        if now.saturating_sub(last.at) < PAUSE {
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_at_once_and_then_once_a_minute_with_its_count() {
        let refusals = Refusals::default();
        let at = Duration::from_secs;
        assert_eq!(refusals.due(Refusal::OldVersion, at(0)), Some(1));
        assert_eq!(refusals.due(Refusal::UnknownName, at(1)), Some(1), "another reason has its own minute");
        for second in 1..60 {
            assert_eq!(refusals.due(Refusal::OldVersion, at(second)), None);
        }
        assert_eq!(refusals.due(Refusal::OldVersion, at(60)), Some(60));
        assert_eq!(refusals.due(Refusal::OldVersion, at(61)), None);
        assert_eq!(refusals.due(Refusal::OldVersion, at(500)), Some(2));
    }
}
