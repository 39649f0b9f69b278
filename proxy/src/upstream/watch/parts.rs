//! Names of the parts of a multipart body (RFC 7578), whose delimiters and heads readers take in many ways.
//!
//! Decides by a strict grammar, the one that every reader agrees on and that browsers write: a delimiter between line ends,
//! field lines that end in CR LF, one `Content-Disposition` with one plain `name`. Whatever differs is refused. It never
//! looks at what the parts hold, other than for the boundary, which must stand nowhere but in a delimiter.

use super::boundary::Needle;
use super::pairs::decoded;
use super::{LONGEST_NAME, Names};

/// The most bytes that the head of one part may have.
const LONGEST_HEAD: usize = 8 * 1024;

/// Where in the body the next byte stands.
#[derive(Debug)]
pub(super) struct Parts {
    /// The boundary behind a line end: what a delimiter is to all.
    delimiter: Needle,
    /// The boundary anywhere: some readers need no line end before it, or take a lone CR for one.
    anywhere: Needle,
    at: At,
}

#[derive(Debug)]
enum At {
    /// Before the first part, or in one.
    Content,
    /// Behind a boundary, and what came of `--` and the line end since.
    Delimiter(Vec<u8>),
    /// In the head of a part, as far as it came. What follows the last delimiter is a part to some.
    Head(Vec<u8>),
}

/// What a byte has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Nothing,
    /// What no two readers agree on.
    Refused,
    /// The end of a boundary where one may stand: what stood before it and behind the last head was a part's.
    Boundary,
    /// The end of a delimiter: a part begins.
    Opened,
    /// The end of the last delimiter.
    Closed,
    /// The end of a head.
    Head(Vec<u8>),
}

impl Parts {
    /// Looks for parts between `boundary`, which begins with its two dashes.
    pub(super) fn new(boundary: Vec<u8>) -> Self {
        let mut delimiter = Needle::new([b"\r\n", boundary.as_slice()].concat());
        delimiter.stand_behind_line();
        Self { delimiter, anywhere: Needle::new(boundary), at: At::Content }
    }

    /// Takes the next byte; true where it ends what must not stand there.
    pub(super) fn finds(&mut self, byte: u8, names: &mut Names) -> bool {
        match self.takes(byte) {
            Step::Nothing | Step::Boundary | Step::Opened | Step::Closed => false,
            Step::Refused => true,
            Step::Head(head) => !is_strict(&head) || hold(&head, names),
        }
    }

    /// Takes the next byte.
    pub(super) fn takes(&mut self, byte: u8) -> Step {
        match &mut self.at {
            At::Content => match (self.delimiter.ends(byte), self.anywhere.ends(byte)) {
                (true, true) => {
                    self.at = At::Delimiter(Vec::new());
                    Step::Boundary
                }
                (false, true) => Step::Refused,
                (true | false, false) => Step::Nothing,
            },
            At::Delimiter(since) => {
                since.push(byte);
                let step = match since.as_slice() {
                    b"\r\n" => Step::Opened,
                    b"--\r\n" => Step::Closed,
                    so_far if b"\r\n".starts_with(so_far) || b"--\r\n".starts_with(so_far) => return Step::Nothing,
                    _ => return Step::Refused,
                };
                self.at = At::Head(Vec::new());
                step
            }
            At::Head(head) => {
                let behind_cr = head.last() == Some(&b'\r');
                let control = byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t');
                if control || behind_cr != (byte == b'\n') || head.len() >= LONGEST_HEAD {
                    return Step::Refused;
                }
                head.push(byte);
                let ended = head.as_slice() == b"\r\n" || head.ends_with(b"\r\n\r\n");
                if !ended {
                    return Step::Nothing;
                }
                let head = std::mem::take(head);
                self.at = At::Content;
                self.delimiter.stand_behind_line();
                Step::Head(head)
            }
        }
    }

    /// Whether the last delimiter has come, so that the body may end.
    pub(super) fn is_last(&self) -> bool {
        match &self.at {
            At::Content | At::Head(_) => false,
            At::Delimiter(since) => since.starts_with(b"--"),
        }
    }

    /// Whether the body must not end here: in a delimiter that is not the last, or in a head.
    pub(super) fn is_open(&self) -> bool {
        match &self.at {
            At::Content => false,
            At::Delimiter(since) => !matches!(since.as_slice(), b"--" | b"--\r"),
            At::Head(head) => !head.is_empty(),
        }
    }
}

