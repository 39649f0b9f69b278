//! The boundary of a multipart body: which one it is, and where it stands.

/// The one boundary that a type names, with the dashes before it.
///
/// PHP takes the first `boundary` for it wherever it stands, within the name of another parameter too, and one in lower case
/// before any other; it and Rack end it at a comma.
pub(super) fn boundary(kind: &str) -> Option<Vec<u8>> {
    let (before, behind) = kind.split_once(';')?;
    let mut named = behind.split(';').filter_map(|parameter| parameter.split_once('='));
    let is_boundary = |name: &str| name.trim().to_ascii_lowercase().starts_with("boundary");
    let (name, value) = named.by_ref().find(|(name, _)| is_boundary(name))?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
    // RFC 2046, section 5.1.1, without the comma.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=? ".contains(&byte);
    let fits = (1..=70).contains(&value.len()) && value.bytes().all(plain) && !value.ends_with(' ');
    let once = name.trim().eq_ignore_ascii_case("boundary") && !named.any(|(name, _)| is_boundary(name));
    let said = |text: &str| text.to_ascii_lowercase().matches("boundary").count();
    let alone =
        !before.contains('=') && said(kind) == 1 + said(value) && (said(value) == 0 || name.trim() == "boundary");
    (fits && once && alone).then(|| [b"--", value.as_bytes()].concat())
}

/// Bytes that are looked for in a stream (Knuth, Morris and Pratt): each byte is looked at about once, whatever comes.
#[derive(Debug)]
pub(super) struct Needle {
    bytes: Vec<u8>,
    /// For each length that was met: the longest shorter one that was met too.
    shorter: Vec<usize>,
    met: usize,
}

impl Needle {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut needle = Self { shorter: Vec::with_capacity(bytes.len()), bytes: Vec::new(), met: 0 };
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 {
                needle.advance(*byte);
            }
            needle.shorter.push(needle.met);
            needle.bytes.push(*byte);
        }
        Self { met: 0, ..needle }
    }

    /// The next byte stands behind a line end, which is what this one begins with.
    pub(super) fn stand_behind_line(&mut self) {
        self.met = 2;
    }

    /// Takes the next byte; true where it is the last of them. Looks for them anew then.
    pub(super) fn ends(&mut self, byte: u8) -> bool {
        self.advance(byte);
        let ended = self.met == self.bytes.len();
        if ended {
            self.met = 0;
        }
        ended
    }

    fn advance(&mut self, byte: u8) {
        while self.bytes.get(self.met) != Some(&byte) {
            let Some(before) = self.met.checked_sub(1) else { return };
            self.met = self.shorter.get(before).copied().unwrap_or(0);
        }
        self.met += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_wherever_it_stands() {
        for (needle, text, ends) in [
            ("--a", "---a", vec![3]),
            ("----ab", "-------ab----ab", vec![8, 14]),
            ("abab", "abaabab", vec![6]),
            ("aab", "aaab", vec![3]),
            ("abcabd", "abcabcabd", vec![8]),
            ("x", "yxx", vec![1, 2]),
            ("abc", "ab", vec![]),
        ] {
            let mut needle = Needle::new(needle.into());
            let found: Vec<usize> =
                (0..).zip(text.bytes()).filter(|(_, byte)| needle.ends(*byte)).map(|(at, _)| at).collect();
            assert_eq!(found, ends, "{text}");
        }
    }

    #[test]
    fn one_clear_boundary_is_read() {
        assert_eq!(boundary("multipart/form-data; boundary=\"X y\""), Some(b"--X y".to_vec()));
        assert_eq!(boundary("multipart/form-data; Boundary=a; x=y"), Some(b"--a".to_vec()));
        assert_eq!(boundary("multipart/form-data; boundary=--boundary--1"), Some(b"----boundary--1".to_vec()));
        for none in [
            "m/x; x-boundary=b; boundary=a",
            "m/x; boundary=a; x=boundary",
            "m/x; charset=boundary; boundary=a",
            "m/x; Boundary=a+boundary=b",
            "m/x; boundary=a,b",
            "m/x; boundary=\"a,b\"",
            "m/boundary=b; boundary=a",
            "multipart/form-data",
            "m/x; boundary=",
            "m/x; boundary=a; boundary=a",
            "m/x; boundary*=a",
        ] {
            assert_eq!(boundary(none), None, "{none}");
        }
    }
}
