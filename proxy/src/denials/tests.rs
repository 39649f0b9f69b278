use std::path::Path;

use audit::{Decision, Entry, Event, Mode, Settings};

use super::*;
use crate::clock::Clock;

fn record(home: &Path, size: u64) -> Record {
    Record::open(Settings {
        directory: home.to_owned(),
        size,
        segment: size / 4,
        queue: 256,
        origin: "test".into(),
        replica: "test".into(),
        random: |bytes| bytes.fill(7),
    })
    .unwrap()
}

struct Flood {
    _home: tempfile::TempDir,
    record: Record,
    ids: RequestIds,
    clock: Clock,
    denials: Denials,
    policy: std::sync::Arc<str>,
}

impl Flood {
    fn new(size: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let record = record(home.path(), size);
        let (ids, clock) = (RequestIds::new(1), Clock::manual(1_795_293_886_000));
        Self { _home: home, record, ids, clock, denials: Denials::default(), policy: "sha256:0".into() }
    }

    fn refuse_as(&self, code: &'static str, peer: &str, actor: Option<&audit::Actor>) -> Result<Noted, NotRecorded> {
        let peer = peer.parse().unwrap();
        let draft = || Draft { code: Some(code.into()), actor: actor.cloned(), ..draft(peer) };
        let noted = self.denials.note(
            &self.record,
            &self.ids,
            self.clock.now(),
            &Refused { code, actor: actor.map(|one| [one.iss.as_str(), &one.sub]), peer, policy: &self.policy },
            draft,
        )?;
        Ok(match noted {
            Noted::Single(slot) => {
                // What is on its way to disk must not decide what this test sees.
                wait(slot.write(draft()).durable()).unwrap();
                Noted::Counted(RequestIds::new(0).next())
            }
            counted @ Noted::Counted(_) => counted,
        })
    }

    fn refuse(&self, code: &'static str, peer: &str) {
        self.refuse_as(code, peer, None).unwrap();
    }

