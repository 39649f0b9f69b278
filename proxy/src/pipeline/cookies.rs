//! The application's cookies as browsers get them: with `Secure`, `HttpOnly` and `SameSite=Lax` where it forgot them.
//!
//! Decides what a `Set-Cookie` lacks, by reading it as browsers do (RFC 6265bis, section 5.6). What it has is the
//! application's own word and stays: an explicit `SameSite=None` too, which only gets the `Secure` that browsers demand
//! of it. A line that is right already goes on byte for byte; a line that is not gets what it lacks at its end, and
//! nothing in it is rewritten, since of an attribute that stands twice browsers take the last. It never writes a value
//! anywhere.

use http::HeaderMap;
use http::header::{HeaderValue, SET_COOKIE};

use crate::runtime::{CookieRules, Exception, Rollout};
use crate::set_cookie::SetCookie;

/// The longest name that the log shows.
const NAME_LIMIT: usize = 64;

/// What a `Set-Cookie` line needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// These attributes, at its end.
    Attributes(Vec<&'static str>),
    /// To stay away. A cookie without a name comes back as a bare value, and servers disagree on what that means.
    Removal,
}

/// Gives the cookies of an answer what they lack. While observing, changes nothing and returns the names of those that
/// lack something, each in the form that a log may hold.
pub(super) fn harden(headers: &mut HeaderMap, rules: &CookieRules, stage: Rollout) -> Vec<String> {
    if !headers.contains_key(SET_COOKIE) {
        return Vec::new();
    }
    let judged: Vec<(HeaderValue, Need)> =
        headers.get_all(SET_COOKIE).iter().map(|line| (line.clone(), need(line, rules))).collect();
    if judged.iter().all(|(_, need)| *need == Need::Nothing) {
        return Vec::new();
    }
    match stage {
        Rollout::Observe => judged
            .iter()
            .filter(|(_, need)| *need != Need::Nothing)
            .map(|(line, _)| shown(Line::read(line).map_or(&[], |line| line.name)))
            .collect(),
        Rollout::Enforce => {
            headers.remove(SET_COOKIE);
            for line in judged.into_iter().filter_map(|(line, need)| amended(line, &need)) {
                headers.append(SET_COOKIE, line);
            }
            Vec::new()
        }
    }
}

fn need(line: &HeaderValue, rules: &CookieRules) -> Need {
    let Some(line) = Line::read(line) else { return Need::Removal };
    let name = std::str::from_utf8(line.name).ok();
    let exception = name.and_then(|name| rules.exceptions.get(name)).copied().unwrap_or(Exception::default());
    let lacks = [
        (!line.secure, "Secure"),
        (!line.http_only && !exception.http_only, "HttpOnly"),
        (!line.same_site && !exception.same_site, "SameSite=Lax"),
    ];
    let lacks: Vec<_> = lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, attribute)| attribute).collect();
    if lacks.is_empty() { Need::Nothing } else { Need::Attributes(lacks) }
}

/// The line with what it needs; `None` where it has to stay away.
fn amended(line: HeaderValue, need: &Need) -> Option<HeaderValue> {
    let attributes = match need {
        Need::Nothing => return Some(line),
        Need::Removal => return None,
        Need::Attributes(attributes) => attributes,
    };
    let mut text = line.as_bytes();
    while let Some(shorter) = text.trim_ascii_end().strip_suffix(b";") {
        text = shorter;
    }
    let mut text = text.trim_ascii_end().to_vec();
    for attribute in attributes {
        text.extend_from_slice(b"; ");
        text.extend_from_slice(attribute.as_bytes());
    }
    // What a header could hold still can with these at its end; if not, no cookie rather than one without its flags.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

/// What a cookie has.
struct Line<'a> {
    name: &'a [u8],
    secure: bool,
    http_only: bool,
    /// Whether the last `SameSite` says one of the three words; browsers differ on what any other word means.
    same_site: bool,
}

