//! The session that the application keeps by itself: whose its cookie is, and who is signed in by it.
//!
//! Decides two things. **Binding**: a session cookie that the application set for a caller whom a credential had proved
//! belongs to that caller (issuer, subject, tenant) from then on, and travels with no other one; a cookie whose setting was
//! not seen belongs to nobody. Without that, the gate would judge one person and the application obey another.
//! **Vouching**, where the configuration names a `whoami`: the application itself is asked whose a cookie is, and its word
//! is remembered briefly. Values of which the application has set one in place of another are one session ([`lineage`]).
//!
//! It remembers no cookie: everything stands under digests with a key that this process has drawn by chance. So what is
//! known here does not outlive the process, and what is not known counts for nothing. Only what is open holds the cookies that it
//! was opened with, to ask whose they are again ([`Vouching`]).

mod again;
mod answer;
mod bindings;
mod calls;
mod carried;
mod cookies;
mod ended;
mod fault;
mod lineage;
mod memory;
mod shares;
mod whoami;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policy::{Principal, SignIn};

pub(crate) use again::{Again, Lost, Vouching};
pub(crate) use answer::{Reads, TenantFrom};
use bindings::Bindings;
pub(crate) use bindings::{Belongs, Owner, Scope};
use calls::{Calls, Session};
pub(crate) use carried::Carried;
pub(crate) use cookies::{Held, held, is_clear, sift, values};
use ended::Ended;
pub use fault::AppSessionFault;
use lineage::{Lineage, Value};
pub(crate) use memory::LONGEST;
use memory::Memory;
pub(crate) use whoami::Whoami;

use crate::clock::Now;
use crate::set_cookie::removal;
use crate::upstream::{AppTarget, Pool};

/// The most session cookies that a configuration can name.
pub(crate) const MOST_COOKIES: usize = 8;

/// The name of the application where it vouches for a caller, in the log and the record.
pub(crate) const PROVIDER: &str = "app";

/// What the configuration says of the application's session.
#[derive(Clone, Debug)]
pub struct AppSession {
    /// The application's names of the cookies by which it knows a person again.
    pub(crate) cookies: Vec<String>,
    /// How to ask the application whose they are; `None`: they prove nobody.
    pub(crate) whoami: Option<Arc<Whoami>>,
}

impl AppSession {
    /// What a request holds under each of the names.
    pub(crate) fn carried(&self, headers: &HeaderMap) -> Carried {
        let cookies = self.cookies.iter().map(|name| (name.clone(), held(headers, name))).collect();
        Carried { cookies, path: "/".into() }
    }
}

/// A keyed digest of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Mark([u8; 16]);

impl Mark {
    fn of(digest: &[u8]) -> Self {
        let mut mark = [0; 16];
        mark.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self(mark)
    }
}

/// What is known of the application's sessions: once per process, whatever the number of workers.
#[derive(Debug)]
pub struct AppSessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: hmac::Key,
    /// The tables are made with the first cookie: most gates see none, and each holds memory from its beginning.
    bindings: LazyLock<Bindings>,
    ended: LazyLock<Ended>,
    lineage: LazyLock<Lineage>,
    memory: LazyLock<Memory>,
    calls: Calls,
}

impl Inner {
    /// A digest over `parts`, each led by its length, so that no two lists share one by where they are cut.
    fn mark<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Mark::of(context.sign().as_ref())
    }

    /// As it is written.
    fn spelt(&self, name: &str, value: &str) -> Mark {
        self.mark([&b"spelt"[..], name.as_bytes(), value.as_bytes()])
    }

    /// Spellings that readers take for one value are one cookie.
    fn of_cookie(&self, name: &str, value: &str) -> Mark {
        self.mark([&b"cookie"[..], name.as_bytes(), &cookies::plain(value)])
    }

    fn value(&self, name: &str, value: &str) -> Value {
        Value { cookie: self.of_cookie(name, value), own: lasting(name, value) }
    }

    fn has_ended(&self, value: Value) -> bool {
        self.ended.holds(value.cookie) || self.ended.holds(self.lineage.of(value).root)
    }
}

/// Whom the application knows by a session.
pub(crate) struct Vouched {
    /// With the name of the session, which is the same for all its values and another for each person.
    pub(crate) principal: Arc<Principal>,
    /// Whether the application was seen setting its cookie. If not, the session is also one with all such of the person.
    pub(crate) seen: bool,
}

/// Who asks whose a session is, and how.
pub(crate) struct Asking<'a> {
    /// The way to the application.
    pub(crate) target: &'a AppTarget,
    /// The connections to it.
    pub(crate) pool: &'a Pool,
    /// What is asked.
    pub(crate) whoami: &'a Arc<Whoami>,
    /// Monotone time.
    pub(crate) now: Duration,
}

