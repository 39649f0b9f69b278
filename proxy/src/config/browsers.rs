//! What browsers are held to: cookies and other sites. As written, and compiled.
//!
//! Decides what of it is unsafe or cannot mean anything, and refuses that.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use policy::Spanned;
use policy::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, period};
use super::providers::raw::RawPlace;
use super::raw::RawConfig;
use crate::pipeline::canonical;
use crate::runtime::{Browsers, CookieRules, Cors, Exception, Prefix, Renamed};

/// The longest that a browser may remember a preflight; browsers cap it lower by themselves.
const LONGEST_PREFLIGHT: Duration = Duration::from_secs(24 * 60 * 60);

/// The cookies that the application sets: each gets `Secure`, `HttpOnly` and `SameSite=Lax` where it lacks them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCookies {
    /// By the exact name of a cookie, what is not added to it, for example `{ csrftoken: [http_only] }` for one that the
    /// application's scripts read.
    pub exceptions: BTreeMap<Spanned<String>, Vec<Spanned<RawAttribute>>>,
    /// By the application's name of a cookie, the prefix that browsers know it with, for example
    /// `{ session: __Host- }`. The application, the providers and `exceptions` go on using its own name.
    pub prefix: BTreeMap<Spanned<String>, RawPrefix>,
}

/// A prefix that browsers hold a cookie to (RFC 6265bis, section 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RawPrefix {
    /// Set over TLS, by this host, for all of it and no other: no other name of the domain can plant it.
    #[serde(rename = "__Host-")]
    Host,
    /// Set over TLS.
    #[serde(rename = "__Secure-")]
    Secure,
}

/// An attribute that is not added to a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawAttribute {
    /// `HttpOnly`: scripts read the cookie.
    HttpOnly,
    /// `SameSite`: the cookie stays as the application wrote it.
    SameSite,
}

/// Pages of other sites that may ask (CORS). Without this section none may.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCors {
    /// The sites, for example `https://portal.example`; neither `*` nor a pattern.
    pub origins: Spanned<Vec<Spanned<String>>>,
    /// The methods that their pages may use.
    #[serde(default = "simple_methods")]
    pub methods: Vec<Spanned<String>>,
    /// The headers that their pages may send, beside the few that every page may.
    #[serde(default)]
    pub headers: Vec<Spanned<String>>,
    /// The headers of answers that their pages may read, beside the few that every page may.
    #[serde(default)]
    pub expose: Vec<Spanned<String>>,
    /// Whether the browser sends cookies along. Requests of these pages that change something are then let through too.
    #[serde(default)]
    pub credentials: bool,
    /// How long a browser may remember what it was allowed: at most `1d`.
    #[serde(default = "ten_minutes")]
    pub max_age: Spanned<Period>,
}

fn simple_methods() -> Vec<Spanned<String>> {
    ["GET", "HEAD", "POST"].map(|name| Spanned::unplaced(name.to_owned())).to_vec()
}

fn ten_minutes() -> Spanned<Period> {
    Spanned::unplaced(Period(Duration::from_secs(600)))
}

/// Compiles what browsers are held to.
pub(super) fn compile(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<Browsers> {
    let exceptions = exceptions(&config.cookies, faults);
    let cors = match &config.cors {
        Some(raw) => Some(cors(raw, faults)?),
        None => None,
    };
    let renamed = renamed(config, faults);
    Some(Browsers { cookies: CookieRules { exceptions, renamed }, cors })
}

fn renamed(config: &RawConfig, faults: &mut Faulty<'_>) -> Vec<Renamed> {
    let mut renamed: Vec<Renamed> = Vec::new();
    for (name, prefix) in &config.cookies.prefix {
        let lower = name.value.to_ascii_lowercase();
        let prefix = match prefix {
            RawPrefix::Host => Prefix::Host,
            RawPrefix::Secure => Prefix::Secure,
        };
        let one = Renamed::new(&name.value, prefix);
        if !is_cookie_name(&name.value) || lower.starts_with("__host-") || lower.starts_with("__secure-") {
            let hint = "write the name that the application uses, such as `session`, without a prefix";
            faults.at(name.span, "cookie", format!("`{}` cannot get a prefix", name.value), hint);
        }
        let alike = |other: &&Renamed| canonical::folded(&other.app) == canonical::folded(&one.app);
        if let Some(other) = renamed.iter().find(alike) {
            let message = format!("some readers take `{}` and `{}` for one cookie", other.app, one.app);
            faults.at(name.span, "cookie", message, "give one of them another name in the application");
        }
        let places = config
            .providers
            .iter()
            .flat_map(|(id, one)| one.token.iter().flatten().map(move |place| (id, &place.value)));
        let cookie = |place: &RawPlace| match place {
            RawPlace::Header(_) => false,
            RawPlace::Cookie(name) | RawPlace::CookieChunks(name) => *name == one.browser,
        };
        for (id, _) in places.filter(|(_, place)| cookie(place)) {
            let message = format!("provider `{id}` reads `{}`, which nobody sees behind the gate", one.browser);
            let hint = "name the cookie by the application's name there: the prefix is the browser's alone";
            faults.at(name.span, "cookie", message, hint);
        }
        renamed.push(one);
    }
    renamed
}

fn is_cookie_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(token)
}