impl<'a> Line<'a> {
    /// `None` for a cookie without a name.
    fn read(line: &'a HeaderValue) -> Option<Self> {
        let set = SetCookie::read(line);
        let mut read = Self { name: set.name?, secure: false, http_only: false, same_site: false };
        for attribute in set.attributes() {
            read.secure |= attribute.value_of("secure").is_some();
            read.http_only |= attribute.value_of("httponly").is_some();
            if let Some(word) = attribute.value_of("samesite") {
                read.same_site = ["strict", "lax", "none"].iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()));
            }
        }
        Some(read)
    }
}

/// A name as the log may show it. The application chooses names, and some hold identifiers: only letters and `-_.` are
/// shown, and nothing that redaction would touch.
fn shown(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.');
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.len() <= NAME_LIMIT);
    match name.filter(|name| name.as_bytes().iter().all(plain) && redact::text(name) == *name) {
        Some(name) => name.to_owned(),
        None => "(a name that is not shown)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CookieRules {
        let readable = Exception { http_only: true, same_site: false };
        let framed = Exception { http_only: false, same_site: true };
        let exceptions = [("csrftoken", readable), ("XSRF-TOKEN", readable), ("embed", framed)];
        CookieRules { exceptions: exceptions.map(|(name, one)| (name.to_owned(), one)).into(), renamed: Vec::new() }
    }

    fn hardened(line: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        harden(&mut headers, &rules(), Rollout::Enforce);
        headers.get(SET_COOKIE).map(|line| String::from_utf8(line.as_bytes().to_vec()).unwrap())
    }

    /// Lines as frameworks send them, and as odd ones do; the second is what is added, `=` where nothing is.
    const LINES: [(&str, &str); 32] = [
        // Django
        (
            "sessionid=38afes7a8; expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax",
            "; Secure",
        ),
        ("csrftoken=kJ8; expires=Wed, 21-Oct-2026 07:28:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax", "; Secure"),
        ("messages=\"W1siX19qc29u: a, b\"; Path=/", "; Secure; HttpOnly; SameSite=Lax"),
        // Rails
        ("_clinic_session=BAh7B0kiD3Nlc3Npb25faWQ%3D--92; path=/; HttpOnly", "; Secure; SameSite=Lax"),
        ("remember_token=1|abc; path=/; expires=Fri, 21 Nov 2046 00:00:00 GMT", "; Secure; HttpOnly; SameSite=Lax"),
        // PHP and its frameworks
        ("PHPSESSID=r2t5uvjq435r4q7ib3vtdjq120; path=/", "; Secure; HttpOnly; SameSite=Lax"),
        ("PHPSESSID=r2t5uvjq435r4q7ib3vtdjq120; path=/; secure; HttpOnly", "; SameSite=Lax"),
        (
            "XSRF-TOKEN=eyJpdiI6%3D; expires=Tue, 21-Nov-2026 02:00:00 GMT; Max-Age=7200; path=/; samesite=lax",
            "; Secure",
        ),
        ("wordpress_test_cookie=WP%20Cookie%20check; path=/; secure", "; HttpOnly; SameSite=Lax"),
        // Spring, Tomcat
        ("JSESSIONID=7DD1F2A; Path=/; HttpOnly", "; Secure; SameSite=Lax"),
        ("SESSION=MDQ4; Path=/; Secure; HttpOnly; SameSite=Lax", "="),
        (
            "remember-me=YWRh; Max-Age=1209600; Expires=Sat, 05-Dec-2026 00:00:00 GMT; Path=/; HttpOnly",
            "; Secure; SameSite=Lax",
        ),
        // Express
        ("connect.sid=s%3Aq.x; Path=/; HttpOnly", "; Secure; SameSite=Lax"),
        ("connect.sid=s%3Aq.x; Path=/; Expires=Sat, 21 Nov 2026 21:00:00 GMT; HttpOnly; Secure; SameSite=Strict", "="),
        // ASP.NET
        (".AspNetCore.Session=CfDJ8; path=/; samesite=lax; httponly", "; Secure"),
        ("ASP.NET_SessionId=abc; path=/; HttpOnly; SameSite=None", "; Secure"),
        // Right already, however it is spelt
        ("a=b;secure;httponly;samesite=strict", "="),
        ("a=b; SECURE; HTTPONLY; SAMESITE=NONE", "="),
        ("a=b; Secure=true; HttpOnly=1; SameSite = Lax", "="),
        ("__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned", "="),
        // What looks like an attribute and is none
        ("a=Secure; Path=/HttpOnly", "; Secure; HttpOnly; SameSite=Lax"),
        ("a=b; NotSecure; HttpOnlyx; SameSiteLax", "; Secure; HttpOnly; SameSite=Lax"),
        ("a=\"b; Secure\"; HttpOnly; SameSite=\"Lax\"", "; Secure; SameSite=Lax"),
        ("a=b, c=d; Secure", "; HttpOnly; SameSite=Lax"),
        // A word that browsers do not know, and the last of two counts
        ("a=b; Secure; HttpOnly; SameSite", "; SameSite=Lax"),
        ("a=b; Secure; HttpOnly; SameSite=Relaxed", "; SameSite=Lax"),
        ("a=b; Secure; HttpOnly; SameSite=Lax; SameSite=x", "; SameSite=Lax"),
        ("a=b; Secure; HttpOnly; SameSite=x; SameSite=Lax", "="),
        // Exceptions are by exact name
        ("csrftoken2=a; Secure; SameSite=Lax", "; HttpOnly"),
        ("embed=a; Path=/", "; Secure; HttpOnly"),
        // A cookie that is taken back, and one whose value is no ASCII
        ("a=; Max-Age=0", "; Secure; HttpOnly; SameSite=Lax"),
        ("name=Zoë; Path=/", "; Secure; HttpOnly; SameSite=Lax"),
    ];

    #[test]
    fn a_cookie_gets_what_it_lacks_and_no_more() {
        for (line, added) in LINES {
            let expected = if added == "=" { line.to_owned() } else { format!("{line}{added}") };
            assert_eq!(hardened(line).as_deref(), Some(expected.as_str()), "{line}");
        }
    }

    #[test]
    fn hardening_twice_is_hardening_once() {
        for (line, _) in LINES {
            let once = hardened(line).unwrap();
            assert_eq!(hardened(&once), Some(once.clone()), "{line}");
        }
    }

    #[test]
    fn an_empty_end_is_cut_before_something_is_added() {
        assert_eq!(hardened("a=b; Path=/; ; ").as_deref(), Some("a=b; Path=/; Secure; HttpOnly; SameSite=Lax"));
        let right = "a=b; Secure; HttpOnly; SameSite=Lax; ";
        assert_eq!(hardened(right).as_deref(), Some(right));
    }

    #[test]
    fn an_attribute_that_browsers_pass_over_does_not_count() {
        let line = format!("a=b; Secure={}; HttpOnly; SameSite=Lax", "x".repeat(1_025));
        assert_eq!(hardened(&line), Some(format!("{line}; Secure")));
    }

    #[test]
    fn a_cookie_without_a_name_stays_away() {
        for line in ["", "value", "=value", " = value; Secure", "; Path=/", "Secure; HttpOnly"] {
            assert_eq!(hardened(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_others_keep_their_order() {
        let mut headers = HeaderMap::new();
        for line in ["a=1; Secure; HttpOnly; SameSite=Lax", "nameless", "b=2", "a=3; Secure; HttpOnly; SameSite=None"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(harden(&mut headers, &rules(), Rollout::Enforce), Vec::<String>::new());
        let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        let expected = [
            "a=1; Secure; HttpOnly; SameSite=Lax",
            "b=2; Secure; HttpOnly; SameSite=Lax",
            "a=3; Secure; HttpOnly; SameSite=None",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn observing_changes_nothing_and_names_only_what_a_log_may_hold() {
        let lines = ["sessionid=a", "ok=b; Secure; HttpOnly; SameSite=Lax", "cart_4711=c", "nameless", "Zoë=d"];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let before = headers.clone();
        let hidden = "(a name that is not shown)";
        assert_eq!(harden(&mut headers, &rules(), Rollout::Observe), ["sessionid", hidden, hidden, hidden]);
        assert_eq!(headers, before);
    }
}
