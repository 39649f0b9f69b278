//! What a service said, and for how long it counts.
//!
//! Pure: times are arguments. What was said is used until it is `max_age` old and no second longer, and asked for anew from
//! half of that on, so that a service that is down for a while is not noticed and one that took a role away is heard in
//! time. That somebody is not known is kept for half a minute at most, and so often may it be asked in vain.

use std::time::Duration;

use super::{Down, Said};

/// The longest that somebody is taken for unknown without asking again.
const UNLISTED: Duration = Duration::from_secs(30);
/// How long nobody asks again after a call that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// What is kept of one subject. Times are of the monotone clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// What was said last, and when it was asked.
    pub(super) said: Option<(Said, Duration)>,
    /// Why it was not said since, and when that was known.
    pub(super) failed: Option<(Down, Duration)>,
}

/// How long an answer counts. Times are of the monotone clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// From then on it is asked for anew.
    pub renew: Duration,
    /// From then on it counts no more.
    pub until: Duration,
}

impl Holds {
    /// How long it counts that this was said to a question of `at`.
    pub(super) fn of(said: &Said, at: Duration, max_age: Duration) -> Self {
        let life = life(said, max_age);
        Self { renew: at.saturating_add(life / 2), until: at.saturating_add(life) }
    }
}

/// What to do for somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// This counts.
    Use(Said),
    /// This counts, and it is time to ask again meanwhile.
    Renew(Said),
    /// Ask, and wait.
    Ask,
    /// It was asked a moment ago, in vain.
    Down(Down),
}

impl Kept {
    /// What counts at `now`.
    pub(super) fn judge(&self, now: Duration, max_age: Duration) -> Judged {
        let paused = self.failed.filter(|(_, at)| now.saturating_sub(*at) < PAUSE);
        if let Some((said, at)) = &self.said {
            let (life, age) = (life(said, max_age), now.saturating_sub(*at));
            if age < life {
                let due = age >= life / 2 && paused.is_none();
                return if due { Judged::Renew(said.clone()) } else { Judged::Use(said.clone()) };
            }
        }
        match paused {
            Some((down, _)) => Judged::Down(down),
            None => Judged::Ask,
        }
    }

    /// When it was asked for what was said last.
    pub(super) fn asked(&self) -> Option<Duration> {
        self.said.as_ref().map(|(_, at)| *at)
    }

    /// What is to be kept after a call that was begun at `began` and ended at `ended`. The last answer stays behind a
    /// failure: it counts as long as it would have.
    pub(super) fn after(self, answer: &Result<Said, Down>, began: Duration, ended: Duration) -> Self {
        match answer {
            Ok(said) => Self { said: Some((said.clone(), began)), failed: None },
            Err(down) => Self { failed: Some((*down, ended)), ..self },
        }
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u32 {
        let of = |said: &Said| match said {
            Said::Listed(bindings) => bindings.weight(),
            Said::Unlisted => 0,
        };
        let held: usize = self.said.as_ref().map_or(0, |(said, _)| of(said));
        u32::try_from(held.saturating_add(256)).unwrap_or(u32::MAX)
    }
}

fn life(said: &Said, max_age: Duration) -> Duration {
    match said {
        Said::Listed(_) => max_age,
        Said::Unlisted => max_age.min(UNLISTED),
    }
}

#[cfg(test)]
mod tests {
    use policy::Bindings;

    use super::*;
    use crate::outbound::Fault;

    const MAX_AGE: Duration = Duration::from_secs(600);
    const DOWN: Down = Down::Call(Fault::Connect);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn somebody() -> Said {
        Said::Listed(Bindings::none())
    }

    #[test]
    fn what_was_said_counts_until_it_is_too_old() {
        let kept = Kept::default().after(&Ok(somebody()), s(100), s(101));
        for (now, judged) in [
            (100, Judged::Use(somebody())),
            (399, Judged::Use(somebody())),
            (400, Judged::Renew(somebody())),
            (699, Judged::Renew(somebody())),
            (700, Judged::Ask),
            (9_999, Judged::Ask),
        ] {
            assert_eq!(kept.judge(s(now), MAX_AGE), judged, "{now}");
        }
        assert_eq!(kept.judge(s(50), MAX_AGE), Judged::Use(somebody()), "asked on another worker a moment later");
    }

    #[test]
    fn a_failure_leaves_the_last_answer_for_its_time_and_no_longer() {
        let kept = Kept::default().after(&Ok(somebody()), s(100), s(100)).after(&Err(DOWN), s(450), s(460));
        assert_eq!(kept.judge(s(461), MAX_AGE), Judged::Use(somebody()), "a pause after the failure");
        assert_eq!(kept.judge(s(465), MAX_AGE), Judged::Renew(somebody()));
        let kept = kept.after(&Err(DOWN), s(690), s(698));
        assert_eq!(kept.judge(s(699), MAX_AGE), Judged::Use(somebody()));
        assert_eq!(kept.judge(s(700), MAX_AGE), Judged::Down(DOWN), "never longer, whatever is down");
        assert_eq!(kept.judge(s(703), MAX_AGE), Judged::Ask);
        assert_eq!(kept.after(&Ok(Said::Unlisted), s(703), s(704)).judge(s(704), MAX_AGE), Judged::Use(Said::Unlisted));
    }

    #[test]
    fn somebody_unknown_is_asked_about_soon_again() {
        let kept = Kept::default().after(&Ok(Said::Unlisted), s(100), s(100));
        assert_eq!(kept.judge(s(114), MAX_AGE), Judged::Use(Said::Unlisted));
        assert_eq!(kept.judge(s(115), MAX_AGE), Judged::Renew(Said::Unlisted));
        assert_eq!(kept.judge(s(130), MAX_AGE), Judged::Ask);
        assert_eq!(kept.judge(s(105), s(5)), Judged::Ask, "never longer than `max_age`");
        assert_eq!(Kept::default().judge(s(0), MAX_AGE), Judged::Ask);
    }
}
