//! What a moment looks like in the record: RFC 3339 text and ULIDs, both made from the time that the caller gives.
//!
//! Never asks for the time.

/// The last millisecond of the year 9999: later moments are written as this one, since RFC 3339 has four-digit years.
const LAST: u64 = 253_402_300_799_999;
const DAY: u64 = 86_400_000;

/// `2026-11-21T20:44:46.123Z` for milliseconds since 1970-01-01 UTC (RFC 3339, always UTC and three decimals).
pub fn rfc3339(millis: u64) -> String {
    let millis = millis.min(LAST);
    let (year, month, day) = civil(millis / DAY);
    let rest = millis % DAY;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of the Gregorian calendar for days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, so that the leap day is the last of its year; an era is 400 years.
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A ULID: 48 bits of milliseconds and 80 random bits as 26 letters of Crockford's base 32.
pub(crate) fn ulid(millis: u64, random: [u8; 10]) -> String {
    let mut bits = u128::from(millis.min((1 << 48) - 1));
    for byte in random {
        bits = bits << 8 | u128::from(byte);
    }
    (0..26u32).rev().map(|place| letter((bits >> (place * 5)) as u8 & 31)).collect()
}

/// Crockford's base 32: digits, then letters without I, L, O and U.
fn letter(value: u8) -> char {
    char::from(match value {
        0..=9 => b'0' + value,
        10..=17 => b'A' + (value - 10),
        18..=19 => b'J' + (value - 18),
        20..=21 => b'M' + (value - 20),
        22..=26 => b'P' + (value - 22),
        _ => b'V' + (value - 27),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn known_moments() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_293_886_123), "2026-11-21T20:44:46.123Z");
        assert_eq!(rfc3339(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn ulids_order_by_time_and_use_32_letters() {
        assert_eq!(ulid(0, [0; 10]), "0".repeat(26));
        assert_eq!(ulid(u64::MAX, [255; 10]), format!("7{}", "Z".repeat(25)));
        assert!(ulid(1_795_293_886_123, [0; 10]).starts_with("01"));
        let letters: BTreeSet<char> = (0..32).map(letter).collect();
        assert_eq!(letters.len(), 32);
        assert!(letters.iter().all(|letter| !"ILOU".contains(*letter)));
    }

    proptest! {
        #[test]
        fn later_sorts_later(a in 0..LAST, b in 0..LAST, x: [u8; 10], y: [u8; 10]) {
            prop_assert_eq!(a.cmp(&b), rfc3339(a).cmp(&rfc3339(b)));
            if a < b { prop_assert!(ulid(a, x) < ulid(b, y)); }
        }
    }
}
