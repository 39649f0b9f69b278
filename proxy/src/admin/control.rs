//! The control socket, for whoever may open the socket's file: what is enforced right now, and the wish that the gate leave.
//!
//! It decides nothing else, and whoever asks it cannot change what is enforced.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{About, Answer, plain};
use crate::phase::Stage;
use crate::shared::Shared;
use crate::telemetry::metrics::Control;

pub(super) fn answer(shared: &Shared, about: &About, request: &Request<Incoming>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/status") => plain(StatusCode::OK, "application/json", format!("{}\n", status(shared, about))),
        (&Method::POST, "/drain") => {
            shared.phase.advance(Stage::Leaving);
            plain(StatusCode::ACCEPTED, "application/json", format!("{}\n", json!({ "draining": true })))
        }
        (_, "/drain") => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST only\n".to_owned()),
        (_, "/status") => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned()),
        _ => plain(StatusCode::NOT_FOUND, "text/plain", "/status /drain\n".to_owned()),
    }
}

fn status(shared: &Shared, about: &About) -> serde_json::Value {
    let runtime = shared.runtime.load();
    let now = shared.clock.now();
    let unready = shared.unready();
    let record = shared.record.health();
    let providers: serde_json::Map<_, _> = runtime
        .providers
        .iter()
        .map(|provider| {
            let keys = provider.keys.status();
            let skipped = keys.skipped.iter().map(|one| json!({ "kid": one.kid, "why": one.reason.to_string() }));
            let skipped: Vec<_> = skipped.collect();
            let about = json!({
                "keys": keys.keys,
                "skipped": skipped,
                "age_s": keys.fetched_at.map(|at| now.unix_seconds().saturating_sub(at)),
                "error": keys.last_error.map(|error| redact::text(&error).into_owned()),
            });
            (provider.authn.name().to_owned(), about)
        })
        .collect();
    let shown = shared.shown.load();
    let certificates: Vec<_> = shown
        .certificates
        .iter()
        .map(|one| {
            let left = one.not_after.saturating_sub(i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX));
            json!({ "names": one.names, "expires_in_s": left })
        })
        .collect();
    let reloads = shared.reloads.status();
    let observed: Vec<_> = runtime.policy.routes().filter(|route| route.mode() == policy::Mode::Observe).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": unready.is_empty(),
        "unready": unready,
        "draining": shared.phase.is_leaving(),
        "up_s": now.monotone.as_secs(),
        "https": about.https.to_string(),
        "workers": about.workers,
        "policy": &*runtime.policy_digest,
        "routes": runtime.policy.routes().count(),
        "observed": observed.iter().map(|route| route.id()).collect::<Vec<_>>(),
        "observed_controls": runtime.browsers.observed().map(Control::name).collect::<Vec<_>>(),
        "providers": providers,
        "certificates": certificates,
        "reload": {
            "done": reloads.done,
            "refused": reloads.failed,
            "good": audit::rfc3339(reloads.good_at.saturating_mul(1_000)),
            "good_s": now.unix_seconds().saturating_sub(reloads.good_at),
            "failure": reloads.failure.as_ref().map(|failure| json!({
                "at": audit::rfc3339(failure.at.saturating_mul(1_000)),
                "faults": failure.faults,
            })),
        },
        "record": {
            "written": record.written,
            "waiting": record.queued,
            "reserved": record.reserved,
            "denials_counted": shared.denials.counted(),
            "full": record.full,
            "bytes": record.bytes,
            "failed": record.failed.map(|reason| redact::text(&reason.to_string()).into_owned()),
        },
    })
}
