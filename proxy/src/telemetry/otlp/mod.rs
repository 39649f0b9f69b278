//! The way of traces, metrics and logs to a collector (OTLP over HTTP, in protobuf): off until it is configured.
//!
//! Decides what is dropped when the collector does not keep up, and counts it. It never makes a request wait: what the
//! workers put into the [`Outbox`] is either taken at once or dropped, and everything else happens on a thread of its own.

mod client;
mod message;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use opentelemetry_proto::tonic::resource::v1::Resource;
use policy::units::Share;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::log::Line;
use super::trace::{AppCall, Own, SpanId, TraceId};
use crate::shared::Shared;
pub use client::{AddressFault, Collector, read_headers};
use client::{Client, Fault};

/// Requests whose spans may wait: about 0.5 MiB.
const WAITING_REQUESTS: usize = 2_048;
/// Lines of the log that may wait; each is bounded by the log, and mostly under 500 bytes.
const WAITING_LINES: usize = 1_024;
/// How many of them go into one message.
const BATCH: usize = 512;
/// How many messages of one kind go out before the next kind has its turn: a full queue, and the one before it.
const MESSAGES: usize = 5;
/// How long something may wait for others to go with it.
const LINGER: Duration = Duration::from_secs(1);
/// How often the same message is tried.
const TRIES: u32 = 5;
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the rest may take when the gate stops.
const FLUSH: Duration = Duration::from_secs(2);

/// A kind of telemetry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Lines of the log.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its word in the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }
}

/// What a request's spans are made of: ids, closed lists and the configuration's own words.
#[derive(Debug)]
pub(crate) struct RequestSpans {
    pub(crate) trace: TraceId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) own: Own,
    pub(crate) method: Option<&'static str>,
    pub(crate) template: Option<Arc<str>>,
    pub(crate) rule: Option<Arc<str>>,
    pub(crate) code: Option<&'static str>,
    pub(crate) decision: &'static str,
    pub(crate) status: u16,
    pub(crate) started_ms: u64,
    pub(crate) took: Duration,
    pub(crate) app: Option<AppCall>,
}

/// Where workers and the log put what is to be sent. Bounded: 2,048 requests and 1,024 lines; what does not fit is
/// dropped and counted.
pub struct Outbox {
    aim: ArcSwap<Aim>,
    requests: mpsc::Sender<RequestSpans>,
    lines: mpsc::Sender<Line>,
    filled: Notify,
    dropped: [AtomicU64; 3],
}

/// Where to, how much and how often: what a reload may change.
#[derive(Debug)]
struct Aim {
    collector: Arc<Collector>,
    share: Share,
    interval: Duration,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Outbox")
    }
}

impl Outbox {
    /// How many requests are traced.
    pub(crate) fn share(&self) -> Share {
        self.aim.load().share
    }

    /// From now on sends where `other` would, as much and as often.
    pub(crate) fn follow(&self, other: &Self) {
        self.aim.store(other.aim.load_full());
    }

    /// Takes a request's spans, or drops them.
    pub(crate) fn request(&self, spans: RequestSpans) {
        let size = message::count(std::slice::from_ref(&spans));
        if self.requests.try_send(spans).is_err() {
            self.drop_some(Signal::Traces, size);
        }
        self.wake(self.requests.capacity(), WAITING_REQUESTS);
    }

    /// Takes a line of the log, or drops it.
    pub(crate) fn line(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.drop_some(Signal::Logs, 1);
        }
        self.wake(self.lines.capacity(), WAITING_LINES);
    }

    /// What was not delivered so far: spans, lines of the log, and rounds of metrics.
    pub fn dropped(&self, signal: Signal) -> u64 {
        self.counter(signal).load(Ordering::Relaxed)
    }

    /// Wakes the exporter when a message is full: once, not for each of those that come while the collector is down.
    fn wake(&self, free: usize, limit: usize) {
        if free == limit.saturating_sub(BATCH) {
            self.filled.notify_one();
        }
    }

    fn drop_some(&self, signal: Signal, count: u64) {
        self.counter(signal).fetch_add(count, Ordering::Relaxed);
    }

    fn counter(&self, signal: Signal) -> &AtomicU64 {
        let [traces, metrics, logs] = &self.dropped;
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        }
    }
}

/// What is to be exported, and where to.
#[derive(Debug)]
pub struct Settings {
    /// Where workers and the log put what is to be sent.
    pub outbox: Arc<Outbox>,
    requests: mpsc::Receiver<RequestSpans>,
    lines: mpsc::Receiver<Line>,
}

impl Settings {
    /// Sends `share` of the requests as spans, the metrics every `interval`, and every line of the log to `collector`.
    pub fn new(collector: Collector, share: Share, interval: Duration) -> Self {
        let (to_requests, requests) = mpsc::channel(WAITING_REQUESTS);
        let (to_lines, lines) = mpsc::channel(WAITING_LINES);
        let dropped = Default::default();
        let aim = ArcSwap::from_pointee(Aim { collector: Arc::new(collector), share, interval });
        let outbox = Outbox { aim, requests: to_requests, lines: to_lines, filled: Notify::new(), dropped };
        Self { outbox: Arc::new(outbox), requests, lines }
    }
}

