//! The life of one session: when it began, when somebody did something in it, and whether it has ended.
//!
//! Decides whether it lasts, from numbers alone: no clock, no store, no request. Whoever keeps lives applies these functions
//! under its own lock, so that one shared by replicas can say the same. Times are Unix seconds.
//!
//! A life remembers its longest silence rather than a verdict. So a route with a short idle time and one with a long idle time
//! judge the same session each for itself, in whatever order they are asked, and what has ended for one stays so.

use policy::SessionTerms;

/// How long an end is remembered beyond the last credential of its session, and at the least, in seconds.
pub const KEPT_S: u64 = 7 * 24 * 60 * 60;
/// How long what is known of a session is kept where its credential does not say when it ends (the application's own), in
/// seconds. A session that is forgotten sooner than its credential would come back to life.
pub const UNENDING_S: u64 = 30 * 24 * 60 * 60;

/// How far the wall clock may go away from the time that really passes, and be the same clock, in seconds: for so long the end
/// of one credential is remembered beyond that credential.
pub const CLOCK_S: u64 = 5 * 60;

/// What is known of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its newest sign-in where credentials tell it, else when it was seen first.
    pub begun: u64,
    /// When somebody did something in it last.
    pub last: u64,
    /// The longest silence since it began, in seconds.
    pub gap: u64,
    /// When it was ended: by logging out, by the provider or by hand.
    pub ended: Option<u64>,
    /// Until when something has to be known of it: the end of its last credential.
    pub until: u64,
}

/// From when the silence of a session counts that was never seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FirstSeen {
    /// From its sign-in, where that is known: one that was forgotten cannot come back as a new one.
    #[default]
    SignIn,
    /// From now.
    Now,
}

/// What one request shows of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// When the caller signed in last, where the credential tells.
    pub at: Option<u64>,
    /// When the gate itself began the session, under a name that it never gives again; `None`: somebody else did.
    pub begun: Option<u64>,
    /// Now.
    pub now: u64,
    /// When the credential ends.
    pub expires: u64,
    /// Whether somebody does something, rather than a page by itself.
    pub active: bool,
    /// How one is taken that is new.
    pub first_seen: FirstSeen,
}

impl Sight {
    /// Before when the session cannot have been: what ended or was forgotten until then was another one. A session that the
    /// gate began is no older than that, however long ago its person signed in at the provider.
    pub fn began(self) -> Option<u64> {
        self.begun.or(self.at)
    }
}

/// Why a session does not last. All of it is `SESSION_ENDED`; the finer reason is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was done for too long.
    Idle,
    /// The sign-in is too long ago.
    Absolute,
    /// Somebody logged out, or the provider said so.
    Ended,
    /// The same browser has signed in anew meanwhile, and has another session in its place.
    Replaced,
    /// It was revoked: the session, its subject or this very credential.
    Revoked,
    /// So many sessions were seen that some were forgotten, and it may be one of them.
    Forgotten,
    /// The credential names no session, and one is demanded.
    Nameless,
}

impl Fault {
    /// All of them, for metrics.
    pub const ALL: [Fault; 7] = [
        Fault::Idle,
        Fault::Absolute,
        Fault::Ended,
        Fault::Replaced,
        Fault::Revoked,
        Fault::Forgotten,
        Fault::Nameless,
    ];

    /// One word, for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Fault::Idle => "idle",
            Fault::Absolute => "absolute",
            Fault::Ended => "ended",
            Fault::Replaced => "replaced",
            Fault::Revoked => "revoked",
            Fault::Forgotten => "forgotten",
            Fault::Nameless => "nameless",
        }
    }

    /// The finer reason, for the log.
    pub fn detail(self) -> &'static str {
        match self {
            Fault::Idle => "nothing was done in the session for longer than its idle time",
            Fault::Absolute => "the sign-in is longer ago than a session may last",
            Fault::Ended => "the session was ended, and the credential shows no later sign-in",
            Fault::Replaced => "the browser has signed in anew since, and this is its session of before",
            Fault::Revoked => "the session, the subject or the credential was revoked",
            Fault::Forgotten => "the session may be one of those that were forgotten, and shows no later sign-in",
            Fault::Nameless => "the credential names no session, and the time of one is limited here",
        }
    }
}

