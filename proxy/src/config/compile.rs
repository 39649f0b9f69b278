//! From what was written to what runs: pure, and every fault at once.
//!
//! Decides what is unsafe and refuses it; it warns only where settings of somebody else decide, which it cannot see. It opens nothing and binds
//! nothing: `load` has read the files before.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::units::Period;
use policy::{Diagnostic, FileId, RawPolicy, Span, Spanned};

use super::audit::{self, AuditPlan, audit_plan};
use super::drain::drain_times;
use super::files::FileSet;
use super::load::{Faults, Loaded};
use super::pod::{self, Pod};
use super::providers::{self, KeySource};
use super::raw::LogLevel;
use super::{
    app, app_session, browsers, client_address, directory, headers, limits, listen, security_txt, session, sign_in,
    telemetry, tls, way,
};
use crate::made_of::MadeOf;
use crate::pipeline::is_reserved;
use crate::runtime::{Runtime, Shown};
use crate::sessions::SessionFiles;
use crate::telemetry::otlp;
use crate::upstream::AppTarget;

/// Everything that `run` needs: what judges requests, and what has to be opened.
#[derive(Debug)]
pub struct Plan {
    /// What judges requests.
    pub runtime: Runtime,
    /// What clients get to see of our certificates.
    pub shown: Shown,
    /// Where keys are fetched from.
    pub key_sources: Vec<KeySource>,
    /// Where to listen for clients.
    pub https: SocketAddr,
    /// Where to listen for probes.
    pub health: SocketAddr,
    /// The path of the control socket.
    pub control: Option<PathBuf>,
    /// Where the record goes.
    pub audit: AuditPlan,
    /// Where telemetry is exported to.
    pub telemetry: Option<otlp::Settings>,
    /// How much the log says.
    pub log_level: LogLevel,
    /// Where the files of sessions are.
    pub sessions: SessionFiles,
    /// What the gate knows of its pod.
    pub pod: Pod,
    /// How many workers; `None`: one per CPU, at most two.
    pub workers: Option<usize>,
    /// Where the day of `security_txt` stands.
    pub(super) security_txt_day: Span,
    /// What was odd but not wrong.
    pub warnings: Vec<Diagnostic>,
    /// What the warnings' places point into.
    pub sources: policy::Sources,
    /// The files that all of this was read from.
    pub files: FileSet,
}

impl Plan {
    /// What was right when it was written, and is not at `now` (Unix seconds). A gate starts with it all the same.
    pub fn stale(&self, now: u64) -> Vec<Diagnostic> {
        let text = self.runtime.security_txt.as_ref();
        text.and_then(|text| security_txt::stale(text, self.security_txt_day, now)).into_iter().collect()
    }
}

/// Compiles what was loaded.
///
/// # Errors
/// Every fault at once, each with its place.
pub(super) fn compile(loaded: Loaded, set: FileSet) -> Result<Plan, Faults> {
    let Loaded { sources, config, policies, people, base, files, pod } = loaded;
    let mut faults = Faulty { base: &base, files: &files, found: Vec::new() };

    let policy = policy::compile(&policies).map_err(|found| faults.found.extend(found)).ok();
    reserved(&policies, &mut faults);
    let policy_digest = policy_digest(policies.iter().map(|(file, _)| sources.text(*file)));
    let listed = people.as_ref().map_or("", |(file, _)| sources.text(*file));
    let number = number(&config, &policy_digest, listed);
    let app = app::app_target(&config, &mut faults);
    let hosts = app::hosts(&config, &mut faults);
    let app_session = app_session::compile(&config, &hosts, &mut faults);
    let identity = headers::identity_headers(&config.headers, &mut faults);
    headers::check_people_are_told_apart(&config, &mut faults);
    let answer_headers = headers::answer_headers(&config.headers, config.rollout, identity.as_ref(), &mut faults);
    let browsers = browsers::compile(&config, &mut faults);
    let security_txt = config.security_txt.as_ref().and_then(|raw| security_txt::compile(raw, &mut faults));
    let client_address = client_address::client_address(&config.client_address, &mut faults);
    let limits = limits::bounds(&config.limits, &mut faults);
    let pseudonym_key = audit::pseudonym_key(&config, &mut faults);
    let (providers, key_sources) = providers::compile(&config, identity.as_ref(), &mut faults);
    let names = (identity.as_ref(), answer_headers.as_ref());
    let (sessions, session_files) = session::compile(&config, policy.as_ref(), &providers, names, &mut faults);
    let sign_in = sign_in::compile(&config, policy.as_ref(), &mut faults);
    let directory = directory::compile(&config, people.as_ref(), &mut faults);
    let shown = tls::certificates(&config, &mut faults);
    let callers = tls::callers(&config, &mut faults);
    let drain = drain_times(&config.drain, &mut faults);
    let https = listen::address(&config.listen.https, &mut faults);
    let health = listen::address(&config.listen.health, &mut faults);
    let control = config.listen.control.as_ref().and_then(|path| listen::control_socket(path, &mut faults));
    way::check_is_not_the_gate(&config.app, app.as_ref(), &[https, health], control.as_deref(), &mut faults);
    let workers = config.workers.as_ref().and_then(|workers| within(workers, 1, 256, &mut faults)).map(usize::from);
    let audit = audit_plan(&config, &mut faults);
    let telemetry = config.telemetry.as_ref().and_then(|raw| telemetry::compile(raw, &mut faults));

    let pod = pod::pod(&pod, &mut faults.found);

    let diagnostics = faults.found;
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Faults { sources, diagnostics });
    }
    let runtime = (|| {
        let (policy, identity, answer_headers) = (policy?, identity?, answer_headers?);
        let trailers = app::trailer_rules(&policy, &identity, &answer_headers, &providers);
        Some(Runtime {
            policy,
            policy_digest: policy_digest.into(),
            number,
            app: AppTarget { trailers, ..app? },
            app_session,
            sign_in,
            exposed: app::exposed(&config.app),
            hosts,
            providers,
            callers: callers?,
            directory,
            identity,
            answer_headers,
            browsers: browsers?,
            sessions,
            reading: app::reading(&config.app),
            security_txt,
            stages: config.rollout.stages(),
            client_address: client_address?,
            limits: limits?,
            pseudonym_key,
            drain: drain?,
        })
    })();
    let plan = (|| Some((runtime?, shown?, https?, health?, audit?)))();
    let Some((runtime, shown, https, health, audit)) = plan else {
        // INVARIANT: whatever is missing here has left a fault behind; if not, nothing starts all the same.
        let mut diagnostics = diagnostics;
        diagnostics.push(Diagnostic::without_place("config", "the configuration is incomplete"));
        return Err(Faults { sources, diagnostics });
    };
    Ok(Plan {
        runtime,
        shown,
        key_sources,
        https,
        health,
        control,
        audit,
        telemetry,
        log_level: config.log.level,
        sessions: session_files,
        pod,
        workers,
        security_txt_day: config.security_txt.as_ref().map_or(Span::NOWHERE, |raw| raw.expires.span),
        warnings: diagnostics,
        sources,
        files: set,
    })
}

