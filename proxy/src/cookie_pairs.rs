//! The cookies of a request: the one reader and writer of `Cookie`.
//!
//! Decides what a pair is, so that no two steps see different ones: what stands between two semicolons, without blanks around
//! it. Letters of any language are text; what is no UTF-8 is none, and no request with it gets as far as the steps. What a name
//! or a value means is for others to say.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

use crate::rejection::Rejection;

/// `Cookie` holds what is no text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoText;

impl From<NoText> for Rejection {
    fn from(NoText: NoText) -> Self {
        Rejection::BadHeader("`Cookie` is not text")
    }
}

/// One cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pair<'h>(&'h str);

impl<'h> Pair<'h> {
    /// Name and value, as they stand there.
    pub(crate) fn text(self) -> &'h str {
        self.0
    }

    /// What stands before the first `=`, or all of it.
    pub(crate) fn name(self) -> &'h str {
        self.0.split_once('=').map_or(self.0, |(name, _)| name)
    }

    /// What stands behind it, byte for byte.
    pub(crate) fn value(self) -> Option<&'h str> {
        self.0.split_once('=').map(|(_, value)| value)
    }

    /// The value, where this is the cookie of exactly that name.
    pub(crate) fn value_of(self, name: &str) -> Option<&'h str> {
        self.value().filter(|_| self.name() == name)
    }
}

/// All pairs. HTTP/2 may send the cookies in several pieces (RFC 9113, section 8.2.3).
///
/// # Errors
/// [`NoText`].
pub(crate) fn pairs(headers: &HeaderMap) -> Result<impl Iterator<Item = Pair<'_>>, NoText> {
    let lines = headers.get_all(COOKIE).iter().map(text).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().flat_map(of_line))
}

fn text(line: &HeaderValue) -> Result<&str, NoText> {
    str::from_utf8(line.as_bytes()).map_err(|_| NoText)
}

fn of_line(line: &str) -> impl Iterator<Item = Pair<'_>> {
    line.split(';').map(str::trim_ascii).filter(|pair| !pair.is_empty()).map(Pair)
}

/// What becomes of a cookie on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It goes on as it is.
    Stays,
    /// It stays here.
    Goes,
    /// It goes on as this pair.
    Becomes(String),
}

/// Does with each cookie what `fate` says. A line of which all stay is not written anew.
///
/// # Errors
/// [`NoText`], and those of `fate`.
pub(crate) fn rewrite<E: From<NoText>>(
    headers: &mut HeaderMap,
    mut fate: impl FnMut(Pair<'_>) -> Result<Fate, E>,
) -> Result<(), E> {
    let mut lines = Vec::new();
    let mut changed = false;
    for line in headers.get_all(COOKIE) {
        let mut kept = Vec::new();
        let mut same = true;
        for pair in of_line(text(line)?) {
            let fate = fate(pair)?;
            same &= fate == Fate::Stays;
            match fate {
                Fate::Stays => kept.push(pair.text().to_owned()),
                Fate::Goes => {}
                Fate::Becomes(pair) => kept.push(pair),
            }
        }
        changed |= !same;
        match (same, kept.is_empty()) {
            (true, _) => lines.push(line.clone()),
            (false, true) => {}
            (false, false) => lines.push(HeaderValue::try_from(kept.join("; ")).map_err(|_| NoText)?),
        }
    }
    if changed {
        headers.remove(COOKIE);
        for line in lines {
            headers.append(COOKIE, line);
        }
    }
    Ok(())
}

/// Keeps those that stay.
///
/// # Errors
/// [`NoText`].
pub(crate) fn retain(headers: &mut HeaderMap, stays: impl Fn(Pair<'_>) -> bool) -> Result<(), NoText> {
    if pairs(headers)?.all(&stays) {
        return Ok(());
    }
    rewrite(headers, |pair| Ok(if stays(pair) { Fate::Stays } else { Fate::Goes }))
}

/// Makes one line of several: HTTP/2 may split `Cookie`, and HTTP/1.1 must not (RFC 9113, section 8.2.3).
///
/// # Errors
/// [`NoText`].
pub(crate) fn join(headers: &mut HeaderMap) -> Result<(), NoText> {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let joined = pairs(headers)?.map(Pair::text).collect::<Vec<_>>().join("; ");
    headers.remove(COOKIE);
    if !joined.is_empty() {
        headers.insert(COOKIE, HeaderValue::try_from(joined).map_err(|_| NoText)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers.get_all(COOKIE).iter().map(|line| text(line).unwrap()).collect()
    }

    #[test]
    fn a_pair_is_what_stands_between_semicolons_without_blanks_around() {
        let headers = request(&["a=1;b = 2 ;; c; =d", "\te=f=g; name=Zoë", ""]);
        let all: Vec<_> = pairs(&headers).unwrap().map(|pair| (pair.name(), pair.value())).collect();
        let expected = [
            ("a", Some("1")),
            ("b ", Some(" 2")),
            ("c", None),
            ("", Some("d")),
            ("e", Some("f=g")),
            ("name", Some("Zoë")),
        ];
        assert_eq!(all, expected);
        let of_b = |name| pairs(&headers).unwrap().find_map(|pair| pair.value_of(name));
        assert_eq!((of_b("b"), of_b("b "), of_b("c")), (None, Some(" 2"), None));
    }

    #[test]
    fn what_is_no_text_is_refused_by_all() {
        let mut headers = request(&["a=1"]);
        headers.append(COOKIE, HeaderValue::from_bytes(b"name=Zo\xeb").unwrap());
        assert!(pairs(&headers).is_err());
        assert_eq!(retain(&mut headers, |_| true), Err(NoText));
        assert_eq!(join(&mut headers), Err(NoText));
    }

    #[test]
    fn what_is_in_order_is_not_written_anew() {
        let mut headers = request(&["a=1;b=2;  c=3", "name=Zoë;a=4", "a=5"]);
        retain(&mut headers, |pair| pair.name() != "x").unwrap();
        assert_eq!(lines(&headers), ["a=1;b=2;  c=3", "name=Zoë;a=4", "a=5"]);
        retain(&mut headers, |pair| pair.name() != "c" && pair.value() != Some("5")).unwrap();
        assert_eq!(lines(&headers), ["a=1; b=2", "name=Zoë;a=4"]);
        join(&mut headers).unwrap();
        assert_eq!(lines(&headers), ["a=1; b=2; name=Zoë; a=4"]);
        retain(&mut headers, |_| false).unwrap();
        assert!(headers.is_empty());
    }
}