/// What is left of a session, in seconds; `None` where nothing limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Left {
    /// Without activity.
    pub idle_s: Option<u64>,
    /// Whatever is done.
    pub absolute_s: Option<u64>,
}

impl Left {
    /// The shorter of the two.
    pub fn least(self) -> Option<u64> {
        self.idle_s.into_iter().chain(self.absolute_s).min()
    }
}

/// A time of sign-in as a credential tells it, for what it is worth at `now`.
pub fn believable(at: Option<u64>, leeway_s: u64, now: u64) -> Option<u64> {
    // INVARIANT: as it was told, and not cut to now: a time that grows from look to look would pass every end.
    at.filter(|at| *at <= now.saturating_add(leeway_s))
}

impl Life {
    /// The life of a session that is seen for the first time.
    pub fn new(sight: Sight) -> Self {
        let begun = sight.at.unwrap_or(sight.now);
        let last = match sight.first_seen {
            FirstSeen::SignIn => begun.min(sight.now),
            FirstSeen::Now => sight.now,
        };
        Self { begun, last, gap: 0, ended: None, until: sight.expires }
    }

    /// One that ended before it was ever seen, or that is ended now.
    pub fn over(at: u64, until: u64) -> Self {
        Self { begun: 0, last: 0, gap: 0, ended: Some(at), until }
    }

    /// This one with the end that it meets.
    #[must_use]
    pub fn end(self, at: u64, until: u64) -> Self {
        // The sign-in that is ended may be told by a clock that is ahead of ours.
        let ended = self.ended.unwrap_or(0).max(at).max(self.begun);
        Self { ended: Some(ended), until: self.until.max(until), ..self }
    }

    /// What it is by a sign-in that is newer than what was known of it: that one alone brings back what has ended.
    #[must_use]
    pub fn renewed(self, sight: Sight) -> Self {
        let Some(at) = sight.at.filter(|at| *at > self.begun) else { return self };
        match self.ended {
            // A sign-in of the very second of the end may be the one that was ended.
            Some(ended) if at <= ended => self,
            Some(_) => Self { begun: at, last: at, gap: 0, ended: None, ..self },
            // Whoever signs in is there; what was silent before is over.
            None if at >= self.last => Self { begun: at, last: at, gap: 0, ..self },
            // It was used with older credentials since: no silence of that time is longer than that time.
            None => Self { begun: at, gap: self.gap.min(self.last.saturating_sub(at)), ..self },
        }
    }

    /// What it is after a request. What has ended stays ended: this is applied in one step, to what is there at that moment.
    #[must_use]
    pub fn touched(self, sight: Sight) -> Self {
        let mut life = self.renewed(sight);
        life.until = life.until.max(sight.expires);
        if life.ended.is_none() && sight.active {
            life.gap = life.gap.max(sight.now.saturating_sub(life.last));
            life.last = life.last.max(sight.now);
        }
        life
    }

    /// What is left of it at `now` under `terms`.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn judge(&self, terms: SessionTerms, now: u64) -> Result<Left, Fault> {
        if self.ended.is_some() {
            return Err(Fault::Ended);
        }
        let silent = now.saturating_sub(self.last);
        if terms.idle_s.is_some_and(|idle| silent.max(self.gap) >= idle) {
            return Err(Fault::Idle);
        }
        let age = now.saturating_sub(self.begun);
        if terms.absolute_s.is_some_and(|most| age >= most) {
            return Err(Fault::Absolute);
        }
        Ok(Left {
            idle_s: terms.idle_s.map(|idle| idle.saturating_sub(silent)),
            absolute_s: terms.absolute_s.map(|most| most.saturating_sub(age)),
        })
    }

    /// Whether nothing has to be known of it any more at `now`.
    pub fn is_past(&self, now: u64) -> bool {
        now > self.until.max(self.ended.unwrap_or(self.last)).saturating_add(KEPT_S)
    }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
