//! The configuration file as written: one type per section, every key with its strict default.
//!
//! The JSON Schema, the check of the whole tree and `config --effective` all come from these types, so a key that
//! is not here does not exist. Nothing here is judged; [`super::compile`] does that.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::Spanned;
use policy::units::{ByteSize, Period, Rate, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::browsers::{RawCookies, RawCors, RawRollout};
use crate::authn::Algorithm;

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
    /// Worker threads, each with its own listener and pool: 1 to 256. Left out: one per CPU that the cgroup grants.
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

/// The application behind the gate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApp {
    /// Where the application listens: `http://` and a loopback address with a port, for example `http://127.0.0.1:3000`.
    pub url: Spanned<String>,
    /// The public names, for example `clinic.example`. `Host` must be one of them, and SNI, where sent, must be the
    /// same. A name without a port stands for that name on any port.
    pub hosts: Vec<Spanned<String>>,
    /// How long the gate waits for the application.
    #[serde(default)]
    pub timeouts: RawTimeouts,
}

/// How long the gate waits for the application.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawTimeouts {
    /// For a connection to it: at most `1m`.
    pub connect: Spanned<Period>,
    /// For the head of its answer, from the moment the request is handed over: at most `1h`.
    pub response: Spanned<Period>,
    /// For the next piece of a body in either direction, of a stream of events or of a WebSocket, and for the next request
    /// on a connection: at most `1h`.
    pub idle: Spanned<Period>,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        Self {
            connect: Spanned::unplaced(seconds(2)),
            response: Spanned::unplaced(seconds(60)),
            idle: Spanned::unplaced(seconds(75)),
        }
    }
}

/// Where the gate listens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawListen {
    /// Address and port for clients: TLS 1.3 only. `[::]` takes IPv4 as well.
    pub https: Spanned<String>,
    /// Address and port for `/startedz /livez /readyz /metrics`: plain HTTP, read-only.
    pub health: Spanned<String>,
    /// `unix:` and the path of the control socket, which the application must not be able to reach. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Spanned<String>>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self {
            https: Spanned::unplaced("[::]:8443".to_owned()),
            health: Spanned::unplaced("[::]:9900".to_owned()),
            control: None,
        }
    }
}

/// The certificates that the gate shows.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// Where the certificates and keys are; SNI picks one, and the first is shown to a client that sends no name.
    pub certificates: Vec<RawCertificate>,
}

/// One certificate with its key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCertificate {
    /// A folder with `tls.crt` (the chain, leaf first) and `tls.key`, as a Kubernetes TLS secret is mounted.
    pub directory: Spanned<String>,
}

/// One issuer of tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    /// The exact `iss` of its tokens.
    pub issuer: Spanned<String>,
    /// Names of which `aud` must hold at least one.
    pub audience: Spanned<Vec<String>>,
    /// Where its tokens are looked for, in this order; the first that is present is judged, alone. Left out: the
    /// `Authorization` header.
    #[serde(default = "authorization_header")]
    pub token: Vec<Spanned<RawPlace>>,
    /// Which claims say what.
    #[serde(default)]
    pub claims: RawClaims,
    /// The tenant of every token of this provider, where one provider serves one clinic; instead of `claims.tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// Its public keys. Either this or `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Spanned<RawJwks>>,
    /// A shared secret for HS256 (at least 32 bytes), HS384 (48) and HS512 (64). Either this or `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Spanned<RawFile>>,
    /// Signature algorithms that are accepted. Left out: those of the key that the token names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Spanned<Vec<Algorithm>>>,
    /// Values of the header `typ` that are accepted; a token without one is accepted where `JWT` is. Left out: `JWT`
    /// and `at+jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Spanned<Vec<String>>>,
    /// Which of its values of `acr` prove factors, where `amr` does not say enough. Left out: none. The gate asks for
    /// these when it sends a caller to sign in again (RFC 9470).
    #[serde(default)]
    pub acr: RawContexts,
    /// How far the issuer's clock may be from ours: at most `5m`.
    #[serde(default = "half_a_minute")]
    pub leeway: Spanned<Period>,
    /// Whether the application gets the token too; it does not by default.
    #[serde(default)]
    pub forward_credential: bool,
}

fn authorization_header() -> Vec<Spanned<RawPlace>> {
    vec![Spanned::unplaced(RawPlace::Header("authorization".to_owned()))]
}

fn half_a_minute() -> Spanned<Period> {
    Spanned::unplaced(seconds(30))
}

fn seconds(seconds: u64) -> Period {
    Period(Duration::from_secs(seconds))
}

/// Values of `acr`, by what they prove; the one to ask for first stands first.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawContexts {
    /// Values that prove two factors.
    pub mfa: Vec<Spanned<String>>,
    /// Values that prove two factors, one of which cannot be phished.
    pub phishing_resistant: Vec<Spanned<String>>,
}

/// A place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPlace {
    /// A request header; `authorization` is read as `Bearer` (RFC 6750).
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// Which claims say what, by name: `tenant`, `roles` and `subject` (left out: `sub`) are what the gate goes by; any other
/// name is yours, and a condition reads it as `principal.claims.NAME`. A claim that starts with `/` is a JSON Pointer
/// (RFC 6901), anything else a name at the top of the token.
pub type RawClaims = BTreeMap<String, Spanned<String>>;

/// Where a provider's public keys come from: exactly one of `url`, `file` and `inline`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawJwks {
    /// An `https` address, fetched in the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<String>>,
    /// A PEM file with the authorities that may sign that address' certificate. Left out: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// A file that holds the key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// The key set itself, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Spanned<String>>,
}

