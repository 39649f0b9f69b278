//! One entry of the journal as its 48 bytes, and back.
//!
//! Decides whether bytes are an entry that this key has sealed at this very place: the seal is over the entry and the seal of
//! the one before, so that none can be taken out, put in or moved unseen.

use super::ends::End;
use super::key::{Digester, Key};
use super::life::Life;
use super::memory::Floor;

/// One record: kind, floor number, two bytes of nothing, a digest, five times, a seal.
pub(super) const RECORD: usize = 48;
const SEAL: usize = 8;

const MARK: u8 = b'M';
const LIFE: u8 = b'L';
const FLOOR: u8 = b'F';
const END: u8 = b'E';
const END_OF_ALL: u8 = b'A';

/// The bytes of one.
pub(super) type Record = [u8; RECORD];
/// What seals one, and the one behind it.
pub(super) type Seal = [u8; SEAL];

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// What is known of a session.
    Life(Key, Life),
    /// Up to when those lived that a part of the table has forgotten.
    Floor(u8, Floor),
    /// What was revoked.
    End(Key, End),
    /// The first of a file.
    Mark(Mark),
}

/// What the first entry of a file says of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which file it is: another number each time that all is written anew.
    pub(super) number: u64,
    /// How many entries stood behind it for certain, when it was written.
    pub(super) count: u32,
}

impl Mark {
    /// What stands for the seal before the first of the others: it stays when the mark is written again.
    pub(super) fn seal(self) -> Seal {
        self.number.to_be_bytes()
    }
}

/// The record of an entry behind the one with the seal `before`.
pub(super) fn made(digester: &Digester, before: Seal, entry: &Entry) -> Record {
    let mut padded = [0; 16];
    let (kind, number, key, times) = match entry {
        Entry::Life(Key(key), life) => {
            let times = [life.begun, life.last, life.gap, life.ended.map_or(0, |at| at.max(1)), life.until];
            (LIFE, 0, key, times)
        }
        Entry::Floor(number, floor) => (FLOOR, *number, &padded, [floor.at.into(), floor.until.into(), 0, 0, 0]),
        Entry::End(Key(key), end) => {
            let kind = if end.before.is_some() { END } else { END_OF_ALL };
            (kind, 0, key, [end.before.unwrap_or(0), end.until, 0, 0, 0])
        }
        Entry::Mark(mark) => {
            padded.iter_mut().zip(mark.number.to_be_bytes()).for_each(|(to, from)| *to = from);
            (MARK, 0, &padded, [mark.count.into(), 0, 0, 0, 0])
        }
    };
    let mut record = Vec::with_capacity(RECORD);
    record.extend([kind, number, 0, 0]);
    record.extend(key);
    for time in times {
        record.extend(u32::try_from(time).unwrap_or(u32::MAX).to_be_bytes());
    }
    let seal = digester.seal(before, &record);
    record.extend(seal);
    let mut made = [0; RECORD];
    made.iter_mut().zip(record).for_each(|(to, from)| *to = from);
    made
}

/// The seal at the end of a record, whatever it is worth.
pub(super) fn seal_of(record: &Record) -> Seal {
    record.last_chunk().copied().unwrap_or_default()
}

/// The entry of a record behind the one with the seal `before`; `None`: it is none.
pub(super) fn read(digester: &Digester, before: Seal, record: &Record) -> Option<Entry> {
    let (text, seal) = record.split_last_chunk::<SEAL>()?;
    if digester.seal(before, text) != *seal {
        return None;
    }
    let key: [u8; 16] = text.get(4..20)?.try_into().ok()?;
    let (times, _) = text.get(20..)?.as_chunks::<4>();
    let time = |at: usize| times.get(at).copied().map(u32::from_be_bytes);
    let long = |at: usize| time(at).map(u64::from);
    Some(match *text.first()? {
        LIFE => {
            let ended = long(3)?;
            let ended = (ended > 0).then_some(ended);
            Entry::Life(Key(key), Life { begun: long(0)?, last: long(1)?, gap: long(2)?, ended, until: long(4)? })
        }
        FLOOR => Entry::Floor(*text.get(1)?, Floor { at: time(0)?, until: time(1)? }),
        END => Entry::End(Key(key), End { before: Some(long(0)?), until: long(1)? }),
        END_OF_ALL => Entry::End(Key(key), End { before: None, until: long(1)? }),
        MARK => Entry::Mark(Mark { number: u64::from_be_bytes(*key.first_chunk()?), count: time(0)? }),
        _ => return None,
    })
}
