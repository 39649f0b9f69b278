//! What the gate holds browsers to, compiled: the application's cookies and other sites.
//!
//! It decides nothing by itself; `pipeline/cookies.rs`, `pipeline/cors.rs` and `pipeline/cross_site.rs` do.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method};

use super::Runtime;

/// What the gate holds browsers to.
#[derive(Clone, Debug, Default)]
pub struct Browsers {
    /// What becomes of the application's cookies.
    pub cookies: CookieRules,
    /// The other sites whose pages may ask; `None`: no page of any other site.
    pub cors: Option<Cors>,
}

/// What becomes of the application's cookies.
#[derive(Clone, Debug, Default)]
pub struct CookieRules {
    /// By the exact name of a cookie, the attributes that are not added to it.
    pub exceptions: BTreeMap<String, Exception>,
    /// The cookies that browsers know under another name.
    pub renamed: Vec<Renamed>,
}

/// A cookie that the browser knows under a name with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The application's name for it.
    pub app: String,
    /// The browser's name for it.
    pub browser: String,
    /// What stands before the one to make the other.
    pub prefix: Prefix,
}

impl Renamed {
    /// The cookie `app` with `prefix`.
    pub fn new(app: &str, prefix: Prefix) -> Self {
        Self { app: app.to_owned(), browser: format!("{}{app}", prefix.text()), prefix }
    }
}

/// The prefixes that browsers know (RFC 6265bis, section 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `__Host-`: set over TLS, by this host, for all of it and no other.
    Host,
    /// `__Secure-`: set over TLS.
    Secure,
}

impl Prefix {
    /// As it stands in a name.
    pub fn text(self) -> &'static str {
        match self {
            Prefix::Host => "__Host-",
            Prefix::Secure => "__Secure-",
        }
    }
}

/// The attributes that are not added to one cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// `HttpOnly` is not added: the application's own scripts read the cookie.
    pub http_only: bool,
    /// `SameSite` is not added: what the browser makes of a cookie without it is what the application needs.
    pub same_site: bool,
}

/// The other sites whose pages may ask, and what.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Origins as a browser writes them: `https://`, the host in lower case, the port where it is not 443.
    pub origins: Vec<String>,
    /// The methods that a preflight may ask for.
    pub methods: Vec<Method>,
    /// The headers that a preflight may ask for.
    pub headers: Vec<HeaderName>,
    /// Whether the browser may send cookies along, and whether such a request may be unsafe.
    pub credentials: bool,
    /// The value of `Access-Control-Allow-Methods`.
    pub allow_methods: HeaderValue,
    /// The value of `Access-Control-Allow-Headers`, where there are any.
    pub allow_headers: Option<HeaderValue>,
    /// The value of `Access-Control-Expose-Headers`, where there are any.
    pub expose_headers: Option<HeaderValue>,
    /// The value of `Access-Control-Max-Age`, in seconds.
    pub max_age: HeaderValue,
}

impl Cors {
    /// Whether `origin` is on the list.
    pub fn lists(&self, origin: &str) -> bool {
        self.origins.iter().any(|one| one == origin)
    }
}

impl Runtime {
    /// Whether `origin` is a page of ours: `https` and one of `app.hosts`. `host` is that of the request, which is one of
    /// them already, with its port. A name that was configured without a port stands for port 443 here: what listens on
    /// another port of the same machine is not the application.
    pub fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let Some(asked) = origin.strip_prefix("https://").map(without_default_port) else { return false };
        asked == without_default_port(host) || self.hosts.iter().any(|name| asked == without_default_port(name))
    }
}

fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}