impl AppSessions {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self(Arc::new(Inner {
            key,
            bindings: LazyLock::new(Bindings::default),
            ended: LazyLock::new(Ended::default),
            lineage: LazyLock::new(Lineage::default),
            memory: LazyLock::new(Memory::default),
            calls: Calls::default(),
        })))
    }

    /// Who a caller is, as cookies are bound: by issuer, subject, and the tenants that the credential is for. Most are for
    /// one; where one is for several, the session is the same in all of them.
    pub(crate) fn owner(&self, caller: &Principal) -> Owner {
        let who = ["owner", &caller.issuer, &caller.subject];
        let tenants = caller.bindings.iter().map(|binding| binding.tenant().as_str());
        let whole = self.0.mark(who.into_iter().chain(tenants).map(str::as_bytes));
        Owner { person: self.person(caller), whole: Some(whole) }
    }

    fn person(&self, caller: &Principal) -> Mark {
        self.0.mark(["person", &caller.issuer, &caller.subject].map(str::as_bytes))
    }

    /// Whether a cookie belongs to `owner`.
    pub(crate) fn belongs(&self, name: &str, value: &str, owner: Owner) -> Belongs {
        self.0.bindings.of((self.0.of_cookie(name, value), self.0.spelt(name, value)), owner)
    }

    /// Whether the application has set a cookie for somebody in this very spelling, so that nobody else can have made it up.
    pub(crate) fn is_known(&self, name: &str, value: &str) -> bool {
        self.0.bindings.is_spelt((self.0.of_cookie(name, value), self.0.spelt(name, value)))
    }

    /// Where a browser sends a cookie, as far as that is known.
    pub(crate) fn scope(&self, name: &str, value: &str) -> Scope {
        self.0.bindings.scope(self.0.of_cookie(name, value))
    }

    /// Whether the session of a cookie has ended at the gate.
    pub(crate) fn has_ended(&self, name: &str, value: &str) -> bool {
        self.0.has_ended(self.0.value(name, value))
    }

    /// Ends the session of a cookie with all its values for the caller `by`: it is nobody's any more, and passes nowhere. `now` is
    /// monotone time.
    pub(crate) fn end(&self, name: &str, value: &str, by: Owner, now: Duration) {
        let value = self.0.value(name, value);
        self.0.ended.end(value.cookie, by.person, now);
        self.0.ended.end(self.0.lineage.of(value).root, by.person, now);
        self.0.bindings.forget(value.cookie);
        self.0.memory.forget([value.cookie]);
    }

    /// What of `carried` has not ended, and whether anything has.
    pub(crate) fn living(&self, carried: Carried) -> (Carried, bool) {
        let mut ended = false;
        let each = carried.cookies.into_iter().map(|(name, held)| match held {
            Held::Once(value) if self.has_ended(&name, &value) => {
                ended = true;
                (name, Held::Absent)
            }
            Held::Absent | Held::Once(_) | Held::Repeated => (name, held),
        });
        let living = Carried { cookies: each.collect(), path: carried.path };
        (living, ended)
    }

    /// The session of a request, to ask whose it is; `None` where it does not hold the first of the cookies.
    ///
    /// # Errors
    /// Where one stands twice, or the first can be read in two ways.
    pub(crate) fn session(&self, whoami: &Whoami, carried: &Carried) -> Result<Option<Session>, AppSessionFault> {
        let Some((first, value)) = carried.first()? else { return Ok(None) };
        let sent = format!("{first}={value}");
        let value = self.0.value(first, value);
        let generation = whoami.generation.to_be_bytes();
        let mark = self.0.mark([&b"session"[..], &generation, sent.as_bytes()]);
        Ok(Some(Session { mark, parts: [value.cookie].into(), sent, name: hex(value.own), value }))
    }

    /// Whether one of these cookies was set for a caller whom something else than the application proved: without that, it is
    /// nobody's.
    pub(crate) fn is_bound(&self, carried: &Carried) -> bool {
        carried.once().any(|(name, value)| self.0.bindings.owner(self.0.of_cookie(name, value)).is_some())
    }

    /// Whether the application said of this session lately that it is somebody's.
    pub(crate) fn was_somebodys(&self, session: &Session) -> bool {
        self.0.memory.was_somebodys(session.mark)
    }

    /// Whom the application knew by this session when it was asked lately, if anybody.
    pub(crate) fn recalled(&self, whoami: &Whoami, session: &Session, now: Duration) -> Option<Vouched> {
        let (who, _) = self.0.memory.recall(session.mark, now, whoami.remember)?;
        self.named(session.value, who)
    }

    /// Whom the application knows by this session, if it is anybody.
    ///
    /// # Errors
    /// Where the application gives no answer that can be read.
    pub(crate) async fn vouched(
        &self,
        asking: &Asking<'_>,
        session: Session,
    ) -> Result<Option<Vouched>, AppSessionFault> {
        let value = session.value;
        let (who, _) = calls::who(&self.0, asking, session).await?;
        Ok(self.named(value, who))
    }

    /// Gives a session the name that its end goes by.
    fn named(&self, value: Value, who: Option<Arc<Principal>>) -> Option<Vouched> {
        let line = self.0.lineage.said(value, who.as_deref().map(|who| self.person(who)));
        let who = who?;
        let session = Some(format!("{}.{}", hex(line.root), who.subject));
        let sign_in = SignIn { session, ..who.sign_in.clone() };
        Some(Vouched { principal: Arc::new(Principal { sign_in, ..(*who).clone() }), seen: line.seen })
    }

    /// Takes note of what the application's answer does to the session of a request that held `carried`, begun at `asked`.
    /// `owner` is whom a credential had proved that is not the application's own.
    ///
    /// Whether it took back the session that the request came with.
    ///
    /// ORDER: before the answer leaves, so that no request that comes with the new cookie is ahead of this.
    pub(crate) fn answered(
        &self,
        carried: &Carried,
        owner: Option<Owner>,
        is_safe: bool,
        headers: &HeaderMap,
        asked: Now,
    ) -> bool {
        let mut signed_out = false;
        if !is_safe {
            self.may_have_changed(carried);
        }
        if cookies::clears_all(headers) {
            for (name, value) in carried.once() {
                signed_out = true;
                let old = self.0.value(name, value);
                self.0.memory.forget([old.cookie]);
                self.take_back(old);
            }
        }
        let now = asked.unix_seconds();
        let read = |line| cookies::Set::read(line, &carried.path, now);
        for line in headers.get_all(SET_COOKIE).iter().filter_map(read) {
            if carried.iter().any(|(name, _)| name == line.name) {
                signed_out |= line.taken_back && carried.once().any(|(name, _)| name == line.name);
                self.set(carried, owner, line, asked.monotone);
            }
        }
        signed_out
    }

    /// A request with these cookies may have changed whose session it is: signing in and out need not change the cookie.
    pub(crate) fn may_have_changed(&self, carried: &Carried) {
        self.0.memory.forget(carried.once().map(|(name, value)| self.0.of_cookie(name, value)));
    }

    fn take_back(&self, old: Value) {
        self.0.bindings.forget(old.cookie);
        self.0.lineage.said(old, None);
    }

    fn set(&self, carried: &Carried, owner: Option<Owner>, line: cookies::Set<'_>, asked: Duration) {
        let Inner { bindings, ended, lineage, memory, .. } = &*self.0;
        let old = carried.once().find(|(name, _)| *name == line.name).map(|(name, value)| self.0.value(name, value));
        let new = self.0.value(line.name, line.value);
        memory.forget(old.into_iter().chain([new]).map(|one| one.cookie));
        if line.taken_back {
            old.into_iter().for_each(|old| self.take_back(old));
            return;
        }
        // INVARIANT: an answer that was on its way when its session ended does not bring the session back, by whatever value.
        if let Some(old) = old.filter(|old| self.0.has_ended(*old)) {
            ended.end(new.cookie, old.cookie, asked);
            return;
        }
        let stays = [new.cookie, lineage.of(new).root].map(|mark| ended.outlasts(mark, asked));
        if stays.contains(&true) {
            return;
        }
        lineage.set(new, old);
        // What takes the place of somebody's cookie is theirs, if it is anybody's: else it would vouch for them by itself.
        let before = old.and_then(|old| bindings.owner(old.cookie));
        let any = || carried.once().find_map(|(name, value)| bindings.owner(self.0.of_cookie(name, value)));
        // Set for nobody, it is never somebody's by being used first.
        if let Some(owner) = owner.or(before).or_else(any) {
            bindings.bind((new.cookie, self.0.spelt(line.name, line.value)), owner, line.scope);
        }
    }
}

/// What the session is called that begins with a cookie: the same after a restart, and by whatever settings the application is
/// asked. Whoever keeps it keeps a digest of that.
fn lasting(cookie: &str, value: &str) -> Mark {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(cookie.as_bytes());
    context.update(b"=");
    context.update(&cookies::plain(value));
    Mark::of(context.finish().as_ref())
}

fn hex(mark: Mark) -> String {
    mark.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What all sessions of a person are called together whose cookies were not seen being set.
pub(crate) fn unseen(subject: &str) -> String {
    format!("unseen.{subject}")
}

/// The line that makes a browser let go of a cookie which the application set with this `scope`.
pub(crate) fn let_go(browser_name: &str, scope: &Scope) -> Option<HeaderValue> {
    removal(browser_name, scope.path.as_deref().unwrap_or("/"), scope.domain.as_deref())
}

/// A table of at most so many entries; the one that was used longest ago goes first. The usual policy would turn newcomers away,
/// who could then not sign in.
fn table<V: Clone + Send + Sync + 'static>(most: u64) -> Cache<Mark, V> {
    Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).build()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
