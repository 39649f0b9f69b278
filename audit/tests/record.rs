//! The record through its public face: what was promised room is on disk, in order, once; what was not is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests may"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use audit::{Fault, NotRecorded, OpenError, Record, Settings};
use support::{close, draft, everything, put, requests, settings, until, wait};

fn segments(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("audit-"));
    names.sort();
    names
}

#[test]
fn many_threads_every_event_once_and_in_order() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(Settings { segment: 1 << 20, ..settings(home.path()) }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let record = &record;
            scope.spawn(move || {
                let mut last = None;
                for number in 0..2000 {
                    let slot = loop {
                        match record.reserve() {
                            Ok(slot) => break slot,
                            Err(NotRecorded::Busy) => std::thread::yield_now(),
                            Err(refused) => panic!("{refused}"),
                        }
                    };
                    last = Some(slot.write(draft(format!("{thread}/{number}"))));
                }
                wait(last.unwrap().durable()).unwrap();
            });
        }
    });
    let health = record.health();
    assert_eq!((health.written, health.reserved, health.queued), (16_000, 0, 0));
    assert!(health.groups < 16_000, "{} groups", health.groups);
    close(record);

    let (events, faults) = everything(home.path());
    assert_eq!(faults, []);
    assert!(events.iter().map(|event| event.seq).eq(1..=16_000));
    assert_eq!(events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(), 16_000);
    for thread in 0..8 {
        let own = events.iter().filter(|event| event.request.starts_with(&format!("{thread}/")));
        assert!(own.map(|event| event.request.clone()).eq((0..2000).map(|number| format!("{thread}/{number}"))));
    }
    assert!(segments(home.path()).len() > 4, "segments end at their size");
}

#[test]
fn restart_goes_on_after_the_last_line() {
    let home = tempfile::tempdir().unwrap();
    for run in 0..3u64 {
        let record = Record::open(settings(home.path())).unwrap();
        assert_eq!(record.opening().next_seq, run * 2 + 1);
        put(&record, "a").unwrap();
        put(&record, "b").unwrap();
        close(record);
    }
    let other = Settings { origin: "clinic/a/pod-8/1".into(), ..settings(home.path()) };
    let record = Record::open(other).unwrap();
    assert_eq!(record.opening().next_seq, 1, "each origin counts for itself");
    put(&record, "c").unwrap();
    close(record);
    let record = Record::open(settings(home.path())).unwrap();
    assert_eq!(record.opening().next_seq, 7);
    assert_eq!(segments(home.path()).len(), 5);
    close(record);
    let record = Record::open(settings(home.path())).unwrap();
    assert_eq!(segments(home.path()).len(), 5, "an empty segment is taken over");
    close(record);
}

#[test]
fn torn_tail_is_left_and_told() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    put(&record, "a").unwrap();
    put(&record, "b").unwrap();
    close(record);
    let first = home.path().join("audit-00000001.jsonl");
    let cut = fs::metadata(&first).unwrap().len() - 7;
    fs::File::options().write(true).open(&first).unwrap().set_len(cut).unwrap();

    let record = Record::open(settings(home.path())).unwrap();
    let torn = record.opening().torn.clone();
    assert_eq!((torn.len(), torn[0].segment), (1, 1));
    put(&record, "c").unwrap();
    close(record);
    assert_eq!(fs::metadata(&first).unwrap().len(), cut);
    let (events, faults) = everything(home.path());
    assert!(events.iter().map(|event| (event.request.as_str(), event.seq)).eq([("a", 1), ("c", 2)]));
    assert_eq!(faults.iter().map(|(_, fault)| *fault).collect::<Vec<_>>(), [Fault::Torn { bytes: torn[0].bytes }]);
}

/// A power cut at any byte of the last lines: every whole line is read, and the next run counts on from it.
#[test]
fn cut_at_every_byte() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    for name in ["a", "b", "c", "d"] {
        put(&record, name).unwrap();
    }
    close(record);
    let whole = fs::read(home.path().join("audit-00000001.jsonl")).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let copy = tempfile::tempdir().unwrap();
    for cut in ends[0] + 1..=whole.len() {
        fs::write(copy.path().join("audit-00000001.jsonl"), &whole[..cut]).unwrap();
        let (events, faults) = everything(copy.path());
        let lines = ends.iter().filter(|end| **end < cut).count();
        assert!(events.iter().map(|event| event.seq).eq(1..=lines as u64), "cut at {cut}");
        assert_eq!(faults.len(), usize::from(whole[cut - 1] != b'\n'), "cut at {cut}");
        if cut % 13 == 0 {
            let record = Record::open(settings(copy.path())).unwrap();
            assert_eq!(record.opening().next_seq, lines as u64 + 1);
            close(record);
            fs::remove_file(copy.path().join("audit-00000002.jsonl")).unwrap();
        }
    }
}

