use super::super::life::FirstSeen;
use super::*;

const NOW: u64 = 1_800_000_000;

fn key(number: u64) -> Key {
    // Spread as digests are.
    let spread = u128::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Key(spread.to_be_bytes())
}

fn sight(at: Option<u64>, now: u64) -> Sight {
    Sight { at, begun: None, now, expires: now + 3_600, active: true, first_seen: FirstSeen::SignIn }
}

fn now<T>(answer: Answer<'_, T>) -> T {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => panic!("memory answers at once"),
    }
}

#[test]
fn a_session_that_ends_between_two_acts_stays_ended() {
    let table = Memory::new(false);
    let first = sight(Some(NOW), NOW);
    assert_eq!(now(table.touch(key(1), first)).ended, None);
    let looked = now(table.look(key(1))).life.unwrap();
    now(table.end(key(1), NOW + 5, NOW + 90_000));
    assert_eq!(looked.ended, None, "it was looked at before");
    let touched = now(table.touch(key(1), sight(Some(NOW), NOW + 6)));
    assert_eq!((touched.ended, touched.last), (Some(NOW + 5), NOW));
}

#[test]
fn a_million_sessions_stay_within_the_bound_and_what_has_ended_never_comes_back() {
    let table = Memory::new(true);
    now(table.touch(key(0), sight(Some(NOW - 100), NOW - 100)));
    now(table.end(key(0), NOW - 50, NOW + 3_600));
    for number in 1..=1_000_000 {
        let at = NOW + number / 1_000;
        now(table.touch(key(number), sight(Some(at), at)));
        if number % 100_000 == 0 {
            table.changes();
        }
    }
    assert!(table.len() <= PARTS * PER_PART, "{}", table.len());
    let places: usize = table.parts.iter().map(|part| locked(part).lives.capacity()).sum();
    assert!(places <= PARTS * PER_PART, "{places} places");
    let known = now(table.look(key(0)));
    assert!(known.life.is_none() && known.floor.is_some(), "it was forgotten: {known:?}");
    for at in [None, Some(NOW - 100), Some(NOW - 50)] {
        let life = now(table.touch(key(0), sight(at, NOW + 1_000)));
        assert!(life.ended.is_some(), "{at:?}: {life:?}");
    }
    let newest = NOW + 1_001;
    assert_eq!(now(table.touch(key(0), sight(Some(newest), newest))).ended, None, "signed in anew");
    assert_eq!(now(table.touch(key(1_000_000), sight(Some(NOW + 1_000), newest))).ended, None, "the latest live on");
}

#[test]
fn what_is_past_is_dropped_and_so_is_the_floor() {
    let table = Memory::new(false);
    now(table.touch(key(1), sight(Some(NOW), NOW)));
    table.distrust(NOW, NOW + 10);
    assert!(now(table.touch(key(2), sight(None, NOW + 1))).ended.is_some());
    table.prune(NOW + 11);
    assert_eq!(table.len(), 1);
    assert!(now(table.touch(key(2), sight(None, NOW + 11))).ended.is_none());
    table.prune(NOW + 3_600 + KEPT_S + 100);
    assert!(table.is_empty());
}

#[test]
fn changes_are_told_once_and_use_only_now_and_then() {
    let table = Memory::new(true);
    now(table.touch(key(1), sight(Some(NOW), NOW)));
    assert_eq!(table.changes().lives.len(), 1);
    for second in 0..15 {
        now(table.touch(key(1), sight(Some(NOW), NOW + second)));
    }
    assert!(table.changes().lives.is_empty());
    now(table.touch(key(1), sight(Some(NOW), NOW + 15)));
    now(table.end(key(1), NOW + 16, NOW + 20));
    let told = table.changes().lives;
    assert_eq!(told.last().unwrap().1.ended, Some(NOW + 16));
    assert!(table.changes().lives.is_empty());
    assert_eq!(size_of::<(Key, Slot)>(), 40, "the bound of the module rests on it");
}

#[test]
fn a_session_that_the_gate_began_is_no_older_than_that() {
    let table = Memory::new(false);
    table.distrust(NOW, NOW + 10);
    for (at, begun, lives) in [
        (None, None, false),
        (Some(NOW), None, false),
        (None, Some(NOW), false),
        (None, Some(NOW + 1), true),
        (Some(NOW - 100), Some(NOW + 1), true),
        (Some(NOW + 1), None, true),
    ] {
        let sight = Sight { begun, ..sight(at, NOW + 1) };
        let key = key(at.unwrap_or(1) ^ begun.unwrap_or(2));
        assert_eq!(now(table.look(key)).seen(sight).is_ok(), lives, "{at:?} {begun:?}");
        assert_eq!(now(table.touch(key, sight)).ended.is_none(), lives, "{at:?} {begun:?}");
    }
}

#[test]
fn what_is_ended_twice_is_told_once() {
    let table = Memory::new(true);
    for _ in 0..3 {
        now(table.end(key(1), NOW, NOW + 20));
    }
    now(table.end(key(1), NOW + 1, NOW + 20));
    assert_eq!(table.changes().lives.len(), 1);
    now(table.end(key(1), NOW, NOW + 20));
    assert!(table.changes().lives.is_empty());
}