    /// The events on the record: singles, and what the others stand for.
    fn end(self) -> (usize, Vec<Event>) {
        self.denials.finish(self.clock.now());
        wait(self.record.close()).unwrap();
        let lines = audit::read(self._home.path()).unwrap().map(|entry| match entry.unwrap() {
            Entry::Line(line) => serde_json::from_str::<Event>(&line.text).unwrap(),
            Entry::Fault { .. } => panic!("a fault in the record"),
        });
        let (singles, counted): (Vec<_>, Vec<_>) = lines.partition(|event| event.kind == Kind::Answer);
        (singles.len(), counted)
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn draft(peer: IpAddr) -> Draft {
    Draft {
        at: 1_795_293_886_000,
        kind: Kind::Answer,
        request: "r".into(),
        trace: None,
        actor: None,
        tenant: Some("a".into()),
        patient: None,
        rule: Some("records".into()),
        act: None,
        route: Some("GET /a".into()),
        policy: "sha256:0".into(),
        mode: Mode::Enforce,
        decision: Decision::Deny,
        code: None,
        facts: None,
        status: Some(401),
        app_error: None,
        peer,
        counted: None,
    }
}

fn actor(subject: &str) -> audit::Actor {
    serde_json::from_value(
        serde_json::json!({ "iss": "https://i.example", "sub": subject, "session": "hs:1", "roles": [] }),
    )
    .unwrap()
}

#[test]
fn the_first_twenty_of_a_minute_stand_alone_and_the_rest_is_counted() {
    let flood = Flood::new(64 << 20);
    for number in 0..500 {
        flood.refuse("NO_CREDENTIAL", &format!("203.0.113.{}", number % 256));
    }
    flood.refuse("NO_ROUTE", "203.0.113.9");
    flood.refuse("NO_CREDENTIAL", "203.0.112.9");
    flood.clock.advance(Duration::from_millis(2_500));
    assert_eq!(flood.denials.counted(), 480);
    let (singles, counted) = flood.end();
    assert_eq!(singles, 22);
    let [one] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!(one.counted, Some(Counted { requests: 480, seconds: 3, prefix: 24 }));
    assert_eq!((one.code.as_deref(), one.peer.to_string().as_str()), (Some("NO_CREDENTIAL"), "203.0.113.0"));
    assert_eq!((&one.rule, &one.route, &one.tenant, one.status), (&None, &None, &None, Some(401)));
}

#[test]
fn a_new_minute_writes_the_old_count_and_begins_with_singles() {
    let flood = Flood::new(64 << 20);
    for _ in 0..25 {
        flood.refuse("NO_ROUTE", "2001:db8:1::1");
    }
    flood.clock.advance(Duration::from_secs(30));
    flood.denials.settle(flood.clock.now());
    flood.refuse("NO_ROUTE", "2001:db8:1:ffff::2");
    flood.clock.advance(Duration::from_secs(30));
    flood.denials.settle(flood.clock.now());
    assert!(flood.denials.lock().is_empty());
    flood.refuse("NO_ROUTE", "2001:db8:1::1");
    let (singles, counted) = flood.end();
    assert_eq!(singles, 21);
    assert_eq!(
        counted.iter().map(|event| event.counted.unwrap()).collect::<Vec<_>>(),
        [Counted { requests: 6, seconds: 60, prefix: 48 }]
    );
}

#[test]
fn one_person_is_counted_apart_from_the_others_and_is_named() {
    let flood = Flood::new(64 << 20);
    let (one, other) = (actor("eve"), actor("mallory"));
    for _ in 0..30 {
        flood.refuse_as("NOT_GRANTED", "203.0.113.9", Some(&one)).unwrap();
    }
    flood.refuse_as("NOT_GRANTED", "203.0.113.9", Some(&other)).unwrap();
    let (singles, counted) = flood.end();
    assert_eq!(singles, 21);
    let [event] = &counted[..] else { panic!("{counted:?}") };
    let actor = event.actor.as_ref().unwrap();
    assert_eq!((actor.sub.as_str(), &actor.session), ("eve", &None), "they may be of several sessions");
    assert_eq!(event.counted.unwrap().requests, 10);
}

#[test]
fn the_answers_carry_the_id_of_the_event_that_counts_them() {
    let flood = Flood::new(64 << 20);
    let mut ids = Vec::new();
    for _ in 0..40 {
        if let Ok(Noted::Counted(id)) = flood.refuse_as("NO_ROUTE", "203.0.113.9", None) {
            ids.push(id.to_string());
        }
    }
    let last = ids.pop().unwrap();
    assert_eq!(ids.iter().rev().take_while(|id| **id == last).count(), 19);
    let (_, counted) = flood.end();
    assert_eq!(counted.first().map(|event| event.request.as_str()), Some(last.as_str()));
}

#[test]
fn a_flood_from_everywhere_leaves_a_quarter_of_the_record_to_those_who_are_let_in() {
    let size = 4 << 20;
    let flood = Flood::new(size);
    for number in 0..20_000_u32 {
        let peer = Ipv4Addr::from_bits(0x0a00_0000 + (number << 8)).to_string();
        flood.refuse("NO_CREDENTIAL", &peer);
    }
    let health = flood.record.health();
    assert!(health.bytes <= size - size / 4 && !health.full, "{health:?}");
    assert!(flood.denials.lock().len() <= KINDS + 1);
    assert!(flood.record.reserve().is_ok(), "there is room for others");
    let (singles, counted) = flood.end();
    let requests: u64 = counted.iter().map(|event| event.counted.unwrap().requests).sum();
    assert_eq!(singles as u64 + requests, 20_000, "none is lost");
}

#[test]
fn a_closed_record_takes_no_refusal() {
    let flood = Flood::new(4 << 20);
    wait(flood.record.close()).unwrap();
    assert!(flood.refuse_as("NO_ROUTE", "203.0.113.9", None).is_err());
}
