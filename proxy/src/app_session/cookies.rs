//! Session cookies as they stand in a request and in an answer.
//!
//! Decides which cookie is the one that the configuration names: the pair of exactly that name. What some reader could
//! take for it, and is not, is never passed on.

use http::HeaderMap;
use http::header::HeaderValue;

use super::Scope;
use crate::clock::http_date;
use crate::cookie_pairs::{self, NoText};
use crate::pipeline::is_look_alike;
use crate::set_cookie::SetCookie;

/// What a request holds under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing.
    Absent,
    /// This value, byte for byte.
    Once(String),
    /// More than one, or what is no text.
    Repeated,
}

/// What stands in `headers` under `name`.
pub(crate) fn held(headers: &HeaderMap, name: &str) -> Held {
    let Ok(pairs) = cookie_pairs::pairs(headers) else { return Held::Repeated };
    let mut found = pairs.filter_map(|pair| pair.value_of(name));
    match (found.next(), found.next()) {
        (None, _) => Held::Absent,
        (Some(value), None) => Held::Once(value.to_owned()),
        (Some(_), Some(_)) => Held::Repeated,
    }
}

/// Whether all readers take a value for the same: letters, digits and marks as a cookie may hold them (RFC 6265, section 4.1.1), with
/// quotes around all of it or none. Some end a value at a blank or a comma, some undo what stands behind a backslash (`\141` is `a`
/// to Python and all that is built on it), and some stores take a letter with an accent for one without.
pub(crate) fn is_clear(value: &str) -> bool {
    let value = unquoted(value);
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    let may_be_meant = |byte: &u8| byte.is_ascii() && !byte.is_ascii_control() && *byte != b'\\';
    value.bytes().all(may_stand) && unescaped(value).iter().all(may_be_meant)
}

/// What of a value counts to every reader: its letters and digits without their case. Blanks and quotes are taken off, escapes undone,
/// marks skipped by readers of base64, and case by stores that compare without. Two that are one here may still be two to the
/// application; then what holds of one holds of the other.
pub(super) fn plain(value: &str) -> Vec<u8> {
    let mut plain = unescaped(unquoted(value.trim()));
    plain.retain(u8::is_ascii_alphanumeric);
    plain.make_ascii_lowercase();
    plain
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// Without percent-escapes, those of percent signs included: some undo them twice.
fn unescaped(value: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        bytes.push(byte);
        while let [rest @ .., b'%', high, low] = bytes.as_slice()
            && let (Some(high), Some(low)) = (digit(high), digit(low))
            && let Ok(meant) = u8::try_from(high * 16 + low)
        {
            bytes.truncate(rest.len());
            bytes.push(meant);
        }
    }
    bytes
}

/// The values of all pairs of exactly this name; of what is no text, none.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    cookie_pairs::pairs(headers).into_iter().flatten().filter_map(move |pair| pair.value_of(name))
}

/// Takes out of a request every cookie that a reader could take for one of `names` and is not written like it, and those
/// of `names` for which `goes` says so.
///
/// # Errors
/// Where `Cookie` is no text.
pub(crate) fn sift(headers: &mut HeaderMap, names: &[String], goes: impl Fn(&str) -> bool) -> Result<(), NoText> {
    cookie_pairs::retain(headers, |pair| match names.iter().find(|name| pair.value_of(name).is_some()) {
        Some(name) => !goes(name),
        None => !names.iter().any(|name| is_look_alike(pair, name)),
    })
}

/// Whether an answer makes the browser let go of all cookies (`Clear-Site-Data`), as some applications sign people out.
pub(super) fn clears_all(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("clear-site-data").iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|kind| matches!(kind.trim(), "\"cookies\"" | "\"*\""))
}

/// A `Set-Cookie` line as browsers read it (RFC 6265bis, section 5.6), as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Set<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Whether it takes the cookie back rather than sets one.
    pub(super) taken_back: bool,
    /// Where the browser sends it.
    pub(super) scope: Scope,
}

