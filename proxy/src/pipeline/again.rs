//! What is open, judged again: four times a second where something was ended, and else every second.
//!
//! Decides whether a stream that began goes on: its credential, its session, and, where policy or configuration are others
//! than those that it was judged by, the very decision that let it begin. It never begins one.

use std::sync::Arc;
use std::time::Duration;

use policy::{Demand, Facts, Found, Principal, SessionTerms, Verdict};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::bind;
use super::decide::Request;
use super::form::Fields;
use super::identify;
use crate::runtime::Runtime;
use crate::sessions::life::{Fault, Sight};
use crate::sessions::open::{Cut, Judged, Stream, Vouched};
use crate::shared::Shared;

/// How often is looked whether anything was ended.
const TICK: Duration = Duration::from_millis(250);

/// Judges what is open, again and again. Never ends.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(TICK).await;
        let runtime = shared.runtime.load_full();
        let now = shared.clock.now().unix_seconds();
        // ORDER: read before what is open is judged, so that an end that comes meanwhile is looked at the next time.
        let current = (shared.sessions.news(), Arc::as_ptr(&runtime) as usize, now);
        if seen.replace(current) == Some(current) {
            continue;
        }
        let mut cut = 0_u64;
        for stream in shared.sessions.open().all() {
            if let Some(why) = verdict(&shared, &runtime, &stream, now).await
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

/// Why a stream has to end; `None`: it goes on.
async fn verdict(shared: &Shared, runtime: &Arc<Runtime>, stream: &Stream, now: u64) -> Option<Cut> {
    let judged = stream.judged();
    let terms = if Arc::ptr_eq(&judged.by, runtime) {
        judged.terms
    } else {
        match decide(shared, runtime, stream, now).await {
            Ok(terms) => {
                stream.judge(Judged { by: Arc::clone(runtime), terms });
                terms
            }
            Err(why) => return Some(why),
        }
    };
    if !is_believed(shared, stream, now) {
        return Some(Cut::Credential);
    }
    session(shared, stream, terms, now).await.err().map(Cut::Session)
}

/// The decision that let it begin, by what counts now. Whom the provider's settings would make of the credential now cannot be
/// known without it, and it is not kept: with other settings the stream ends.
async fn decide(shared: &Shared, runtime: &Runtime, stream: &Stream, now: u64) -> Result<SessionTerms, Cut> {
    let principal: Arc<Principal> = match &stream.vouched {
        Vouched::Token { generation, .. } => {
            let issuer = &stream.principal.issuer;
            let same =
                |one: &crate::runtime::Provider| one.authn.issuer() == issuer && one.authn.generation() == *generation;
            if !runtime.providers.iter().any(same) {
                return Err(Cut::Policy);
            }
            Arc::clone(&stream.principal)
        }
        Vouched::AppSession { generation } => {
            let whoami = runtime.app_session.as_ref().and_then(|settings| settings.whoami.as_ref());
            if whoami.is_none_or(|whoami| whoami.generation != *generation) {
                return Err(Cut::Policy);
            }
            Arc::clone(&stream.principal)
        }
        Vouched::Certificate(connection) => {
            let shown = shared.shown.load();
            let shown = identify::shown(shown.trust.as_ref(), connection.certificate.as_ref(), now);
            let caller = shown.and_then(|shown| identify::by_certificate(runtime, shown));
            caller.ok().flatten().map(|caller| caller.principal).ok_or(Cut::Credential)?
        }
    };
    let principal = bound(shared, runtime, principal).await;
    let asked = &stream.asked;
    // What a form said is not kept; a route that was picked by one is not found again.
    let form = if asked.method == http::Method::POST { Fields::default() } else { Fields::none() };
    let request = Request { headers: &asked.headers, query: asked.query.as_deref(), form: &form };
    let found = match runtime.policy.find(asked.method.as_str(), &asked.path, &request) {
        Found::Route(found) => found,
        Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Unclear(_) => return Err(Cut::Policy),
    };
    let method = asked.method.as_str();
    let facts = Facts { method, request: &request, principal: Some(&principal), peer: asked.peer, now };
    match policy::decide(&found, &facts).verdict {
        Verdict::Granted(_) | Verdict::Observed(..) => {}
        Verdict::Denied(_) => return Err(Cut::Policy),
    }
    Ok(match found.demand() {
        Demand::Public => SessionTerms::default(),
        Demand::Authenticated | Demand::Act(_) => found.session(&principal).and(runtime.sessions.terms),
    })
}

/// The caller by what a directory says now. One that does not know at once is not waited for, since all that is open waits
/// behind it: what it said when the stream began counts then.
async fn bound(shared: &Shared, runtime: &Runtime, principal: Arc<Principal>) -> Arc<Principal> {
    let Some(directory) = bind::speaking(runtime, &principal) else { return principal };
    let background = Handle::current();
    let asking = bind::told(runtime, directory, &principal, shared.clock.now().monotone, &background);
    match timeout(Duration::ZERO, asking).await {
        Ok(Ok(bound)) => Arc::new(bound),
        Ok(Err(_)) | Err(_) => principal,
    }
}

fn is_believed(shared: &Shared, stream: &Stream, now: u64) -> bool {
    match &stream.vouched {
        Vouched::Token { leeway_s, .. } => {
            stream.principal.sign_in.expires.is_none_or(|expires| now < expires.saturating_add(*leeway_s))
        }
        // It says nothing of its end: what it takes back ends the session.
        Vouched::AppSession { .. } => true,
        Vouched::Certificate(connection) => {
            let shown = shared.shown.load();
            let shown = identify::shown(shown.trust.as_ref(), connection.certificate.as_ref(), now);
            matches!(shown, Ok(Some((_, Ok(())))))
        }
    }
}

async fn session(shared: &Shared, stream: &Stream, terms: SessionTerms, now: u64) -> Result<(), Fault> {
    let sessions = &shared.sessions;
    if sessions.has_revoked() {
        let others = stream.others.get_or_init(|| sessions.others_of(&stream.principal));
        let keys = stream.session.into_iter().chain(others.iter().copied());
        sessions.stands(keys, (stream.at, stream.principal.sign_in.begun), now)?;
    }
    let Some(key) = stream.session else { return Ok(()) };
    let known = sessions.store().look(key).get().await.map_err(|_| Fault::Forgotten)?;
    match (known.life, known.floor) {
        // Where nothing is demanded of sessions, a later sign-in is told by the credential alone.
        (Some(life), _) => life.renewed(Sight::glance(stream.at, now)).judge(terms, now).map(drop),
        (None, Some(floor)) if stream.principal.sign_in.begun.or(stream.at).is_none_or(|at| at <= floor) => {
            Err(Fault::Forgotten)
        }
        (None, _) => Ok(()),
    }
}
