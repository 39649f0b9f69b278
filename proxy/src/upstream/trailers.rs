//! Trailers: headers that come behind a body, when the request was judged and the head of the answer has left.
//!
//! Decides which of them pass. Nothing that says where a message ends, whom it goes to, who asks, or what a browser is to
//! do passes there: a reader that merges trailers into headers must not find in them what the gate has taken out of the
//! head, set in it, or judged. What is no such name and in its own spelling passes as it is (gRPC's `grpc-status`). More
//! than [`COUNT`] of them, or more than [`SIZE`] bytes, end the stream.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue, TE, TRAILER};
use http::{Response, Version};

use crate::pipeline::canonical::is_folded;
use crate::pipeline::speaks_for_a_gate;

/// The most trailers behind one body.
const COUNT: usize = 64;
/// The most bytes of their names and values together.
const SIZE: usize = 16 * 1024;

/// Names that mean something only in a head (RFC 9110, section 6.5.1), or that would be dangerous where they are believed
/// behind one. Families are in [`FAMILIES`].
const HEAD_ONLY: [&str; 54] = [
    // where a message ends, and how it is coded
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    // where it goes, and what is asked
    "host",
    "authority",
    "method",
    "path",
    "scheme",
    "status",
    "expect",
    "max-forwards",
    "range",
    "prefer",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    // who asks, and what keeps a session
    "authorization",
    "authentication-info",
    "www-authenticate",
    "cookie",
    "cookie2",
    "set-cookie",
    "set-cookie2",
    "origin",
    "referer",
    "x-requested-with",
    "x-csrf-token",
    "x-xsrf-token",
    "traceparent",
    "tracestate",
    "baggage",
    // what a client or a cache does with the answer
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "clear-site-data",
    "date",
    "expires",
    "location",
    "permissions-policy",
    "pragma",
    "referrer-policy",
    "refresh",
    "retry-after",
    "strict-transport-security",
    "timing-allow-origin",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    // what tells of the inside
    "server",
];

/// Beginnings of names of the same kinds.
const FAMILIES: [&str; 9] =
    ["access-control-", "content-", "cross-origin-", "if-", "proxy-", "sec-", "x-accel-", "x-aspnet", "x-powered-"];

/// Of the family `content-`: what is computed while the body is sent, and therefore belongs behind it (RFC 9530).
const DIGEST: &str = "content-digest";

/// Which trailers pass.
#[derive(Clone, Debug, Default)]
pub struct TrailerRules {
    reserved: Arc<[HeaderName]>,
}

/// What becomes of the trailers of one body.
#[derive(Clone, Debug)]
pub(crate) enum Trailers {
    /// They are passed over: the other side cannot carry them, or has not asked for them.
    Dropped,
    /// They pass by these rules.
    Judged(TrailerRules),
}

/// There are more trailers than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The names that an answer to an HTTP/1.1 client announces, so that they may stand behind its body.
#[derive(Clone, Debug)]
pub(crate) struct Announced(pub(crate) HeaderValue);

impl TrailerRules {
    /// Rules under which `reserved` does not pass either: what this configuration sets, reads or judges by name.
    pub fn new(reserved: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { reserved: reserved.into_iter().collect() }
    }

    fn passes(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        is_folded(text)
            && !HEAD_ONLY.contains(&text)
            && (text == DIGEST || !FAMILIES.iter().any(|family| text.starts_with(family)))
            && !speaks_for_a_gate(text)
            && !self.reserved.contains(name)
    }

    /// Keeps the names in the answer's `Trailer` that may pass, for a client that has to be told beforehand.
    pub(crate) fn announce<B>(&self, answer: &mut Response<B>) {
        let lines = answer.headers().get_all(TRAILER).iter().filter_map(|line| line.to_str().ok());
        let names = lines.flat_map(|line| line.split(',')).filter_map(|name| HeaderName::try_from(name.trim()).ok());
        let names: Vec<String> =
            names.filter(|name| self.passes(name)).take(COUNT).map(|name| name.as_str().to_owned()).collect();
        if let (false, Ok(value)) = (names.is_empty(), HeaderValue::try_from(names.join(", "))) {
            answer.extensions_mut().insert(Announced(value));
        }
    }
}

