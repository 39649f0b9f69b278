//! The operations log: JSON lines on standard output, allow-listed fields only.
//!
//! Decides what may be written: a field that is not on the list is dropped, and every text goes through `redact`. Of the
//! libraries below only warnings are written, because h2 and rustls print whole requests at their lower levels. It never
//! waits for the reader of standard output: when that falls behind, lines are lost and counted. Where telemetry is
//! exported, the collector gets the very same lines.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use certs::Refusal;
use http::StatusCode;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::clock::Clock;
use crate::config::raw::LogLevel;
use crate::pipeline::Trail;
use crate::rejection::Rejection;
use crate::telemetry::controls::Control;
use crate::telemetry::metrics;
use crate::telemetry::otlp::Outbox;

/// The longest text of a field, in characters.
const TEXT_LIMIT: usize = 2_048;
/// From how many seconds on the provider's clock is said to be behind.
const SLOW_S: u64 = 5;
/// The lines that may wait for the reader of standard output.
const WAITING_LINES: usize = 4_096;

/// The fields that may be written, beside `message`. None of them can hold what a client chose.
const FIELDS: [&str; 22] = [
    "address",
    "app_error",
    "code",
    "control",
    "cookies",
    "count",
    "detail",
    "duration_us",
    "error",
    "keys",
    "method",
    "policy",
    "provider",
    "reason",
    "request",
    "route",
    "rule",
    "seconds",
    "signal",
    "skipped",
    "status",
    "version",
];

/// One line, as it is written and as it is sent: allow-listed, redacted and bounded.
#[derive(Debug)]
pub(crate) struct Line {
    /// When it was said, milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) level: Level,
    /// At most the listed fields and `message`.
    pub(crate) fields: Map<String, Value>,
}

/// Starts the log. What is still waiting is written when the guard is dropped. With an `outbox` every line goes there too.
///
/// # Errors
/// Where this process has a log already.
pub fn start(
    level: LogLevel,
    writer: impl Write + Send + 'static,
    outbox: Option<Arc<Outbox>>,
) -> Result<WorkerGuard, tracing::subscriber::SetGlobalDefaultError> {
    let (lines, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).lossy(true).finish(writer);
    let layer = JsonLines { level: level.tracing(), clock: Clock::system(), lines, outbox };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
    Ok(guard)
}

impl LogLevel {
    fn tracing(self) -> Level {
        match self {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        }
    }
}

struct JsonLines {
    level: Level,
    clock: Clock,
    lines: NonBlocking,
    outbox: Option<Arc<Outbox>>,
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn enabled(&self, about: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = about.target() == "anteroom" || about.target().starts_with("anteroom::");
        // Levels compare by how much they say: `ERROR` is the least.
        *about.level() <= if ours { self.level } else { self.level.min(Level::WARN) }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let mut line = Line { at_ms: self.clock.now().unix_ms, level: *about.level(), fields: Map::new() };
        event.record(&mut Fields(&mut line.fields));
        if let Some(mut text) = line.json() {
            text.push(b'\n');
            // A full queue drops the line; the appender counts it.
            let mut lines = self.lines.clone();
            drop(lines.write_all(&text));
        }
        if let Some(outbox) = &self.outbox {
            outbox.line(line);
        }
    }
}

impl Line {
    fn json(&self) -> Option<Vec<u8>> {
        #[derive(serde::Serialize)]
        struct Written<'a> {
            at: String,
            level: String,
            #[serde(flatten)]
            fields: &'a Map<String, Value>,
        }
        let level = self.level.as_str().to_ascii_lowercase();
        serde_json::to_vec(&Written { at: audit::rfc3339(self.at_ms), level, fields: &self.fields }).ok()
    }
}

