//! A token out of cookies: from one that holds it, or from a session that a provider's library has cut into pieces.
//!
//! Decides which cookies are a credential, so that the same ones are judged, and taken out on the way to the application.
//! Strict: a gap, a piece beside the whole, one name twice, too many pieces or too long a session is an invalid token, since
//! libraries differ in which part they would read. It verifies nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::Value;

use super::look_alike;
use crate::authn::{self, TokenFault};
use crate::cookie_pairs::{self, NoText, Pair};
use crate::rejection::Rejection;
use crate::runtime::{Place, Provider};

/// The most pieces of one session: Supabase cuts at 3,180 letters, so this is more than a head of 32 KiB can carry.
const MAX_PIECES: usize = 12;
/// The longest session, in bytes.
const MAX_SESSION: usize = 32 * 1024;
/// The most JSON values in a session: it holds what is known of the person, beside the tokens.
const MAX_VALUES: usize = 4_096;
/// What stands before a session in base64url.
const ENCODED: &str = "base64-";

fn fault(reason: &'static str) -> Rejection {
    Rejection::Token(TokenFault::Cookies(reason))
}

/// The pairs that have a value.
fn pairs(headers: &HeaderMap) -> Result<impl Iterator<Item = (&str, &str)>, NoText> {
    Ok(cookie_pairs::pairs(headers)?.filter_map(|pair| Some((pair.name(), pair.value()?))))
}

/// The value of a cookie that holds a token.
///
/// # Errors
/// `TOKEN_INVALID` where it stands twice, or in pieces; `BAD_HEADER` where `Cookie` is no text.
pub(super) fn plain<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Rejection> {
    let (mut found, mut in_pieces) = (None, false);
    for (key, value) in pairs(headers)? {
        in_pieces |= number(key, name).is_some();
        if key != name {
            continue;
        }
        // Two cookies of one name come from two paths or hosts; which one counts differs between readers.
        if found.replace(unquoted(value)).is_some() {
            return Err(Rejection::Token(TokenFault::Parts));
        }
    }
    if found.is_none() && in_pieces {
        return Err(fault(
            "the cookie stands in pieces: as those of Auth0 and NextAuth, it is encrypted for the application",
        ));
    }
    Ok(found)
}

/// The token of a cookie that may stand in pieces, and may hold a session around it.
///
/// # Errors
/// `TOKEN_INVALID` where the pieces do not make one whole; `BAD_HEADER` where `Cookie` is no text.
pub(super) fn chunks(headers: &HeaderMap, name: &str) -> Result<Option<String>, Rejection> {
    let mut whole = None;
    let mut pieces: BTreeMap<usize, &str> = BTreeMap::new();
    for (key, value) in pairs(headers)? {
        if key == name {
            if whole.replace(unquoted(value)).is_some() {
                return Err(fault("the cookie of the session stands twice"));
            }
        } else if let Some(number) = number(key, name) {
            let number = number.filter(|number| *number < MAX_PIECES);
            let number = number.ok_or_else(|| fault("a piece of the session has no number that counts"))?;
            if pieces.insert(number, value).is_some() {
                return Err(fault("a piece of the session stands twice"));
            }
        }
    }
    match (whole, pieces.is_empty()) {
        (None, true) => return Ok(None),
        (Some(_), false) => return Err(fault("the session stands whole and in pieces")),
        (Some(_), true) | (None, false) => {}
    }
    if pieces.keys().enumerate().any(|(place, number)| place != *number) {
        return Err(fault("a piece of the session is missing"));
    }
    let text = whole.map_or_else(|| pieces.into_values().collect::<String>(), ToOwned::to_owned);
    if text.len() > MAX_SESSION {
        return Err(fault("the session is too long"));
    }
    token(text).map(Some)
}

/// The token in what a session cookie holds.
fn token(text: String) -> Result<String, Rejection> {
    let Some(encoded) = text.strip_prefix(ENCODED) else { return Ok(text) };
    let decoded = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| fault("the session is not canonical base64url"))?;
    let session =
        authn::json_object(&decoded, MAX_VALUES).map_err(|_| fault("the session is not an acceptable JSON object"))?;
    match session.get("access_token") {
        Some(Value::String(token)) if !token.is_empty() => Ok(token.clone()),
        Some(_) | None => Err(fault("the session holds no access token")),
    }
}

/// Whether a cookie of this name belongs to a place: it is the cookie, or a piece of it.
pub(super) fn belongs(key: &str, place: &Place) -> bool {
    match place {
        Place::Header(_) => false,
        Place::Cookie(name) | Place::CookieChunks(name) => key == name || number(key, name).is_some(),
    }
}

/// Whether a cookie is part of what is judged of a place: it is written exactly so.
pub(super) fn is_judged(pair: Pair<'_>, place: &Place) -> bool {
    let key = pair.name();
    pair.value().is_some()
        && match place {
            Place::Header(_) => false,
            Place::Cookie(name) => key == name,
            Place::CookieChunks(_) => belongs(key, place),
        }
}

