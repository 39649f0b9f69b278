use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::sync_channel;

use super::super::life::{Fault, FirstSeen, Life, Sight};
use super::super::{EndedBy, Revocation, Writer};
use super::*;
use crate::sessions::key::Kind;

const NOW: u64 = 1_800_000_000;

/// Opens a folder, with a key that no other one has where it is new.
fn open(folder: &Path) -> Result<Journal, StateError> {
    let mut fresh = [0; 32];
    aws_lc_rs::rand::fill(&mut fresh).unwrap();
    Journal::open(folder, &fresh)
}

fn sessions(journal: &Journal) -> Sessions {
    let (ask, _) = sync_channel(1);
    let (_, written) = tokio::sync::watch::channel(0);
    Sessions::new(journal.secret(), Some(Writer { ask, written }))
}

fn key(sessions: &Sessions, name: &str) -> Key {
    sessions.digester.key(Kind::Session, "https://a.example/", name)
}

fn sight(now: u64) -> Sight {
    Sight { at: Some(NOW), begun: None, now, expires: now + 3_600, active: true, first_seen: FirstSeen::SignIn }
}

async fn life(sessions: &Sessions, name: &str) -> Option<Life> {
    sessions.store().look(key(sessions, name)).get().await.unwrap().life
}

/// A gate that saw two sessions, one of which ended, and one subject revoked; then it is gone.
async fn lived(folder: &Path) {
    let mut journal = open(folder).unwrap();
    let gate = sessions(&journal);
    for name in ["s-1", "s-2"] {
        gate.store().touch(key(&gate, name), sight(NOW)).get().await.unwrap();
    }
    journal.write(&gate).unwrap();
    gate.end(key(&gate, "s-2"), NOW + 5, NOW + 3_600, EndedBy::Logout).await.unwrap();
    let end = End { before: Some(NOW + 6), until: NOW + 90_000 };
    let revocation = Revocation::named(Kind::Subject, "https://a.example/", "eve.example".into(), end);
    gate.revoke(&revocation, NOW + 6, EndedBy::Control).unwrap();
    journal.write(&gate).unwrap();
}

fn eve(gate: &Sessions) -> bool {
    let key = gate.digester.key(Kind::Subject, "https://a.example/", "eve.example");
    gate.stands(std::iter::once(key), (Some(NOW), None), NOW + 100).is_err()
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    lived(&state).await;
    let mut journal = open(&state).unwrap();
    let gate = sessions(&journal);
    assert!(!journal.restore(&gate, NOW + 100).unwrap(), "nothing is damaged");
    assert_eq!(life(&gate, "s-1").await.unwrap().last, NOW);
    assert_eq!(life(&gate, "s-2").await.unwrap().ended, Some(NOW + 5));
    assert!(eve(&gate));
    for name in ["key", "journal"] {
        assert_eq!(std::fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let bytes = std::fs::read(state.join(name)).unwrap();
        for told in ["s-1", "eve.example", "a.example"] {
            assert!(!bytes.windows(told.len()).any(|part| part == told.as_bytes()), "{told} in {name}");
        }
    }
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let other = open(&state).unwrap_err().to_string();
    assert!(other.contains("another gate has it open"), "{other}");
}

#[tokio::test]
async fn a_torn_end_is_cut_and_any_other_damage_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    lived(folder.path()).await;
    let path = folder.path().join("journal");
    let whole = std::fs::read(&path).unwrap();
    for torn in 1..RECORD {
        std::fs::write(&path, &whole[..whole.len() - torn]).unwrap();
        let mut journal = open(folder.path()).unwrap();
        let gate = sessions(&journal);
        assert!(!journal.restore(&gate, NOW + 100).unwrap(), "{torn} bytes");
        assert_eq!(life(&gate, "s-1").await.unwrap().last, NOW);
        assert_eq!(std::fs::metadata(&path).unwrap().len() % RECORD as u64, 0);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut journal = open(folder.path()).unwrap();
        let gate = sessions(&journal);
        assert!(journal.restore(&gate, NOW + 100).unwrap(), "a flipped bit in byte {at}");
        // What the file calls alive may have ended behind the damage.
        assert!(life(&gate, "s-1").await.is_none_or(|life| life.ended.is_some()));
        // Whoever is not remembered has to have signed in since.
        let unknown = gate.store().touch(key(&gate, "s-9"), sight(NOW + 100)).get().await.unwrap();
        assert!(unknown.ended.is_some());
        let later = Sight { at: Some(NOW + 101), ..sight(NOW + 101) };
        assert!(gate.store().touch(key(&gate, "s-9"), later).get().await.unwrap().ended.is_none());
    }
}

