//! What a request's body says that could make another request of it: names of form fields, and outermost keys of JSON.
//!
//! Decides, while the body passes, whether a framework could find in it another method (`_method`), or a parameter that the
//! policy has read from the query. Such a body is not passed on any further. It never holds a body: only the name that it is
//! in the middle of, at most 1 KiB of it.

mod json;
mod pairs;
mod parts;

pub(crate) use pairs::Finder;

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
    /// Whether the first `_method` of a plain form was read before, and is allowed.
    excused: bool,
    others: Vec<String>,
}

impl Names {
    /// Whether a name, decoded, could be one of them.
    fn holds(&mut self, name: &str) -> bool {
        // PHP ends a name where it holds a NUL.
        let name = name.split('\0').next().unwrap_or_default();
        let overrides = self.method && canonical::method::is_method_override(name);
        if overrides && std::mem::take(&mut self.excused) {
            return false;
        }
        overrides || self.others.iter().any(|one| canonical::is_spelling_of(name, one))
    }

    /// Whether what begins so could still become one of them: it holds no letter and no digit, or those of one.
    fn begins_so(&self, start: &str) -> bool {
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
        let names = Names { method, excused: false, others };
        if !names.method && names.others.is_empty() {
            return Ok(Self { form: Form::Other, names });
        }
        let said = |name| headers.get(name).map(|value: &http::HeaderValue| value.as_bytes().to_ascii_lowercase());
        // Rack takes a POST without a type for a form.
        let kind = said(CONTENT_TYPE).unwrap_or_else(|| b"application/x-www-form-urlencoded".to_vec());
        let kind = String::from_utf8(kind).map_err(|_| Rejection::BadHeader("`Content-Type` is not text"))?;
        let coded = said(CONTENT_ENCODING).is_some_and(|coding| coding.trim_ascii() != b"identity");
        let form = if kind.contains("x-www-form-urlencoded") {
            Form::Pairs(pairs::Pairs::default())
        } else if kind.contains("multipart/") {
            let exact = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let boundary =
                parts::boundary(exact).ok_or(Rejection::BadHeader("`multipart` without one clear boundary"))?;
            Form::Parts(parts::Parts::new(boundary))
        } else if kind.contains("json") && !coded {
            Form::Keys(json::Keys::default())
        } else {
            return Ok(Self { form: Form::Other, names });
        };
        if coded {
            return Err(Rejection::BadHeader("a form in a content coding"));
        }
        if !is_plain_charset(&kind) {
            return Err(Rejection::BadHeader("a form in a charset in which its names cannot be seen"));
        }
        Ok(Self { form, names })
    }

    /// Excuses the first `_method` of a plain form, which [`Finder`] has read.
    #[must_use]
    pub(crate) fn excusing(self) -> Self {
        Self { names: Names { excused: true, ..self.names }, ..self }
    }

    /// Looks at the next piece. True: it, or what began in an earlier one, is a name that must not stand there.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        match &mut self.form {
            Form::Other => false,
            Form::Pairs(pairs) => piece.iter().any(|byte| pairs.finds(*byte, &mut self.names)),
            Form::Parts(parts) => piece.iter().any(|byte| parts.finds(*byte, &mut self.names)),
            Form::Keys(keys) => piece.iter().any(|byte| keys.finds(*byte, &mut self.names)),
        }
    }
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
mod tests {
    use http::HeaderValue;

    use super::*;

