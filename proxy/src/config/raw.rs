//! The configuration file as written: one type per section, every key with its strict default. A section that is more
//! than a few keys stands in its own file, as written and compiled.
//!
//! The JSON Schema, the check of the whole tree and `config --effective` all come from these types, so a key that
//! is not here does not exist. Nothing here is judged; [`super::compile`] does that.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::Spanned;
use policy::units::{Period, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::RawApp;
use super::audit::{RawAudit, RawRedact};
use super::browsers::{RawCookies, RawCors};
use super::client_address::RawClientAddress;
use super::drain::RawDrain;
use super::headers::RawHeaders;
use super::limits::RawLimits;
use super::listen::RawListen;
use super::providers::raw::RawProvider;
use super::rollout::RawRollout;
use super::security_txt::RawSecurityTxt;
use super::session::RawSession;
use super::tls::RawTls;

/// How this sidecar is wired: one file per deployment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Config")]
pub struct RawConfig {
    /// The version of this file's form.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What this file is.
    pub kind: Kind,
    /// The application behind the gate.
    pub app: RawApp,
    /// Where the gate listens.
    #[serde(default)]
    pub listen: RawListen,
    /// The certificates that the gate shows.
    pub tls: RawTls,
    /// Whose word on a client's address counts.
    #[serde(default)]
    pub client_address: RawClientAddress,
    /// Who may vouch for a caller; the key is the provider's name in the log and in `status`.
    #[serde(default)]
    pub providers: BTreeMap<String, RawProvider>,
    /// The folder of policy files (`*.yaml`, `*.yml`), or one policy file; relative to this file.
    pub policies: Spanned<String>,
    /// Headers that are set for the application and on every answer.
    #[serde(default)]
    pub headers: RawHeaders,
    /// The cookies that the application sets.
    #[serde(default)]
    pub cookies: RawCookies,
    /// Pages of other sites that may ask (CORS). Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<RawCors>,
    /// What `/.well-known/security.txt` says where the application has none. Left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_txt: Option<RawSecurityTxt>,
    /// Sessions: how long they last, what is told of them, and what ends them. Left out: they last as long as their
    /// credentials, unless a policy says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<RawSession>,
    /// How far the controls are rolled out that may break an application which did without them.
    #[serde(default)]
    pub rollout: RawRollout,
    /// What a client may ask of the gate.
    #[serde(default)]
    pub limits: RawLimits,
    /// How the gate leaves after SIGTERM or `anteroom drain`.
    #[serde(default)]
    pub drain: RawDrain,
    /// How identifiers are replaced in the record.
    #[serde(default)]
    pub redact: RawRedact,
    /// Where the record is written.
    pub audit: RawAudit,
    /// The operations log, written to standard output.
    #[serde(default)]
    pub log: RawLog,
    /// Where traces, metrics and the log are sent, beside standard output and `/metrics`. Left out: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<RawTelemetry>,
    /// Worker threads, each with its own listener and pool: 1 to 256. Left out: one per CPU that the cgroup grants, and
    /// no more than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Spanned<u16>>,
}

/// The version of the file's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The first version.
    #[serde(rename = "anteroom.dev/v1")]
    V1,
}

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Kind {
    /// A configuration.
    Config,
}

pub(super) fn seconds(seconds: u64) -> Period {
    Period(Duration::from_secs(seconds))
}

/// A secret: only ever a file, never a value in this file or in the environment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// The file that holds it.
    pub file: Spanned<String>,
}

/// The operations log.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    /// From which level on events of the gate itself are written; its libraries speak from `warn` on only.
    pub level: LogLevel,
}

/// Where traces, metrics and the log are sent (OTLP over HTTP, in protobuf).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTelemetry {
    /// The base address of a collector: `https://collector.example:4318`, or `http://127.0.0.1:4318` for an agent on
    /// loopback. `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended to it.
    pub otlp: Spanned<String>,
    /// How many requests are traced. A client that sends a `traceparent` can ask for less, never for more.
    #[serde(default = "one_percent")]
    pub traces: Share,
    /// How often the metrics are sent: `1s` to `1h`.
    #[serde(default = "a_minute")]
    pub interval: Spanned<Period>,
    /// A PEM file with the authorities that may sign the collector's certificate. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Headers to send along, one `Name: value` a line: the collector's API key or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Spanned<RawFile>>,
}

fn one_percent() -> Share {
    Share::percent(1)
}

fn a_minute() -> Spanned<Period> {
    Spanned::unplaced(seconds(60))
}

/// How much the log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the usual five")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}
