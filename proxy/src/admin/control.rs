//! The control socket, for whoever may open the socket's file: what is enforced right now, the wish that the gate leave, and
//! sign-ins that are to end.
//!
//! It decides nothing else, and whoever asks it cannot change what is enforced, but for those.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{About, Answer, plain, revoke};
use crate::clock::Now;
use crate::directory::{Directory, Source};
use crate::expiry;
use crate::exposed::Exposure;
use crate::phase::Stage;
use crate::runtime::{Rollout, Runtime};
use crate::shared::Shared;
use crate::telemetry::controls::Control;

pub(super) fn answer(shared: &Shared, about: &About, request: &Request<Incoming>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/status") => plain(StatusCode::OK, "application/json", format!("{}\n", status(shared, about))),
        (&Method::POST, "/drain") => {
            shared.phase.advance(Stage::Leaving);
            plain(StatusCode::ACCEPTED, "application/json", format!("{}\n", json!({ "draining": true })))
        }
        (&Method::POST, "/revoke") => revoke::answer(shared, request),
        (_, "/drain" | "/revoke") => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST only\n".to_owned()),
        (_, "/status") => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned()),
        _ => plain(StatusCode::NOT_FOUND, "text/plain", "/status /drain /revoke\n".to_owned()),
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
                "usable": provider.keys.current(now.monotone).is_ok(),
                "age_s": keys.state.age(now.monotone).map(|age| age.as_secs()),
                "failures": keys.state.failed,
                "error": keys.state.last_error.map(|error| redact::text(&error).into_owned()),
                "metadata": provider.metadata.as_ref().map(|metadata| {
                    let state = metadata.state();
                    json!({
                        "age_s": state.age(now.monotone).map(|age| age.as_secs()),
                        "failures": state.failed,
                        "error": state.last_error.map(|error| redact::text(&error).into_owned()),
                    })
                }),
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
            json!({ "names": one.names, "expires_in_s": left, "expires_soon": left < expiry::SOON_S })
        })
        .collect();
    let clients = shown.trust.as_ref().map(|trust| {
        let until = trust.lists_until();
        let left = until.map(|until| until.saturating_sub(i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX)));
        json!({ "required": trust.is_required(), "crl_expires_in_s": left })
    });
    let reloads = shared.reloads.status();
    let observed: Vec<_> = runtime.policy.routes().filter(|route| route.mode() == policy::Mode::Observe).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": unready.is_empty(),
        "unready": unready,
        "draining": shared.phase.is_leaving(),
        "up_s": now.monotone.as_secs(),
        "https": about.https.to_string(),
        "app_exposed": exposed(&shared.exposed.found()),
        "workers": about.workers,
        "policy": &*runtime.policy_digest,
        "routes": runtime.policy.routes().count(),
        "observed": observed.iter().map(|route| route.id()).collect::<Vec<_>>(),
        "rollout": rollout(shared, &runtime),
        "csp_reports": reports(shared),
        "security_txt": runtime.security_txt.as_ref().map(|text| json!({
            "served": text.holds(now.unix_seconds()),
            "expires": audit::rfc3339(text.expires.saturating_mul(1_000)),
        })),
        "providers": providers,
        "directory": runtime.directory.as_ref().map(|directory| directory_status(directory, now)),
        "certificates": certificates,
        "client_certificates": clients,
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
        "sessions": sessions(shared),
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

/// What sessions count, and what is wrong with their files.
fn sessions(shared: &Shared) -> serde_json::Value {
    let counts = shared.sessions.counts();
    let map = |counts: Vec<(&'static str, u64)>| {
        let told = counts.into_iter().filter(|(_, count)| *count > 0);
        serde_json::Value::Object(told.map(|(word, count)| (word.to_owned(), count.into())).collect())
    };
    let trouble = shared.sessions.trouble();
    let shown = |text: &Option<String>| text.as_ref().map(|text| redact::text(text).into_owned());
    json!({
        "known": counts.known,
        "open_streams": counts.streams,
        "revocations": counts.revocations,
        "revoked_unknown": counts.unknown,
        "ended": map(counts.ended),
        "refused": map(counts.refused),
        "cut": map(counts.cut),
        "forgetting": counts.crowded > 0,
        "survive_restart": shared.sessions.is_written(),
        "state_error": shown(&trouble.state),
        "revoked_error": shown(&trouble.revoked),
    })
}

/// How many subjects are known, and how a service is doing that is asked about them. Of nobody in particular.
fn directory_status(directory: &Directory, now: Now) -> serde_json::Value {
    match directory.source() {
        Source::File(listed) => json!({ "source": "file", "subjects": listed.subjects() }),
        Source::Service(service) => {
            let status = service.status();
            json!({
                "source": "service",
                "subjects": status.subjects,
                "listed": status.listed,
                "unlisted": status.unlisted,
                "failed": status.failed,
                "error": status.failure.map(|(down, _)| down.to_string()),
                "error_age_s": status.failure.map(|(_, at)| now.monotone.saturating_sub(at).as_secs()),
            })
        }
    }
}

/// The addresses at which the application can be reached around the gate; null where nobody has looked.
fn exposed(found: &Exposure) -> serde_json::Value {
    match found {
        Exposure::Unknown | Exposure::Unasked => serde_json::Value::Null,
        Exposure::Closed => json!([]),
        Exposure::Open(addresses) => addresses.iter().map(ToString::to_string).collect(),
    }
}

/// The stage of each control, and what it would have changed or refused while it was observed, since the start.
fn rollout(shared: &Shared, runtime: &Runtime) -> serde_json::Value {
    let stages = Control::ALL.into_iter().map(|control| {
        let mut about = serde_json::Map::new();
        let stage = match runtime.stages.of(control) {
            Rollout::Observe => "observe",
            Rollout::Enforce => "enforce",
        };
        about.insert("stage".to_owned(), stage.into());
        if control.is_counted() {
            about.insert("would_have".to_owned(), shared.metrics.counts().of(control).into());
        }
        (control.name().to_owned(), about.into())
    });
    serde_json::Value::Object(stages.collect())
}

/// What browsers reported of the content policies since the start, by disposition and directive.
fn reports(shared: &Shared) -> serde_json::Value {
    let mut told = serde_json::Map::new();
    for (directive, disposition, count) in shared.metrics.reports().counted() {
        let under = told.entry(disposition.name()).or_insert_with(|| json!({}));
        if let Some(under) = under.as_object_mut() {
            under.insert(directive.to_owned(), count.into());
        }
    }
    told.into()
}