    fn watch(kind: &str, others: &[&str]) -> Watch {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        }
        Watch::new(&headers, true, others.iter().map(|one| (*one).to_owned()).collect()).unwrap()
    }

    /// Whether it is found, whole and byte by byte alike.
    fn found(kind: &str, body: &[u8]) -> bool {
        let whole = watch(kind, &["clinic"]).finds(body);
        let mut slow = watch(kind, &["clinic"]);
        assert_eq!(body.iter().any(|byte| slow.finds(&[*byte])), whole, "{}", body.escape_ascii());
        whole
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn a_form_that_makes_another_request_is_seen() {
        for body in [
            "_method=DELETE",
            "a=b&_method=put",
            "a=b&%5fmethod=PUT",
            "_method[]=PUT",
            "_method[0]=PUT",
            "%5B_method%5D=PUT",
            "&_method=PUT",
            "a=b;_method=PUT",
            "+_method=PUT",
            "\u{feff}_method=PUT",
            "%EF%BB%BF_method=PUT",
            "%ff_method=PUT",
            "_method%00x=PUT",
            ".method=PUT",
            "_METHOD=PUT",
            "clinic=b",
            "a=b&clinic[x]=b",
            "Clinic=b",
        ] {
            assert!(found(FORM, body.as_bytes()), "{body}");
            assert!(found("", body.as_bytes()), "{body} without a type");
            assert!(found("Application/X-WWW-Form-URLEncoded ; charset=\"UTF-8\"", body.as_bytes()), "{body}");
            assert!(!found("text/plain", body.as_bytes()), "{body}");
        }
        for body in
            ["a=_method", "method=PUT", "_methods=PUT", "a=b&c=d", "", "=", "&&", "{\"a\": 1}", "clinics=b", "a=clinic"]
        {
            assert!(!found(FORM, body.as_bytes()), "{body}");
        }
        assert!(!found(FORM, &[b'x'; 5_000]), "a long name is none of ours");
        assert!(found(FORM, &b"%20".repeat(1_000)), "one that could still become ours is refused");
    }

    #[test]
    fn a_part_that_makes_another_request_is_seen() {
        let kind = "multipart/form-data; boundary=\"X y\"";
        let body = |head: &str| {
            format!(
                "--X y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--X y\r\n{head}\r\n\r\nPUT\r\n--X y--\r\n"
            )
        };
        for head in [
            "Content-Disposition: form-data; name=\"_method\"",
            "content-disposition: form-data; name=_method",
            "Content-Disposition: form-data; name='_method'",
            "Content-Disposition: form-data; NAME = \"_method[]\"",
            "Content-Disposition: form-data; name*=utf-8''%5fmethod",
            "Content-Disposition: form-data; name=\"a\"; name=\"_method\"",
            "Content-Disposition: form-data;\r\n name=\"_method\"",
            "X: y\nContent-Disposition: form-data; name=\"_method\"",
            "Content-Disposition: form-data; name=\"\\_method\"",
            "Content-Disposition: form-data; name=\"clinic\"",
        ] {
            assert!(found(kind, body(head).as_bytes()), "{head}");
        }
        for head in [
            "Content-Disposition: form-data; name=\"method\"",
            "Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"",
            "Content-Disposition: form-data; name=\"a\"\r\n\r\nname=\"_method\"",
        ] {
            assert!(!found(kind, body(head).as_bytes()), "{head}");
        }
        assert!(found(kind, format!("--X y\r\n{}", "a: b\r\n".repeat(3_000)).as_bytes()), "a head without an end");
    }

    #[test]
    fn a_key_that_makes_another_request_is_seen() {
        for body in [
            "{\"_method\":\"PUT\"}",
            "{\"a\": {\"b\": [1, \"}\"]}, \"_method\" : \"PUT\"}",
            "{\"\\u005fmethod\": 1}",
            "{\"\\u005Fm\\u0065thod\": 1}",
            "\u{feff}{\"_method\": 1}",
            "{\"a\": \"\\\"\", \"_method\": 1}",
            "{\"clinic\": \"b\"}",
        ] {
            assert!(found("application/json", body.as_bytes()), "{body}");
            assert!(found("application/vnd.api+json; charset=utf-8", body.as_bytes()), "{body}");
        }
        for body in [
            "{\"a\": \"_method\"}",
            "{\"a\": {\"_method\": 1}}",
            "[{\"_method\": 1}]",
            "{\"method\": 1}",
            "\"_method\"",
            "[]",
            "",
            "{\"a\": \"\\\", \\\"_method\\\": 1\"}",
        ] {
            assert!(!found("application/json", body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_form_whose_names_cannot_be_seen_is_refused() {
        let new = |pairs: &[(http::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
            Watch::new(&headers.collect(), true, Vec::new())
        };
        for kind in [
            "application/x-www-form-urlencoded; charset=utf-16",
            "application/x-www-form-urlencoded; Charset=\"ibm037\"",
            "application/json; charset=utf-16le",
            "multipart/form-data",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=",
        ] {
            assert!(new(&[(CONTENT_TYPE, kind)]).is_err(), "{kind}");
        }
        assert!(new(&[(CONTENT_TYPE, FORM), (CONTENT_ENCODING, "gzip")]).is_err());
        assert!(new(&[(CONTENT_TYPE, FORM), (CONTENT_ENCODING, "identity")]).is_ok());
        assert!(new(&[(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")]).is_ok());
        assert!(Watch::new(&HeaderMap::new(), false, Vec::new()).is_ok());
    }

    #[test]
    fn the_first_method_of_a_form_is_found_and_no_second_passes() {
        let find = |body: &str| -> Result<Option<String>, &str> {
            let mut slow = Finder::default();
            for byte in body.bytes() {
                if let Some(found) = slow.finds(&[byte])? {
                    return Ok(Some(found));
                }
            }
            slow.end()
        };
        let put = Ok(Some("put".to_owned()));
        for body in ["_method=put", "_method=put&a=b", "a=b&_method=put&_method=put", "x&_method=put"] {
            assert_eq!(find(body), put, "{body}");
        }
        assert_eq!(find("a=b;_method=put&c=d"), Ok(None), "the watch refuses it");
        assert_eq!(find("_method"), Ok(Some(String::new())));
        assert_eq!(find(""), Ok(None));
        assert_eq!(find(&format!("a={}&_method=put", "x".repeat(3_000))), put);
        for body in ["%5fmethod=put", "_method[]=put", "_METHOD=put", " _method=put"] {
            assert!(find(body).is_err(), "{body}");
        }
        let excused = |body: &str| watch(FORM, &["clinic"]).excusing().finds(body.as_bytes());
        assert!(!excused("a=b&_method=put&c=d"));
        assert!(excused("_method=put&_method=put"));
        assert!(excused("_method=put&a=b&clinic=b"));
    }
}
