//! The way back from the provider: its answer, the code turned into an ID token, and the session that comes of it.
//!
//! Decides whether the answer belongs to a sign-in of this browser, whether it is of the provider that was asked (RFC 9207),
//! and whether the ID token is for this sign-in (OpenID Connect Core 1.0, sections 3.1.2.7 and 3.1.3.7). Nothing that the
//! answer says is shown to anybody.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use policy::Principal;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::attempt::{self, Ask, Attempt};
use super::begin::callback;
use super::count::Count;
use super::fault::LoginFault;
use super::return_path::ReturnPath;
use super::session::{self, Session};
use super::token_endpoint::Tokens;
use super::{Asks, Begun, Login, cookies};
use crate::authn::{self, KeyStore, TokenFault, Verified};
use crate::clock::Now;

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
    /// When the provider issued the ID token, by its own clock in Unix seconds.
    pub issued: Option<u64>,
    /// Whether a new sign-in was asked for, and the provider does not say when this one was.
    pub is_of_unknown_age: bool,
}

impl Login {
    /// Finishes a sign-in on `host`.
    ///
    /// # Errors
    /// Whatever keeps the answer from being a sign-in of this browser.
    pub async fn finish(&self, asks: &Asks<'_>, host: &str, answer: &Answer) -> Result<Finished, TokenFault> {
        let Asks { logins, headers, .. } = *asks;
        let now = asks.now.unix_seconds();
        // ORDER: nothing of the answer counts before it is known to belong to this browser.
        let (place, attempt) = self.attempt(host, answer, headers).ok_or(LoginFault::NoAttempt)?;
        if now >= attempt.at.saturating_add(self.settings.attempt.as_secs()) {
            return Ok(self.too_late(asks, host, attempt)?);
        }
        if !logins.is_first(&attempt.state) {
            return Err(LoginFault::Used.into());
        }
        let code = self.code(asks, answer)?;
        let (claims, tokens) = self.redeemed(asks, code, &attempt).await?;
        self.sign_in(&claims, &tokens, (place, attempt), headers, now).map(Box::new).map(Finished::Signed)
    }

    /// The sign-in of this browser that an answer belongs to, with its place.
    fn attempt(&self, host: &str, answer: &Answer, headers: &HeaderMap) -> Option<(usize, Attempt)> {
        let state = answer.state.as_ref()?;
        let mut places = attempt::of_browser(self, headers).into_iter().enumerate();
        let fits = |attempt: &Attempt| attempt.state == *state && attempt.host == host;
        places.find_map(|(place, attempt)| Some((place, attempt.filter(fits)?)))
    }

    /// What becomes of a person who stayed at the provider for too long.
    fn too_late(&self, asks: &Asks<'_>, host: &str, attempt: Attempt) -> Result<Finished, LoginFault> {
        if attempt.stepping {
            return Ok(Finished::Back(attempt.back));
        }
        let begun = self.begin(host, attempt.back, &Ask::default(), asks)?;
        Ok(Finished::Anew(Box::new(begun)))
    }

    /// The code in an answer of the provider that was asked.
    fn code<'a>(&self, asks: &Asks<'_>, answer: &'a Answer) -> Result<&'a str, LoginFault> {
        let metadata = asks.metadata.and_then(|store| store.current(asks.now.monotone));
        match &answer.iss {
            Some(iss) if iss != self.settings.id_tokens.issuer() => return Err(LoginFault::Issuer),
            // A provider that says that it always names itself, and did not: somebody else answered.
            None if metadata.is_some_and(|metadata| metadata.names_issuer) => return Err(LoginFault::Issuer),
            Some(_) | None => {}
        }
        if answer.error.is_some() {
            return Err(LoginFault::Refused);
        }
        answer.code.as_deref().ok_or(LoginFault::Answer("there is no `code`"))
    }

