//! What a browser keeps for us, sealed: nobody else can read it, change it, or make one.
//!
//! Decides whether a text was sealed by us, for this purpose. AES-256-GCM-SIV (RFC 8452) with a random nonce, since whoever
//! asks for a page makes us seal something: should a nonce ever repeat, only the equality of two texts shows. The first key
//! seals and all open, so that a key is exchanged without ending a session. It never says why a text does not open.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use std::fmt;

use crate::authn::is_one_byte;
use crate::made_of::MadeOf;

/// The most keys: one that seals, and those that came before it.
pub const MAX_KEYS: usize = 8;
/// The length of a key, in bytes; it is written as twice as many hexadecimal digits.
const KEY: usize = 32;

/// Why a file holds no keys. `Display` is fit for users, and holds nothing of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealFault {
    /// No line at all, or more than [`MAX_KEYS`].
    Count,
    /// A line that is no key.
    Line(usize),
    /// A line that is one byte again and again.
    OneByte(usize),
    /// The same key as on another line.
    Twice(usize),
}

impl fmt::Display for SealFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealFault::Count => write!(out, "the file must hold 1 to {MAX_KEYS} keys, one a line"),
            SealFault::Line(line) => write!(out, "line {line} is no key of 64 hexadecimal digits"),
            SealFault::OneByte(line) => write!(out, "line {line} is one byte again and again, which is no secret"),
            SealFault::Twice(line) => write!(out, "the key on line {line} stands there twice"),
        }
    }
}

impl std::error::Error for SealFault {}

/// The keys, the one that seals first.
#[derive(Debug)]
pub struct SealKeys {
    keys: Vec<RandomizedNonceKey>,
    number: u64,
}

impl SealKeys {
    /// Reads keys: one a line, each 64 hexadecimal digits that somebody drew.
    ///
    /// # Errors
    /// Anything else.
    pub fn read(text: &[u8]) -> Result<Self, SealFault> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut seen: Vec<[u8; KEY]> = Vec::new();
        for (line, written) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let key = unhex(written.strip_suffix(b"\r").unwrap_or(written)).ok_or(SealFault::Line(line))?;
            if is_one_byte(&key) {
                return Err(SealFault::OneByte(line));
            }
            if seen.contains(&key) {
                return Err(SealFault::Twice(line));
            }
            seen.push(key);
        }
        if seen.is_empty() || seen.len() > MAX_KEYS {
            return Err(SealFault::Count);
        }
        let number = MadeOf::all(&seen).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        let keys = seen.iter().map(|key| RandomizedNonceKey::new(&AES_256_GCM_SIV, key));
        let keys = keys.collect::<Result<_, _>>().map_err(|_| SealFault::Line(1))?;
        Ok(Self { keys, number })
    }

    /// The number of this list: another list, or another order, has another one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Seals `plain` for the purpose `about`, as text that a cookie can hold; `None` where the system gives no randomness.
    pub fn seal(&self, about: &str, plain: &[u8]) -> Option<String> {
        let mut sealed = plain.to_vec();
        let nonce = self.keys.first()?.seal_in_place_append_tag(Aad::from(about), &mut sealed).ok()?;
        let whole = [&nonce.as_ref()[..], &sealed].concat();
        Some(URL_SAFE_NO_PAD.encode(whole))
    }

    /// What was sealed for the purpose `about`; `None` for everything that we have not sealed for it.
    pub fn open(&self, about: &str, text: &str) -> Option<Vec<u8>> {
        let whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
        self.keys.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            key.open_in_place(nonce, Aad::from(about), &mut sealed).ok().map(|plain| plain.to_vec())
        })
    }
}

fn unhex(text: &[u8]) -> Option<[u8; KEY]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = text.iter().map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).filter_map(|two| Some(two.first()? << 4 | two.get(1)?)).collect();
    if digits.len() != 2 * KEY { None } else { bytes.try_into().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(digits: &[&str]) -> SealKeys {
        let lines: Vec<String> = digits.iter().map(|one| format!("{one}5c").repeat(16)).collect();
        SealKeys::read(lines.join("\n").as_bytes()).unwrap()
    }

    #[test]
    fn only_what_we_sealed_for_this_purpose_opens() {
        let ours = keys(&["0a"]);
        let text = ours.seal("session", b"plain").unwrap();
        assert_eq!(ours.open("session", &text).unwrap(), b"plain");
        assert_ne!(ours.seal("session", b"plain").unwrap(), text, "a nonce of its own");
        assert_eq!(ours.open("attempt", &text), None);
        assert_eq!(keys(&["0b"]).open("session", &text), None);
        for at in 0..text.len() {
            for letter in ["A", "_", "=", "."] {
                let mut other = text.clone();
                other.replace_range(at..=at, letter);
                if other != text {
                    assert_eq!(ours.open("session", &other), None, "{at}");
                }
            }
            assert_eq!(ours.open("session", &text[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_key_is_exchanged_without_ending_what_it_sealed() {
        let old = keys(&["0a"]).seal("session", b"plain").unwrap();
        let both = keys(&["0b", "0a"]);
        assert!(both.open("session", &old).is_some());
        let new = both.seal("session", b"plain").unwrap();
        assert!(keys(&["0b"]).open("session", &new).is_some() && keys(&["0a"]).open("session", &new).is_none());
    }

    #[test]
    fn a_file_holds_whole_keys_each_once() {
        let key = |digit: &str| format!("{digit}0{digit}1").repeat(16);
        let read = |text: String| SealKeys::read(text.as_bytes()).map(|keys| keys.keys.len());
        assert_eq!(read(format!("{}\n", key("a"))), Ok(1));
        assert_eq!(read(format!("{}\r\n{}", key("a"), key("B"))), Ok(2));
        assert_eq!(read(format!("{}\n{}\n", key("a"), key("A"))), Err(SealFault::Twice(2)));
        for byte in ["00", "0a", "ff", "FF"] {
            assert_eq!(read(format!("{}\n{}\n", key("a"), byte.repeat(32))), Err(SealFault::OneByte(2)), "{byte}");
        }
        assert_eq!(read(String::new()), Err(SealFault::Line(1)));
        assert_eq!(read(format!("{}\n\n{}", key("a"), key("b"))), Err(SealFault::Line(2)));
        for odd in [key("a").split_off(1), format!("{}a", key("a")), key("g"), format!(" {}", key("a"))] {
            assert_eq!(read(odd), Err(SealFault::Line(1)));
        }
        let many: Vec<String> = "0123456789".chars().take(9).map(|digit| key(&digit.to_string())).collect();
        assert_eq!(read(many.join("\n")), Err(SealFault::Count));
    }
}
