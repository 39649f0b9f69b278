//! One spelling for one request: the path, query, host and headers that are judged, recorded and forwarded.
//!
//! Decides what can be read in one way only, and refuses the rest. It never repairs: the only changes are that escapes
//! of unreserved characters are decoded and that the hexadecimal digits of the others are upper case (RFC 3986, section
//! 6.2.2). Peers were bypassed by dot segments, encoded slashes, `//` and `;` (CVE-2026-33494, CVE-2021-29492,
//! CVE-2026-15573): none of them passes.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Uri, Version};

use crate::framing;
use crate::rejection::{Oversize, Rejection};

/// The longest request target, path and query together, in bytes.
pub const TARGET_LIMIT: usize = 16 * 1024;

/// Header names by which frameworks let a client change the method that was judged.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The canonical path of a request target, and its query as sent.
///
/// # Errors
/// `BAD_PATH` with what was ambiguous, `TOO_LARGE` for a target over [`TARGET_LIMIT`].
pub fn target(uri: &Uri) -> Result<(String, Option<String>), Rejection> {
    let Some(whole) = uri.path_and_query() else { return Err(Rejection::BadPath("no path")) };
    if whole.as_str().len() > TARGET_LIMIT {
        return Err(Rejection::TooLarge(Oversize::Target));
    }
    let path = path(whole.path()).map_err(Rejection::BadPath)?;
    if let Some(query) = whole.query() {
        check_query(query).map_err(Rejection::BadPath)?;
    }
    Ok((path, whole.query().map(str::to_owned)))
}

/// The canonical form of a path, or what in it can be read in two ways.
pub fn path(raw: &str) -> Result<String, &'static str> {
    if !raw.starts_with('/') {
        return Err("path does not start with a slash");
    }
    let mut canonical = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => push_escape(&mut canonical, &mut bytes)?,
            b'/' if canonical.ends_with('/') => return Err("empty path segment"),
            b'/' | b':' | b'@' => canonical.push(char::from(byte)),
            b';' => return Err("path parameter"),
            b'\\' => return Err("backslash"),
            _ if is_unreserved(byte) || is_sub_delimiter(byte) => canonical.push(char::from(byte)),
            _ => return Err("character that a path cannot hold"),
        }
    }
    if canonical.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("dot segment");
    }
    if percent_decoded(&canonical).is_none() { Err("escapes that are not UTF-8") } else { Ok(canonical) }
}

/// Reads the two digits behind a `%` and appends what they stand for: the character where it is unreserved, the escape
/// where it is not.
fn push_escape(canonical: &mut String, bytes: &mut std::str::Bytes<'_>) -> Result<(), &'static str> {
    let byte = escaped(bytes).ok_or("malformed escape")?;
    match byte {
        b'/' | b'\\' => Err("encoded slash"),
        b'%' => Err("double encoding"),
        b';' => Err("encoded path parameter"),
        0..=0x1f | 0x7f => Err("encoded control character"),
        _ if is_unreserved(byte) => {
            canonical.push(char::from(byte));
            Ok(())
        }
        _ => {
            canonical.push('%');
            canonical.push(upper_hex(byte >> 4));
            canonical.push(upper_hex(byte & 0x0f));
            Ok(())
        }
    }
}

/// Refuses a query with characters that a query cannot hold, with malformed escapes, or with a method override.
pub fn check_query(raw: &str) -> Result<(), &'static str> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match escaped(&mut bytes) {
                None => return Err("malformed escape in the query"),
                Some(0) => return Err("encoded NUL in the query"),
                Some(_) => {}
            },
            // Browsers and other real clients send these raw (`^` parts the names of DICOM); no reader takes them for
            // anything else.
            b'/' | b'?' | b':' | b'@' | b'[' | b']' | b'|' | b'"' | b'{' | b'}' | b'^' | b'`' => {}
            _ if is_unreserved(byte) || is_sub_delimiter(byte) || byte == b';' => {}
            _ => return Err("character that a query cannot hold"),
        }
    }
    if loose_pairs(raw).any(|(name, _)| form_decoded(name).is_none_or(|name| is_method_override(&name))) {
        return Err("method override in the query");
    }
    Ok(())
}

