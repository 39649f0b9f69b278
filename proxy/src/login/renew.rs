//! Sessions that the provider vouches for again and again (RFC 6749, section 6; OpenID Connect Core 1.0, section 12).
//!
//! Decides when the provider is asked, and what its answer does to the session: a refusal ends it, and silence for twice
//! the time lets nobody by until the provider answers. Of one session one request asks, and the others wait for it:
//! providers take a refresh token that is used twice for a stolen one. Nobody waits for long for whom the provider's last
//! word still holds. A cookie of before a renewal stands for the session as it was renewed since, and is held to its times.
//! Bounded: [`REMEMBERED`] sessions, [`USED`] answers.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::attempt::Purpose;
use super::fault::LoginFault;
use super::session::{self, Session};
use super::token_endpoint::TokenEndpoint;
use super::{Asks, Login, cookies, exchange};
use crate::authn::{KeyStore, TokenFault};
use crate::clock::Now;
use crate::made_of::MadeOf;
use crate::places::{Bounds, Place, Places, Sender};

/// The most sessions whose last renewal is remembered, about 4 KiB each, for as long as an old cookie comes.
const REMEMBERED: u64 = 4_096;
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);
/// The most used answers that are remembered, about 100 bytes each.
const USED: u64 = 32_768;
const USED_FOR: Duration = Duration::from_secs(60 * 60);
/// How many sign-ins are at the provider's token endpoint at once. Nobody is known who signs in.
const SIGNING_IN: Bounds = Bounds { all: 64, strangers: 64, caller: 0, site: 16, network: 32 };
/// After a renewal that failed, the provider is left alone for so many seconds.
const PAUSE: u64 = 30;
/// How long a request waits for a renewal while the provider's last word holds.
const PATIENCE: Duration = Duration::from_secs(2);
/// After how long a renewal is slow: no request that comes then waits for it, while that word holds.
const SLOW: Duration = Duration::from_secs(1);

/// What a process remembers of sign-ins.
#[derive(Debug)]
pub struct Logins {
    used: LazyLock<Cache<[u8; 32], ()>>,
    renewals: LazyLock<Cache<String, OfSession>>,
    room: Places,
}

/// What is remembered of one session.
#[derive(Clone, Debug, Default)]
struct OfSession {
    renewals: Arc<Mutex<Renewals>>,
    /// Whether the renewal that is under way takes long: written by itself alone.
    is_slow: Arc<AtomicBool>,
}

/// The renewals of one session.
#[derive(Debug, Default)]
struct Renewals {
    /// What came of the last one.
    last: Option<Result<Known, LoginFault>>,
    /// When one failed for no fault of the session.
    failed_at: Option<u64>,
}

/// A session as the provider last vouched for it, and what renews it next, as far as that is known.
#[derive(Clone, Debug)]
struct Known {
    session: Session,
    token: Option<RefreshToken>,
}

/// A refresh token. It is never shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RefreshToken(pub(super) String);

impl fmt::Debug for RefreshToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("RefreshToken")
    }
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
            room: Places::new(SIGNING_IN),
        }
    }
}

impl Logins {
    /// Room for one sign-in at the provider by somebody at an address, as long as it is held.
    pub(crate) fn room(&self, address: IpAddr) -> Option<Place> {
        self.room.take(Sender::Stranger(address))
    }

    /// Whether an answer with this `state` is the first.
    pub(super) fn is_first(&self, state: &str) -> bool {
        self.used.entry(MadeOf::all([state])).or_insert(()).is_fresh()
    }

    fn of(&self, session: &Session) -> OfSession {
        self.renewals.get_with(session.id.clone(), OfSession::default)
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
    token: RefreshToken,
}

impl Login {
    /// The session of a cookie as it counts now, renewed where that is due.
    ///
    /// # Errors
    /// [`LoginFault::NotRenewed`], [`LoginFault::Stale`].
    pub async fn fresh(self: &Arc<Self>, asks: &Asks<'_>, shown: Session) -> Result<Renewed, LoginFault> {
        let now = asks.now.unix_seconds();
        if !self.is_due(&shown, now) {
            return Ok(Renewed { session: shown, cookies: Vec::new() });
        }
        let of_session = asks.logins.of(&shown);
        if now >= self.holds_until(&shown) {
            return self.due(asks, shown, of_session).await;
        }
        // INVARIANT: nobody gets by a later word of the provider's so: a renewal is under way only when the last one is due for the
        // next, and by then a cookie of before that holds no more.
        let patience = if of_session.is_slow.load(Ordering::Acquire) { Duration::ZERO } else { PATIENCE };
        if let Ok(renewed) = timeout(patience, self.due(asks, shown.clone(), of_session)).await {
            return renewed;
        }
        // What comes of it is remembered, for the next request.
        Ok(Renewed { session: shown, cookies: Vec::new() })
    }

    /// A session for which the provider is to be asked, as it counts once that is done.
    async fn due(
        self: &Arc<Self>,
        asks: &Asks<'_>,
        shown: Session,
        of_session: OfSession,
    ) -> Result<Renewed, LoginFault> {
        let (now, headers) = (asks.now.unix_seconds(), asks.headers);
        let OfSession { renewals, is_slow } = of_session;
        let renewals = renewals.lock_owned().await;
        let was_renewed_at = shown.renewed;
        let token = self.refresh_token(&shown, headers);
        let mut known = renewals.last_of(Known { session: shown, token })?;
        if self.is_due(&known.session, now) {
            known = match self.ask(asks, known.clone(), (renewals, is_slow)).await {
                // Silence is no refusal, for a while.
                Err(LoginFault::Down(_)) => known,
                outcome => outcome?,
            };
        }
        // INVARIANT: nobody passes by a session that the provider has not vouched for lately enough, whoever remembers it.
        if now >= self.holds_until(&known.session) {
            return Err(LoginFault::Stale);
        }
        let cookies = if known.session.renewed == was_renewed_at { Vec::new() } else { self.kept_in(&known, now)? };
        Ok(Renewed { session: known.session, cookies })
    }

