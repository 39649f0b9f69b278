//! From what was written to what runs: pure, and every fault at once.
//!
//! Decides what is unsafe and refuses it; it never warns about something that it then does. It opens nothing and binds
//! nothing: `load` has read the files before.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use http::{HeaderName, HeaderValue, Uri};
use policy::units::{Period, Rate};
use policy::{Diagnostic, Span, Spanned};
use redact::PseudonymKey;

use super::browsers;
use super::files::FileSet;
use super::load::{Faults, Loaded};
use super::providers::{self, KeySource};
use super::raw::{LogLevel, RawConfig, RawDrain, RawHeaders, RawLimits};
use super::telemetry;
use crate::limits::Quota;
use crate::runtime::{AnswerHeaders, Bounds, CertificateNote, DrainTimes, IdentityHeaders, Runtime, Shown};
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
    /// How many workers; `None`: one per CPU.
    pub workers: Option<usize>,
    /// Open connections over all workers.
    pub connections: usize,
    /// What was odd but not wrong.
    pub warnings: Vec<Diagnostic>,
    /// What the warnings' places point into.
    pub sources: policy::Sources,
    /// The files that all of this was read from.
    pub files: FileSet,
}

/// Where the record goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlan {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes in all.
    pub size: u64,
    /// The name of this gate in the record, where one was given.
    pub origin: Option<String>,
}

/// Compiles what was loaded.
///
/// # Errors
/// Every fault at once, each with its place.
pub(super) fn compile(loaded: Loaded, set: FileSet) -> Result<Plan, Faults> {
    let Loaded { sources, config, policies, base, files } = loaded;
    let mut faults = Faulty { base: &base, files: &files, found: Vec::new() };

    let policy = policy::compile(&policies).map_err(|found| faults.found.extend(found)).ok();
    let policy_digest = policy_digest(policies.iter().map(|(file, _)| sources.text(*file)));
    let app = app_target(&config, &mut faults);
    let hosts = hosts(&config, &mut faults);
    let identity = identity_headers(&config.headers, &mut faults);
    let answer_headers = answer_headers(&config.headers, identity.as_ref(), &mut faults);
    let browsers = browsers::compile(&config, &mut faults);
    let limits = bounds(&config.limits, &mut faults);
    let pseudonym_key = config.redact.pseudonym_key.as_ref().and_then(|key| {
        let bytes = faults.file(&key.file)?;
        PseudonymKey::new(bytes)
            .map_err(|fault| {
                faults.at(key.file.span, "secret", fault.to_string(), "make one with `openssl rand -hex 32`")
            })
            .ok()
    });
    let (providers, key_sources) = providers::compile(&config, identity.as_ref(), &mut faults);
    let shown = certificates(&config, &mut faults);
    let drain = drain_times(&config.drain, &mut faults);
    let https = address(&config.listen.https, &mut faults);
    let health = address(&config.listen.health, &mut faults);
    let control = config.listen.control.as_ref().and_then(|path| control_socket(path, &mut faults));
    let workers = config.workers.as_ref().and_then(|workers| within(workers, 1, 256, &mut faults)).map(usize::from);
    let connections = within(&config.limits.connections, 1, 1_000_000, &mut faults);
    let audit = audit_plan(&config, &mut faults);
    let telemetry = config.telemetry.as_ref().and_then(|raw| telemetry::compile(raw, &mut faults));

    let diagnostics = faults.found;
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Faults { sources, diagnostics });
    }
    let runtime = (|| {
        Some(Runtime {
            policy: policy?,
            policy_digest: policy_digest.into(),
            app: app?,
            hosts,
            providers,
            identity: identity?,
            answer_headers: answer_headers?,
            browsers: browsers?,
            limits: limits?,
            pseudonym_key,
            drain: drain?,
        })
    })();
    let plan = (|| Some((runtime?, shown?, https?, health?, audit?, connections?)))();
    let Some((runtime, shown, https, health, audit, connections)) = plan else {
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
        workers,
        connections: usize::try_from(connections).unwrap_or(1),
        warnings: diagnostics,
        sources,
        files: set,
    })
}

