//! Signing people in, as requests see it: the two pages of the gate, and which refused requests are sent there.
//!
//! Decides that only a navigation is ever redirected: a script would follow to another site and learn nothing from it, so it
//! gets its 401. Whoever comes back and is refused again and again is told so, and sent no more. What makes a sign-in good
//! stands in [`crate::login`].

use std::sync::Arc;

use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, StatusCode, Uri};
use policy::Denial;

use super::admit::Understood;
use super::answer::Offer;
use super::canonical;
use super::identify;
use super::navigation::{is_framed_elsewhere, is_navigation};
use super::observe;
use super::record;
use super::session;
use super::sign_in;
use super::trail::{Known, Trail};
use crate::authn::TokenFault;
use crate::clock::Now;
use crate::login::{
    AGAIN, Answer, Ask, Asks, Begun, CALLBACK, Count, Finished, LOGIN, Login, LoginFault, ReturnPath, Signed, cookies,
};
use crate::rejection::Rejection;
use crate::runtime::{Provider, Runtime};
use crate::server::Connection;
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::log;
use crate::upstream::body::AnswerBody;

/// What is kept of a navigation, in case that it is refused.
#[derive(Debug)]
pub(super) struct Came {
    uri: Uri,
    host: String,
    cookies: HeaderMap,
}

impl Came {
    /// Of a request, where it is one and somebody could be signed in.
    pub(super) fn of<B>(runtime: &Runtime, request: &Request<B>) -> Option<Self> {
        runtime.own_cookies()?;
        let headers = request.headers();
        // A page of another site, which could frame any of ours, makes nobody sign in.
        if !is_navigation(request.method(), headers) || is_framed_elsewhere(headers) {
            return None;
        }
        let host = canonical::host(request.uri(), request.version(), headers).ok()?;
        let cookies = headers.get_all(COOKIE).iter().map(|line| (COOKIE, line.clone())).collect();
        Some(Self { uri: request.uri().clone(), host, cookies })
    }

    /// Where it leads back to: itself, or the first page where its address is too long to be kept.
    pub(super) fn back(&self) -> ReturnPath {
        let target = self.uri.path_and_query().map_or("/", |target| target.as_str());
        ReturnPath::parse(target).unwrap_or_else(|_| ReturnPath::root())
    }

    /// The cookies that came.
    pub(super) fn cookies(&self) -> &HeaderMap {
        &self.cookies
    }

    fn is_own_page(&self) -> bool {
        canonical::target(&self.uri).is_ok_and(|(path, _)| super::is_reserved(&path))
    }
}

/// What becomes of a request that was refused: a navigation that signing in may help begins to sign in, and a loop is told.
pub(super) fn instead(
    shared: &Shared,
    runtime: &Runtime,
    trail: &mut Trail,
    came: Option<&Came>,
    rejection: Rejection,
) -> (Rejection, Option<Begun>, Offer) {
    if matches!(rejection, Rejection::Session(_)) {
        // Renewed or not, what has ended is given to nobody.
        trail.cookies.clear();
    }
    // What a session of the gate's own lacks, its provider gives; whoever comes with nothing begins at the application's page.
    let own_page = runtime.sign_in.as_ref().filter(|_| runtime.login().is_none() || sign_in::leads_on(&rejection));
    if let (Some(page), Some(names)) = (own_page, runtime.own_cookies()) {
        return sign_in::instead(page, names, trail, came, rejection);
    }
    let Some((provider, login)) = runtime.login() else { return (rejection, None, Offer::Nothing) };
    let Some(came) = came else { return (rejection, None, Offer::SignIn(ReturnPath::root())) };
    let back = trail.back.take().unwrap_or_else(|| came.back());
    let now = trail.started.unix_seconds();
    let looping = Count::of(login.names(), &came.cookies, now).is_some_and(Count::is_loop);
    let ask = match &rejection {
        Rejection::Denied(Denial::NoCredential) => Some(Ask::default()),
        Rejection::Token(TokenFault::Login(fault)) if fault.is_of_session() => Some(Ask::default()),
        Rejection::StepUp(..) => trail.ask.take(),
        _ => None,
    };
    if looping && rejection.status() == StatusCode::UNAUTHORIZED {
        log::sign_in_loop(trail, rejection.code());
        return (rejection, None, Offer::Loop);
    }
    let Some(ask) = ask.filter(|_| !came.is_own_page()) else { return (rejection, None, Offer::SignIn(back)) };
    match login.begin(&came.host, back.clone(), &ask, &asks(shared, provider, &came.cookies, trail.started)) {
        Ok(begun) => (Rejection::SignIn(Box::new(rejection)), Some(begun), Offer::Nothing),
        Err(fault) => (fault.into(), None, Offer::SignIn(back)),
    }
}

