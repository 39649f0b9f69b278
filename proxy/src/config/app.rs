//! `app`: where the application is, under which names it is reached, and how long the gate waits for it. As written, and compiled.
//!
//! Decides names and times; which ways to it are safe stands in [`super::way`].

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use policy::units::Period;
use policy::{Policy, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app_session::RawAppSession;
use super::compile::{Faulty, period};
use super::raw::{RawConfig, seconds};
use super::sign_in::RawSignIn;
use super::way::{RawAppTls, RawProtocol, way};
use crate::exposed::OnExposed;
use crate::runtime::{AnswerHeaders, IdentityHeaders, MethodOverride, Place, Provider, Reading, UnclearHeaders};
use crate::upstream::{AppTarget, TrailerRules};

/// The application behind the gate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApp {
    /// Where the application listens: `http://` and a loopback address with a port (`http://127.0.0.1:3000`; `localhost` is
    /// 127.0.0.1, or `::1` where nobody listens there), `unix:` and the path of a socket (`unix:/run/app/http.sock`), or
    /// `https://` and any host (`https://app.example:8443`).
    pub url: Spanned<String>,
    /// What it speaks; nothing else is tried.
    #[serde(default)]
    pub protocol: RawProtocol,
    /// Whom the gate believes there, and who it is itself; for `https` only. Left out: the system's authorities, and no
    /// certificate of the gate's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Spanned<RawAppTls>>,
    /// The public names, for example `clinic.example`. `Host` must be one of them, and SNI, where sent, must be the
    /// same. A name without a port stands for that name on any port.
    pub hosts: Vec<Spanned<String>>,
    /// What becomes of it when the application can be reached around the gate, at its port on an address of the pod that is
    /// not loopback. The gate tries it at the start and each minute.
    #[serde(default)]
    pub exposed: RawExposed,
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
    /// The session that the application keeps by itself, in cookies. Left out: they pass as they are, and whose they are is
    /// not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<RawAppSession>,
    /// Its own page to sign in: a person who comes to a page without a credential, or with one whose time is over, is sent
    /// there. Left out: they get a page that says 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<RawSignIn>,
}

/// What becomes of it when the application can be reached around the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawExposed {
    /// The log, a metric and `status` say it.
    #[default]
    Warn,
    /// They say it, and `/readyz` fails until it is closed.
    Refuse,
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
    let way = Arc::new(way(&config.app, faults)?);
    let trailers = TrailerRules::default();
    Some(AppTarget { way, connect: connect?, response: response?, idle: idle?, trailers })
}

/// Which trailers pass: none by a name that this configuration sets, takes a credential from, or judges by.
pub(super) fn trailer_rules(
    policy: &Policy,
    identity: &IdentityHeaders,
    answers: &AnswerHeaders,
    providers: &[Provider],
) -> TrailerRules {
    let ours = identity.all().chain([&answers.request]);
    let set = answers.replaced.iter().map(|(name, _)| name);
    let credentials = providers.iter().flat_map(|provider| &provider.places).filter_map(|place| match place {
        Place::Header(name) => Some(name),
        Place::Cookie(_) | Place::CookieChunks(_) => None,
    });
    let judged = policy.routes().flat_map(policy::Route::headers).filter_map(|name| HeaderName::try_from(name).ok());
    TrailerRules::new(ours.chain(set).chain(credentials).cloned().chain(judged))
}

/// What becomes of it when the application can be reached around the gate.
pub(super) fn exposed(raw: &RawApp) -> OnExposed {
    match raw.exposed {
        RawExposed::Warn => OnExposed::Warn,
        RawExposed::Refuse => OnExposed::Refuse,
    }
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
