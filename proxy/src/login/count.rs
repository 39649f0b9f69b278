//! How often a browser has signed in lately without that anything came of it.
//!
//! Decides when it is sent to sign in no more: a browser that comes back and is sent away again would go round for ever. The
//! count stands in a cookie, unsealed: whoever changes it changes what their own browser is told, and nothing else.

use http::{HeaderMap, HeaderValue};

use super::cookies::{self, Names};

/// From how many sign-ins on it is a loop.
pub(crate) const MOST: u32 = 3;
/// Within how many seconds of the first.
pub(crate) const WITHIN: u64 = 60;

/// The sign-ins of a browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    times: u32,
    since: u64,
}

impl Count {
    /// What the browser shows, as far as it is of the last minute; `now` in Unix seconds.
    pub(crate) fn of(names: &Names, headers: &HeaderMap, now: u64) -> Option<Self> {
        let (times, since) = cookies::find(headers, &names.count).ok()??.split_once('.')?;
        let count = Self { times: times.parse().ok()?, since: since.parse().ok()? };
        (count.since <= now && now - count.since < WITHIN).then_some(count)
    }

    /// Whether that is a loop.
    pub(crate) fn is_loop(self) -> bool {
        self.times >= MOST
    }

    /// The cookie after one more.
    pub(crate) fn one_more(before: Option<Self>, names: &Names, now: u64) -> Option<HeaderValue> {
        let Self { times, since } = before.unwrap_or(Self { times: 0, since: now });
        cookies::set(&names.count, &format!("{}.{since}", times.saturating_add(1)), WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn three_within_a_minute_are_a_loop() {
        let names = Names::of("__Host-a");
        let shown = |value: &str, now| {
            let line = HeaderValue::try_from(format!("__Host-a-count={value}")).unwrap();
            Count::of(&names, &HeaderMap::from_iter([(COOKIE, line)]), now)
        };
        assert!(!shown("2.100", 159).unwrap().is_loop() && shown("3.100", 159).unwrap().is_loop());
        for none in ["3.100", "3", "", "x.y", "-1.150", "3.161"] {
            assert_eq!(shown(none, 160), None, "{none}");
        }
        let next = |value: &str| Count::one_more(shown(value, 110), &names, 110).unwrap();
        assert!(next("1.100").to_str().unwrap().starts_with("__Host-a-count=2.100; "));
        assert!(next("").to_str().unwrap().starts_with("__Host-a-count=1.110; "));
    }
}
