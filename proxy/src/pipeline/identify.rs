//! Step 2: who is asking?
//!
//! Decides which credential counts and whether it proves someone. It never falls back: the first of a provider's places
//! that is present is judged, alone, and a credential that fails there is not looked for elsewhere. The certificate of the
//! connection counts where no token is present at all: a token is of this request, a certificate of all on its connection.
//! Between the two stands the application's own session, where the configuration says how to ask whose it is.

use std::borrow::Cow;
use std::sync::Arc;

use certs::{ClientFault, ClientTrust};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use policy::{Demand, Denial, Principal};

use super::admit::Admitted;
use super::app_cookies;
use super::app_login::{self, AppLogin};
use super::bind::Grounds;
use super::login;
use super::navigation::is_navigation;
use super::observe;
use super::session;
use super::token_cookies;
use super::trail::{Known, Trail};
use crate::authn::{self, CertificateFault, Presented, TokenFault};
use crate::limits::Full;
use crate::login::{Login, LoginFault, Renewed, Session, cookies};
use crate::rejection::Rejection;
use crate::runtime::{Place, Provider, Runtime, Voucher};
use crate::server::Connection;
use crate::sessions::EndedBy;
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::upstream::Pool;

/// A request with what is proved of its caller.
#[derive(Debug)]
pub(super) struct Identified<'r> {
    pub(super) admitted: Admitted<'r>,
    pub(super) caller: Option<Caller<'r>>,
}

/// Someone, and who vouches for it.
#[derive(Debug)]
pub(super) struct Caller<'r> {
    pub(super) principal: Arc<Principal>,
    pub(super) voucher: Voucher<'r>,
    /// Where the token stood; `None` for a certificate, for the application's session, and for a caller who is taken for proved.
    pub(super) place: Option<&'r Place>,
    /// What else the caller rests on.
    pub(super) grounds: Grounds,
}

impl<'r> Caller<'r> {
    /// Someone who is proved by more than a token in this request.
    pub(super) fn of(principal: Arc<Principal>, voucher: Voucher<'r>) -> Self {
        Self { principal, voucher, place: None, grounds: Grounds::default() }
    }
}

/// What a caller is proved by.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) headers: &'a HeaderMap,
    /// The limit of refusals that the address has used up.
    pub(super) pressed: Option<Full>,
    /// Whether the application is asked for it; where not, what it said lately counts.
    pub(super) asks: bool,
}

/// Identifies the caller.
///
/// # Errors
/// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `PROVIDER_DOWN`, and `LIMITED` where the address has used up its refusals.
pub(super) async fn caller<'r>(
    shared: &Shared,
    runtime: &'r Runtime,
    pool: &Pool,
    connection: &Connection,
    admitted: Admitted<'r>,
    trail: &mut Trail,
) -> Result<Identified<'r>, Rejection> {
    let shown = believed(shared, connection, trail.started.unix_seconds())?;
    // A public page is no reason to make the application say who asks.
    let asks = !matches!(admitted.found.demand(), Demand::Public);
    let sent = Sent { headers: &admitted.parts.headers, pressed: admitted.pressed, asks };
    let proved = prove(shared, runtime, pool, shown, sent, trail).await;
    let caller = match admitted.found.demand() {
        // A public page is for everyone: a credential that proves nobody makes the caller nobody, not refused.
        Demand::Public => proved.unwrap_or_default(),
        // A missing credential is no error here: its denial is the policy's, so that observing can let it pass.
        Demand::Authenticated | Demand::Act(_) => {
            let (method, headers) = (&admitted.parts.method, &admitted.parts.headers);
            trail.clears = matches!(proved, Err(Rejection::Session(_))) && is_navigation(method, headers);
            if let Err(Rejection::Token(TokenFault::AppSession(fault))) = &proved {
                let asked = (headers, admitted.host.as_str(), admitted.parts.uri.path());
                app_cookies::spoilt(shared, runtime, *fault, asked, trail);
            }
            proved?
        }
    };
    trail.actor = caller.as_ref().map(|caller| Known::caller(&caller.principal));
    trail.counted =
        caller.is_some() && runtime.own_cookies().is_some_and(|names| is_counted(names, &admitted.parts.headers));
    Ok(Identified { admitted, caller })
}

