//! What sessions count, as metrics. It counts nothing by itself.

use std::sync::Weak;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::seen;
use crate::sessions::Counts;
use crate::shared::Shared;

/// Counts by a word of a closed list.
type ByWord = fn(Counts) -> Vec<(&'static str, u64)>;

/// Shows what sessions count.
pub(super) fn observe(meter: &Meter, gate: &Weak<Shared>) {
    let known = seen(gate, |gate, out| out.observe(gate.sessions.counts().known, &[]));
    let _known = meter.u64_observable_gauge("anteroom.sessions").with_callback(known).build();
    let streams = seen(gate, |gate, out| out.observe(gate.sessions.counts().streams, &[]));
    let _streams = meter.u64_observable_gauge("anteroom.streams").with_callback(streams).build();
    let revoked = seen(gate, |gate, out| out.observe(gate.sessions.counts().revocations, &[]));
    let _revoked = meter.u64_observable_gauge("anteroom.revocations").with_callback(revoked).build();
    let counts: [(&'static str, &'static str, ByWord); 3] = [
        ("anteroom.sessions.ended", "by", |counts| counts.ended),
        ("anteroom.sessions.refused", "reason", |counts| counts.refused),
        ("anteroom.streams.cut", "reason", |counts| counts.cut),
    ];
    for (name, label, of) in counts {
        let gate = gate.clone();
        let told = move |out: &dyn AsyncInstrument<u64>| {
            let counts = gate.upgrade().map(|gate| of(gate.sessions.counts())).unwrap_or_default();
            for (word, count) in counts {
                out.observe(count, &[KeyValue::new(label, word)]);
            }
        };
        let _told = meter.u64_observable_counter(name).with_callback(told).build();
    }
    let failed = seen(gate, |gate, out| {
        let trouble = gate.sessions.trouble();
        out.observe(u64::from(trouble.state.is_some()), &[KeyValue::new("file", "state")]);
        out.observe(u64::from(trouble.revoked.is_some()), &[KeyValue::new("file", "revoked")]);
    });
    let _failed = meter.u64_observable_gauge("anteroom.sessions.failed").with_callback(failed).build();
}