/// Collects faults, and hands out the files that were read.
pub(super) struct Faulty<'a> {
    base: &'a Path,
    files: &'a std::collections::BTreeMap<PathBuf, Result<Vec<u8>, String>>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Faulty<'a> {
    /// Notes a fault with a hint.
    pub(super) fn at(&mut self, span: Span, code: &'static str, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::error(code, span, message).help(help));
    }

    /// The bytes of a named file; a fault where it could not be read.
    pub(super) fn file(&mut self, name: &Spanned<String>) -> Option<&'a [u8]> {
        self.file_at(&self.base.join(&name.value), name.span)
    }

    fn file_at(&mut self, path: &Path, span: Span) -> Option<&'a [u8]> {
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

/// One digest over all policy files, each led by its length, so that no two sets share one by where they are cut.
fn policy_digest<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn app_target(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<AppTarget> {
    let longest = Duration::from_secs(60 * 60);
    let connect = period(&config.app.timeouts.connect, Duration::from_secs(60), faults);
    let response = period(&config.app.timeouts.response, longest, faults);
    let idle = period(&config.app.timeouts.idle, longest, faults);
    let url = &config.app.url;
    let address = match loopback(&url.value) {
        Ok(address) => Some(address),
        Err(message) => {
            faults.at(
                url.span,
                "app-url",
                message,
                "write it as `http://127.0.0.1:3000`: an application in the same pod",
            );
            None
        }
    };
    Some(AppTarget { address: address?, connect: connect?, response: response?, idle: idle? })
}

/// The address in a URL of the application. Plain HTTP is taken to loopback only: nothing leaves the pod unencrypted.
fn loopback(url: &str) -> Result<SocketAddr, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` does not start with `http://`"))?;
    let uri = url.parse::<Uri>().map_err(|_| format!("`{url}` is not an address"))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if uri.path() != "/" || uri.query().is_some() || authority.contains(['/', '?', '#', '@']) {
        return Err(format!("`{url}` holds more than a host and a port"));
    }
    let authority = authority.replace("localhost:", "127.0.0.1:");
    let address: SocketAddr = authority.parse().map_err(|_| format!("`{url}` has no loopback address with a port"))?;
    if address.ip().is_loopback() && address.port() != 0 {
        return Ok(address);
    }
    Err(format!("`{}` is not loopback: the request would leave the pod unencrypted", address.ip()))
}

fn hosts(config: &RawConfig, faults: &mut Faulty<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    if config.app.hosts.is_empty() {
        faults.at(
            config.app.url.span,
            "hosts",
            "`app.hosts` is empty",
            "name the public names, such as `[clinic.example]`",
        );
    }
    for host in &config.app.hosts {
        let lower = host.value.to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']');
        if lower.is_empty() || lower.len() > 261 || !lower.bytes().all(plain) {
            let hint = "write a name such as `clinic.example`, without a scheme, a path or a wildcard";
            faults.at(host.span, "host", format!("`{}` is not a host name", host.value), hint);
        } else if hosts.contains(&lower) {
            faults.at(host.span, "host", format!("`{}` stands here twice", host.value), "name it once");
        } else {
            hosts.push(lower);
        }
    }
    hosts
}

fn identity_headers(raw: &RawHeaders, faults: &mut Faulty<'_>) -> Option<IdentityHeaders> {
    let identity = &raw.identity;
    let names = [&identity.tenant, &identity.subject, &identity.roles, &identity.request];
    let mut known: Vec<(HeaderName, Span)> = Vec::new();
    for written in names {
        let Some(name) = own_header(&written.value) else {
            let message = format!("`{}` cannot be an identity header", written.value);
            let hint =
                "choose a name of letters, digits and `-` that starts with `x-` and is not one of `x-forwarded-…`";
            faults.at(written.span, "header", message, hint);
            continue;
        };
        if let Some((_, other)) = known.iter().find(|(other, _)| *other == name) {
            let message = format!("`{}` would carry two things", written.value);
            // One of the two may be a default, which stands nowhere.
            let place = if written.span == Span::NOWHERE { *other } else { written.span };
            faults.at(place, "header", message, "give each its own name");
        }
        known.push((name, written.span));
    }
    let known: Vec<HeaderName> = known.into_iter().map(|(name, _)| name).collect();
    let [tenant, subject, roles, request] = <[HeaderName; 4]>::try_from(known).ok()?;
    Some(IdentityHeaders { tenant, subject, roles, request })
}

