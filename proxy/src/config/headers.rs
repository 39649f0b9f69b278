//! `headers`: what the application is told, and what every answer carries. As written, and compiled.
//!
//! Decides which names are ours to set, so that no other spelling of them means another header.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use policy::units::Period;
use policy::{RouteCache, Span, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::csp::{self, RawCsp};
use super::raw::{RawConfig, seconds};
use super::rollout::RawRollout;
use crate::runtime::{AnswerHeaders, IdentityHeaders, Rollout};

/// Headers that are set for the application and on every answer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHeaders {
    /// The names under which the application is told who is asking; any spelling of them that a client sends is removed.
    pub identity: RawIdentityHeaders,
    /// `Strict-Transport-Security` (RFC 6797), on every answer.
    pub hsts: RawHsts,
    /// `Content-Security-Policy`, beside any that the application sends.
    pub csp: RawCsp,
    /// `Cross-Origin-Opener-Policy`, in place of the application's.
    pub coop: RawOpener,
    /// `Cross-Origin-Resource-Policy`, in place of the application's. Sites in `cors.origins` fetch whatever it says.
    pub corp: RawResource,
    /// `Permissions-Policy`, in place of the application's: what pages may use of the device. Empty: what the application
    /// says.
    pub permissions: Spanned<String>,
    /// `Referrer-Policy`, in place of the application's.
    pub referrer: RawReferrer,
    /// What may be kept of answers of routes that ask who is there; a route can say otherwise by `cache`.
    pub cache: RawCache,
}

/// What no page may use unless the configuration says so: what watches, listens, tells where someone is, or reaches for the
/// machine.
const NOTHING_OF_THE_DEVICE: &str = "accelerometer=(), bluetooth=(), browsing-topics=(), camera=(), display-capture=(), \
                                     geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), \
                                     microphone=(), midi=(), serial=(), usb=(), xr-spatial-tracking=()";
/// How long browsers remember to use TLS only while that is observed.
const OBSERVED_HSTS: Duration = Duration::from_secs(5 * 60);

impl Default for RawHeaders {
    fn default() -> Self {
        Self {
            identity: RawIdentityHeaders::default(),
            hsts: RawHsts::default(),
            csp: RawCsp::default(),
            coop: RawOpener::default(),
            corp: RawResource::default(),
            permissions: Spanned::unplaced(NOTHING_OF_THE_DEVICE.to_owned()),
            referrer: RawReferrer::default(),
            cache: RawCache::default(),
        }
    }
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
    /// Carries who vouches for the subject: the `iss` of the token, as in the record. A subject is one person only together
    /// with it. Left out: the application is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Spanned<String>>,
}

impl Default for RawIdentityHeaders {
    fn default() -> Self {
        let name = |text: &str| Spanned::unplaced(text.to_owned());
        Self {
            tenant: name("X-Tenant-Id"),
            subject: name("X-User-Id"),
            roles: name("X-User-Roles"),
            request: name("X-Request-Id"),
            issuer: None,
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

/// `Cross-Origin-Opener-Policy` (HTML): whether pages of other sites and ours keep a hold of each other's windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawOpener {
    /// They do not.
    #[default]
    SameOrigin,
    /// Windows that our pages open do: for a login at another site in a window of its own.
    SameOriginAllowPopups,
    /// They do, as without the header.
    UnsafeNone,
    /// What the application says.
    App,
}

/// `Cross-Origin-Resource-Policy` (Fetch): whose pages may embed what is answered, as an image or a script for example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawResource {
    /// Ours.
    #[default]
    SameOrigin,
    /// Those of all names of the same registered domain.
    SameSite,
    /// Everyone's.
    CrossOrigin,
    /// What the application says.
    App,
}

/// `Referrer-Policy`: how much of an address a link tells the next site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawReferrer {
    /// Other sites see the host, ours the whole address.
    #[default]
    StrictOriginWhenCrossOrigin,
    /// Everyone sees the host.
    StrictOrigin,
    /// Other sites see nothing, ours the whole address.
    SameOrigin,
    /// Nobody sees anything. Browsers then send `Origin: null` with forms; those that send `Sec-Fetch-Site` too still pass.
    NoReferrer,
    /// What the application says.
    App,
}

/// What may be kept of the answers of routes that ask who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawCache {
    /// Nothing, by nobody.
    #[default]
    NoStore,
    /// What the application allows, by the caller's own browser alone. Health data (`phi`) is never kept.
    Private,
}

impl RawOpener {
    fn value(self) -> Option<&'static str> {
        match self {
            RawOpener::SameOrigin => Some("same-origin"),
            RawOpener::SameOriginAllowPopups => Some("same-origin-allow-popups"),
            RawOpener::UnsafeNone => Some("unsafe-none"),
            RawOpener::App => None,
        }
    }
}

impl RawResource {
    fn value(self) -> Option<&'static str> {
        match self {
            RawResource::SameOrigin => Some("same-origin"),
            RawResource::SameSite => Some("same-site"),
            RawResource::CrossOrigin => Some("cross-origin"),
            RawResource::App => None,
        }
    }
}

impl RawReferrer {
    fn value(self) -> Option<&'static str> {
        match self {
            RawReferrer::StrictOriginWhenCrossOrigin => Some("strict-origin-when-cross-origin"),
            RawReferrer::StrictOrigin => Some("strict-origin"),
            RawReferrer::SameOrigin => Some("same-origin"),
            RawReferrer::NoReferrer => Some("no-referrer"),
            RawReferrer::App => None,
        }
    }
}