/// What a sign-in goes by.
pub(super) fn asks<'a>(shared: &'a Shared, provider: &'a Provider, headers: &'a HeaderMap, now: Now) -> Asks<'a> {
    Asks { logins: &shared.logins, store: &provider.keys, metadata: provider.metadata.as_deref(), headers, now }
}

/// The answer that sends a browser to where it signs in.
pub(super) fn away(begun: Begun, trail: &mut Trail) -> Response<AnswerBody> {
    // ORDER: beside those of a session that was renewed on this very request: the provider takes what renewed it no more.
    trail.cookies.push(begun.cookie);
    redirect(begun.location)
}

fn redirect(location: HeaderValue) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Whole(None));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn back_to(path: &ReturnPath) -> Result<Response<AnswerBody>, Rejection> {
    // INVARIANT: a return path is visible ASCII.
    HeaderValue::from_str(path.as_str()).map(redirect).map_err(|_| Rejection::BadPath("no path of this host"))
}

/// Gives an answer our cookies, and takes out those that the application sets under their names. A request that passed ends
/// the count of sign-ins.
pub(super) fn dress(shared: &Shared, runtime: &Runtime, trail: &mut Trail, answer: &mut Response<AnswerBody>) {
    let Some(names) = runtime.own_cookies() else { return };
    cookies::guard(answer.headers_mut(), names);
    // INVARIANT: what renews a session never takes the place of the one that the browser has begun meanwhile.
    if !trail.cookies.is_empty() && is_replaced(shared, trail) {
        trail.cookies.clear();
    }
    if trail.counted && answer.status().is_success() {
        trail.cookies.extend(cookies::clear(&names.count));
    }
    for cookie in &trail.cookies {
        answer.headers_mut().append(SET_COOKIE, cookie.clone());
    }
}

fn is_replaced(shared: &Shared, trail: &Trail) -> bool {
    let Some(Known::Caller { who, .. }) = &trail.actor else { return false };
    shared.sessions.key_of(who).is_some_and(|key| shared.sessions.was_replaced(key))
}

/// Whether a path is one of the pages here.
pub(super) fn is_page(runtime: &Runtime, path: &str) -> bool {
    runtime.login().is_some() && [LOGIN, CALLBACK].contains(&path)
}

/// Serves a page: the beginning of a sign-in, or its end.
///
/// # Errors
/// `METHOD_NOT_ALLOWED`, `LIMITED`, `OVERLOADED`, `BAD_PATH`; `NO_CREDENTIAL` for what is no navigation, and `CROSS_SITE` for
/// what another site frames; `TOKEN_INVALID` and `PROVIDER_DOWN` where nobody has signed in; `NOT_RECORDED`.
pub(super) async fn serve(
    shared: &Shared,
    runtime: &Runtime,
    connection: &Connection,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let begins = understood.path == LOGIN;
    trail.template = Some(if begins { LOGIN } else { CALLBACK }.into());
    admit(shared, runtime, &understood, begins, trail)?;
    identify::believed(shared, connection, trail.started.unix_seconds())?;
    let Some((provider, login)) = runtime.login() else { return Err(Rejection::NoRoute) };
    // ORDER: nobody signs in whose sign-in cannot be recorded.
    record::reserve(shared, trail)?;
    let answer = if begins {
        begin(shared, (provider, login), &understood, trail)?
    } else {
        finish(shared, runtime, (provider, login), &understood, trail).await?
    };
    record::after(answer, trail, shared.clock.now()).await
}

