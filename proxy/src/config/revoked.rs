//! The file of revocations: who is locked out, until when. As written, and as the sessions take it.
//!
//! The whole file is one or none: with one entry that cannot be read, none of a new file counts, and the last good one stays.

use policy::{Sources, Spanned};
use schemars::JsonSchema;
use serde::Deserialize;

use super::security_txt::midnight;
use crate::sessions::ends::{End, MOST};
use crate::sessions::key::Kind as Named;
use crate::sessions::name::{FORM, Name};
use crate::sessions::{Revocation, What};

/// Who is locked out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Revocations")]
struct RawRevocations {
    /// The version of this file's form.
    #[serde(rename = "apiVersion")]
    _api_version: super::raw::ApiVersion,
    /// What this file is.
    #[serde(rename = "kind")]
    _kind: Kind,
    /// The entries, at most 65536; `[]` for none.
    revoked: Vec<RawRevocation>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
enum Kind {
    Revocations,
}

/// One session, subject or credential: exactly one of the three.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawRevocation {
    /// The issuer, as `iss` in the record. A session by its name in the record goes without.
    #[serde(default)]
    issuer: Option<Spanned<String>>,
    /// The name of a session there (`sid`), or its name in the record (`hs:…`).
    #[serde(default)]
    session: Option<Spanned<String>>,
    /// The subject, as `sub` in the record.
    #[serde(default)]
    subject: Option<Spanned<String>>,
    /// The name of one credential (`jti`).
    #[serde(default)]
    token: Option<Spanned<String>>,
    /// Sign-ins up to this time are ended, later ones are not: `2026-11-22` or `2026-11-22T10:30:00Z`. Left out: all are.
    #[serde(default)]
    before: Option<Spanned<String>>,
    /// Until when that holds.
    until: Spanned<String>,
}

/// Reads a file.
///
/// # Errors
/// The first fault, with its line.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Revocation>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let mut sources = Sources::default();
    let file = sources.add("revoked", text.to_owned());
    let told = |message: &str, span: policy::Span| {
        let (line, column) = sources.line_column(span);
        format!("{line}:{column}: {message}")
    };
    let raw: RawRevocations = policy::read(&sources, file).map_err(|faults| {
        let first = faults.first();
        first.map_or_else(String::new, |fault| match fault.span {
            Some(span) => told(&fault.message, span),
            None => fault.message.clone(),
        })
    })?;
    if raw.revoked.len() > MOST {
        return Err(format!("it has more than {MOST} entries"));
    }
    raw.revoked.iter().map(|one| revocation(one).map_err(|(message, span)| told(message, span))).collect()
}

fn revocation(raw: &RawRevocation) -> Result<Revocation, (&'static str, policy::Span)> {
    let (kind, name) = match (&raw.session, &raw.subject, &raw.token) {
        (Some(name), None, None) => (Named::Session, name),
        (None, Some(name), None) => (Named::Subject, name),
        (None, None, Some(name)) => (Named::Credential, name),
        _ => return Err(("an entry names exactly one of `session`, `subject` and `token`", raw.until.span)),
    };
    let moment = |written: &Spanned<String>| {
        moment(&written.value).ok_or(("write a time as `2026-11-22` or `2026-11-22T10:30:00Z`", written.span))
    };
    let before = raw.before.as_ref().map(moment).transpose()?;
    let end = End { before, until: moment(&raw.until)? };
    if kind == Named::Session && Name::is_meant(&name.value) {
        let recorded = Name::read(&name.value).ok_or((FORM, name.span))?;
        return Ok(Revocation { what: What::Recorded(recorded), end });
    }
    let issuer = raw.issuer.as_ref().ok_or(("`issuer` is missing: whose name this is", name.span))?;
    Ok(Revocation::named(kind, &issuer.value, name.value.clone(), end))
}

/// A day, or a second in UTC, in Unix time.
fn moment(text: &str) -> Option<u64> {
    let Some((day, time)) = text.split_once('T') else { return midnight(text) };
    let mut parts = time.strip_suffix('Z')?.split(':');
    let mut number = |most: u64| {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<u64>().ok().filter(|number| *number < most)
    };
    let (hours, minutes, seconds) = (number(24)?, number(60)?, number(60)?);
    let rest = parts.next().is_none().then_some(hours * 3_600 + minutes * 60 + seconds)?;
    midnight(day)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: anteroom.dev/v1\nkind: Revocations\n";

    #[test]
    fn each_kind_is_read_with_its_times() {
        let text = format!(
            "{HEAD}revoked:\n- {{ issuer: 'https://a.example/', subject: eve.example, until: 2026-12-01 }}\n\
             - {{ issuer: 'https://a.example/', session: s-1, before: '2026-11-22T10:30:05Z', until: 2026-12-01 }}\n\
             - {{ issuer: 'https://a.example/', token: t-1, until: 2026-12-01 }}\n"
        );
        let read = read(text.as_bytes()).unwrap();
        let until = 1_796_083_200;
        assert_eq!(read[0].end, End { before: None, until });
        let named = |kind, name: &str| What::Named { kind, issuer: "https://a.example/".into(), name: name.into() };
        assert_eq!(read[0].what, named(Named::Subject, "eve.example"));
        assert_eq!(read[1].end, End { before: Some(1_795_305_600 + 10 * 3_600 + 30 * 60 + 5), until });
        assert_eq!(read[1].what, named(Named::Session, "s-1"));
        assert_eq!(read[2].what, named(Named::Credential, "t-1"));
        assert!(super::read(format!("{HEAD}revoked: []\n").as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_session_by_its_name_in_the_record_needs_no_issuer() {
        let name = format!("hs:{}", "0f".repeat(20));
        for issuer in ["", "issuer: 'https://a.example/', "] {
            let text = format!("{HEAD}revoked:\n- {{ {issuer}session: '{name}', until: 2026-12-01 }}\n");
            assert_eq!(read(text.as_bytes()).unwrap()[0].what, What::Recorded(Name::read(&name).unwrap()));
        }
        let text = format!("{HEAD}revoked:\n- {{ issuer: a, subject: '{name}', until: 2026-12-01 }}\n");
        assert!(matches!(read(text.as_bytes()).unwrap()[0].what, What::Named { kind: Named::Subject, .. }));
    }

    #[test]
    fn one_bad_entry_is_a_bad_file_and_has_its_line() {
        for (entry, said) in [
            ("{ issuer: a, until: 2026-12-01 }", "exactly one of"),
            ("{ issuer: a, subject: b, token: c, until: 2026-12-01 }", "exactly one of"),
            ("{ issuer: a, subject: b }", "until"),
            ("{ issuer: a, subject: b, until: tomorrow }", "write a time"),
            ("{ issuer: a, subject: b, until: '2026-12-01T24:00:00Z' }", "write a time"),
            ("{ issuer: a, subject: b, until: '2026-12-01T10:00:00+01:00' }", "write a time"),
            ("{ subject: b, until: 2026-12-01 }", "`issuer` is missing"),
            ("{ session: s-1, until: 2026-12-01 }", "`issuer` is missing"),
            ("{ issuer: a, session: 'hs:0f', until: 2026-12-01 }", "40 of the digits"),
            ("{ issuer: a, subjekt: b, until: 2026-12-01 }", "subjekt"),
        ] {
            let fault = read(format!("{HEAD}revoked:\n- {entry}\n").as_bytes()).unwrap_err();
            assert!(fault.contains(said) && fault.starts_with("4:"), "{entry}: {fault}");
        }
        assert!(read(b"").is_err() && read(b"\xff").is_err());
    }
}
