//! What the record calls a session, and what whoever has read that ends it by: `hs:` and 40 hexadecimal digits.
//!
//! They are the digest that the session is kept under ([`key`](super::key)), which costs no other one but where its provider calls
//! it by another name than the gate, and a check that a gate with another key does not make. So a name that stands for no session here is known from one that does, without a list of
//! sessions. Decides nothing but that, and keeps nothing.

use std::fmt;

use super::key::{Digester, Key};

/// How a name begins.
pub(crate) const BEGINNING: &str = "hs:";
/// How long it is, in bytes.
const LENGTH: usize = 43;
/// What is to be written.
pub(crate) const FORM: &str = "a session's name in the record is `hs:` and 40 of the digits 0 to 9 and a to f";

/// A name, whichever gate made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    key: [u8; 16],
    check: [u8; 4],
}

impl Name {
    /// Reads one as the record spells it.
    pub fn read(text: &str) -> Option<Self> {
        let (pairs, rest) = text.strip_prefix(BEGINNING)?.as_bytes().as_chunks::<2>();
        let bytes: Vec<u8> =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>()?;
        let (key, check) = bytes.split_first_chunk()?;
        rest.is_empty().then_some(Self { key: *key, check: check.try_into().ok()? })
    }

    /// As the record spells it. It is made for each event, so without the machinery of formats.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(BEGINNING);
        let hex = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) });
        text.extend(self.key.iter().chain(&self.check).flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]));
        text
    }

    /// Whether a text is meant to be one.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(BEGINNING)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text())
    }
}

impl Digester {
    /// The name of a session.
    pub(super) fn name(&self, Key(key): Key) -> Name {
        Name { key, check: self.check(&key) }
    }

    /// The session that goes by this name here.
    pub(super) fn named(&self, name: &Name) -> Option<Key> {
        (self.check(&name.key) == name.check).then_some(Key(name.key))
    }

    /// What is put behind a digest. It keeps nobody from making one up, only from taking a name for what it is not.
    fn check(&self, key: &[u8; 16]) -> [u8; 4] {
        let (words, _) = key.as_chunks::<4>();
        words
            .iter()
            .fold(self.mark, |check, word| (u32::from_be_bytes(check) ^ u32::from_be_bytes(*word)).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sessions::key::Kind;

    #[test]
    fn a_name_leads_back_to_its_session_at_a_gate_with_the_same_key_alone() {
        let (here, same, elsewhere) = (Digester::new(&[1; 32]), Digester::new(&[1; 32]), Digester::new(&[2; 32]));
        let key = here.key(Kind::Session, "https://a.example/", "s-1");
        let name = here.name(key);
        let text = name.to_string();
        assert!(text.len() == LENGTH && Name::is_meant(&text) && !text.contains("s-1"), "{text}");
        assert_eq!(Name::read(&text), Some(name));
        assert_eq!((same.named(&name), elsewhere.named(&name)), (Some(key), None));
        assert_ne!(text, elsewhere.name(elsewhere.key(Kind::Session, "https://a.example/", "s-1")).to_string());
    }

    #[test]
    fn what_was_not_copied_whole_is_no_name() {
        let digester = Digester::new(&[1; 32]);
        let text = digester.name(digester.key(Kind::Session, "https://a.example/", "s-1")).to_string();
        for bad in [&text[..42], &text[..41], &text[3..], "hs:", "", &format!("{text}0"), &format!("{text}00")] {
            assert_eq!(Name::read(bad), None, "{bad}");
        }
        assert_eq!(Name::read(&text.to_uppercase().replacen("HS:", "hs:", 1)), None);
        assert_eq!(Name::read(&text.replacen("hs:", "hp:", 1)), None);
        assert_eq!(Name::read(&format!("hs:{}", "é".repeat(20))), None);
        for at in 3..text.len() {
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            let typed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(digester.named(&Name::read(&typed).unwrap()), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            prop_assert_eq!(Name::read(&text).map(|name| name.to_string()).unwrap_or(text.clone()), text);
        }
    }
}
