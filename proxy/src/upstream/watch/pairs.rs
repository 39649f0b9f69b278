//! Names in `a=b&c=d`, as the loosest readers see them: parted at `;` too, escapes decoded where they are some.

use super::{LONGEST_NAME, Names};

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