/// Whether a browser counts how often it signs in.
fn is_counted(names: &cookies::Names, headers: &HeaderMap) -> bool {
    cookies::find(headers, &names.count).is_ok_and(|count| count.is_some())
}

/// The certificate of a connection with what is to be said of it now.
pub(super) type Shown<'c> = (&'c Presented, Result<(), ClientFault>);

/// The certificate of the connection, judged for this moment.
pub(super) fn believed<'c>(
    shared: &Shared,
    connection: &'c Connection,
    now: u64,
) -> Result<Option<Shown<'c>>, Rejection> {
    shown(shared.shown.load().trust.as_ref(), connection.certificate.as_ref(), now)
}

/// A certificate, judged for this moment. Where one is required, a connection without a good one serves nothing more, public
/// pages included: it may have been opened before the list or the configuration said so.
///
/// # Errors
/// `NO_CREDENTIAL` and `TOKEN_INVALID`, where one is required.
pub(super) fn shown<'c>(
    trust: Option<&Arc<ClientTrust>>,
    certificate: Option<&'c Presented>,
    now: u64,
) -> Result<Option<Shown<'c>>, Rejection> {
    let Some(trust) = trust else { return Ok(None) };
    let judged = certificate.map(|one| (one, one.judge(trust, now)));
    match (judged, trust.is_required()) {
        (None, true) => Err(Rejection::Denied(Denial::NoCredential)),
        (Some((_, Err(fault))), true) => Err(disbelieved(CertificateFault::Judged(fault))),
        (judged, _) => Ok(judged),
    }
}

fn disbelieved(fault: CertificateFault) -> Rejection {
    Rejection::Token(TokenFault::Certificate(fault))
}

/// Whom a certificate names, where the configuration says whom certificates name.
///
/// # Errors
/// `TOKEN_INVALID` where it is not believed, or names nobody of the list.
pub(super) fn by_certificate<'r>(runtime: &Runtime, shown: Option<Shown<'_>>) -> Result<Option<Caller<'r>>, Rejection> {
    let (Some(callers), Some((certificate, judged))) = (&runtime.callers, shown) else { return Ok(None) };
    judged.map_err(|fault| disbelieved(CertificateFault::Judged(fault)))?;
    let principal = Arc::new(callers.principal(certificate).map_err(disbelieved)?);
    Ok(Some(Caller::of(principal, Voucher::Certificate)))
}

/// Who sends a request that is not routed yet, where anybody vouches for it.
///
/// # Errors
/// As with [`caller`].
pub(super) async fn known<'r>(
    shared: &Shared,
    runtime: &'r Runtime,
    pool: &Pool,
    connection: &Connection,
    (headers, pressed): (&HeaderMap, Option<Full>),
    trail: &mut Trail,
) -> Result<Option<Caller<'r>>, Rejection> {
    let shown = believed(shared, connection, trail.started.unix_seconds())?;
    prove(shared, runtime, pool, shown, Sent { headers, pressed, asks: true }, trail).await
}

