//! What a request's body says that could make another request of it: names of form fields, and outermost keys of JSON.
//!
//! Decides, while the body passes, whether a framework could find in it another method (`_method`), or a parameter that the
//! policy has read from the query, or from the form before. Such a body is not passed on any further. It never holds a
//! body: only the name that it is in the middle of, at most 1 KiB of it, or the head of a part, at most 8 KiB.

mod boundary;
mod json;
mod pairs;
mod parts;
mod reader;

pub(crate) use reader::{MOST_FIELDS, Reader};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use crate::pipeline::canonical;
use crate::rejection::Rejection;

/// The longest name that is looked at, in bytes; what is longer and could still become one of ours is refused.
const LONGEST_NAME: usize = 1024;

/// Looks at a body as it passes.
#[derive(Debug)]
pub(crate) struct Watch {
    form: Form,
    names: Names,
    /// Whether something of it was judged, so that nothing must stand in it for which a reader drops the rest: a letter
    /// beyond ASCII in a plain form (Werkzeug takes all of it for empty where it is not UTF-8, and browsers write none), a
    /// part that is no field, an end without the last delimiter.
    judged: bool,
}

#[derive(Debug)]
enum Form {
    /// Nothing that frameworks read parameters from.
    Other,
    /// `a=b&c=d`.
    Pairs(pairs::Pairs),
    /// `multipart/form-data` and its kin.
    Parts(parts::Parts),
    /// JSON.
    Keys(json::Keys),
}

/// The names that a body must not hold.
#[derive(Debug)]
pub(super) struct Names {
    method: bool,
    /// Those whose first one was read before, and has been judged.
    excused: Vec<String>,
    /// Whether the body is a form or JSON for certain: without a type it may be anything, bytes too.
    typed: bool,
    others: Vec<String>,
}

impl Names {
    /// Whether a name, decoded, could be one of them.
    fn holds(&mut self, name: &str) -> bool {
        // PHP ends a name where it holds a NUL. No name of a field holds one.
        let cut = name.split('\0').next().unwrap_or_default();
        if cut != name {
            return self.typed || self.means(cut) || self.means(name);
        }
        if let Some(at) = self.excused.iter().position(|one| one == name) {
            self.excused.swap_remove(at);
            return false;
        }
        self.means(name)
    }

    fn means(&self, name: &str) -> bool {
        let is_override = self.method && canonical::method::is_method_override(name);
        is_override || self.others.iter().any(|one| canonical::is_spelling_of(name, one))
    }

    /// Whether what begins so is or could still become one of them: it holds no letter and no digit, or those of one, or
    /// one whole of them (`_method[` and more).
    fn begins_so(&self, start: &str) -> bool {
        let cut = start.split('\0').next().unwrap_or_default();
        if self.means(cut) || (self.typed && cut != start) {
            return true;
        }
        let start = canonical::loosely(start);
        let others = self.others.iter().map(|one| canonical::loosely(one));
        others.chain(self.method.then(|| "method".to_owned())).any(|one| one.starts_with(&start))
    }
}

impl Watch {
    /// Watches for another method where `method`, and for `others`. A body that is a form in a coding or a charset in which
    /// its names cannot be seen is refused at once.
    ///
    /// # Errors
    /// `BAD_HEADER`.
    pub(crate) fn new(headers: &HeaderMap, method: bool, others: Vec<String>) -> Result<Self, Rejection> {
        let typed = headers.contains_key(CONTENT_TYPE);
        let names = Names { method, excused: Vec::new(), typed, others };
        if !names.method && names.others.is_empty() {
            return Ok(Self { form: Form::Other, names, judged: false });
        }
        let said = |name| headers.get(name).map(|value: &http::HeaderValue| value.as_bytes().to_ascii_lowercase());
        // Rack takes a POST without a type for a form.
        let kind = said(CONTENT_TYPE).unwrap_or_else(|| b"application/x-www-form-urlencoded".to_vec());
        let kind = String::from_utf8(kind).map_err(|_| Rejection::BadHeader("`Content-Type` is not text"))?;
        // Rack takes an empty one for none; what others make of one that is none, nobody knows.
        if !is_media_type(&kind) {
            return Err(Rejection::BadHeader("`Content-Type` is no media type"));
        }
        let coded = is_coded(headers);
        let form = if kind.contains("x-www-form-urlencoded") {
            Form::Pairs(pairs::Pairs::default())
        } else if kind.contains("multipart/") {
            let exact = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let boundary =
                boundary::boundary(exact).ok_or(Rejection::BadHeader("`multipart` without one clear boundary"))?;
            Form::Parts(parts::Parts::new(boundary))
        } else if kind.contains("json") && !coded {
            Form::Keys(json::Keys::default())
        } else {
            return Ok(Self { form: Form::Other, names, judged: false });
        };
        if coded {
            return Err(Rejection::BadHeader("a form in a content coding"));
        }
        if !is_plain_charset(&kind) {
            return Err(Rejection::BadHeader("a form in a charset in which its names cannot be seen"));
        }
        Ok(Self { form, names, judged: false })
    }

    /// Excuses the first field of each of these names, which a [`Reader`] has read.
    #[must_use]
    pub(crate) fn excusing(self, excused: Vec<String>) -> Self {
        Self { judged: !excused.is_empty(), names: Names { excused, ..self.names }, ..self }
    }

    /// Looks at the next piece. True: it, or what began in an earlier one, is a name that must not stand there.
    pub(crate) fn finds(&mut self, piece: &[u8]) -> bool {
        match &mut self.form {
            Form::Other => false,
            Form::Pairs(_) if self.judged && !piece.is_ascii() => true,
            Form::Pairs(pairs) => piece.iter().any(|byte| pairs.finds(*byte, &mut self.names)),
            Form::Parts(parts) => piece.iter().any(|byte| parts.finds(*byte, self.judged, &mut self.names)),
            // A NUL stands in no JSON but in one of two or four bytes a letter, which some readers see by its look.
            Form::Keys(keys) => piece.iter().any(|byte| *byte == 0 || keys.finds(*byte, &mut self.names)),
        }
    }

    /// Looks at the end of the body. True: it ends a name that must not stand there, or what some read as a whole one.
    pub(crate) fn finds_at_end(&mut self) -> bool {
        match &mut self.form {
            Form::Other | Form::Keys(_) => false,
            Form::Pairs(pairs) => pairs.finds(b'&', &mut self.names),
            Form::Parts(parts) => parts.is_open() || (self.judged && !parts.is_whole()),
        }
    }
}

/// Whether a body is in a coding, by any of its headers.
fn is_coded(headers: &HeaderMap) -> bool {
    let plain = |coding: &http::HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(plain)
}

/// Whether a type is one at all (RFC 9110, section 8.3.1).
fn is_media_type(kind: &str) -> bool {
    let token = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !word.is_empty() && word.bytes().all(plain)
    };
    let bare = kind.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
    bare.split_once('/').is_some_and(|(kind, form)| token(kind) && token(form))
}

/// Whether the charset that a type names, if any, writes ASCII as ASCII.
fn is_plain_charset(kind: &str) -> bool {
    let mut named = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    named.all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        !name.trim().starts_with("charset")
            || matches!(value, "utf-8" | "utf8" | "us-ascii" | "ascii" | "iso-8859-1" | "iso-8859-15" | "windows-1252")
    })
}

#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twisted;
