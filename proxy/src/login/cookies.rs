//! The gate's own cookies: their names, how they are read and how they are set.
//!
//! Decides which cookie of a request is ours: one of an exact name that stands there once. All carry `__Host-`, so that no
//! other name of the domain and no page without TLS can set them (RFC 6265bis, section 4.1.3.2). Never reads what is in one.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::cookie_pairs::{self, NoText};
use crate::set_cookie::SetCookie;

/// The most sign-ins that one browser may have under way, in as many tabs; the oldest gives way.
pub const ATTEMPTS: usize = 4;
/// The longest name and value together: browsers drop longer ones without a word.
pub const LONGEST: usize = 4_000;
/// What begins the name of every cookie of ours.
pub const PREFIX: &str = "__Host-";

/// A cookie that stands there twice, which no browser sends, or cookies that are no text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unclear;

/// The names of the cookies of a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    /// The session.
    pub session: String,
    /// What renews it.
    pub renewal: String,
    /// The ID token, where the provider's own sign-out is shown it.
    pub id_token: String,
    /// Sign-ins under way.
    pub attempts: [String; ATTEMPTS],
    /// How often was signed in lately.
    pub count: String,
}

impl Names {
    /// The names that begin with `base`.
    pub fn of(base: &str) -> Self {
        Self {
            session: base.to_owned(),
            renewal: format!("{base}-renewal"),
            id_token: format!("{base}-id-token"),
            attempts: std::array::from_fn(|number| format!("{base}-attempt-{number}")),
            count: format!("{base}-count"),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let others = [&self.session, &self.renewal, &self.id_token, &self.count];
        others.into_iter().chain(&self.attempts).map(String::as_str)
    }
}

/// The value of the cookie `name`. HTTP/2 may send cookies in several pieces (RFC 9113, section 8.2.3).
///
/// # Errors
/// [`Unclear`].
pub fn find<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Unclear> {
    let mut found = None;
    for value in cookie_pairs::pairs(headers).map_err(|NoText| Unclear)?.filter_map(|pair| pair.value_of(name)) {
        if found.replace(value).is_some() {
            return Err(Unclear);
        }
    }
    Ok(found)
}

/// A `Set-Cookie` for at most `seconds`; `None` where the cookie would be too long for a browser.
pub fn set(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    if name.len().saturating_add(value.len()) > LONGEST {
        return None;
    }
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::try_from(text).ok().map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// A `Set-Cookie` that takes the cookie `name` back.
pub fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}

/// Takes out of an answer of the application every cookie under one of our names: it could end a session, or fill the
/// place of one.
pub fn guard(headers: &mut HeaderMap, names: &Names) {
    let is_ours = |line: &HeaderValue| {
        let set = SetCookie::read(line);
        // One without a name comes back as its bare value.
        let name = set.name.unwrap_or(set.value);
        names.all().any(|ours| ours.as_bytes().eq_ignore_ascii_case(name))
    };
    if !headers.get_all(SET_COOKIE).iter().any(is_ours) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter(|line| !is_ours(line)).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn a_cookie_is_the_one_of_that_name() {
        let found = |lines: &[&'static str]| find(&headers(lines), "__Host-a").map(|value| value.map(str::to_owned));
        assert_eq!(found(&["x=1; __Host-a=b=c; y=2"]), Ok(Some("b=c".to_owned())));
        assert_eq!(found(&["x=1", "__Host-a=b"]), Ok(Some("b".to_owned())));
        for none in [&["__host-a=b"][..], &["__Host-a"], &["a=b"], &["__Host-ab=b"], &["x=__Host-a=b"], &[]] {
            assert_eq!(found(none), Ok(None), "{none:?}");
        }
        assert_eq!(found(&["__Host-a=b; __Host-a=b"]), Err(Unclear));
        assert_eq!(found(&["__Host-a=b", "__Host-a=c"]), Err(Unclear));
    }

    #[test]
    fn a_cookie_has_all_its_flags_or_is_not_set() {
        let line = set("__Host-a", "b", 60).unwrap();
        assert_eq!(line, "__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
        assert_eq!(set("__Host-a", &"x".repeat(LONGEST), 60), None);
        assert_eq!(set("__Host-a", "b\r\nx: y", 60), None);
        assert_eq!(clear("__Host-a").unwrap(), "__Host-a=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn the_application_sets_none_of_ours() {
        let names = Names::of("__Host-a");
        let lines =
            ["b=1; Path=/", "__Host-a=evil; Path=/; Secure", " __host-a-renewal = x", "__Host-a-attempt-3=; Max-Age=0"];
        let mut answer: HeaderMap = lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))).collect();
        guard(&mut answer, &names);
        assert_eq!(answer.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["b=1; Path=/"]);
        assert_eq!(names.all().count(), 4 + ATTEMPTS);
    }
}
