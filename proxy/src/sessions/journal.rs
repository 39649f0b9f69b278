//! What survives a restart: a directory with a key and a file that grows by records of 48 bytes.
//!
//! It holds keyed digests and times, no name and no token. Written by one thread; after `kill -9` everything is there that was
//! handed over, after the loss of power what is older than a tick (250 ms). A last record that is not whole was never told to anybody, and is
//! cut off. Any other record that cannot be believed means that ends may be missing: then nobody is let in who signed in
//! before, rather than somebody who was logged out.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::EndedBy;
use super::Sessions;
use super::ends::End;
use super::key::{Digester, Key};
use super::life::{KEPT_S, Life};
use super::memory::{Changes, Floor};

/// One record: kind, floor number, two bytes of nothing, a digest, five times, a seal.
const RECORD: usize = 48;
const SEALED: usize = RECORD - 8;
/// The largest file that is read: more than one that was compacted can ever be.
const LARGEST: u64 = 128 * 1024 * 1024;
/// From which size on a file is compacted that has doubled since the last time.
const WORTH_IT: u64 = 1024 * 1024;

const LIFE: u8 = b'L';
const FLOOR: u8 = b'F';
const END: u8 = b'E';
const END_OF_ALL: u8 = b'A';

/// Why a state directory cannot be used.
#[derive(Debug)]
pub struct StateError {
    path: PathBuf,
    what: &'static str,
    why: String,
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
    _lock: File,
    file: File,
    length: u64,
    compacted: u64,
    found: Vec<[u8; RECORD]>,
    damaged: bool,
    /// A write has failed: the file may end in half a record, so all of it is written anew.
    broken: bool,
}

/// One entry.
enum Entry {
    Life(Key, Life),
    Floor(u8, Floor),
    End(Key, End),
}

