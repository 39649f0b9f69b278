//! The way back from the provider: its answer, the code turned into an ID token, and the session that comes of it.
//!
//! Decides whether the answer belongs to a sign-in of this browser, whether it is of the provider that was asked (RFC 9207),
//! and whether the ID token is for this sign-in (OpenID Connect Core 1.0, sections 3.1.2.7 and 3.1.3.7). Nothing that the
//! answer says is shown to anybody.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use policy::Principal;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::attempt::{self, Ask, Attempt};
use super::begin::callback;
use super::count::Count;
use super::fault::LoginFault;
use super::return_path::ReturnPath;
use super::session::{self, Session};
use super::{Asks, Begun, Login, cookies};
use crate::authn::{self, KeyStore, TokenFault, Verified};
use crate::clock::Now;
use crate::outbound::{self, Endpoint, encode};
use crate::pipeline::canonical::form_decoded;

/// The longest value in an answer, in bytes.
const LONGEST: usize = 4_096;
/// The largest answer of a token endpoint, in bytes.
const LARGEST: usize = 64 * 1024;

/// What the provider sent the browser back with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl Answer {
    /// Reads the query of the request that it came with.
    ///
    /// # Errors
    /// [`LoginFault::Answer`] where what counts stands there twice, is no text or too long.
    pub fn read(query: &str) -> Result<Self, LoginFault> {
        let mut answer = Self::default();
        for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let place = match form_decoded(name).as_deref() {
                Some("code") => &mut answer.code,
                Some("state") => &mut answer.state,
                Some("iss") => &mut answer.iss,
                Some("error") => &mut answer.error,
                Some(_) => continue,
                None => return Err(LoginFault::Answer("a name is no text")),
            };
            let value = form_decoded(value).filter(|value| value.len() <= LONGEST);
            if place.replace(value.ok_or(LoginFault::Answer("a value is no text or too long"))?).is_some() {
                return Err(LoginFault::Answer("something stands there twice"));
            }
        }
        Ok(answer)
    }
}

/// What became of an answer.
#[derive(Debug)]
pub enum Finished {
    /// Somebody has signed in.
    Signed(Box<Signed>),
    /// It took too long: the browser begins anew.
    Anew(Box<Begun>),
    /// It took too long, and the page that demanded it demands it anew.
    Back(ReturnPath),
}

/// Somebody who has signed in.
#[derive(Debug)]
pub struct Signed {
    /// Who.
    pub principal: Principal,
    /// What the browser keeps.
    pub cookies: Vec<HeaderValue>,
    /// Where it goes.
    pub back: ReturnPath,
}

/// What a token endpoint says.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub id_token: Option<String>,
    pub access_token: Option<String>,
    pub refresh_token: Option<String>,
}