    /// What the provider says for a code: the claims of an ID token that is for this sign-in, and the tokens beside it.
    async fn redeemed(
        &self,
        asks: &Asks<'_>,
        code: &str,
        attempt: &Attempt,
    ) -> Result<(Map<String, Value>, Tokens), TokenFault> {
        let back = callback(&attempt.host);
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &back),
            ("code_verifier", &attempt.verifier),
        ];
        let tokens = self.tokens(&self.token(asks)?, &grant).await?;
        let id_token = tokens.id_token.as_deref().ok_or(LoginFault::IdToken("there is none"))?;
        let verified = self.believed(id_token, asks.store, asks.now).await?;
        check(verified.claims(), &tokens, &self.settings.client_id)?;
        let known = authn::assumed(verified.claims(), &self.settings.id_tokens)?.sign_in.at;
        check_attempt(verified.claims(), known, attempt, asks.now.unix_seconds())?;
        Ok((verified.claims().clone(), tokens))
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
                let token = tokens.refresh_token.as_ref();
                Some(self.renewal(&session, token.ok_or(LoginFault::NoExchange("there is no refresh token"))?, now)?)
            }
            None => None,
        });
        set.extend(self.keep_id_token(&session, tokens.id_token.as_deref(), now));
        set.extend(names.attempts.get(place).and_then(|name| cookies::clear(name)));
        set.extend(Count::one_more(Count::of(names, headers, now), names, now));
        let issued = claims.get("iat").and_then(Value::as_u64);
        let is_of_unknown_age = attempt.again && principal.sign_in.at.is_none() && !claims.contains_key("auth_time");
        Ok(Signed { principal, cookies: set, back: attempt.back, issued, is_of_unknown_age })
    }
}

/// Whether a good ID token is for us, and goes with the access token beside it.
pub(super) fn check(claims: &Map<String, Value>, tokens: &Tokens, client_id: &str) -> Result<(), LoginFault> {
    // OpenID Connect Core 1.0, section 2. What it says, was judged with the other times.
    if !claims.contains_key("iat") {
        return Err(LoginFault::IdToken("there is no `iat`"));
    }
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

/// Whether an ID token answers this attempt. `known` is the time of the sign-in that sessions go by, which may stand elsewhere.
fn check_attempt(
    claims: &Map<String, Value>,
    known: Option<u64>,
    attempt: &Attempt,
    now: u64,
) -> Result<(), LoginFault> {
    if claims.get("nonce").and_then(Value::as_str) != Some(&attempt.nonce) {
        return Err(LoginFault::IdToken("`nonce` is not that of this sign-in"));
    }
    let at = claims.get("auth_time").map(|at| authn::seconds(at).ok_or(NO_TIME)).transpose()?;
    // A session takes it for a sign-in of just now, so that each repetition would be a new one.
    if at.into_iter().chain(known).any(|at| at > now.saturating_add(AGE_LEEWAY)) {
        return Err(LoginFault::IdToken("the sign-in lies ahead, or the provider's clock does"));
    }
    // Who tells no time cannot be held to it: some providers never do, whatever they are asked.
    if attempt.again && at.or(known).is_some_and(|at| at < attempt.at.saturating_sub(AGE_LEEWAY)) {
        return Err(LoginFault::IdToken(
            "`auth_time` is of an older sign-in, and a new one was asked for; or the provider's clock is behind",
        ));
    }
    let Some(age) = attempt.max_age else { return Ok(()) };
    // The provider may take `max_age` from when it was asked; the policy holds the session to it anew on each request.
    let oldest = attempt.at.saturating_sub(age).saturating_sub(AGE_LEEWAY);
    match at {
        Some(at) if at >= oldest => Ok(()),
        Some(_) => Err(LoginFault::IdToken("`auth_time` is older than was asked for")),
        None => Err(LoginFault::IdToken("there is no `auth_time`, and `max_age` was asked for")),
    }
}

/// A time that is there and cannot be read is not taken for none.
const NO_TIME: LoginFault = LoginFault::IdToken("`auth_time` is no whole number of seconds");

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