    /// Whether the provider is to be asked whether it still vouches for a session.
    fn is_due(&self, session: &Session, now: u64) -> bool {
        self.settings.renew.is_some_and(|every| now.saturating_sub(session.renewed) >= every.as_secs())
    }

    /// Asks the provider, unless it failed a moment ago, and remembers what it says.
    async fn ask(
        self: &Arc<Self>,
        asks: &Asks<'_>,
        known: Known,
        (mut renewals, is_slow): (OwnedMutexGuard<Renewals>, Arc<AtomicBool>),
    ) -> Result<Known, LoginFault> {
        let now = asks.now;
        if renewals.failed_at.is_some_and(|at| now.unix_seconds().saturating_sub(at) < PAUSE) {
            return Err(LoginFault::Down("it failed a moment ago"));
        }
        let Known { session, token } = known;
        let token = token.ok_or(LoginFault::NotRenewed)?;
        let (login, at, store) = (Arc::clone(self), self.token(asks)?, Arc::clone(asks.store));
        // A task of its own: whoever hangs up, or waits no more, must not make us forget the token that the provider changed.
        let asking = tokio::spawn(async move {
            let mut renewing = std::pin::pin!(login.renew(session, (&at, token), &store, now));
            let outcome = match timeout(SLOW, &mut renewing).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    is_slow.store(true, Ordering::Release);
                    renewing.await
                }
            };
            is_slow.store(false, Ordering::Release);
            match &outcome {
                Err(LoginFault::Down(_)) => renewals.failed_at = Some(now.unix_seconds()),
                outcome => renewals.last = Some(outcome.clone()),
            }
            outcome
        });
        asking.await.unwrap_or(Err(LoginFault::Down("the renewal failed")))
    }

    async fn renew(
        &self,
        session: Session,
        (at, token): (&TokenEndpoint, RefreshToken),
        store: &KeyStore,
        now: Now,
    ) -> Result<Known, LoginFault> {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token.0.as_str())];
        let tokens = match self.tokens(at, &grant).await {
            Err(LoginFault::Down(why)) => return Err(LoginFault::Down(why)),
            tokens => tokens.map_err(|_| LoginFault::NotRenewed)?,
        };
        let session = match &tokens.id_token {
            // Not every provider sends one again; what it said then still holds.
            None => Session { renewed: now.unix_seconds(), ..session },
            Some(id_token) => {
                let verified = self.believed(id_token, store, now).await.map_err(|fault| match fault {
                    TokenFault::NoKeys => LoginFault::Down("its keys are not known"),
                    _ => LoginFault::NotRenewed,
                })?;
                exchange::check(verified.claims(), &tokens, &self.settings.client_id)
                    .map_err(|_| LoginFault::NotRenewed)?;
                let claims = session::kept(verified.claims(), &self.settings.mapped);
                session.renewed(claims, &self.settings.id_tokens, now.unix_seconds()).ok_or(LoginFault::NotRenewed)?
            }
        };
        Ok(Known { session, token: Some(tokens.refresh_token.unwrap_or(token)) })
    }

    /// What renews a session, where the browser shows it.
    fn refresh_token(&self, session: &Session, headers: &HeaderMap) -> Option<RefreshToken> {
        let text = cookies::find(headers, &self.names().renewal).ok()??;
        let renewal: Renewal = serde_json::from_slice(&self.open(Purpose::Renewal, text)?).ok()?;
        (renewal.id == session.id).then_some(renewal.token)
    }

    /// The cookies that a session is kept in.
    fn kept_in(&self, known: &Known, now: u64) -> Result<Vec<HeaderValue>, LoginFault> {
        let mut cookies = vec![self.cookie(&known.session, now)?];
        if let Some(token) = &known.token {
            cookies.push(self.renewal(&known.session, token, now)?);
        }
        Ok(cookies)
    }

    /// The cookie of what renews a session.
    pub(super) fn renewal(&self, session: &Session, token: &RefreshToken, now: u64) -> Result<HeaderValue, LoginFault> {
        let renewal = Renewal { id: session.id.clone(), token: token.clone() };
        let plain = serde_json::to_vec(&renewal).map_err(|_| LoginFault::TooLarge)?;
        let text = self.seal(Purpose::Renewal, &plain).ok_or(LoginFault::Down("no randomness"))?;
        let name = &self.names().renewal;
        cookies::set(name, &text, session.ends.saturating_sub(now)).ok_or(LoginFault::TooLarge)
    }
}

impl Renewals {
    /// The session that a cookie stands for: as it was renewed since, where it is a cookie of before.
    ///
    /// # Errors
    /// Whatever the last renewal ended in, but for the provider's silence.
    fn last_of(&self, shown: Known) -> Result<Known, LoginFault> {
        match &self.last {
            Some(Err(fault)) => Err(*fault),
            // What renews it next goes to whoever shows what renewed it before, and not to a session's cookie alone.
            Some(Ok(last)) if last.session.renewed > shown.session.renewed => {
                Ok(Known { session: last.session.clone(), token: shown.token.and_then(|_| last.token.clone()) })
            }
            Some(Ok(_)) | None => Ok(shown),
        }
    }
}
