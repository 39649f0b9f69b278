//! A part of step 2: whom does the application know by its own session?
//!
//! Decides whether it is asked, and whether what it says counts: not of a session that has ended here, nor of a cookie that is
//! somebody's whom something else than the application had proved.

use super::app_cookies;
use super::identify::{Caller, Sent};
use super::observe;
use super::session;
use super::trail::Trail;
use crate::app_session::{Asking, Vouched};
use crate::authn::TokenFault;
use crate::rejection::Rejection;
use crate::runtime::{Runtime, Voucher};
use crate::sessions::life::Fault;
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::upstream::Pool;

/// What the session cookies of the application say.
pub(super) enum AppLogin<'r> {
    /// There are none, or nobody can be asked about them.
    NoCookie,
    /// They prove nobody.
    Nobody,
    /// The application knows this one by them.
    Caller(Caller<'r>),
}

/// Whom the application knows by its session cookies, where it can be asked.
///
/// # Errors
/// `TOKEN_INVALID` where a cookie stands twice or can be read in two ways, `SESSION_ENDED` where it ended here, `PROVIDER_DOWN`
/// where the application gives no answer, and `LIMITED`.
pub(super) async fn by_session<'r>(
    shared: &Shared,
    runtime: &Runtime,
    pool: &Pool,
    sent: Sent<'_>,
    trail: &mut Trail,
) -> Result<AppLogin<'r>, Rejection> {
    let Some((settings, whoami)) = runtime.app_session.as_ref().and_then(|one| Some((one, one.whoami.as_ref()?)))
    else {
        return Ok(AppLogin::NoCookie);
    };
    let disbelieved = |fault| Rejection::Token(TokenFault::AppSession(fault));
    // ORDER: what has ended is not asked about, not even as a part of what has not: the application still believes it.
    let (carried, ended) = shared.app_sessions.living(settings.carried(sent.headers));
    // A cookie that was set for whoever a token or a sign-in had proved is theirs beside that proof alone: else it would be a way
    // around it, and around its end.
    if shared.app_sessions.is_bound(&carried) {
        return Ok(AppLogin::Nobody);
    }
    let Some(session) = shared.app_sessions.session(whoami, &carried).map_err(disbelieved)? else {
        if ended {
            shared.sessions.refused(Fault::Ended);
            app_cookies::cleared(shared, runtime, sent.headers, trail);
            return Err(Rejection::Session(Fault::Ended));
        }
        return Ok(AppLogin::NoCookie);
    };
    let now = trail.started.monotone;
    let who = if sent.asks {
        // ORDER: an address that has used up its refusals makes the application work no more, but for sessions that were good.
        if let Some(full) = sent.pressed.filter(|_| !shared.app_sessions.was_somebodys(&session)) {
            observe::ends(shared, runtime, trail, Control::Limits, Rejection::Limited(full))?;
        }
        let asking = Asking { target: &runtime.app, pool, whoami, now };
        shared.app_sessions.vouched(&asking, session).await.map_err(disbelieved)?
    } else {
        shared.app_sessions.recalled(whoami, &session, now)
    };
    let Some(Vouched { principal, seen }) = who else { return Ok(AppLogin::Nobody) };
    let caller = Caller::of(principal, Voucher::AppSession(whoami.generation));
    if !seen
        && let Err(fault) = session::unseen_last(shared, runtime, &caller.principal, trail.started.unix_seconds()).await
    {
        app_cookies::over(shared, runtime, sent.headers, &caller, trail);
        return Err(session::refused(shared, fault));
    }
    Ok(AppLogin::Caller(caller))
}