#[tokio::test]
async fn a_file_that_grows_is_written_anew_and_what_is_past_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path()).unwrap();
    let gate = sessions(&journal);
    let mut largest = 0;
    for round in 0..200_u64 {
        for name in 0..200 {
            let now = NOW + round * 20;
            gate.store().touch(key(&gate, &name.to_string()), sight(now)).get().await.unwrap();
        }
        journal.write(&gate).unwrap();
        largest = largest.max(journal.size());
    }
    assert!(largest <= WORTH_IT + 200 * RECORD as u64, "{largest}");
    assert!(journal.size() < largest, "it was compacted");
    drop((journal, gate));
    let mut journal = open(folder.path()).unwrap();
    let gate = sessions(&journal);
    journal.restore(&gate, NOW + 4_000).unwrap();
    assert_eq!(gate.memory.len(), 200);
    assert!(life(&gate, "7").await.unwrap().last >= NOW + 199 * 20 - 20);
    let mut journal = {
        drop((journal, gate));
        open(folder.path()).unwrap()
    };
    let gate = sessions(&journal);
    journal.restore(&gate, NOW + 4_000 + 3_600 + KEPT_S + 100).unwrap();
    assert!(gate.memory.is_empty());
}

/// The gate that the folder makes, and whether anything was damaged.
fn again(folder: &Path, now: u64) -> (Journal, Sessions, bool) {
    let mut journal = open(folder).unwrap();
    let gate = sessions(&journal);
    let damaged = journal.restore(&gate, now).unwrap();
    (journal, gate, damaged)
}

#[tokio::test]
async fn damage_is_no_more_once_it_was_told_and_what_it_may_have_lost_stays_out() {
    let folder = tempfile::tempdir().unwrap();
    lived(folder.path()).await;
    let path = folder.path().join("journal");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2 * RECORD + 30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for (damaged, later) in [(true, 100), (false, 200), (false, 300)] {
        let (_, gate, is_damaged) = again(folder.path(), NOW + later);
        assert_eq!(is_damaged, damaged, "{later}");
        // Whatever it is of: a session that is not remembered, and a credential that names none.
        let unknown = gate.store().touch(key(&gate, "s-9"), sight(NOW + later)).get().await.unwrap();
        assert!(unknown.ended.is_some());
        let stands = |at, begun| gate.stands(std::iter::empty(), (at, begun), NOW + later);
        for at in [None, Some(NOW), Some(NOW + 100)] {
            assert_eq!(stands(at, None), Err(Fault::Forgotten), "{at:?}");
        }
        assert_eq!(stands(Some(NOW), Some(NOW + 101)), Err(Fault::Forgotten), "the provider repeats a sign-in");
        assert_eq!(stands(Some(NOW + 101), None), Ok(()));
        assert_eq!(stands(None, Some(NOW + 101)), Ok(()), "the gate's own session is of later");
    }
}

