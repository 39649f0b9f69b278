//! What a word without quotes means to `kubectl`, whose reader knows YAML 1.1 with some liberties (go-yaml 2).

use serde_json::{Number, Value};

/// What a word without quotes is.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    /// To every reader that matters, this.
    Value(Value),
    /// Readers disagree, or JSON has no word for it.
    Unclear(&'static str),
}

/// What a word without quotes means.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(Value::Null),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Plain::Value(Value::Bool(true));
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Plain::Value(Value::Bool(false));
        }
        "y" | "Y" | "n" | "N" => return Plain::Unclear("is a boolean to some readers: write it in quotes"),
        _ => {}
    }
    if let ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN"
    | ".NAN" = text
    {
        return Plain::Unclear("is no number in JSON");
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Plain::Value(Value::String(text.to_owned()));
    }
    match number(&text.replace('_', "")) {
        Some(Ok(number)) => Plain::Value(Value::Number(number)),
        Some(Err(why)) => Plain::Unclear(why),
        None => Plain::Value(Value::String(text.to_owned())),
    }
}

/// A number, if it is one.
fn number(text: &str) -> Option<Result<Number, &'static str>> {
    const LARGE: &str = "is too large a number to be written back: write it in quotes";
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, body) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        // What begins with a zero is octal, and what then is no octal number (`08`) is a float below.
        _ if digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) =>
        {
            (8, digits)
        }
        _ => (10, digits),
    };
    let whole = !body.is_empty() && body.chars().all(|one| one.is_digit(radix));
    if whole && !(radix == 10 && body.len() > 1 && body.starts_with('0')) {
        return Some(match (u64::from_str_radix(body, radix), negative) {
            (Ok(number), false) => Ok(number.into()),
            (Ok(number), true) => 0i64.checked_sub_unsigned(number).map(Number::from).ok_or(LARGE),
            (Err(_), _) => Err(LARGE),
        });
    }
    if radix != 10 || !is_float(digits) {
        return None;
    }
    let float: f64 = text.strip_prefix('+').unwrap_or(text).parse().ok()?;
    Some(Number::from_f64(float).ok_or(LARGE))
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, and perhaps an exponent.
fn is_float(digits: &str) -> bool {
    let all = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at).unwrap_or_default(), digits.get(at.saturating_add(1)..)),
        None => (digits, None),
    };
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let some = !whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty());
    let exponent_is_good = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all(digits)
    });
    some && all(whole) && fraction.is_none_or(all) && exponent_is_good
}
