//! Reading a record back: whole lines in order, one at a time, and everything that is not a whole line by its place.
//!
//! Decides what counts as a line. Never stops at damage, never hides a line, never changes anything, and holds one
//! line in memory. It may read while the record is written: it sees what was there when it came to the segment.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::directory::{Listed, list, segment_path};
use crate::event::{Event, Head};

/// The longest line that is read, in bytes without the newline. No line of this form comes near it.
pub const READ_LINE_MAX: usize = 64 * 1024 - 1;

/// Where something stands in a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// What a record holds, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A whole line of some version of the form.
    Line(Line),
    /// Something else; reading goes on after it.
    Fault {
        /// Where it begins.
        place: Place,
        /// What it is.
        fault: Fault,
    },
}

/// One whole line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The bytes of the line without its newline.
    pub text: String,
    /// Where it begins.
    pub place: Place,
    /// Its sequence number.
    pub seq: u64,
    /// The origin has had this number or a higher one in a line before: after a disk error the writer repeats the
    /// lines of which it does not know whether they arrived. Any other repetition is not the writer's.
    pub repeated: bool,
}

impl Line {
    /// The event in the line.
    ///
    /// # Errors
    /// The line is of another version than [`crate::VERSION`] and does not fit this form.
    pub fn event(&self) -> Result<Event, serde_json::Error> {
        serde_json::from_str(&self.text)
    }
}

/// What is not a whole line of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The segment ends without a newline: a crash while it was written, or a cut.
    Torn {
        /// How many bytes follow the last newline.
        bytes: u64,
    },
    /// A line is longer than [`READ_LINE_MAX`].
    TooLong {
        /// Its bytes.
        bytes: u64,
    },
    /// A line is not UTF-8, or not a JSON object with an `origin` and a `seq`.
    Unreadable {
        /// Its bytes.
        bytes: u64,
    },
}

/// The lines of the record in `directory`, oldest first.
///
/// # Errors
/// The directory cannot be listed.
pub fn read(directory: impl Into<PathBuf>) -> io::Result<Reader> {
    let directory = directory.into();
    let segments = list(&directory)?.into_iter();
    Ok(Reader { directory, segments, current: None, last: None })
}

/// The iterator of [`read`]. An error of the disk ends its segment, and reading goes on with the next one.
pub struct Reader {
    directory: PathBuf,
    segments: std::vec::IntoIter<Listed>,
    current: Option<(u64, Scanner<BufReader<File>>)>,
    /// The origin of the line before and its highest number. One is enough: a segment has one origin, and lines are
    /// repeated from one segment to the next.
    last: Option<(String, u64)>,
}

impl Reader {
    fn next_piece(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let (segment, mut scanner) = match self.current.take() {
                Some(current) => current,
                None => match self.segments.next() {
                    Some(listed) => (listed.number, open(&self.directory, listed.number, 0)?),
                    None => return Ok(None),
                },
            };
            if let Some((offset, piece)) = scanner.next()? {
                let entry = entry(Place { segment, offset }, &piece, &mut self.last);
                self.current = Some((segment, scanner));
                return Ok(Some(entry));
            }
        }
    }
}

impl Iterator for Reader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

fn entry(place: Place, piece: &Piece<'_>, last: &mut Option<(String, u64)>) -> Entry {
    let fault = match *piece {
        Piece::Torn(bytes) => Fault::Torn { bytes },
        Piece::TooLong(bytes) => Fault::TooLong { bytes },
        Piece::Line(line) => match whole(place, line, last) {
            Some(line) => return Entry::Line(line),
            None => Fault::Unreadable { bytes: u64::try_from(line.len()).unwrap_or(u64::MAX) },
        },
    };
    Entry::Fault { place, fault }
}

fn whole(place: Place, line: &[u8], last: &mut Option<(String, u64)>) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?;
    let head: Head<'_> = serde_json::from_str(text).ok()?;
    let seq = head.seq;
    let repeated = match last {
        Some((origin, highest)) if *origin == head.origin => {
            let repeated = seq <= *highest;
            *highest = seq.max(*highest);
            repeated
        }
        Some(_) | None => {
            *last = Some((head.origin.into_owned(), seq));
            false
        }
    };
    Some(Line { text: text.to_owned(), place, seq, repeated })
}

/// Opens a segment for reading from `offset` on.
pub(crate) fn open(directory: &Path, segment: u64, offset: u64) -> io::Result<Scanner<BufReader<File>>> {
    use std::io::Seek as _;
    let mut file = File::open(segment_path(directory, segment))?;
    file.seek(io::SeekFrom::Start(offset))?;
    Ok(Scanner::new(BufReader::new(file), offset))
}

/// A stretch of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece<'a> {
    /// A whole line without its newline.
    Line(&'a [u8]),
    /// The bytes of a whole line that is over [`READ_LINE_MAX`].
    TooLong(u64),
    /// The bytes after the last newline.
    Torn(u64),
}

/// Cuts a stream of bytes into pieces; holds at most [`READ_LINE_MAX`] bytes.
pub(crate) struct Scanner<R> {
    input: R,
    offset: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Scanner<R> {
    pub(crate) fn new(input: R, offset: u64) -> Self {
        Self { input, offset, line: Vec::new() }
    }

    /// Where the next piece begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece and the offset at which it begins.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Piece<'_>)>> {
        let start = self.offset;
        let mut bytes = 0u64; // of the line, without the newline
        self.line.clear();
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut parts = chunk.splitn(2, |byte| *byte == b'\n');
            let part = parts.next().unwrap_or_default();
            let (ends, empty) = (parts.next().is_some(), chunk.is_empty());
            // One byte over the bound is kept, which tells a line that is too long from one that just fits.
            let room = (READ_LINE_MAX + 1).saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            let taken = part.len() + usize::from(ends);
            bytes = bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            self.offset = self.offset.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            self.input.consume(taken);
            if ends && self.line.len() <= READ_LINE_MAX {
                return Ok(Some((start, Piece::Line(&self.line))));
            }
            if ends {
                return Ok(Some((start, Piece::TooLong(bytes))));
            }
            if empty {
                return Ok((bytes > 0).then_some((start, Piece::Torn(bytes))));
            }
        }
    }
}
