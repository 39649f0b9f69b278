//! Probes and metrics: read-only, in clear, for the pod's network.
//!
//! `/startedz` says whether the workers listen, and never waits for the application; `/livez` that this thread still
//! answers; `/readyz` whether traffic should come; `/metrics` is for Prometheus. `/app-health` is [`super::app_health`]'s.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::{Answer, plain};
use crate::shared::Shared;

pub(super) fn answer(shared: &Shared, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "read-only\n".to_owned());
    }
    match request.uri().path() {
        "/startedz" => probe(if shared.phase.is_started() { Vec::new() } else { vec!["starting"] }),
        "/livez" => probe(Vec::new()),
        "/readyz" => probe(shared.unready()),
        "/metrics" => match shared.metrics.text() {
            Ok(text) => plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "no metrics\n".to_owned()),
        },
        _ => plain(StatusCode::NOT_FOUND, "text/plain", "/startedz /livez /readyz /metrics\n".to_owned()),
    }
}

/// Whether the application is to be asked.
pub(super) fn asks_app(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path().starts_with("/app-health/")
}

fn probe(reasons: Vec<&'static str>) -> Answer {
    if reasons.is_empty() {
        return plain(StatusCode::OK, "text/plain", "ok\n".to_owned());
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{}\n", reasons.join(" ")))
}
