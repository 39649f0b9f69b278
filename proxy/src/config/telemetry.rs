//! Telemetry as written to an exporter's settings.
//!
//! Decides what is unsafe (plain HTTP off loopback, secrets in the file itself) and refuses it. Opens nothing.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use policy::{Diagnostic, Spanned};

use super::compile::Faulty;
use super::raw::{RawFile, RawTelemetry};
use crate::telemetry::otlp::{AddressFault, Collector, Settings, read_headers};

/// The port that gRPC has by convention, which the gate does not speak.
const GRPC: u16 = 4317;
/// The longest time between two rounds of metrics.
const LONGEST: Duration = Duration::from_secs(60 * 60);

pub(super) fn compile(raw: &RawTelemetry, faults: &mut Faulty<'_>) -> Option<Settings> {
    let headers = match &raw.headers {
        Some(headers) => more_headers(headers, faults),
        None => Some(Vec::new()),
    };
    let interval = raw.interval.value.0;
    if interval < Duration::from_secs(1) || interval > LONGEST {
        let message = format!("`{}` is not between `1s` and `1h`", raw.interval.value);
        faults.at(raw.interval.span, "range", message, "choose one between");
        return None;
    }
    let collector = collector(raw, headers?, faults)?;
    Some(Settings::new(collector, raw.traces, interval))
}

fn collector(
    raw: &RawTelemetry,
    headers: Vec<(HeaderName, HeaderValue)>,
    faults: &mut Faulty<'_>,
) -> Option<Collector> {
    let authorities = match &raw.ca {
        Some(ca) => Some(faults.file(ca)?),
        None => None,
    };
    let url = &raw.otlp;
    match Collector::new(&url.value, authorities, headers) {
        Ok(collector) => {
            if collector.port() == GRPC {
                let message = format!("`{}` is the port of OTLP over gRPC; the gate speaks OTLP over HTTP", url.value);
                let warning = Diagnostic::warning("telemetry", url.span, message);
                faults.found.push(warning.help("mostly it is the port beside it: 4318"));
            }
            if let (Some(ca), true) = (&raw.ca, url.value.starts_with("http:")) {
                faults.at(ca.span, "telemetry", "`ca` is for `https` only", "take it out");
                return None;
            }
            Some(collector)
        }
        Err(fault) => {
            let (span, hint) = match (&fault, &raw.ca) {
                (AddressFault::Form | AddressFault::Decorated, _) => {
                    (url.span, "write it as `https://collector.example:4318` or `http://127.0.0.1:4318`")
                }
                (AddressFault::Clear, _) => {
                    (url.span, "write `https://…`, or send to an agent on `http://127.0.0.1:4318`")
                }
                (AddressFault::Trust(_), Some(ca)) => (ca.span, "it holds the authorities in PEM"),
                (AddressFault::Trust(_), None) => (url.span, "name the authorities with `ca: FILE`"),
            };
            faults.at(span, "telemetry", fault.to_string(), hint);
            None
        }
    }
}

fn more_headers(headers: &Spanned<RawFile>, faults: &mut Faulty<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let file = &headers.value.file;
    let bytes = faults.file(file)?;
    let read = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()).and_then(read_headers);
    read.map_err(|fault| {
        faults.at(
            file.span,
            "telemetry",
            fault,
            "it holds one `Name: value` a line, such as `Authorization: Bearer …`",
        );
    })
    .ok()
}
