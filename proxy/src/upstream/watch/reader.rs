//! Fields of a form that are read before the decision: another method, and those by which a route is picked.
//!
//! Decides what each of them says, where a form says it in the one way that every reader agrees on; what differs is refused.
//! It takes a form apart as the watch does that sees it pass later, so that what it has read is the first that passes there.
//! It holds a name and a value, and never a form.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, HeaderMap};

use super::boundary::boundary;
use super::pairs::decoded;
use super::parts::{Parts, Step, hold, is_field, is_strict, is_token, lines};
use super::{LONGEST_NAME, Names, is_coded, is_plain_charset};
use crate::pipeline::canonical::form_decoded;

/// How many fields may stand before one that counts: PHP, Express and Node leave out those behind 1,000, and run all the same.
pub(crate) const MOST_FIELDS: usize = 512;

/// The field by which forms name another method.
const METHOD: &str = "_method";

/// Reads fields of one form.
#[derive(Debug)]
pub(crate) struct Reader {
    form: Form,
    fields: Fields,
}

/// A form, and where in it the next byte stands.
#[derive(Debug)]
enum Form {
    Pairs(Pairs),
    Parts(Box<InParts>),
}

/// What is looked for, and what was found.
#[derive(Debug)]
struct Fields {
    wanted: Vec<String>,
    names: Names,
    /// Whether letters beyond ASCII are sure to be UTF-8.
    utf8: bool,
    found: BTreeMap<String, String>,
    /// Whether a plain form holds letters beyond ASCII, for which Werkzeug may drop all of it.
    beyond: bool,
    /// How many fields have begun, empty ones and other parts too.
    count: usize,
}

impl Reader {
    /// A reader of what the headers say is a form, for `fields`, and for `_method` where `method`.
    ///
    /// # Errors
    /// Why the body is none that can be read: of another type, in a coding, or in a charset that is not known.
    pub(crate) fn new(headers: &HeaderMap, fields: Vec<String>, method: bool) -> Result<Self, &'static str> {
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let kind = match (types.next().map(http::HeaderValue::to_str), types.next()) {
            (Some(Ok(kind)), None) => kind,
            _ => return Err("a body without one type, where a form is read"),
        };
        let lower = kind.to_ascii_lowercase();
        let form = match lower.split(';').next().unwrap_or_default().trim_matches([' ', '\t']) {
            "application/x-www-form-urlencoded" => Form::Pairs(Pairs::default()),
            "multipart/form-data" => {
                let boundary = boundary(kind).ok_or("`multipart` without one clear boundary")?;
                Form::Parts(Box::new(InParts::new(boundary)))
            }
            _ => return Err("a body that is no form, where a form is read"),
        };
        if is_coded(headers) {
            return Err("a form in a content coding");
        }
        if !is_plain_charset(&lower) {
            return Err("a form in a charset in which its names cannot be seen");
        }
        let utf8 = !["iso-8859", "windows"].iter().any(|other| lower.contains(other));
        let names = Names { method, excused: Vec::new(), typed: true, others: fields.clone() };
        let wanted = fields.into_iter().chain(method.then(|| METHOD.to_owned())).collect();
        Ok(Self { form, fields: Fields { wanted, names, utf8, found: BTreeMap::new(), beyond: false, count: 0 } })
    }

    /// Takes the next piece. True once all that is looked for was found: what follows of the form is for the watch.
    ///
    /// # Errors
    /// What in it two readers could read in two ways.
    pub(crate) fn takes(&mut self, piece: &[u8]) -> Result<bool, &'static str> {
        self.fields.beyond |= matches!(self.form, Form::Pairs(_)) && !piece.is_ascii();
        for byte in piece {
            match &mut self.form {
                Form::Pairs(pairs) => pairs.takes(*byte, &mut self.fields)?,
                Form::Parts(parts) => parts.takes(*byte, &mut self.fields)?,
            }
        }
        self.fields.are_sure()?;
        Ok(self.fields.found.len() == self.fields.wanted.len())
    }

    /// Takes the end of the form.
    ///
    /// # Errors
    /// As with [`takes`](Self::takes).
    pub(crate) fn ends(mut self) -> Result<BTreeMap<String, String>, &'static str> {
        match self.form {
            Form::Pairs(mut pairs) => pairs.takes(b'&', &mut self.fields)?,
            Form::Parts(parts) => parts.ends(&mut self.fields)?,
        }
        self.fields.are_sure()?;
        Ok(self.fields.found)
    }

    /// What was found so far, by name.
    pub(crate) fn found(self) -> BTreeMap<String, String> {
        self.fields.found
    }
}

