//! The session that the application keeps by itself: whose its cookie is, and who is signed in by it.
//!
//! Decides two things. **Binding**: a session cookie that the application set for a caller whom a credential had proved
//! belongs to that caller (issuer, subject, tenant) from then on, and travels with no other one; a cookie whose setting was
//! not seen belongs to nobody. Without that, the gate would judge one person and the application obey another.
//! **Vouching**, where the configuration names a `whoami`: the application itself is asked whose a cookie is, and its word
//! is remembered briefly.
//!
//! It remembers no cookie: everything stands under digests with a key that this process has drawn by chance. So what is
//! known here does not outlive the process, and what is not known counts for nothing. Only what is open holds the cookies that it
//! was opened with, to ask whose they are again ([`Vouching`]).

mod again;
mod answer;
mod bindings;
mod calls;
mod cookies;
mod ended;
mod fault;
mod memory;
mod shares;
mod whoami;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use policy::Principal;

pub(crate) use again::{Again, Lost, Vouching};
pub(crate) use answer::{Reads, TenantFrom};
use bindings::Bindings;
pub(crate) use bindings::{Belongs, Scope};
use calls::{Calls, Session};
pub(crate) use cookies::{Held, held, sift, values};
use ended::Ended;
pub use fault::AppSessionFault;
pub(crate) use memory::LONGEST;
use memory::Memory;
pub(crate) use whoami::Whoami;

use crate::clock::Now;
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

/// The session cookies of one request, by their names.
#[derive(Debug)]
pub(crate) struct Carried {
    cookies: Vec<(String, Held)>,
    /// What was asked for.
    path: Box<str>,
}

impl Carried {
    /// With the path of the request, as the browser knows it.
    pub(crate) fn to(self, path: &str) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Each name with what stands under it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.cookies.iter().map(|(name, held)| (name.as_str(), held))
    }

    /// What is sent to ask whose they are; `None` where there is none.
    ///
    /// # Errors
    /// Where one stands twice.
    fn as_sent(&self) -> Result<Option<String>, AppSessionFault> {
        let mut pairs = Vec::new();
        for (name, held) in self.iter() {
            match held {
                Held::Absent => {}
                Held::Once(value) => pairs.push(format!("{name}={value}")),
                Held::Repeated => return Err(AppSessionFault::Repeated),
            }
        }
        Ok((!pairs.is_empty()).then(|| pairs.join("; ")))
    }

    fn once(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|(name, held)| match held {
            Held::Once(value) => Some((name, value.as_str())),
            Held::Absent | Held::Repeated => None,
        })
    }
}

/// A keyed digest of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Mark([u8; 16]);

