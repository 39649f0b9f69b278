//! Following a record while it is written: the lines that are new since the last look.
//!
//! Never waits and never holds the writer up. A line may be seen a moment before it is synced.

use std::io;
use std::path::PathBuf;

use crate::directory::list;
use crate::reader::{Piece, open};

/// How many lines one look gives at most; the next look goes on after them.
const LINES_MAX: usize = 1000;

/// A place in a record from which it is followed.
#[derive(Clone, Debug)]
pub struct Follower {
    directory: PathBuf,
    segment: u64,
    offset: u64,
}

impl Follower {
    /// Follows the record in `directory` from its first line on.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), segment: 0, offset: 0 }
    }

    /// The whole lines since the last look, in order and without their newlines: at most 1,000, each at most
    /// 64 KiB. What is not a whole line of text is passed over; [`crate::read`] names it. After a disk error a line
    /// may come twice, with the same `id`.
    ///
    /// # Errors
    /// The directory or a segment cannot be read; the next look tries the same place again.
    pub fn poll(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        // ORDER: the list before the reading. A segment that has a later one is finished, so its end is its end.
        let segments = list(&self.directory)?;
        for listed in segments {
            if listed.number < self.segment {
                continue;
            }
            if listed.number > self.segment {
                (self.segment, self.offset) = (listed.number, 0);
            }
            self.poll_segment(&mut lines)?;
            if lines.len() >= LINES_MAX {
                break;
            }
        }
        Ok(lines)
    }

    fn poll_segment(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let mut scanner = open(&self.directory, self.segment, self.offset)?;
        while lines.len() < LINES_MAX
            && let Some((_, piece)) = scanner.next()?
        {
            match piece {
                Piece::Line(line) => lines.extend(String::from_utf8(line.to_vec()).ok()),
                Piece::TooLong(_) => {}
                Piece::Torn(_) => return Ok(()), // perhaps half written: looked at again from its beginning
            }
            self.offset = scanner.offset();
        }
        Ok(())
    }
}
