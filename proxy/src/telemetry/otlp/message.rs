//! What is sent, as messages of OTLP.
//!
//! Decides which attributes a span and a log record have, and nothing else may: each is ours, of the configuration, or of
//! a closed list. No path, no query, no header, no address and no name of a person stands in any of them.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;
use tracing::Level;

use super::{RequestSpans, Signal};
use crate::telemetry::log::Line;
use crate::telemetry::trace::AppCall;

/// Who is speaking: the same in every message.
pub(super) fn resource(instance: &str) -> Resource {
    let attributes = vec![
        text("service.name", "anteroom"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ];
    Resource { attributes, ..Resource::default() }
}

/// Two spans for each request that reached the application, one for each that did not.
pub(super) fn spans(requests: &[RequestSpans], resource: &Resource) -> Bytes {
    let spans = requests.iter().flat_map(|one| [Some(server(one)), client(one)]).flatten().collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let one = ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![one] }.encode_to_vec().into()
}

/// How many spans [`spans`] makes of these.
pub(super) fn count(requests: &[RequestSpans]) -> u64 {
    requests.iter().map(|one| 1 + u64::from(one.app.is_some())).sum()
}

pub(super) fn logs(lines: &[Line], resource: &Resource) -> Bytes {
    let log_records = lines.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
    let one = ResourceLogs { resource: Some(resource.clone()), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![one] }.encode_to_vec().into()
}

/// The metrics as the SDK has gathered them, under our name.
pub(super) fn metrics(mut gathered: ExportMetricsServiceRequest, resource: &Resource) -> Bytes {
    for one in &mut gathered.resource_metrics {
        one.resource = Some(resource.clone());
    }
    gathered.encode_to_vec().into()
}

/// How many items a collector says it has refused of a message that it took; an answer that cannot be read says nothing.
pub(super) fn refused(signal: Signal, answer: Bytes) -> u64 {
    let refused = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(answer)
            .ok()
            .and_then(|answer| answer.partial_success.map(|part| part.rejected_spans)),
        Signal::Metrics => ExportMetricsServiceResponse::decode(answer)
            .ok()
            .and_then(|answer| answer.partial_success.map(|part| part.rejected_data_points)),
        Signal::Logs => ExportLogsServiceResponse::decode(answer)
            .ok()
            .and_then(|answer| answer.partial_success.map(|part| part.rejected_log_records)),
    };
    u64::try_from(refused.unwrap_or(0)).unwrap_or(0)
}

/// The request as the client sees it.
fn server(one: &RequestSpans) -> Span {
    let method = one.method.unwrap_or("_OTHER");
    let name = match &one.template {
        Some(template) => format!("{method} {template}"),
        None => method.to_owned(),
    };
    let mut attributes = vec![
        text("http.request.method", method),
        number("http.response.status_code", i64::from(one.status)),
        text("url.scheme", "https"),
        text("anteroom.decision", one.decision),
    ];
    attributes.extend(one.template.as_deref().map(|template| text("http.route", template)));
    attributes.extend(one.rule.as_deref().map(|rule| text("anteroom.rule", rule)));
    attributes.extend(one.code.map(|code| text("anteroom.code", code)));
    let failed = one.status >= 500;
    if failed {
        let kind = one.code.map_or_else(|| one.status.to_string(), str::to_owned);
        attributes.push(text("error.type", &kind));
    }
    Span {
        trace_id: one.trace.bytes().to_vec(),
        span_id: one.own.server.bytes().to_vec(),
        parent_span_id: one.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(one.started_ms, Duration::ZERO),
        end_time_unix_nano: nanos(one.started_ms, one.took),
        attributes,
        status: Some(status(failed)),
        ..Span::default()
    }
}

/// The call to the application.
fn client(one: &RequestSpans) -> Option<Span> {
    let AppCall { after, took, outcome } = one.app?;
    let method = one.method.unwrap_or("_OTHER");
    let mut attributes = vec![text("http.request.method", method)];
    // For a client a status from 400 on is an error too (semantic conventions for HTTP, span status).
    let failed = match outcome {
        Ok(status) => {
            attributes.push(number("http.response.status_code", i64::from(status)));
            (status >= 400).then(|| status.to_string())
        }
        Err(code) => Some(code.to_owned()),
    };
    attributes.extend(failed.as_deref().map(|kind| text("error.type", kind)));
    Some(Span {
        trace_id: one.trace.bytes().to_vec(),
        span_id: one.own.client.bytes().to_vec(),
        parent_span_id: one.own.server.bytes().to_vec(),
        name: method.to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos(one.started_ms, after),
        end_time_unix_nano: nanos(one.started_ms, after.saturating_add(took)),
        attributes,
        status: Some(status(failed.is_some())),
        ..Span::default()
    })
}

fn status(failed: bool) -> Status {
    Status { code: if failed { SpanStatus::Error } else { SpanStatus::Unset }.into(), message: String::new() }
}

/// A line of the log: its message as the body, every other field as an attribute.
fn record(line: &Line) -> LogRecord {
    let severity = match line.level {
        Level::ERROR => 17,
        Level::WARN => 13,
        Level::INFO => 9,
        Level::DEBUG => 5,
        Level::TRACE => 1,
    };
    let message = line.fields.get("message").map(any);
    let others = line.fields.iter().filter(|(name, _)| *name != "message");
    let time = nanos(line.at_ms, Duration::ZERO);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: severity,
        severity_text: line.level.as_str().to_owned(),
        body: message,
        attributes: others.map(|(name, value)| attribute(name, any(value))).collect(),
        ..LogRecord::default()
    }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::Number(value) => value.as_i64().map(Any::IntValue).or(value.as_f64().map(Any::DoubleValue)),
        Value::String(value) => Some(Any::StringValue(value.clone())),
        // A line holds no others.
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    AnyValue { value }
}

fn scope() -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    InstrumentationScope { name: "anteroom".to_owned(), version, ..InstrumentationScope::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, AnyValue { value: Some(Any::StringValue(value.to_owned())) })
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, AnyValue { value: Some(Any::IntValue(value)) })
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Nanoseconds since 1970, `after` some milliseconds since then.
fn nanos(unix_ms: u64, after: Duration) -> u64 {
    let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
    unix_ms.saturating_mul(1_000_000).saturating_add(after)
}