/// The pairs of a query as the loosest readers see them: old ones split at `;` too. A value with a `;` in it is then
/// followed by a name that nobody meant, which is what makes it ambiguous.
pub fn loose_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split(['&', ';']).filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A parameter's name as the loosest readers see it: letters and digits alone, in lower case. PHP turns spaces, dots and
/// brackets into `_`, others read `name[]` as a list, and some ignore case.
pub fn loosely(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a parameter's name could be read as `_method`: PHP makes it of `.method` and ` method`, others of `_method[]`.
fn is_method_override(name: &str) -> bool {
    let marked = !name.trim_start_matches([' ', '+']).starts_with(|first: char| first.is_alphanumeric());
    let spaced = name.starts_with([' ', '+']) && name.trim_start().starts_with('_');
    loosely(name) == "method" && (marked || spaced)
}

/// A name or value of a query as forms write it: `+` is a space, escapes decoded. `None`: not UTF-8.
pub fn form_decoded(text: &str) -> Option<String> {
    percent_decoded(&text.replace('+', " "))
}

/// Text with its escapes decoded; `None` where the result is not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { escaped(&mut bytes)? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let high = char::from(bytes.next()?).to_digit(16)?;
    let low = char::from(bytes.next()?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

fn upper_hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `sub-delims` without `;`, which legacy servers read as the start of path parameters.
fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=')
}

/// The host of a request, in lower case, with its port if it was sent.
///
/// # Errors
/// `BAD_HOST` for a missing or repeated `Host`, one that differs from the authority, or one with other characters than
/// a name, an address and a port can have.
pub fn host(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<String, Rejection> {
    let mut values = headers.get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(Rejection::BadHost("more than one `Host`"));
    }
    let header = match header {
        Some(value) => Some(value.to_str().map_err(|_| Rejection::BadHost("`Host` is not text"))?),
        None => None,
    };
    // HTTP/2 names the host in `:authority`; HTTP/1.1 must send `Host` (RFC 9112, section 3.2).
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err(Rejection::BadHost("`Host` and the authority differ"));
        }
        (Some(_), None) if version < Version::HTTP_2 => return Err(Rejection::BadHost("no `Host`")),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) => return Err(Rejection::BadHost("no `Host`")),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']' | b'_');
    if host.is_empty() || host.len() > 261 || !host.bytes().all(plain) || !has_proper_port(host) {
        return Err(Rejection::BadHost("`Host` holds a character that a host cannot have"));
    }
    Ok(host.to_ascii_lowercase())
}

/// Whether what stands behind the last colon, if anything, is a port.
fn has_proper_port(host: &str) -> bool {
    let behind = match host.rsplit_once(']') {
        Some((_, behind)) => behind,
        None => host.find(':').map_or("", |colon| host.split_at(colon).1),
    };
    behind.is_empty()
        || behind.strip_prefix(':').is_some_and(|port| !port.starts_with('+') && port.parse::<u16>().is_ok())
}

