//! The patterns: what a credential or an identifier looks like.
//!
//! Decides per pattern what becomes of a match. All are of the `regex` crate, so that no text takes more than linear
//! time; all are made once.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::keyed;
use crate::{MARK, checksum, target};

/// What becomes of a match.
#[derive(Clone, Copy)]
enum Act {
    /// It goes.
    Take,
    /// The first group stays, the rest goes.
    TakeAfter,
    /// It is looked at again, and what the function leaves is shown.
    Look(fn(&Captures<'_>) -> Option<String>),
    /// The value goes that stands after the match.
    TakeValue,
}

/// One pattern with what becomes of its matches.
pub(crate) struct Pattern {
    regex: Regex,
    act: Act,
}

/// All patterns in the order in which they are applied; `None` if one is faulty, which a test excludes.
pub(crate) static PATTERNS: LazyLock<Option<Vec<Pattern>>> = LazyLock::new(compile);

// ORDER: what is bounded by lines, quotes and names comes before what is found by form, since a form may end in the
// middle of a quoted value; addresses come before bare numbers, so that ports and versions in them are left alone.
fn compile() -> Option<Vec<Pattern>> {
    let name = keyed::name();
    let patterns: &[(&str, Act)] = &[
        // A private key in PEM (RFC 7468), to its end or to that of the text.
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)", Act::Take),
        (&name, Act::TakeValue),
        // Digest has parameters to the end of the line (RFC 7616).
        (r"(?i-u)\b(digest +)[a-z]+ *=(?u:[^\x{fffd}])*", Act::TakeAfter),
        (
            r"(?i-u)\b(?P<scheme>(?:basic|bearer|digest|dpop|negotiate|ntlm)(?: +|%20|\+))(?P<value>(?u:[^ ,;&\x{fffd}])+)",
            Act::Look(scheme),
        ),
        // JWS and JWE (RFC 7515, 7516): the first part is JSON, so it begins with the base64url of `{"`, `{ ` or `{\n`.
        (r"(?-u)\be(?:yJ|yA|wo|w0|wk)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", Act::Take),
        (r"(?-u)\b[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", Act::Take),
        // Keys that their issuers gave a form.
        (
            r"(?-u)\b(?:[sprw]k_(?:live|test)_|whsec_|gh[opsur]_|github_pat_|A(?:KI|SI)A|xox[a-z]-|AIza|sb_(?:secret|publishable)_)[\w-]{8,}",
            Act::Take,
        ),
        // The user and password of an address.
        (r"(://)[^ \x{fffd}/@]+@", Act::Look(user)),
        // An address, or a path that stands by itself.
        (
            r#"(?P<before>)(?P<target>(?-u:\b[A-Za-z])(?-u:[A-Za-z0-9+.-]){0,15}://[^ "'<>`|\\\x{fffd}]+)"#,
            Act::Look(path),
        ),
        (r#"(?P<before>^|[ "'`(\[=,;<>|\x{fffd}])(?P<target>/[^ "'<>`|\\\x{fffd}]*)"#, Act::Look(path)),
        (r#"(?P<before>:)(?P<target>/[^/ "'<>`|\\\x{fffd}][^ "'<>`|\\\x{fffd}]*)"#, Act::Look(path)),
        // A query without a path before it.
        (r#"([?&][^ =&?"'<>\x{fffd}]+=)[^ &#"'<>\x{fffd}]+"#, Act::TakeAfter),
        // An e-mail address (RFC 5321 in its usual form), also percent-encoded, once or twice, and as an escape.
        (
            r"[A-Za-z0-9\x{80}-\x{fffc}\x{fffe}-\x{10ffff}._%+'~!$*^-]+(?:@|%(?:25)*40|&#64;|\\u0040)(?:[A-Za-z0-9\x{80}-\x{fffc}\x{fffe}-\x{10ffff}-]+\.)*[A-Za-z\x{80}-\x{fffc}\x{fffe}-\x{10ffff}][A-Za-z0-9\x{80}-\x{fffc}\x{fffe}-\x{10ffff}-]*",
            Act::Take,
        ),
        (r"(?-u)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", Act::Look(iban)),
        // US social security and taxpayer numbers with their separators; without them only after their name.
        (r"(?-u)\b[0-9]{3}(?:-|%2[Dd]|[ .])[0-9]{2}(?:-|%2[Dd]|[ .])[0-9]{4}\b", Act::Take),
        // Telephone: international with a plus, or North American with its separators.
        (r"(?-u)\+[0-9](?:[ .()-]{0,2}[0-9]){7,14}\b", Act::Take),
        (r"(?-u)(?:\([0-9]{3}\) ?|\b[0-9]{3}[-.])[0-9]{3}[-.][0-9]{4}\b", Act::Take),
        (r"(?-u)\b[0-9](?:[ -]?[0-9]){9,}\b", Act::Look(digits)),
        // A number after its name in prose: `MRN 00482913`, `patient no. 17`.
        (
            r"(?i-u)\b(?P<before>(?:npi|ssn|mrn|dob|mbi|dea|nhs|iban|passport|patient|member|phone|fax|born|social security|medical record|(?:date of |)birth(?: ?date)?)(?: +(?:number|no\.?|id|is|was|on|of))*[ :#]{1,4})(?P<value>[A-Za-z]{0,4}[-/.]?[0-9][\w./-]*)",
            Act::Look(after),
        ),
        // A long mixture of both cases and digits is a key, whoever issued it.
        (r"(?-u)[A-Za-z0-9_~+=-]{24,}", Act::Look(mixture)),
    ];
    patterns.iter().map(|(text, act)| Some(Pattern { regex: Regex::new(text).ok()?, act: *act })).collect()
}

impl Pattern {
    /// The text without what this pattern takes out.
    pub(crate) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.act {
            Act::Take => self.regex.replace_all(text, regex::NoExpand(MARK)),
            Act::TakeAfter => self.regex.replace_all(text, |found: &Captures<'_>| group(found, 1).to_owned() + MARK),
            Act::Look(look) => self
                .regex
                .replace_all(text, |found: &Captures<'_>| look(found).unwrap_or_else(|| group(found, 0).to_owned())),
            Act::TakeValue => keyed::values(&self.regex, text).map_or(Cow::Borrowed(text), Cow::Owned),
        }
    }
}

fn group<'t>(found: &Captures<'t>, number: usize) -> &'t str {
    found.get(number).map_or("", |group| group.as_str())
}

fn named<'t>(found: &Captures<'t>, name: &str) -> &'t str {
    found.name(name).map_or("", |group| group.as_str())
}

/// A scheme and what follows it; a short word of prose stays (`bearer token`, `Basic authentication`).
fn scheme(found: &Captures<'_>) -> Option<String> {
    let word = named(found, "value").trim_end_matches(['.', ':', ')', '!', '"', '\'', '`']);
    let tail = word.strip_prefix(|first: char| first.is_ascii_uppercase()).unwrap_or(word);
    let prose = word.len() <= 14 && tail.bytes().all(|byte| byte.is_ascii_lowercase());
    (!prose).then(|| named(found, "scheme").to_owned() + MARK)
}

fn user(found: &Captures<'_>) -> Option<String> {
    Some(group(found, 1).to_owned() + MARK + "@")
}

/// An address or a path as [`target`] shows it; what closes a sentence or a bracket after it is not part of it.
fn path(found: &Captures<'_>) -> Option<String> {
    let text = named(found, "target");
    let body = text.trim_end_matches(['.', ',', ':', ';', ')', ']', '!']);
    let tail = text.get(body.len()..).unwrap_or_default();
    Some(named(found, "before").to_owned() + &target(body) + tail)
}

fn iban(found: &Captures<'_>) -> Option<String> {
    checksum::is_iban(group(found, 0)).then(|| MARK.into())
}

/// A run of digits in groups: every card in it goes, wherever in the run it stands, and a run that is an NPI.
fn digits(found: &Captures<'_>) -> Option<String> {
    let text = group(found, 0);
    if checksum::is_npi(text) {
        return Some(MARK.into());
    }
    let groups: Vec<(usize, usize)> = text
        .split([' ', '-'])
        .scan(0, |at, part| {
            let start = *at;
            *at += part.len() + 1;
            Some((start, start + part.len()))
        })
        .collect();
    for (number, (start, _)) in groups.iter().enumerate() {
        // A card is written in at most seven groups here; what has more is not looked at twice.
        for (_, end) in groups.iter().skip(number).take(7).rev() {
            if text.get(*start..*end).is_some_and(checksum::is_card) {
                let (before, after) = (text.get(..*start)?, text.get(*end..)?);
                return Some(format!("{before}{MARK}{after}"));
            }
        }
    }
    None
}

fn after(found: &Captures<'_>) -> Option<String> {
    Some(named(found, "before").to_owned() + MARK)
}

fn mixture(found: &Captures<'_>) -> Option<String> {
    let has = |class: fn(&u8) -> bool| group(found, 0).as_bytes().iter().any(class);
    (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)).then(|| MARK.into())
}
