//! Sessions: which have ended, how long the others last, and what is open in them; once per process, for all workers.
//!
//! A session is the sign-in behind a credential, as whoever vouches names it: all tabs of a browser and all tokens that are
//! renewed from one sign-in are one session. It decides whether one lasts ([`life`]) and remembers it ([`store`]); it never
//! reads a request, and it keeps no name of anybody, but keyed digests ([`key`]).

pub mod ends;
mod entry;
pub(crate) mod heard;
mod journal;
mod keeper;
pub mod key;
pub mod life;
mod memory;
pub mod name;
pub(crate) mod open;
mod revocation;
pub mod store;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use policy::Principal;
use tokio::sync::watch;
use tokio::time::timeout;

use ends::Ends;
use heard::Heard;
pub(crate) use journal::Journal;
pub use journal::StateError;
pub(crate) use keeper::Keeper;
use key::{Digester, Key, Kind};
use life::{Fault, KEPT_S};
pub use memory::Memory;
use moka::sync::Cache;
use name::Name;
use open::{Cut, Open};
pub use revocation::{NotRevoked, Revocation, What};
use store::{Store, Unreachable};

/// The sessions of a process.
#[derive(Debug)]
pub struct Sessions {
    digester: Digester,
    store: Arc<dyn Store>,
    /// The same store, for what only one in memory can tell.
    memory: Arc<Memory>,
    ends: Ends,
    /// Sessions in whose place the same browser began another one a moment ago.
    replaced: LazyLock<Cache<Key, ()>>,
    open: Arc<Open>,
    heard: Heard,
    /// Counts ends, so that whoever sweeps sees that there is something new.
    news: AtomicU64,
    /// Requests that were refused, by the reason.
    refused: [AtomicU64; Fault::ALL.len()],
    /// Streams that were cut, by the reason.
    cut: [AtomicU64; Cut::ALL.len()],
    /// How sessions were ended: by logging out, by a provider, by hand.
    ended: [AtomicU64; EndedBy::ALL.len()],
    /// Why the state or the file of revocations is not what it should be; empty while all is well.
    trouble: arc_swap::ArcSwap<Trouble>,
    /// The file of revocations.
    revoked: arc_swap::ArcSwapOption<PathBuf>,
    /// How many sessions it names that go by another name here, if they are known at all.
    unknown: AtomicUsize,
    /// Whoever writes the state, where that is written.
    writer: Option<Writer>,
}

/// The way to the thread that writes the state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) ask: SyncSender<()>,
    pub(crate) written: watch::Receiver<u64>,
}

/// The most sessions of which is known that their browser has another one by now, about 100 bytes each, and for how long:
/// longer than a request takes that was under way. One that is forgotten has ended like any other.
const REPLACED: u64 = 16_384;
const REPLACED_FOR: Duration = Duration::from_secs(5 * 60);
/// How long an end may take to reach the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with the files of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The state directory cannot be written.
    pub state: Option<String>,
    /// The file of revocations cannot be read: the last good one counts.
    pub revoked: Option<String>,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The caller.
    Logout,
    /// The provider (back-channel logout).
    Provider,
    /// Somebody at the control socket.
    Control,
}

impl EndedBy {
    /// All of them.
    pub const ALL: [EndedBy; 3] = [EndedBy::Logout, EndedBy::Provider, EndedBy::Control];

    /// One word, for metrics.
    pub fn word(self) -> &'static str {
        match self {
            EndedBy::Logout => "logout",
            EndedBy::Provider => "provider",
            EndedBy::Control => "control",
        }
    }
}

impl Sessions {
    /// Sessions that are kept under this secret, and written down by `writer`.
    pub(crate) fn new(secret: &[u8; 32], writer: Option<Writer>) -> Self {
        let memory = Arc::new(Memory::new(writer.is_some()));
        Self {
            digester: Digester::new(secret),
            store: Arc::clone(&memory) as Arc<dyn Store>,
            memory,
            ends: Ends::new(writer.is_some()),
            replaced: LazyLock::new(|| Cache::builder().max_capacity(REPLACED).time_to_live(REPLACED_FOR).build()),
            open: Arc::default(),
            heard: Heard::default(),
            news: AtomicU64::new(0),
            refused: Default::default(),
            cut: Default::default(),
            ended: Default::default(),
            trouble: arc_swap::ArcSwap::default(),
            revoked: arc_swap::ArcSwapOption::empty(),
            unknown: AtomicUsize::new(0),
            writer,
        }
    }