impl<'a> Set<'a> {
    /// Of an answer to a request for `path`, at `now` in Unix seconds; `None` for what no browser sends back as a cookie with a
    /// name, or no gate takes in a request.
    pub(super) fn read(line: &'a HeaderValue, path: &str, now: u64) -> Option<Self> {
        let line = SetCookie::read(line);
        let (name, value) = (text(line.name?)?, text(line.value)?);
        let mut scope = Scope { path: kept(directory(path)), domain: None };
        // Of an attribute that stands twice the last counts, and one that cannot be read stands nowhere.
        let (mut lasts, mut ends) = (None, None);
        for attribute in line.attributes() {
            let said = |name| attribute.value_of(name).map(|value| text(value).unwrap_or_default());
            if let Some(seconds) = said("max-age") {
                lasts = is_positive(seconds).or(lasts);
            }
            if let Some(date) = said("expires") {
                // Many write it with hyphens between, as the first cookies did.
                ends = http_date(&date.replace('-', " ")).or(ends);
            }
            if let Some(said) = said("path") {
                scope.path = kept(if said.starts_with('/') { said } else { directory(path) });
            }
            if let Some(said) = said("domain") {
                scope.domain = kept(said);
            }
        }
        // `Max-Age` counts before `Expires`.
        let over = lasts.map_or(ends.is_some_and(|end| end <= now), |lasts| !lasts);
        Some(Self { name, value, taken_back: over || matches!(value, "" | "\"\""), scope })
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

/// Whether so many seconds are more than none; `None` for what is no number, which browsers pass over.
fn is_positive(seconds: &str) -> Option<bool> {
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.len() == seconds.len() && digits.bytes().any(|byte| byte != b'0'))
}

/// Where a cookie lives that says no path: beside what was asked for (RFC 6265, section 5.1.4).
fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((directory, _)) if directory.starts_with('/') => directory,
        Some(_) | None => "/",
    }
}

