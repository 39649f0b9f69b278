//! What keeps the lives of sessions, as the rest of the gate sees it.
//!
//! The one there is keeps them in memory, for all workers of a process. One that replicas share would answer later rather than
//! at once, and could be out of reach: both have their place in the types, and whoever asks lets nobody through then.

use std::fmt;
use std::pin::Pin;

use super::key::Key;
use super::life::{Fault, Life, Sight};

/// Keeps lives by their digests. Each act is one step: what comes between two acts is seen by the second.
pub trait Store: fmt::Debug + Send + Sync {
    /// What is known of a session. Changes nothing.
    fn look(&self, key: Key) -> Answer<'_, Known>;

    /// Notes a request ([`Life::touched`]) and tells what the life is after it. One that has ended by then stays ended.
    fn touch(&self, key: Key, sight: Sight) -> Answer<'_, Life>;

    /// Ends a session for every sign-in up to `at`; it is remembered at least until `until`.
    fn end(&self, key: Key, at: u64, until: u64) -> Answer<'_, ()>;
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its life, where it is remembered.
    pub life: Option<Life>,
    /// Some that are like it were forgotten: one that is not remembered and shows no sign-in later than this may have ended.
    pub floor: Option<u64>,
}

impl Known {
    /// The life that a session has which is seen like this.
    ///
    /// # Errors
    /// [`Fault::Forgotten`] where it may be one of those that were.
    pub fn seen(self, sight: Sight) -> Result<Life, Fault> {
        match (self.life, self.floor) {
            (Some(life), _) => Ok(life.renewed(sight)),
            (None, Some(floor)) if sight.began().is_none_or(|begun| begun <= floor) => Err(Fault::Forgotten),
            (None, _) => Ok(Life::new(sight)),
        }
    }
}

/// An answer, at once or later.
pub enum Answer<'s, T> {
    /// At once.
    Now(T),
    /// Later, from somewhere else.
    Later(Pin<Box<dyn Future<Output = Result<T, Unreachable>> + Send + 's>>),
}

impl<T> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Answer::Now(_) => "Now",
            Answer::Later(_) => "Later",
        })
    }
}

impl<T> Answer<'_, T> {
    /// Waits for it.
    ///
    /// # Errors
    /// Where nobody answers: nothing is known then, so nobody may be let through.
    pub async fn get(self) -> Result<T, Unreachable> {
        match self {
            Answer::Now(answer) => Ok(answer),
            Answer::Later(answer) => answer.await,
        }
    }
}

/// The store did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::life::FirstSeen;
    use super::*;

    /// One that answers as a store of replicas would.
    #[derive(Debug, Default)]
    struct Remote(Mutex<Option<Life>>);

    impl Store for Remote {
        fn look(&self, _: Key) -> Answer<'_, Known> {
            Answer::Later(Box::pin(async { Ok(Known { life: *self.0.lock().unwrap(), floor: None }) }))
        }

        fn touch(&self, _: Key, sight: Sight) -> Answer<'_, Life> {
            Answer::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                let mut kept = self.0.lock().unwrap();
                let life = kept.unwrap_or_else(|| Life::new(sight)).touched(sight);
                *kept = Some(life);
                Ok(life)
            }))
        }

        fn end(&self, _: Key, _: u64, _: u64) -> Answer<'_, ()> {
            Answer::Later(Box::pin(async { Err(Unreachable) }))
        }
    }

    #[tokio::test]
    async fn one_that_answers_later_fits() {
        let store: Box<dyn Store> = Box::<Remote>::default();
        let sight = Sight { at: Some(5), begun: None, now: 9, expires: 99, active: true, first_seen: FirstSeen::Now };
        assert_eq!(store.look(Key([0; 16])).get().await.unwrap().life, None);
        assert_eq!(store.touch(Key([0; 16]), sight).get().await.unwrap().last, 9);
        assert_eq!(store.look(Key([0; 16])).get().await.unwrap().life.unwrap().begun, 5);
        assert_eq!(store.end(Key([0; 16]), 1, 2).get().await, Err(Unreachable));
    }
}
