//! What is open at this moment on behalf of somebody: answers on their way, streams of events, WebSockets, over all workers.
//!
//! Decides nothing: it lets whoever does (`pipeline/again.rs`) find every one and cut it, wherever it runs. One is
//! open from the moment that the request is sure to be recorded until its last byte; dropped, it leaves the list by itself.
//! There are never more than requests and connections may be (`limits`).

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Method};
use policy::{Principal, SessionTerms};

use super::key::Key;
use super::life::Fault;
use crate::runtime::Runtime;
use crate::server::Connection;

/// Into how many parts the list is divided, each with a lock of its own.
const PARTS: usize = 16;

/// Why a stream was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its session has ended, for this reason.
    Session(Fault),
    /// Its credential has expired, or is not believed any more.
    Credential,
    /// The policy or the provider is another, and would not let it begin now.
    Policy,
}

impl Cut {
    /// All of them, for metrics.
    pub(crate) const ALL: [Cut; 8] = [
        Cut::Session(Fault::Idle),
        Cut::Session(Fault::Absolute),
        Cut::Session(Fault::Ended),
        Cut::Session(Fault::Revoked),
        Cut::Session(Fault::Forgotten),
        Cut::Session(Fault::Nameless),
        Cut::Credential,
        Cut::Policy,
    ];

    /// One word, for metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Cut::Session(fault) => fault.word(),
            Cut::Credential => "credential",
            Cut::Policy => "policy",
        }
    }

    fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|one| *one == self);
        at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(u8::MAX)
    }

    fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Who vouched for the caller of a stream: what has to hold on for the stream to.
#[derive(Debug)]
pub(crate) enum Vouched {
    /// The provider with these settings.
    Token {
        /// Their number.
        generation: u64,
        /// How far its clock may be from ours, in seconds.
        leeway_s: u64,
    },
    /// The application, asked by these settings.
    AppSession {
        /// Their number.
        generation: u64,
    },
    /// The certificate of the connection.
    Certificate(Arc<Connection>),
}

/// What was asked, as far as a policy can look at it again. Of the headers only those that the policies read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: IpAddr,
}

/// One thing that is open.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) principal: Arc<Principal>,
    /// When its caller signed in last, where that is known and believable.
    pub(crate) at: Option<u64>,
    pub(crate) vouched: Vouched,
    pub(crate) session: Option<Key>,
    /// The digests of its subject and its credential, made when they are asked for.
    pub(crate) others: OnceLock<Vec<Key>>,
    pub(crate) asked: Asked,
    /// What is demanded of its session, by the policy that it was judged by last.
    judged: Mutex<Judged>,
    why: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// A judgement of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// By which policy and configuration.
    pub(crate) by: Arc<Runtime>,
    pub(crate) terms: SessionTerms,
}

impl Stream {
    pub(crate) fn new(
        principal: Arc<Principal>,
        at: Option<u64>,
        session: Option<Key>,
        vouched: Vouched,
        asked: Asked,
        judged: Judged,
    ) -> Self {
        Self {
            principal,
            at,
            vouched,
            session,
            others: OnceLock::new(),
            asked,
            judged: Mutex::new(judged),
            why: AtomicU8::new(0),
            waker: Mutex::default(),
        }
    }

    /// Cuts it, once; whoever carries it is woken. False where it was cut before.
    pub(crate) fn cut(&self, why: Cut) -> bool {
        if self.why.compare_exchange(0, why.number(), Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// The judgement that counts.
    pub(crate) fn judged(&self) -> Judged {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a new one.
    pub(crate) fn judge(&self, judged: Judged) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged;
    }

    fn why(&self) -> Option<Cut> {
        Cut::numbered(self.why.load(Ordering::Acquire))
    }
}

/// The list of all of them.
#[derive(Debug)]
pub(crate) struct Open {
    parts: Vec<Mutex<HashMap<u64, Arc<Stream>>>>,
    next: AtomicU64,
}

impl Default for Open {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), next: AtomicU64::new(0) }
    }
}

type Part = HashMap<u64, Arc<Stream>>;

impl Open {
    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| locked(part).len()).sum()
    }

    /// Lists one for as long as the answer lives.
    pub(crate) fn list(self: &Arc<Self>, stream: Stream) -> Held {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(stream);
        if let Some(mut part) = self.part(number) {
            part.insert(number, Arc::clone(&stream));
        }
        Held { stream, number, open: Arc::clone(self) }
    }

    /// All that are open now.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        self.parts.iter().flat_map(|part| locked(part).values().cloned().collect::<Vec<_>>()).collect()
    }

    fn part(&self, number: u64) -> Option<MutexGuard<'_, Part>> {
        let at = usize::try_from(number % PARTS as u64).ok()?;
        self.parts.get(at).map(locked)
    }
}

fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the list. Whoever carries the stream holds it, and asks it whether to go on.
#[derive(Debug)]
pub(crate) struct Held {
    stream: Arc<Stream>,
    number: u64,
    open: Arc<Open>,
}

impl Held {
    /// Ready once it has to end. One asks at a time: the last who asked is woken.
    pub(crate) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        if let Some(why) = self.stream.why() {
            return Poll::Ready(why);
        }
        {
            let mut waker = self.stream.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if !waker.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        // ORDER: once more behind the waker, so that a cut between the two is not slept through.
        self.stream.why().map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether this is that stream.
    pub(crate) fn is(&self, stream: &Arc<Stream>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }

    /// Waits until it has to end.
    pub(crate) async fn cut(&self) -> Cut {
        poll_fn(|cx| self.poll_cut(cx)).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut part) = self.open.part(self.number) {
            part.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_word_and_comes_back_from_its_number() {
        let mut words: Vec<_> = Cut::ALL.iter().map(|cut| cut.word()).collect();
        for cut in Cut::ALL {
            assert_eq!(Cut::numbered(cut.number()), Some(cut));
        }
        for fault in Fault::ALL {
            assert!(Cut::ALL.contains(&Cut::Session(fault)));
        }
        assert_eq!(Cut::numbered(0), None);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Cut::ALL.len());
    }
}
