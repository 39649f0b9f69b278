//! What a route's path looks like.
//!
//! It is compared with a request's path segment by segment, both decoded, so that `%41` and `A` are one. What those segments
//! are is decided where the request's path is read.

use std::borrow::Cow;
use std::ops::Range;

/// Segments of the longest template; paths may be longer, since `**` covers any number.
pub(crate) const MOST_SEGMENTS: usize = 64;
/// Bytes of the longest template.
const LONGEST: usize = 1024;

/// The path of a route.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Itself, decoded. The empty one stands last, for a trailing slash.
    Literal(String),
    /// `{name}`: one segment that is not empty.
    Param(String),
    /// `**`: any number of segments, none included. It stands last.
    Rest,
}

/// What is wrong with a template, and where, in bytes.
pub(crate) struct TemplateFault {
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<TemplateFault>> {
        let whole = |message: &str, help: &str| {
            vec![TemplateFault { range: 0..text.len(), message: message.to_owned(), help: help.to_owned() }]
        };
        let Some(rest) = text.strip_prefix('/') else {
            return Err(whole("a path begins with `/`", "write the path alone, without scheme and host"));
        };
        if text.len() > LONGEST || rest.split('/').count() > MOST_SEGMENTS {
            return Err(whole("the path is too long", "at most 1,024 bytes and 64 segments"));
        }
        let mut faults = Vec::new();
        let mut segments: Vec<Segment> = Vec::new();
        let mut start = 1;
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let end = start + part.len();
            match segment(part, parts.peek().is_none(), &segments) {
                Ok(segment) => segments.push(segment),
                Err((message, help)) => faults.push(TemplateFault { range: start..end.max(start + 1), message, help }),
            }
            start = end + 1;
        }
        if faults.is_empty() { Ok(Self { text: text.to_owned(), segments }) } else { Err(faults) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it fits the segments of a path.
    pub(crate) fn fits(&self, path: &[Cow<'_, str>]) -> bool {
        let mut path = path.iter();
        for segment in &self.segments {
            let fits = match (segment, path.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Literal(text), Some(one)) => text == one,
                (Segment::Param(_), Some(one)) => !one.is_empty(),
                (Segment::Literal(_) | Segment::Param(_), None) => false,
            };
            if !fits {
                return false;
            }
        }
        path.next().is_none()
    }

    /// Whether the segment at place `at` is written out.
    pub(crate) fn names(&self, at: usize) -> bool {
        matches!(self.segments.get(at), Some(Segment::Literal(_)))
    }

    /// The names in braces, in order.
    pub(crate) fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name.as_str()),
            Segment::Literal(_) | Segment::Rest => None,
        })
    }

    /// The same text for two templates that fit the same paths, and for no others.
    pub(crate) fn shape(&self) -> String {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => format!("/{text}"),
                Segment::Param(_) => "/{}".to_owned(),
                Segment::Rest => "/**".to_owned(),
            })
            .collect()
    }
}

fn segment(part: &str, last: bool, before: &[Segment]) -> Result<Segment, (String, String)> {
    let fault = |message: String, help: &str| Err((message, help.to_owned()));
    match part {
        "**" if last => return Ok(Segment::Rest),
        "**" => return fault("`**` stands in the middle of a path".to_owned(), "it can only be the last segment"),
        "" if last => return Ok(Segment::Literal(String::new())),
        "" => return fault("a segment is empty".to_owned(), "write one `/` where there are two"),
        "." | ".." => {
            return fault(format!("`{part}` is no segment: no request arrives with it"), "write the path it leads to");
        }
        _ => {}
    }
    if part.contains('*') {
        return fault(
            format!("`*` in `{part}` stands for nothing"),
            "write `{name}` for one segment and `**` at the end for any number",
        );
    }
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return param(name, before);
    }
    if part.contains(['{', '}']) {
        return fault(
            format!("the braces in `{part}` are no `{{name}}`"),
            "braces hold a whole segment, as in `/{id}/`",
        );
    }
    if part.contains('%') {
        return fault(format!("`{part}` holds a `%`"), "write the character itself; paths are compared decoded");
    }
    if let Some(bad) = part.chars().find(|c| c.is_control() || c.is_whitespace() || "?#;\\\"<>^`|".contains(*c)) {
        return fault(
            format!("{bad:?} cannot stand in a path"),
            "a route names the path alone: no query, no fragment, no `;` parameters",
        );
    }
    Ok(Segment::Literal(part.to_owned()))
}

fn param(name: &str, before: &[Segment]) -> Result<Segment, (String, String)> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let word = name.len() <= 64
        && name.bytes().all(known)
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !word {
        let help = "1 to 64 letters, digits and `_`, a letter first".to_owned();
        return Err((format!("`{{{name}}}` is no name of a segment"), help));
    }
    let segment = Segment::Param(name.to_owned());
    if before.contains(&segment) {
        return Err((format!("`{{{name}}}` stands here twice"), "give each segment its own name".to_owned()));
    }
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_are_fine() {
        for good in ["/", "/a", "/a/", "/a/{b}/c/**", "/**", "/{x}", "/a.b:c@d!$&'()+,=~-_", "/Übersicht"] {
            assert_eq!(Template::parse(good).map(|template| template.text).ok().as_deref(), Some(good));
        }
    }

    #[test]
    fn templates_that_are_not_say_where_and_why() {
        for (bad, range, said) in [
            ("", 0..0, "begins with"),
            ("api", 0..3, "begins with"),
            ("https://a.example/b", 0..19, "begins with"),
            ("/a//b", 3..4, "empty"),
            ("/a/**/b", 3..5, "middle"),
            ("/a/**/", 3..5, "middle"),
            ("/a/b*", 3..5, "stands for nothing"),
            ("/a/*", 3..4, "stands for nothing"),
            ("/a/../b", 3..5, "no segment"),
            ("/a/{b", 3..5, "braces"),
            ("/a/x{b}", 3..7, "braces"),
            ("/a/{}", 3..5, "no name"),
            ("/a/{1b}", 3..7, "no name"),
            ("/a/{b c}", 3..8, "no name"),
            ("/{b}/{b}", 5..8, "twice"),
            ("/a%2fb", 1..6, "`%`"),
            ("/a?b=c", 1..6, "cannot stand"),
            ("/a;b", 1..4, "cannot stand"),
            ("/a b", 1..4, "cannot stand"),
        ] {
            let faults = Template::parse(bad).unwrap_err();
            assert_eq!(faults.len(), 1, "{bad}");
            assert_eq!(faults[0].range, range, "{bad}");
            assert!(faults[0].message.contains(said), "{bad}: {}", faults[0].message);
        }
        let long = format!("/{}", "a/".repeat(64));
        assert!(Template::parse(&long).is_err());
        assert_eq!(Template::parse("//{}/**/x").unwrap_err().len(), 3, "all at once");
    }
}
