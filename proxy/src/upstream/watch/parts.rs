//! Names of the parts of a multipart body (RFC 7578), whose delimiters and heads readers take in many ways.
//!
//! Decides by a strict grammar, the one that every reader agrees on and that browsers write: a delimiter between line ends,
//! field lines that end in CR LF, one `Content-Disposition` with one plain `name`. Whatever differs is refused. It never
//! looks at what the parts hold, other than for the boundary, which must stand nowhere but in a delimiter.

use super::boundary::Needle;
use super::pairs::decoded;
use super::{LONGEST_NAME, Names};

/// The most bytes that the head of one part may have, and one line of it: PHP cuts a line at 5,120 bytes and takes what
/// follows for the next one.
const LONGEST_HEAD: usize = 8 * 1024;
const LONGEST_LINE: usize = 2 * 1024;
/// The header that names a part. Rack finds it within the value of any other.
const DISPOSITION: &str = "content-disposition";

/// Where in the body the next byte stands.
#[derive(Debug)]
pub(super) struct Parts {
    /// The boundary behind a line end: what a delimiter is to all.
    delimiter: Needle,
    /// The boundary anywhere: some readers need no line end before it, or take a lone CR for one.
    anywhere: Needle,
    at: At,
    /// Whether the last delimiter has come whole.
    closed: bool,
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
        Self { delimiter, anywhere: Needle::new(boundary), at: At::Content, closed: false }
    }

    /// Takes the next byte; true where it ends what must not stand there. Of a form that was `judged` each part is a field:
    /// PHP and Werkzeug drop fields, or all of them, for one that is none.
    pub(super) fn finds(&mut self, byte: u8, judged: bool, names: &mut Names) -> bool {
        match self.takes(byte) {
            Step::Nothing | Step::Boundary | Step::Opened | Step::Closed => false,
            Step::Refused => true,
            Step::Head(head) => !is_strict(&head) || (judged && !self.closed && !is_field(&head)) || hold(&head, names),
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
                    b"--\r\n" => {
                        self.closed = true;
                        Step::Closed
                    }
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

    /// Whether the last delimiter has come, so that the body is whole: Werkzeug and Tomcat drop all of one that is not.
    pub(super) fn is_whole(&self) -> bool {
        let ends = match &self.at {
            At::Content | At::Head(_) => false,
            At::Delimiter(since) => since.starts_with(b"--"),
        };
        self.closed || ends
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
    let dispositions = text.to_ascii_lowercase().matches(DISPOSITION).count();
    let mut seen = 0;
    let strict = lines(text).all(|line| {
        let Some((name, value)) = line.split_once(':') else { return false };
        let is_disposition = name.eq_ignore_ascii_case(DISPOSITION);
        seen += usize::from(is_disposition);
        line.len() <= LONGEST_LINE && is_token(name) && (!is_disposition || disposition(value).is_some())
    });
    // Once at most, and nowhere but where it is a header.
    strict && dispositions <= 1 && seen == dispositions
}

/// Whether a strict head is that of a field, as RFC 7578, section 4.2, wants each part: `form-data`, with a name.
pub(super) fn is_field(head: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(head) else { return false };
    lines(text).any(|line| {
        let said = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(DISPOSITION));
        said.and_then(|(_, value)| disposition(value)).is_some_and(|one| one.is_form_data && one.named)
    })
}

pub(super) fn lines(head: &str) -> impl Iterator<Item = &str> {
    head.split("\r\n").filter(|line| !line.is_empty())
}

/// RFC 9110, section 5.6.2, without those that no name of a header or a parameter has.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte))
}

/// What a disposition says that readers agree on.
struct Disposition {
    is_form_data: bool,
    /// Whether it has a name, and one that is not empty.
    named: bool,
}

/// Reads a disposition whose parameters can be parted in one way only, and of which no more than one is a name, in one piece
/// (RFC 7578, section 4.2, forbids those of RFC 2231).
fn disposition(value: &str) -> Option<Disposition> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let kind = kind.trim_matches([' ', '\t']);
    let (mut named, mut nameless) = (false, true);
    if !is_token(kind) {
        return None;
    }
    while !rest.trim_start_matches([' ', '\t']).is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim_start_matches([' ', '\t']).to_ascii_lowercase();
        let is_name = name.starts_with("name");
        let twice = is_name && named;
        named |= is_name;
        if !is_token(&name) || twice || (is_name && name != "name") {
            return None;
        }
        let (value, behind) = parted(behind)?;
        if is_name {
            if !value.is_plain() {
                return None;
            }
            nameless = value.is_empty();
        }
        rest = behind;
    }
    Some(Disposition { is_form_data: kind.eq_ignore_ascii_case("form-data"), named: named && !nameless })
}

/// A parameter's value as it is written.
enum Written<'text> {
    Quoted(&'text str),
    Bare(&'text str),
}

impl Written<'_> {
    fn is_plain(&self) -> bool {
        match self {
            // Browsers write `%22` for a quote; what a `\` means differs. Tomcat reads words of RFC 2047.
            Written::Quoted(inner) => !inner.contains('\\') && !inner.contains("=?"),
            Written::Bare(bare) => is_token(bare) && !bare.contains('*'),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Written::Quoted(inner) => inner.trim().is_empty(),
            Written::Bare(bare) => bare.is_empty(),
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
        // Without quotes it ends at the first space to some.
        let word = value.split([' ', '\t']).next().filter(|word| end == ";" && *word != value);
        let mut is_ours = |value: &str| names.holds(&decoded(value.trim_matches('\'').as_bytes()));
        value.len() > LONGEST_NAME || is_ours(&value) || word.is_some_and(is_ours)
    })
}