/// A secret: only ever a file, never a value in this file or in the environment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// The file that holds it.
    pub file: Spanned<String>,
}

/// Headers that are set for the application and on every answer.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHeaders {
    /// The names under which the application is told who is asking; any spelling of them that a client sends is removed.
    pub identity: RawIdentityHeaders,
    /// `Strict-Transport-Security` (RFC 6797), on every answer.
    pub hsts: RawHsts,
    /// `Content-Security-Policy`, beside any that the application sends.
    pub csp: RawCsp,
}

/// The names under which the application is told who is asking.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawIdentityHeaders {
    /// Carries the tenant.
    pub tenant: Spanned<String>,
    /// Carries the subject of the token.
    pub subject: Spanned<String>,
    /// Carries the roles of the caller, with commas between.
    pub roles: Spanned<String>,
    /// Carries the request id, the same as in the answer, the log and the record.
    pub request: Spanned<String>,
}

impl Default for RawIdentityHeaders {
    fn default() -> Self {
        let name = |text: &str| Spanned::unplaced(text.to_owned());
        Self {
            tenant: name("X-Tenant-Id"),
            subject: name("X-User-Id"),
            roles: name("X-User-Roles"),
            request: name("X-Request-Id"),
        }
    }
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHsts {
    /// How long a browser remembers to use TLS only.
    pub max_age: Period,
    /// Whether that holds for all names below as well.
    pub subdomains: bool,
}

impl Default for RawHsts {
    fn default() -> Self {
        Self { max_age: seconds(365 * 24 * 60 * 60), subdomains: true }
    }
}

/// `Content-Security-Policy`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCsp {
    /// The policy that browsers enforce.
    pub enforce: Spanned<String>,
}

impl Default for RawCsp {
    fn default() -> Self {
        Self { enforce: Spanned::unplaced("object-src 'none'; base-uri 'self'; frame-ancestors 'none'".to_owned()) }
    }
}

/// What a client may ask of the gate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// All header names and values of a request together: `1KiB` to `256KiB`.
    pub headers: Spanned<ByteSize>,
    /// The body of a request: at most `1TiB`.
    pub body: Spanned<ByteSize>,
    /// Open connections, over all workers: 1 to 1000000.
    pub connections: Spanned<u32>,
    /// Requests of one address (IPv6: one /64).
    pub per_address: RawAddressLimit,
    /// Refused requests of one address: once they are used up, only public pages and tokens that were verified before
    /// pass.
    pub refused_per_address: RawRefusedLimit,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            headers: Spanned::unplaced(ByteSize(32 * 1024)),
            body: Spanned::unplaced(ByteSize(10 * 1024 * 1024)),
            connections: Spanned::unplaced(10_000),
            per_address: RawAddressLimit::default(),
            refused_per_address: RawRefusedLimit::default(),
        }
    }
}

/// A rate with a burst, for all requests of an address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAddressLimit {
    /// How fast the allowance grows back.
    pub rate: Rate,
    /// How much of it can be used at once: at least 1.
    pub burst: Spanned<u32>,
}

impl Default for RawAddressLimit {
    fn default() -> Self {
        Self { rate: Rate { count: 500, per: Duration::from_secs(1) }, burst: Spanned::unplaced(1_000) }
    }
}

/// A rate with a burst, for the refused requests of an address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRefusedLimit {
    /// How fast the allowance grows back.
    pub rate: Rate,
    /// How much of it can be used at once: at least 1.
    pub burst: Spanned<u32>,
}

impl Default for RawRefusedLimit {
    fn default() -> Self {
        Self { rate: Rate { count: 5, per: Duration::from_secs(1) }, burst: Spanned::unplaced(50) }
    }
}

/// How the gate leaves after SIGTERM or `anteroom drain`, counted from the moment that readiness falls.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDrain {
    /// How long new connections and requests are still taken, until everybody knows that readiness has fallen: at most
    /// `5m`; `0s` for none.
    pub delay: Spanned<Period>,
    /// When requests that are still open are cut: more than `delay`, at most `1h`. The pod's
    /// `terminationGracePeriodSeconds` must be some seconds longer.
    pub deadline: Spanned<Period>,
}

impl Default for RawDrain {
    fn default() -> Self {
        // Together they leave 5 s of Kubernetes' default grace of 30 s for the record.
        Self { delay: Spanned::unplaced(seconds(5)), deadline: Spanned::unplaced(seconds(25)) }
    }
}

/// How identifiers are replaced in the record.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRedact {
    /// The key, of at least 32 bytes, under which a patient becomes a pseudonym. Left out: the record names no patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudonym_key: Option<Spanned<RawFile>>,
}

/// Where the record is written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAudit {
    /// A folder that this process alone writes; it is made where it is missing. Relative to this file.
    pub directory: Spanned<String>,
    /// How much the record may hold in all; nothing is deleted, and a full record is one that cannot be written.
    #[serde(default = "half_a_gibibyte")]
    pub size: Spanned<ByteSize>,
    /// What happens to a request that cannot be recorded.
    #[serde(default)]
    pub when_unwritable: WhenUnwritable,
    /// The name of this gate in the record, for example `clinic/a/pod-7`. Left out: the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Spanned<String>>,
}

fn half_a_gibibyte() -> Spanned<ByteSize> {
    Spanned::unplaced(ByteSize(512 * 1024 * 1024))
}

/// What happens to a request that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnwritable {
    /// It is refused with `NOT_RECORDED`.
    #[default]
    Deny,
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
