//! Values that carry their unit: `15m`, `2MiB`, `60/m`, `1%`.
//!
//! A bare number is refused, so that nobody has to know whether it meant seconds or milliseconds. What is read can be
//! written back: for each type, parsing what `Display` gives yields the same value.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time, such as `250ms`, `15m` or `1y`: a whole number and one of `ms s m h d w y`.
///
/// A year is 365 days. At most 100 years. Finer than a millisecond is not written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Period(pub Duration);

/// A number of bytes, such as `64KiB` or `10MiB`: a whole number and one of `B KiB MiB GiB TiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ByteSize(pub u64);

/// So many in so long, such as `60/m`, `500/s` or `10/30s`. Never zero of them, never in no time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u32,
    /// In how long; at least a millisecond.
    pub per: Duration,
}

/// A part of a whole, such as `1%` or `0.05%`: at most `100%`, with at most four digits behind the point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Share {
    millionths: u32,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self { millionths: 0 };

    /// Whole hundredths of the whole; beyond 100 they are the whole.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self { millionths: percent as u32 * 10_000 }
    }

    /// Millionths of the whole, at most 1,000,000.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.millionths
    }
}

/// Why a text is not a value with its unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitError {
    message: String,
    hint: String,
}

impl UnitError {
    fn new(message: String, hint: impl Into<String>) -> Self {
        Self { message, hint: hint.into() }
    }

    /// What to write instead, with an example.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UnitError {}

/// One kind of value with a unit, as the schema names it in `format`.
pub(crate) struct Kind {
    /// The `format` of the schema.
    pub(crate) format: &'static str,
    /// What a person calls it, with its article.
    pub(crate) noun: &'static str,
    /// How to write one, with examples.
    pub(crate) hint: &'static str,
    pattern: &'static str,
    examples: &'static [&'static str],
    parse: fn(&str) -> Result<(), UnitError>,
}

impl Kind {
    /// Whether `text` is of this kind.
    pub(crate) fn check(&self, text: &str) -> Result<(), UnitError> {
        (self.parse)(text)
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "format": self.format, "pattern": self.pattern, "examples": self.examples })
    }

    fn refuse(&self, text: &str) -> UnitError {
        UnitError::new(format!("{} is not {}", crate::diagnostic::quoted(text), self.noun), self.hint)
    }

    fn too_large(&self, text: &str) -> UnitError {
        UnitError::new(format!("{} is too large", crate::diagnostic::quoted(text)), self.hint)
    }
}

const PERIOD: Kind = Kind {
    format: "period",
    noun: "a duration",
    hint: "write a whole number and a unit, such as `250ms`, `30s`, `15m`, `12h`, `7d` or `1y`",
    pattern: "^[0-9]+(ms|s|m|h|d|w|y)$",
    examples: &["250ms", "15m", "12h"],
    parse: |text| text.parse::<Period>().map(|_| ()),
};

const BYTE_SIZE: Kind = Kind {
    format: "byte-size",
    noun: "a size",
    hint: "write a whole number and a unit, such as `512B`, `64KiB`, `10MiB` or `1GiB`",
    pattern: "^[0-9]+(B|KiB|MiB|GiB|TiB)$",
    examples: &["64KiB", "10MiB"],
    parse: |text| text.parse::<ByteSize>().map(|_| ()),
};

const RATE: Kind = Kind {
    format: "rate",
    noun: "a rate",
    hint: "write how many in how long, such as `5/s`, `60/m` or `10/30s`",
    pattern: "^[0-9]+/([0-9]+ms|[0-9]*(s|m|h|d|w|y))$",
    examples: &["500/s", "60/m"],
    parse: |text| text.parse::<Rate>().map(|_| ()),
};

const SHARE: Kind = Kind {
    format: "share",
    noun: "a percentage",
    hint: "write a number and `%`, such as `1%`, `0.05%` or `100%`",
    pattern: "^[0-9]+(\\.[0-9]{1,4})?%$",
    examples: &["1%", "0.05%"],
    parse: |text| text.parse::<Share>().map(|_| ()),
};