/// An attribute, where it is one that is worth keeping, so that the table of bindings stays small, and can be said again.
fn kept(text: &str) -> Option<Box<str>> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    ((1..=128).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn request(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    fn request_of(line: &str) -> HeaderMap {
        [(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())].into_iter().collect()
    }

    fn sifted(lines: &[&'static str], goes: bool) -> Vec<String> {
        let mut headers = request(lines);
        sift(&mut headers, &["my_session".to_owned(), "other".to_owned()], |name| goes && name == "my_session")
            .unwrap();
        headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_cookie_is_the_pair_of_exactly_that_name() {
        for (lines, expected) in [
            (&["a=1"][..], Held::Absent),
            (&[][..], Held::Absent),
            (&["a=1; my_session=x=y"], Held::Once("x=y".to_owned())),
            (&["a=1", " my_session=\"x\" "], Held::Once("\"x\"".to_owned())),
            (&["my_session="], Held::Once(String::new())),
            (&["my_session", "MY_SESSION=1", "my.session=1", "my_session =1", "xmy_session=1"], Held::Absent),
            (&["my_session=1; my_session=1"], Held::Repeated),
            (&["my_session=1", "my_session=2"], Held::Repeated),
        ] {
            assert_eq!(held(&request(lines), "my_session"), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_value_that_readers_take_for_two_is_not_clear() {
        for clear in ["abc123", "\"abc123\"", "s%3Aabc.d%2Be%3D", "YWJj+/==", "a:b|c~d", "%7B%22id%22%3A1%7D", ""] {
            assert!(is_clear(clear), "{clear}");
        }
        for odd in [
            r#""\141bc123""#,
            r"\141bc123",
            r#""a\bc123""#,
            "\"abc123",
            "abc123\"",
            "ab\"c123",
            "\"\"abc123\"\"",
            " abc123",
            "abc123 x",
            "abc123,x",
            "abc123\tx",
            "abc12\u{663}",
            "%c3%a1bc123",
            "abc123%00",
            "%5c141bc123",
            "%255c141bc123",
        ] {
            assert!(!is_clear(odd), "{odd}");
        }
    }

    #[test]
    fn spellings_of_one_value_are_one() {
        for spelling in [
            "\"aB+c1\"",
            " aB+c1 ",
            "%61B+c1",
            "aB%2bc1",
            "a%42%20c1",
            "aB c1",
            "AB+C1",
            "%2561B+c1",
            "aB+c1=",
            "aB-c1",
            "aB+c1!.",
            "%%361B+c1",
        ] {
            assert_eq!(plain(spelling), plain("aB+c1"), "{spelling}");
        }
        assert_ne!(plain("aB+c1"), plain("aB+c2"));
        assert_eq!(plain(&"%25".repeat(30_000)), b"", "it takes no longer than it is long");
    }

    #[test]
    fn look_alikes_go_and_the_rest_stays() {
        let all = &["theme=dark; my_session=1; my.session=2; MY_SESSION=3; my_session =4; my%5fsession=5", "other=6"];
        assert_eq!(sifted(all, false), ["theme=dark; my_session=1", "other=6"]);
        assert_eq!(sifted(all, true), ["theme=dark", "other=6"]);
        assert_eq!(sifted(&["x=1 my_session=2; y=3, other=4", "my_session"], false), Vec::<String>::new());
        assert_eq!(sifted(&["x=1 my_session =2; y=3,\tother =4", "x,\"other\" = 5"], false), Vec::<String>::new());
        assert_eq!(held(&request_of("name=Zoë; my_session=3"), "my_session"), Held::Once("3".to_owned()));
        let mut headers = request_of("name=Zoë; MY_SESSION=4");
        sift(&mut headers, &["my_session".to_owned()], |_| false).unwrap();
        assert_eq!(headers[COOKIE].as_bytes(), "name=Zoë".as_bytes(), "letters of any language stay");
        let untouched = &["a=1;b=2;  my_session=3"];
        assert_eq!(sifted(untouched, false), untouched, "what is in order is not written anew");
    }

    #[test]
    fn a_cookie_without_a_path_lives_beside_what_was_asked_for() {
        for (asked, lives) in
            [("/", "/"), ("/x", "/"), ("/x/", "/x"), ("/a/b/c", "/a/b"), ("/a//b", "/a/"), ("*", "/"), ("", "/")]
        {
            assert_eq!(directory(asked), lives, "{asked}");
        }
        assert_eq!((kept("/a;b"), kept(&format!("/{}", "a".repeat(128)))), (None, None));
    }

    #[test]
    fn a_line_is_read_as_browsers_read_it() {
        let read = |line: &'static str| {
            let line = HeaderValue::from_static(line);
            Set::read(&line, "/clinic/desk", 1_795_000_000).map(|set| {
                let scope = (set.scope.path.map(String::from), set.scope.domain.map(String::from));
                (set.name.to_owned(), set.value.to_owned(), set.taken_back, scope)
            })
        };
        let some = |name: &str, value: &str, back, path: Option<&str>, domain: Option<&str>| {
            Some((name.to_owned(), value.to_owned(), back, (path.map(str::to_owned), domain.map(str::to_owned))))
        };
        let here = Some("/clinic");
        for (line, expected) in [
            ("sid=a=b; Path=/app; HttpOnly", some("sid", "a=b", false, Some("/app"), None)),
            (
                " sid = \"a\" ; domain=.clinic.example;path=x",
                some("sid", "\"a\"", false, here, Some(".clinic.example")),
            ),
            ("sid=a; Path=/app; path", some("sid", "a", false, here, None)),
            ("sid=; Path=/", some("sid", "", true, Some("/"), None)),
            (
                "sid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
                some("sid", "\"\"", true, Some("/"), None),
            ),
            ("sid=deleted; MAX-AGE=-1", some("sid", "deleted", true, here, None)),
            ("sid=deleted; Expires=Thu, 01-Jan-1970 00:00:01 GMT", some("sid", "deleted", true, here, None)),
            ("sid=a; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=9", some("sid", "a", false, here, None)),
            ("sid=a; Expires=Fri, 31 Dec 2100 00:00:00 GMT", some("sid", "a", false, here, None)),
            ("sid=a; Max-Age=1209600", some("sid", "a", false, here, None)),
            ("sid=a; Max-Age=99999999999999999999999", some("sid", "a", false, here, None)),
            ("sid=a; Max-Age=-99999999999999999999999", some("sid", "a", true, here, None)),
            ("sid=a; Max-Age=00", some("sid", "a", true, here, None)),
            // What browsers cannot read they pass over.
            ("sid=a; Max-Age=soon", some("sid", "a", false, here, None)),
            ("sid=a; Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:01 GMT", some("sid", "a", true, here, None)),
            ("sid=a; Max-Age=+9; Expires=Thu, 01 Jan 1970 00:00:01 GMT", some("sid", "a", true, here, None)),
            ("sid=a; Max-Age=0; Max-Age=-", some("sid", "a", true, here, None)),
            // Of two the last counts.
            ("sid=a; Max-Age=0; Max-Age=9", some("sid", "a", false, here, None)),
            ("sid=a; Max-Age=9; Max-Age=0", some("sid", "a", true, here, None)),
            (
                "sid=a; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Expires=Fri, 31 Dec 2100 00:00:00 GMT",
                some("sid", "a", false, here, None),
            ),
            ("sid", None),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