#[test]
fn queue_refuses_when_its_places_are_taken() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(Settings { queue: 3, ..settings(home.path()) }).unwrap();
    let mut slots: Vec<_> = (0..3).map(|_| record.reserve().unwrap()).collect();
    assert_eq!(record.reserve().unwrap_err(), NotRecorded::Busy);
    assert_eq!((record.health().reserved, record.health().refused), (3, 1));
    drop(slots.pop()); // never armed: gives its place back and writes nothing
    slots.push(record.reserve().unwrap());
    let written: Vec<_> = slots.into_iter().map(|slot| slot.write(draft("a"))).collect();
    for event in written {
        wait(event.durable()).unwrap();
    }
    put(&record, "b").unwrap();
    close(record);
    assert_eq!(requests(home.path()), ["a", "a", "a", "b"]);
}

#[test]
fn dropped_slot_writes_what_it_was_armed_with() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    let mut slot = record.reserve().unwrap();
    slot.arm(draft("armed"));
    drop(slot);
    let mut slot = record.reserve().unwrap();
    slot.arm(draft("completed"));
    let mut completed = slot.disarm().unwrap();
    completed.status = Some(204);
    drop(slot.write(completed));
    close(record);
    let (events, _) = everything(home.path());
    let told: Vec<_> = events.iter().map(|event| (event.request.as_str(), event.aborted, event.status)).collect();
    assert_eq!(told, [("armed", true, Some(200)), ("completed", false, Some(204))]);
}

#[test]
fn slots_are_kept_through_closing() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    let slot = record.reserve().unwrap();
    let late = record.clone();
    let closing = std::thread::spawn(move || close(late));
    until(|| record.health().closed);
    assert_eq!(record.reserve().unwrap_err(), NotRecorded::Closed);
    let written = slot.write(draft("late"));
    wait(written.durable()).unwrap();
    closing.join().unwrap();
    assert_eq!(requests(home.path()), ["late"]);
}

#[test]
fn last_handle_closes() {
    let home = tempfile::tempdir().unwrap();
    let mut slot = Record::open(settings(home.path())).unwrap().reserve().unwrap();
    slot.arm(draft("last"));
    drop(slot);
    until(|| Record::open(settings(home.path())).is_ok());
    assert_eq!(requests(home.path()), ["last"]);
}

#[test]
fn size_is_never_exceeded_and_nothing_deleted() {
    let home = tempfile::tempdir().unwrap();
    let size = 1 << 20;
    let record = Record::open(Settings { size, segment: 256 << 10, ..settings(home.path()) }).unwrap();
    let mut accepted = 0;
    while let Ok(slot) = record.reserve() {
        let mut long = draft(accepted.to_string());
        long.route = Some("x".repeat(2000).into());
        wait(slot.write(long).durable()).unwrap();
        accepted += 1;
    }
    assert_eq!(record.reserve().unwrap_err(), NotRecorded::Full);
    let health = record.health();
    assert!(health.full && health.failed.is_none());
    close(record);
    let bytes: u64 = segments(home.path()).iter().map(|name| fs::metadata(home.path().join(name)).unwrap().len()).sum();
    assert_eq!(bytes, health.bytes);
    assert!(bytes <= size && bytes > size - (32 << 10), "{bytes}");
    assert!(requests(home.path()).into_iter().eq((0..accepted).map(|number| number.to_string())));
    let record = Record::open(Settings { size, segment: 256 << 10, ..settings(home.path()) }).unwrap();
    assert_eq!(record.reserve().unwrap_err(), NotRecorded::Full, "and not after a restart either");
    close(record);
}

#[test]
fn what_is_spared_leaves_half_of_the_queue_and_a_quarter_of_the_size() {
    let home = tempfile::tempdir().unwrap();
    let size = 1 << 20;
    let record = Record::open(Settings { size, segment: 256 << 10, queue: 8, ..settings(home.path()) }).unwrap();
    let slots: Vec<_> = (0..4).map(|_| record.reserve_spare().unwrap()).collect();
    assert_eq!(record.reserve_spare().unwrap_err(), NotRecorded::Busy);
    assert!(record.reserve().is_ok(), "others still have room");
    assert_eq!(record.health().refused, 0, "and nobody was turned away");
    drop(slots);
    while let Ok(slot) = record.reserve_spare() {
        let mut long = draft("r");
        long.route = Some("x".repeat(2000).into());
        wait(slot.write(long).durable()).unwrap();
    }
    assert_eq!(record.reserve_spare().unwrap_err(), NotRecorded::Full);
    let health = record.health();
    assert!(!health.full && health.bytes <= size - size / 4, "{health:?}");
    put(&record, "let in").unwrap();
    close(record);
}

