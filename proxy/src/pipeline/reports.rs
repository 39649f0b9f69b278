//! The place that browsers send reports of content policies to.
//!
//! Decides which reports count. It needs no credential, since browsers send none with reports, and says nothing: whatever
//! comes is answered with 204. It keeps of a report the name of a directive and nothing else, never an address. Nothing
//! under `/.anteroom/` ever reaches the application.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use tokio::time::timeout;

use super::admit::Understood;
use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::telemetry::controls::{Control, Disposition};
use crate::upstream::body::{AnswerBody, Arriving};

/// Where browsers send reports to.
pub(crate) const REPORTS: &str = "/.anteroom/csp-report";
/// The largest report, in bytes; a browser may send several in one.
const LONGEST: usize = 16 * 1024;
/// How long one may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many of those that came together are counted.
const AT_ONCE: usize = 50;

/// Whether a path is the gate's own, so that no route is asked about it.
pub(crate) fn is_reserved(path: &str) -> bool {
    path.strip_prefix("/.anteroom").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a request is a report.
pub(super) fn is_report(runtime: &Runtime, method: &Method, path: &str) -> bool {
    runtime.answer_headers.reports && path == REPORTS && *method == Method::POST
}

/// Takes a report.
///
/// # Errors
/// `NO_ROUTE` for everything else under `/.anteroom/`, and while no reports are asked for.
pub(super) async fn collect(
    shared: &Shared,
    runtime: &Runtime,
    understood: Understood,
    trail: &mut Trail,
) -> Result<Response<AnswerBody>, Rejection> {
    if !is_report(runtime, &understood.method, &understood.path) {
        trail.shape = Some(redact::shape(&understood.path));
        return Err(Rejection::NoRoute);
    }
    trail.template = Some(REPORTS.into());
    let Understood { parts, body, host, .. } = understood;
    if let Some(form) = Form::of(&parts.headers)
        && shared.limits.take_report(trail.peer, trail.started.monotone).is_ok()
        && let Some(text) = whole(body).await
    {
        let ours = |address: &str| origin(address).is_some_and(|origin| runtime.is_own_origin(origin, &host));
        for report in form.read(&text).iter().take(AT_ONCE).filter(|report| ours(&report.document)) {
            shared.metrics.reports().add(&report.directive, report.disposition);
            if report.disposition != Disposition::Enforce {
                shared.metrics.observed(Control::Csp);
            }
        }
    }
    let mut answer = Response::new(AnswerBody::Whole(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// A whole report; `None` where it is too long or too slow.
#[expect(clippy::disallowed_methods, reason = "it is limited")]
pub(super) async fn whole(mut body: Arriving) -> Option<Bytes> {
    let body = timeout(PATIENCE, Limited::new(body.rest_mut(), LONGEST).collect()).await.ok()?;
    Some(body.ok()?.to_bytes())
}

/// Scheme and host of an address.
fn origin(address: &str) -> Option<&str> {
    let host = address.strip_prefix("https://")?;
    let length = host.find(['/', '?', '#']).unwrap_or(host.len());
    address.get(.."https://".len().checked_add(length)?)
}

/// The two forms in which browsers report. A page of another site can send neither content type without a preflight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// That of `report-uri`: one object.
    Uri,
    /// That of `report-to`, the Reporting API: a list of reports of all kinds.
    To,
}

/// What is read of a report.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    document: String,
    directive: String,
    disposition: Disposition,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/csp-report" => Some(Form::Uri),
            "application/reports+json" => Some(Form::To),
            _ => None,
        }
    }

    fn read(self, text: &[u8]) -> Vec<Report> {
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return Vec::new() };
        let field = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
        match self {
            Form::Uri => {
                let Some(body) = value.get("csp-report") else { return Vec::new() };
                let directive = field(body, "effective-directive").or_else(|| field(body, "violated-directive"));
                let disposition = Disposition::of(body.get("disposition").and_then(Value::as_str));
                let report =
                    (|| Some(Report { document: field(body, "document-uri")?, directive: directive?, disposition }))();
                report.into_iter().collect()
            }
            Form::To => {
                let reports = value.as_array().map(Vec::as_slice).unwrap_or_default().iter();
                let violations = reports.filter(|one| field(one, "type").as_deref() == Some("csp-violation"));
                violations
                    .filter_map(|one| {
                        let body = one.get("body")?;
                        let disposition = Disposition::of(body.get("disposition").and_then(Value::as_str));
                        let document = field(body, "documentURL").or_else(|| field(one, "url"))?;
                        Some(Report { document, directive: field(body, "effectiveDirective")?, disposition })
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_a_whole_segment() {
        for path in ["/.anteroom", "/.anteroom/", "/.anteroom/csp-report", "/.anteroom/a/b"] {
            assert!(is_reserved(path), "{path}");
        }
        for path in ["/", "/.anteroomx", "/anteroom", "/x/.anteroom", "/.Anteroom"] {
            assert!(!is_reserved(path), "{path}");
        }
    }

    #[test]
    fn an_origin_ends_where_the_path_begins() {
        for (address, expected) in [
            ("https://clinic.example/a?b#c", Some("https://clinic.example")),
            ("https://clinic.example?x=/", Some("https://clinic.example")),
            ("https://clinic.example", Some("https://clinic.example")),
            ("http://clinic.example/", None),
            ("about:srcdoc", None),
        ] {
            assert_eq!(origin(address), expected, "{address}");
        }
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let old = br#"{"csp-report": {"document-uri": "https://a/", "violated-directive": "script-src-elem 'self'"}}"#;
        let read = Form::Uri.read(old);
        let expected = Report {
            document: "https://a/".into(),
            directive: "script-src-elem 'self'".into(),
            disposition: Disposition::Unsaid,
        };
        assert_eq!(read, [expected]);
        let new = br#"[{"type": "deprecation", "body": {"id": "x"}}, {"type": "csp-violation", "url": "https://a/",
            "body": {"effectiveDirective": "img-src", "disposition": "report"}}]"#;
        let expected =
            Report { document: "https://a/".into(), directive: "img-src".into(), disposition: Disposition::Report };
        assert_eq!(Form::To.read(new), [expected]);
        for odd in [&b""[..], b"[]", b"{}", b"null", b"[[[", b"{\"csp-report\": 7}", b"[{\"type\": \"csp-violation\"}]"]
        {
            assert_eq!((Form::Uri.read(odd).len(), Form::To.read(odd).len()), (0, 0));
        }
    }
}
