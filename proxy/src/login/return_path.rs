//! Where a person is brought back to after signing in: always a path of the very same host.
//!
//! Decides whether a text is one, and refuses the rest: what a browser could take for another site (`//`, a backslash, a
//! scheme, anything that it drops while reading), and the gate's own paths, which would begin anew. It never repairs.

use std::fmt;

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::pipeline::{canonical, is_reserved};

/// The longest return path with its query, in bytes: it is kept in a cookie.
pub(super) const LONGEST: usize = 1_024;

/// A path of this host, with its query.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReturnPath(String);

/// A text that is no path of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotLocal;

impl fmt::Display for NotLocal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not a path of this host")
    }
}

impl std::error::Error for NotLocal {}

impl ReturnPath {
    /// The first page.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Reads a path with its query.
    ///
    /// # Errors
    /// Everything but a path of this host that can be read in one way.
    pub fn parse(text: &str) -> Result<Self, NotLocal> {
        // Browsers drop tabs and line ends before they read an address, and take `\` for `/`.
        let plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !plain || !text.starts_with('/') || text.starts_with("//") || text.contains('#') {
            return Err(NotLocal);
        }
        let uri: Uri = text.parse().map_err(|_| NotLocal)?;
        if uri.scheme().is_some() || uri.authority().is_some() {
            return Err(NotLocal);
        }
        // ORDER: what is the gate's own is seen in the canonical form: `/%2eanteroom` is.
        let (path, _) = canonical::target(&uri).map_err(|_| NotLocal)?;
        if is_reserved(&path.to_ascii_lowercase()) { Err(NotLocal) } else { Ok(Self(text.to_owned())) }
    }

    /// As `Location` says it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReturnPath {
    type Error = NotLocal;

    fn try_from(text: String) -> Result<Self, NotLocal> {
        Self::parse(&text)
    }
}

impl From<ReturnPath> for String {
    fn from(path: ReturnPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_host_are_kept_as_they_are() {
        for text in ["/", "/a", "/a/b?c=d&e=%2F", "/a?to=https://evil.example/", "/%61", "/a:b", "/a@b", "/.well-known"]
        {
            assert_eq!(ReturnPath::parse(text).map(|path| path.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let long = format!("/{}", "a".repeat(LONGEST));
        let others = [
            "",
            "a",
            "?a",
            "#a",
            ".",
            "..",
            "//evil.example",
            "///evil.example",
            "//evil.example/%2f..",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "/ /evil.example",
            " //evil.example",
            "/\u{0}/evil.example",
            "/\u{7f}",
            "https://evil.example",
            "https:/evil.example",
            "https:evil.example",
            "HTTPS://evil.example",
            "http:///evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "evil.example",
            "@evil.example",
            "clinic.example@evil.example",
            "/a//evil.example",
            "/..//evil.example",
            "/./a",
            "/a/../b",
            "/%2e%2e/a",
            "/%2e",
            "/%5cevil.example",
            "/a%0d%0aset-cookie:x",
            "/a%00",
            "/%zz",
            "/\u{e4}",
            "/\u{2044}evil.example",
            "/a#b",
            "/.anteroom",
            "/.anteroom/",
            "/.anteroom/login",
            "/.anteroom/callback?code=x",
            "/%2eanteroom/login",
            "/.%61nteroom/login",
            "/.Anteroom/login",
            &long,
        ];
        for text in others {
            assert_eq!(ReturnPath::parse(text), Err(NotLocal), "{text:?}");
        }
    }
}