/// What it says instead.
#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Login {
    /// Finishes a sign-in on `host`.
    ///
    /// # Errors
    /// Whatever keeps the answer from being a sign-in of this browser.
    pub async fn finish(&self, asks: &Asks<'_>, host: &str, answer: &Answer) -> Result<Finished, TokenFault> {
        let Asks { logins, store, headers, .. } = *asks;
        let now = asks.now.unix_seconds();
        // ORDER: nothing of the answer counts before it is known to belong to this browser.
        let (place, attempt) = self.attempt(host, answer, headers).ok_or(LoginFault::NoAttempt)?;
        if now >= attempt.at.saturating_add(self.settings.attempt.as_secs()) {
            if attempt.stepping {
                return Ok(Finished::Back(attempt.back));
            }
            return Ok(Finished::Anew(Box::new(self.begin(host, attempt.back, &Ask::default(), asks)?)));
        }
        if !logins.is_first(&attempt.state) {
            return Err(LoginFault::Used.into());
        }
        let named = asks
            .metadata
            .and_then(|store| store.current(asks.now.monotone))
            .is_some_and(|metadata| metadata.names_issuer);
        match &answer.iss {
            Some(iss) if iss != self.settings.id_tokens.issuer() => return Err(LoginFault::Issuer.into()),
            // A provider that says that it always names itself, and did not: somebody else answered.
            None if named => return Err(LoginFault::Issuer.into()),
            Some(_) | None => {}
        }
        if answer.error.is_some() {
            return Err(LoginFault::Refused.into());
        }
        let code = answer.code.as_deref().ok_or(LoginFault::Answer("there is no `code`"))?;
        let tokens = self.exchange(&self.token(asks)?, code, &attempt).await?;
        let id_token = tokens.id_token.as_deref().ok_or(LoginFault::IdToken("there is none"))?;
        let verified = self.believed(id_token, store, asks.now).await?;
        check(verified.claims(), &tokens, &self.settings.client_id)?;
        check_attempt(verified.claims(), &attempt, now)?;
        self.sign_in(verified.claims(), &tokens, (place, attempt), headers, now).map(Box::new).map(Finished::Signed)
    }

    fn attempt(&self, host: &str, answer: &Answer, headers: &HeaderMap) -> Option<(usize, Attempt)> {
        let state = answer.state.as_ref()?;
        let mut places = attempt::of_browser(self, headers).into_iter().enumerate();
        let fits = |attempt: &Attempt| attempt.state == *state && attempt.host == host;
        places.find_map(|(place, attempt)| Some((place, attempt.filter(fits)?)))
    }

    async fn exchange(&self, at: &Endpoint, code: &str, attempt: &Attempt) -> Result<Tokens, LoginFault> {
        let back = callback(&attempt.host);
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &back),
            ("code_verifier", &attempt.verifier),
        ];
        self.tokens(at, &grant).await
    }

    /// Asks the token endpoint. A client with a secret shows it as RFC 6749 (2.3.1) says, one without names itself.
    pub(super) async fn tokens(&self, at: &Endpoint, grant: &[(&str, &str)]) -> Result<Tokens, LoginFault> {
        let settings = &self.settings;
        let mut fields = grant.to_vec();
        let authorization = match &settings.client_secret {
            Some(secret) => {
                let pair = format!("{}:{}", encode(&settings.client_id), encode(&secret.0));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
                Some(value.map_err(|_| LoginFault::NoExchange("the secret fits no header"))?)
            }
            None => {
                fields.push(("client_id", &settings.client_id));
                None
            }
        };
        let reply = at.post_form(&fields, authorization, LARGEST).await.map_err(down)?;
        match reply.status {
            StatusCode::OK => serde_json::from_slice(&reply.body)
                .map_err(|_| LoginFault::NoExchange("the answer is not what RFC 6749 says")),
            // RFC 6749, 5.2: a refusal is a 400, or a 401 where the client is not believed; the rest is a provider in trouble.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Err(LoginFault::NoExchange(told(&reply.body))),
            _ => Err(LoginFault::Down("the token endpoint fails")),
        }
    }

    /// An ID token whose signature, issuer, audience and times are good. Waits once for a key that is not known yet.
    pub(super) async fn believed(&self, token: &str, store: &KeyStore, now: Now) -> Result<Verified, TokenFault> {
        let keys = || store.current(now.monotone);
        let judge = || authn::verify(token, &self.settings.id_tokens, &*keys()?, now.unix_seconds());
        let granted = store.granted();
        match judge() {
            Err(fault) if fault.may_be_for_a_newer_key() => {
                store.refused(token, fault, now.unix_seconds());
                if store.settled(granted).await { judge() } else { Err(fault) }
            }
            judged => judged,
        }
    }

    fn sign_in(
        &self,
        claims: &Map<String, Value>,
        tokens: &Tokens,
        (place, attempt): (usize, Attempt),
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Signed, TokenFault> {
        let settings = &self.settings;
        let session = Session {
            id: attempt::random::<18>().ok_or(LoginFault::Down("no randomness"))?,
            begun: now,
            ends: now.saturating_add(settings.lifetime.as_secs()),
            renewed: now,
            stepped: attempt.stepping,
            claims: session::kept(claims, &settings.mapped),
        };
        let principal = session.principal(&settings.id_tokens)?;
        let names = self.names();
        let mut set = vec![self.cookie(&session, now)?];
        set.extend(match settings.renew {
            Some(_) => {
                let token = tokens.refresh_token.as_deref();
                Some(self.renewal(&session, token.ok_or(LoginFault::NoExchange("there is no refresh token"))?, now)?)
            }
            None => None,
        });
        set.extend(names.attempts.get(place).and_then(|name| cookies::clear(name)));
        set.extend(Count::one_more(Count::of(names, headers, now), names, now));
        Ok(Signed { principal, cookies: set, back: attempt.back })
    }
}

