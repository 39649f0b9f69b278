//! Names in `a=b&c=d`, as the loosest readers see them: parted at `;` too, escapes decoded where they are some.

use super::{LONGEST_NAME, Names};
use crate::pipeline::canonical::method::is_method_override;

/// Where in a form the next byte stands.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    name: Vec<u8>,
    /// Behind the `=`, or behind a start that no longer can be one of ours.
    passing: bool,
}

impl Pairs {
    /// Takes the next byte; true where it ends a name that must not stand there.
    pub(super) fn finds(&mut self, byte: u8, names: &mut Names) -> bool {
        match byte {
            b'&' | b';' => {
                let name = std::mem::take(&mut self.name);
                let passing = std::mem::replace(&mut self.passing, false);
                !passing && names.holds(&decoded(&name))
            }
            _ if self.passing => false,
            b'=' => {
                self.passing = true;
                let name = std::mem::take(&mut self.name);
                names.holds(&decoded(&name))
            }
            _ if self.name.len() < LONGEST_NAME => {
                self.name.push(byte);
                false
            }
            _ => {
                self.passing = true;
                let start = std::mem::take(&mut self.name);
                names.begins_so(&decoded(&start))
            }
        }
    }
}

/// Looks for the one `_method` of a form, and what it says.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    pair: Vec<u8>,
    /// Where the `=` of the pair stands.
    equals: Option<usize>,
    /// Whether the pair is long enough to be none of interest.
    passing: bool,
}

impl Finder {
    /// Takes the next piece; tells what the first `_method` says once its end was seen.
    ///
    /// # Errors
    /// Another spelling of it.
    pub(crate) fn finds(&mut self, piece: &[u8]) -> Result<Option<String>, &'static str> {
        for byte in piece {
            if *byte == b'&' {
                if let Some(found) = self.end()? {
                    return Ok(Some(found));
                }
                continue;
            }
            if *byte == b'=' && self.equals.is_none() {
                self.equals = Some(self.pair.len());
            }
            if self.pair.len() < LONGEST_NAME {
                self.pair.push(*byte);
            } else {
                self.passing = true;
            }
        }
        Ok(None)
    }

    /// Ends a pair, or the form.
    ///
    /// # Errors
    /// Another spelling of `_method`.
    pub(crate) fn end(&mut self) -> Result<Option<String>, &'static str> {
        let Self { pair, equals, passing } = std::mem::take(self);
        let (name, value) = equals.and_then(|at| pair.split_at_checked(at)).unwrap_or((&pair, &[]));
        let read = decoded(name);
        if !is_method_override(read.split('\0').next().unwrap_or_default()) {
            return Ok(None);
        }
        let value = value.strip_prefix(b"=").unwrap_or_default();
        if name != b"_method" || passing {
            return Err("method override in another spelling");
        }
        Ok(Some(String::from_utf8_lossy(value).into_owned()))
    }
}

/// A name without its escapes; what is none stays, and what is not UTF-8 becomes a sign that is no letter.
pub(super) fn decoded(name: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let escape = match (byte, behind) {
            (b'%', [high, low, others @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low, others))
            }
            _ => None,
        };
        match escape {
            Some((value, others)) => {
                decoded.push(value);
                rest = others;
            }
            None => decoded.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
