use super::*;

const SIGNED_IN: u64 = 1_000_000;
const IDLE: SessionTerms = SessionTerms { idle_s: Some(900), absolute_s: None };

fn sight(at: Option<u64>, now: u64, active: bool) -> Sight {
    Sight { at, begun: None, now, expires: now + 3_600, active, first_seen: FirstSeen::SignIn }
}

fn live(now: u64) -> Life {
    Life::new(sight(Some(SIGNED_IN), now, true)).touched(sight(Some(SIGNED_IN), now, true))
}

#[test]
fn two_tabs_share_one_clock_and_polling_moves_nothing() {
    let mut life = live(SIGNED_IN);
    for minute in 1..=14 {
        life = life.touched(sight(Some(SIGNED_IN), SIGNED_IN + minute * 60, false));
        assert!(life.judge(IDLE, SIGNED_IN + minute * 60).is_ok(), "minute {minute}");
    }
    assert_eq!(life.judge(IDLE, SIGNED_IN + 899).unwrap().idle_s, Some(1));
    assert_eq!(life.judge(IDLE, SIGNED_IN + 900), Err(Fault::Idle));
    // The other tab is used in time: both live on.
    let used = life.touched(sight(Some(SIGNED_IN), SIGNED_IN + 899, true));
    assert_eq!(used.judge(IDLE, SIGNED_IN + 1_700).unwrap().idle_s, Some(99));
}

#[test]
fn what_was_silent_for_too_long_stays_ended_whoever_touches_it() {
    let late = SIGNED_IN + 1_000;
    let touched = live(SIGNED_IN).touched(sight(Some(SIGNED_IN), late, true));
    assert_eq!(touched.judge(IDLE, late), Err(Fault::Idle), "a touch that came late revives nothing");
    let longer = SessionTerms { idle_s: Some(3_600), absolute_s: None };
    assert!(touched.judge(longer, late).is_ok(), "a route that waits longer judges for itself");
    // A silent refresh: another token of the same sign-in.
    assert_eq!(touched.touched(sight(Some(SIGNED_IN), late + 1, true)).judge(IDLE, late + 1), Err(Fault::Idle));
    assert_eq!(touched.touched(sight(None, late + 1, true)).judge(IDLE, late + 1), Err(Fault::Idle));
    // The old token is still used elsewhere when the new one comes.
    let used = touched.touched(sight(Some(SIGNED_IN), late + 5, true));
    assert!(used.touched(sight(Some(late + 2), late + 6, true)).judge(IDLE, late + 6).is_ok());
    let again = touched.touched(sight(Some(late + 1), late + 2, true));
    assert_eq!(again.judge(IDLE, late + 2).unwrap().idle_s, Some(900), "signed in anew");
}

#[test]
fn an_end_holds_until_a_newer_sign_in() {
    let ended = live(SIGNED_IN).end(SIGNED_IN + 60, 0);
    for at in [None, Some(SIGNED_IN), Some(SIGNED_IN + 59), Some(SIGNED_IN + 60)] {
        let seen = ended.touched(sight(at, SIGNED_IN + 100, true));
        assert_eq!(seen.judge(SessionTerms::default(), SIGNED_IN + 100), Err(Fault::Ended), "{at:?}");
        assert_eq!(seen.last, ended.last, "nothing moves the clock of what has ended");
    }
    let again = ended.touched(sight(Some(SIGNED_IN + 61), SIGNED_IN + 100, true));
    assert!(again.judge(IDLE, SIGNED_IN + 100).is_ok());
    assert_eq!(again.end(SIGNED_IN + 70, 0).end(SIGNED_IN + 50, 0).ended, Some(SIGNED_IN + 70), "the later end counts");
}

#[test]
fn a_clock_that_is_ahead_outlives_no_end() {
    let ahead = Some(SIGNED_IN + 60);
    let live = Life::new(sight(ahead, SIGNED_IN, true)).touched(sight(ahead, SIGNED_IN, true));
    assert!(live.judge(IDLE, SIGNED_IN).is_ok());
    let ended = live.end(SIGNED_IN + 5, 0);
    for now in [SIGNED_IN + 5, SIGNED_IN + 6, SIGNED_IN + 59, SIGNED_IN + 61, SIGNED_IN + 600] {
        let at = believable(ahead, 300, now);
        let seen = ended.touched(sight(at, now, true));
        assert_eq!(seen.judge(SessionTerms::default(), now), Err(Fault::Ended), "{now}");
    }
    let again = ended.touched(sight(Some(SIGNED_IN + 61), SIGNED_IN + 62, true));
    assert!(again.judge(IDLE, SIGNED_IN + 62).is_ok());
}

#[test]
fn one_that_is_new_counts_from_its_sign_in() {
    let old = sight(Some(SIGNED_IN), SIGNED_IN + 3 * 86_400, true);
    assert_eq!(Life::new(old).touched(old).judge(IDLE, old.now), Err(Fault::Idle));
    let from_now = Sight { first_seen: FirstSeen::Now, ..old };
    assert!(Life::new(from_now).touched(from_now).judge(IDLE, old.now).is_ok());
    let day = SessionTerms { idle_s: None, absolute_s: Some(86_400) };
    assert_eq!(
        Life::new(from_now).judge(day, old.now),
        Err(Fault::Absolute),
        "its life counts from the sign-in always"
    );
    let unknown = sight(None, SIGNED_IN, true);
    assert!(Life::new(unknown).judge(IDLE, SIGNED_IN + 899).is_ok());
    assert_eq!(Life::new(unknown).judge(day, SIGNED_IN + 86_400), Err(Fault::Absolute), "from first sight");
}

#[test]
fn a_sign_in_in_the_future_is_none() {
    assert_eq!(believable(Some(SIGNED_IN + 300), 300, SIGNED_IN), Some(SIGNED_IN + 300));
    assert_eq!(believable(Some(SIGNED_IN + 301), 300, SIGNED_IN), None);
    assert_eq!(believable(None, 300, SIGNED_IN), None);
    // The clock of the machine that goes back makes nothing of it negative.
    assert!(live(SIGNED_IN).judge(IDLE, SIGNED_IN - 5_000).is_ok());
}

#[test]
fn an_end_is_kept_past_the_last_credential() {
    let life = live(SIGNED_IN);
    assert!(!life.is_past(SIGNED_IN + 3_600 + KEPT_S));
    assert!(life.is_past(SIGNED_IN + 3_600 + KEPT_S + 1));
    let ended = life.end(SIGNED_IN + 10, SIGNED_IN + 90_000);
    assert!(!ended.is_past(SIGNED_IN + 90_000 + KEPT_S) && ended.is_past(SIGNED_IN + 90_001 + KEPT_S));
}
