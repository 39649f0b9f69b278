//! For how long an answer says that it may be used (RFC 9111).
//!
//! Decides what the headers say, and nothing of what we make of it: whoever asks holds it to bounds of its own. What cannot be
//! read is taken for "not at all".

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName};

/// The rest of an answer's life in seconds, received at `now` (Unix seconds); `None` where it says nothing.
pub(super) fn lifetime(headers: &HeaderMap, now: u64) -> Option<u64> {
    let whole = match said(headers) {
        Said::Never => return Some(0),
        Said::Seconds(seconds) => seconds,
        Said::Nothing => {
            let expires = text(headers, &EXPIRES)?;
            // RFC 9111, 5.3: a date that cannot be read, such as `0`, has passed.
            let from = text(headers, &DATE).and_then(date).unwrap_or(now);
            date(expires).unwrap_or(0).saturating_sub(from)
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

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7) in Unix seconds; the two obsolete forms are not read.
fn date(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let mut word = || words.next();
    let day = number(word()?, 1, 31)?;
    let name = word()?;
    let month = (1..).zip(MONTHS).find_map(|(month, short)| (short == name).then_some(month))?;
    let year = number(word()?, 1970, 9999)?;
    let mut clock = word()?.split(':');
    let (hour, minute) = (number(clock.next()?, 0, 23)?, number(clock.next()?, 0, 59)?);
    let second = number(clock.next()?, 0, 60)?;
    if word()? != "GMT" || word().is_some() || clock.next().is_some() {
        return None;
    }
    let seconds = days(year, month, day)?.checked_mul(86_400)?;
    seconds.checked_add(hour.checked_mul(3_600)?)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)
}

fn number(digits: &str, least: u64, most: u64) -> Option<u64> {
    let value = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (least..=most).contains(&value).then_some(value)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; years begin in March here, so that a leap day comes last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leaps = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let of_year = month.checked_mul(153)?.checked_add(2)? / 5;
    // 719,469 days before 1970-01-01 is 0000-02-29, one before the first day of such a year 0.
    year.checked_mul(365)?.checked_add(leaps)?.checked_add(of_year)?.checked_add(day)?.checked_sub(719_469)
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
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }
}
