//! Probes and metrics of the injector: read-only, in clear, for the pod's network.
//!
//! `/livez` says that it still answers; `/readyz` whether the API server should call it: a certificate is there that can be
//! believed, and it is not leaving. `/metrics` is for Prometheus.

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::Desk;
use super::review::Outcome;
use crate::admin::{Answer, plain};

pub(super) fn answer(desk: &Desk, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "read-only\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => plain(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" => match unready(desk) {
            "" => plain(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            reason => plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{reason}\n")),
        },
        "/metrics" => plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics(desk)),
        _ => plain(StatusCode::NOT_FOUND, "text/plain", "/livez /readyz /metrics\n".to_owned()),
    }
}

fn unready(desk: &Desk) -> &'static str {
    if desk.phase.is_leaving() {
        "leaving"
    } else if !desk.shown.is_usable(desk.clock.now().unix_seconds()) {
        "certificate"
    } else {
        ""
    }
}

fn metrics(desk: &Desk) -> String {
    let mut text = String::from("# HELP anteroom_injector_reviews_total Pods that were asked about.\n");
    text.push_str("# TYPE anteroom_injector_reviews_total counter\n");
    for (outcome, word) in
        [(Outcome::Injected, "injected"), (Outcome::Untouched, "untouched"), (Outcome::Refused, "refused")]
    {
        line(&mut text, &format!("anteroom_injector_reviews_total{{outcome=\"{word}\"}}"), desk.counts.of(outcome));
    }
    line(&mut text, "anteroom_injector_reviews_total{outcome=\"malformed\"}", desk.counts.malformed());
    text.push_str("# HELP anteroom_injector_certificate_faults_total Times that the certificate could not be read, made, written or announced.\n");
    text.push_str("# TYPE anteroom_injector_certificate_faults_total counter\n");
    line(&mut text, "anteroom_injector_certificate_faults_total", desk.shown.faults());
    text.push_str("# HELP anteroom_injector_certificate_expiry_seconds When the certificate ends, in Unix seconds; 0 where there is none.\n");
    text.push_str("# TYPE anteroom_injector_certificate_expiry_seconds gauge\n");
    line(&mut text, "anteroom_injector_certificate_expiry_seconds", desk.shown.not_after());
    text
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    text.push_str(&format!("{name} {value}\n"));
}
