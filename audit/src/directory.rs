//! The directory of a record: its lock, its segments in order, and where the last run stopped.
//!
//! Decides which file comes next and which number a line gets after a restart. Never changes, shortens or removes a
//! segment that holds anything.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::event::Head;
use crate::reader::{Piece, READ_LINE_MAX, Scanner};

const LOCK: &str = "lock";
/// How far from its end a segment is searched for its last whole line: several of the longest lines.
const TAIL: u64 = 4 * READ_LINE_MAX as u64;
/// How many torn tails are named at most; the newest ones.
const TORN_MAX: usize = 16;

/// Why a record did not open.
#[derive(Debug)]
pub enum OpenError {
    /// A setting is out of bounds.
    Settings(&'static str),
    /// Another process writes this record.
    Held(PathBuf),
    /// The directory or a file in it cannot be used.
    Disk {
        /// What was tried.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The writer thread did not start.
    Thread(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(fault) => f.write_str(fault),
            Self::Held(path) => write!(
                f,
                "the audit directory `{}` is held by another process: give each replica a directory of its own",
                path.display()
            ),
            Self::Disk { act, path, source } => write!(f, "cannot {act} `{}`: {source}", path.display()),
            Self::Thread(source) => write!(f, "cannot start the audit writer: {source}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(_) | Self::Held(_) => None,
            Self::Disk { source, .. } | Self::Thread(source) => Some(source),
        }
    }
}

/// What was found when a record was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Segments that were there.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The sequence number that comes next.
    pub next_seq: u64,
    /// Segments that do not end in a whole line, the newest 16 at most: a crash, or a cut. They are left as they are.
    pub torn: Vec<TornTail>,
}

/// The end of a segment that is not a whole line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The number of the segment.
    pub segment: u64,
    /// How many bytes follow its last newline; at least this many where the tail is longer than 256 KiB.
    pub bytes: u64,
}

/// A directory that this process holds.
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
}

/// A segment as it stands in the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("audit-{number:08}.jsonl"))
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    (digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The segments of a directory, oldest first. Holds a few bytes for each; other files are passed over.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<Listed>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(segment_number)
            && segment_path(directory, number).file_name() == Some(&entry.file_name())
        {
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                segments.push(Listed { number, bytes: metadata.len() });
            }
        }
    }
    segments.sort_unstable_by_key(|segment| segment.number);
    Ok(segments)
}

impl Directory {
    /// Makes the directory if need be, locks it, and finds where its record stands.
    pub(crate) fn open(path: &Path, origin: &str) -> Result<(Self, Opening), OpenError> {
        let fault = |act| move |source| OpenError::Disk { act, path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fault("make the audit directory"))?;
        let lock = lock(path).map_err(|refused| match refused {
            TryLockError::WouldBlock => OpenError::Held(path.to_owned()),
            TryLockError::Error(source) => fault("lock the audit directory")(source),
        })?;
        let segments = list(path).map_err(fault("list the audit directory"))?;
        let mut opening = Opening {
            segments: segments.len(),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            next_seq: 1,
            torn: Vec::new(),
        };
        for segment in segments.iter().rev() {
            let tail = tail(&segment_path(path, segment.number), origin).map_err(fault("read a segment of"))?;
            opening.next_seq = opening.next_seq.max(tail.seq.map_or(1, |seq| seq.saturating_add(1)));
            if tail.torn > 0 && opening.torn.len() < TORN_MAX {
                opening.torn.push(TornTail { segment: segment.number, bytes: tail.torn });
            }
        }
        Ok((Self { path: path.to_owned(), lock }, opening))
    }

    /// Begins the segment after all that are there, and says how many bytes those have.
    ///
    /// Also takes the lock again where the directory was replaced by another one meanwhile.
    pub(crate) fn begin(&mut self) -> io::Result<(Segment, u64)> {
        if !same_file(&self.lock, &self.path.join(LOCK)) {
            self.lock = lock(&self.path)?;
        }
        let segments = list(&self.path)?;
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        // One that is empty is taken over, so that a process that starts again and again does not fill the directory.
        let last = segments.last().map_or(0, |last| last.number);
        let empty = segments.last().filter(|last| last.bytes == 0);
        let segment = match empty.map(|empty| Segment::take_over(segment_path(&self.path, empty.number))) {
            Some(Ok(segment)) => segment,
            Some(Err(_)) | None => self.create_after(last)?,
        };
        // A file whose entry is not on disk is gone after a power cut, whatever was synced into it.
        File::open(&self.path)?.sync_all()?;
        Ok((segment, bytes))
    }

    /// Makes the segment after `last`, passing over a few names that something else than a segment has.
    fn create_after(&self, last: u64) -> io::Result<Segment> {
        let mut number = last.saturating_add(1);
        loop {
            match Segment::create(segment_path(&self.path, number)) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists && number < last.saturating_add(8) => {
                    number += 1;
                }
                result => return result,
            }
        }
    }
}

/// Takes the lock of a directory; it is held as long as the file is open.
fn lock(directory: &Path) -> Result<File, TryLockError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(LOCK))
        .map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

/// True if the path leads to the open file.
fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// The segment that is being written.
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Segment {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, bytes: 0 })
    }

    fn take_over(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { file, path, bytes: 0 })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends whole lines and waits until they are on disk.
    ///
    /// After an error nothing may be appended any more: what of the lines is in the file is unknown, and a sync that
    /// failed once may succeed the next time without having written anything.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.bytes = self.bytes.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        // Lines in a file that was removed, moved, cut or written by another are not on the record.
        if !same_file(&self.file, &self.path) {
            return Err(io::Error::other("the segment was removed or replaced"));
        }
        if self.file.metadata()?.len() != self.bytes {
            return Err(io::Error::other("the segment was changed by someone else"));
        }
        Ok(())
    }
}

struct Tail {
    /// The highest sequence number of the origin.
    seq: Option<u64>,
    /// Bytes after the last newline.
    torn: u64,
}

/// Reads the end of a segment. A segment holds lines of one origin only, since each start begins a new one.
fn tail(path: &Path, origin: &str) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut scanner = Scanner::new(BufReader::new(file.take(length - start)), start);
    let mut tail = Tail { seq: None, torn: 0 };
    while let Some((_, piece)) = scanner.next()? {
        match piece {
            Piece::Line(line) => {
                if let Ok(head) = serde_json::from_slice::<Head<'_>>(line)
                    && head.origin == origin
                {
                    tail.seq = tail.seq.max(Some(head.seq));
                }
            }
            Piece::TooLong(_) => {}
            Piece::Torn(bytes) => tail.torn = bytes,
        }
    }
    Ok(tail)
}
