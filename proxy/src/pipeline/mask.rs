//! The application's own errors: what a 5xx answer of an old application says (a stack trace, a query, a patient) stays here.
//!
//! Decides whether such an answer is replaced. The status stays, and of its headers `Retry-After`, where it is one, and
//! `Set-Cookie`, without which a session that was renewed on the way would be lost. All others go, since none is needed
//! without the body and any may tell of the inside. It never reads the body: what is left of it is thrown away, so that the
//! connection can be used again, or the connection is closed.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::{self, Form};
use super::trail::Trail;
use crate::runtime::{Rollout, Runtime};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::log;
use crate::upstream::body::AnswerBody;

/// How much of a body is thrown away to keep the connection, in bytes.
const DRAIN: u64 = 64 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The answer, or what stands in its place where it is an error of the application.
pub(super) fn app_error(
    shared: &Shared,
    runtime: &Runtime,
    answer: Response<AnswerBody>,
    form: Form,
    trail: &mut Trail,
) -> Response<AnswerBody> {
    let status = answer.status();
    if !status.is_server_error() {
        return answer;
    }
    let became = match runtime.stages.errors {
        _ if trail.passes_errors || is_for_a_program(answer.headers()) => audit::AppError::Passed,
        Rollout::Observe => {
            shared.metrics.observed(Control::Errors);
            audit::AppError::Observed
        }
        Rollout::Enforce => audit::AppError::Masked,
    };
    trail.app_error = Some(became);
    log::app_error(trail, status, became);
    match became {
        audit::AppError::Passed | audit::AppError::Observed => answer,
        audit::AppError::Masked => masked(answer, status, form, trail),
    }
}

fn masked(answer: Response<AnswerBody>, status: StatusCode, form: Form, trail: &Trail) -> Response<AnswerBody> {
    let (theirs, body) = answer.into_parts();
    throw_away(body);
    let mut ours = answer::app_failed(status, trail.id, form);
    if let Some(when) = retry_after(&theirs.headers) {
        ours.headers_mut().insert(RETRY_AFTER, when);
    }
    for cookie in theirs.headers.get_all(SET_COOKIE) {
        ours.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    ours
}

/// gRPC says its errors in trailers and streams of events are read by scripts: neither is a page, and both would break.
fn is_for_a_program(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let Ok(kind) = kind.to_str() else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let after_grpc = essence.strip_prefix("application/grpc");
    essence == "text/event-stream" || after_grpc.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', '-']))
}

/// The application's `Retry-After`, where it is one of the two forms (RFC 9110, section 10.2.3) and stands once.
fn retry_after(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?;
    let seconds = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    // The length and the letters of `Sun, 22 Nov 2026 02:00:00 GMT` leave no room for anything else of interest.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b',' | b':');
    let date = text.len() == 29 && text.ends_with(" GMT") && text.bytes().all(plain);
    (seconds || date).then(|| value.clone())
}

/// Reads a body to its end where that is near; else drops it, and the connection with it.
fn throw_away(body: AnswerBody) {
    if matches!(body, AnswerBody::Whole(_)) || body.size_hint().lower() > DRAIN {
        return;
    }
    // One task for each connection to the application at most, and each ends in time.
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut body = body;
        let mut left = DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(rest) = left.checked_sub(size) else { return };
            left = rest;
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_streams_and_grpc_are_for_programs() {
        for kind in
            ["application/grpc", "Application/gRPC+proto", "application/grpc-web+proto", "text/event-stream; a=b"]
        {
            assert!(is_for_a_program(&head(CONTENT_TYPE, &[kind])), "{kind}");
        }
        for kinds in [
            &["text/html"][..],
            &["application/grpcx"],
            &["text/html; x=text/event-stream"],
            &["text/event-stream", "text/html"],
            &["application/json"],
            &[],
        ] {
            assert!(!is_for_a_program(&head(CONTENT_TYPE, kinds)), "{kinds:?}");
        }
    }

    #[test]
    fn retry_after_stays_where_it_is_one() {
        for fine in ["0", "120", "Sun, 22 Nov 2026 02:00:00 GMT"] {
            assert_eq!(retry_after(&head(RETRY_AFTER, &[fine])).unwrap(), fine);
        }
        for bad in [&["-1"][..], &[""], &["1.5"], &["db7.internal"], &["9999999999"], &["1", "2"], &[]] {
            assert_eq!(retry_after(&head(RETRY_AFTER, bad)), None, "{bad:?}");
        }
    }
}