impl Trailers {
    /// What passes of `sent`; `None` where nothing does.
    pub(crate) fn judge(&self, mut sent: HeaderMap) -> Result<Option<HeaderMap>, TooMany> {
        let rules = match self {
            Trailers::Dropped => return Ok(None),
            Trailers::Judged(rules) => rules,
        };
        let size: usize = sent.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
        if sent.len() > COUNT || size > SIZE {
            return Err(TooMany);
        }
        let gone: Vec<HeaderName> = sent.keys().filter(|name| !rules.passes(name)).cloned().collect();
        for name in gone {
            sent.remove(name);
        }
        Ok(if sent.is_empty() { None } else { Some(sent) })
    }
}

/// Whether a client takes trailers: on HTTP/2 they are part of every message, on HTTP/1.1 it says so in `TE`.
pub(crate) fn are_taken(version: Version, headers: &HeaderMap) -> bool {
    let named = |line: &str| line.split(',').any(|name| name.trim().eq_ignore_ascii_case("trailers"));
    version == Version::HTTP_2 || headers.get_all(TE).iter().any(|line| line.to_str().is_ok_and(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&'static str, &str)]) -> Result<Vec<String>, TooMany> {
        let rules = TrailerRules::new([HeaderName::from_static("x-clinic")]);
        let mut sent = HeaderMap::new();
        for (name, value) in pairs {
            sent.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let passed = Trailers::Judged(rules).judge(sent)?.unwrap_or_default();
        Ok(passed.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect())
    }

    #[test]
    fn what_belongs_behind_a_body_passes() {
        let pairs =
            [("grpc-status", "0"), ("grpc-message", "ok"), ("x-count-bin", "AA"), ("content-digest", "sha-256=::")];
        assert_eq!(judged(&pairs).unwrap().len(), pairs.len());
        assert_eq!(judged(&[("x-a", "1"), ("x-a", "2")]).unwrap(), ["x-a: 1", "x-a: 2"]);
    }

    #[test]
    fn what_belongs_into_a_head_does_not() {
        for name in [
            "content-length",
            "content-type",
            "transfer-encoding",
            "host",
            "authorization",
            "cookie",
            "set-cookie",
            "proxy-authorization",
            "x-forwarded-for",
            "x-forwarded-anything",
            "forwarded",
            "x-real-ip",
            "remote-user",
            "x-original-url",
            "x-http-method-override",
            "access-control-allow-origin",
            "content-security-policy",
            "strict-transport-security",
            "location",
            "if-match",
            "sec-fetch-site",
            "grpc_status",
            "x.tenant",
            "x-clinic",
        ] {
            assert_eq!(judged(&[(name, "1")]), Ok(Vec::new()), "{name}");
        }
        assert_eq!(judged(&[("host", "a"), ("grpc-status", "0")]).unwrap(), ["grpc-status: 0"]);
    }

    #[test]
    fn there_are_only_so_many() {
        let many = vec![("x-a", "1"); COUNT];
        assert_eq!(judged(&many).unwrap().len(), COUNT);
        assert_eq!(judged(&vec![("x-a", "1"); COUNT + 1]), Err(TooMany));
        assert_eq!(judged(&[("x-a", &"x".repeat(SIZE - 3))]).unwrap().len(), 1);
        assert_eq!(judged(&[("x-a", &"x".repeat(SIZE - 2))]), Err(TooMany));
        assert_eq!(judged(&[("host", &"x".repeat(SIZE))]), Err(TooMany), "what is taken out counts as well");
        let dropped = Trailers::Dropped.judge(HeaderMap::new());
        assert!(dropped.unwrap().is_none());
    }

    #[test]
    fn only_what_passes_is_announced() {
        let rules = TrailerRules::default();
        let mut answer = Response::new(());
        answer.headers_mut().append(TRAILER, HeaderValue::from_static("Grpc-Status, Set-Cookie"));
        answer.headers_mut().append(TRAILER, HeaderValue::from_static("x-late,, a b"));
        rules.announce(&mut answer);
        assert_eq!(answer.extensions().get::<Announced>().unwrap().0, "grpc-status, x-late");
        let mut silent = Response::new(());
        rules.announce(&mut silent);
        assert!(silent.extensions().get::<Announced>().is_none());
    }

    #[test]
    fn a_client_of_http_1_says_that_it_takes_them() {
        let te = |value: &'static str| HeaderMap::from_iter([(TE, HeaderValue::from_static(value))]);
        assert!(are_taken(Version::HTTP_2, &HeaderMap::new()));
        assert!(are_taken(Version::HTTP_11, &te("gzip, Trailers")));
        assert!(!are_taken(Version::HTTP_11, &te("gzip;q=trailers")));
        assert!(!are_taken(Version::HTTP_11, &HeaderMap::new()));
    }
}
