//! What survives a restart: a directory with a key and a file that grows by records of 48 bytes.
//!
//! It holds keyed digests and times, no name and no token. Written by one thread; after `kill -9` everything is there that was
//! handed over, after the loss of power what is older than a tick (250 ms). A last record that is not whole was never told to
//! anybody, and is cut off. Any other record that cannot be believed, or that is missing, means that ends may be missing: then
//! nobody is let in who signed in before, rather than somebody who was logged out.
//!
//! The first record says how many were on disk behind it at the write before the last one. So a file that was cut is known
//! from one whose last write did not reach the disk.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Sessions;
use super::ends::End;
use super::entry::{self, Entry, Mark, RECORD, Record, Seal};
use super::key::{Digester, Key};
use super::life::KEPT_S;
use super::memory::Changes;

/// The largest file that is read: more than one that was compacted can ever be.
const LARGEST: u64 = 128 * 1024 * 1024;
/// From which size on a file is compacted that has doubled since the last time.
const WORTH_IT: u64 = 1024 * 1024;
/// How much is read and written at once.
const PIECE: usize = 64 * 1024;

/// Why a state directory cannot be used.
#[derive(Debug)]
pub struct StateError {
    path: PathBuf,
    what: &'static str,
    why: String,
}

impl StateError {
    fn of(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |why| Self { path: path.clone(), what, why: why.to_string() }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {} `{}`: {}", self.what, self.path.display(), self.why)
    }
}

impl std::error::Error for StateError {}

/// An open state directory. The file of the key is locked as long as it lives.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    secret: [u8; 32],
    digester: Digester,
    lock: File,
    file: File,
    /// What the first record of the file says.
    mark: Mark,
    /// How many records stand behind it.
    count: u32,
    /// The seal of the last one.
    last: Seal,
    /// Its size when it was written anew, or would have been.
    compacted: u64,
    /// A write has failed: the file may end in half a record, so all of it is written anew.
    broken: bool,
}