#[test]
fn removed_directory_fails_closed_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("audit");
    let record = Record::open(settings(&directory)).unwrap();
    put(&record, "before").unwrap();
    let held = record.reserve().unwrap();
    fs::remove_dir_all(&directory).unwrap();

    assert_eq!(put(&record, "first"), Err(NotRecorded::Failed));
    assert_eq!(record.reserve().unwrap_err(), NotRecorded::Failed);
    assert!(record.health().failed.is_some());
    assert_eq!(wait(held.write(draft("second")).durable()), Err(NotRecorded::Failed), "told at once, not held up");

    fs::create_dir(&directory).unwrap();
    until(|| record.health().failed.is_none());
    put(&record, "after").unwrap();
    assert_eq!(record.health().failures, 1);
    let (events, faults) = everything(&directory);
    assert_eq!(faults, []);
    let told: Vec<_> = events.iter().map(|event| (event.request.as_str(), event.seq)).collect();
    assert_eq!(told, [("first", 2), ("second", 3), ("after", 4)], "what has happened is on the record, if late");
    assert!(matches!(Record::open(settings(&directory)), Err(OpenError::Held(_))), "the new directory is held too");
    close(record);
}

#[test]
fn segment_changed_by_another_is_left_for_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    put(&record, "a").unwrap();
    let first = home.path().join("audit-00000001.jsonl");
    let whole = fs::read(&first).unwrap();
    fs::OpenOptions::new().write(true).open(&first).unwrap().set_len(whole.len() as u64 - 5).unwrap();
    assert_eq!(put(&record, "b"), Err(NotRecorded::Failed));
    until(|| record.health().failed.is_none());
    put(&record, "c").unwrap();
    close(record);
    let second = fs::read_to_string(home.path().join("audit-00000002.jsonl")).unwrap();
    assert!(second.lines().count() == 2 && second.starts_with('{'), "{second}");
    assert!(second.contains(r#""request":"b""#) && second.contains(r#""request":"c""#));
}

/// A line whose arrival was in doubt stands twice, byte for byte, and the reader says so.
#[test]
fn repeated_lines_are_marked() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    put(&record, "a").unwrap();
    let first = home.path().join("audit-00000001.jsonl");
    // The same file under another name: writing goes well, but the segment is no longer where it should be.
    fs::copy(&first, home.path().join("copy")).unwrap();
    fs::rename(&first, home.path().join("moved")).unwrap();
    fs::rename(home.path().join("copy"), &first).unwrap();
    assert_eq!(put(&record, "b"), Err(NotRecorded::Failed));
    until(|| record.health().failed.is_none());
    close(record);
    fs::rename(home.path().join("moved"), &first).unwrap();
    let lines: Vec<_> = audit::read(home.path())
        .unwrap()
        .map(|entry| match entry.unwrap() {
            audit::Entry::Line(line) => line,
            audit::Entry::Fault { fault, .. } => panic!("{fault:?}"),
        })
        .collect();
    assert_eq!(
        lines.iter().map(|line| (line.seq, line.repeated)).collect::<Vec<_>>(),
        [(1, false), (2, false), (2, true)]
    );
    assert_eq!(lines[1].text, lines[2].text);
    assert_eq!(requests(home.path()), ["a", "b"]);
}

#[test]
fn closing_a_failed_record_says_so() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("audit");
    let record = Record::open(settings(&directory)).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(put(&record, "lost"), Err(NotRecorded::Failed));
    let slot = record.reserve();
    assert_eq!(wait(record.close()), Err(NotRecorded::Failed));
    assert!(slot.is_err() && record.health().closed);
}

#[test]
fn one_process_one_directory_and_closed_to_others() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("a/b");
    let record = Record::open(settings(&directory)).unwrap();
    assert!(matches!(Record::open(settings(&directory)), Err(OpenError::Held(_))));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in ["audit-00000001.jsonl", "lock"] {
        assert_eq!(mode(&directory.join(file)), 0o600);
    }
    close(record);
    close(Record::open(settings(&directory)).unwrap());
}

#[test]
fn what_is_no_segment_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("elsewhere"), "").unwrap();
    std::os::unix::fs::symlink(home.path().join("elsewhere"), home.path().join("audit-00000001.jsonl")).unwrap();
    fs::create_dir(home.path().join("audit-00000002.jsonl")).unwrap();
    fs::write(home.path().join("audit-000000003.jsonl"), "{}\n").unwrap();
    let record = Record::open(settings(home.path())).unwrap();
    put(&record, "a").unwrap();
    close(record);
    assert_eq!(fs::metadata(home.path().join("elsewhere")).unwrap().len(), 0, "a link is not followed");
    assert!(home.path().join("audit-00000003.jsonl").exists());
    assert_eq!(requests(home.path()), ["a"]);
}

#[test]
fn settings_out_of_bounds_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let good = settings(home.path());
    for bad in [
        Settings { size: 1000, ..good.clone() },
        Settings { segment: 1000, ..good.clone() },
        Settings { segment: good.size + 1, ..good.clone() },
        Settings { queue: 0, ..good.clone() },
        Settings { queue: 1 << 20, ..good.clone() },
        Settings { origin: String::new(), ..good.clone() },
        Settings { origin: "a\nb".into(), ..good.clone() },
        Settings { replica: "\"".into(), ..good.clone() },
    ] {
        assert!(matches!(Record::open(bad), Err(OpenError::Settings(_))));
    }
    fs::write(home.path().join("file"), "").unwrap();
    let file = Record::open(settings(&home.path().join("file")));
    assert!(matches!(file, Err(OpenError::Disk { .. })));
}