/// The name in a host without its port: `a.example:8443` is `a.example`, `[::1]:8443` is `[::1]`.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Refuses headers that can be read in two ways, and more of them than `limit` bytes or [`LINES`](framing::LINES). They are
/// counted as they were decoded, each piece of a split `Cookie` as one (CVE-2026-47774).
///
/// # Errors
/// `TOO_LARGE` where names and values together are over `limit`, or there are too many; `BAD_FRAMING` for a body whose end two readers would see
/// in two places; `BAD_HEADER` for a repeated header of which only one can count, or a method override.
pub fn check_headers(headers: &HeaderMap, version: Version, limit: u64) -> Result<(), Rejection> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size as u64 > limit {
        return Err(Rejection::TooLarge(Oversize::Headers));
    }
    if headers.len() > framing::LINES {
        return Err(Rejection::TooLarge(Oversize::Lines));
    }
    check_framing(headers)?;
    let repeated = |name| headers.get_all(name).iter().nth(1).is_some();
    if repeated(AUTHORIZATION) || repeated(CONTENT_TYPE) {
        return Err(Rejection::BadHeader("a header that may stand once is repeated"));
    }
    // HTTP/2 splits `Cookie` on purpose (RFC 9113, section 8.2.3); HTTP/1 never may (RFC 6265, section 5.4).
    if version < Version::HTTP_2 && repeated(COOKIE) {
        return Err(Rejection::BadHeader("`Cookie` is repeated"));
    }
    if METHOD_OVERRIDES.iter().any(|name| headers.keys().any(|key| folded(key.as_str()) == *name)) {
        return Err(Rejection::BadHeader("method override in a header"));
    }
    Ok(())
}

/// Refuses any coding but chunks (RFC 9112, section 6.1): the body is passed on in chunks of our own, so the application
/// would not learn of another one. On HTTP/1.1 the guard below hyper has seen to all of this; here it holds for HTTP/2 too.
fn check_framing(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let text = length.as_bytes();
        let canonical =
            text == b"0" || (!text.is_empty() && !text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit));
        if !canonical || lengths.next().is_some() {
            return Err(Rejection::BadFraming("a length that can be read in two ways"));
        }
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Rejection::BadFraming("a transfer coding other than `chunked`"));
    }
    Ok(())
}

/// A header name as the loosest readers see it: CGI and its heirs turn every other character into `_`, so
/// `X_Tenant.Id` is the `X-Tenant-Id` of the application (CVE-2025-64484).
pub fn folded(name: &str) -> String {
    name.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '-' })
        .collect()
}