impl Journal {
    /// Opens a directory, making it and its key where they are missing.
    ///
    /// # Errors
    /// Where that cannot be done, another gate has it open, or its key is not one.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let fault = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |why: std::io::Error| StateError { path, what, why: why.to_string() }
        };
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
        let journal = folder.join("journal");
        if secret.is_empty() {
            secret = vec![0; 32];
            let random = aws_lc_rs::rand::fill(&mut secret);
            random.map_err(|_| fault("make a key in", folder)(std::io::Error::other("no randomness")))?;
            lock.write_all(&secret).and_then(|()| lock.sync_all()).map_err(fault("write", &path))?;
        }
        let secret: [u8; 32] = secret.try_into().map_err(|_| StateError {
            path: path.clone(),
            what: "use the key",
            why: "it is not of 32 bytes; with another key nothing in the folder can be read".to_owned(),
        })?;
        let mut file = private().read(true).open(&journal).map_err(fault("open", &journal))?;
        let digester = Digester::new(&secret);
        let mut bytes = Vec::new();
        (&mut file).take(LARGEST).read_to_end(&mut bytes).map_err(fault("read", &journal))?;
        let (records, torn) = bytes.as_chunks::<RECORD>();
        let damaged = records.iter().any(|record| read(&digester, record).is_none())
            || file.metadata().map_err(fault("read", &journal))?.len() > LARGEST;
        let length = (bytes.len() - torn.len()) as u64;
        file.set_len(length).map_err(fault("cut", &journal))?;
        sync_folder(folder).map_err(fault("sync", folder))?;
        let found = records.to_vec();
        // A file that is opened to be read and written is written where reading ended; a torn end was cut there.
        use std::io::Seek as _;
        file.seek(std::io::SeekFrom::End(0)).map_err(fault("read", &journal))?;
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            secret,
            digester,
            _lock: lock,
            file,
            length,
            compacted: length,
            found,
            damaged,
            broken: false,
        })
    }

    /// The secret under which digests are made.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Puts back what was written. Says whether records were damaged.
    pub(crate) fn restore(&mut self, sessions: &Sessions, now: u64) -> bool {
        for record in std::mem::take(&mut self.found) {
            match read(&self.digester, &record) {
                // Of a file that is not whole, nobody knows what came later: an end of what it calls alive, perhaps.
                Some(Entry::Life(_, life)) if self.damaged && life.ended.is_none() => {}
                Some(Entry::Life(key, life)) if !life.is_past(now) => sessions.memory.restore(key, life),
                Some(Entry::Floor(number, floor)) => sessions.memory.restore_floor(number, floor),
                Some(Entry::End(key, end)) if now < end.until => {
                    // There was room for all of them before.
                    sessions.ends.say(key, end, now, EndedBy::Control).unwrap_or(end);
                }
                Some(Entry::Life(..) | Entry::End(..)) | None => {}
            }
        }
        // What was read is written already.
        drop(sessions.ends.take_fresh());
        if self.damaged {
            sessions.memory.distrust(now, now.saturating_add(KEPT_S));
        }
        self.damaged
    }

    /// Writes what changed, and everything anew where the file has grown to twice its size.
    ///
    /// # Errors
    /// What the system says. The next time everything is written anew.
    pub(super) fn write(&mut self, sessions: &Sessions) -> std::io::Result<()> {
        let (changes, ends) = (sessions.memory.changes(), sessions.ends.take_fresh());
        let again = std::mem::replace(&mut self.broken, true);
        let done = if again { self.compact(sessions) } else { self.append(sessions, &changes, &ends) };
        self.broken = done.is_err();
        done
    }

    fn append(&mut self, sessions: &Sessions, changes: &Changes, ends: &[(Key, End)]) -> std::io::Result<()> {
        let mut text = Vec::new();
        for (key, life) in &changes.lives {
            text.extend(self.made(&Entry::Life(*key, *life)));
        }
        for (number, floor) in &changes.floors {
            text.extend(self.made(&Entry::Floor(*number, *floor)));
        }
        for (key, end) in ends {
            text.extend(self.made(&Entry::End(*key, *end)));
        }
        if !text.is_empty() {
            self.file.write_all(&text)?;
            self.length = self.length.saturating_add(text.len() as u64);
            self.file.sync_data()?;
        }
        if self.length > WORTH_IT.max(self.compacted.saturating_mul(2)) {
            self.compact(sessions)?;
        }
        Ok(())
    }

    /// Writes all that there is into a file of its own, which then takes the place of the old one.
    fn compact(&mut self, sessions: &Sessions) -> std::io::Result<()> {
        let next = self.folder.join("journal.next");
        let mut file = private().truncate(true).open(&next)?;
        let all = sessions.memory.all();
        let mut text = Vec::new();
        let lives = all.lives.iter().map(|(key, life)| Entry::Life(*key, *life));
        let floors = all.floors.iter().map(|(number, floor)| Entry::Floor(*number, *floor));
        let ends = sessions.ends.all_said().into_iter().map(|(key, end)| Entry::End(key, end));
        for entry in lives.chain(floors).chain(ends) {
            text.extend(self.made(&entry));
        }
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&next, self.folder.join("journal"))?;
        sync_folder(&self.folder)?;
        (self.file, self.length) = (file, text.len() as u64);
        self.compacted = self.length;
        Ok(())
    }

    fn made(&self, entry: &Entry) -> [u8; RECORD] {
        let (kind, number, key, times) = match entry {
            Entry::Life(Key(key), life) => {
                let times = [life.begun, life.last, life.gap, life.ended.map_or(0, |at| at.max(1)), life.until];
                (LIFE, 0, *key, times)
            }
            Entry::Floor(number, floor) => (FLOOR, *number, [0; 16], [floor.at.into(), floor.until.into(), 0, 0, 0]),
            Entry::End(Key(key), end) => {
                let kind = if end.before.is_some() { END } else { END_OF_ALL };
                (kind, 0, *key, [end.before.unwrap_or(0), end.until, 0, 0, 0])
            }
        };
        let mut record = Vec::with_capacity(RECORD);
        record.extend([kind, number, 0, 0]);
        record.extend(key);
        for time in times {
            record.extend(u32::try_from(time).unwrap_or(u32::MAX).to_be_bytes());
        }
        let seal = self.digester.seal(&record);
        record.extend(seal);
        let mut made = [0; RECORD];
        made.iter_mut().zip(record).for_each(|(to, from)| *to = from);
        made
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

fn read(digester: &Digester, record: &[u8; RECORD]) -> Option<Entry> {
    let (text, seal) = record.split_at_checked(SEALED)?;
    if digester.seal(text) != seal {
        return None;
    }
    let key = Key(text.get(4..20)?.try_into().ok()?);
    let (times, _) = text.get(20..)?.as_chunks::<4>();
    let time = |at: usize| times.get(at).copied().map(u32::from_be_bytes);
    let long = |at: usize| time(at).map(u64::from);
    Some(match *text.first()? {
        LIFE => {
            let ended = long(3)?;
            let ended = (ended > 0).then_some(ended);
            Entry::Life(key, Life { begun: long(0)?, last: long(1)?, gap: long(2)?, ended, until: long(4)? })
        }
        FLOOR => Entry::Floor(*text.get(1)?, Floor { at: time(0)?, until: time(1)? }),
        END => Entry::End(key, End { before: Some(long(0)?), until: long(1)? }),
        END_OF_ALL => Entry::End(key, End { before: None, until: long(1)? }),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