impl Fields {
    /// Keeps what a field says.
    fn keep(&mut self, name: String, value: String) -> Result<(), &'static str> {
        if self.count > MOST_FIELDS {
            return Err("a field that counts, behind too many others");
        }
        if value.contains('\0') || !(self.utf8 || (name.is_ascii() && value.is_ascii())) {
            return Err("a field that is read in two ways");
        }
        match self.found.insert(name, value) {
            None => Ok(()),
            Some(_) => Err("a field that counts, and stands twice"),
        }
    }

    /// Whether every reader finds what was found.
    fn are_sure(&self) -> Result<(), &'static str> {
        if self.beyond && !self.found.is_empty() {
            Err("a plain form with letters that are not escaped")
        } else {
            Ok(())
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.iter().any(|one| one == name)
    }
}

/// `a=b&c=d`.
#[derive(Debug, Default)]
struct Pairs {
    pair: Vec<u8>,
    /// Whether it is long enough to be none of interest.
    passing: bool,
    /// Whether it stands behind a `;`, which parts pairs to some.
    behind_semicolon: bool,
}

impl Pairs {
    fn takes(&mut self, byte: u8, fields: &mut Fields) -> Result<(), &'static str> {
        match byte {
            b'&' | b';' => {
                fields.count += 1;
                let unclear = std::mem::replace(&mut self.behind_semicolon, byte == b';') || byte == b';';
                let pair = std::mem::take(&mut self.pair);
                if std::mem::take(&mut self.passing) { Ok(()) } else { judge(&pair, unclear, fields) }
            }
            _ if self.passing => Ok(()),
            _ if self.pair.len() < LONGEST_NAME => {
                self.pair.push(byte);
                Ok(())
            }
            _ => {
                self.passing = true;
                let pair = std::mem::take(&mut self.pair);
                let ours = match parted(&pair) {
                    (name, Some(_)) => fields.names.holds(&decoded(name)),
                    (start, None) => fields.names.begins_so(&decoded(start)),
                };
                if ours { Err("a field that counts, and is too long") } else { Ok(()) }
            }
        }
    }
}

/// A pair's name, and its value where it has one.
fn parted(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    let equals = pair.iter().position(|byte| *byte == b'=');
    let (name, rest) = equals.and_then(|at| pair.split_at_checked(at)).unwrap_or((pair, &[]));
    (name, rest.strip_prefix(b"="))
}

fn judge(pair: &[u8], unclear: bool, fields: &mut Fields) -> Result<(), &'static str> {
    let (name, value) = parted(pair);
    let value = value.unwrap_or_default();
    // qs takes all before a `]=` for the name.
    let unclear = unclear || value.windows(2).any(|two| two == b"]=");
    if !fields.names.holds(&decoded(name)) {
        return Ok(());
    }
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(form_decoded);
    match (text(name), text(value)) {
        (Some(read), Some(value)) if !unclear && fields.is_wanted(&read) && (read != METHOD || name == b"_method") => {
            fields.keep(read, value)
        }
        _ => Err("a field that counts, in another spelling"),
    }
}

/// `multipart/form-data`.
#[derive(Debug)]
struct InParts {
    parts: Parts,
    boundary: usize,
    /// How many bytes have come before the first boundary, and with it.
    before: usize,
    started: bool,
    closed: bool,
    value: Value,
}

/// What the field that the next byte stands in says.
#[derive(Debug)]
enum Value {
    /// It is none that counts.
    Other,
    /// It came so far.
    Filling(String, Vec<u8>),
    /// It is whole where a delimiter is.
    Whole(String, Vec<u8>),
}

impl InParts {
    fn new(boundary: Vec<u8>) -> Self {
        let length = boundary.len();
        let parts = Parts::new(boundary);
        Self { parts, boundary: length, before: 0, started: false, closed: false, value: Value::Other }
    }