/// Whether a header name is its own [`folded`] form, so that no reader takes it for another one.
pub fn is_folded(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Removes the headers that `Connection` names (RFC 9110, section 7.6.1), so that what is judged is what is sent. Ours are
/// set later, so naming one of them there removes nothing that the application should have seen (CVE-2025-48865).
pub fn remove_connection_named(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // Without these three the request would be another one; `Upgrade` is read once more, and then taken out.
        .filter(|name| ![HOST, AUTHORIZATION, COOKIE, UPGRADE].contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_itself() {
        for plain in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/~d",
            "/a:b@c",
            "/a%20b",
            "/%C3%A9",
            "/a!$&'()*+,=b",
            "/a..b/...",
            "/.well-known/x",
        ] {
            assert_eq!(path(plain).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn unreserved_escapes_are_decoded_and_the_others_folded() {
        assert_eq!(path("/%61%2d%7E/%c3%a9").as_deref(), Ok("/a-~/%C3%A9"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for ambiguous in [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/../b",
            "/a/.",
            "/%2e%2e/a",
            "/a/%2E",
            "/.%2e/a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00b",
            "/a%0ab",
            "/a%7f",
            "/a%252fb",
            "/a%25",
            "/a;b",
            "/a;b/..;/c",
            "/a%3bb",
            "/a%3Bb",
            "/a%",
            "/a%4",
            "/a%zz",
            "/%c0%af",
            "/%ff",
            "/%ed%a0%80",
            "/a b",
            "/a\tb",
            "/a#b",
            "/a?b",
            "/é",
            "/a|b",
            "/a\"b",
            "/a{b}",
            "/a^b",
            "/a`b",
            "/a<b>",
        ] {
            assert!(path(ambiguous).is_err(), "{ambiguous:?}");
        }
    }

    #[test]
    fn normalising_twice_is_normalising_once() {
        for raw in ["/%61/b%20c", "/%7e/%C3%a9", "/a/b"] {
            let once = path(raw).unwrap();
            assert_eq!(path(&once).as_deref(), Ok(once.as_str()));
        }
    }

    #[test]
    fn a_query_is_kept_but_must_be_well_formed() {
        for fine in ["", "a=b&c=d", "a[]=1", "q=%20+x", "a=b;c", "filter={\"a\":1}", "next=/a?b", "m=_method"] {
            assert_eq!(check_query(fine), Ok(()), "{fine:?}");
        }
        for bad in [
            "%20_method=PUT",
            ".method=PUT",
            "[_method]=PUT",
            "_method[]=PUT",
            "a;_method=PUT",
            "%20_method=PUT",
            ".method=PUT",
            "[_method]=PUT",
            "_method[]=PUT",
            "a;_method=PUT",
            "a=%",
            "a=%0",
            "a=%zz",
            "a=%00",
            "a b",
            "a#b",
            "_method=DELETE",
            "x=1&%5fmethod=PUT",
            "_METHOD=a",
            "é",
            "%ff=1",
        ] {
            assert!(check_query(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_port_is_cut_from_names_and_addresses() {
        assert_eq!(without_port("a.example:8443"), "a.example");
        assert_eq!(without_port("a.example"), "a.example");
        assert_eq!(without_port("[::1]:8443"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }

    #[test]
    fn a_folded_name_is_what_cgi_makes_of_it() {
        assert_eq!(folded("X_Tenant.Id"), "x-tenant-id");
    }

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_host_stands_once_and_agrees_with_the_authority() {
        let origin = Uri::from_static("/a");
        let full = Uri::from_static("https://clinic.example/a");
        let one = head(&[("host", "Clinic.Example:443")]);
        assert_eq!(host(&origin, Version::HTTP_11, &one).unwrap(), "clinic.example:443");
        assert_eq!(host(&full, Version::HTTP_2, &HeaderMap::new()).unwrap(), "clinic.example");
        assert!(host(&full, Version::HTTP_11, &HeaderMap::new()).is_err());
        assert!(host(&full, Version::HTTP_2, &one).is_err());
        assert!(host(&origin, Version::HTTP_11, &HeaderMap::new()).is_err());
        let mut two = one.clone();
        two.append(HOST, http::HeaderValue::from_static("other.example"));
        assert!(host(&origin, Version::HTTP_11, &two).is_err());
        for bad in
            ["a:", "a:x", "a:99999", "a:80:80", "[::1]:", "", "a b", "user@host", "a/b", "a?b", "a#b", "a\\b", "a,b"]
        {
            let value = http::HeaderValue::from_str(bad).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(HOST, value);
            assert!(host(&origin, Version::HTTP_11, &headers).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_that_count_once_stand_once() {
        let limit = 1_000;
        assert!(check_headers(&head(&[("cookie", "a=b")]), Version::HTTP_11, limit).is_ok());
        let mut twice = head(&[("cookie", "a=b")]);
        twice.append(COOKIE, http::HeaderValue::from_static("c=d"));
        assert!(check_headers(&twice, Version::HTTP_11, limit).is_err());
        assert!(check_headers(&twice, Version::HTTP_2, limit).is_ok());
        let mut twice = head(&[("authorization", "Bearer a")]);
        twice.append(AUTHORIZATION, http::HeaderValue::from_static("Bearer b"));
        assert!(check_headers(&twice, Version::HTTP_2, limit).is_err());
        assert!(check_headers(&head(&[("x_http_method_override", "PUT")]), Version::HTTP_11, limit).is_err());
        assert!(check_headers(&head(&[("x-a", "0123456789")]), Version::HTTP_11, 12).is_err());
    }

    #[test]
    fn a_body_ends_in_one_place() {
        let framed = |pairs| check_headers(&head(pairs), Version::HTTP_11, 1_000);
        assert!(framed(&[("transfer-encoding", "Chunked")]).is_ok());
        assert!(framed(&[("content-length", "3")]).is_ok());
        for bad in [
            &[("transfer-encoding", "gzip, chunked")][..],
            &[("transfer-encoding", "chunked, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ] {
            assert!(matches!(framed(bad), Err(Rejection::BadFraming(_))), "{bad:?}");
        }
    }
}
