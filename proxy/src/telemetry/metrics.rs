//! Counters and their text form (OpenTelemetry, shown to Prometheus).
//!
//! Names follow the semantic conventions of OpenTelemetry where they have one. No label can be made to grow by a client:
//! methods, codes, statuses, rules and templates are all closed lists of the configuration or of this program.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::metrics::{SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::pipeline::Trail;

/// The upper bounds of the buckets of request durations, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// One metric, as the manual lists it.
#[derive(Clone, Copy, Debug)]
pub struct MetricEntry {
    /// The name in the text form.
    pub name: &'static str,
    /// Its labels.
    pub labels: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// Every metric there is.
pub const METRICS: [MetricEntry; 14] = [
    MetricEntry {
        name: "http_server_request_duration_seconds",
        labels: "http_request_method, http_response_status_code, http_route",
        meaning: "how long requests took, from the head to the head of the answer",
    },
    MetricEntry {
        name: "anteroom_requests_total",
        labels: "decision, code, rule",
        meaning: "requests by what was decided",
    },
    MetricEntry {
        name: "anteroom_observed_total",
        labels: "control",
        meaning: "what a control in observe mode would have changed or refused: `cookies`, `csrf`",
    },
    MetricEntry { name: "anteroom_connections", labels: "", meaning: "open connections" },
    MetricEntry {
        name: "anteroom_tls_handshakes_total",
        labels: "result",
        meaning: "TLS handshakes: `ok`, `failed`, `timeout`",
    },
    MetricEntry { name: "anteroom_record_events_total", labels: "", meaning: "events that are on disk" },
    MetricEntry { name: "anteroom_record_waiting", labels: "", meaning: "events that wait for the disk" },
    MetricEntry { name: "anteroom_record_bytes", labels: "", meaning: "size of the record" },
    MetricEntry {
        name: "anteroom_record_failed",
        labels: "",
        meaning: "1 while the record cannot be written or is full",
    },
    MetricEntry {
        name: "anteroom_provider_keys",
        labels: "provider",
        meaning: "keys that a provider's tokens can be checked with",
    },
    MetricEntry {
        name: "anteroom_certificate_expiry_seconds",
        labels: "certificate",
        meaning: "the last second of a certificate, in Unix time; `certificate` counts those of the configuration from 1",
    },
    MetricEntry {
        name: "anteroom_reload_total",
        labels: "result",
        meaning: "sets of changed files: `done` were swapped in, `refused` were not",
    },
    MetricEntry {
        name: "anteroom_reload_failed",
        labels: "",
        meaning: "1 while the files are not what runs: the last set was refused",
    },
    MetricEntry {
        name: "anteroom_reload_last_good_seconds",
        labels: "",
        meaning: "when the set that runs was swapped in, in Unix time; `time()` less this is its age",
    },
];

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
    duration: Histogram<f64>,
    requests: Counter<u64>,
    observed: Counter<u64>,
    connections: UpDownCounter<i64>,
    handshakes: Counter<u64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It was done.
    Ok,
    /// The client offered nothing that we take, or broke off.
    Failed,
    /// It took too long.
    TimedOut,
}

/// A control that can be rolled out in observe mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The attributes of the application's cookies.
    Cookies,
    /// The check of requests from other sites.
    Csrf,
}

