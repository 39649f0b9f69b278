//! What the tests of the record share: settings, drafts, and reading everything back.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use audit::{Decision, Draft, Entry, Event, Fault, Kind, Mode, Place, Record, Settings};

/// Unique, not random: what ids need.
fn count(buffer: &mut [u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    buffer.fill(0);
    buffer.iter_mut().rev().zip(next.iter().rev()).for_each(|(to, from)| *to = *from);
}

pub fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        size: 512 << 20,
        segment: 64 << 20,
        queue: 4096,
        origin: "clinic/a/pod-7/3".into(),
        replica: "pod-7".into(),
        random: count,
    }
}

pub fn draft(request: impl Into<String>) -> Draft {
    Draft {
        at: 1_795_293_886_123,
        kind: Kind::Answer,
        request: request.into(),
        trace: None,
        actor: None,
        tenant: Some("a".into()),
        patient: None,
        rule: Some("records".into()),
        act: Some("records.read".into()),
        route: Some("GET /api/patients/{patient}/records/**".into()),
        policy: "sha256:9d2c".into(),
        mode: Mode::Enforce,
        decision: Decision::Allow,
        code: None,
        facts: None,
        status: Some(200),
        peer: [203, 0, 113, 9].into(),
        counted: None,
    }
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Writes one event and waits until it is on disk.
pub fn put(record: &Record, request: impl Into<String>) -> Result<(), audit::NotRecorded> {
    let written = record.reserve()?.write(draft(request));
    wait(written.durable())
}

pub fn close(record: Record) {
    wait(record.close()).unwrap();
}

/// Everything in the directory: events that were not repeated, and faults.
pub fn everything(directory: &Path) -> (Vec<Event>, Vec<(Place, Fault)>) {
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    for entry in audit::read(directory).unwrap() {
        match entry.unwrap() {
            Entry::Line(line) if line.repeated => {}
            Entry::Line(line) => events.push(line.event().unwrap()),
            Entry::Fault { place, fault } => faults.push((place, fault)),
        }
    }
    (events, faults)
}

pub fn requests(directory: &Path) -> Vec<String> {
    everything(directory).0.into_iter().map(|event| event.request).collect()
}

/// Asks every 50 ms until it is so, for 10 s.
pub fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..200 {
        if so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it did not come to that");
}
