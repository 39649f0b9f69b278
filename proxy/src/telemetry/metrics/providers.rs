//! What `/metrics` shows of each provider. It asks nobody: it shows what is held.

use std::sync::Weak;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::seen;
use crate::runtime::Provider;
use crate::shared::Shared;

/// Shows the keys of each provider that runs at the time of asking.
pub(super) fn observe(meter: &Meter, gate: &Weak<Shared>) {
    let keys = seen(gate, |gate, out| {
        let now = gate.clock.now().monotone;
        for provider in &gate.runtime.load().providers {
            let keys = provider.keys.current(now).map_or(0, |keys| keys.len());
            out.observe(keys as u64, &[name(provider)]);
        }
    });
    // The instruments live as long as their meter; the handles are not needed.
    let _keys = meter.u64_observable_gauge("anteroom.provider.keys").with_callback(keys).build();
    let fetched = seen(gate, |gate, out| {
        for provider in &gate.runtime.load().providers {
            if let Some(at) = provider.keys.status().state.fetched_at {
                out.observe(at.unix_seconds(), &[name(provider)]);
            }
        }
    });
    let _fetched =
        meter.u64_observable_gauge("anteroom.provider.keys_fetched").with_unit("s").with_callback(fetched).build();
    let failures = seen(gate, |gate, out| {
        for provider in &gate.runtime.load().providers {
            let status = provider.keys.status();
            if status.fetched {
                out.observe(status.state.failed, &[name(provider)]);
            }
        }
    });
    let _failures = meter.u64_observable_counter("anteroom.provider.fetch_failures").with_callback(failures).build();
}

fn name(provider: &Provider) -> KeyValue {
    KeyValue::new("provider", provider.authn.name().to_owned())
}
