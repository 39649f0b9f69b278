//! A request's path as its readers see it: the segments that are judged, and the odd forms that it is written in.
//!
//! Decides which paths have one reading, and which have one only where a route says how the application reads them. It
//! never repairs: what has no reading fits no route. Dot segments, backslashes, control characters and empty segments have
//! none, in any encoding and beside any odd form.

use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

/// A form of a path that two applications read in two ways. It is refused unless the route allows it by name, and is then
/// judged in the way in which the application of that route reads it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathForm {
    /// `%2F`: the application takes it for a part of one segment, as in `/projects/group%2Fname`. Refused all the same
    /// where a reader that splits there would come to another route, or find another `{name}`.
    EncodedSlash,
    /// `%25`: a percent sign, as in `/discounts/5%25`. Refused all the same where what follows would make an escape of it
    /// once more.
    EncodedPercent,
    /// `;jsessionid=1` at the end: the application drops it, as servlet containers do. Refused all the same anywhere else,
    /// and with an escape in it.
    PathParameters,
    /// A dot in the last `{name}` of a path that a rule reads, as in `/studies/1.2.840` or `/people/a@b.example`: the
    /// application takes it for a part of the name, and what stands behind it for no format.
    DottedNames,
}

impl PathForm {
    /// Why a path that is written so is refused, where no route allows it.
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Self::EncodedSlash => "encoded slash",
            Self::EncodedPercent => "encoded percent sign",
            Self::PathParameters => "path parameter",
            Self::DottedNames => "dot in a name that a rule reads",
        }
    }
}

/// A path with one reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading<'a> {
    /// Decoded, without parameters; the last one is empty for a trailing slash. A segment holds a slash where the path
    /// holds `%2F`.
    pub(crate) segments: Vec<Cow<'a, str>>,
    /// The odd forms that it is written in, each once.
    pub(crate) forms: Vec<PathForm>,
}

impl<'a> Reading<'a> {
    /// Reads a path. `None` where no route could say how to.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix('/')?;
        let mut reading = Self { segments: Vec::with_capacity(8), forms: Vec::new() };
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let plain = match part.split_once(';') {
                None => part,
                Some((plain, parameters)) if last && !plain.is_empty() && are_parameters(parameters) => {
                    reading.note(PathForm::PathParameters);
                    plain
                }
                Some(_) => return None,
            };
            let segment = decode(plain)?;
            if segment.contains(|c: char| c.is_control() || matches!(c, '\\' | ';')) {
                return None;
            }
            if segment.is_empty() && !last || is_dots(&segment) {
                return None;
            }
            if segment.contains('%') {
                if decodes_again(&segment) {
                    return None;
                }
                reading.note(PathForm::EncodedPercent);
            }
            if segment.contains('/') {
                if segment.split('/').any(|piece| piece.is_empty() || is_dots(piece)) {
                    return None;
                }
                reading.note(PathForm::EncodedSlash);
            }
            reading.segments.push(segment);
        }
        Some(reading)
    }

    fn note(&mut self, form: PathForm) {
        if !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    /// The segments of a reader that takes `%2F` for a slash, where that makes a difference.
    pub(crate) fn split(&self) -> Option<Vec<Cow<'_, str>>> {
        self.forms
            .contains(&PathForm::EncodedSlash)
            .then(|| self.segments.iter().flat_map(|segment| segment.split('/')).map(Cow::Borrowed).collect())
    }
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Whether this is what stands behind the first `;` of a last segment: plain characters, no escape, no slash.
fn are_parameters(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*+,=:@&;".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// Whether a reader that decodes twice would find something else: an escape, or one in the manner of IIS (`%u002f`).
fn decodes_again(segment: &str) -> bool {
    segment.split('%').skip(1).any(|behind| {
        let mut bytes = behind.bytes();
        match (bytes.next(), bytes.next()) {
            (Some(b'u' | b'U'), _) => true,
            (Some(first), Some(second)) => first.is_ascii_hexdigit() && second.is_ascii_hexdigit(),
            (Some(_) | None, _) => false,
        }
    })
}

/// Percent-decodes (RFC 3986, section 2.1) into UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            decoded.push(high * 16 + low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::PathForm::{EncodedPercent, EncodedSlash, PathParameters};
    use super::*;

    #[test]
    fn a_plain_path_has_segments_and_no_odd_form() {
        let reading = Reading::of("/a%20b/%C3%BC/").unwrap();
        assert_eq!(
            (reading.segments.as_slice(), reading.forms.as_slice()),
            (&["a b", "ü", ""].map(Cow::from)[..], &[][..])
        );
        assert_eq!(Reading::of("/").unwrap().segments, [""]);
        assert_eq!(Reading::of("/").unwrap().split(), None);
    }

    #[test]
    fn an_odd_form_is_seen_and_read_as_its_application_does() {
        for (path, segments, forms) in [
            ("/a/b%2Fc", &["a", "b/c"][..], &[EncodedSlash][..]),
            ("/a/5%25", &["a", "5%"], &[EncodedPercent]),
            ("/a/5%25/%25x", &["a", "5%", "%x"], &[EncodedPercent]),
            ("/a/b;jsessionid=1.n!2", &["a", "b"], &[PathParameters]),
            ("/a/b;x;y=1,2", &["a", "b"], &[PathParameters]),
            ("/a/b%2Fc%25;v=1", &["a", "b/c%"], &[PathParameters, EncodedPercent, EncodedSlash]),
        ] {
            let reading = Reading::of(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(reading.segments, segments, "{path}");
            assert_eq!(reading.forms, forms, "{path}");
        }
        assert_eq!(Reading::of("/a%2Fb/c").unwrap().split().unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn what_nobody_could_allow_has_no_reading() {
        for bad in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/a/../b",
            "/%2e%2E/b",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%",
            "/a%4",
            "/a%zz",
            "/%ff",
            "/a\u{7f}",
            "/a%2F",
            "/%2Fa",
            "/a%2F%2Fb",
            "/a%2F..%2Fb",
            "/a%2F%2e",
            "/..%2Fa",
            "/..;/a",
            "/a/..;x",
            "/a/.;x",
            "/;x",
            "/a/;x",
            "/a;",
            "/a;x/b",
            "/a;x%2Fy",
            "/a;%6a",
            "/a%3Bb",
            "/a;x\\y",
            "/a%252Fb",
            "/a%2541",
            "/a%25u002f",
            "/a%25%32%46",
            "/a%252e%252e",
        ] {
            assert_eq!(Reading::of(bad), None, "{bad}");
        }
    }
}
