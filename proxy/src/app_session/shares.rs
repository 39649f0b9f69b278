//! How much of a table each owner may have, so that nobody can make it forget what is everybody else's.
//!
//! Decides which of an owner's own entries gives way to a new one: first those that never came back, then the one that came
//! back longest ago. A client that keeps no cookies, to which the application gives a new one in each answer, then pushes out
//! its own and not the one that a browser of the same person is using. It holds nothing of the entries themselves.

use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use super::{Mark, table};

/// The most entries of one owner.
pub(super) const MOST_OF_ONE: usize = 32;

#[derive(Debug)]
struct Entry {
    mark: Mark,
    came_back: bool,
}

/// The entries of each owner, the one that was added or came back last at the end.
#[derive(Debug)]
pub(super) struct Shares(Cache<Mark, Arc<Mutex<Vec<Entry>>>>);

impl Shares {
    /// For at most so many owners; the one that had to do with it longest ago is forgotten first.
    pub(super) fn of_size(owners: u64) -> Self {
        Self(table(owners))
    }

    /// Counts an entry among those of `owner`. What the table is to forget for it, if anything: one of which `stands` says that
    /// it is in the table, and still of this owner.
    pub(super) fn add(&self, owner: Mark, mark: Mark, stands: impl Fn(Mark) -> bool) -> Option<Mark> {
        let own = self.0.get_with(owner, Arc::default);
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let known = own.iter().position(|one| one.mark == mark).map(|at| own.remove(at));
        let mut goes = None;
        if own.len() >= MOST_OF_ONE {
            own.retain(|one| stands(one.mark));
        }
        if own.len() >= MOST_OF_ONE {
            let oldest = own.iter().position(|one| !one.came_back).unwrap_or(0);
            goes = Some(own.remove(oldest).mark);
        }
        own.push(Entry { mark, came_back: known.is_some_and(|one| one.came_back) });
        goes
    }

    /// An entry came back: it is in use.
    pub(super) fn used(&self, owner: Mark, mark: Mark) {
        let Some(own) = self.0.get(&owner) else { return };
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = own.iter().position(|one| one.mark == mark) {
            own.remove(at);
            own.push(Entry { mark, came_back: true });
        }
    }

    /// The owners that are known.
    #[cfg(test)]
    pub(super) fn owners(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mark;
    use super::*;

    const ADA: u32 = 1;

    fn full() -> Shares {
        let shares = Shares::of_size(10);
        for number in 100..100 + MOST_OF_ONE as u32 {
            assert_eq!(shares.add(mark(ADA), mark(number), |_| true), None);
        }
        shares
    }

    #[test]
    fn what_never_came_back_goes_first_and_then_what_came_back_longest_ago() {
        let shares = full();
        for number in 100..100 + MOST_OF_ONE as u32 {
            if number != 105 {
                shares.used(mark(ADA), mark(number));
            }
        }
        shares.used(mark(ADA), mark(100));
        let add = |number| shares.add(mark(ADA), mark(number), |_| true);
        assert_eq!(add(200), Some(mark(105)));
        assert_eq!(add(201), Some(mark(200)), "the newcomer that did not come back");
        shares.used(mark(ADA), mark(201));
        assert_eq!(add(202), Some(mark(101)), "and then the one that came back longest ago");
    }

    #[test]
    fn what_the_table_has_forgotten_takes_no_place() {
        let shares = full();
        assert_eq!(shares.add(mark(ADA), mark(200), |one| one != mark(131)), None);
        assert_eq!(shares.add(mark(ADA), mark(201), |_| true), Some(mark(100)));
        // Once more is not one more.
        assert_eq!(shares.add(mark(ADA), mark(201), |_| true), None);
    }
}
