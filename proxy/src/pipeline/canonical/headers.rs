//! Headers that two readers could see as two: names, repeats, lists where one value is meant, and too many of them.
//!
//! Decides nothing about what a header says, and changes none.

use http::Version;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap};

use super::is_folded;
use crate::cookie_pairs;
use crate::rejection::{Oversize, Rejection};
use crate::runtime::UnclearHeaders;

/// The most lines of headers, cookies apart: as on HTTP/1.1.
const LINES: usize = crate::framing::LINES;
/// The most pieces in which HTTP/2 may bring the cookies: no browser keeps more than 180 for a site. Each counts, and its
/// bytes do (CVE-2026-47774).
const CRUMBS: usize = 200;

/// Headers that may stand once: of two, one reader takes the first, another the last, a third joins them with a comma.
const SINGLETONS: [&str; 20] = [
    "authorization",
    "content-type",
    "content-range",
    "content-location",
    "content-disposition",
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-user",
    "access-control-request-method",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "range",
    "date",
    "from",
    "max-forwards",
    "traceparent",
];

/// Schemes whose credentials are one word: a comma in them is the start of another credential.
const ONE_WORD: [&str; 5] = ["basic", "bearer", "dpop", "negotiate", "ntlm"];

/// Refuses what can be read in two ways.
///
/// # Errors
/// `TOO_LARGE` for too many lines; `BAD_HEADER` for the rest.
pub(super) fn check(headers: &HeaderMap, version: Version, unclear: UnclearHeaders) -> Result<(), Rejection> {
    let crumbs = headers.get_all(COOKIE).iter().count();
    if crumbs > CRUMBS || headers.len().saturating_sub(crumbs) > LINES {
        return Err(Rejection::TooLarge(Oversize::Lines));
    }
    if unclear == UnclearHeaders::Refuse && headers.keys().any(|name| !is_folded(name.as_str())) {
        return Err(Rejection::BadHeader("a name with `_`, or another sign that servers read as `-`"));
    }
    let repeated = |name: &str| headers.get_all(name).iter().nth(1).is_some();
    // Most requests repeat none at all.
    if headers.len() > headers.keys_len() && SINGLETONS.into_iter().any(repeated) {
        return Err(Rejection::BadHeader("a header that may stand once is repeated"));
    }
    // HTTP/2 splits `Cookie` on purpose (RFC 9113, section 8.2.3); HTTP/1 never may (RFC 6265, section 5.4).
    if version < Version::HTTP_2 && crumbs > 1 {
        return Err(Rejection::BadHeader("`Cookie` is repeated"));
    }
    cookie_pairs::pairs(headers).map(drop)?;
    let said = |name| headers.get(name).map(http::HeaderValue::as_bytes);
    if said(AUTHORIZATION).is_some_and(holds_two_credentials) {
        return Err(Rejection::BadHeader("`Authorization` holds more than one credential"));
    }
    if said(CONTENT_TYPE).is_some_and(|value| elements(value).nth(1).is_some()) {
        return Err(Rejection::BadHeader("`Content-Type` holds more than one type"));
    }
    Ok(())
}

/// Whether a comma parts two credentials, rather than two parameters of one (`Digest a="b", c="d"`).
fn holds_two_credentials(value: &[u8]) -> bool {
    if memchr::memchr(b',', value).is_none() {
        return false;
    }
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    let one_word = ONE_WORD.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    // A parameter is a name and `=`; a scheme is a name alone, or a name and a space.
    let is_parameter = |element: &[u8]| {
        let behind =
            element.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(byte)));
        behind.is_some_and(|at| at > 0 && element.get(at) == Some(&b'='))
    };
    elements(value).skip(1).any(|element| one_word || !is_parameter(element.trim_ascii()))
}

/// What commas outside quotes part.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn head(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn checked(pairs: &[(&str, &str)]) -> Result<(), Rejection> {
        check(&head(pairs), Version::HTTP_2, UnclearHeaders::Refuse)
    }

    #[test]
    fn what_may_stand_once_stands_once() {
        for name in SINGLETONS {
            assert!(checked(&[(name, "a")]).is_ok(), "{name}");
            for other in ["a", "b"] {
                assert!(matches!(checked(&[(name, "a"), (name, other)]), Err(Rejection::BadHeader(_))), "{name}");
            }
        }
        for name in ["accept", "if-none-match", "if-match", "x-own", "via", "cookie"] {
            assert!(checked(&[(name, "a"), (name, "b")]).is_ok(), "{name}");
        }
        let twice = head(&[("cookie", "a=b"), ("cookie", "c=d")]);
        assert!(check(&twice, Version::HTTP_11, UnclearHeaders::Refuse).is_err());
    }

    #[test]
    fn a_credential_is_one() {
        for fine in [
            "Bearer abc.def",
            "Basic YTpi",
            "Digest username=\"a, b\", realm=\"c\", qop=auth",
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=c;d, Signature=e",
            "Signature keyId=\"a\",signature=\"b\\\", Bearer c\"",
        ] {
            assert!(checked(&[("authorization", fine)]).is_ok(), "{fine}");
        }
        for two in [
            "Bearer a, Bearer b",
            "Bearer a,b",
            "bearer a,",
            "Basic YTpi, Bearer b",
            "Digest username=\"a\", Bearer b",
            "Digest username=\"a\", Bearer",
            "Digest a=b, =c",
        ] {
            assert!(checked(&[("authorization", two)]).is_err(), "{two}");
        }
        assert!(checked(&[("content-type", "text/plain; a=\"b,c\"")]).is_ok());
        assert!(checked(&[("content-type", "text/plain, application/x-www-form-urlencoded")]).is_err());
    }

    #[test]
    fn a_name_that_servers_read_as_another_is_refused_or_left_for_later() {
        for name in ["x_own", "x.own", "x~own", "x|own"] {
            assert!(matches!(checked(&[(name, "a")]), Err(Rejection::BadHeader(_))), "{name}");
            assert!(check(&head(&[(name, "a")]), Version::HTTP_2, UnclearHeaders::Strip).is_ok(), "{name}");
        }
    }

    /// CVE-2026-47774: each piece of a cookie counts.
    #[test]
    fn lines_and_pieces_of_cookies_are_counted() {
        let many = |name: &'static str, count: usize| vec![(name, "a=b"); count];
        assert!(checked(&many("x-own", LINES)).is_ok());
        assert!(matches!(checked(&many("x-own", LINES + 1)), Err(Rejection::TooLarge(Oversize::Lines))));
        assert!(checked(&many("cookie", CRUMBS)).is_ok());
        assert!(matches!(checked(&many("cookie", CRUMBS + 1)), Err(Rejection::TooLarge(Oversize::Lines))));
    }
}
