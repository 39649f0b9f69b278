//! Does the application still vouch for whoever has something open?
//!
//! Decides when it is asked again: when its word is as old as it is remembered, and at once where one of the session's cookies was
//! set or taken back, or a request with them may have changed something. Nobody waits for its answer, which counts from the next
//! look on; what it does not answer for longer than [`GRACE`] is over. It asks no more than [`ASKED`] questions at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::Principal;
use tokio::sync::Semaphore;

use super::calls::{self, Session};
use super::memory::{Asked, Watch};
use super::{AppSessions, Asking, Carried, Whoami};
use crate::upstream::{AppTarget, Pool};

/// How long what is open goes on without a word of the application, beyond the time for which the last one is remembered.
pub(crate) const GRACE: Duration = Duration::from_secs(60);
/// The most questions about what is open at once. Those of requests have room beside them.
const ASKED: usize = 16;

/// The way on which the application is asked about what is open.
#[derive(Debug)]
pub(crate) struct Again {
    pool: Pool,
    room: Arc<Semaphore>,
}

impl Default for Again {
    fn default() -> Self {
        Self { pool: Pool::default(), room: Arc::new(Semaphore::new(ASKED)) }
    }
}

/// Why the application vouches no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It says that the session is nobody's, or somebody else's.
    Ended,
    /// It has given no answer for too long.
    Unanswered,
}

/// A session in which something is open. It holds the session's cookies, as the request that opened it did.
#[derive(Debug)]
pub(crate) struct Vouching {
    session: Session,
    last: Mutex<Last>,
}

/// What the application said last.
#[derive(Debug)]
struct Last {
    who: Option<Arc<Principal>>,
    /// When it was asked (monotone), with the session's cookies since; `None`: by the request, and it is not known here.
    asked: Option<(Watch, Duration)>,
    /// From when on nothing is open without another word (monotone).
    until: Duration,
    /// Whether a question is under way.
    asking: bool,
    /// Whether nobody is asked any more: it was the application that ended the session, and its last answer in it.
    is_spared: bool,
}

impl Vouching {
    /// Who the application says is there at `now` (monotone). Where its word does not count any more, it is asked meanwhile.
    ///
    /// # Errors
    /// Where it vouches no more.
    pub(crate) fn who(
        self: &Arc<Self>,
        sessions: &AppSessions,
        (again, target, whoami): (&Again, &AppTarget, &Arc<Whoami>),
        now: Duration,
    ) -> Result<Arc<Principal>, Lost> {
        let mut last = self.last();
        let who = last.who.clone().ok_or(Lost::Ended)?;
        let is_young = |(watch, at): &(Watch, Duration)| now.saturating_sub(*at) < whoami.remember && watch.holds();
        if last.is_spared || last.asked.as_ref().is_some_and(is_young) {
            return Ok(who);
        }
        if now >= last.until {
            return Err(Lost::Unanswered);
        }
        if !last.asking
            && let Ok(place) = Arc::clone(&again.room).try_acquire_owned()
        {
            last.asking = true;
            let (own, sessions, pool) = (Arc::clone(self), AppSessions(Arc::clone(&sessions.0)), again.pool.clone());
            let (target, whoami) = (target.clone(), Arc::clone(whoami));
            tokio::spawn(async move {
                let watch = sessions.0.memory.watch(&own.session.parts);
                let asking = Asking { target: &target, pool: &pool, whoami: &whoami, now };
                let said = calls::who(&sessions.0, &asking, own.session.clone()).await.ok();
                let named = |who| sessions.named(own.session.value, who).map(|vouched| vouched.principal);
                own.heard(said.map(|(who, at)| (named(who), at)), watch, whoami.remember);
                drop(place);
            });
        }
        Ok(who)
    }

    /// Takes note of an answer, with the time of its question; `None` where there is none.
    fn heard(&self, said: Option<Asked>, watch: Watch, remember: Duration) {
        let mut last = self.last();
        last.asking = false;
        let Some((who, at)) = said else { return };
        let same = |one: &Principal, two: &Principal| one.issuer == two.issuer && one.subject == two.subject;
        let before = last.who.take();
        last.who = who.filter(|who| before.is_some_and(|before| same(who, &before)));
        last.asked = Some((watch, at));
        last.until = until(at, remember);
    }

    /// The answer that ends the session arrives, however long that takes.
    pub(crate) fn spare(&self) {
        self.last().is_spared = true;
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn until(at: Duration, remember: Duration) -> Duration {
    at.saturating_add(remember).saturating_add(GRACE)
}

impl AppSessions {
    /// The session of a request that opens something for `who` at `now` (monotone); `None` where it holds none.
    pub(crate) fn vouching(
        &self,
        whoami: &Whoami,
        carried: &Carried,
        who: &Arc<Principal>,
        now: Duration,
    ) -> Option<Vouching> {
        let session = self.session(whoami, carried).ok()??;
        let until = until(now, whoami.remember);
        let last = Last { who: Some(Arc::clone(who)), asked: None, until, asking: false, is_spared: false };
        Some(Vouching { session, last: Mutex::new(last) })
    }

    /// Whether the application was seen setting the cookie in whose session this is open.
    pub(crate) fn is_seen(&self, vouching: &Vouching) -> bool {
        self.0.lineage.of(vouching.session.value).seen
    }

    /// Whether the first of the cookies is of the session in which this is open, by whatever value.
    pub(crate) fn is_of(&self, carried: &Carried, vouching: &Vouching) -> bool {
        let root = |value| self.0.lineage.of(value).root;
        let first = carried.first().ok().flatten();
        first.is_some_and(|(name, value)| root(self.0.value(name, value)) == root(vouching.session.value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::lineage::Value;
    use super::super::memory::Memory;
    use super::super::tests::someone;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn vouching() -> Vouching {
        let value = Value { cookie: Mark([0; 16]), own: Mark([1; 16]) };
        let session = Session {
            name: String::new(),
            mark: Mark([0; 16]),
            parts: Arc::default(),
            sent: "sid=a".to_owned(),
            value,
        };
        let last = Last { who: Some(someone("ada")), asked: None, until: 100 * S, asking: true, is_spared: false };
        Vouching { session, last: Mutex::new(last) }
    }

    #[test]
    fn a_word_counts_from_its_question_and_no_answer_is_no_word() {
        let one = vouching();
        let watch = || Memory::default().watch(&[]);
        let last = |one: &Vouching| {
            let last = one.last();
            (last.who.is_some(), last.asking, last.asked.as_ref().map(|(_, at)| *at), last.until)
        };
        one.heard(None, watch(), 30 * S);
        assert_eq!(last(&one), (true, false, None, 100 * S));
        one.heard(Some((Some(someone("ada")), 50 * S)), watch(), 30 * S);
        assert_eq!(last(&one), (true, false, Some(50 * S), 80 * S + GRACE));
    }

    #[test]
    fn a_session_of_nobody_or_of_somebody_else_is_over_for_good() {
        for said in [None, Some(someone("eve"))] {
            let (one, memory) = (vouching(), Memory::default());
            for said in [said, Some(someone("ada"))] {
                one.heard(Some((said, S)), memory.watch(&[]), 30 * S);
                assert_eq!(one.last().who, None);
            }
        }
    }
}