/// What is known of the application's sessions: once per process, whatever the number of workers.
#[derive(Debug)]
pub struct AppSessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: hmac::Key,
    /// The tables are made with the first cookie: most gates see none, and each holds memory from its beginning.
    bindings: LazyLock<Bindings>,
    ended: LazyLock<Ended>,
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
        let mut mark = [0; 16];
        mark.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Mark(mark)
    }

    /// As it is written.
    fn spelt(&self, name: &str, value: &str) -> Mark {
        self.mark([&b"spelt"[..], name.as_bytes(), value.as_bytes()])
    }

    /// Spellings that readers take for one value are one cookie.
    fn of_cookie(&self, name: &str, value: &str) -> Mark {
        self.mark([&b"cookie"[..], name.as_bytes(), &cookies::plain(value)])
    }
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
            memory: LazyLock::new(Memory::default),
            calls: Calls::default(),
        })))
    }

    /// Who a caller is, as cookies are bound: by issuer, subject, and the tenants that the credential is for. Most are for
    /// one; where one is for several, the session is the same in all of them.
    pub(crate) fn owner(&self, caller: &Principal) -> Mark {
        let who = ["owner", &caller.issuer, &caller.subject];
        let tenants = caller.bindings.iter().map(|binding| binding.tenant().as_str());
        self.0.mark(who.into_iter().chain(tenants).map(str::as_bytes))
    }

    /// Whether a cookie belongs to `owner`.
    pub(crate) fn belongs(&self, name: &str, value: &str, owner: Mark) -> Belongs {
        self.0.bindings.of((self.0.of_cookie(name, value), self.0.spelt(name, value)), owner)
    }

    /// Where a browser sends a cookie, as far as that is known.
    pub(crate) fn scope(&self, name: &str, value: &str) -> Scope {
        self.0.bindings.scope(self.0.of_cookie(name, value))
    }

    /// Whether somebody has ended the session of a cookie at the gate.
    pub(crate) fn has_ended(&self, name: &str, value: &str) -> bool {
        self.0.ended.holds(self.0.of_cookie(name, value))
    }

    /// Ends the session of a cookie for the caller `by`: it is nobody's any more, and passes nowhere. `now` is monotone time.
    pub(crate) fn end(&self, name: &str, value: &str, by: Mark, now: Duration) {
        let cookie = self.0.of_cookie(name, value);
        self.0.ended.end(cookie, by, now);
        self.0.bindings.forget(cookie);
        self.0.memory.forget([cookie]);
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

    /// The session of a request, to ask whose it is; `None` where it holds none of the cookies.
    ///
    /// # Errors
    /// Where one stands twice.
    pub(crate) fn session(&self, whoami: &Whoami, carried: &Carried) -> Result<Option<Session>, AppSessionFault> {
        let Some(sent) = carried.as_sent()? else { return Ok(None) };
        // The first of the list names the session. Any other could be added, changed or left out to make it look like another.
        let Some((first, Held::Once(value))) = carried.iter().next() else { return Ok(None) };
        let name = name(first, value);
        let parts: Arc<[Mark]> = carried.once().map(|(name, value)| self.0.of_cookie(name, value)).collect();
        let generation = whoami.generation.to_be_bytes();
        let mark = self.0.mark([&b"session"[..], &generation, sent.as_bytes()]);
        Ok(Some(Session { mark, parts, sent, name }))
    }

    /// Whether one of these cookies was set for a caller whom something else than the application proved: without that, it is
    /// nobody's.
    pub(crate) fn is_bound(&self, carried: &Carried) -> bool {
        carried.once().any(|(name, value)| self.0.bindings.is_bound(self.0.of_cookie(name, value)))
    }

    /// Whether the application said of this session lately that it is somebody's.
    pub(crate) fn was_somebodys(&self, session: &Session) -> bool {
        self.0.memory.was_somebodys(session.mark)
    }

    /// Whom the application knew by this session when it was asked lately, if anybody.
    pub(crate) fn recalled(&self, whoami: &Whoami, session: &Session, now: Duration) -> Option<Arc<Principal>> {
        self.0.memory.recall(session.mark, now, whoami.remember)?.0
    }

    /// Whom the application knows by this session, if it is anybody.
    ///
    /// # Errors
    /// Where the application gives no answer that can be read.
    pub(crate) async fn vouched(
        &self,
        asking: &Asking<'_>,
        session: Session,
    ) -> Result<Option<Arc<Principal>>, AppSessionFault> {
        calls::who(&self.0, asking, session).await.map(|(who, _)| who)
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
        owner: Option<Mark>,
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
                let old = self.0.of_cookie(name, value);
                self.0.memory.forget([old]);
                self.0.bindings.forget(old);
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

    fn set(&self, carried: &Carried, owner: Option<Mark>, line: cookies::Set<'_>, asked: Duration) {
        let old = carried.once().find(|(name, _)| *name == line.name);
        let old = old.map(|(name, value)| self.0.of_cookie(name, value));
        let new = self.0.of_cookie(line.name, line.value);
        self.0.memory.forget(old.into_iter().chain([new]));
        match owner {
            _ if line.taken_back => old.into_iter().for_each(|old| self.0.bindings.forget(old)),
            // INVARIANT: an answer that was on its way when its session ended does not bring the session back.
            _ if self.0.ended.outlasts(new, asked) => {}
            Some(owner) => self.0.bindings.bind((new, self.0.spelt(line.name, line.value)), owner, line.scope),
            // Set for nobody: it stays unknown, and is never somebody's by being used first.
            None => {}
        }
    }
}

/// What a session is known by wherever sessions are ended: the same after a restart, and by whatever settings the application
/// is asked. Whoever keeps it keeps a digest of that.
fn name(cookie: &str, value: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(cookie.as_bytes());
    context.update(b"=");
    context.update(&cookies::plain(value));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The line that makes a browser let go of a cookie which the application set with this `scope`.
pub(crate) fn let_go(browser_name: &str, scope: &Scope) -> Option<HeaderValue> {
    let path = scope.path.as_deref().unwrap_or("/");
    let domain = scope.domain.as_deref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    let line = format!("{browser_name}=; Max-Age=0; Path={path}{domain}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(line).ok()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