fn exceptions(raw: &RawCookies, faults: &mut Faulty<'_>) -> BTreeMap<String, Exception> {
    let mut exceptions = BTreeMap::new();
    for (name, attributes) in &raw.exceptions {
        if !is_cookie_name(&name.value) {
            let hint = "write its exact name, such as `csrftoken`";
            faults.at(name.span, "cookie", format!("`{}` is no name of a cookie", name.value), hint);
        }
        if attributes.is_empty() {
            let hint = "name `http_only`, `same_site` or both, or leave the cookie out";
            faults.at(name.span, "cookie", format!("nothing is excepted for `{}`", name.value), hint);
        }
        let has = |one| attributes.iter().any(|written| written.value == one);
        let exception = Exception { http_only: has(RawAttribute::HttpOnly), same_site: has(RawAttribute::SameSite) };
        exceptions.insert(name.value.clone(), exception);
    }
    exceptions
}

fn cors(raw: &RawCors, faults: &mut Faulty<'_>) -> Option<Cors> {
    if raw.origins.value.is_empty() {
        let hint = "name one, such as `https://portal.example`, or leave `cors` out";
        faults.at(raw.origins.span, "origin", "`cors.origins` is empty", hint);
        return None;
    }
    let origins = each(&raw.origins.value, |written| origin(written, faults))?;
    let methods = each(&raw.methods, |written| method(written, faults))?;
    let headers = each(&raw.headers, |written| header(written, faults))?;
    let expose = each(&raw.expose, |written| header(written, faults))?;
    let max_age = period(&raw.max_age, LONGEST_PREFLIGHT, faults)?;
    Some(Cors {
        allow_methods: joined(methods.iter().map(Method::as_str))?,
        allow_headers: joined(headers.iter().map(HeaderName::as_str)),
        expose_headers: joined(expose.iter().map(HeaderName::as_str)),
        max_age: HeaderValue::from(max_age.as_secs()),
        credentials: raw.credentials,
        origins,
        methods,
        headers,
    })
}

/// Every entry of a list, or nothing where one of them is at fault; all of them are looked at.
fn each<T>(written: &[Spanned<String>], mut compile: impl FnMut(&Spanned<String>) -> Option<T>) -> Option<Vec<T>> {
    let compiled: Vec<Option<T>> = written.iter().map(&mut compile).collect();
    compiled.into_iter().collect()
}

/// A list as the value of a header; nothing where it is empty.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { None } else { HeaderValue::try_from(names.join(", ")).ok() }
}

/// An origin as browsers write it.
fn origin(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<String> {
    let lower = written.value.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']');
    let host = lower.strip_prefix("https://").filter(|host| !host.is_empty() && host.len() <= 261);
    if let Some(host) = host.filter(|host| host.bytes().all(plain)) {
        // A browser leaves the port out where it is that of the scheme.
        return Some(format!("https://{}", host.strip_suffix(":443").unwrap_or(host)));
    }
    let hint = match lower.as_str() {
        "*" => "name each site: with `*` every page on the internet could ask",
        "null" => "name each site: any page can make itself `null`",
        _ if lower.starts_with("http://") => "a page that came without TLS may be anyone's: only `https://` is taken",
        _ => "write `https://` and a host, with a port where it is not 443, and nothing behind it",
    };
    faults.at(written.span, "origin", format!("`{}` cannot be listed as an origin", written.value), hint);
    None
}

fn method(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<Method> {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let known = KNOWN.contains(&written.value.as_str()).then(|| Method::from_bytes(written.value.as_bytes()).ok());
    if known.is_none() {
        let message = format!("`{}` is no method that a page can be allowed", written.value);
        faults.at(written.span, "method", message, "write GET, HEAD, POST, PUT, PATCH or DELETE");
    }
    known.flatten()
}

fn header(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<HeaderName> {
    let name = HeaderName::try_from(written.value.to_ascii_lowercase()).ok().filter(|name| name.as_str() != "*");
    if name.is_none() {
        let message = format!("`{}` is no name of a header", written.value);
        faults.at(written.span, "header", message, "name each header, such as `content-type`; `*` is not taken");
    }
    name
}
