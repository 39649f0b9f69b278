//! What is open, judged again: four times a second where something was ended, and else every second.
//!
//! Decides whether a stream that began goes on: whoever vouched for its caller, its session, and, where policy, configuration or
//! what the caller is are others than those that it was judged by, the very decision that let it begin. It never begins one,
//! and it waits for nobody: what has to be asked is asked meanwhile, and heard the next time.

use std::sync::Arc;
use std::time::Duration;

use policy::{Demand, Facts, Found, Identity, Principal, SessionTerms, Verdict};
use tokio::runtime::Handle;

use super::bind;
use super::decide::Request;
use super::form::Fields;
use super::identify;
use super::session;
use crate::app_session::{Again, Lost};
use crate::clock::Now;
use crate::directory::Holds;
use crate::runtime::Runtime;
use crate::sessions::life::Fault;
use crate::sessions::open::{Cut, Judged, Stream, Vouched};
use crate::shared::Shared;

/// How often is looked whether anything was ended.
const TICK: Duration = Duration::from_millis(250);

/// Judges what is open, again and again. Never ends.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let again = Again::default();
    let mut seen = None;
    loop {
        tokio::time::sleep(TICK).await;
        let runtime = shared.runtime.load_full();
        let now = shared.clock.now();
        // ORDER: read before what is open is judged, so that an end that comes meanwhile is looked at the next time.
        let current = (shared.sessions.news(), Arc::as_ptr(&runtime) as usize, now.unix_seconds());
        if seen.replace(current) == Some(current) {
            continue;
        }
        let mut cut = 0_u64;
        for stream in shared.sessions.open().all() {
            if let Err(why) = judge(&shared, &again, &runtime, &stream, now).await
                && stream.cut(why)
            {
                shared.sessions.was_cut(why);
                cut += 1;
            }
        }
        if cut > 0 {
            tracing::info!(target: "anteroom", count = cut, "open streams were cut: their sessions or credentials have ended");
        }
    }
}

/// Whether a stream goes on.
///
/// # Errors
/// Why it has to end.
async fn judge(shared: &Shared, again: &Again, runtime: &Arc<Runtime>, stream: &Stream, now: Now) -> Result<(), Cut> {
    let mut judged = stream.judged();
    let is_new = !Arc::ptr_eq(&judged.by, runtime);
    let who = vouched(shared, again, runtime, stream, is_new, now)?;
    let is_due = judged.holds.is_some_and(|holds| now.monotone >= holds.renew);
    if is_new || is_due || is_other(stream, &who, &judged) {
        judged = decide(runtime, stream, &judged, who, now)?;
        stream.judge(judged.clone());
    }
    let seconds = now.unix_seconds();
    if is_new {
        // Nothing may have been kept of it before.
        session::enter(shared, runtime, &stream.principal, seconds).await;
    }
    session::lasts(shared, runtime, &stream.principal, judged.terms, seconds).await.map_err(Cut::Session)?;
    match &stream.vouched {
        Vouched::AppSession { vouching, .. } if !shared.app_sessions.is_seen(vouching) => {
            session::unseen_last(shared, runtime, &stream.principal, seconds).await.map_err(Cut::Session)
        }
        Vouched::AppSession { .. } | Vouched::Token { .. } | Vouched::Login { .. } | Vouched::Certificate(_) => Ok(()),
    }
}

/// Who is there now by whoever vouched for the caller. Whom a provider's settings would make of the credential now cannot be
/// known without it, and it is not kept: with other settings (`is_new` says whether there may be some) the stream ends.
///
/// # Errors
/// Where nobody is any more.
fn vouched(
    shared: &Shared,
    again: &Again,
    runtime: &Runtime,
    stream: &Stream,
    is_new: bool,
    now: Now,
) -> Result<Arc<Principal>, Cut> {
    let seconds = now.unix_seconds();
    let who = &stream.principal;
    match &stream.vouched {
        Vouched::Token { generation, leeway_s, key } => {
            let same = |one: &&crate::runtime::Provider| {
                one.authn.issuer() == &*who.issuer && one.authn.generation() == *generation
            };
            let provider = runtime.providers.iter().find(same).ok_or(Cut::Policy)?;
            if who.sign_in.expires.is_some_and(|expires| seconds >= expires.saturating_add(*leeway_s)) {
                return Err(Cut::Credential);
            }
            if let Some(key) = key {
                let keys = provider.keys.current(now.monotone).map_err(|_| Cut::Keys)?;
                if !keys.holds(*key) {
                    return Err(Cut::Credential);
                }
            }
            Ok(Arc::clone(who))
        }
        Vouched::Login { generation } => {
            runtime.login().filter(|(_, login)| login.generation() == *generation).ok_or(Cut::Policy)?;
            // By our own clock.
            if who.sign_in.expires.is_some_and(|expires| seconds >= expires) {
                return Err(Cut::Credential);
            }
            Ok(Arc::clone(who))
        }
        Vouched::AppSession { generation, vouching } => {
            let whoami = runtime.app_session.as_ref().and_then(|settings| settings.whoami.as_ref());
            let whoami = whoami.filter(|whoami| whoami.generation == *generation).ok_or(Cut::Policy)?;
            let said = vouching.who(&shared.app_sessions, (again, &runtime.app, whoami), now.monotone);
            said.map_err(|lost| match lost {
                Lost::Ended => Cut::Session(Fault::Ended),
                Lost::Unanswered => Cut::App,
            })
        }
        Vouched::Certificate(connection) => {
            let shown = shared.shown.load();
            let shown = identify::shown(shown.trust.as_ref(), connection.certificate.as_ref(), seconds);
            let Ok(Some(shown @ (_, Ok(())))) = shown else { return Err(Cut::Credential) };
            if !is_new {
                return Ok(Arc::clone(who));
            }
            let caller = identify::by_certificate(runtime, Some(shown)).ok().flatten();
            caller.map(|caller| caller.principal).ok_or(Cut::Credential)
        }
    }
}

