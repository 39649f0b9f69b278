//! For how long an answer says that it may be used (RFC 9111).
//!
//! Decides what the headers say, and nothing of what we make of it: whoever asks holds it to bounds of its own. What cannot be
//! read is taken for "not at all".

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName};

use crate::clock::http_date;

/// The rest of an answer's life in seconds, received at `now` (Unix seconds); `None` where it says nothing.
pub(super) fn lifetime(headers: &HeaderMap, now: u64) -> Option<u64> {
    let whole = match said(headers) {
        Said::Never => return Some(0),
        Said::Seconds(seconds) => seconds,
        Said::Nothing => {
            let expires = text(headers, &EXPIRES)?;
            // RFC 9111, 5.3: a date that cannot be read, such as `0`, has passed.
            let from = text(headers, &DATE).and_then(http_date).unwrap_or(now);
            http_date(expires).unwrap_or(0).saturating_sub(from)
        }
    };
    let age = text(headers, &AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    Some(whole.saturating_sub(age))
}

/// What `Cache-Control` says.
enum Said {
    Nothing,
    Never,
    Seconds(u64),
}

fn said(headers: &HeaderMap) -> Said {
    let mut least: Option<u64> = None;
    for value in headers.get_all(CACHE_CONTROL) {
        let Ok(value) = value.to_str() else { return Said::Never };
        for directive in value.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                return Said::Never;
            }
            if name.eq_ignore_ascii_case("max-age") {
                let digits = argument.trim().trim_matches('"');
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let seconds = if plain { digits.parse().unwrap_or(u64::MAX) } else { 0 };
                // Said twice, the shorter one counts.
                least = Some(least.map_or(seconds, |other| other.min(seconds)));
            }
        }
    }
    least.map_or(Said::Nothing, Said::Seconds)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

    fn of(lines: &[(&str, &str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        lifetime(&headers, NOW)
    }

    #[test]
    fn what_headers_say() {
        let later = ("expires", "Sun, 06 Nov 1994 09:49:37 GMT");
        for (lines, expected) in [
            (vec![], None),
            (vec![("cache-control", "public")], None),
            (vec![("cache-control", "public, max-age=300")], Some(300)),
            (vec![("cache-control", "Max-Age=\"300\"")], Some(300)),
            (vec![("cache-control", "max-age=300"), ("age", "100")], Some(200)),
            (vec![("cache-control", "max-age=300"), ("age", "1000")], Some(0)),
            (vec![("cache-control", "max-age=300"), ("age", "soon")], Some(300)),
            (vec![("cache-control", "max-age=300, max-age=20")], Some(20)),
            (vec![("cache-control", "max-age=300"), ("cache-control", "max-age=20")], Some(20)),
            (vec![("cache-control", "max-age=99999999999999999999999")], Some(u64::MAX)),
            (vec![("cache-control", "max-age=-1")], Some(0)),
            (vec![("cache-control", "max-age")], Some(0)),
            (vec![("cache-control", "max-age=300, no-store")], Some(0)),
            (vec![("cache-control", "no-cache")], Some(0)),
            (vec![("cache-control", "max-age=300"), later], Some(300)),
            (vec![later], Some(3_600)),
            (vec![later, ("date", "Sun, 06 Nov 1994 09:39:37 GMT")], Some(600)),
            (vec![later, ("date", "Sun, 06 Nov 1994 09:39:37 GMT"), ("age", "60")], Some(540)),
            (vec![later, ("date", "yesterday")], Some(3_600)),
            (vec![("expires", "0")], Some(0)),
            (vec![("expires", "Sun, 06 Nov 1993 08:49:37 GMT")], Some(0)),
        ] {
            assert_eq!(of(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn dates_are_read() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(NOW)),
            ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Sun, 22 Nov 2026 00:00:00 GMT", Some(1_795_305_600)),
            ("Fri, 31 Dec 2100 00:00:00 GMT", Some(4_133_894_400)),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(NOW)),
            ("Sun Nov  6 08:49:37 1994", Some(NOW)),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), expected, "{text}");
        }
    }
}
