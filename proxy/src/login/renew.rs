//! Sessions that the provider vouches for again and again (RFC 6749, section 6; OpenID Connect Core 1.0, section 12).
//!
//! Decides when the provider is asked, and what its answer does to the session: a refusal ends it, and silence ends it when
//! twice the time has passed. Of one session one request asks, and the others wait for it: providers take a refresh token
//! that is used twice for a stolen one. Bounded: [`REMEMBERED`] sessions, [`USED`] answers.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit};

use super::attempt::Purpose;
use super::fault::LoginFault;
use super::session::{self, Session};
use super::{Asks, Login, cookies, exchange};
use crate::authn::{KeyStore, TokenFault};
use crate::clock::Now;
use crate::made_of::MadeOf;
use crate::outbound::Endpoint;

/// The most sessions whose last renewal is remembered, about 4 KiB each, for as long as an old cookie may still be under way.
const REMEMBERED: u64 = 4_096;
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);
/// The most used answers that are remembered, about 100 bytes each.
const USED: u64 = 32_768;
const USED_FOR: Duration = Duration::from_secs(60 * 60);
/// The most sign-ins that are at the provider's token endpoint at once.
const AT_ONCE: usize = 64;
/// After a renewal that failed, the provider is left alone for so many seconds.
const PAUSE: u64 = 30;

/// What a process remembers of sign-ins.
#[derive(Debug)]
pub struct Logins {
    used: LazyLock<Cache<[u8; 32], ()>>,
    renewals: LazyLock<Cache<String, Arc<Mutex<Renewals>>>>,
    room: Semaphore,
}

/// The renewals of one session.
#[derive(Debug, Default)]
struct Renewals {
    /// What came of the last one.
    last: Option<Result<Renewed, LoginFault>>,
    /// When one failed for no fault of the session.
    failed_at: Option<u64>,
}

/// A session with the cookies that it is kept in.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The session.
    pub session: Session,
    /// What the browser is given; empty where nothing has changed.
    pub cookies: Vec<HeaderValue>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            used: LazyLock::new(|| Cache::builder().max_capacity(USED).time_to_live(USED_FOR).build()),
            renewals: LazyLock::new(|| Cache::builder().max_capacity(REMEMBERED).time_to_idle(REMEMBERED_FOR).build()),
            room: Semaphore::new(AT_ONCE),
        }
    }
}

impl Logins {
    /// Room for one sign-in at the provider, as long as it is held.
    pub fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }

    /// Whether an answer with this `state` is the first.
    pub(super) fn is_first(&self, state: &str) -> bool {
        self.used.entry(MadeOf::all([state])).or_insert(()).is_fresh()
    }

    fn of(&self, session: &Session) -> Arc<Mutex<Renewals>> {
        self.renewals.get_with(session.id.clone(), Arc::default)
    }
}

/// What renews a session, as it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renewal {
    /// The session's name: one session's token renews no other.
    #[serde(rename = "i")]
    id: String,
    /// The refresh token.
    #[serde(rename = "t")]
    token: String,
}

impl Login {
    /// The session, renewed where that is due.
    ///
    /// # Errors
    /// [`LoginFault::NotRenewed`], [`LoginFault::Stale`].
    pub async fn fresh(self: &Arc<Self>, asks: &Asks<'_>, session: Session) -> Result<Renewed, LoginFault> {
        let Asks { logins, store, headers, .. } = *asks;
        let now = asks.now.unix_seconds();
        let as_it_is = |session| Renewed { session, cookies: Vec::new() };
        let Some(every) = self.settings.renew.map(|every| every.as_secs()) else { return Ok(as_it_is(session)) };
        let age = now.saturating_sub(session.renewed);
        if age < every {
            return Ok(as_it_is(session));
        }
        let renewals = logins.of(&session).lock_owned().await;
        match &renewals.last {
            // Another request was faster, or this one comes with the cookie of before.
            Some(Ok(done)) if done.session.renewed > session.renewed => {
                let mut done = done.clone();
                // What renews a session again goes to whoever shows what renewed it, and not to a session's cookie alone.
                if self.refresh_token(&session, headers).is_none() {
                    done.cookies.truncate(1);
                }
                return Ok(done);
            }
            Some(Err(fault)) => return Err(*fault),
            Some(Ok(_)) | None => {}
        }
        let rests = renewals.failed_at.is_some_and(|at| now.saturating_sub(at) < PAUSE);
        let outcome = match (rests, self.refresh_token(&session, headers)) {
            (true, _) => Err(LoginFault::Down("it failed a moment ago")),
            (false, None) => return Err(LoginFault::NotRenewed),
            (false, Some(token)) => {
                let at = self.token(asks)?;
                // A task of its own: a client that hangs up must not make us forget the token that the provider changed.
                let asking =
                    Arc::clone(self).ask_for(session.clone(), (at, token), renewals, (Arc::clone(store), asks.now));
                tokio::spawn(asking).await.unwrap_or(Err(LoginFault::Down("the renewal failed")))
            }
        };
        match outcome {
            Err(LoginFault::Down(_)) if age < every.saturating_mul(2) => Ok(as_it_is(session)),
            Err(LoginFault::Down(_)) => Err(LoginFault::Stale),
            outcome => outcome,
        }
    }

