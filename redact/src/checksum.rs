//! Check digits: which runs of digits are an identifier and not just a number.
//!
//! Decides by arithmetic alone; all functions pass over spaces and dashes.

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.chars().filter_map(|letter| letter.to_digit(10))
}

/// The Luhn sum of the digits, modulo ten (ISO/IEC 7812-1, annex B).
fn luhn(text: &str) -> u32 {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    digits(text)
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(digit) } else { digit })
        .sum::<u32>()
        % 10
}

/// A payment card: 13 to 19 digits, a first digit that card schemes have, and a right check digit.
pub(crate) fn is_card(text: &str) -> bool {
    let mut first = digits(text);
    let scheme = match (first.next(), first.next()) {
        (Some(3..=6), _) | (Some(2), Some(2..=7)) => true,
        (Some(_) | None, _) => false,
    };
    scheme && (13..=19).contains(&digits(text).count()) && luhn(text) == 0
}

/// A US national provider identifier: 10 digits, the first 1 or 2, Luhn over `80840` and the digits (45 CFR 162.406).
///
/// Numbers that may as well be a time in seconds (the years 2020 to 2036) are none.
pub(crate) fn is_npi(text: &str) -> bool {
    let value: u64 = digits(text).fold(0, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit)));
    digits(text).count() == 10
        && matches!(digits(text).next(), Some(1 | 2))
        && !(1_577_836_800..2_085_978_496).contains(&value)
        && (luhn(text) + 24).is_multiple_of(10) // 24 is what the digits 80840 add
}

/// An international bank account number: the remainder modulo 97 is 1 (ISO 13616).
pub(crate) fn is_iban(text: &str) -> bool {
    let letters: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(36)).collect();
    if !(15..=34).contains(&letters.len()) {
        return false;
    }
    let (head, body) = letters.split_at(4);
    let add = |sum: u32, value: &u32| (sum * if *value > 9 { 100 } else { 10 } + value) % 97;
    body.iter().chain(head).fold(0, add) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples() {
        assert!(is_card("4111 1111 1111 1111") && is_card("378282246310005") && is_card("5555-5555-5555-4444"));
        assert!(!is_card("4111 1111 1111 1112") && !is_card("1795293886123") && !is_card(""));
        assert!(is_npi("1234567893") && !is_npi("1234567890") && !is_npi("1795293886"));
        assert!(is_iban("DE89 3704 0044 0532 0130 00") && is_iban("GB29NWBK60161331926819"));
        assert!(!is_iban("DE89 3704 0044 0532 0130 01") && !is_iban(""));
    }
}
