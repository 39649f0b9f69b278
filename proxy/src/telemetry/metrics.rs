//! Counters and their two forms: text for Prometheus, and what a collector is sent. Both are of one gathering.
//!
//! Names follow the semantic conventions of OpenTelemetry where they have one. No label can be made to grow by a client:
//! methods, codes, statuses, rules and templates are all closed lists of the configuration or of this program.

mod directory;
mod list;
mod providers;
mod sessions;
mod views;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use certs::Refusal;
use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    AsyncInstrument, BoundCounter, BoundHistogram, Counter, Histogram, MeterProvider as _, UpDownCounter,
};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, Pipeline, SdkMeterProvider, Temporality};
use prometheus::{Registry, TextEncoder};
use quick_cache::sync::Cache;

use super::controls::{Control, Counts, Reports};
use super::ended::Ended;
use super::otlp::{Outbox, Signal};
use crate::exposed::Exposure;
use crate::pipeline::{METHODS, Trail};
pub use list::{METRICS, MetricEntry};

/// How many sets of attributes are kept with their handles, over all requests: finding one costs a tenth of making one
/// anew. A set that falls out is bound again, to the same numbers.
const KEPT_SETS: usize = 1_024;

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    reader: Reader,
    provider: SdkMeterProvider,
    duration: Histogram<f64>,
    app: Histogram<f64>,
    answers: Cache<AnswerSet, AnswerHandles>,
    app_answers: Cache<AppSet, BoundHistogram<f64>>,
    active: Arc<[AtomicI64; METHODS.len() + 1]>,
    requests: Counter<u64>,
    observed: Counts,
    reports: Reports,
    connections: UpDownCounter<i64>,
    ended: Counter<u64>,
    handshakes: Counter<u64>,
    handshake_duration: Histogram<f64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

/// What tells the numbers of one answered request from those of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AnswerSet {
    method: &'static str,
    status: u16,
    template: Option<Arc<str>>,
    rule: Option<Arc<str>>,
    decision: &'static str,
    code: &'static str,
}

#[derive(Clone)]
struct AnswerHandles {
    duration: BoundHistogram<f64>,
    requests: BoundCounter<u64>,
}

/// A method, and the status or code that the call to the application ended with.
type AppSet = (&'static str, Result<u16, &'static str>);

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It was done.
    Ok,
    /// It took too long.
    TimedOut,
    /// The client hung up.
    BrokenOff,
    /// One side would not go on.
    Refused(Refusal),
}

impl Handshake {
    fn word(self) -> &'static str {
        match self {
            Handshake::Ok => "ok",
            Handshake::TimedOut => "timeout",
            Handshake::BrokenOff => "broken_off",
            Handshake::Refused(refusal) => word(refusal),
        }
    }
}

/// One word for a refusal.
pub(crate) fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::OldVersion => "old_version",
        Refusal::NothingInCommon => "nothing_in_common",
        Refusal::NoExtendedMasterSecret => "no_extended_master_secret",
        Refusal::NoProtocol => "no_protocol",
        Refusal::UnknownName => "unknown_name",
        Refusal::NoCertificate => "no_certificate",
        Refusal::BadCertificate(_) => "bad_certificate",
        Refusal::ByTheClient => "by_the_client",
        Refusal::Malformed => "malformed",
    }
}