    async fn ask_for(
        self: Arc<Self>,
        session: Session,
        (at, token): (Endpoint, String),
        mut renewals: OwnedMutexGuard<Renewals>,
        (store, now): (Arc<KeyStore>, Now),
    ) -> Result<Renewed, LoginFault> {
        let outcome = self.renew(session, (&at, &token), &store, now).await;
        match &outcome {
            Err(LoginFault::Down(_)) => renewals.failed_at = Some(now.unix_seconds()),
            outcome => renewals.last = Some(outcome.clone()),
        }
        outcome
    }

    async fn renew(
        &self,
        session: Session,
        (at, token): (&Endpoint, &str),
        store: &KeyStore,
        now: Now,
    ) -> Result<Renewed, LoginFault> {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let tokens = match self.tokens(at, &grant).await {
            Err(LoginFault::Down(why)) => return Err(LoginFault::Down(why)),
            tokens => tokens.map_err(|_| LoginFault::NotRenewed)?,
        };
        let claims = match &tokens.id_token {
            // Not every provider sends one again; what it said then still holds.
            None => session.claims.clone(),
            Some(id_token) => {
                let verified = self.believed(id_token, store, now).await.map_err(|fault| match fault {
                    TokenFault::NoKeys => LoginFault::Down("its keys are not known"),
                    _ => LoginFault::NotRenewed,
                })?;
                exchange::check(verified.claims(), &tokens, &self.settings.client_id)
                    .map_err(|_| LoginFault::NotRenewed)?;
                session::kept(verified.claims(), &self.settings.mapped)
            }
        };
        // Section 12.2: it is the same person, or it is no renewal.
        if claims.get("sub") != session.claims.get("sub") {
            return Err(LoginFault::NotRenewed);
        }
        let now = now.unix_seconds();
        let session = Session { renewed: now, claims, ..session };
        let cookies = vec![
            self.cookie(&session, now)?,
            self.renewal(&session, tokens.refresh_token.as_deref().unwrap_or(token), now)?,
        ];
        Ok(Renewed { session, cookies })
    }

    fn refresh_token(&self, session: &Session, headers: &HeaderMap) -> Option<String> {
        let text = cookies::find(headers, &self.names().renewal).ok()??;
        let renewal: Renewal = serde_json::from_slice(&self.open(Purpose::Renewal, text)?).ok()?;
        (renewal.id == session.id).then_some(renewal.token)
    }

    /// The cookie of what renews a session.
    pub(super) fn renewal(&self, session: &Session, token: &str, now: u64) -> Result<HeaderValue, LoginFault> {
        let renewal = Renewal { id: session.id.clone(), token: token.to_owned() };
        let plain = serde_json::to_vec(&renewal).map_err(|_| LoginFault::TooLarge)?;
        let text = self.seal(Purpose::Renewal, &plain).ok_or(LoginFault::Down("no randomness"))?;
        let name = &self.names().renewal;
        cookies::set(name, &text, session.ends.saturating_sub(now)).ok_or(LoginFault::TooLarge)
    }
}
