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
use crate::config::{print_of, read_bytes, read_revocations};
use crate::phase::Stage;
use crate::shared::Shared;

/// How often it looks.
const TICK: Duration = Duration::from_millis(250);
/// How many ticks lie between two looks for what is past.
const PRUNE: u32 = 240;

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
        loop {
            match self.asks.recv_timeout(TICK) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // ORDER: looked at before the last write, so that what ended until then is in it.
            let over = self.shared.phase.stage() >= Stage::Over;
            self.write();
            if over {
                return;
            }
            self.look(&mut seen);
            ticks = ticks.wrapping_add(1);
            if ticks % PRUNE == 0 {
                self.shared.sessions.prune(self.shared.clock.now().unix_seconds());
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
