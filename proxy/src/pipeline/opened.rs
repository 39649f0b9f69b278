//! What a request opens: noted with all that has to hold on for it.
//!
//! Decides nothing: `again.rs` judges by these notes for as long as the request is open.

use std::sync::Arc;

use http::HeaderName;
use http::header::HeaderMap;
use policy::SessionTerms;

use super::canonical;
use super::identify::Caller;
use super::record::Recorded;
use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::{Runtime, Voucher};
use crate::server::Connection;
use crate::sessions::open::{Asked, Held, Judged, Stream, Vouched};
use crate::shared::Shared;

/// Lists a request as open, by its caller and the terms of the session.
///
/// # Errors
/// None but for a fault of ours.
pub(super) fn list(
    shared: &Shared,
    runtime: &Arc<Runtime>,
    connection: &Arc<Connection>,
    (recorded, caller): (&Recorded<'_>, &Caller<'_>),
    terms: SessionTerms,
    trail: &Trail,
) -> Result<Held, Rejection> {
    let admitted = &recorded.0.admitted;
    let vouched = vouched(shared, runtime, connection, caller, &admitted.parts.headers, trail)?;
    let asked = Asked {
        method: admitted.method.clone(),
        path: admitted.path.clone(),
        query: admitted.query.clone(),
        headers: kept(&admitted.parts.headers, &runtime.sessions.reads),
        peer: trail.peer,
    };
    let bound = caller.grounds.bound.as_ref();
    let holds = bound.and_then(|bound| bound.holds);
    let judged = Judged { by: Arc::clone(runtime), terms, caller: Arc::clone(&caller.principal), holds };
    let proved = bound.map_or(&caller.principal, |bound| &bound.proved);
    let told = recorded.0.passage.identity().map(|identity| identity.tenant().clone());
    let stream = Stream::new(Arc::clone(proved), vouched, (asked, told), judged);
    Ok(shared.sessions.open().list(stream))
}

/// Who has to vouch on for the caller.
fn vouched(
    shared: &Shared,
    runtime: &Runtime,
    connection: &Arc<Connection>,
    caller: &Caller<'_>,
    headers: &HeaderMap,
    trail: &Trail,
) -> Result<Vouched, Rejection> {
    Ok(match caller.voucher {
        Voucher::Login(_, generation) => Vouched::Login { generation },
        Voucher::Token(provider) => Vouched::Token {
            generation: provider.authn.generation(),
            leeway_s: provider.authn.leeway_s(),
            key: caller.grounds.key,
        },
        Voucher::AppSession(generation) => {
            let settings = runtime.app_session.as_ref();
            let vouching = settings.and_then(|settings| {
                let carried = settings.carried(headers);
                let now = trail.started.monotone;
                shared.app_sessions.vouching(settings.whoami.as_ref()?, &carried, &caller.principal, now)
            });
            // Nothing has taken the cookies out that said who it is.
            Vouched::AppSession { generation, vouching: Arc::new(vouching.ok_or(Rejection::Internal)?) }
        }
        Voucher::Certificate => Vouched::Certificate(Arc::clone(connection)),
    })
}

/// The headers that policies read, in every spelling.
fn kept(headers: &HeaderMap, reads: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    if reads.is_empty() {
        return kept;
    }
    for (name, value) in headers {
        if reads.iter().any(|read| canonical::fold_alike(read.as_str(), name.as_str())) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn of_a_head_only_what_policies_read_is_kept_in_every_spelling() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-clinic", "a"), ("x_clinic", "b"), ("authorization", "Bearer x"), ("cookie", "a=b")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = kept(&headers, &[HeaderName::from_static("x-clinic")]);
        assert_eq!(kept.len(), 2);
        assert!(!kept.contains_key("authorization") && !kept.contains_key("cookie"));
        assert!(super::kept(&headers, &[]).is_empty());
    }
}
