//! Values that are secret because of the name before them: `password=…`, `"mrn": …`, `Cookie: …`.
//!
//! Decides by the name, and where its value ends by the quotes and brackets around it. Takes too much rather than too
//! little: a value without quotes goes on to the next space, a cookie to the end of its line.

use regex::{Captures, Regex};

use crate::MARK;
use crate::clean::REPLACEMENT;

/// Names that count wherever they stand in a longer name (`X-Session-Token`, `db_password_old`).
const LONG: &str = "pass(?:word|wd|phrase|code|key)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key\
    |credentials?|authorization|cookie|session|csrf|xsrf|jwt|assertion|saml(?:request|response)|signature|code[_-]?verifier\
    |birth|social[_-]?security|medical[_-]?record|patient[_-]?(?:id|name|number|no)|member[_-]?(?:id|number)|insurance\
    |subscriber|(?:first|last|full|family|given|middle|maiden|sur|display|patient)[_-]?name|e-?mail|phone|mobile|fax\
    |(?:street|home|postal|mailing)[_-]?address|postcode|zip[_-]?code|passport|iban|(?:card|account)[_-]?(?:number|no)";

/// Names that count only as a whole word, or as a whole part of a longer name (`user_ssn`, `pin-code`).
const SHORT: &str = "ssn|dob|mrn|npi|mbi|otp|totp|pin|cvv|cvc|sid|sig|pwd|pw|nhs";

/// Words that stand after a colon in ordinary messages and are no secret (`session: expired`).
const ORDINARY: &[&str] = &[
    "a",
    "absent",
    "accepted",
    "an",
    "at",
    "bad",
    "by",
    "denied",
    "disabled",
    "empty",
    "enabled",
    "ended",
    "error",
    "expired",
    "failed",
    "false",
    "for",
    "forged",
    "found",
    "from",
    "has",
    "in",
    "invalid",
    "is",
    "malformed",
    "missing",
    "must",
    "no",
    "none",
    "not",
    "null",
    "of",
    "ok",
    "refused",
    "required",
    "the",
    "too",
    "true",
    "unexpected",
    "unknown",
    "unsupported",
    "verified",
    "was",
    "wrong",
];

/// A name and its separator; after the match stands the value.
pub(crate) fn name() -> String {
    format!(
        r#"(?i-u)(?P<name>(?:{LONG})[A-Za-z0-9_-]*|(?:\b|_)(?:{SHORT})(?:[_-][A-Za-z0-9_-]*)?)(?P<quote>\\*["'`]|%22)?\]? *(?P<sign>=>|[:=]|%3[AD]) *"#
    )
}

/// Takes out the values that stand after a name of `names`, a pattern made by [`name`].
pub(crate) fn values(names: &Regex, text: &str) -> Option<String> {
    let mut out = String::new();
    let mut done = 0;
    while let Some(found) = names.captures_at(text, done) {
        let Some(whole) = found.get(0) else { break };
        let value = text.get(whole.end()..).unwrap_or_default();
        let (shown, length) = value_of(&found, value);
        out.push_str(text.get(done..whole.end()).unwrap_or_default());
        out.push_str(&shown);
        done = whole.end() + length;
    }
    (done > 0).then(|| out + text.get(done..).unwrap_or_default())
}

/// What to show for a value, and how much of the text it is.
fn value_of(found: &Captures<'_>, text: &str) -> (String, usize) {
    let name = found.name("name").map_or("", |name| name.as_str()).to_ascii_lowercase();
    let json = found.name("quote").is_some();
    let colon = found.name("sign").is_some_and(|sign| sign.as_str() == ":");
    if let Some((quote, length)) = quoted(text) {
        return (format!("{quote}{MARK}{quote}"), length);
    }
    if json && text.starts_with(['[', '{']) {
        return (MARK.into(), bracketed(text));
    }
    let line = !json && (name.ends_with("cookie") || name.ends_with("authorization"));
    if colon && let Some(word) = ordinary(text, line) {
        return (word.into(), word.len());
    }
    let ends = |letter: char| {
        letter == REPLACEMENT
            || !line && (letter.is_whitespace() || letter == '&')
            || json && (letter == ',' || letter == '}' || letter == ']')
    };
    let length = text.find(ends).unwrap_or(text.len());
    (if length == 0 { String::new() } else { MARK.into() }, length)
}

/// The word of [`ORDINARY`] that a text begins with; where the value is a whole `line`, it must be all of it.
fn ordinary(text: &str, line: bool) -> Option<&str> {
    let word = text.split(|letter: char| !letter.is_alphabetic()).next()?;
    let rest = text.get(word.len()..)?;
    let ends = |rest: &str| rest.is_empty() || !line && rest.starts_with(' ');
    let set_apart = ends(rest) || rest.strip_prefix([',', ';', '.', ')']).is_some_and(ends);
    (set_apart && ORDINARY.contains(&word)).then_some(word)
}

/// The quote that a text begins with, its backslashes included, and the length up to the end of its closing one.
fn quoted(text: &str) -> Option<(&str, usize)> {
    let backslashes = text.len() - text.trim_start_matches('\\').len();
    let rest = text.get(backslashes..)?;
    let mark = rest.chars().next().filter(|mark| ['"', '\'', '`'].contains(mark));
    let quote = match mark {
        Some(_) => text.get(..backslashes + 1)?,
        None if text.starts_with("%22") => "%22",
        None => return None,
    };
    let body = text.get(quote.len()..)?;
    let mut escaped = false;
    for (at, letter) in body.char_indices() {
        let closes = body.get(at..).is_some_and(|rest| rest.starts_with(quote));
        if closes && !escaped {
            return Some((quote, quote.len() + at + quote.len()));
        }
        // In a string with plain quotes a backslash takes the next character with it.
        escaped = backslashes == 0 && letter == '\\' && !escaped;
    }
    Some((quote, text.len())) // never closed: everything is value
}

/// The length of a JSON array or object; all of the text where it does not end.
fn bracketed(text: &str) -> usize {
    let (mut depth, mut inside, mut escaped) = (0usize, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            '[' | '{' if !inside => depth += 1,
            ']' | '}' if !inside => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}