/// The kind that a schema's `format` names.
pub(crate) fn kind(format: &str) -> Option<&'static Kind> {
    [&PERIOD, &BYTE_SIZE, &RATE, &SHARE].into_iter().find(|kind| kind.format == format)
}

const SECOND: u64 = 1000;
const DAY: u64 = 86_400 * SECOND;
/// Names and milliseconds of the units of time, the longest first.
const TIME: [(&str, u64); 7] =
    [("y", 365 * DAY), ("w", 7 * DAY), ("d", DAY), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1)];
const LONGEST: u64 = 100 * 365 * DAY;

/// Names and bytes of the units of size, the largest first.
const SIZE: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A whole number at the front of a text, and the rest. Signs, underscores and fractions are not numbers here.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())
}

/// `digits` of the unit `factor`; `None` when it does not fit.
fn product(digits: &str, factor: u64) -> Option<u64> {
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes `value` in the largest unit that divides it; zero in the unit of `zero`.
fn write_whole(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    let fitting = units.iter().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    match fitting {
        Some((name, factor)) => write!(f, "{}{name}", value.checked_div(*factor).unwrap_or(0)),
        None => write!(f, "0{zero}"),
    }
}

/// The whole milliseconds of a duration.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (digits, unit) = number(text).ok_or_else(|| PERIOD.refuse(text))?;
        let (_, factor) = TIME.iter().find(|(name, _)| *name == unit).ok_or_else(|| no_time_unit(text, unit))?;
        product(digits, *factor)
            .filter(|millis| *millis <= LONGEST)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| PERIOD.too_large(text))
    }
}

fn no_time_unit(text: &str, unit: &str) -> UnitError {
    if unit.is_empty() {
        let message = format!("{} has no unit", crate::diagnostic::quoted(text));
        return UnitError::new(
            message,
            format!("write the unit, such as `{text}s` for seconds or `{text}m` for minutes"),
        );
    }
    PERIOD.refuse(text)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whole(f, millis(self.0), &TIME, "s")
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (digits, unit) = number(text).ok_or_else(|| BYTE_SIZE.refuse(text))?;
        let (_, factor) =
            SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(|| no_size_unit(text, digits, unit))?;
        product(digits, *factor).map(Self).ok_or_else(|| BYTE_SIZE.too_large(text))
    }
}

fn no_size_unit(text: &str, digits: &str, unit: &str) -> UnitError {
    if unit.is_empty() {
        let message = format!("{} has no unit", crate::diagnostic::quoted(text));
        return UnitError::new(message, format!("write the unit, such as `{text}B` for bytes or `{text}KiB`"));
    }
    let first = unit.chars().next().map(|c| c.to_ascii_uppercase());
    let meant = SIZE.iter().find(|(name, factor)| *factor > 1 && name.chars().next() == first);
    match meant {
        // `MB` is 1000 x 1000 to some and 1024 x 1024 to others.
        Some((name, _)) => UnitError { hint: format!("write `{digits}{name}`"), ..BYTE_SIZE.refuse(text) },
        None => BYTE_SIZE.refuse(text),
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whole(f, self.0, &SIZE, "B")
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || RATE.refuse(text);
        let (digits, rest) = number(text).ok_or_else(refuse)?;
        let per = rest.strip_prefix('/').ok_or_else(refuse)?;
        let one = TIME.iter().find(|(name, factor)| *name == per && *factor >= SECOND);
        let per = match one {
            Some((_, factor)) => Duration::from_millis(*factor),
            None => per.parse::<Period>().map_err(|_| refuse())?.0,
        };
        let count = digits.parse::<u32>().map_err(|_| RATE.too_large(text))?;
        if count == 0 || per.is_zero() {
            return Err(UnitError::new(format!("{} lets nothing pass", crate::diagnostic::quoted(text)), RATE.hint));
        }
        Ok(Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = millis(self.per);
        match TIME.iter().find(|(_, factor)| *factor == per && *factor >= SECOND) {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{}/{}", self.count, Period(self.per)),
        }
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || SHARE.refuse(text);
        let (whole, rest) = number(text).ok_or_else(refuse)?;
        let rest = rest.strip_suffix('%').ok_or_else(refuse)?;
        let part = match rest.strip_prefix('.') {
            None if rest.is_empty() => 0,
            Some(digits) if (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{digits:0<4}").parse::<u32>().map_err(|_| refuse())?
            }
            None | Some(_) => return Err(refuse()),
        };
        let millionths = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(10_000)?.checked_add(part));
        match millionths {
            Some(millionths) if millionths <= 1_000_000 => Ok(Self { millionths }),
            _ => Err(UnitError::new(format!("{} is more than the whole", crate::diagnostic::quoted(text)), SHARE.hint)),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.millionths / 10_000, self.millionths % 10_000);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let part = format!("{part:04}");
        write!(f, "{whole}.{}%", part.trim_end_matches('0'))
    }
}

