//! What is open at this moment on behalf of somebody: answers on their way, streams of events, WebSockets, over all workers.
//!
//! Decides nothing: it lets whoever does (`pipeline/again.rs`) find every one and cut it, wherever it runs. One is
//! open from the moment that the request is sure to be recorded until its last byte, either way; dropped, it leaves the list by itself.
//! There are never more than requests and connections may be (`limits`).

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Method};
use policy::{Principal, SessionTerms, TenantId};
use slab::Slab;

use super::life::Fault;
use crate::app_session::Vouching;
use crate::authn::KeyId;
use crate::directory::Holds;
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
    /// The policy or the provider is another, or the caller is less than before, and it could not begin now.
    Policy,
    /// Its provider has no keys that count.
    Keys,
    /// The directory has not said for too long what its caller is.
    Directory,
    /// The application has not said for too long who its caller is.
    App,
}

impl Cut {
    /// All of them, for metrics.
    pub(crate) const ALL: [Cut; 12] = [
        Cut::Session(Fault::Idle),
        Cut::Session(Fault::Absolute),
        Cut::Session(Fault::Ended),
        Cut::Session(Fault::Replaced),
        Cut::Session(Fault::Revoked),
        Cut::Session(Fault::Forgotten),
        Cut::Session(Fault::Nameless),
        Cut::Credential,
        Cut::Policy,
        Cut::Keys,
        Cut::Directory,
        Cut::App,
    ];

    /// One word, for metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Cut::Session(fault) => fault.word(),
            Cut::Credential => "credential",
            Cut::Policy => "policy",
            Cut::Keys => "keys",
            Cut::Directory => "directory",
            Cut::App => "app",
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
        /// The key that signed the token; `None` for a session that the gate made.
        key: Option<KeyId>,
    },
    /// The gate itself, by the login of this number.
    Login {
        /// It.
        generation: u64,
    },
    /// The application, asked by these settings.
    AppSession {
        /// Their number.
        generation: u64,
        /// What it is asked again.
        vouching: Arc<Vouching>,
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
    /// Who was proved, before a directory spoke.
    pub(crate) principal: Arc<Principal>,
    pub(crate) vouched: Vouched,
    pub(crate) asked: Asked,
    /// The tenant that the application was told; `None`: none.
    pub(crate) told: Option<TenantId>,
    /// How it was judged last.
    judged: Mutex<Judged>,
    why: AtomicU8,
    /// Whoever carries the answer, and whoever carries the request's body.
    wakers: Mutex<[Option<Waker>; 2]>,
    place: Option<Place>,
}

/// A judgement of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// By which policy and configuration.
    pub(crate) by: Arc<Runtime>,
    /// What is demanded of its session.
    pub(crate) terms: SessionTerms,
    /// Its caller, with what a directory has made of who was proved.
    pub(crate) caller: Arc<Principal>,
    /// How long the directory's word counts; `None` where none was asked that could say another one.
    pub(crate) holds: Option<Holds>,
}

impl Stream {
    pub(crate) fn new(
        principal: Arc<Principal>,
        vouched: Vouched,
        (asked, told): (Asked, Option<TenantId>),
        judged: Judged,
    ) -> Self {
        Self {
            principal,
            vouched,
            asked,
            told,
            judged: Mutex::new(judged),
            why: AtomicU8::new(0),
            wakers: Mutex::default(),
            place: None,
        }
    }

    /// Cuts it, once; whoever carries it is woken. False where it was cut before.
    pub(crate) fn cut(&self, why: Cut) -> bool {
        if self.why.compare_exchange(0, why.number(), Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().flatten().for_each(Waker::wake);
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
    parts: Vec<Mutex<Part>>,
    next: AtomicUsize,
}

impl Default for Open {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), next: AtomicUsize::new(0) }
    }
}

/// The list keeps nothing open: whoever carries a stream does.
type Part = Slab<Weak<Stream>>;

impl Open {
    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| locked(part).len()).sum()
    }

    /// Lists one for as long as the answer lives.
    pub(crate) fn list(self: &Arc<Self>, mut stream: Stream) -> Held {
        let part = self.next.fetch_add(1, Ordering::Relaxed) % PARTS;
        let Some(mut places) = self.parts.get(part).map(locked) else {
            return Held { stream: Arc::new(stream), way: Way::Answer };
        };
        let entry = places.vacant_entry();
        stream.place = Some(Place { open: Arc::clone(self), part, number: entry.key() });
        let stream = Arc::new(stream);
        entry.insert(Arc::downgrade(&stream));
        Held { stream, way: Way::Answer }
    }

    /// All that are open now.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        let streams = |part| locked(part).iter().filter_map(|(_, stream)| stream.upgrade()).collect::<Vec<_>>();
        self.parts.iter().flat_map(streams).collect()
    }
}

fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the list, which its stream leaves by itself.
#[derive(Debug)]
struct Place {
    open: Arc<Open>,
    part: usize,
    number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(part) = self.open.parts.get(self.part) {
            locked(part).try_remove(self.number);
        }
    }
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Answer,
    Upload,
}

/// A share of a place in the list. Whoever carries the stream holds one, and asks it whether to go on.
#[derive(Debug)]
pub(crate) struct Held {
    stream: Arc<Stream>,
    way: Way,
}

impl Held {
    /// Ready once it has to end. One asks at a time, each way: the last who asked is woken.
    pub(crate) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        if let Some(why) = self.why() {
            return Poll::Ready(why);
        }
        {
            let [answer, upload] = &mut *self.stream.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            let waker = match self.way {
                Way::Answer => answer,
                Way::Upload => upload,
            };
            if !waker.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        // ORDER: once more behind the waker, so that a cut between the two is not slept through.
        self.why().map_or(Poll::Pending, Poll::Ready)
    }

    /// Why it has to end, where it has.
    pub(crate) fn why(&self) -> Option<Cut> {
        self.stream.why()
    }

    /// A share for the request's body, which may take longer than the answer.
    pub(crate) fn upload(&self) -> Self {
        Self { stream: Arc::clone(&self.stream), way: Way::Upload }
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
