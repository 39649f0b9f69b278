//! `headers`: what the application is told, and what every answer carries. As written, and compiled.
//!
//! Decides which names are ours to set, so that no other spelling of them means another header.

use http::{HeaderName, HeaderValue};
use policy::units::Period;
use policy::{Span, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::raw::seconds;
use crate::runtime::{AnswerHeaders, IdentityHeaders};

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

pub(super) fn identity_headers(raw: &RawHeaders, faults: &mut Faulty<'_>) -> Option<IdentityHeaders> {
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

pub(super) fn answer_headers(
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