    fn takes(&mut self, byte: u8, fields: &mut Fields) -> Result<(), &'static str> {
        if let Value::Filling(_, value) = &mut self.value {
            if value.len() > LONGEST_NAME + self.boundary {
                return Err("a field that counts, and is too long");
            }
            value.push(byte);
        }
        if !self.started {
            self.before += 1;
        }
        match self.parts.takes(byte) {
            Step::Refused => Err("a part that two readers take apart in two ways"),
            Step::Nothing if !self.started && self.before >= self.boundary => Err("a text before the first part"),
            Step::Nothing => Ok(()),
            Step::Boundary => {
                self.started = true;
                self.complete()
            }
            Step::Opened => self.keep(fields),
            Step::Closed => {
                self.closed = true;
                self.keep(fields)
            }
            Step::Head(head) => {
                fields.count += 1;
                self.enter(&head, fields)
            }
        }
    }

    /// Ends the value before a boundary: without it, and the line end that belongs to it.
    fn complete(&mut self) -> Result<(), &'static str> {
        if let Value::Filling(name, mut value) = std::mem::replace(&mut self.value, Value::Other) {
            let length = value.len().checked_sub(self.boundary + 2).ok_or("a field that counts, without a value")?;
            value.truncate(length);
            self.value = Value::Whole(name, value);
        }
        Ok(())
    }

    fn keep(&mut self, fields: &mut Fields) -> Result<(), &'static str> {
        match std::mem::replace(&mut self.value, Value::Other) {
            Value::Whole(name, value) => {
                let value = String::from_utf8(value).map_err(|_| "a field that is read in two ways")?;
                fields.keep(name, value)
            }
            Value::Other | Value::Filling(..) => Ok(()),
        }
    }

    /// Looks at the head of a part: whether it is of a field that counts.
    fn enter(&mut self, head: &[u8], fields: &mut Fields) -> Result<(), &'static str> {
        if !is_strict(head) {
            return Err("a part that two readers take apart in two ways");
        }
        if !self.closed && !is_field(head) {
            return Err("a part that is no field, for which some readers drop others");
        }
        if !hold(head, &mut fields.names) {
            return Ok(());
        }
        match plain_field(head) {
            Some(name) if !self.closed && fields.is_wanted(name) => {
                self.value = Value::Filling(name.to_owned(), Vec::new());
                Ok(())
            }
            Some(_) | None => Err("a field that counts, in another spelling"),
        }
    }

    fn ends(mut self, fields: &mut Fields) -> Result<(), &'static str> {
        if self.parts.is_open() || !self.parts.is_whole() {
            return Err("a form without an end");
        }
        self.keep(fields)
    }
}

/// The name of a part that is a plain field to everyone: no file, in no other charset or coding.
fn plain_field(head: &[u8]) -> Option<&str> {
    let mut name = None;
    for line in lines(std::str::from_utf8(head).ok()?) {
        let (header, value) = line.split_once(':')?;
        let value = value.trim_matches([' ', '\t']);
        let lower = value.to_ascii_lowercase();
        match header.to_ascii_lowercase().as_str() {
            "content-disposition" => name = Some(plain_name(value)?),
            "content-type" => {
                let plain = lower.replace([' ', '\t', '"'], "");
                ["text/plain", "text/plain;charset=utf-8", "text/plain;charset=us-ascii"]
                    .contains(&plain.as_str())
                    .then_some(())?;
            }
            "content-transfer-encoding" => ["7bit", "8bit", "binary"].contains(&lower.as_str()).then_some(())?,
            _ => return None,
        }
    }
    name
}

/// The name in `form-data; name="a"`, where nothing else stands there.
fn plain_name(disposition: &str) -> Option<&str> {
    let (kind, rest) = disposition.split_once(';')?;
    let (key, value) = rest.split_once('=')?;
    let plain = kind.trim_end_matches([' ', '\t']).eq_ignore_ascii_case("form-data")
        && key.trim_start_matches([' ', '\t']).eq_ignore_ascii_case("name");
    let name = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])),
        None => Some(value).filter(|bare| is_token(bare)),
    };
    name.filter(|_| plain)
}