async fn prove<'r>(
    shared: &Shared,
    runtime: &'r Runtime,
    pool: &Pool,
    shown: Option<Shown<'_>>,
    sent: Sent<'_>,
    trail: &mut Trail,
) -> Result<Option<Caller<'r>>, Rejection> {
    let headers = sent.headers;
    // ORDER: a token in a header was put there by whoever asks, so it counts before a session that a browser sends by itself;
    // a session that we made before a token in a cookie, which somebody else made.
    if let Some(signed_in) = signed_in(runtime, headers, trail.started.unix_seconds())? {
        return by_login(shared, runtime, signed_in, headers, trail).await.map(Some);
    }
    // ORDER: then the application's session, then the certificate, and no way back: a bad one is not made good by the next.
    let Some((provider, place, token)) = credential(runtime, headers)? else {
        return match app_login::by_session(shared, runtime, pool, sent, trail).await? {
            AppLogin::Caller(caller) => Ok(Some(caller)),
            AppLogin::Nobody => Ok(None),
            AppLogin::NoCookie => by_certificate(runtime, shown),
        };
    };
    let now = trail.started;
    let judged = match shared.tokens.known(&token, &provider.authn, &provider.keys, now) {
        Some(known) => known,
        None => {
            // ORDER: an address that has used up its refusals costs no more signature checks.
            if let Some(full) = sent.pressed {
                observe::ends(shared, runtime, trail, Control::Limits, Rejection::Limited(full))?;
            }
            let judge = || shared.tokens.verify(&token, &provider.authn, &provider.keys, now);
            let granted = provider.keys.granted();
            match judge() {
                // A provider may sign with a key in the moment that it publishes it: the fetch that this token has caused, or
                // another one, may bring it. Nothing else waits, few do at a time, and once.
                Err(fault) if fault.may_be_for_a_newer_key() && provider.keys.settled(granted).await => judge(),
                judged => judged,
            }
        }
    };
    let (principal, key) = judged.map_err(Rejection::Token)?;
    let grounds = Grounds { key: Some(key), bound: None };
    Ok(Some(Caller { principal, voucher: Voucher::Token(provider), place: Some(place), grounds }))
}

/// A session that the gate made, as its cookie shows it.
pub(super) struct SignedIn<'r> {
    provider: &'r Provider,
    login: &'r Arc<Login>,
    session: Session,
}

impl<'r> SignedIn<'r> {
    /// Whom it is of.
    ///
    /// # Errors
    /// `TOKEN_INVALID` where its claims name nobody.
    pub(super) fn caller(&self) -> Result<Caller<'r>, Rejection> {
        let mut principal = self.session.principal(&self.provider.authn).map_err(Rejection::Token)?;
        principal.sign_in.expires = Some(self.login.holds_until(&self.session));
        let voucher = Voucher::Login(self.provider, self.login.generation());
        Ok(Caller::of(Arc::new(principal), voucher))
    }
}

/// The session in the headers, where it comes first; it is not renewed here, and nobody is asked.
///
/// # Errors
/// `TOKEN_INVALID` and `TOKEN_EXPIRED`.
pub(super) fn signed_in<'r>(
    runtime: &'r Runtime,
    headers: &HeaderMap,
    now: u64,
) -> Result<Option<SignedIn<'r>>, Rejection> {
    let Some((provider, login)) = runtime.login().filter(|_| !is_in_header(runtime, headers)) else {
        return Ok(None);
    };
    let Some(text) = login.shown(headers)? else { return Ok(None) };
    Ok(Some(SignedIn { provider, login, session: login.session(text, now)? }))
}

/// Whom a session is of that the provider has vouched for lately enough.
async fn by_login<'r>(
    shared: &Shared,
    runtime: &Runtime,
    signed_in: SignedIn<'r>,
    headers: &HeaderMap,
    trail: &mut Trail,
) -> Result<Caller<'r>, Rejection> {
    let now = trail.started.unix_seconds();
    let caller = signed_in.caller()?;
    // ORDER: what has ended is not renewed, or the provider would be asked to bring it back.
    if session::end(shared, runtime, &caller.principal, now).await?.is_some() {
        return Ok(caller);
    }
    let SignedIn { provider, login, session } = signed_in;
    let renewed = login.fresh(&login::asks(shared, provider, headers, trail.started), session).await;
    if let (Err(LoginFault::NotRenewed), Some(key)) = (&renewed, shared.sessions.key_of(&caller.principal)) {
        // What is open in a session that the provider no longer vouches for ends with it. That need not be on disk: after a
        // restart the session is due as before, and the provider refuses it again before it counts.
        let until = caller.principal.sign_in.expires.unwrap_or(now);
        shared.sessions.end(key, now, until, EndedBy::Provider).await?;
    }
    let Renewed { session, cookies } = renewed?;
    trail.cookies = cookies;
    trail.stepped = session.stepped.then_some(session.begun);
    SignedIn { provider, login, session }.caller()
}

