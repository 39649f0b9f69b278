//! Header lines, and what they say about the body.
//!
//! Decides whether a line is a header and whether the ones that frame the message agree. It keeps nothing of the others.

use memchr::memchr;

use super::{Body, Fault};

/// The longest name of a header, in bytes.
const NAME: usize = 256;

/// What the header lines so far say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    /// How many there are.
    pub(super) count: usize,
    length: Option<u64>,
    chunked: bool,
    host: bool,
    upgrade: bool,
}

impl Fields {
    /// Takes one line.
    pub(super) fn take(&mut self, line: &[u8], most: usize) -> Result<(), Fault> {
        self.count += 1;
        if self.count > most {
            return Err(Fault::TooManyLines);
        }
        let (name, value) = parted(line)?;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host {
                    return Err(Fault::HostTwice);
                }
                self.host = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Fault::LengthTwice);
                }
                self.length = Some(number(value.trim_ascii()).ok_or(Fault::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Coding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The body that all of them name; `None` where they name none.
    pub(super) fn body(&self, old: bool) -> Result<Option<Body>, Fault> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Fault::LengthBesideChunks),
            (true, None) if old => Err(Fault::CodingOnOld),
            (true, None) => Ok(Some(Body::Chunks)),
            (false, Some(0)) => Ok(Some(Body::None)),
            (false, Some(length)) => Ok(Some(Body::Length(length))),
            (false, None) => Ok(None),
        }
    }

    /// Whether there was a `Host`.
    pub(super) fn has_host(&self) -> bool {
        self.host
    }

    /// Whether there was an `Upgrade`.
    pub(super) fn has_upgrade(&self) -> bool {
        self.upgrade
    }
}

/// Name and value of a line. Nothing stands between the name and its colon (RFC 9112, section 5.1).
fn parted(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::Folded);
    }
    let colon = memchr(b':', line).ok_or(Fault::Name)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Fault::Name)?;
    if name.is_empty() || name.len() > NAME || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Fault::Name);
    }
    Ok((name, value.get(1..).unwrap_or_default()))
}

/// A number as RFC 9110, section 8.6, has it, in its shortest form, and one that every reader can hold.
fn number(text: &[u8]) -> Option<u64> {
    let canonical = text == b"0" || !text.starts_with(b"0");
    if text.is_empty() || text.len() > 18 || !canonical {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Result<Option<Body>, Fault> {
        let mut fields = Fields::default();
        for line in lines {
            fields.take(line.as_bytes(), 10)?;
        }
        fields.body(false)
    }

    #[test]
    fn a_body_is_named_once_or_not_at_all() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["content-length:0"]), Ok(Some(Body::None)));
        assert_eq!(of(&["Content-LENGTH: 17 "]), Ok(Some(Body::Length(17))));
        assert_eq!(of(&["content-length: 999999999999999999"]), Ok(Some(Body::Length(999_999_999_999_999_999))));
        assert_eq!(of(&["Transfer-Encoding:\tChunked"]), Ok(Some(Body::Chunks)));
        assert_eq!(of(&["content-length: 0", "transfer-encoding: chunked"]), Err(Fault::LengthBesideChunks));
        assert_eq!(of(&["transfer-encoding: chunked", "content-length: 5"]), Err(Fault::LengthBesideChunks));
        assert_eq!(of(&["content-length: 5", "content-length: 5"]), Err(Fault::LengthTwice));
        for length in
            ["", "+1", "-1", "01", "00", "1,1", "1, 1", "0x1", "1 1", "1.0", "1e3", "1000000000000000000", "٣"]
        {
            assert_eq!(of(&[&format!("content-length: {length}")]), Err(Fault::Length), "{length:?}");
        }
        for coding in
            ["", "gzip", "gzip, chunked", "chunked, chunked", "chunked,", "xchunked", "identity", "\"chunked\""]
        {
            assert_eq!(of(&[&format!("transfer-encoding: {coding}")]), Err(Fault::Coding), "{coding:?}");
        }
        assert_eq!(of(&["transfer-encoding: chunked", "transfer-encoding: chunked"]), Err(Fault::Coding));
    }

    #[test]
    fn a_name_is_a_token_right_before_its_colon() {
        for line in ["", "no colon", ": value", "a : b", "a\t: b", "a b: c", "(a): b", "é: b", "a[]: b", "a\"b: c"] {
            assert_eq!(of(&[line]), Err(Fault::Name), "{line:?}");
        }
        assert_eq!(of(&[&format!("{}: b", "a".repeat(257))]), Err(Fault::Name));
        assert_eq!(of(&[&format!("{}: b", "a".repeat(256)), "X_a.b~:", "x:é"]), Ok(None));
        assert_eq!(of(&[" a: b"]), Err(Fault::Folded));
        assert_eq!(of(&["\ta: b"]), Err(Fault::Folded));
        assert_eq!(of(&["a: b"; 11]), Err(Fault::TooManyLines));
    }
}
