//! A request target without identifiers: which segments of a path and which names of a query may be shown.
//!
//! Decides by a list of what may stay, not of what must go: a segment stays only if it looks like a word that a
//! developer wrote. Knows no routes; where a route is known its template is what to show, and where none is,
//! [`shape`] shows nothing of the path but its form.

use crate::MARK;
use crate::clean;

/// The longest target that is looked at, in bytes. What is given back is shorter: at most 65 segments and 33 pairs.
pub const TARGET_MAX: usize = 8 * 1024;
const SEGMENTS: usize = 64;
const PAIRS: usize = 32;
/// The longest word that stays.
const WORD: usize = 32;

/// A request target (`/path?query`, also with scheme and host before it), with `{}` for every segment that looks like
/// an identifier, for every value of the query, and for the fragment.
///
/// A segment stays if it has at most 32 of ASCII letters, `-`, `_`, `.`, `~` and is not a hexadecimal number, or if it
/// is a version such as `v2`, or a `{template}`.
pub fn target(path_and_query: &str) -> String {
    let whole = clean::cut(path_and_query, TARGET_MAX);
    let (rest, fragment) = split(&whole, '#');
    let (path, query) = split(rest, '?');
    let (authority, path) = authority(path);
    let mut out = authority;
    list(&mut out, path.split('/'), SEGMENTS, "/", |out, segment| {
        out.push_str(if is_word(segment) { segment } else { MARK })
    });
    if let Some(query) = query {
        out.push('?');
        list(&mut out, query.split('&'), PAIRS, "&", pair);
    }
    if fragment.is_some() {
        out.push('#');
        out.push_str(MARK);
    }
    out
}

/// The form of a path and nothing else of it: `/{}/{}` for `/patients/jane`, whatever the words are; no query.
///
/// For a request that no route names: what it asked for is then the client's word alone.
pub fn shape(path_and_query: &str) -> String {
    let whole = clean::cut(path_and_query, TARGET_MAX);
    let path = whole.split(['?', '#']).next().unwrap_or_default();
    let mut out = String::new();
    list(&mut out, path.split('/'), SEGMENTS, "/", |out, segment| {
        out.push_str(if segment.is_empty() { "" } else { MARK })
    });
    out
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Writes the first parts; all that are over the bound together become one mark.
fn list<'a>(
    out: &mut String,
    parts: impl Iterator<Item = &'a str>,
    bound: usize,
    between: &str,
    write: impl Fn(&mut String, &'a str),
) {
    for (number, part) in parts.enumerate().take(bound + 1) {
        if number > 0 {
            out.push_str(between);
        }
        if number == bound {
            out.push_str(MARK);
        } else {
            write(out, part);
        }
    }
}

/// One pair of a query: the name if it is a word, and never the value.
fn pair(out: &mut String, pair: &str) {
    let (name, value) = split(pair, '=');
    match value {
        Some(_) => {
            out.push_str(if is_word(name.trim_end_matches("[]")) { name } else { MARK });
            out.push('=');
            out.push_str(MARK);
        }
        None if pair.is_empty() => {}
        None => out.push_str(MARK),
    }
}

/// Scheme and host of an absolute target without its user, and the rest. Empty where there is no scheme.
fn authority(path: &str) -> (String, &str) {
    let Some((scheme, rest)) = path.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return (String::new(), path);
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let user = user.map_or("", |_| "{}@");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = if host.bytes().all(plain) && host.len() <= 255 { host } else { MARK };
    (format!("{scheme}://{user}{host}"), path)
}

fn is_scheme(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// True if a segment or a name is a word that may be shown.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || b"-_.~".contains(&byte);
    let hexadecimal = || text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (text.len() <= WORD && text.bytes().all(plain) && !hexadecimal())
        || is_version(text)
        || text == "**"
        || text.strip_prefix('{').and_then(|name| name.strip_suffix('}')).is_some_and(is_template_name)
}

fn is_template_name(name: &str) -> bool {
    name.len() <= WORD && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v')
        .is_some_and(|number| (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_and_identifiers_go() {
        for (given, shown) in [
            ("/", "/"),
            ("", ""),
            ("/api/v2/patients/4711/records/", "/api/v2/patients/{}/records/"),
            ("/api/patients/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/api/patients/{}"),
            ("/api/patients/deadbeef/x", "/api/patients/{}/x"),
            ("/api/patients/P-17a/x", "/api/patients/{}/x"),
            ("/api/patients/jane@clinic.example", "/api/patients/{}"),
            ("/api/patients/jane%40clinic.example", "/api/patients/{}"),
            ("/a;jsessionid=x/b", "/{}/b"),
            ("/a//b", "/a//b"),
            ("/a?b=c&d&e=&f[]=g&=h&1=2&", "/a?b={}&{}&e={}&f[]={}&={}&{}={}&"),
            ("/a?b=c=d?e#f=g", "/a?b={}#{}"),
            ("https://user:word@clinic.example:8443/a/1?b=2", "https://{}@clinic.example:8443/a/{}?b={}"),
            ("/api/patients/{patient}/**", "/api/patients/{patient}/**"),
            ("/.well-known/jwks.json", "/.well-known/jwks.json"),
            ("/Jörg", "/{}"),
            ("/a\nb", "/{}"),
        ] {
            assert_eq!(target(given), shown, "{given}");
        }
    }

    #[test]
    fn shape_shows_no_word() {
        assert_eq!(shape("/patients/jane/?a=b"), "/{}/{}/");
        assert_eq!(shape("/"), "/");
        assert_eq!(shape("patients#x"), "{}");
    }

    proptest! {
        #[test]
        fn idempotent_and_bounded(text in r"(/|\?|&|=|#|%|\{|\}|[a-z0-9]|\PC|https://|@){0,200}") {
            for function in [target, shape] {
                let once = function(&text);
                prop_assert!(once.len() <= TARGET_MAX);
                prop_assert_eq!(function(&once), once);
            }
        }

        #[test]
        fn long_ones_are_bounded(part in r"[a-z1/&=?]{1,6}", times in 1000usize..5000) {
            let once = target(&part.repeat(times));
            prop_assert!(once.len() <= TARGET_MAX);
            prop_assert_eq!(target(&once), once);
        }
    }
}