/// Takes the allow-listed fields of an event, redacted.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" || FIELDS.contains(&field.name()) {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Ids, codes and templates are ours, and templates hold braces that redaction would only blur.
        let ours = matches!(field.name(), "request" | "code" | "route" | "rule" | "method" | "policy" | "version");
        let text = if ours { value.to_owned() } else { redact::text(value).into_owned() };
        let text = match text.char_indices().nth(TEXT_LIMIT).and_then(|(end, _)| text.get(..end)) {
            Some(short) => short.to_owned(),
            None => text,
        };
        self.put(field, text.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// One line for a request that ended early, with the finer reason that the client is not told.
pub(crate) fn refusal(trail: &Trail, rejection: &Rejection) {
    let request = trail.id.to_string();
    let (code, detail) = (rejection.code(), rejection.detail());
    let rule = trail.rule.as_deref().unwrap_or("");
    match rejection {
        Rejection::Internal => {
            tracing::error!(target: "anteroom", request, code, rule, "a request failed by a fault of ours")
        }
        Rejection::NotRecorded => {
            tracing::error!(target: "anteroom", request, code, rule, "a request could not be recorded")
        }
        Rejection::AppDown(_) | Rejection::AppTimeout | Rejection::AppInvalid(_) | Rejection::Overloaded => {
            tracing::warn!(target: "anteroom", request, code, rule, detail, "the application did not answer");
        }
        Rejection::BadFraming(_)
        | Rejection::BadPath(_)
        | Rejection::BadHeader(_)
        | Rejection::BadHost(_)
        | Rejection::TooLarge(_)
        | Rejection::Misdirected
        | Rejection::NoRoute
        | Rejection::MethodNotAllowed(_)
        | Rejection::Token(_)
        | Rejection::LogoutToken(_)
        | Rejection::Session(_)
        | Rejection::DirectoryDown(_)
        | Rejection::Denied(_)
        | Rejection::StepUp(..)
        | Rejection::SignIn(_)
        | Rejection::CrossSite(_)
        | Rejection::Limited(_) => {
            tracing::info!(target: "anteroom", request, code, rule, detail, "a request was refused")
        }
    }
}

/// One line for a browser that signs in again and again, and is refused each time.
pub(crate) fn sign_in_loop(trail: &Trail, code: &'static str) {
    let request = trail.id.to_string();
    tracing::warn!(target: "anteroom", request, code, "a browser signs in again and again");
}

/// One line for a person who is sent to the provider's own sign-out without the ID token that it wants to see.
pub(crate) fn sign_out_without_hint(trail: &Trail) {
    let request = trail.id.to_string();
    tracing::warn!(
        target: "anteroom", request,
        "signing out at the provider goes without the ID token that it asks for: it was not kept, or is too long for a cookie"
    );
}

/// One line for a sign-in whose session is over as it begins, where that may be for the provider's clock: what it has `issued`
/// just now is of before. `at` is its time of the sign-in. Both in Unix seconds.
pub(crate) fn no_session(trail: &Trail, rejection: &Rejection, at: Option<u64>, issued: Option<u64>) {
    let (request, code, now) = (trail.id.to_string(), rejection.code(), trail.started.unix_seconds());
    let seconds = issued.map_or(0, |issued| now.saturating_sub(issued));
    if seconds < SLOW_S {
        return;
    }
    let age = at.map(|at| format!("; the sign-in is {} s old by ours", now.saturating_sub(at))).unwrap_or_default();
    let detail = format!("{}{age}", rejection.detail());
    tracing::warn!(
        target: "anteroom", request, code, seconds, detail,
        "a sign-in has made no session: look at the clock of the provider, which is behind ours"
    );
}

/// One line for a sign-in that was to be a new one, by a provider that does not say when it was.
pub(crate) fn of_unknown_age(trail: &Trail) {
    let request = trail.id.to_string();
    tracing::warn!(
        target: "anteroom", request,
        "a new sign-in was asked for, and the provider does not say when it was (`auth_time`): it may have asked nobody"
    );
}

/// One line for a request that a control would have refused, were it not observed only.
pub(crate) fn observed(trail: &Trail, control: Control, detail: &str) {
    let (request, control) = (trail.id.to_string(), control.name());
    let rule = trail.rule.as_deref().unwrap_or("");
    tracing::info!(target: "anteroom", request, control, rule, detail, "a request would have been refused");
}

/// One line for an answer whose cookies lack something, while that is observed only. `names` are the application's, in
/// the form that `pipeline/cookies.rs` lets out.
pub(crate) fn observed_cookies(trail: &Trail, names: &[String]) {
    let (request, control) = (trail.id.to_string(), Control::Cookies.name());
    let rule = trail.rule.as_deref().unwrap_or("");
    let cookies = names.join(", ");
    tracing::info!(target: "anteroom", request, control, rule, cookies, "cookies lack attributes");
}

/// One line for a request whose session cookie of the application was taken out.
pub(crate) fn taken_out(trail: &Trail, detail: &str) {
    let request = trail.id.to_string();
    let rule = trail.rule.as_deref().unwrap_or("");
    tracing::info!(target: "anteroom", request, rule, detail, "the application's session cookie was taken out");
}

/// One line for an answer that is the application's own error, with what became of it.
pub(crate) fn app_error(trail: &Trail, status: StatusCode, became: audit::AppError) {
    let (request, status) = (trail.id.to_string(), status.as_u16());
    let rule = trail.rule.as_deref().unwrap_or("");
    let app_error = match became {
        audit::AppError::Masked => "masked",
        audit::AppError::Observed => "observed",
        audit::AppError::Passed => "passed",
    };
    tracing::warn!(target: "anteroom", request, rule, status, app_error, "the application answered with an error");
}

/// One line for `count` handshakes that were refused for this reason.
pub(crate) fn handshake(refusal: Refusal, count: u64) {
    let reason = metrics::word(refusal);
    let detail = match refusal {
        Refusal::OldVersion => {
            "the client offers only older TLS; if it is what stands in front, let it speak TLS 1.3, or set `tls.minimum`"
        }
        Refusal::NothingInCommon => "the client offers no cipher suite, group or signature scheme that we take",
        Refusal::NoExtendedMasterSecret => "the client speaks TLS 1.2 without the extended master secret",
        Refusal::NoProtocol => "the client offers neither `h2` nor `http/1.1`",
        Refusal::UnknownName => "the client asks for a name that no certificate is for",
        Refusal::NoCertificate => "the client shows no certificate, and one is required",
        Refusal::BadCertificate(fault) => fault.words(),
        Refusal::ByTheClient => "the client ended it with an alert; most often it does not believe our certificate",
        Refusal::Malformed => {
            tracing::info!(target: "anteroom", reason, count, detail = "what came is no TLS", "a TLS handshake was refused");
            return;
        }
    };
    tracing::warn!(target: "anteroom", reason, count, detail, "a TLS handshake was refused");
}

/// One line for every request at `debug`.
pub(crate) fn answered(trail: &Trail, status: StatusCode, code: Option<&'static str>, took: Duration) {
    if !tracing::enabled!(target: "anteroom", Level::DEBUG) {
        return;
    }
    tracing::debug!(
        target: "anteroom",
        request = trail.id.to_string(),
        method = trail.method.unwrap_or("?"),
        route = trail.template.as_deref().unwrap_or(""),
        rule = trail.rule.as_deref().unwrap_or(""),
        status = status.as_u16(),
        code = code.unwrap_or(""),
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "a request was answered"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otlp::{Collector, Settings, Signal};
    use policy::units::Share;

    #[test]
    fn fields_are_listed_redacted_and_bounded() {
        let collector = Collector::new("http://127.0.0.1:1", None, Vec::new()).unwrap();
        let settings = Settings::new(collector, Share::NONE, Duration::from_secs(1));
        let (lines, _guard) = NonBlockingBuilder::default().finish(std::io::sink());
        let outbox = Some(Arc::clone(&settings.outbox));
        let layer = JsonLines { level: Level::INFO, clock: Clock::manual(0), lines, outbox };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "anteroom", code = "NO_ROUTE", path = "/canary", detail = "x@clinic.example", "said");
            tracing::info!(target: "anteroom", detail = "\u{e9} ".repeat(5_000), "long");
            tracing::info!(target: "hyper", "of a library");
            tracing::debug!(target: "anteroom", "below the level");
        });
        assert_eq!(settings.outbox.dropped(Signal::Logs), 0);
        let mut lines = settings.into_lines();
        let first = String::from_utf8(lines.try_recv().unwrap().json().unwrap()).unwrap();
        assert!(first.contains(r#""level":"info""#) && first.contains(r#""code":"NO_ROUTE""#), "{first}");
        assert!(!first.contains("canary") && !first.contains("x@clinic"), "{first}");
        let long = lines.try_recv().unwrap();
        let text = long.fields.get("detail").and_then(Value::as_str).unwrap();
        assert_eq!(text.chars().count(), TEXT_LIMIT);
        assert!(lines.try_recv().is_err());
    }
}
