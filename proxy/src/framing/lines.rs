//! Lines of a head: ended by CRLF, free of control characters, and no longer than they may be.
//!
//! Decides where a line ends. It never looks at a byte twice, so that a head which arrives byte by byte costs no more than
//! one that arrives at once; and never beyond the length that the caller allows, so that the verdict does not depend on
//! how much was read ahead.

use memchr::memchr;

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// A carriage return or line feed that stands alone.
    End,
    /// Another control character but the tabulator.
    Control,
    /// The line is longer than it may be.
    Long,
}

/// Where in a growing head we are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// Where the next line begins.
    at: usize,
    /// Up to where that line was looked at.
    scanned: usize,
}

impl Lines {
    /// How many bytes the lines so far have, with their ends.
    pub(super) fn passed(&self) -> usize {
        self.at
    }

    /// The next line of `head` without its end, of at most `longest` bytes; `None` where it is not yet whole. `head` is
    /// what it was the last time, with more behind it.
    pub(super) fn next<'b>(&mut self, head: &'b [u8], longest: usize) -> Result<Option<&'b [u8]>, Bad> {
        // INVARIANT: nothing behind `window` is looked at, its line end included.
        let window = head.len().min(self.at.saturating_add(longest).saturating_add(2));
        let fresh = head.get(self.scanned..window).unwrap_or_default();
        let feed = memchr(b'\n', fresh);
        let before = feed.map_or(fresh, |feed| fresh.get(..feed).unwrap_or_default());
        // A carriage return at the very end may be the first half of a line end.
        let (text, returned) = match before.split_last() {
            Some((b'\r', text)) => (text, true),
            _ => (before, false),
        };
        check(text)?;
        let Some(feed) = feed else {
            self.scanned += text.len();
            return if window - self.at < longest.saturating_add(2) { Ok(None) } else { Err(Bad::Long) };
        };
        if !returned {
            return Err(Bad::End);
        }
        let end = self.scanned + feed;
        let line = head.get(self.at..end.saturating_sub(1)).unwrap_or_default();
        self.at = end + 1;
        self.scanned = self.at;
        Ok(Some(line))
    }
}

/// Refuses control characters: the first one gives the reason.
fn check(text: &[u8]) -> Result<(), Bad> {
    // Without a way out in the middle, so that it runs over many bytes at once.
    if !text.iter().fold(false, |found, byte| found | is_control(*byte)) {
        return Ok(());
    }
    match text.iter().find(|byte| is_control(**byte)) {
        Some(b'\r' | b'\n') => Err(Bad::End),
        Some(_) | None => Err(Bad::Control),
    }
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') | (byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(head: &[u8], longest: usize) -> Result<Vec<&[u8]>, Bad> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        while let Some(line) = lines.next(head, longest)? {
            found.push(line);
        }
        Ok(found)
    }

    #[test]
    fn a_line_ends_in_crlf_and_nothing_else() {
        assert_eq!(all(b"a\r\nb\tc\r\n\r\nd", 9).unwrap(), [&b"a"[..], b"b\tc", b""]);
        for bad in [&b"a\n"[..], b"a\rb\r\n", b"a\r\r\n", b"\n", b"a\r\n\n", b"\rb"] {
            assert_eq!(all(bad, 9), Err(Bad::End), "{bad:?}");
        }
        for bad in [&b"a\0\r\n"[..], b"\x1b", b"a\x7f\r\n", b"a\0\rb"] {
            assert_eq!(all(bad, 9), Err(Bad::Control), "{bad:?}");
        }
    }

    #[test]
    fn a_line_has_its_length_and_no_more() {
        assert_eq!(all(b"abc\r\n", 3).unwrap(), [b"abc"]);
        assert_eq!(all(b"abc\r", 3).unwrap(), [b""; 0]);
        for long in [&b"abcd\r\n"[..], b"abcde", b"abcd\r", b"abcd\r\0"] {
            assert_eq!(all(long, 3), Err(Bad::Long), "{long:?}");
        }
    }
}
