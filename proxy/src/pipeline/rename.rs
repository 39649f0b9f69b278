//! Cookies that the browser knows under a name with a prefix, and the application under its own.
//!
//! Decides which cookie of a request is the application's: the one with the prefix, which no other name of the domain and
//! no page without TLS can set (RFC 6265bis, section 4.1.3). Its plain name, and whatever some reader could take for it, is
//! taken out: anyone could have planted it. What comes after this step, the providers' places included, knows the plain
//! name alone. It never invents a cookie and never changes a value.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};

use super::look_alike::is_look_alike;
use crate::cookie_pairs::{self, Fate, Pair};
use crate::rejection::Rejection;
use crate::runtime::{Prefix, Renamed};
use crate::set_cookie::SetCookie;

/// Gives the cookies of a request the application's names.
///
/// # Errors
/// `BAD_HEADER` where a cookie with `__Host-` stands twice, which no browser sends, or `Cookie` is no text.
pub(super) fn from_browser(headers: &mut HeaderMap, names: &[Renamed]) -> Result<(), Rejection> {
    if names.is_empty() || !headers.contains_key(COOKIE) {
        return Ok(());
    }
    let mut seen = vec![false; names.len()];
    cookie_pairs::rewrite(headers, |pair| of_the_application(pair, names, &mut seen))
}

/// What becomes of a cookie on its way to the application.
fn of_the_application(pair: Pair<'_>, names: &[Renamed], seen: &mut [bool]) -> Result<Fate, Rejection> {
    for (renamed, seen) in names.iter().zip(seen) {
        if let (true, Some(value)) = (pair.name().trim_end() == renamed.browser, pair.value()) {
            if *seen && renamed.prefix == Prefix::Host {
                return Err(Rejection::BadHeader("a cookie with `__Host-` stands twice"));
            }
            *seen = true;
            return Ok(Fate::Becomes(format!("{}={value}", renamed.app)));
        }
        if is_look_alike(pair, &renamed.app) {
            return Ok(Fate::Goes);
        }
    }
    Ok(Fate::Stays)
}

/// Gives the cookies of an answer the browser's names, and the attributes that browsers demand of them.
pub(super) fn to_browser(headers: &mut HeaderMap, names: &[Renamed]) {
    if names.is_empty() || !headers.contains_key(SET_COOKIE) {
        return;
    }
    let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    // What a header could hold still can; if not, no cookie rather than one under the wrong name.
    for line in lines.into_iter().filter_map(|line| prefixed(line, names)) {
        headers.append(SET_COOKIE, line);
    }
}

fn prefixed(line: HeaderValue, names: &[Renamed]) -> Option<HeaderValue> {
    let set = SetCookie::read(&line);
    // Without a name it is a value alone.
    let Some(name) = set.name else { return Some(line) };
    let Some(renamed) = names.iter().find(|one| one.app.as_bytes() == name) else { return Some(line) };
    let mut text = [renamed.browser.as_bytes(), b"=", set.value].concat();
    for attribute in set.attributes() {
        let goes = match renamed.prefix {
            // Of this host alone, and of all of it; a cookie that is taken back has to be so too.
            Prefix::Host => ["domain", "path", "secure"].into_iter().any(|one| attribute.is(one)),
            Prefix::Secure => attribute.is("secure"),
        };
        if !goes {
            text.extend_from_slice(b"; ");
            text.extend_from_slice(attribute.text);
        }
    }
    text.extend_from_slice(match renamed.prefix {
        Prefix::Host => b"; Path=/; Secure",
        Prefix::Secure => b"; Secure",
    });
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<Renamed> {
        vec![Renamed::new("my_session", Prefix::Host), Renamed::new("remember", Prefix::Secure)]
    }

    fn read(lines: &[&'static str]) -> Result<Vec<String>, Rejection> {
        let mut headers: HeaderMap = lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect();
        from_browser(&mut headers, &names())?;
        Ok(headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect())
    }

    fn sent(line: &'static str) -> String {
        let mut headers: HeaderMap = [(SET_COOKIE, HeaderValue::from_static(line))].into_iter().collect();
        to_browser(&mut headers, &names());
        headers.get(SET_COOKIE).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_plain_name_and_its_look_alikes_are_taken_out() {
        for (lines, expected) in [
            (&["__Host-my_session=a; theme=dark"][..], &["my_session=a; theme=dark"][..]),
            (&["my_session=evil; __Host-my_session=a"], &["my_session=a"]),
            (&["__Host-my_session=a; my_session=evil"], &["my_session=a"]),
            (&["my_session=evil"], &[]),
            (&["my_session"], &[]),
            (
                &[
                    "my.session=evil; my session=evil; my[session=evil; MY_SESSION=evil; my%5fsession=evil; my_session[a]=evil; x=1",
                ],
                &["x=1"],
            ),
            (&[" my_session =evil", "theme=dark"], &["theme=dark"]),
            (&["theme=dark", "__Host-my_session=a=b=="], &["theme=dark", "my_session=a=b=="]),
            (&["__Secure-remember=1; __Secure-remember=2; remember=3"], &["remember=1; remember=2"]),
            (&["__Host-other=1; __Host-my_session2=2"], &["__Host-other=1; __Host-my_session2=2"]),
            (&["__host-my_session=1"], &["__host-my_session=1"]),
            (&["x=1 my_session=evil; y=2, my_session=evil; z=\"my_session=evil\"; w=1, v=2"], &["w=1, v=2"]),
            (&["\"my_session\"=evil; my_session%00=evil; 'my_session'=evil"], &[]),
        ] {
            assert_eq!(read(lines).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn twice_the_one_that_no_browser_sends_twice_is_refused() {
        for lines in
            [&["__Host-my_session=a; __Host-my_session=b"][..], &["__Host-my_session=a", "__Host-my_session=a"]]
        {
            assert!(matches!(read(lines), Err(Rejection::BadHeader(_))), "{lines:?}");
        }
    }

    #[test]
    fn an_answer_gets_the_name_and_what_browsers_demand_of_it() {
        for (line, expected) in [
            (
                "my_session=a; Path=/app; Domain=clinic.example; HttpOnly",
                "__Host-my_session=a; HttpOnly; Path=/; Secure",
            ),
            ("my_session=; Max-Age=0; path=/app; SECURE", "__Host-my_session=; Max-Age=0; Path=/; Secure"),
            (" my_session = a=b ;; domain ; Path", "__Host-my_session=a=b; Path=/; Secure"),
            ("remember=1; Path=/app; Domain=x; Secure=1", "__Secure-remember=1; Path=/app; Domain=x; Secure"),
            ("my_session2=a; Domain=x", "my_session2=a; Domain=x"),
            ("my_session", "my_session"),
            ("__Host-my_session=a; Path=/", "__Host-my_session=a; Path=/"),
        ] {
            assert_eq!(sent(line), expected, "{line}");
        }
    }
}
