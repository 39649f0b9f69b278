//! The numbers of the directory of subjects, read when someone asks for the metrics.

use std::sync::Weak;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::seen;
use crate::directory::{ServiceStatus, Source};
use crate::shared::Shared;

/// Shows how many subjects are known, and what a service answered that was asked about them.
pub(super) fn show(meter: &Meter, gate: &Weak<Shared>) {
    let subjects = seen(gate, |gate, out: &dyn AsyncInstrument<u64>| {
        let known = match gate.runtime.load().directory.as_ref().map(|one| one.source()) {
            Some(Source::File(listed)) => listed.subjects() as u64,
            Some(Source::Service(service)) => service.status().subjects,
            None => 0,
        };
        out.observe(known, &[]);
    });
    let _subjects = meter.u64_observable_gauge("anteroom.directory.subjects").with_callback(subjects).build();
    let lookups = seen(gate, |gate, out: &dyn AsyncInstrument<u64>| {
        let runtime = gate.runtime.load();
        let status = match runtime.directory.as_ref().map(|one| one.source()) {
            Some(Source::Service(service)) => service.status(),
            Some(Source::File(_)) | None => ServiceStatus::default(),
        };
        let ServiceStatus { listed, unlisted, failed, .. } = status;
        for (result, count) in [("listed", listed), ("unlisted", unlisted), ("failed", failed)] {
            out.observe(count, &[KeyValue::new("result", result)]);
        }
    });
    let _lookups = meter.u64_observable_counter("anteroom.directory.lookups").with_callback(lookups).build();
}