/// A header name that is ours to set: letters, digits and `-` only, so that no other spelling of it means another header.
fn own_header(name: &str) -> Option<HeaderName> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let lower = name.to_ascii_lowercase();
    let free = lower.starts_with("x-") && !lower.starts_with("x-forwarded") && lower.len() > 2;
    if plain && free { HeaderName::try_from(lower).ok() } else { None }
}

fn answer_headers(
    raw: &RawHeaders,
    identity: Option<&IdentityHeaders>,
    faults: &mut Faulty<'_>,
) -> Option<AnswerHeaders> {
    let policy = &raw.csp.enforce;
    let content_policy = match HeaderValue::from_str(&policy.value) {
        Ok(value) => Some(value).filter(|value| !value.is_empty()),
        Err(_) => {
            faults.at(policy.span, "header", "this cannot be the value of a header", "write it on one line, in ASCII");
            None
        }
    };
    let subdomains = if raw.hsts.subdomains { "; includeSubDomains" } else { "" };
    let hsts = HeaderValue::try_from(format!("max-age={}{subdomains}", raw.hsts.max_age.0.as_secs())).ok()?;
    let fixed = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let replaced = vec![
        (http::header::STRICT_TRANSPORT_SECURITY, hsts),
        fixed("x-content-type-options", "nosniff"),
        fixed("x-frame-options", "DENY"),
        // `no-referrer` would make browsers send `Origin: null` with forms, which breaks them.
        fixed("referrer-policy", "strict-origin-when-cross-origin"),
        fixed("x-permitted-cross-domain-policies", "none"),
    ];
    Some(AnswerHeaders { replaced, content_policy, request: identity?.request.clone() })
}

fn bounds(raw: &RawLimits, faults: &mut Faulty<'_>) -> Option<Bounds> {
    let kib = 1024;
    let headers = size(&raw.headers, kib, 256 * kib, faults);
    let body = size(&raw.body, 0, 1024 * 1024 * 1024 * kib, faults);
    let per_address = quota(&raw.per_address.rate, &raw.per_address.burst, faults);
    let refused = quota(&raw.refused_per_address.rate, &raw.refused_per_address.burst, faults);
    Some(Bounds { headers: headers?, body: body?, per_address: per_address?, refused_per_address: refused? })
}

fn quota(rate: &Rate, burst: &Spanned<u32>, faults: &mut Faulty<'_>) -> Option<Quota> {
    let Some(allowance) = NonZeroU32::new(burst.value).filter(|burst| burst.get() <= 1_000_000) else {
        faults.at(burst.span, "range", "a burst is at least 1 and at most 1000000", "leave it out for the default");
        return None;
    };
    let quota = Quota { count: NonZeroU32::new(rate.count)?, per: rate.per, burst: allowance };
    if quota.is_sane() {
        return Some(quota);
    }
    faults.at(
        burst.span,
        "range",
        "it would take over 30 days until this burst has grown back",
        "raise the rate or lower the burst",
    );
    None
}