/// Whether a head is one field line after the other, of which one at most is a `Content-Disposition`, and that a plain one.
pub(super) fn is_strict(head: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(head) else { return false };
    let mut dispositions = 0;
    text.split("\r\n").filter(|line| !line.is_empty()).all(|line| {
        let Some((name, value)) = line.split_once(':') else { return false };
        let is_disposition = name.eq_ignore_ascii_case("content-disposition");
        dispositions += u32::from(is_disposition);
        is_token(name) && dispositions <= 1 && (!is_disposition || is_plain_disposition(value))
    })
}

/// RFC 9110, section 5.6.2, without those that no name of a header or a parameter has.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte))
}

/// Whether the parameters can be parted in one way only, and no more than one of them is a name, in one piece (RFC 7578,
/// section 4.2, forbids those of RFC 2231).
fn is_plain_disposition(value: &str) -> bool {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut named = false;
    if !is_token(kind.trim_matches([' ', '\t'])) {
        return false;
    }
    while !rest.trim_start_matches([' ', '\t']).is_empty() {
        let Some((name, behind)) = rest.split_once('=') else { return false };
        let name = name.trim_start_matches([' ', '\t']).to_ascii_lowercase();
        let is_name = name.starts_with("name");
        let twice = is_name && named;
        named |= is_name;
        if !is_token(&name) || twice || (is_name && name != "name") {
            return false;
        }
        let Some((value, behind)) = parted(behind) else { return false };
        if is_name && !value.is_plain() {
            return false;
        }
        rest = behind;
    }
    true
}

/// A parameter's value as it is written.
enum Written<'text> {
    Quoted(&'text str),
    Bare(&'text str),
}

impl Written<'_> {
    fn is_plain(&self) -> bool {
        match self {
            // Browsers write `%22` for a quote; what a `\` means differs.
            Written::Quoted(inner) => !inner.contains('\\'),
            Written::Bare(bare) => is_token(bare) && !bare.contains('*'),
        }
    }
}

/// The value that `text` begins with, and what stands behind its `;`.
fn parted(text: &str) -> Option<(Written<'_>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (bare, rest) = text.split_once(';').unwrap_or((text, ""));
        let bare = bare.trim_end_matches([' ', '\t']);
        return (!bare.is_empty() && !bare.contains('"')).then_some((Written::Bare(bare), rest));
    };
    let mut escaped = false;
    let end = quoted.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })?;
    let (inner, behind) = quoted.split_at_checked(end)?;
    let behind = behind.strip_prefix('"')?.trim_start_matches([' ', '\t']);
    let rest = if behind.is_empty() { behind } else { behind.strip_prefix(';')? };
    Some((Written::Quoted(inner), rest))
}

/// Whether a head names one of them: in any of its parameters that is called a name, within a quoted text too, or, where
/// none is, anywhere. Rack takes `Content-ID`, a file's name or a type for the name of a part that has none.
pub(super) fn hold(head: &[u8], names: &mut Names) -> bool {
    let text = String::from_utf8_lossy(head);
    let nameless = !text.to_ascii_lowercase().replace("filename", "").contains("name");
    let ends = |letter: char| letter.is_ascii_whitespace() || ":;=\"<>,'".contains(letter);
    named(&text, names) || (nameless && text.split(ends).any(|word| names.holds(&decoded(word.as_bytes()))))
}

fn named(text: &str, names: &mut Names) -> bool {
    let lower = text.to_ascii_lowercase();
    let of_file = |at: usize| lower.get(..at).is_some_and(|before| before.ends_with("file"));
    lower.match_indices("name").filter(|(at, _)| !of_file(*at)).any(|(at, found)| {
        let behind = text.get(at + found.len()..).unwrap_or_default().trim_start_matches([' ', '\t']);
        if behind.starts_with('*') {
            return true;
        }
        let Some(value) = behind.strip_prefix('=') else { return false };
        let value = value.trim_start();
        let (value, end) = match value.strip_prefix('"') {
            Some(quoted) => (quoted, "\""),
            None => (value, ";"),
        };
        let value = value.split(['\r', '\n']).next().unwrap_or_default();
        let value = value.split(end).next().unwrap_or_default().replace('\\', "");
        value.len() > LONGEST_NAME || names.holds(&decoded(value.trim_matches('\'').as_bytes()))
    })
}
