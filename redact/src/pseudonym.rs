//! Keyed pseudonyms: the same person is the same string, and nobody without the key can say which person.
//!
//! Decides the form of a pseudonym only. Never stores a value, and never gives the key back.

use std::fmt;

use aws_lc_rs::hmac;

/// The fewest bytes that a key may have (the length of the hash, RFC 2104 section 3).
pub const KEY_MIN: usize = 32;

/// A key is too short to keep anybody from trying every patient number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WeakKey {
    /// The bytes that it has.
    pub bytes: usize,
}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pseudonym key has {} bytes: it needs at least {KEY_MIN} random ones", self.bytes)
    }
}

impl std::error::Error for WeakKey {}

/// The key of a pseudonym: HMAC-SHA-256 (RFC 2104), truncated to 128 bits.
#[derive(Clone)]
pub struct PseudonymKey(hmac::Key);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(***)")
    }
}

impl PseudonymKey {
    /// A key of these bytes, which should be random.
    ///
    /// # Errors
    /// There are fewer than [`KEY_MIN`] of them.
    pub fn new(bytes: &[u8]) -> Result<Self, WeakKey> {
        if bytes.len() < KEY_MIN {
            return Err(WeakKey { bytes: bytes.len() });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// 32 bytes for something else than pseudonyms: whoever has them has neither the key nor the bytes for another purpose.
    ///
    /// A purpose must not hold a NUL, so that it is the text of no pseudonym.
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        let tag = hmac::sign(&self.0, purpose.as_bytes());
        bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// `hp:` and 32 hexadecimal digits, which stand for this value in this domain: two domains (a tenant, a kind of
    /// identifier) cannot be joined over their pseudonyms.
    ///
    /// The domain ends at its first NUL; a domain must not hold one.
    pub fn pseudonym(&self, domain: &str, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(value.as_bytes());
        let tag = context.sign();
        let hex = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) });
        let digits = tag.as_ref().iter().take(16).flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]);
        "hp:".chars().chain(digits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` module.
    #[test]
    fn known_value() {
        let key = PseudonymKey::new(&[0x0b; 32]).unwrap();
        assert_eq!(key.pseudonym("a", "4711"), "hp:f1eecf25f08b41358ffb045e068fdf5e");
        assert_ne!(key.pseudonym("a", "4711"), key.pseudonym("b", "4711"));
        assert_ne!(key.pseudonym("a", "4711"), key.pseudonym("a4", "711"));
    }

    #[test]
    fn other_purposes_have_keys_of_their_own() {
        let (one, other) = (PseudonymKey::new(&[0x0b; 32]).unwrap(), PseudonymKey::new(&[0x0c; 32]).unwrap());
        let key = one.derived("sessions");
        assert_eq!(key, one.derived("sessions"));
        for different in [one.derived("cookies"), one.derived(""), other.derived("sessions"), [0x0b; 32]] {
            assert_ne!(key, different);
        }
    }

    #[test]
    fn short_keys_are_refused_and_none_is_shown() {
        assert_eq!(PseudonymKey::new(&[1; 31]).unwrap_err(), WeakKey { bytes: 31 });
        assert_eq!(format!("{:?}", PseudonymKey::new(&[1; 32]).unwrap()), "PseudonymKey(***)");
    }
}
