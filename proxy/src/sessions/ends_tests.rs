use super::*;

fn key(number: u32) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_be_bytes());
    Key(key)
}

#[test]
fn an_end_holds_for_earlier_sign_ins_until_its_time() {
    let ends = Ends::default();
    assert!(ends.is_empty());
    ends.say(key(1), End { before: Some(100), until: 1_000 }, 100, EndedBy::Control).unwrap();
    let holds = |at, now| ends.hold([key(7), key(1)].into_iter(), at, now);
    for (at, now, expected) in [
        (Some(100), 200, true),
        (Some(99), 999, true),
        (None, 200, true),
        (Some(101), 200, false),
        (Some(99), 1_000, false),
        (None, 1_000, false),
    ] {
        assert_eq!(holds(at, now), expected, "{at:?} at {now}");
    }
    ends.file(HashMap::from([(key(1), End { before: None, until: 500 })]));
    assert!(holds(Some(101), 200) && !holds(Some(101), 500));
    ends.file(HashMap::new());
    assert!(!holds(Some(101), 200));
    assert!(!ends.hold([key(2)].into_iter(), None, 200));
}

#[test]
fn two_ends_of_one_add_up() {
    let ends = Ends::default();
    ends.say(key(1), End { before: Some(100), until: 1_000 }, 100, EndedBy::Control).unwrap();
    ends.say(key(1), End { before: Some(50), until: 2_000 }, 100, EndedBy::Control).unwrap();
    assert!(ends.hold([key(1)].into_iter(), Some(100), 1_500));
    ends.say(key(1), End { before: Some(3_000), until: 9_000 }, 2_500, EndedBy::Control).unwrap();
    assert!(ends.hold([key(1)].into_iter(), Some(3_000), 8_000));
}

#[test]
fn there_is_a_bound_and_nothing_is_forgotten_for_it() {
    let ends = Ends::default();
    for number in 0..MOST as u32 {
        let until = if number < 10 { 150 } else { 1_000 };
        ends.say(key(number), End { before: None, until }, 100, EndedBy::Control).unwrap();
    }
    assert_eq!(ends.say(key(u32::MAX), End { before: None, until: 1_000 }, 100, EndedBy::Control), Err(Full));
    assert!(
        ends.say(key(11), End { before: None, until: 1_001 }, 100, EndedBy::Control).is_ok(),
        "one that is there already"
    );
    assert!(
        ends.say(key(u32::MAX), End { before: None, until: 1_000 }, 150, EndedBy::Control).is_ok(),
        "others are over by now"
    );
    assert!(ends.hold([key(11)].into_iter(), None, 900));
    ends.prune(1_000);
    assert_eq!(ends.len(), 1);
}

#[test]
fn whoever_logs_out_again_and_again_leaves_room_for_the_others() {
    let ends = Ends::default();
    let said = |number: usize, by| ends.say(key(number as u32), End { before: None, until: 1_000 }, 100, by);
    for (by, room) in [(EndedBy::Logout, MOST / 2), (EndedBy::Provider, MOST / 4 * 3), (EndedBy::Control, MOST)] {
        while ends.len() < room {
            said(ends.len(), by).unwrap();
        }
        assert_eq!(said(MOST + 1, by), Err(Full), "{by:?}");
    }
}

#[test]
fn what_the_file_says_of_one_twice_counts_together() {
    let ends = Ends::default();
    let out = (key(1), End { before: None, until: 1_000 });
    let milder = (key(1), End { before: Some(50), until: 500 });
    for file in [[out, milder], [milder, out]] {
        ends.file(file);
        assert!(ends.hold([key(1)].into_iter(), Some(100), 900), "{file:?}");
    }
}

#[test]
fn the_directory_is_told_of_what_is_new_and_of_nothing_twice() {
    let ends = Ends::new(true);
    let end = End { before: Some(100), until: 1_000 };
    ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
    ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
    assert_eq!(ends.take_fresh(), [(key(1), end)]);
    ends.say(key(1), end, 100, EndedBy::Logout).unwrap();
    ends.say(key(1), End { before: Some(90), ..end }, 100, EndedBy::Logout).unwrap();
    assert_eq!(ends.take_fresh(), []);
    let later = End { before: Some(101), ..end };
    ends.say(key(1), later, 101, EndedBy::Logout).unwrap();
    assert_eq!(ends.take_fresh(), [(key(1), later)]);
    ends.restore(key(2), end).unwrap();
    assert_eq!(ends.take_fresh(), [], "what was read is written already");
}

#[test]
fn more_are_put_back_than_can_be_new_and_what_is_not_is_said() {
    let ends = Ends::new(true);
    let end = End { before: Some(100), until: 1_000 };
    for _ in 0..2 {
        for number in 0..MOST as u32 {
            ends.restore(key(number + 1), end).unwrap();
        }
    }
    assert_eq!(ends.restore(key(u32::MAX), end), Err(Full));
    ends.distrust(200, 1_000);
    for (at, held) in [(None, true), (Some(200), true), (Some(201), false)] {
        assert_eq!(ends.hold_everybody(at, 300), held, "{at:?}");
    }
    assert!(ends.hold([key(MOST as u32)].into_iter(), Some(100), 300));
    ends.prune(1_000);
    assert!(ends.is_empty() && !ends.hold_everybody(None, 1_000));
}

#[test]
fn no_end_hides_behind_a_change_of_another() {
    for _ in 0..200 {
        let ends = Ends::default();
        std::thread::scope(|threads| {
            for number in 0..4 {
                let ends = &ends;
                threads.spawn(move || match number {
                    0 => ends.prune(1),
                    1 => ends.file([]),
                    _ => {
                        ends.say(key(number), End { before: None, until: 9 }, 1, EndedBy::Control).unwrap();
                        assert!(!ends.is_empty());
                    }
                });
            }
        });
        assert!(!ends.is_empty());
    }
}

#[test]
fn the_credentials_of_one_subject_have_a_share_and_beyond_it_all_of_them_end() {
    let ends = Ends::new(true);
    let (ada, eve) = (key(u32::MAX), key(u32::MAX - 1));
    let out = |number: usize, nameless, now| {
        let ended = LoggedOut { credential: key(number as u32), nameless, at: now, until: now + 100 };
        ends.log_out(ended, now).unwrap()
    };
    for _ in 0..2 {
        for number in 0..SHARE {
            assert_eq!(out(number, eve, 1_000), End { before: None, until: 1_100 });
        }
    }
    assert_eq!(ends.len(), SHARE, "one that has ended already counts once");
    assert!(!ends.hold([eve].into_iter(), Some(1_000), 1_000));
    for number in SHARE..MOST {
        assert_eq!(out(number, eve, 1_000), End { before: Some(1_000), until: 1_100 });
    }
    assert_eq!(ends.len(), SHARE + 1);
    for (at, held) in [(None, true), (Some(1_000), true), (Some(1_001), false)] {
        assert_eq!(ends.hold([eve].into_iter(), at, 1_099), held, "{at:?}");
    }
    assert_eq!(out(MOST, ada, 1_000).before, None, "another subject has its own");
    assert!(ends.take_fresh().iter().any(|(key, _)| *key == eve), "a restart does not forget it");
    // The share is free again as soon as they have expired, forgotten or not.
    assert_eq!(out(MOST + 1, eve, 1_100).before, None);
    ends.prune(1_200);
    assert!(ends.is_empty() && ends.reading().shares.is_empty());
}