/// Whether some reader takes a cookie for one with a token of this provider, for a piece of one, or for one of their family
/// ([`crate::runtime::is_of_family`]), or finds one in it.
pub(super) fn resembles(pair: Pair<'_>, provider: &Provider) -> bool {
    let is_piece = |rest: &str| {
        let digits = rest.trim_start_matches('-');
        digits.len() < rest.len() && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_placed = provider.places.iter().any(|place| match place {
        Place::Header(_) => false,
        Place::Cookie(name) | Place::CookieChunks(name) => {
            look_alike::continues(pair, name, |rest| rest.is_empty() || is_piece(rest))
        }
    });
    let is_of = |family| look_alike::continues(pair, family, |rest| rest.is_empty() || rest.starts_with('-'));
    is_placed || provider.siblings.is_some_and(is_of)
}

/// The number of a piece; `Some(None)` where it looks like one and is no plain number.
fn number(key: &str, name: &str) -> Option<Option<usize>> {
    let rest = key.strip_prefix(name)?;
    // `.0` is how Supabase and NextAuth count, `__0` is how Auth0's older library does.
    let digits = rest.strip_prefix('.').or_else(|| rest.strip_prefix("__"))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_plain = digits == "0" || !digits.starts_with('0');
    Some(digits.parse().ok().filter(|_| is_plain && rest.starts_with('.')))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn sent(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        headers
    }

    fn read(lines: &[&str]) -> Result<Option<String>, Rejection> {
        chunks(&sent(lines), "sb")
    }

    fn session(json: &str) -> String {
        format!("{ENCODED}{}", URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn a_session_is_read_whole_or_in_pieces() {
        let whole = session(r#"{"access_token":"a.b.c","refresh_token":"r","user":{"id":"u"}}"#);
        let (first, rest) = whole.split_at(20);
        let (second, third) = rest.split_at(20);
        let one_line = format!("theme=dark; sb.0={first}; sb.1={second}; sb.2={third}");
        let (one, two) = (format!("sb.1={second}; x=y"), format!("sb.2={third}; sb.0={first}"));
        for lines in [vec![format!("sb={whole}")], vec![one_line], vec![one, two], vec!["sb=a.b.c".to_owned()]] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(read(&lines).unwrap().as_deref(), Some("a.b.c"), "{lines:?}");
        }
        for none in ["", "other=1", "sb-code-verifier=1", "sb.x=1", "sb.=1", "sba=1", "sb.0x=1"] {
            assert_eq!(read(&[none]).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn pieces_that_make_no_whole_prove_nobody() {
        let good = session(r#"{"access_token":"a.b.c"}"#);
        let many: String = (0..=MAX_PIECES).map(|number| format!("sb.{number}=a; ")).collect();
        let (twice, mixed) = (format!("sb={good}; sb={good}"), format!("sb={good}; sb.0={good}"));
        let long = format!("sb={ENCODED}{}", "A".repeat(MAX_SESSION));
        let deep = format!("sb={}", session(&format!(r#"{{"access_token":{}1{}}}"#, "[".repeat(40), "]".repeat(40))));
        let odd = [
            session(r#"{"access_token":"a.b.c","access_token":"d.e.f"}"#),
            session(r#"{"access_token":""}"#),
            session(r#"{"access_token":["a.b.c"]}"#),
            session(r#"{"user":{"access_token":"a.b.c"}}"#),
            session(r#"["a.b.c"]"#),
            session("nonsense"),
            format!("{good}="),
            good.replace(ENCODED, "base64-+"),
            ENCODED.to_owned(),
        ];
        let odd: Vec<String> = odd.iter().map(|value| format!("sb={value}")).collect();
        let gaps = [
            "sb.1=a",
            "sb.0=a; sb.2=b",
            "sb.00=a",
            "sb.0=a; sb.01=b",
            "sb.0=a; sb.0=a",
            "sb__0=a",
            "sb.99999999999999999999=a",
        ];
        let all = [many.as_str(), &twice, &mixed, &long, &deep].into_iter().chain(odd.iter().map(String::as_str));
        for line in all.chain(gaps) {
            let refused = read(&[line]);
            assert!(matches!(refused, Err(Rejection::Token(TokenFault::Cookies(_)))), "{line:.80}: {refused:?}");
        }
    }

    #[test]
    fn an_encrypted_cookie_in_pieces_is_told_from_none() {
        for line in ["__session__0=a; __session__1=b", "__session.0=a", "__session.0=a; __session.1=b"] {
            let sent = sent(&[line]);
            let refused = plain(&sent, "__session");
            assert!(matches!(refused, Err(Rejection::Token(TokenFault::Cookies(_)))), "{line}: {refused:?}");
        }
        assert_eq!(plain(&sent(&["__session=a.b.c"]), "__session").unwrap(), Some("a.b.c"));
        assert_eq!(plain(&sent(&["__session_abc=a"]), "__session").unwrap(), None);
    }

    #[test]
    fn all_pieces_belong_to_their_place() {
        let place = Place::CookieChunks("sb".to_owned());
        for yes in ["sb", "sb.0", "sb.11", "sb.007", "sb__3"] {
            assert!(belongs(yes, &place), "{yes}");
        }
        for no in ["sb-code-verifier", "sb.x", "sb.", "s", "sb0", "xsb.0"] {
            assert!(!belongs(no, &place), "{no}");
        }
    }
}
