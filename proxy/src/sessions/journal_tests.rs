use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::sync_channel;

use super::super::life::{FirstSeen, Sight};
use super::super::{EndedBy, Revocation, Writer};
use super::*;
use crate::sessions::key::Kind;

const NOW: u64 = 1_800_000_000;

fn sessions(journal: &Journal) -> Sessions {
    let (ask, _) = sync_channel(1);
    let (_, written) = tokio::sync::watch::channel(0);
    Sessions::new(journal.secret(), Some(Writer { ask, written }))
}

fn key(sessions: &Sessions, name: &str) -> Key {
    sessions.digester.key(Kind::Session, "https://a.example/", name)
}

fn sight(now: u64) -> Sight {
    Sight { at: Some(NOW), now, expires: now + 3_600, active: true, first_seen: FirstSeen::SignIn }
}

async fn life(sessions: &Sessions, name: &str) -> Option<Life> {
    sessions.store().look(key(sessions, name)).get().await.unwrap().life
}

/// A gate that saw two sessions, one of which ended, and one subject revoked; then it is gone.
async fn lived(folder: &Path) {
    let mut journal = Journal::open(folder).unwrap();
    let gate = sessions(&journal);
    for name in ["s-1", "s-2"] {
        gate.store().touch(key(&gate, name), sight(NOW)).get().await.unwrap();
    }
    journal.write(&gate).unwrap();
    gate.end(key(&gate, "s-2"), NOW + 5, NOW + 3_600, EndedBy::Logout).await.unwrap();
    let end = End { before: Some(NOW + 6), until: NOW + 90_000 };
    let revocation =
        Revocation { kind: Kind::Subject, issuer: "https://a.example/".into(), name: "eve.example".into(), end };
    gate.revoke(&revocation, NOW + 6, EndedBy::Control).unwrap();
    journal.write(&gate).unwrap();
}

fn eve(gate: &Sessions) -> bool {
    let key = gate.digester.key(Kind::Subject, "https://a.example/", "eve.example");
    gate.is_revoked(std::iter::once(key), Some(NOW), NOW + 100)
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    lived(&state).await;
    let mut journal = Journal::open(&state).unwrap();
    let gate = sessions(&journal);
    assert!(!journal.restore(&gate, NOW + 100), "nothing is damaged");
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
    let other = Journal::open(&state).unwrap_err().to_string();
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
        let mut journal = Journal::open(folder.path()).unwrap();
        let gate = sessions(&journal);
        assert!(!journal.restore(&gate, NOW + 100), "{torn} bytes");
        assert_eq!(life(&gate, "s-1").await.unwrap().last, NOW);
        assert_eq!(std::fs::metadata(&path).unwrap().len() % RECORD as u64, 0);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        let gate = sessions(&journal);
        assert!(journal.restore(&gate, NOW + 100), "a flipped bit in byte {at}");
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
    let mut journal = Journal::open(folder.path()).unwrap();
    let gate = sessions(&journal);
    let mut largest = 0;
    for round in 0..200_u64 {
        for name in 0..200 {
            let now = NOW + round * 20;
            gate.store().touch(key(&gate, &name.to_string()), sight(now)).get().await.unwrap();
        }
        journal.write(&gate).unwrap();
        largest = largest.max(journal.length);
    }
    assert!(largest <= WORTH_IT + 200 * RECORD as u64, "{largest}");
    assert!(journal.length < largest, "it was compacted");
    drop((journal, gate));
    let mut journal = Journal::open(folder.path()).unwrap();
    let gate = sessions(&journal);
    journal.restore(&gate, NOW + 4_000);
    assert_eq!(gate.memory.len(), 200);
    assert!(life(&gate, "7").await.unwrap().last >= NOW + 199 * 20 - 20);
    let mut journal = {
        drop((journal, gate));
        Journal::open(folder.path()).unwrap()
    };
    let gate = sessions(&journal);
    journal.restore(&gate, NOW + 4_000 + 3_600 + KEPT_S + 100);
    assert!(gate.memory.is_empty());
}

#[test]
fn a_folder_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "short").unwrap();
    let fault = Journal::open(folder.path()).unwrap_err().to_string();
    assert!(fault.contains("not of 32 bytes"), "{fault}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Journal::open(&file).is_err());
}