/// Whether a header holds what a provider would take for its token.
pub(super) fn is_in_header(runtime: &Runtime, headers: &HeaderMap) -> bool {
    let places = runtime.providers.iter().flat_map(|provider| &provider.places);
    places.into_iter().any(|place| match place {
        Place::Header(name) => headers.contains_key(name),
        Place::Cookie(_) | Place::CookieChunks(_) => false,
    })
}

/// A token with the provider that judges it and where it stood.
type Credential<'r, 'h> = (&'r Provider, &'r Place, Cow<'h, str>);

/// The credential that counts, and the provider that judges it.
///
/// With several providers present, the one whose issuer the token claims judges it: that claim only picks the judge, who
/// then checks it.
pub(super) fn credential<'r, 'h>(
    runtime: &'r Runtime,
    headers: &'h HeaderMap,
) -> Result<Option<Credential<'r, 'h>>, Rejection> {
    let readable = |(provider, place, token): Found<'r, 'h>| Ok((provider, place, token?));
    if let [only] = &*runtime.providers {
        return first_present(only, headers).map(readable).transpose();
    }
    let mut found: Vec<_> = runtime.providers.iter().filter_map(|provider| first_present(provider, headers)).collect();
    // ORDER: what was put into a header is judged alone: no cookie makes up for it, and none spoils it, whatever it is.
    if found.iter().any(|(_, place, _)| matches!(place, Place::Header(_))) {
        found.retain(|(_, place, _)| matches!(place, Place::Header(_)));
    }
    let mut present = found.into_iter().map(readable).collect::<Result<Vec<_>, Rejection>>()?;
    if present.len() < 2 {
        return Ok(present.pop());
    }
    let claimed = present
        .iter()
        .position(|(provider, _, token)| authn::unverified_issuer(token).as_deref() == Some(provider.authn.issuer()))
        .unwrap_or(0);
    Ok(Some(present.swap_remove(claimed)))
}

/// What stands in the first of a provider's places that is present: a token, or why none can be read there.
type Found<'r, 'h> = (&'r Provider, &'r Place, Result<Cow<'h, str>, Rejection>);

fn first_present<'r, 'h>(provider: &'r Provider, headers: &'h HeaderMap) -> Option<Found<'r, 'h>> {
    provider.places.iter().find_map(|place| {
        let token = match place {
            Place::Header(name) => from_header(headers, name).map(|token| token.map(Cow::Borrowed)),
            Place::Cookie(name) => token_cookies::plain(headers, name).map(|token| token.map(Cow::Borrowed)),
            Place::CookieChunks(name) => token_cookies::chunks(headers, name).map(|token| token.map(Cow::Owned)),
        };
        Some((provider, place, token.transpose()?))
    })
}

fn from_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Rejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = Rejection::Token(TokenFault::Parts);
    if values.next().is_some() {
        return Err(malformed);
    }
    let Ok(text) = str::from_utf8(value.as_bytes()) else { return Err(malformed) };
    match (without_scheme(text), *name == AUTHORIZATION) {
        (Some(token), _) => Ok(Some(token)),
        // Another scheme is a credential too, and one that proves nobody here.
        (_, true) => Err(malformed),
        (_, false) => Ok(Some(text)),
    }
}

/// What follows `Bearer` (RFC 6750, section 2.1). Spaces may follow the scheme (RFC 9110, section 11.4), and nothing else that a
/// reader could take for one.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked("bearer".len())?;
    let token = rest.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && token.len() < rest.len()).then_some(token)
}
