//! The sessions of a process as it starts, with what was written of them before.
//!
//! Decides under which key they are known: that of the folder of their state, if there is one; else one made of the key for
//! pseudonyms, so that replicas with that key call a session the same, and this one after a restart too; else one of chance.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::watch;

use super::StartError;
use crate::runtime::Runtime;
use crate::sessions::{Journal, SessionFiles, Sessions, Writer};

/// Sessions, and what their [`Keeper`](crate::sessions::Keeper) works with.
pub(super) struct State {
    pub(super) sessions: Sessions,
    pub(super) journal: Option<Journal>,
    /// Wishes to write; held for as long as the keeper may have some.
    pub(super) ask: SyncSender<()>,
    pub(super) wishes: Receiver<()>,
    /// How much is on disk.
    pub(super) written: watch::Sender<u64>,
}

/// Opens them at `now`, in Unix seconds.
///
/// # Errors
/// Where the system gives no randomness, or their folder cannot be used.
pub(super) fn open(files: SessionFiles, runtime: &Runtime, now: u64) -> Result<State, StartError> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| StartError::Random)?;
    let fresh = runtime.pseudonym_key.as_ref().map_or(random, |key| key.derived("anteroom sessions"));
    let journal = files.state.as_deref().map(|folder| Journal::open(folder, &fresh)).transpose();
    let mut journal = journal.map_err(StartError::Sessions)?;
    let secret = journal.as_ref().map_or(fresh, |journal| *journal.secret());
    let (ask, wishes) = sync_channel(1);
    let (written, seen) = watch::channel(0);
    let sessions = Sessions::new(&secret, journal.as_ref().map(|_| Writer { ask: ask.clone(), written: seen }));
    if let Some(journal) = &mut journal
        && journal.restore(&sessions, now).map_err(StartError::Sessions)?
    {
        damaged(runtime);
    }
    sessions.follow(files.revoked);
    Ok(State { sessions, journal, ask, wishes, written })
}

fn damaged(runtime: &Runtime) {
    // The application's word tells no time of a sign-in, so that no sign-in there is a later one.
    let app_vouches = runtime.app_session.as_ref().is_some_and(|one| one.whoami.is_some());
    let detail = if app_vouches {
        "whom the application vouches for (`app.session.whoami`) stays out for seven days, after signing in anew too, unless the \
         folder `session.state` is taken away while the gate is stopped, with all the ends in it"
    } else {
        "a credential that tells no time of its sign-in stays out for seven days"
    };
    tracing::error!(target: "anteroom", detail, "the state of sessions is damaged: everybody has to sign in again");
}