fn size(written: &Spanned<policy::units::ByteSize>, least: u64, most: u64, faults: &mut Faulty<'_>) -> Option<u64> {
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

fn within<T: PartialOrd + Copy + std::fmt::Display>(
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

fn drain_times(raw: &RawDrain, faults: &mut Faulty<'_>) -> Option<DrainTimes> {
    let (delay, deadline) = (raw.delay.value.0, period(&raw.deadline, Duration::from_secs(60 * 60), faults)?);
    if delay > Duration::from_secs(5 * 60) {
        let message = format!("`{}` is more than `5m`", raw.delay.value);
        faults.at(raw.delay.span, "range", message, "readiness is asked for every few seconds");
        return None;
    }
    if delay >= deadline {
        // Where only one of the two is written, the fault is at that one.
        let span = if raw.deadline.span == Span::NOWHERE { raw.delay.span } else { raw.deadline.span };
        let message = format!("the deadline `{}` is not after the delay `{}`", raw.deadline.value, raw.delay.value);
        faults.at(span, "range", message, "both count from the moment that readiness falls");
        return None;
    }
    Some(DrainTimes { delay, deadline })
}

fn certificates(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<Shown> {
    let mut pairs = Vec::new();
    let mut notes = Vec::new();
    for written in &config.tls.certificates {
        let span = written.directory.span;
        let folder = faults.base.join(&written.directory.value);
        let chain = faults.file_at(&folder.join("tls.crt"), span);
        let key = faults.file_at(&folder.join("tls.key"), span);
        let (Some(chain), Some(key)) = (chain, key) else { continue };
        match certs::load_pair(chain, key) {
            Ok(pair) => {
                notes.push(CertificateNote {
                    names: pair.names().map(str::to_owned).collect(),
                    not_after: pair.not_after(),
                });
                pairs.push(pair);
            }
            Err(fault) => {
                faults.at(span, "certificate", fault.to_string(), "`anteroom dev certs` makes a pair to try with");
            }
        }
    }
    let span = config.tls.certificates.last().map(|last| last.directory.span);
    if pairs.len() < config.tls.certificates.len() {
        return None;
    }
    match (certs::server_config(pairs), span) {
        (Ok(tls), _) => Some(Shown { tls, certificates: notes }),
        (Err(fault), Some(span)) => {
            faults.at(span, "certificate", fault.to_string(), "each name needs one certificate");
            None
        }
        (Err(_), None) => {
            let fault = Diagnostic::error("certificate", config.app.url.span, "`tls.certificates` is empty");
            faults.found.push(fault.help("name a folder with `tls.crt` and `tls.key`: `[{ directory: /tls }]`"));
            None
        }
    }
}

fn address(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<SocketAddr> {
    if let Ok(address) = written.value.parse() {
        return Some(address);
    }
    // `:8443` is what people write for "every address".
    let hint = match written.value.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
        Some(port) => format!("write `[::]:{port}` for every address, or `127.0.0.1:{port}` for this machine only"),
        None => "write an address and a port, such as `[::]:8443` or `127.0.0.1:8443`".to_owned(),
    };
    faults.at(written.span, "address", format!("`{}` is no address with a port", written.value), &hint);
    None
}

fn control_socket(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<PathBuf> {
    // The kernel's `sun_path` holds 108 bytes, the last of them zero.
    let path = written.value.strip_prefix("unix:").filter(|path| !path.is_empty() && path.len() < 108);
    if path.is_none() {
        let hint = "write `unix:` and a path of at most 107 bytes, such as `unix:/run/anteroom/control.sock`";
        faults.at(written.span, "address", format!("`{}` is no unix socket", written.value), hint);
    }
    path.map(|path| faults.base.join(path))
}

fn audit_plan(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<AuditPlan> {
    let audit = &config.audit;
    let size = size(&audit.size, 1024 * 1024, 1 << 50, faults);
    let origin = audit.origin.as_ref();
    if let Some(origin) = origin {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b':');
        if origin.value.is_empty() || origin.value.len() > 200 || !origin.value.bytes().all(plain) {
            let hint = "use letters, digits and `- . _ / :`, such as `clinic/a/pod-7`";
            faults.at(origin.span, "origin", format!("`{}` is no name for a record", origin.value), hint);
            return None;
        }
    }
    let directory = faults.base.join(&audit.directory.value);
    Some(AuditPlan { directory, size: size?, origin: origin.map(|origin| origin.value.clone()) })
}
