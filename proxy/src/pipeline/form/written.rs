//! A form that nobody sent: its fields as somebody writes them who asks what would become of one.
//!
//! Decides nothing by itself: it is read by the reader that reads forms, and looked at by the watch that sees them pass.

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use policy::{FormAsked, Match};

use super::super::canonical::method;
use super::Fields;
use crate::runtime::{MethodOverride, Reading};
use crate::upstream::watch::{Reader, Watch};

/// A form, written out.
#[derive(Debug)]
pub(in crate::pipeline) struct Written {
    /// What of it picks the route.
    pub(in crate::pipeline) fields: Fields,
    /// The method that it makes of the request's.
    pub(in crate::pipeline) method: Method,
    body: String,
    excused: Vec<String>,
}

impl Written {
    /// A request with `method` and these fields, each written as browsers do. Without any it has no body.
    ///
    /// # Errors
    /// What in them two readers could read in two ways.
    pub(in crate::pipeline) fn new<'a>(
        fields: impl Iterator<Item = (&'a str, &'a str)>,
        asked: FormAsked,
        reading: Reading,
        method: Method,
    ) -> Result<Self, &'static str> {
        let pairs: Vec<String> = fields.map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let body = pairs.join("&");
        if body.is_empty() {
            return Ok(Self { fields: Fields::none(), method, body, excused: Vec::new() });
        }
        let overrides = reading.method_override == MethodOverride::Form;
        let (mut found, wanted) = (Default::default(), overrides || !asked.fields.is_empty());
        if wanted {
            let mut reader = Reader::new(&plain(), asked.fields, overrides)?;
            found = if reader.takes(body.as_bytes())? { reader.found() } else { reader.ends()? };
        }
        let excused = found.keys().cloned().collect();
        let (fields, named) = Fields::read(found);
        let method = match named {
            Some(name) => method::become_of(&method, &name)?,
            None => method,
        };
        Ok(Self { fields, method, body, excused })
    }

    /// Whether it would pass on its way to the application, once it has picked a route.
    ///
    /// # Errors
    /// What would stop it.
    pub(in crate::pipeline) fn passes(&self, found: &Match<'_>) -> Result<(), &'static str> {
        let unclear = "the body makes another request of it";
        let names = found.parameter_names().map(str::to_owned).collect();
        let mut watch = Watch::new(&plain(), true, names).map_err(|_| unclear)?.excusing(self.excused.clone());
        if watch.finds(self.body.as_bytes()) || watch.finds_at_end() { Err(unclear) } else { Ok(()) }
    }
}

fn plain() -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))].into_iter().collect()
}

/// Text as it stands in a plain form. Brackets stay: browsers escape them, and they are the same to all.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use policy::Occurs;

    use super::*;

    #[test]
    fn a_form_that_is_written_out_is_read_as_one_that_is_sent() {
        let read = |pairs: &[(&str, &str)], method_override| {
            let asked = FormAsked { fields: vec!["action".to_owned()], decides: true, open: false };
            let reading = Reading { method_override, ..Reading::default() };
            Written::new(pairs.iter().copied(), asked, reading, Method::POST)
        };
        let pairs = [("a&b", "x=y"), ("action", "a b&\u{fc}"), ("_method", "put")];
        let form = read(&pairs, MethodOverride::Form).unwrap();
        assert_eq!(form.fields.occurs("action"), Occurs::Once(Cow::Borrowed("a b&\u{fc}")));
        assert_eq!((form.fields.occurs("a&b"), form.method), (Occurs::Absent, Method::PUT));
        assert_eq!(read(&pairs, MethodOverride::Refuse).unwrap().method, Method::POST, "it is refused as it passes");
        assert!(read(&[("Action", "x")], MethodOverride::Refuse).is_err());
        assert_eq!(read(&[], MethodOverride::Form).unwrap().fields.occurs("action"), Occurs::Absent);
    }
}