#[tokio::test]
async fn what_was_taken_out_or_moved_is_missed_wherever_that_was() {
    let folder = tempfile::tempdir().unwrap();
    lived(folder.path()).await;
    let path = folder.path().join("journal");
    let (mut journal, gate, damaged) = again(folder.path(), NOW + 100);
    assert!(!damaged);
    // A tick later it is known that the last write has reached the disk.
    journal.write(&gate).unwrap();
    drop((journal, gate));
    let whole = std::fs::read(&path).unwrap();
    let records: Vec<&[u8]> = whole.chunks(RECORD).collect();
    assert_eq!(records.len(), 5);
    let damaged = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        again(folder.path(), NOW + 100).2
    };
    assert!(!damaged(&whole));
    for cut in 0..records.len() {
        assert!(damaged(&records[..cut].concat()), "cut to {cut}");
        assert!(damaged(&[&records[..cut], &records[cut + 1..]].concat().concat()), "without {cut}");
        assert!(damaged(&[&records[..cut], &records[cut..=cut], &records[cut..]].concat().concat()), "twice {cut}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(again(folder.path(), NOW + 100).2, "beside its key it has been lost");
}

#[tokio::test]
async fn a_file_of_what_is_past_is_written_anew_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path()).unwrap();
    let gate = sessions(&journal);
    for name in 0..30_000 {
        gate.store().touch(key(&gate, &name.to_string()), sight(NOW)).get().await.unwrap();
    }
    journal.write(&gate).unwrap();
    assert_eq!(journal.size(), 30_001 * RECORD as u64);
    drop((journal, gate));
    let (journal, gate, damaged) = again(folder.path(), NOW + 100);
    assert_eq!(
        (journal.size(), gate.memory.len(), damaged),
        (30_001 * RECORD as u64, 30_000, false),
        "nothing is past"
    );
    drop((journal, gate));
    let (_, gate, _) = again(folder.path(), NOW + 3_600 + KEPT_S + 100);
    assert!(gate.memory.is_empty());
    assert_eq!(std::fs::metadata(folder.path().join("journal")).unwrap().len(), RECORD as u64);
}

#[tokio::test]
async fn what_is_ended_again_and_again_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path()).unwrap();
    let gate = sessions(&journal);
    let end = End { before: None, until: NOW + 90_000 };
    let credential = Revocation::named(Kind::Credential, "https://a.example/", "t-1".into(), end);
    for round in 0..50 {
        for _ in 0..3 {
            gate.revoke(&credential, NOW + round, EndedBy::Logout).unwrap();
            gate.end(key(&gate, "s-1"), NOW, NOW + 3_600, EndedBy::Logout).await.unwrap();
        }
        journal.write(&gate).unwrap();
    }
    assert_eq!(journal.size(), 3 * RECORD as u64);
}

#[tokio::test]
async fn a_folder_that_was_moved_away_is_noticed_and_nothing_is_lost_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (folder.path().join("state"), folder.path().join("moved"));
    lived(&here).await;
    let (mut journal, gate, _) = again(&here, NOW + 100);
    journal.write(&gate).unwrap();
    std::fs::rename(&here, &elsewhere).unwrap();
    assert!(journal.write(&gate).unwrap_err().to_string().contains("moved away"));
    gate.end(key(&gate, "s-1"), NOW + 101, NOW + 3_600, EndedBy::Logout).await.unwrap();
    // Another one in its place is not written either: it has another key.
    drop(open(&here).unwrap());
    assert!(journal.write(&gate).is_err());
    std::fs::remove_dir_all(&here).unwrap();
    std::fs::rename(&elsewhere, &here).unwrap();
    journal.write(&gate).unwrap();
    // A file that is gone alone is written anew.
    std::fs::remove_file(here.join("journal")).unwrap();
    journal.write(&gate).unwrap();
    drop((journal, gate));
    let (_, gate, damaged) = again(&here, NOW + 200);
    assert!(!damaged && eve(&gate));
    assert_eq!(life(&gate, "s-1").await.unwrap().ended, Some(NOW + 101));
}

#[test]
fn a_folder_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "short").unwrap();
    let fault = open(folder.path()).unwrap_err().to_string();
    assert!(fault.contains("not of 32 bytes"), "{fault}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(open(&file).is_err());
}

#[test]
fn a_new_folder_takes_the_key_that_it_is_given_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let name = |fresh: u8| {
        let journal = Journal::open(folder.path(), &[fresh; 32]).unwrap();
        let gate = sessions(&journal);
        gate.name(key(&gate, "s-1")).to_string()
    };
    let first = name(1);
    assert_eq!(first, name(2), "so that what has ended stays ended");
    let digester = Digester::new(&[1; 32]);
    assert_eq!(first, digester.name(digester.key(Kind::Session, "https://a.example/", "s-1")).to_string());
}