#[cfg(test)]
impl Settings {
    /// What the log has put into the outbox.
    pub(crate) fn into_lines(self) -> mpsc::Receiver<Line> {
        self.lines
    }
}

/// An exporter that runs.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Starts the thread. `instance` names this replica.
    ///
    /// # Errors
    /// Where the thread or its runtime cannot be made.
    pub(crate) fn start(settings: Settings, shared: Arc<Shared>, instance: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let resource = message::resource(instance);
        let thread = std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
            let Settings { outbox, requests, lines } = settings;
            runtime.block_on(async {
                let next = Instant::now() + outbox.aim.load().interval;
                let post = Post::new(outbox, resource);
                Export { post, shared, requests, lines, spans: None, logs: None, next }.run(stopped).await;
            });
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Sends what is left, for at most 2 seconds.
    pub(crate) async fn stop(self) {
        // Its end is what the thread waits for.
        drop(self.stop);
        while !self.thread.is_finished() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A message that waits to be sent or sent again.
#[derive(Debug)]
struct Parcel {
    body: Bytes,
    count: u64,
    tries: u32,
}

impl Parcel {
    /// One message of what waits, at most [`BATCH`] of it; `None` where nothing does.
    fn pack<T>(waiting: &mut mpsc::Receiver<T>, write: impl FnOnce(&[T]) -> (Bytes, u64)) -> Option<Self> {
        let taken: Vec<T> = std::iter::from_fn(|| waiting.try_recv().ok()).take(BATCH).collect();
        if taken.is_empty() {
            return None;
        }
        let (body, count) = write(taken.as_slice());
        Some(Self { body, count, tries: 0 })
    }
}

/// The work of the thread.
struct Export {
    post: Post,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<RequestSpans>,
    lines: mpsc::Receiver<Line>,
    spans: Option<Parcel>,
    logs: Option<Parcel>,
    next: Instant,
}

impl Export {
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let outbox = Arc::clone(&self.post.outbox);
        loop {
            // INVARIANT: what is being sent when the gate stops is still in its parcel, and goes with the rest.
            let round = async {
                if !self.has_full_message() {
                    tokio::select! {
                        () = sleep(LINGER) => {}
                        () = outbox.filled.notified() => {}
                    }
                }
                self.round().await;
            };
            tokio::select! {
                _ = &mut stop => break,
                () = round => {}
            }
        }
        self.next = Instant::now();
        self.post.forget_failures();
        if timeout(FLUSH, self.round()).await.is_err() {
            tracing::warn!(target: "anteroom", "the last telemetry was not delivered in time");
        }
    }

    /// Whether there is enough for a message that may be sent now.
    fn has_full_message(&mut self) -> bool {
        let spans = self.requests.len() >= BATCH && !self.post.is_pausing(Signal::Traces);
        spans || (self.lines.len() >= BATCH && !self.post.is_pausing(Signal::Logs))
    }

    /// Sends what waits, each kind until the collector fails at it or the others have waited long enough.
    async fn round(&mut self) {
        let resource = Arc::clone(&self.post.resource);
        let write_spans = |taken: &[RequestSpans]| (message::spans(taken, &resource), message::count(taken));
        let write_logs = |taken: &[Line]| (message::logs(taken, &resource), taken.len() as u64);
        for _ in 0..MESSAGES {
            self.spans = self.spans.take().or_else(|| Parcel::pack(&mut self.requests, write_spans));
            if self.spans.is_none() || self.post.is_pausing(Signal::Traces) {
                break;
            }
            self.post.send(Signal::Traces, &mut self.spans).await;
        }
        for _ in 0..MESSAGES {
            self.logs = self.logs.take().or_else(|| Parcel::pack(&mut self.lines, write_logs));
            if self.logs.is_none() || self.post.is_pausing(Signal::Logs) {
                break;
            }
            self.post.send(Signal::Logs, &mut self.logs).await;
        }
        if self.next <= Instant::now() {
            self.next = Instant::now() + self.post.outbox.aim.load().interval;
            if let Some(gathered) = self.shared.metrics.gather() {
                // Tried once: the next round says all that this one does.
                let body = message::metrics(gathered, &resource);
                self.post.send(Signal::Metrics, &mut Some(Parcel { body, count: 1, tries: TRIES })).await;
            }
        }
    }
}

/// The sending, and what became of it.
struct Post {
    client: Client,
    outbox: Arc<Outbox>,
    resource: Arc<Resource>,
    traces: Failures,
    metrics: Failures,
    logs: Failures,
}

/// What went wrong with a kind of telemetry since it was last delivered.
#[derive(Debug, Default)]
struct Failures {
    last: Option<Fault>,
    pause: Duration,
    until: Option<Instant>,
}

impl Post {
    fn new(outbox: Arc<Outbox>, resource: Resource) -> Self {
        let [traces, metrics, logs] = Default::default();
        Self { client: Client::default(), outbox, resource: Arc::new(resource), traces, metrics, logs }
    }

    fn failures(&mut self, signal: Signal) -> &mut Failures {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        }
    }

    fn is_pausing(&mut self, signal: Signal) -> bool {
        self.failures(signal).until.is_some_and(|until| Instant::now() < until)
    }

    fn forget_failures(&mut self) {
        for signal in Signal::ALL {
            self.failures(signal).until = None;
        }
    }

    /// Sends a parcel. It is gone when it was delivered, refused, or tried often enough.
    async fn send(&mut self, signal: Signal, parcel: &mut Option<Parcel>) {
        let Some(one) = parcel else { return };
        one.tries += 1;
        let collector = Arc::clone(&self.outbox.aim.load().collector);
        let sent = self.client.send(&collector, signal.path(), one.body.clone()).await;
        let count = one.count;
        let dropped = match &sent {
            Ok(answer) => message::refused(signal, answer.clone()).min(count),
            Err(fault) if fault.may_pass() && one.tries < TRIES => 0,
            Err(_) => count,
        };
        if sent.is_ok() || dropped > 0 {
            *parcel = None;
        }
        self.outbox.drop_some(signal, dropped);
        match sent {
            Ok(_) => self.delivered(signal),
            Err(fault) => self.failed(signal, fault),
        }
    }

    /// The log says when it changes, not each time: its lines come this way too.
    fn delivered(&mut self, signal: Signal) {
        if std::mem::take(self.failures(signal)).last.is_some() {
            tracing::info!(target: "anteroom", signal = signal.word(), "telemetry is delivered again");
        }
    }

    fn failed(&mut self, signal: Signal, fault: Fault) {
        let failures = self.failures(signal);
        failures.pause = (failures.pause * 2).clamp(LINGER, LONGEST_PAUSE);
        failures.until = Some(Instant::now() + failures.pause);
        if failures.last.replace(fault) != Some(fault) {
            let reason = fault.to_string();
            tracing::warn!(target: "anteroom", signal = signal.word(), reason, "telemetry cannot be delivered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace::Trace;

    fn settings() -> Settings {
        let collector = Collector::new("http://127.0.0.1:1", None, Vec::new()).unwrap();
        Settings::new(collector, Share::percent(100), Duration::from_secs(60))
    }

    fn request(app: Option<AppCall>) -> RequestSpans {
        let random = |bytes: &mut [u8]| {
            bytes.fill(7);
            true
        };
        let trace = Trace::begin(&http::HeaderMap::new(), Some(Share::percent(100)), 0, random).unwrap();
        RequestSpans {
            trace: trace.id,
            parent: None,
            own: trace.reported().unwrap(),
            method: Some("GET"),
            template: None,
            rule: None,
            code: None,
            decision: "allow",
            status: 200,
            started_ms: 0,
            took: Duration::ZERO,
            app,
        }
    }

    fn line() -> Line {
        Line { at_ms: 0, level: tracing::Level::INFO, fields: serde_json::Map::new() }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let Settings { outbox, mut requests, mut lines, .. } = settings();
        let call = AppCall { after: Duration::ZERO, took: Duration::ZERO, outcome: Ok(200) };
        for _ in 0..WAITING_REQUESTS + 3 {
            outbox.request(request(Some(call)));
        }
        for _ in 0..WAITING_LINES + 5 {
            outbox.line(line());
        }
        let dropped = Signal::ALL.map(|signal| outbox.dropped(signal));
        assert_eq!(dropped, [6, 0, 5], "a request that reached the application is two spans");
        let mut pack = || Parcel::pack(&mut requests, |taken| (Bytes::new(), message::count(taken)));
        assert_eq!(pack().unwrap().count, 2 * BATCH as u64);
        for _ in 1..WAITING_REQUESTS / BATCH {
            assert!(pack().is_some());
        }
        assert!(pack().is_none());
        assert_eq!(Parcel::pack(&mut lines, |taken| (Bytes::new(), taken.len() as u64)).unwrap().count, BATCH as u64);
        outbox.request(request(None));
        assert_eq!(outbox.dropped(Signal::Traces), 6, "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_tried_so_often_and_with_longer_and_longer_pauses() {
        let mut post = Post::new(settings().outbox, message::resource("pod-7"));
        let mut parcel = Some(Parcel { body: Bytes::new(), count: 7, tries: 0 });
        for pause in [1, 2, 4, 8] {
            post.send(Signal::Logs, &mut parcel).await;
            assert!(parcel.is_some() && post.is_pausing(Signal::Logs) && !post.is_pausing(Signal::Traces));
            assert_eq!(post.logs.pause, Duration::from_secs(pause));
            tokio::time::advance(Duration::from_secs(pause)).await;
            assert!(!post.is_pausing(Signal::Logs));
        }
        assert_eq!(post.outbox.dropped(Signal::Logs), 0);
        post.send(Signal::Logs, &mut parcel).await;
        assert!(parcel.is_none());
        assert_eq!(post.outbox.dropped(Signal::Logs), 7);
        for _ in 0..3 {
            post.failed(Signal::Logs, Fault::Connect);
        }
        assert_eq!(post.logs.pause, LONGEST_PAUSE);
        post.delivered(Signal::Logs);
        assert!(!post.is_pausing(Signal::Logs));
    }
}
