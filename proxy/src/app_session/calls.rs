//! The questions to the application that are under way.
//!
//! Decides that one session is asked about once at a time, whoever waits for it on whatever worker, and how many questions
//! there may be at once. A question that was begun is asked to its end, so that whoever hangs up takes nothing away from
//! those who wait. It never believes a word that was asked for before the session's cookies changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use policy::Principal;
use tokio::sync::{Semaphore, watch};

use super::lineage::Value;
use super::memory::Turn;
use super::{AppSessionFault, Asking, Inner, Mark, whoami};

/// The most questions at once, over all workers. Those who wait for one are requests, which have a limit of their own.
const MOST: usize = 64;
/// How often one request asks, where the cookies change again and again while it does.
const TRIES: usize = 3;

const BUSY: AppSessionFault = AppSessionFault::Unvouched("too many questions are under way");
const BROKEN_OFF: AppSessionFault = AppSessionFault::Unvouched("the question was broken off");
const CHANGING: AppSessionFault = AppSessionFault::Unvouched("the session changes while the application is asked");

/// A session that is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What it is known by to those who end it, if its value is the first of its session.
    pub(super) name: String,
    /// Its cookie.
    pub(super) value: Value,
    /// Over its cookies and the settings.
    pub(super) mark: Mark,
    /// Of each of its cookies.
    pub(super) parts: Arc<[Mark]>,
    /// The value of `Cookie`.
    pub(super) sent: String,
}

/// What was said, and to a question of which turn.
type Said = (Turn, Result<Option<Arc<Principal>>, AppSessionFault>);

/// The questions.
#[derive(Debug)]
pub(super) struct Calls {
    open: Mutex<HashMap<Mark, watch::Receiver<Option<Said>>>>,
    room: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { open: Mutex::default(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

/// Whose `session` is: from memory, from a question that is under way, or by asking.
pub(super) async fn who(
    inner: &Arc<Inner>,
    asking: &Asking<'_>,
    session: Session,
) -> Result<Option<Arc<Principal>>, AppSessionFault> {
    for _ in 0..TRIES {
        if let Some(known) = inner.memory.recall(session.mark, asking.now, asking.whoami.remember) {
            return Ok(known);
        }
        let mut saying = ask(inner, asking, &session)?;
        let said = saying.wait_for(Option::is_some).await.map_err(|_| BROKEN_OFF)?.clone();
        let (turn, said) = said.ok_or(BROKEN_OFF)?;
        if inner.memory.holds(&session.parts, turn) {
            return said;
        }
    }
    Err(CHANGING)
}

/// The question about `session` that is under way, or a new one.
fn ask(
    inner: &Arc<Inner>,
    asking: &Asking<'_>,
    session: &Session,
) -> Result<watch::Receiver<Option<Said>>, AppSessionFault> {
    let mut open = inner.calls.open.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(saying) = open.get(&session.mark) {
        return Ok(saying.clone());
    }
    let room = Arc::clone(&inner.calls.room).try_acquire_owned().map_err(|_| BUSY)?;
    let (say, saying) = watch::channel(None);
    open.insert(session.mark, saying.clone());
    drop(open);
    let under_way = UnderWay { inner: Arc::clone(inner), mark: session.mark };
    let (target, pool, whoami) = (asking.target.clone(), asking.pool.clone(), Arc::clone(asking.whoami));
    let (session, at) = (session.clone(), asking.now);
    tokio::spawn(async move {
        let turn = under_way.inner.memory.turn();
        let answer = whoami::ask(&target, &pool, &whoami, &session.sent).await;
        let said = answer.and_then(|answer| whoami.reads.principal(answer.as_ref(), session.name.clone()));
        let said = said.map(|who| who.map(Arc::new)).map_err(AppSessionFault::Unvouched);
        if let Ok(who) = &said {
            under_way.inner.memory.remember(session.mark, session.parts, (turn, at), who.clone());
        }
        // ORDER: remembered before it is no longer under way, so that nobody asks again in between.
        drop(under_way);
        drop(room);
        // Nobody may be left who waits for it.
        say.send_replace(Some((turn, said)));
    });
    Ok(saying)
}

/// Stands among the open questions until it is dropped, however it ends.
struct UnderWay {
    inner: Arc<Inner>,
    mark: Mark,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner.calls.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mark);
    }
}
