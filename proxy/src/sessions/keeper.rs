//! What sessions have to do with files: the state directory that is written, and the file of revocations that is looked at.
//!
//! It has a thread of its own, so that a disk that hangs holds up neither requests nor probes. It decides nothing about
//! sessions; what it cannot read or write it says, and goes on with what there is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

use super::Journal;
use super::life::CLOCK_S;
use crate::clock::Now;
use crate::config::{print_of, read_bytes, read_revocations};
use crate::phase::Stage;
use crate::shared::Shared;

/// How often it looks.
const TICK: Duration = Duration::from_millis(250);
/// How many ticks lie between two looks for what is past.
const PRUNE: u32 = 240;
/// How far the wall clock may go away from the time that really passes, and be the same clock.
const STEP: Duration = Duration::from_secs(CLOCK_S);
/// For how long a clock has to go on so before anything is dropped by it.
const TRIED: Duration = Duration::from_secs(60 * 60);

/// The keeper of the files.
pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
    /// The state directory, where there is one.
    pub(crate) journal: Option<Journal>,
    /// Asks to write now.
    pub(crate) asks: Receiver<()>,
    /// Counts what was written to the end.
    pub(crate) written: watch::Sender<u64>,
}

impl Keeper {
    /// Keeps them until the gate is over.
    pub(crate) fn keep(mut self) {
        let (mut seen, mut ticks) = (None, 0_u32);
        let mut pace = Pace::from(self.shared.clock.now());
        loop {
            match self.asks.recv_timeout(TICK) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // ORDER: looked at before the last write, so that what ended until then is in it.
            let over = self.shared.phase.stage() >= Stage::Over;
            self.write();
            if over {
                // What was written is counted by the next write: here is none.
                self.write();
                return;
            }
            self.look(&mut seen);
            ticks = ticks.wrapping_add(1);
            let now = self.shared.clock.now();
            if ticks.is_multiple_of(PRUNE) && pace.is_tried(now) {
                self.shared.sessions.prune(now.unix_seconds());
            }
        }
    }

    fn write(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let sessions = &self.shared.sessions;
        let before = sessions.trouble();
        match journal.write(sessions) {
            Ok(()) => {
                self.written.send_modify(|count| *count = count.wrapping_add(1));
                sessions.state_trouble(None);
            }
            Err(error) => {
                if before.state.is_none() {
                    let error = error.to_string();
                    tracing::error!(target: "anteroom", error, "the state of sessions cannot be written");
                }
                sessions.state_trouble(Some(error.to_string()));
            }
        }
    }

    /// Looks at the file of revocations; `seen` is what was in it the last time.
    fn look(&self, seen: &mut Option<(PathBuf, [u8; 32])>) {
        let sessions = &self.shared.sessions;
        let Some(path) = sessions.revoked_file() else { return };
        let bytes = read_bytes(&path);
        let print = print_of(&bytes);
        if seen.as_ref().is_some_and(|(at, was)| *at == *path && *was == print) {
            return;
        }
        *seen = Some((PathBuf::clone(&path), print));
        match bytes.and_then(|bytes| read_revocations(&bytes)) {
            Ok(list) => {
                sessions.file(&list);
                sessions.revoked_trouble(None);
                tracing::info!(target: "anteroom", count = list.len(), "the file of revocations was read");
            }
            Err(reason) => {
                let detail = redact::text(&reason).into_owned();
                tracing::error!(target: "anteroom", detail, "the file of revocations cannot be read; the last good one stays");
                sessions.revoked_trouble(Some(detail));
            }
        }
    }
}

/// Whether the wall clock goes as time passes. One that jumps ahead for a while must not make anybody forget an end, since it
/// would be forgotten for good.
#[derive(Clone, Copy, Debug)]
struct Pace {
    since: Now,
}

impl Pace {
    fn from(now: Now) -> Self {
        Self { since: now }
    }

    /// Whether the clock has gone without a step for long enough.
    fn is_tried(&mut self, now: Now) -> bool {
        let passed = now.monotone.saturating_sub(self.since.monotone);
        let expected = Duration::from_millis(self.since.unix_ms).saturating_add(passed);
        if Duration::from_millis(now.unix_ms).abs_diff(expected) > STEP {
            *self = Self::from(now);
            return false;
        }
        passed >= TRIED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_drops_nothing_until_it_has_gone_on_for_an_hour() {
        let at = |passed_s: u64, ahead_s: i64| Now {
            unix_ms: 1_800_000_000_000_u64.saturating_add_signed((passed_s as i64 + ahead_s) * 1_000),
            monotone: Duration::from_secs(passed_s),
        };
        let mut pace = Pace::from(at(0, 0));
        assert!(!pace.is_tried(at(3_599, 0)), "whether the first reading was right is not known either");
        assert!(pace.is_tried(at(3_600, 0)) && pace.is_tried(at(7_200, 299)));
        // A month ahead, for a minute; and back.
        let month = 30 * 24 * 3_600;
        assert!(!pace.is_tried(at(7_260, month)) && !pace.is_tried(at(7_320, month)));
        assert!(!pace.is_tried(at(7_380, 0)) && !pace.is_tried(at(10_920, 0)));
        assert!(pace.is_tried(at(10_980, 0)));
        // One that was set right stays so.
        assert!(!pace.is_tried(at(11_040, month)) && pace.is_tried(at(14_640, month)));
        assert!(!pace.is_tried(at(14_700, -month)) && pace.is_tried(at(18_300, -month)));
    }
}