impl Control {
    /// Its name under `rollout`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Control::Cookies => "cookies",
            Control::Csrf => "csrf",
        }
    }
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// Where the exporter refuses its registry, which a fresh one never does.
    pub fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(duration_buckets).build();
        let meter = provider.meter("anteroom");
        Ok(Self {
            registry,
            duration: meter.f64_histogram("http.server.request.duration").with_unit("s").build(),
            requests: meter.u64_counter("anteroom.requests").build(),
            observed: meter.u64_counter("anteroom.observed").build(),
            connections: meter.i64_up_down_counter("anteroom.connections").build(),
            handshakes: meter.u64_counter("anteroom.tls.handshakes").build(),
            provider,
        })
    }

    /// Shows numbers that others keep: they are read when someone asks for the metrics.
    pub fn observe(
        &self,
        record: audit::Record,
        // Weak, because the gate holds these metrics.
        gate: std::sync::Weak<crate::shared::Shared>,
    ) {
        let meter = self.provider.meter("anteroom");
        let of = |read: fn(&audit::Health) -> u64| {
            let record = record.clone();
            move |out: &dyn opentelemetry::metrics::AsyncInstrument<u64>| out.observe(read(&record.health()), &[])
        };
        // The instruments live as long as their meter; the handles are not needed.
        let _events =
            meter.u64_observable_counter("anteroom.record.events").with_callback(of(|health| health.written)).build();
        let waiting = of(|health| health.queued as u64);
        let _waiting = meter.u64_observable_gauge("anteroom.record.waiting").with_callback(waiting).build();
        let _bytes =
            meter.u64_observable_gauge("anteroom.record.bytes").with_callback(of(|health| health.bytes)).build();
        let failed = of(|health| u64::from(health.failed.is_some() || health.full));
        let _failed = meter.u64_observable_gauge("anteroom.record.failed").with_callback(failed).build();
        let keys = seen(&gate, |gate, out| {
            for provider in &gate.runtime.load().providers {
                let name = KeyValue::new("provider", provider.authn.name().to_owned());
                out.observe(provider.keys.status().keys as u64, &[name]);
            }
        });
        let _keys = meter.u64_observable_gauge("anteroom.provider.keys").with_callback(keys).build();
        let expiry = seen(&gate, |gate, out| {
            for (number, certificate) in (1_i64..).zip(&gate.shown.load().certificates) {
                out.observe(certificate.not_after, &[KeyValue::new("certificate", number)]);
            }
        });
        let _expiry =
            meter.i64_observable_gauge("anteroom.certificate.expiry").with_unit("s").with_callback(expiry).build();
        let reloads = seen(&gate, |gate, out| {
            let status = gate.reloads.status();
            out.observe(status.done, &[KeyValue::new("result", "done")]);
            out.observe(status.failed, &[KeyValue::new("result", "refused")]);
        });
        let _reloads = meter.u64_observable_counter("anteroom.reload").with_callback(reloads).build();
        let failed = seen(&gate, |gate, out| out.observe(u64::from(gate.reloads.status().failure.is_some()), &[]));
        let _stale = meter.u64_observable_gauge("anteroom.reload.failed").with_callback(failed).build();
        let good = seen(&gate, |gate, out| out.observe(gate.reloads.status().good_at, &[]));
        let _good = meter.u64_observable_gauge("anteroom.reload.last_good").with_unit("s").with_callback(good).build();
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, trail: &Trail, status: StatusCode, code: Option<&'static str>, took: Duration) {
        let method = KeyValue::new("http.request.method", trail.method.unwrap_or("_OTHER"));
        let status = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        let route = KeyValue::new("http.route", opentelemetry::Value::from(trail.template.clone().unwrap_or_default()));
        self.duration.record(took.as_secs_f64(), &[method, status, route]);
        let observed = trail.observed_code();
        let decision = match (code, observed) {
            (Some(_), _) => "deny",
            (None, Some(_)) => "observe",
            (None, None) => "allow",
        };
        let decision = KeyValue::new("decision", decision);
        let code = KeyValue::new("code", code.or(observed).unwrap_or(""));
        let rule = KeyValue::new("rule", opentelemetry::Value::from(trail.rule.clone().unwrap_or_default()));
        self.requests.add(1, &[decision, code, rule]);
    }

    /// Counts what a control in observe mode let pass.
    pub(crate) fn observed(&self, control: Control) {
        self.observed.add(1, &[KeyValue::new("control", control.name())]);
    }

    /// Counts a connection that opened (1) or closed (-1).
    pub(crate) fn connection(&self, change: i64) {
        self.connections.add(change, &[]);
    }

    /// Counts a handshake.
    pub(crate) fn handshake(&self, result: Handshake) {
        let word = match result {
            Handshake::Ok => "ok",
            Handshake::Failed => "failed",
            Handshake::TimedOut => "timeout",
        };
        self.handshakes.add(1, &[KeyValue::new("result", word)]);
    }

    /// The text form.
    ///
    /// # Errors
    /// Where a metric cannot be written as text, which ours always can.
    pub fn text(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| error.to_string())
    }
}

/// A callback that reads the state of the gate, as long as there is one.
fn seen<T: 'static>(
    gate: &std::sync::Weak<crate::shared::Shared>,
    read: fn(&crate::shared::Shared, &dyn opentelemetry::metrics::AsyncInstrument<T>),
) -> impl Fn(&dyn opentelemetry::metrics::AsyncInstrument<T>) + Send + Sync + 'static {
    let gate = gate.clone();
    move |out| {
        if let Some(gate) = gate.upgrade() {
            read(&gate, out);
        }
    }
}

fn duration_buckets(instrument: &opentelemetry_sdk::metrics::Instrument) -> Option<Stream> {
    if instrument.name() != "http.server.request.duration" {
        return None;
    }
    let boundaries = SECONDS.to_vec();
    let histogram =
        opentelemetry_sdk::metrics::Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
    Stream::builder().with_aggregation(histogram).build().ok()
}