/// Whether a good ID token is for us, and goes with the access token beside it.
pub(super) fn check(claims: &Map<String, Value>, tokens: &Tokens, client_id: &str) -> Result<(), LoginFault> {
    let many = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        Some(azp) if azp != client_id => return Err(LoginFault::IdToken("`azp` is another client")),
        None if many => return Err(LoginFault::IdToken("several audiences, and no `azp`")),
        Some(_) | None => {}
    }
    match (claims.get("at_hash"), &tokens.access_token) {
        (None, _) => Ok(()),
        (Some(Value::String(hash)), Some(token)) if is_left_half(hash, token) => Ok(()),
        (Some(_), _) => Err(LoginFault::IdToken("`at_hash` is not that of the access token")),
    }
}

/// Whether an ID token answers this attempt.
fn check_attempt(claims: &Map<String, Value>, attempt: &Attempt, now: u64) -> Result<(), LoginFault> {
    if claims.get("nonce").and_then(Value::as_str) != Some(&attempt.nonce) {
        return Err(LoginFault::IdToken("`nonce` is not that of this sign-in"));
    }
    let at = claims.get("auth_time").and_then(Value::as_u64);
    if attempt.again && at.is_some_and(|at| at < attempt.at.saturating_sub(AGE_LEEWAY)) {
        return Err(LoginFault::IdToken("`auth_time` is of an older sign-in, and a new one was asked for"));
    }
    let Some(age) = attempt.max_age else { return Ok(()) };
    // The provider may take `max_age` from when it was asked; the policy holds the session to it anew on each request.
    let oldest = attempt.at.saturating_sub(age).saturating_sub(AGE_LEEWAY);
    match at {
        Some(at) if at >= oldest && at <= now.saturating_add(AGE_LEEWAY) => Ok(()),
        Some(_) => Err(LoginFault::IdToken("`auth_time` is older than was asked for, or lies ahead")),
        None => Err(LoginFault::IdToken("there is no `auth_time`, and `max_age` was asked for")),
    }
}

/// How far the provider's clock may be from ours where an age was asked for, in seconds.
const AGE_LEEWAY: u64 = 60;

/// Whether `hash` is the left half of a digest of `token` (OpenID Connect Core 1.0, section 3.1.3.6). Its length says which
/// digest: that of the token's own algorithm.
fn is_left_half(hash: &str, token: &str) -> bool {
    let Ok(hash) = URL_SAFE_NO_PAD.decode(hash) else { return false };
    let algorithm: &'static Algorithm = match hash.len() {
        16 => &SHA256,
        24 => &SHA384,
        32 => &SHA512,
        _ => return false,
    };
    digest(algorithm, token.as_bytes()).as_ref().starts_with(&hash)
}

/// The errors of RFC 6749 (5.2), by their own names; no other text of the provider reaches the log.
fn told(body: &Bytes) -> &'static str {
    let named = serde_json::from_slice::<TokenError>(body).map(|told| told.error);
    match named.as_deref() {
        Ok("invalid_request") => "invalid_request",
        Ok("invalid_client") => "invalid_client",
        Ok("invalid_grant") => "invalid_grant",
        Ok("unauthorized_client") => "unauthorized_client",
        Ok("unsupported_grant_type") => "unsupported_grant_type",
        Ok("invalid_scope") => "invalid_scope",
        Ok(_) | Err(_) => "the token endpoint refuses",
    }
}

fn down(fault: outbound::Fault) -> LoginFault {
    LoginFault::Down(match fault {
        outbound::Fault::Resolve => "its name has no address",
        outbound::Fault::Unlisted => "its address is not public, and `private` does not list it",
        outbound::Fault::Connect => "it cannot be reached",
        outbound::Fault::Tls => "no trusted TLS connection",
        outbound::Fault::Timeout => "it took too long",
        outbound::Fault::Http => "its answer is not HTTP/1.1 or broke off",
        outbound::Fault::Redirect(_) => "it answered with a redirect",
        outbound::Fault::Status(_) => "it answered with another status",
        outbound::Fault::Encoded => "its answer is compressed",
        outbound::Fault::TooLarge(_) => "its answer is too large",
    })
}
