//! Reading and following: damage is named and passed, never an end and never hidden.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "tests may"
)]

mod support;

use std::fs;
use std::io::Write as _;

use audit::{Entry, Fault, Follower, READ_LINE_MAX, Record, Settings};
use support::{close, everything, put, settings};

fn line(seq: u64) -> String {
    format!("{{\"origin\":\"o\",\"seq\":{seq}}}\n")
}

#[test]
fn damage_is_named_by_its_place() {
    let home = tempfile::tempdir().unwrap();
    let mut bytes = line(1).into_bytes();
    let mut places = Vec::new();
    let mut fault = |bytes: &mut Vec<u8>, damage: &[u8]| {
        places.push(bytes.len() as u64);
        bytes.extend_from_slice(damage);
    };
    fault(&mut bytes, b"not json\n");
    fault(&mut bytes, b"\xff\xfe\n");
    fault(&mut bytes, b"\n");
    fault(&mut bytes, &[vec![b'x'; 3 * READ_LINE_MAX], vec![b'\n']].concat());
    bytes.extend_from_slice(line(2).as_bytes());
    fault(&mut bytes, b"{\"origin\":\"o\",\"seq\":3}");
    fs::write(home.path().join("audit-00000001.jsonl"), &bytes).unwrap();
    fs::write(home.path().join("audit-00000002.jsonl"), line(3)).unwrap();

    let (mut seqs, mut faults) = (Vec::new(), Vec::new());
    for entry in audit::read(home.path()).unwrap() {
        match entry.unwrap() {
            Entry::Line(line) => seqs.push(line.seq),
            Entry::Fault { place, fault } => {
                assert_eq!((place.segment, place.offset), (1, places[faults.len()]));
                faults.push(fault);
            }
        }
    }
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(
        faults,
        [
            Fault::Unreadable { bytes: 8 },
            Fault::Unreadable { bytes: 2 },
            Fault::Unreadable { bytes: 0 },
            Fault::TooLong { bytes: 3 * READ_LINE_MAX as u64 },
            Fault::Torn { bytes: 22 },
        ]
    );
}

#[test]
fn longest_line_is_read_and_one_byte_more_is_not() {
    let home = tempfile::tempdir().unwrap();
    let padded = |length: usize| {
        let head = "{\"origin\":\"o\",\"seq\":1,\"pad\":\"\"}".len();
        format!("{{\"origin\":\"o\",\"seq\":1,\"pad\":\"{}\"}}\n", "x".repeat(length - head))
    };
    let file = home.path().join("audit-00000001.jsonl");
    fs::write(&file, padded(READ_LINE_MAX)).unwrap();
    let first = audit::read(home.path()).unwrap().next().unwrap().unwrap();
    assert!(matches!(first, Entry::Line(line) if line.text.len() == READ_LINE_MAX));
    fs::write(&file, padded(READ_LINE_MAX + 1)).unwrap();
    let first = audit::read(home.path()).unwrap().next().unwrap().unwrap();
    assert!(matches!(first, Entry::Fault { fault: Fault::TooLong { .. }, .. }));
}

#[test]
fn follower_gives_each_line_once_over_segments_and_half_lines() {
    let home = tempfile::tempdir().unwrap();
    let mut follower = Follower::new(home.path());
    assert_eq!(follower.poll().unwrap(), Vec::<String>::new());
    let first = home.path().join("audit-00000001.jsonl");
    let text = line(1);
    let (half, rest) = text.split_at(9);
    fs::write(&first, half).unwrap();
    assert_eq!(follower.poll().unwrap(), Vec::<String>::new());
    let mut file = fs::OpenOptions::new().append(true).open(&first).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    file.write_all(b"torn").unwrap();
    assert_eq!(follower.poll().unwrap(), [text.trim_end()]);
    assert_eq!(follower.poll().unwrap(), Vec::<String>::new());
    fs::write(home.path().join("audit-00000002.jsonl"), line(2)).unwrap();
    fs::write(home.path().join("audit-00000004.jsonl"), line(3)).unwrap();
    assert_eq!(follower.poll().unwrap(), [line(2).trim_end(), line(3).trim_end()]);
    assert_eq!(follower.poll().unwrap(), Vec::<String>::new());
}

#[test]
fn follower_sees_what_the_reader_sees() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(Settings { segment: 64 << 10, ..settings(home.path()) }).unwrap();
    let mut follower = Follower::new(home.path());
    let mut followed = Vec::new();
    for number in 0..300 {
        put(&record, number.to_string()).unwrap();
        if number % 7 == 0 {
            followed.extend(follower.poll().unwrap());
        }
    }
    close(record);
    followed.extend(follower.poll().unwrap());
    let (events, faults) = everything(home.path());
    assert_eq!(faults, []);
    assert_eq!(events.len(), 300);
    assert!(events.iter().map(|event| serde_json::to_string(event).unwrap()).eq(followed));
}

#[test]
fn one_look_is_bounded() {
    let home = tempfile::tempdir().unwrap();
    let text: String = (1..=2500).map(line).collect();
    fs::write(home.path().join("audit-00000001.jsonl"), text).unwrap();
    let mut follower = Follower::new(home.path());
    let looks: Vec<usize> = (0..4).map(|_| follower.poll().unwrap().len()).collect();
    assert_eq!(looks, [1000, 1000, 500, 0]);
}
