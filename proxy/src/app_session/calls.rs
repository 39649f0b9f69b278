//! The questions to the application that are under way.
//!
//! Decides that one session is asked about once at a time, whoever waits for it on whatever worker, and how many questions
//! there may be at once. A question that was begun is asked to its end, so that whoever hangs up takes nothing away from
//! those who wait. A word to a question that was asked after a request came is true of a moment within that request, and is
//! believed for it, whatever the session's cookies did meanwhile; any other only where they have not changed since it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::Principal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::lineage::Value;
use super::memory::{Asked, Watch};
use super::{AppSessionFault, Asking, Inner, Mark, whoami};

/// The most questions at once, over all workers, about sessions that were somebody's lately; they may take the room of the
/// others too. Those who wait for one are requests, which have a limit of their own.
const MOST_KNOWN: usize = 32;
/// The most about all others: anybody can cause one.
const MOST_OTHERS: usize = 32;

const BUSY: AppSessionFault = AppSessionFault::Unvouched("too many questions are under way");
const BROKEN_OFF: AppSessionFault = AppSessionFault::Unvouched("the question was broken off");

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

type Said = Result<Option<Arc<Principal>>, AppSessionFault>;

/// A question that is under way.
#[derive(Clone, Debug)]
struct Question {
    /// Later ones have higher numbers.
    number: u64,
    /// Its cookies, since it was asked.
    watch: Watch,
    at: Duration,
    saying: watch::Receiver<Option<Said>>,
}

/// The questions.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Mutex<Open>,
    room: Room,
}

#[derive(Debug, Default)]
struct Open {
    questions: HashMap<Mark, Question>,
    /// How many were asked.
    asked: u64,
}

impl Calls {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many questions there may be.
#[derive(Debug)]
struct Room {
    known: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self { known: of(MOST_KNOWN), others: of(MOST_OTHERS) }
    }
}

impl Room {
    /// For one about a session that was somebody's lately (`known`), or about another.
    fn take(&self, known: bool) -> Result<OwnedSemaphorePermit, AppSessionFault> {
        let kept = known.then(|| Arc::clone(&self.known).try_acquire_owned().ok()).flatten();
        match kept {
            Some(room) => Ok(room),
            None => Arc::clone(&self.others).try_acquire_owned().map_err(|_| BUSY),
        }
    }
}

/// Whose `session` is, and when that was asked (monotone): from memory, from a question that is under way, or by asking.
pub(super) async fn who(inner: &Arc<Inner>, asking: &Asking<'_>, session: Session) -> Result<Asked, AppSessionFault> {
    let before = inner.calls.open().asked;
    loop {
        if let Some(known) = inner.memory.recall(session.mark, asking.now, asking.whoami.remember) {
            return Ok(known);
        }
        let mut question = ask(inner, asking, &session)?;
        let said = question.saying.wait_for(Option::is_some).await.map_err(|_| BROKEN_OFF)?.clone();
        // INVARIANT: this comes to an end. A question is no longer under way when it is answered, so the next one is later.
        if question.number > before || question.watch.holds() {
            return said.ok_or(BROKEN_OFF)?.map(|who| (who, question.at));
        }
    }
}

/// The question about `session` that is under way, or a new one.
fn ask(inner: &Arc<Inner>, asking: &Asking<'_>, session: &Session) -> Result<Question, AppSessionFault> {
    let known = inner.memory.was_somebodys(session.mark);
    let mut open = inner.calls.open();
    if let Some(question) = open.questions.get(&session.mark) {
        return Ok(question.clone());
    }
    let room = inner.calls.room.take(known)?;
    let (say, saying) = watch::channel(None);
    open.asked = open.asked.saturating_add(1);
    let watch = inner.memory.watch(&session.parts);
    let at = asking.now;
    let question = Question { number: open.asked, watch: watch.clone(), at, saying };
    open.questions.insert(session.mark, question.clone());
    drop(open);
    let under_way = UnderWay { inner: Arc::clone(inner), mark: session.mark };
    let (target, pool, whoami) = (asking.target.clone(), asking.pool.clone(), Arc::clone(asking.whoami));
    let session = session.clone();
    tokio::spawn(async move {
        let answer = whoami::ask(&target, &pool, &whoami, &session.sent).await;
        let said = answer.and_then(|answer| whoami.reads.principal(answer.as_ref(), session.name.clone()));
        let said = said.map(|who| who.map(Arc::new)).map_err(AppSessionFault::Unvouched);
        if let Ok(who) = &said {
            under_way.inner.memory.remember(session.mark, (watch, at), who.clone());
        }
        // ORDER: remembered before it is no longer under way, so that nobody asks again in between.
        drop(under_way);
        drop(room);
        // Nobody may be left who waits for it.
        say.send_replace(Some(said));
    });
    Ok(question)
}

/// Stands among the open questions until it is dropped, however it ends.
struct UnderWay {
    inner: Arc<Inner>,
    mark: Mark,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner.calls.open().questions.remove(&self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_room_for_those_who_were_known() {
        let room = Room::default();
        let strangers: Vec<_> = (0..MOST_OTHERS).map(|_| room.take(false).unwrap()).collect();
        assert_eq!(room.take(false).unwrap_err(), BUSY);
        let known: Vec<_> = (0..MOST_KNOWN).map(|_| room.take(true).unwrap()).collect();
        assert_eq!(room.take(true).unwrap_err(), BUSY);
        drop(strangers);
        assert!(room.take(true).is_ok(), "what strangers leave free is for everybody");
        drop(known);
    }
}
