//! Keys of the outermost object of a JSON text (RFC 8259). Whether it is one is for the application to say.

use super::{LONGEST_NAME, Names};

/// Where in the text the next byte stands.
#[derive(Debug, Default)]
pub(super) struct Keys {
    depth: u32,
    /// Whether the outermost value is an object.
    object: bool,
    text: Text,
    /// The last text of the outermost object, as long as it can be a key.
    last: Vec<u8>,
    /// Whether that was cut.
    cut: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    Escaped,
    /// The digits of `\u` that are still to come, and those that came.
    Digits(u8, u16),
}

impl Keys {
    /// Takes the next byte; true where it ends a key that must not stand there.
    pub(super) fn finds(&mut self, byte: u8, names: &mut Names) -> bool {
        match self.text {
            Text::Outside => return self.outside(byte, names),
            Text::Inside => match byte {
                b'"' => self.text = Text::Outside,
                b'\\' => self.text = Text::Escaped,
                _ => self.keep(byte),
            },
            Text::Escaped => {
                self.text = if byte == b'u' { Text::Digits(4, 0) } else { Text::Inside };
                if byte != b'u' {
                    // `\n` and its like are no letters, `\/` and the others are themselves.
                    self.keep(if byte.is_ascii_alphabetic() { b' ' } else { byte });
                }
            }
            Text::Digits(left, so_far) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).unwrap_or(0);
                let so_far = so_far << 4 | digit;
                self.text = if left > 1 { Text::Digits(left - 1, so_far) } else { Text::Inside };
                if left == 1 {
                    let letter = char::from_u32(u32::from(so_far)).unwrap_or(' ');
                    letter.to_string().bytes().for_each(|byte| self.keep(byte));
                }
            }
        }
        false
    }

    fn outside(&mut self, byte: u8, names: &mut Names) -> bool {
        match byte {
            b'"' => {
                self.text = Text::Inside;
                self.last.clear();
                self.cut = false;
            }
            b'{' | b'[' => {
                self.object = if self.depth == 0 { byte == b'{' } else { self.object };
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 && self.object => {
                let name = String::from_utf8_lossy(&self.last);
                return if self.cut { names.begins_so(&name) } else { names.holds(&name) };
            }
            _ => {}
        }
        false
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.last.len() < LONGEST_NAME {
            self.last.push(byte);
        } else {
            self.cut = true;
        }
    }
}