/// Lets pass who goes to one of the pages, at a pace that people have.
fn admit(
    shared: &Shared,
    runtime: &Runtime,
    understood: &Understood,
    begins: bool,
    trail: &mut Trail,
) -> Result<(), Rejection> {
    if understood.method != Method::GET {
        return Err(Rejection::MethodNotAllowed("GET".to_owned()));
    }
    let full = match understood.pressed {
        Some(full) => Some(full),
        None => shared.limits.take_login(trail.peer, trail.started.monotone).err(),
    };
    if let Some(full) = full {
        observe::ends(shared, runtime, trail, Control::Limits, Rejection::Limited(full))?;
    }
    let headers = &understood.parts.headers;
    if !is_navigation(&understood.parts.method, headers) {
        return Err(Rejection::Denied(Denial::NoCredential));
    }
    // The way back from the provider may lead through a frame of a page of ours: to a browser all that came from there is of
    // another site. It counts only where a sign-in was begun.
    if begins && is_framed_elsewhere(headers) {
        let framed = Rejection::CrossSite("a page of another site frames the sign-in");
        observe::ends(shared, runtime, trail, Control::Csrf, framed)?;
    }
    Ok(())
}

fn begin(
    shared: &Shared,
    (provider, login): (&Provider, &Login),
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let headers = &understood.parts.headers;
    let now = trail.started.unix_seconds();
    if Count::of(login.names(), headers, now).is_some_and(Count::is_loop) {
        return Err(Rejection::Denied(Denial::NoCredential));
    }
    let query = understood.query.as_deref().unwrap_or_default();
    let back = asked_for(query)?;
    let ask = Ask { again: query.split('&').any(|pair| pair == AGAIN), ..Ask::default() };
    let begun = login.begin(&understood.host, back, &ask, &asks(shared, provider, headers, trail.started))?;
    Ok(away(begun, trail))
}

/// The path in `to`, or the first page.
fn asked_for(query: &str) -> Result<ReturnPath, Rejection> {
    const NOT_LOCAL: Rejection = Rejection::BadPath("`to` is no path of this host");
    let mut found = None;
    for pair in canonical::loose_pairs(query) {
        let name = canonical::form_decoded(pair.name).ok_or(NOT_LOCAL)?;
        if !canonical::is_spelling_of(&name, "to") {
            continue;
        }
        let value = canonical::form_decoded(pair.value).filter(|_| name == "to" && !pair.unclear).ok_or(NOT_LOCAL)?;
        if found.replace(ReturnPath::parse(&value).map_err(|_| NOT_LOCAL)?).is_some() {
            return Err(NOT_LOCAL);
        }
    }
    Ok(found.unwrap_or_else(ReturnPath::root))
}

