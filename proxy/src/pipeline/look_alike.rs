//! Cookies that some reader takes for others.
//!
//! Decides by what loose readers do: they part cookies at blanks, commas or quotes, take blanks and quotes off a name, undo its
//! escapes, and pass over case and marks. Which of the two is meant nobody can say, so whoever asks here lets neither by, but the
//! one that is written exactly like it.

use super::canonical;
use crate::cookie_pairs::Pair;

/// Whether some reader takes a cookie, name and value, for the one of the name `app`, or finds one of that name in it. It is
/// so of that cookie itself as well.
pub(crate) fn is_look_alike(pair: Pair<'_>, app: &str) -> bool {
    names(pair).any(|name| is_taken_for(name, app))
}

/// Whether some reader takes a cookie for one whose name begins with `stem`, or finds such a one in it; `fits` says what of the
/// rest, folded, makes it one.
pub(super) fn continues(pair: Pair<'_>, stem: &str, fits: impl Fn(&str) -> bool) -> bool {
    let goes_on = |read: &str| {
        let (first, rest) = read.split_at_checked(stem.len())?;
        canonical::fold_alike(first, stem).then(|| fits(&canonical::folded(rest)))
    };
    names(pair).any(|name| match is_plain(name) {
        true => goes_on(name).unwrap_or(false),
        false => readings(name).iter().any(|read| goes_on(read).unwrap_or(false)),
    })
}

/// Where readers part a cookie that is one to others: Python's `SimpleCookie` reads `x=1 app=2` as two, and `x=1 app =2` too.
fn parts(sign: char) -> bool {
    sign.is_whitespace() || !sign.is_ascii() || ",\"'\\".contains(sign)
}

/// Its own name, and every other under which a reader finds one in it: what stands before an `=`, blanks and quotes between.
fn names(pair: Pair<'_>) -> impl Iterator<Item = &str> {
    let text = pair.text();
    let hidden = text.match_indices('=').filter_map(move |(at, _)| {
        let before = text.get(..at)?.trim_end_matches(parts);
        before.rsplit(parts).next()
    });
    std::iter::once(pair.name().trim_end()).chain(hidden)
}

/// Whether some reader takes one name for the other.
fn is_taken_for(name: &str, app: &str) -> bool {
    // Nothing that readers do makes a name longer.
    name.len() >= app.len()
        && match is_plain(name) {
            true => canonical::fold_alike(name, app),
            false => readings(name).contains(&canonical::folded(app)),
        }
}

/// Whether a name has nothing that any reader would change but case and marks, as most have.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// What readers take a name for, folded: PHP makes `_` of blanks, dots and brackets, a list of `name[x]`, and once decoded
/// escapes; others pass over case.
fn readings(name: &str) -> [String; 2] {
    let read = canonical::form_decoded(name).unwrap_or_else(|| name.to_owned());
    let before = read.split(['[', '\0']).next().unwrap_or_default();
    let bare =
        |name: &str| canonical::folded(name.trim_matches(|sign: char| sign.is_whitespace() || "\"'".contains(sign)));
    [bare(&read), bare(before)]
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HeaderMap, HeaderValue};

    use super::*;
    use crate::cookie_pairs;

    fn any(text: &'static str, is: impl Fn(Pair<'_>) -> bool) -> bool {
        let headers: HeaderMap = [(COOKIE, HeaderValue::from_static(text))].into_iter().collect();
        cookie_pairs::pairs(&headers).unwrap().any(is)
    }

    #[test]
    fn a_name_is_found_wherever_a_reader_finds_it() {
        for text in [
            "my_sid=1",
            "my_sid =1",
            "MY.sid=1",
            "%6dy_sid=1",
            "\"my_sid\"=1",
            "my_sid[x]=1",
            "my_sid",
            "x=1 my_sid=2",
            "x=1 my_sid =2",
            "x=1\tmy_sid\t=2",
            "x=1 my_sid  \t =2",
            "x=1,my_sid=2",
            "x=1, my_sid =2",
            "x=1,\"my_sid\"=2",
            "x=\"1\" my_sid = \"2\"",
            "x=1=2 my_sid =3",
            "x,my_sid =1",
            "a b my_sid =1",
            "x=1 my_sid[y] =2",
        ] {
            assert!(any(text, |pair| is_look_alike(pair, "my_sid")), "{text}");
        }
        for text in
            ["sid=1", "xmy_sid=1", "my_sid2=1", "x=my_sid", "x=1 my_sid", "x=1 y=my_sid", "x=ymy_sid=1", "mysid=1"]
        {
            assert!(!any(text, |pair| is_look_alike(pair, "my_sid")), "{text}");
        }
    }

    #[test]
    fn what_continues_a_name_is_found_too() {
        let is_piece = |text: &'static str| any(text, |pair| continues(pair, "sb-x", |rest| rest == "-0"));
        for text in ["sb-x.0=1", "SB-x_0=1", "x=1 sb-x.0 =2", "%73b-x.0=1"] {
            assert!(is_piece(text), "{text}");
        }
        for text in ["sb-x=1", "sb-x.1=1", "asb-x.0=1", "x=sb-x.0"] {
            assert!(!is_piece(text), "{text}");
        }
    }
}
