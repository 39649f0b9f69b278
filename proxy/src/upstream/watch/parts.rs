//! Names of the parts of a multipart body (RFC 7578), as the loosest readers see them.

use super::pairs::decoded;
use super::{LONGEST_NAME, Names};

/// The most bytes that the head of one part may have.
const LONGEST_HEAD: usize = 8 * 1024;

/// Where in the body the next byte stands.
#[derive(Debug)]
pub(super) struct Parts {
    boundary: Vec<u8>,
    /// The line so far: whole in a head, no longer than the boundary elsewhere.
    line: Vec<u8>,
    /// The head so far, its line ends taken out; `None` outside of heads.
    head: Option<Vec<u8>>,
}

/// The one boundary that a type names, with the dashes before it.
pub(super) fn boundary(kind: &str) -> Option<Vec<u8>> {
    let mut named = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let is_boundary = |name: &str| name.trim().to_ascii_lowercase().starts_with("boundary");
    let (name, value) = named.by_ref().find(|(name, _)| is_boundary(name))?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    // RFC 2046, section 5.1.1.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=70).contains(&value.len()) && value.bytes().all(plain) && !value.ends_with(' ');
    let once = name.trim().eq_ignore_ascii_case("boundary") && !named.any(|(name, _)| is_boundary(name));
    (fits && once).then(|| [b"--", value.as_bytes()].concat())
}

impl Parts {
    pub(super) fn new(boundary: Vec<u8>) -> Self {
        Self { boundary, line: Vec::new(), head: None }
    }

    /// Takes the next byte; true where it ends the head of a part that must not stand there.
    pub(super) fn finds(&mut self, byte: u8, names: &mut Names) -> bool {
        if byte != b'\n' {
            let most = if self.head.is_some() { LONGEST_HEAD } else { self.boundary.len() };
            if self.line.len() < most {
                self.line.push(byte);
                return false;
            }
            return self.head.is_some();
        }
        let line = std::mem::take(&mut self.line);
        let Some(head) = &mut self.head else {
            // Whatever begins as the boundary does is one to somebody.
            self.head = line.starts_with(&self.boundary).then(Vec::new);
            return false;
        };
        // A line of spaces goes on with the one before it, to some.
        if matches!(line.as_slice(), b"" | b"\r") {
            let head = self.head.take().unwrap_or_default();
            return hold(&head, names);
        }
        head.push(b' ');
        head.extend_from_slice(line.trim_ascii());
        head.len() > LONGEST_HEAD
    }
}

/// Whether a head names one of them, in any of its parameters that is called a name.
fn hold(head: &[u8], names: &mut Names) -> bool {
    let text = String::from_utf8_lossy(head);
    let lower = text.to_ascii_lowercase();
    let of_file = |at: usize| lower.get(..at).is_some_and(|before| before.ends_with("file"));
    lower.match_indices("name").filter(|(at, _)| !of_file(*at)).any(|(at, found)| {
        let behind = text.get(at + found.len()..).unwrap_or_default().trim_start_matches(['*', '0', ' ', '\t']);
        let Some(value) = behind.strip_prefix('=') else { return false };
        let value = value.trim_start();
        let (value, end) = match value.strip_prefix('"') {
            Some(quoted) => (quoted, '"'),
            None => (value, ';'),
        };
        let value = value.split(end).next().unwrap_or_default().replace('\\', "");
        let plain = value.rsplit_once("''").map_or(value.as_str(), |(_, plain)| plain);
        plain.len() > LONGEST_NAME || names.holds(&decoded(plain.trim_matches('\'').as_bytes()))
    })
}