pub(super) fn identity_headers(raw: &RawHeaders, faults: &mut Faulty<'_>) -> Option<IdentityHeaders> {
    let raw = &raw.identity;
    let mut known: Vec<(HeaderName, Span)> = Vec::new();
    let mut read = |written: &Spanned<String>| {
        let Some(name) = own_header(&written.value) else {
            let message = format!("`{}` cannot be an identity header", written.value);
            let hint =
                "choose a name of letters, digits and `-` that starts with `x-` and is not one of `x-forwarded-…`";
            faults.at(written.span, "header", message, hint);
            return None;
        };
        if let Some((_, other)) = known.iter().find(|(other, _)| *other == name) {
            let message = format!("`{}` would carry two things", written.value);
            // One of the two may be a default, which stands nowhere.
            let place = if written.span == Span::NOWHERE { *other } else { written.span };
            faults.at(place, "header", message, "give each its own name");
        }
        known.push((name.clone(), written.span));
        Some(name)
    };
    let (tenant, subject, roles) = (read(&raw.tenant), read(&raw.subject), read(&raw.roles));
    let (request, issuer) = (read(&raw.request), raw.issuer.as_ref().map(read));
    let issuer = match issuer {
        Some(name) => Some(name?),
        None => None,
    };
    Some(IdentityHeaders { tenant: tenant?, subject: subject?, roles: roles?, request: request?, issuer })
}

/// Warns where several vouch for people and the application is not told which: two people of one subject are one to it.
pub(super) fn check_people_are_told_apart(config: &RawConfig, faults: &mut Faulty<'_>) {
    let providers = config.providers.values().map(|provider| provider.issuer.span);
    let certificates =
        config.tls.client_certificates.iter().filter_map(|one| Some(one.identity.as_ref()?.provider.span));
    let app = config.app.session.iter().filter_map(|session| Some(session.whoami.as_ref()?.span));
    if config.headers.identity.issuer.is_none()
        && let Some(second) = providers.chain(certificates).chain(app).nth(1)
    {
        let message = "this is not the only one that vouches for people: a subject of the same name at another is told to the \
                       application as the same person";
        let hint =
            "add `headers: { identity: { issuer: X-User-Issuer } }`, and let the application know people by both";
        faults.warn(second, "identity", message, hint);
    }
}

/// A header name that is ours to set: letters, digits and `-` only, so that no other spelling of it means another header.
fn own_header(name: &str) -> Option<HeaderName> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let lower = name.to_ascii_lowercase();
    let free = lower.starts_with("x-") && !lower.starts_with("x-forwarded") && lower.len() > 2;
    if plain && free { HeaderName::try_from(lower).ok() } else { None }
}

pub(super) fn answer_headers(
    raw: &RawHeaders,
    rollout: RawRollout,
    identity: Option<&IdentityHeaders>,
    faults: &mut Faulty<'_>,
) -> Option<AnswerHeaders> {
    let content = csp::content(&raw.csp, rollout.csp.stage(), faults);
    let permissions = permissions(&raw.permissions, faults);
    let (content, permissions) = (content?, permissions?);
    let csp::Content { mut replaced, removed, appended, reports } = content;
    let fixed = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    replaced.extend([
        (http::header::STRICT_TRANSPORT_SECURITY, hsts(&raw.hsts, rollout.hsts.stage())?),
        fixed("x-content-type-options", "nosniff"),
        fixed("x-permitted-cross-domain-policies", "none"),
    ]);
    let words = [
        ("referrer-policy", raw.referrer.value()),
        ("cross-origin-opener-policy", raw.coop.value()),
        ("cross-origin-resource-policy", raw.corp.value()),
    ];
    replaced.extend(words.into_iter().filter_map(|(name, value)| value.map(|value| fixed(name, value))));
    if !permissions.is_empty() {
        replaced.push((HeaderName::from_static("permissions-policy"), permissions));
    }
    let cache = match raw.cache {
        RawCache::NoStore => RouteCache::NoStore,
        RawCache::Private => RouteCache::Private,
    };
    Some(AnswerHeaders { replaced, removed, appended, reports, cache, request: identity?.request.clone() })
}

/// Observed, it is soon forgotten, and no other name has to do with it.
fn hsts(raw: &RawHsts, stage: Rollout) -> Option<HeaderValue> {
    let (age, subdomains) = match stage {
        Rollout::Enforce => (raw.max_age.0, raw.subdomains),
        Rollout::Observe => (raw.max_age.0.min(OBSERVED_HSTS), false),
    };
    let subdomains = if subdomains { "; includeSubDomains" } else { "" };
    HeaderValue::try_from(format!("max-age={}{subdomains}", age.as_secs())).ok()
}

/// A list of features, each with who may use it, as in `camera=(), geolocation=(self)`.
fn permissions(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<HeaderValue> {
    let text = written.value.trim();
    let name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let list = |list: &str| list == "*" || list == "self" || (list.starts_with('(') && list.ends_with(')'));
    let whole = |one: &str| one.split_once('=').is_some_and(|(feature, who)| name(feature) && list(who));
    if (text.is_empty() || text.split(',').map(str::trim).all(whole))
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return Some(value);
    }
    let hint = "write it as `camera=(), geolocation=(self)`; leave it empty for what the application says";
    faults.at(written.span, "header", "this is no permissions policy", hint);
    None
}
