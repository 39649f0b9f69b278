//! `app`: where the application is, under which names it is reached, and how long the gate waits for it. As written, and compiled.
//!
//! Decides which addresses are safe to speak to in clear, and refuses the others.

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use policy::Spanned;
use policy::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, period};
use super::raw::{RawConfig, seconds};
use crate::runtime::{MethodOverride, Reading, UnclearHeaders};
use crate::upstream::AppTarget;

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
    /// Where a POST may name another method, for an application that runs that one: it is then judged as PUT, PATCH or
    /// DELETE. Everywhere else such a request is refused.
    #[serde(default)]
    pub method_override: RawMethodOverride,
    /// What becomes of headers with `_`, `.` or another sign in their names that servers read as `-`.
    #[serde(default)]
    pub unclear_headers: RawUnclearHeaders,
}

/// Where a request may name another method than its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMethodOverride {
    /// Nowhere.
    #[default]
    Refuse,
    /// In the header `X-HTTP-Method-Override`.
    Header,
    /// In the parameter `_method` of the query.
    Query,
    /// In the field `_method` of a plain form, within its first `64KiB`, of a caller who is signed in.
    Form,
}

/// What becomes of headers whose names servers read as others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawUnclearHeaders {
    /// The request is refused.
    #[default]
    Refuse,
    /// The application does not get them, and the rest passes.
    Strip,
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

pub(super) fn app_target(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<AppTarget> {
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

/// How requests are read.
pub(crate) fn reading(raw: &RawApp) -> Reading {
    Reading {
        method_override: match raw.method_override {
            RawMethodOverride::Refuse => MethodOverride::Refuse,
            RawMethodOverride::Header => MethodOverride::Header,
            RawMethodOverride::Query => MethodOverride::Query,
            RawMethodOverride::Form => MethodOverride::Form,
        },
        unclear_headers: match raw.unclear_headers {
            RawUnclearHeaders::Refuse => UnclearHeaders::Refuse,
            RawUnclearHeaders::Strip => UnclearHeaders::Strip,
        },
    }
}

pub(super) fn hosts(config: &RawConfig, faults: &mut Faulty<'_>) -> Vec<String> {
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
