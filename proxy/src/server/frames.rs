//! The heads of HTTP/2 frames (RFC 9113, section 4.1) in a stream of bytes, whatever pieces it comes in.
//!
//! It decides nothing, keeps nine bytes, and never looks at a payload.

/// What a connection begins with from the client (section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of payload, padding included.
    pub(super) length: usize,
    /// What kind of frame it is.
    pub(super) kind: u8,
    flags: u8,
    /// Its stream; 0 is the connection.
    pub(super) stream: u32,
}

impl Head {
    /// Of DATA and HEADERS: the stream ends with it.
    pub(super) fn ends_stream(self) -> bool {
        self.flags & 1 != 0
    }

    /// Of HEADERS and CONTINUATION: the block of headers ends with it.
    pub(super) fn ends_headers(self) -> bool {
        self.flags & 4 != 0
    }
}

/// Finds the heads.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass over: the preface, then payloads.
    pass: usize,
    head: [u8; 9],
    have: usize,
}

impl Frames {
    /// Of what a client sends.
    pub(super) fn after_preface() -> Self {
        Self { pass: PREFACE, ..Self::from_the_start() }
    }

    /// Of what a server sends.
    pub(super) fn from_the_start() -> Self {
        Self { pass: 0, head: [0; 9], have: 0 }
    }

    /// The next head in `bytes`, which are moved on behind it; `None` once they are used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        loop {
            let passed = self.pass.min(bytes.len());
            *bytes = bytes.get(passed..)?;
            self.pass = self.pass.saturating_sub(passed);
            if bytes.is_empty() {
                return None;
            }
            let missing = self.head.get_mut(self.have..)?;
            let taken = missing.len().min(bytes.len());
            let (now, rest) = bytes.split_at_checked(taken)?;
            missing.get_mut(..taken)?.copy_from_slice(now);
            *bytes = rest;
            self.have = self.have.saturating_add(taken);
            if self.have == self.head.len() {
                let [high, middle, low, kind, flags, a, b, c, d] = self.head;
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                (self.have, self.pass) = (0, length);
                // The highest bit is reserved, and to be ignored.
                return Some(Head { length, kind, flags, stream: u32::from_be_bytes([a & 0x7f, b, c, d]) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_whatever_the_pieces() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 3, 1, 5, 0x80, 0, 0, 1, 9, 9, 9]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 3]);
        bytes.extend(vec![4; 65_536]);
        bytes.extend([0, 0, 0, 0, 1, 0, 0, 0, 3]);
        let head = |length, kind, flags, stream| Head { length, kind, flags, stream };
        let expected = [head(0, 4, 0, 0), head(3, 1, 5, 1), head(65_536, 0, 0, 3), head(0, 0, 1, 3)];
        for piece in [1, 2, 7, 9, 10, 4_096, bytes.len()] {
            let mut frames = Frames::after_preface();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(piece) {
                while let Some(head) = frames.next(&mut piece) {
                    found.push(head);
                }
            }
            assert_eq!(found, expected);
        }
        assert!(expected[1].ends_stream() && expected[1].ends_headers() && !expected[0].ends_stream());
    }
}