/// Whether the application says something else of the caller than what counted when the stream was judged.
fn is_other(stream: &Stream, who: &Arc<Principal>, judged: &Judged) -> bool {
    match &stream.vouched {
        Vouched::AppSession { .. } => !Arc::ptr_eq(who, &judged.caller) && **who != *judged.caller,
        Vouched::Token { .. } | Vouched::Login { .. } | Vouched::Certificate(_) => false,
    }
}

/// The decision that let it begin, by what counts now.
fn decide(
    runtime: &Arc<Runtime>,
    stream: &Stream,
    before: &Judged,
    who: Arc<Principal>,
    now: Now,
) -> Result<Judged, Cut> {
    let asked = &stream.asked;
    // What a form said is not kept; a route that was picked by one is not found again.
    let form = if asked.method == http::Method::POST { Fields::default() } else { Fields::none() };
    let request = Request { headers: &asked.headers, query: asked.query.as_deref(), form: &form };
    let found = match runtime.policy.find(asked.method.as_str(), &asked.path, &request) {
        Found::Route(found) => found,
        Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Unclear(_) => return Err(Cut::Policy),
    };
    let (told, holds) = told(runtime, before, &who, now.monotone);
    let (caller, terms) = match (found.demand(), told) {
        (Demand::Public, told) => (told.unwrap_or_else(|| Arc::new(bind::of_no_tenant(&who))), SessionTerms::default()),
        (Demand::Authenticated | Demand::Act(_), told) => {
            let caller = told.ok_or(Cut::Directory)?;
            let terms = found.session(&caller).and(runtime.sessions.terms);
            (caller, terms)
        }
    };
    let method = asked.method.as_str();
    let seconds = now.unix_seconds();
    let facts = Facts { method, request: &request, principal: Some(&caller), peer: asked.peer, now: seconds };
    let passage = match policy::decide(&found, &facts).verdict {
        Verdict::Granted(passage) | Verdict::Observed(passage, _) => passage,
        Verdict::Denied(_) => return Err(Cut::Policy),
    };
    // What the application sends is of the tenant that it was told, whatever else the caller may see by now.
    let tenant = passage.identity().map(Identity::tenant);
    let is_unsaid = tenant.is_none() && matches!(found.demand(), Demand::Public);
    if stream.told.is_some() && tenant != stream.told.as_ref() && !is_unsaid {
        return Err(Cut::Policy);
    }
    Ok(Judged { by: Arc::clone(runtime), terms, caller, holds })
}

/// The caller by what a directory says now, and how long that counts. One that does not know at once is not waited for, since
/// all that is open waits behind it: what it said last counts for as long as it would have. `None`: it has said nothing for too
/// long.
fn told(
    runtime: &Runtime,
    before: &Judged,
    who: &Arc<Principal>,
    now: Duration,
) -> (Option<Arc<Principal>>, Option<Holds>) {
    let Some(directory) = bind::speaking(runtime, who) else { return (Some(Arc::clone(who)), None) };
    if let Some(told) = directory.recall(who, now, &Handle::current()) {
        return (Some(Arc::new(bind::within(runtime, directory, who, told.said))), told.holds);
    }
    // Where this is another directory than before, it has as long to answer as its answers count.
    let most = now.saturating_add(directory.max_age());
    let until = before.holds.map_or(most, |holds| holds.until.min(most));
    ((now < until).then(|| Arc::clone(&before.caller)), Some(Holds { renew: now, until }))
}
