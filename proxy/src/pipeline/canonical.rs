//! One spelling for one request: the path, query, host and headers that are judged, recorded and forwarded.
//!
//! Decides what can be read in one way only, and refuses the rest. It never repairs: the only changes are that escapes
//! of unreserved characters are decoded and that the hexadecimal digits of the others are upper case (RFC 3986, section
//! 6.2.2). Peers were bypassed by dot segments, encoded slashes, `//` and `;` (CVE-2026-33494, CVE-2021-29492,
//! CVE-2026-15573). None of them passes but the few that a route of the policy allows by name; those are kept here as they
//! are, and judged where the route is known.

pub(crate) mod headers;
pub(crate) mod method;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{Uri, Version};

use crate::rejection::{Oversize, Rejection};
use crate::runtime::UnclearHeaders;

/// The longest request target, path and query together, in bytes.
pub const TARGET_LIMIT: usize = 16 * 1024;

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

/// The canonical form of a path, or what in it can be read in two ways whatever the route.
///
/// `%2F`, `%25` and `;` stay: [`policy::PathForm`] says which routes can allow them, and [`policy::Policy::find`] refuses
/// them everywhere else.
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
            b'/' | b':' | b'@' | b';' => canonical.push(char::from(byte)),
            b'\\' => return Err("backslash"),
            _ if is_unreserved(byte) || is_sub_delimiter(byte) => canonical.push(char::from(byte)),
            _ => return Err("character that a path cannot hold"),
        }
    }
    // Behind a `;` is a parameter to some, so `..;` is `..` to them (CVE-2021-29492).
    let bare = |segment| str::split(segment, ';').next().unwrap_or_default();
    if canonical.split('/').any(|segment| bare(segment).split("%2F").any(|piece| piece == "." || piece == "..")) {
        return Err("dot segment");
    }
    // Without an escape it is ASCII.
    let is_text = !canonical.contains('%') || percent_decoded(&canonical).is_some();
    if is_text { Ok(canonical) } else { Err("escapes that are not UTF-8") }
}

/// Reads the two digits behind a `%` and appends what they stand for: the character where it is unreserved, the escape
/// where it is not.
fn push_escape(canonical: &mut String, bytes: &mut std::str::Bytes<'_>) -> Result<(), &'static str> {
    let byte = escaped(bytes).ok_or("malformed escape")?;
    match byte {
        b'\\' => Err("encoded backslash"),
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

/// Refuses a query with characters that a query cannot hold, or with malformed escapes.
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
    if loose_pairs(raw).any(|pair| form_decoded(pair.name).is_none()) {
        return Err("name in the query that is not UTF-8");
    }
    Ok(())
}

/// One pair of a query, as the loosest readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoosePair<'a> {
    /// What stands before the first `=`.
    pub name: &'a str,
    /// What stands behind it.
    pub value: &'a str,
    /// Whether a `;` is one of its ends: old readers split there, new ones take it for a part of the name or value.
    pub unclear: bool,
}

/// The pairs of a query as the loosest readers see them: old ones split at `;` too.
pub fn loose_pairs(query: &str) -> impl Iterator<Item = LoosePair<'_>> {
    query.split('&').flat_map(|pair| {
        let unclear = pair.contains(';');
        let pieces = pair.split(';').filter(|piece| !piece.is_empty());
        pieces.map(move |piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            LoosePair { name, value, unclear }
        })
    })
}

/// A parameter's name as the loosest readers see it: letters and digits alone, in lower case. PHP turns spaces, dots and
/// brackets into `_`, others read `name[]` as a list, and some ignore case.
pub fn loosely(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether some reader takes a parameter of the name `key` for the one called `name`, or for a part of it: `Clinic`,
/// `[clinic]`, `clinic[]`, `clinic[0]`, `clinic[$ne]` and `clinic.x` are `clinic` to one framework or another.
pub fn is_spelling_of(key: &str, name: &str) -> bool {
    let wanted = loosely(name);
    let mut so_far = String::new();
    let mut pieces = key.split(['[', ']', '.']).map(loosely);
    loosely(key) == wanted
        || pieces.any(|piece| {
            so_far.push_str(&piece);
            so_far == wanted
        })
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

/// Refuses headers that can be read in two ways, and more of them than `limit` bytes or too many lines. They are counted as they were
/// decoded, the pieces of a split `Cookie` too (CVE-2026-47774).
///
/// # Errors
/// `TOO_LARGE` where names and values together are over `limit`, or there are too many; `BAD_FRAMING` for a body whose end
/// two readers would see in two places; `BAD_HEADER` for a repeated header of which only one can count, or a name that two
/// readers see as two.
pub fn check_headers(
    headers: &HeaderMap,
    version: Version,
    limit: u64,
    unclear: UnclearHeaders,
) -> Result<(), Rejection> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size as u64 > limit {
        return Err(Rejection::TooLarge(Oversize::Headers));
    }
    check_framing(headers)?;
    headers::check(headers, version, unclear)
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

/// Whether two header names are one to the loosest readers: [`folded`], they are the same.
pub fn fold_alike(one: &str, other: &str) -> bool {
    let folds = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    one.len() == other.len() && one.bytes().map(folds).eq(other.bytes().map(folds))
}

/// Whether a header name is its own [`folded`] form, so that no reader takes it for another one.
pub fn is_folded(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Headers of one hop, of a request or of an answer, beside those that `Connection` names (RFC 9110, section 7.6.1; section
/// 11.7 for the two of proxies).
pub(super) const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];

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
mod tests;