impl Journal {
    /// Opens a directory, making it where it is missing, with `fresh` as its key.
    ///
    /// # Errors
    /// Where that cannot be done, another gate has it open, or its key is not one.
    pub(crate) fn open(folder: &Path, fresh: &[u8; 32]) -> Result<Self, StateError> {
        let fault = StateError::of;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault("make the folder", folder))?;
        let path = folder.join("key");
        let mut lock = private().read(true).open(&path).map_err(fault("open", &path))?;
        lock.try_lock().map_err(|refused| {
            let why = match refused {
                TryLockError::WouldBlock => "another gate has it open".to_owned(),
                TryLockError::Error(why) => why.to_string(),
            };
            StateError { path: path.clone(), what: "lock", why }
        })?;
        let mut secret = Vec::new();
        (&mut lock).take(33).read_to_end(&mut secret).map_err(fault("read", &path))?;
        let is_new = secret.is_empty();
        let mut number = [0; 8];
        if is_new {
            secret = fresh.to_vec();
        }
        let random = aws_lc_rs::rand::fill(&mut number);
        random.map_err(|_| fault("number the file in", folder)(std::io::Error::other("no randomness")))?;
        let secret: [u8; 32] = secret.try_into().map_err(|_| StateError {
            path: path.clone(),
            what: "use the key",
            why: "it is not of 32 bytes; with another key nothing in the folder can be read".to_owned(),
        })?;
        let journal = folder.join("journal");
        let file = private().read(true).open(&journal).map_err(fault("open", &journal))?;
        let mark = Mark { number: u64::from_be_bytes(number), count: 0 };
        let mut opened = Self {
            folder: folder.to_owned(),
            secret,
            digester: Digester::new(&secret),
            lock,
            file,
            mark,
            count: 0,
            last: mark.seal(),
            compacted: 0,
            broken: false,
        };
        if is_new {
            // ORDER: the file first. Beside a key that was written, one that is missing has been lost.
            if opened.length().map_err(fault("read", &journal))? <= RECORD as u64 {
                opened.begin(std::iter::empty()).map_err(fault("write", &journal))?;
            }
            let written = opened.lock.write_all(&secret).and_then(|()| opened.lock.sync_all());
            written.and_then(|()| sync_folder(folder)).map_err(fault("write", &path))?;
        }
        Ok(opened)
    }

    /// The secret under which digests are made.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Puts back what was written, and writes all of it anew where that is worth it. Says whether anything was damaged.
    ///
    /// # Errors
    /// Where the file cannot be read or cut.
    pub(crate) fn restore(&mut self, sessions: &Sessions, now: u64) -> Result<bool, StateError> {
        let path = self.folder.join("journal");
        let (damaged, left_out) = self.read(sessions, now).map_err(StateError::of("read", &path))?;
        if left_out > 0 {
            tracing::error!(target: "anteroom", count = left_out, "there is no room for revocations of the state");
        }
        let damaged = damaged || left_out > 0;
        if damaged {
            // Of a file that is not whole, nobody knows what came later: an end of what it calls alive, perhaps.
            sessions.memory.forget_living();
            let until = now.saturating_add(KEPT_S);
            sessions.memory.distrust(now, until);
            sessions.ends.distrust(now, until);
        }
        let kept = sessions.memory.len().saturating_add(sessions.ends.len()).saturating_add(1);
        self.compacted = size(kept);
        // What is left over is not read again and again, and what is damaged is not damaged for ever.
        if damaged || self.is_worth_it() {
            // Whoever keeps it tries again, and says why it fails.
            self.broken = self.compact(sessions).is_err();
        }
        Ok(damaged)
    }

    /// Reads the file in pieces, up to an end that is torn, and cuts that off. Says whether anything is damaged, and how many
    /// ends there was no room for.
    fn read(&mut self, sessions: &Sessions, now: u64) -> std::io::Result<(bool, usize)> {
        self.file.rewind()?;
        let mut damaged = self.length()? > LARGEST;
        let mut left_out = 0;
        let mut reader = BufReader::with_capacity(PIECE, (&self.file).take(LARGEST));
        match next(&mut reader)?.and_then(|first| entry::read(&self.digester, Seal::default(), &first)) {
            Some(Entry::Mark(mark)) => self.mark = mark,
            Some(Entry::Life(..) | Entry::Floor(..) | Entry::End(..)) | None => damaged = true,
        }
        (self.count, self.last) = (0, self.mark.seal());
        while let Some(record) = next(&mut reader)? {
            match entry::read(&self.digester, self.last, &record) {
                Some(Entry::Life(key, life)) if !life.is_past(now) => sessions.memory.restore(key, life),
                Some(Entry::Floor(number, floor)) => sessions.memory.restore_floor(number, floor),
                Some(Entry::End(key, end)) if now < end.until => {
                    left_out += usize::from(sessions.ends.restore(key, end).is_err());
                }
                Some(Entry::Life(..) | Entry::End(..)) => {}
                Some(Entry::Mark(_)) | None => damaged = true,
            }
            (self.count, self.last) = (self.count.saturating_add(1), entry::seal_of(&record));
        }
        damaged |= self.count < self.mark.count;
        self.file.set_len(self.size())?;
        // It is written where reading ended; a torn end was cut there.
        self.file.seek(SeekFrom::End(0))?;
        Ok((damaged, left_out))
    }

    /// Writes what changed, and everything anew where the file has grown to twice its size.
    ///
    /// # Errors
    /// What the system says. The next time everything is written anew.
    pub(super) fn write(&mut self, sessions: &Sessions) -> std::io::Result<()> {
        // ORDER: nothing is taken out of the changes for a folder that nobody finds again.
        if !self.is_in_place("key", &self.lock)? {
            let what = "the folder was moved away, or another one has its place: put it back, or restart";
            return Err(std::io::Error::other(what));
        }
        let again = self.broken || !self.is_in_place("journal", &self.file)?;
        let (changes, ends) = (sessions.memory.changes(), sessions.ends.take_fresh());
        self.broken = true;
        let done = if again { self.compact(sessions) } else { self.append(sessions, &changes, &ends) };
        self.broken = done.is_err();
        done
    }

    /// Whether a file of the folder is still the one that is open.
    fn is_in_place(&self, name: &str, open: &File) -> std::io::Result<bool> {
        let open = open.metadata()?;
        match std::fs::metadata(self.folder.join(name)) {
            Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, sessions: &Sessions, changes: &Changes, ends: &[(Key, End)]) -> std::io::Result<()> {
        let mut text = Vec::new();
        let (mut count, mut last) = (self.count, self.last);
        for entry in entries(changes, ends) {
            let record = entry::made(&self.digester, last, &entry);
            text.extend(record);
            (count, last) = (count.saturating_add(1), entry::seal_of(&record));
        }
        let mark = Mark { count: self.count, ..self.mark };
        if !text.is_empty() || mark != self.mark {
            self.file.write_all(&text)?;
            // INVARIANT: the mark counts what was on disk before this write, whichever of the two gets there first.
            self.file.write_all_at(&self.marked(mark), 0)?;
            self.file.sync_data()?;
            (self.mark, self.count, self.last) = (mark, count, last);
        }
        if self.is_worth_it() {
            self.compact(sessions)?;
        }
        Ok(())
    }

    /// Writes all that there is into a file of its own, which then takes the place of the old one.
    fn compact(&mut self, sessions: &Sessions) -> std::io::Result<()> {
        let (all, ends) = (sessions.memory.all(), sessions.ends.all_said());
        self.begin(entries(&all, &ends))
    }

    fn begin(&mut self, entries: impl Iterator<Item = Entry>) -> std::io::Result<()> {
        let next = self.folder.join("journal.next");
        let file = private().read(true).truncate(true).open(&next)?;
        let mut mark = Mark { number: self.mark.number.wrapping_add(1), count: 0 };
        let mut last = mark.seal();
        let mut out = BufWriter::with_capacity(PIECE, &file);
        out.write_all(&self.marked(mark))?;
        for entry in entries {
            let record = entry::made(&self.digester, last, &entry);
            out.write_all(&record)?;
            (mark.count, last) = (mark.count.saturating_add(1), entry::seal_of(&record));
        }
        out.flush()?;
        drop(out);
        file.write_all_at(&self.marked(mark), 0)?;
        file.sync_all()?;
        std::fs::rename(&next, self.folder.join("journal"))?;
        sync_folder(&self.folder)?;
        (self.file, self.mark, self.count, self.last) = (file, mark, mark.count, last);
        self.compacted = self.size();
        Ok(())
    }

    fn marked(&self, mark: Mark) -> Record {
        entry::made(&self.digester, Seal::default(), &Entry::Mark(mark))
    }

    /// The size of the file as it has to be, in bytes.
    fn size(&self) -> u64 {
        size(usize::try_from(self.count).unwrap_or(usize::MAX).saturating_add(1))
    }

    fn length(&self) -> std::io::Result<u64> {
        self.file.metadata().map(|file| file.len())
    }

    fn is_worth_it(&self) -> bool {
        self.size() > WORTH_IT.max(self.compacted.saturating_mul(2))
    }
}

/// The size of so many records, in bytes.
fn size(records: usize) -> u64 {
    (records as u64).saturating_mul(RECORD as u64)
}

fn entries(changes: &Changes, ends: &[(Key, End)]) -> impl Iterator<Item = Entry> {
    let lives = changes.lives.iter().map(|(key, life)| Entry::Life(*key, *life));
    let floors = changes.floors.iter().map(|(number, floor)| Entry::Floor(*number, *floor));
    let ends = ends.iter().map(|(key, end)| Entry::End(*key, *end));
    lives.chain(floors).chain(ends)
}

/// The next record; `None` where no whole one is left.
fn next(reader: &mut impl std::io::Read) -> std::io::Result<Option<Record>> {
    let mut record = [0; RECORD];
    match reader.read_exact(&mut record) {
        Ok(()) => Ok(Some(record)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