/// The one gathering behind both forms.
#[derive(Clone, Debug)]
struct Reader(Arc<PrometheusExporter>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, gathered: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(gathered)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// A request that is being served; it counts as active until this is dropped.
#[derive(Debug)]
pub(crate) struct Active<'m>(Option<&'m AtomicI64>);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
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
        let reader = Reader(Arc::new(exporter));
        let provider = SdkMeterProvider::builder()
            // Nothing about this process is taken from its environment.
            .with_resource(Resource::builder_empty().build())
            .with_reader(reader.clone())
            .with_view(views::of)
            .build();
        let meter = provider.meter("anteroom");
        let active: Arc<[AtomicI64; METHODS.len() + 1]> = Arc::default();
        let counts = Arc::clone(&active);
        let _active = meter
            .i64_observable_up_down_counter("http.server.active_requests")
            .with_callback(move |out| {
                for (method, count) in METHODS.into_iter().chain(["_OTHER"]).zip(counts.iter()) {
                    out.observe(count.load(Ordering::Relaxed), &[KeyValue::new("http.request.method", method)]);
                }
            })
            .build();
        let observed = Counts::default();
        observed.show(&meter);
        let reports = Reports::default();
        reports.show(&meter);
        let ended = meter.u64_counter("anteroom.connections.ended").build();
        for why in Ended::ALL {
            ended.add(0, &[KeyValue::new("reason", why.name())]);
        }
        Ok(Self {
            registry,
            reader,
            active,
            answers: Cache::new(KEPT_SETS),
            app_answers: Cache::new(KEPT_SETS),
            app: meter.f64_histogram("http.client.request.duration").with_unit("s").build(),
            handshake_duration: meter.f64_histogram("anteroom.tls.handshake.duration").with_unit("s").build(),
            duration: meter.f64_histogram("http.server.request.duration").with_unit("s").build(),
            requests: meter.u64_counter("anteroom.requests").build(),
            observed,
            reports,
            connections: meter.i64_up_down_counter("anteroom.connections").build(),
            ended,
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
        let counted = seen(&gate, |gate, out| out.observe(gate.denials.counted(), &[]));
        let _counted = meter.u64_observable_counter("anteroom.record.denials_counted").with_callback(counted).build();
        providers::observe(&meter, &gate);
        directory::show(&meter, &gate);
        let expiry = seen(&gate, |gate, out| {
            for (number, certificate) in (1_i64..).zip(&gate.shown.load().certificates) {
                out.observe(certificate.not_after, &[KeyValue::new("certificate", number)]);
            }
        });
        let _expiry =
            meter.i64_observable_gauge("anteroom.certificate.expiry").with_unit("s").with_callback(expiry).build();
        let exposed = seen(&gate, |gate, out| match &*gate.exposed.found() {
            Exposure::Unknown | Exposure::Unasked => {}
            Exposure::Closed => out.observe(0, &[]),
            Exposure::Open(_) => out.observe(1, &[]),
        });
        let _exposed = meter.u64_observable_gauge("anteroom.app.exposed").with_callback(exposed).build();
        let lists = seen(&gate, |gate, out| {
            if let Some(until) = gate.shown.load().trust.as_ref().and_then(|trust| trust.lists_until()) {
                out.observe(until, &[]);
            }
        });
        let _lists = meter.i64_observable_gauge("anteroom.crl.next_update").with_unit("s").with_callback(lists).build();
        sessions::observe(&meter, &gate);
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

    /// Shows how large the record may become, in bytes, and by which configuration and policies requests are judged.
    pub fn observe_set(&self, record_limit: u64, gate: &std::sync::Weak<crate::shared::Shared>) {
        let meter = self.provider.meter("anteroom");
        let limit = move |out: &dyn AsyncInstrument<u64>| out.observe(record_limit, &[]);
        let _limit = meter.u64_observable_gauge("anteroom.record.limit_bytes").with_callback(limit).build();
        let number = seen(gate, |gate, out| out.observe(gate.runtime.load().number, &[]));
        let _number = meter.u64_observable_gauge("anteroom.configuration.number").with_callback(number).build();
    }

    /// Shows when the process started (Unix seconds), and what an exporter had to drop.
    pub fn observe_process(&self, started: u64, outbox: Option<Arc<Outbox>>) {
        let meter = self.provider.meter("anteroom");
        let start = move |out: &dyn AsyncInstrument<u64>| out.observe(started, &[]);
        let _start = meter.u64_observable_gauge("process.start_time").with_unit("s").with_callback(start).build();
        let dropped = move |out: &dyn AsyncInstrument<u64>| {
            for signal in Signal::ALL {
                let count = outbox.as_ref().map_or(0, |outbox| outbox.dropped(signal));
                out.observe(count, &[KeyValue::new("signal", signal.word())]);
            }
        };
        let _dropped = meter.u64_observable_counter("anteroom.telemetry.dropped").with_callback(dropped).build();
    }

    /// Counts a request as active until the guard is dropped.
    pub(crate) fn active(&self, method: Option<&'static str>) -> Active<'_> {
        let place = METHODS.iter().position(|name| Some(*name) == method).unwrap_or(METHODS.len());
        let count = self.active.get(place);
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Active(count)
    }

    /// Counts one call to the application: the status of its answer, or the code that the request ended with.
    pub(crate) fn app_answered(
        &self,
        method: Option<&'static str>,
        outcome: Result<u16, &'static str>,
        took: Duration,
    ) {
        let set = (method.unwrap_or("_OTHER"), outcome);
        let handle = self.app_answers.get(&set).unwrap_or_else(|| {
            let method = KeyValue::new("http.request.method", set.0);
            let outcome = match outcome {
                Ok(status) => KeyValue::new("http.response.status_code", i64::from(status)),
                Err(code) => KeyValue::new("error.type", code),
            };
            let handle = self.app.bind(&[method, outcome]);
            self.app_answers.insert(set, handle.clone());
            handle
        });
        handle.record(took.as_secs_f64());
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, trail: &Trail, status: StatusCode, code: Option<&'static str>, took: Duration) {
        let set = AnswerSet {
            method: trail.method.unwrap_or("_OTHER"),
            status: status.as_u16(),
            template: trail.template.clone(),
            rule: trail.rule.clone(),
            decision: trail.decision(code),
            code: trail.code(code).unwrap_or(""),
        };
        let handles = self.answers.get(&set).unwrap_or_else(|| {
            let handles = self.bind(&set);
            self.answers.insert(set, handles.clone());
            handles
        });
        handles.duration.record(took.as_secs_f64());
        handles.requests.add(1);
    }

    fn bind(&self, set: &AnswerSet) -> AnswerHandles {
        let text = |text: &Option<Arc<str>>| opentelemetry::Value::from(text.clone().unwrap_or_default());
        let duration = self.duration.bind(&[
            KeyValue::new("http.request.method", set.method),
            KeyValue::new("http.response.status_code", i64::from(set.status)),
            KeyValue::new("http.route", text(&set.template)),
        ]);
        let requests = self.requests.bind(&[
            KeyValue::new("decision", set.decision),
            KeyValue::new("code", set.code),
            KeyValue::new("rule", text(&set.rule)),
        ]);
        AnswerHandles { duration, requests }
    }

    /// Counts what a control in observe mode let pass.
    pub(crate) fn observed(&self, control: Control) {
        self.observed.add(control);
    }

    /// What browsers reported of the content policies.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// How often each control in observe mode let something pass.
    pub(crate) fn counts(&self) -> &Counts {
        &self.observed
    }

    /// Counts a connection that opened (1) or closed (-1).
    pub(crate) fn connection(&self, change: i64) {
        self.connections.add(change, &[]);
    }

    /// Counts a connection that the gate ended.
    pub(crate) fn ended(&self, why: Ended) {
        self.ended.add(1, &[KeyValue::new("reason", why.name())]);
    }

    /// Counts a handshake.
    pub(crate) fn handshake(&self, result: Handshake, took: Duration) {
        self.handshakes.add(1, &[KeyValue::new("result", result.word())]);
        let roughly = match result {
            Handshake::Ok | Handshake::TimedOut => result.word(),
            Handshake::BrokenOff | Handshake::Refused(_) => "failed",
        };
        self.handshake_duration.record(took.as_secs_f64(), &[KeyValue::new("result", roughly)]);
    }

    /// The form that a collector is sent, without a resource.
    pub(crate) fn gather(&self) -> Option<ExportMetricsServiceRequest> {
        let mut gathered = ResourceMetrics::default();
        self.reader.collect(&mut gathered).ok()?;
        Some((&gathered).into())
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
