//! `security_txt`: whom to tell of a vulnerability (RFC 9116). As written, and compiled to the text that is served.
//!
//! Decides whether the text is one that the standard allows. That it is not past its date is for `check` and for each
//! request to see: what was right when it was written must not keep a gate from starting later.

use policy::{Diagnostic, Span, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use crate::runtime::SecurityTxt;

/// What `/.well-known/security.txt` says (RFC 9116) where the application has none.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSecurityTxt {
    /// Where to report, the preferred one first: `mailto:security@clinic.example`, `https://…` or `tel:+1-…`.
    pub contact: Spanned<Vec<Spanned<String>>>,
    /// When all of this is to be looked at anew: a day such as `2027-06-30`, at most a year or so ahead. From then on
    /// nothing is served.
    pub expires: Spanned<String>,
    /// Where your key is, to encrypt reports with: `https://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encryption: Vec<Spanned<String>>,
    /// Where you thank those who reported: `https://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledgments: Vec<Spanned<String>>,
    /// The languages that you read, such as `en`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_languages: Vec<Spanned<String>>,
    /// Where this very text is served: `https://…/.well-known/security.txt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical: Vec<Spanned<String>>,
    /// How you deal with reports: `https://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<Spanned<String>>,
    /// Where you look for people: `https://…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hiring: Vec<Spanned<String>>,
}

pub(super) fn compile(raw: &RawSecurityTxt, faults: &mut Faulty<'_>) -> Option<SecurityTxt> {
    let before = faults.found.len();
    if raw.contact.value.is_empty() {
        let hint = "name one, such as `mailto:security@clinic.example`";
        faults.at(raw.contact.span, "security-txt", "`security_txt.contact` is empty", hint);
    }
    let mut text = String::new();
    let mut field = |name: &str, values: &[Spanned<String>], starts: &[&str], faults: &mut Faulty<'_>| {
        for value in values {
            if !is_address(&value.value, starts) {
                let message = format!("`{}` cannot stand under `{name}`", value.value);
                faults.at(
                    value.span,
                    "security-txt",
                    message,
                    &format!("write an address with {}", starts.join(" or ")),
                );
            }
            text.push_str(&format!("{name}: {}\n", value.value));
        }
    };
    let web = &["https://"][..];
    field("Contact", &raw.contact.value, &["https://", "mailto:", "tel:"], faults);
    field("Encryption", &raw.encryption, &["https://", "dns:", "openpgp4fpr:"], faults);
    field("Acknowledgments", &raw.acknowledgments, web, faults);
    field("Canonical", &raw.canonical, web, faults);
    field("Policy", &raw.policy, web, faults);
    field("Hiring", &raw.hiring, web, faults);
    let languages: Vec<&str> = raw.preferred_languages.iter().map(|one| one.value.as_str()).collect();
    for language in &raw.preferred_languages {
        let tag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !language.value.split('-').all(tag) {
            let message = format!("`{}` is no language", language.value);
            faults.at(language.span, "security-txt", message, "write a tag such as `en` or `pt-BR`");
        }
    }
    if !languages.is_empty() {
        text.push_str(&format!("Preferred-Languages: {}\n", languages.join(", ")));
    }
    let expires = midnight(&raw.expires.value);
    match expires {
        Some(expires) => {
            let at = audit::rfc3339(expires.saturating_mul(1_000));
            text.push_str(&format!("Expires: {}Z\n", at.trim_end_matches(".000Z")));
        }
        None => {
            let message = format!("`{}` is no day", raw.expires.value);
            faults.at(raw.expires.span, "security-txt", message, "write it as `2027-06-30`");
        }
    }
    if faults.found.len() > before { None } else { Some(SecurityTxt { text: text.into(), expires: expires? }) }
}

/// What is wrong with it at `now` (Unix seconds), although it was right when it was written.
pub(super) fn stale(text: &SecurityTxt, written: Span, now: u64) -> Option<Diagnostic> {
    (!text.holds(now)).then(|| {
        Diagnostic::error("expired", written, "`security_txt` is past its day, and is not served any more")
            .help("see whether all of it still holds, and set a day within a year")
    })
}

fn is_address(value: &str, starts: &[&str]) -> bool {
    let rest = starts.iter().find_map(|start| value.strip_prefix(start));
    let plain = value.len() <= 512 && value.bytes().all(|byte| byte.is_ascii_graphic());
    plain && rest.is_some_and(|rest| !rest.is_empty())
}

/// The first second of a day as `2027-06-30`, in Unix time.
pub(super) fn midnight(day: &str) -> Option<u64> {
    let mut parts = day.split('-');
    let mut number = |digits: usize| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<u64>().ok()
    };
    let (year, month, date) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() || year < 2000 || !(1..=12).contains(&month) {
        return None;
    }
    // Counted in years that begin in March, so that the leap day is the last of its year; 719468 days before 1970.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + date;
    let seconds = days.checked_sub(719_469)?.checked_mul(24 * 60 * 60)?;
    // A day that its month does not have comes out as another one.
    audit::rfc3339(seconds.checked_mul(1_000)?).starts_with(&format!("{day}T00:00:00")).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_second() {
        for (day, expected) in [
            ("2000-01-01", Some(946_684_800)),
            ("2026-11-22", Some(1_795_305_600)),
            ("2028-02-29", Some(1_835_395_200)),
            ("2027-02-29", None),
            ("2027-13-01", None),
            ("2027-00-10", None),
            ("2027-04-31", None),
            ("2027-4-1", None),
            ("2027-04-01T00:00:00Z", None),
            ("1999-01-01", None),
            ("", None),
        ] {
            assert_eq!(midnight(day), expected, "{day}");
        }
    }
}