    /// The lives of sessions.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What providers have said already.
    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// What is open.
    pub(crate) fn open(&self) -> &Arc<Open> {
        &self.open
    }

    /// The digest of a caller's session; `None` where the credential names none.
    pub(crate) fn key_of(&self, principal: &Principal) -> Option<Key> {
        let session = principal.sign_in.session.as_ref()?;
        Some(self.digester.key(Kind::Session, &principal.issuer, session))
    }

    /// The digest of the provider's session behind one that the gate made; `None` where there is none, or where its credential
    /// tells no time of sign-in, so that nothing could bring it back once it has ended.
    pub(crate) fn key_at_provider(&self, principal: &Principal) -> Option<Key> {
        let (name, _) = principal.sign_in.at_provider.as_ref().zip(principal.sign_in.at)?;
        Some(self.digester.key(Kind::Session, &principal.issuer, name))
    }

    /// What the record calls the session of a caller: by the name that its provider gave it, where it gave one, so that all
    /// credentials of one session are one there; else by the gate's own. `None` where the credential names none.
    pub(crate) fn name_of(&self, principal: &Principal) -> Option<Name> {
        let session = principal.sign_in.at_provider.as_ref().or(principal.sign_in.session.as_ref())?;
        Some(self.name(self.digester.key(Kind::Session, &principal.issuer, session)))
    }

    /// What the record calls the session with this digest.
    pub(crate) fn name(&self, key: Key) -> Name {
        self.digester.name(key)
    }

    /// The digest of a name.
    pub(crate) fn key(&self, kind: Kind, issuer: &str, name: &str) -> Key {
        self.digester.key(kind, issuer, name)
    }

    /// The digests of a caller's subject, of the credential where it has a name, of the session where its provider has
    /// another name for it than the gate, and of all that the subject has without a session where its provider names none.
    pub(crate) fn others_of(&self, principal: &Principal) -> Vec<Key> {
        let subject = self.digester.key(Kind::Subject, &principal.issuer, &principal.subject);
        let credential = principal.sign_in.credential.as_ref();
        let credential = credential.map(|name| self.digester.key(Kind::Credential, &principal.issuer, name));
        let at_provider = principal.sign_in.at_provider.as_ref();
        let at_provider = at_provider.map(|name| self.digester.key(Kind::Session, &principal.issuer, name));
        // The gate's own name of a session is none of the provider's.
        let sign_in = &principal.sign_in;
        let is_nameless = sign_in.at_provider.is_none() && (sign_in.session.is_none() || sign_in.begun.is_some());
        let nameless = is_nameless.then(|| self.digester.key(Kind::Nameless, &principal.issuer, &principal.subject));
        std::iter::once(subject).chain(credential).chain(at_provider).chain(nameless).collect()
    }

    /// Whether anything was revoked at all.
    pub(crate) fn has_revoked(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Whether a caller with these digests stands, who signed in at `at`, in a session that the gate itself `begun` or somebody
    /// else.
    ///
    /// # Errors
    /// [`Fault::Revoked`]; [`Fault::Forgotten`] where ends were lost, and one of them may have been of this sign-in.
    pub(crate) fn stands(
        &self,
        keys: impl Iterator<Item = Key>,
        (at, begun): (Option<u64>, Option<u64>),
        now: u64,
    ) -> Result<(), Fault> {
        if self.ends.is_empty() {
            Ok(())
        } else if self.ends.hold(keys, at, now) {
            Err(Fault::Revoked)
        } else if self.ends.hold_everybody(at.or(begun), now) {
            Err(Fault::Forgotten)
        } else {
            Ok(())
        }
    }

    /// Ends a session for every sign-in up to `at`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) async fn end(&self, key: Key, at: u64, until: u64, by: EndedBy) -> Result<(), Unreachable> {
        self.store.end(key, at, until.max(at.saturating_add(KEPT_S))).get().await?;
        self.count(by);
        Ok(())
    }