/// A route cannot name what the gate serves by itself.
fn reserved(policies: &[(FileId, RawPolicy)], faults: &mut Faulty<'_>) {
    for path in policies.iter().flat_map(|(_, policy)| &policy.routes).map(|(_, route)| &route.path) {
        if is_reserved(&path.value) {
            let message = format!("`{}` is the gate's own: it never reaches the application", path.value);
            faults.at(path.span, "reserved-path", message, "everything under `/.anteroom/` is; choose another path");
        }
    }
}

/// Collects faults, and hands out the files that were read.
pub(super) struct Faulty<'a> {
    pub(super) base: &'a Path,
    files: &'a std::collections::BTreeMap<PathBuf, Result<Vec<u8>, String>>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Faulty<'a> {
    /// Notes a fault with a hint.
    pub(super) fn at(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::error(code, span, message).help(help));
    }

    /// Notes what may be meant and may be unsafe, with a hint.
    pub(super) fn warn(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::warning(code, span, message).help(help));
    }

    /// How many faults there are: warnings are none.
    pub(super) fn count(&self) -> usize {
        self.found.iter().filter(|one| one.is_error()).count()
    }

    /// The bytes of a named file; a fault where it could not be read.
    pub(super) fn file(&mut self, name: &Spanned<String>) -> Option<&'a [u8]> {
        self.file_at(&self.base.join(&name.value), name.span)
    }

    pub(super) fn file_at(&mut self, path: &Path, span: Span) -> Option<&'a [u8]> {
        match self.files.get(path) {
            Some(Ok(bytes)) => Some(bytes),
            Some(Err(reason)) => {
                let message = format!("cannot read `{}`: {reason}", path.display());
                self.at(span, "file", message, "paths are relative to the configuration file");
                None
            }
            None => {
                self.at(span, "file", format!("`{}` was not read", path.display()), "name it once more");
                None
            }
        }
    }
}

/// One digest over all policy files.
fn policy_digest<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let hex: String = MadeOf::all(texts).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// 48 bits of a digest over the configuration, as it is read, the policies and the file of a directory. A gauge holds them
/// exactly.
fn number(config: &super::raw::RawConfig, policies: &str, people: &str) -> u64 {
    let read = serde_json::to_string(config).unwrap_or_else(|_| format!("{config:?}"));
    MadeOf::all([&*read, policies, people]).iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(super) fn size(
    written: &Spanned<policy::units::ByteSize>,
    least: u64,
    most: u64,
    faults: &mut Faulty<'_>,
) -> Option<u64> {
    let value = written.value.0;
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let (least, most) = (policy::units::ByteSize(least), policy::units::ByteSize(most));
    faults.at(
        written.span,
        "range",
        format!("`{}` is not between `{least}` and `{most}`", written.value),
        "choose one between",
    );
    None
}

pub(super) fn within<T: PartialOrd + Copy + std::fmt::Display>(
    written: &Spanned<T>,
    least: T,
    most: T,
    faults: &mut Faulty<'_>,
) -> Option<T> {
    if written.value >= least && written.value <= most {
        return Some(written.value);
    }
    let message = format!("`{}` is not between {least} and {most}", written.value);
    faults.at(written.span, "range", message, "choose one between");
    None
}

pub(super) fn period(written: &Spanned<Period>, most: Duration, faults: &mut Faulty<'_>) -> Option<Duration> {
    let value = written.value.0;
    if !value.is_zero() && value <= most {
        return Some(value);
    }
    let message = format!("`{}` is not more than nothing and at most `{}`", written.value, Period(most));
    faults.at(written.span, "range", message, "choose one between");
    None
}
