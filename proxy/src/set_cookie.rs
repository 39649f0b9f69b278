//! A `Set-Cookie` line as browsers read it (RFC 6265bis, section 5.6): the one reader of it, and the line that takes a cookie back.
//!
//! Decides where name, value and attributes begin and end, for all who look at one. It never changes a line, and what an
//! attribute means is for others to say.

use http::header::HeaderValue;

/// The longest attribute value that browsers read; they pass over an attribute with a longer one.
const ATTRIBUTE_LIMIT: usize = 1_024;

/// A line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetCookie<'a> {
    /// `None` for a value without a name.
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    behind: &'a [u8],
}

/// What stands between two semicolons behind the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// All of it, without blanks around.
    pub(crate) text: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
}

/// The line that makes a browser let go of a cookie which lives at this path, and for this domain or the host alone.
pub(crate) fn removal(name: &str, path: &str, domain: Option<&str>) -> Option<HeaderValue> {
    let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    HeaderValue::try_from(format!("{name}=; Max-Age=0; Path={path}{domain}; Secure; HttpOnly; SameSite=Lax")).ok()
}

impl<'a> SetCookie<'a> {
    /// Reads a line.
    pub(crate) fn read(line: &'a HeaderValue) -> Self {
        let (first, behind) = cut(line.as_bytes(), b';');
        let (before, value) = cut(first, b'=');
        let (name, value) = match value {
            Some(value) => (Some(before.trim_ascii()).filter(|name| !name.is_empty()), value),
            None => (None, before),
        };
        Self { name, value: value.trim_ascii(), behind: behind.unwrap_or_default() }
    }

    /// All attributes, in their order, those that browsers pass over included.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        let parts = self.behind.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
        parts.map(|text| {
            let (name, value) = cut(text, b'=');
            Attribute { text, name: name.trim_ascii(), value: value.unwrap_or_default().trim_ascii() }
        })
    }
}

impl<'a> Attribute<'a> {
    /// Whether it is that of this name, long or short.
    pub(crate) fn is(self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its value, where it is that of this name and browsers do not pass over it. Empty where it has none.
    pub(crate) fn value_of(self, name: &str) -> Option<&'a [u8]> {
        (self.is(name) && self.value.len() <= ATTRIBUTE_LIMIT).then_some(self.value)
    }
}

/// What stands before the first `sign`, and behind it if it is there.
fn cut(text: &[u8], sign: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == sign).and_then(|at| text.split_at_checked(at)) {
        Some((before, rest)) => (before, rest.get(1..)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_value_and_attributes_end_where_browsers_end_them() {
        let long = format!("a=b; Path={}", "x".repeat(ATTRIBUTE_LIMIT + 1));
        type Read<'a> = (Option<&'a str>, &'a str, &'a [(&'a str, &'a str)]);
        let cases: [(&str, Read<'_>); 7] = [
            (" sid = a=b ;; PATH = /x=y ; Secure", (Some("sid"), "a=b", &[("path", "/x=y"), ("secure", "")])),
            ("sid", (None, "sid", &[])),
            ("=a; secure", (None, "a", &[("secure", "")])),
            ("sid=", (Some("sid"), "", &[])),
            ("sid=\"a; Secure\"; HttpOnly", (Some("sid"), "\"a", &[("secure\"", ""), ("httponly", "")])),
            ("", (None, "", &[])),
            (&long, (Some("a"), "b", &[])),
        ];
        for (line, (name, value, attributes)) in cases {
            let header = HeaderValue::from_str(line).unwrap();
            let read = SetCookie::read(&header);
            assert_eq!((read.name, read.value), (name.map(str::as_bytes), value.as_bytes()), "{line}");
            for (name, value) in attributes {
                let found = read.attributes().find_map(|one| one.value_of(name));
                assert_eq!(found, Some(value.as_bytes()), "{line}: {name}");
            }
            let counted = read.attributes().filter(|one| {
                ["path", "secure", "secure\"", "httponly"].iter().any(|name| one.value_of(name).is_some())
            });
            assert_eq!(counted.count(), attributes.len(), "{line}");
        }
    }
}