    /// Ends a session of the gate's own, in whose place the same browser begins another one.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(crate) async fn replace(&self, key: Key, at: u64, until: u64) -> Result<(), Unreachable> {
        // ORDER: first, so that whoever finds the session ended knows why.
        self.replaced.insert(key, ());
        self.end(key, at, until, EndedBy::Logout).await
    }

    /// Whether the browser of this session has begun another one in its place, a moment ago.
    pub(crate) fn was_replaced(&self, key: Key) -> bool {
        self.replaced.contains_key(&key)
    }

    fn count(&self, by: EndedBy) {
        if let Some(count) = EndedBy::ALL.iter().position(|one| *one == by).and_then(|at| self.ended.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.news.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until what has ended so far is on disk, where anything is written at all.
    ///
    /// # Errors
    /// Where that takes too long or fails: a restart would then forget it.
    pub(crate) async fn durable(&self) -> Result<(), Unreachable> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut written = writer.written.clone();
        // The first one that ends may have begun before.
        for _ in 0..2 {
            let before = *written.borrow_and_update();
            // A full channel is a wish that waits already.
            writer.ask.try_send(()).unwrap_or_default();
            let done = timeout(PATIENCE, written.wait_for(|count| *count != before)).await;
            done.map_err(|_| Unreachable)?.map_err(|_| Unreachable)?;
        }
        Ok(())
    }

    /// Whether ends survive a restart.
    pub(crate) fn is_written(&self) -> bool {
        self.writer.is_some()
    }

    fn prune(&self, now: u64) {
        self.memory.prune(now);
        self.ends.prune(now);
    }

    fn state_trouble(&self, state: Option<String>) {
        if self.trouble.load().state != state {
            self.trouble.rcu(|before| Trouble { state: state.clone(), ..Trouble::clone(before) });
        }
    }

    fn revoked_trouble(&self, revoked: Option<String>) {
        self.trouble.rcu(|before| Trouble { revoked: revoked.clone(), ..Trouble::clone(before) });
    }

    /// Another number with every end since the last.
    pub(crate) fn news(&self) -> u64 {
        self.news.load(Ordering::Acquire)
    }

    /// Counts a request that was refused.
    pub(crate) fn refused(&self, fault: Fault) {
        if let Some(count) = Fault::ALL.iter().position(|one| *one == fault).and_then(|at| self.refused.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a stream that was cut.
    pub(crate) fn was_cut(&self, why: Cut) {
        if let Some(count) = Cut::ALL.iter().position(|one| *one == why).and_then(|at| self.cut.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            known: self.memory.len() as u64,
            crowded: self.memory.crowded() as u64,
            revocations: self.ends.len() as u64,
            unknown: self.unknown.load(Ordering::Relaxed) as u64,
            streams: self.open.len() as u64,
            refused: Fault::ALL.iter().zip(&self.refused).map(|(fault, count)| (fault.word(), of(count))).collect(),
            cut: Cut::ALL.iter().zip(&self.cut).map(|(cut, count)| (cut.word(), of(count))).collect(),
            ended: EndedBy::ALL.iter().zip(&self.ended).map(|(by, count)| (by.word(), of(count))).collect(),
        }
    }

    /// What is wrong with the files.
    pub(crate) fn trouble(&self) -> Arc<Trouble> {
        self.trouble.load_full()
    }
}

/// What sessions count, for metrics and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) known: u64,
    pub(crate) crowded: u64,
    pub(crate) revocations: u64,
    pub(crate) unknown: u64,
    pub(crate) streams: u64,
    pub(crate) refused: Vec<(&'static str, u64)>,
    pub(crate) cut: Vec<(&'static str, u64)>,
    pub(crate) ended: Vec<(&'static str, u64)>,
}

/// Where the files of sessions are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFiles {
    /// The directory for what survives a restart.
    pub state: Option<PathBuf>,
    /// The file of revocations, and what it said when it was read.
    pub revoked: Option<(PathBuf, Vec<Revocation>)>,
}