async fn finish(
    shared: &Shared,
    runtime: &Runtime,
    (provider, login): (&Provider, &Login),
    understood: &Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let answer = Answer::read(understood.query.as_deref().unwrap_or_default())?;
    let now = trail.started.unix_seconds();
    let headers = &understood.parts.headers;
    let asks = asks(shared, provider, headers, trail.started);
    let Some(_room) = shared.logins.room(trail.peer) else { return Err(Rejection::Overloaded) };
    match login.finish(&asks, &understood.host, &answer).await {
        Ok(Finished::Signed(signed)) => {
            let Signed { principal, cookies, back, issued, is_of_unknown_age } = *signed;
            trail.actor = Some(Known::caller(&Arc::new(principal.clone())));
            record::name_session(shared, trail);
            // ORDER: before anything is ended for it, or given: a session that is over as it begins is none.
            let terms = session::terms(runtime, &principal);
            if let Err(rejection) = session::standing(shared, runtime, &principal, terms, false, now).await {
                log::no_session(trail, &rejection, principal.sign_in.at, issued);
                trail.back = Some(back);
                return Err(rejection);
            }
            end_last(shared, (provider, login), headers, now).await?;
            if is_of_unknown_age {
                log::of_unknown_age(trail);
            }
            trail.cookies = cookies;
            back_to(&back)
        }
        Ok(Finished::Anew(begun)) => Ok(away(*begun, trail)),
        Ok(Finished::Back(path)) => back_to(&path),
        Err(TokenFault::Login(fault @ (LoginFault::NoAttempt | LoginFault::Used))) => {
            go_on(shared, runtime, login, headers, fault, trail).await
        }
        Err(fault) => Err(Rejection::Token(fault)),
    }
}

/// What becomes of a browser that comes with an answer to no sign-in of its own: of a tab that gave way to another, by its
/// Back button or by a bookmark. Nothing of the answer is believed; whoever is signed in goes on to the first page.
async fn go_on(
    shared: &Shared,
    runtime: &Runtime,
    login: &Login,
    headers: &HeaderMap,
    fault: LoginFault,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    let now = trail.started.unix_seconds();
    let count = Count::of(login.names(), headers, now);
    if count.is_some_and(Count::is_loop) || !is_signed_in(shared, runtime, headers, now).await {
        return Err(fault.into());
    }
    // It counts as a sign-in: the first page may send a browser away that keeps no attempt.
    trail.cookies.extend(Count::one_more(count, login.names(), now));
    back_to(&ReturnPath::root())
}

/// Whether a browser is in a session that lasts. Nobody is asked to vouch for it: the page that comes next does that.
async fn is_signed_in(shared: &Shared, runtime: &Runtime, headers: &HeaderMap, now: u64) -> bool {
    let signed_in = identify::signed_in(runtime, headers, now).ok().flatten();
    let Some(Ok(caller)) = signed_in.map(|signed_in| signed_in.caller()) else { return false };
    let terms = session::terms(runtime, &caller.principal);
    session::lasts(shared, runtime, &caller.principal, terms, now).await.is_ok()
}

/// Ends the session that the browser had before, so that no copy of its cookie outlives it.
async fn end_last(
    shared: &Shared,
    (provider, login): (&Provider, &Login),
    headers: &HeaderMap,
    now: u64,
) -> Result<(), Rejection> {
    let last = login.shown(headers).ok().flatten().and_then(|text| login.session(text, now).ok());
    let Some(last) = last else { return Ok(()) };
    let principal = last.principal(&provider.authn).map_err(Rejection::Token)?;
    if let Some(key) = shared.sessions.key_of(&principal) {
        shared.sessions.replace(key, now, last.ends).await?;
        // ORDER: on disk before the next one begins, as with every end that somebody is told of.
        shared.sessions.durable().await.map_err(|_| Rejection::NotRecorded)?;
    }
    Ok(())
}

impl From<LoginFault> for Rejection {
    fn from(fault: LoginFault) -> Self {
        Rejection::Token(TokenFault::Login(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_host_can_be_asked_for() {
        let asked = |query: &str| asked_for(query).map(|path| path.as_str().to_owned()).ok();
        assert_eq!(asked("").as_deref(), Some("/"));
        assert_eq!(asked("to=/a%3Fb%3Dc&x=1").as_deref(), Some("/a?b=c"));
        for query in [
            "to=https://evil.example",
            "to=//evil.example",
            "to=%2F%2Fevil.example",
            "to=/%5Cevil.example",
            "to=/a&to=/b",
            "to=/a;b",
            "To=/a",
            "to[]=/a",
            "to=%ff",
            "to=",
            "to",
            "to=/.anteroom/login",
        ] {
            assert_eq!(asked(query), None, "{query}");
        }
    }
}