/// Serde and schema by the text form.
macro_rules! as_text {
    ($($unit:ident by $kind:ident),*) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $unit {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($unit).into()
            }
            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($unit)).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $kind.schema()
            }
        }
    )*};
}

as_text!(Period by PERIOD, ByteSize by BYTE_SIZE, Rate by RATE, Share by SHARE);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn period(text: &str) -> Result<Duration, String> {
        text.parse::<Period>().map(|p| p.0).map_err(|e| format!("{e}; {}", e.hint()))
    }

    fn size(text: &str) -> Result<u64, String> {
        text.parse::<ByteSize>().map(|s| s.0).map_err(|e| format!("{e}; {}", e.hint()))
    }

    #[test]
    fn durations_are_read() {
        let cases = [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("15m", 900_000),
            ("12h", 43_200_000),
            ("7d", 7 * DAY),
            ("2w", 14 * DAY),
            ("1y", 365 * DAY),
            ("100y", LONGEST),
        ];
        for (text, millis) in cases {
            assert_eq!(period(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "m", "15 m", "1.5h", "-5s", "+5s", "1h30m", "15M", "1_000s", "15min", "٣s", "5µs"] {
            let error = period(text).unwrap_err();
            assert!(error.contains("is not a duration") && error.contains("`15m`"), "{text}: {error}");
        }
        assert_eq!(
            period("15").unwrap_err(),
            "`15` has no unit; write the unit, such as `15s` for seconds or `15m` for minutes"
        );
        for text in ["101y", "99999999999999999999s", "18446744073709551615y"] {
            assert!(period(text).unwrap_err().contains("is too large"), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        let cases =
            [("0B", 0), ("100B", 100), ("64KiB", 65_536), ("2MiB", 2_097_152), ("1GiB", 1 << 30), ("3TiB", 3 << 40)];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_what_was_meant() {
        assert_eq!(size("10MB").unwrap_err(), "`10MB` is not a size; write `10MiB`");
        assert_eq!(size("64k").unwrap_err(), "`64k` is not a size; write `64KiB`");
        assert_eq!(size("7").unwrap_err(), "`7` has no unit; write the unit, such as `7B` for bytes or `7KiB`");
        assert!(size("ten").unwrap_err().contains("`10MiB`"));
        assert!(size("1.5MiB").unwrap_err().contains("is not a size"));
        assert!(size("99999999TiB").unwrap_err().contains("is too large"));
    }

    #[test]
    fn rates_are_read() {
        let cases = [("60/m", 60, 60), ("500/s", 500, 1), ("10/30s", 10, 30), ("1/h", 1, 3600), ("2/1m", 2, 60)];
        for (text, count, seconds) in cases {
            assert_eq!(text.parse(), Ok(Rate { count, per: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["", "60", "60/", "/m", "60/ms", "60 / m", "60/m/s", "-1/s", "1/x", "5/10"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains("is not a rate") && error.hint().contains("`60/m`"), "{text}");
        }
        for text in ["0/s", "5/0s"] {
            assert!(text.parse::<Rate>().unwrap_err().to_string().contains("lets nothing pass"), "{text}");
        }
        assert!("4294967296/s".parse::<Rate>().unwrap_err().to_string().contains("is too large"));
    }

    #[test]
    fn shares_are_read() {
        let cases =
            [("0%", 0), ("1%", 10_000), ("0.05%", 500), ("12.5%", 125_000), ("0.0001%", 1), ("100%", 1_000_000)];
        for (text, millionths) in cases {
            assert_eq!(text.parse(), Ok(Share { millionths }), "{text}");
        }
        for text in
            ["", "%", "1", "0.01", ".5%", "1.%", "1.00000%", "1,5%", "-1%", "1 %", "1%%", "1.é%", "1é%", "1.+1%"]
        {
            let error = text.parse::<Share>().unwrap_err();
            assert!(error.to_string().contains("is not a percentage") && error.hint().contains("`1%`"), "{text}");
        }
        for text in ["101%", "100.0001%", "4294967296%", "429497%"] {
            assert!(text.parse::<Share>().unwrap_err().to_string().contains("more than the whole"), "{text}");
        }
        assert_eq!(Share::percent(1), "1%".parse().unwrap());
        assert_eq!(Share::percent(200), "100%".parse().unwrap());
    }

    #[test]
    fn the_largest_unit_that_fits_is_written() {
        assert_eq!(Period(Duration::from_secs(90)).to_string(), "90s");
        assert_eq!(Period(Duration::from_secs(5400)).to_string(), "90m");
        assert_eq!(Period(Duration::ZERO).to_string(), "0s");
        assert_eq!(ByteSize(10 << 20).to_string(), "10MiB");
        assert_eq!(ByteSize(0).to_string(), "0B");
        assert_eq!(Rate { count: 5, per: Duration::from_secs(60) }.to_string(), "5/m");
        assert_eq!(Rate { count: 5, per: Duration::from_millis(1) }.to_string(), "5/1ms");
    }

    #[test]
    fn serde_goes_by_the_text() {
        let json = serde_json::to_string(&(Period(Duration::from_secs(900)), ByteSize(2 << 20))).unwrap();
        assert_eq!(json, r#"["15m","2MiB"]"#);
        assert_eq!(serde_json::from_str::<Rate>(r#""60/m""#).unwrap().count, 60);
        assert!(serde_json::from_str::<Period>("15").is_err());
    }

    proptest! {
        #[test]
        fn a_period_survives_being_written(millis in 0..=LONGEST) {
            let period = Period(Duration::from_millis(millis));
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn a_size_survives_being_written(bytes: u64, shift in 0_u32..40) {
            for size in [ByteSize(bytes), ByteSize((bytes >> shift) << shift)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }

        #[test]
        fn a_rate_survives_being_written(count in 1_u32.., millis in 1..=LONGEST, seconds in 1_u64..100_000) {
            for per in [Duration::from_millis(millis), Duration::from_secs(seconds)] {
                let rate = Rate { count, per };
                prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            }
        }

        #[test]
        fn a_share_survives_being_written(millionths in 0_u32..=1_000_000) {
            let share = Share { millionths };
            prop_assert_eq!(share.to_string().parse(), Ok(share));
            prop_assert!(regex::Regex::new(SHARE.pattern).unwrap().is_match(&share.to_string()));
        }

        #[test]
        fn no_text_panics_and_what_is_read_has_the_pattern(text in "[0-9]{0,3}(/|[.]|[0-9]{0,3})[0-9]{0,3}[a-zA-Z%]{0,3}|\\PC{0,12}") {
            let read = [
                text.parse::<Period>().is_ok(),
                text.parse::<ByteSize>().is_ok(),
                text.parse::<Rate>().is_ok(),
                text.parse::<Share>().is_ok(),
            ];
            for (read, kind) in read.into_iter().zip([PERIOD, BYTE_SIZE, RATE, SHARE]) {
                prop_assert!(!read || regex::Regex::new(kind.pattern).unwrap().is_match(&text));
            }
        }
    }
}
