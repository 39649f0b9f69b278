//! Which session cookies are of one session, though their values differ: some applications write a new value into every answer.
//!
//! Decides that a cookie which the application sets in place of another one is of the same session, so that no new value makes a
//! new clock, and the end of one is the end of all. A value that was not seen being set, or in place of such a one, stays marked
//! as that. It never links anything by its use, and it never holds a value: forgotten is as never seen.

use moka::sync::Cache;

use super::shares::Shares;
use super::{Mark, table};

/// The most values of somebody that are known, and of nobody yet; the one that was used longest ago goes first. Each kind by
/// itself, since anybody can make the application set a cookie for nobody. Under 6 MiB each.
const MOST: u64 = 20_000;
/// The most sessions whose values are counted; each may have [`super::shares::MOST_OF_ONE`].
const SESSIONS: u64 = 20_000;

/// One value of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Its mark.
    pub(super) cookie: Mark,
    /// What the session is called that begins with it: the same after a restart.
    pub(super) own: Mark,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The session.
    pub(super) root: Mark,
    /// Whether its setting was seen, and of all that it was set in place of.
    pub(super) seen: bool,
    /// For whom the application vouched by it.
    holder: Option<Mark>,
    /// Whether the application said since that it is nobody's: what is set in its place is another session.
    is_nobodys: bool,
}

impl Line {
    fn new(root: Mark, seen: bool) -> Self {
        Self { root, seen, holder: None, is_nobodys: false }
    }
}

/// The tables.
#[derive(Debug)]
pub(super) struct Lineage {
    somebodys: Cache<Mark, Line>,
    unused: Cache<Mark, Line>,
    /// Of each session.
    shares: Shares,
}

impl Default for Lineage {
    fn default() -> Self {
        Self::of_size(MOST, SESSIONS)
    }
}

impl Lineage {
    fn of_size(most: u64, sessions: u64) -> Self {
        Self { somebodys: table(most), unused: table(most), shares: Shares::of_size(sessions) }
    }

    /// What is known of a value; one of which nothing is known is its own session.
    pub(super) fn of(&self, value: Value) -> Line {
        self.known(value.cookie).unwrap_or(Line::new(value.own, false))
    }

    fn known(&self, cookie: Mark) -> Option<Line> {
        self.somebodys.get(&cookie).or_else(|| self.unused.get(&cookie))
    }

    /// The application has set `new` in an answer to a request that held `old`.
    pub(super) fn set(&self, new: Value, old: Option<Value>) {
        if self.somebodys.contains_key(&new.cookie) {
            return;
        }
        let line = match old.map(|old| self.of(old)) {
            Some(old) if !old.is_nobodys => old,
            // INVARIANT: what was not seen does not become seen by being exchanged.
            Some(old) => Line::new(new.own, old.seen),
            None => Line::new(new.own, true),
        };
        match line.holder {
            Some(_) => self.keep(new.cookie, line),
            None => self.unused.insert(new.cookie, line),
        }
    }

    /// The application was asked whose a value is, and said so. What is known of the value then.
    pub(super) fn said(&self, value: Value, who: Option<Mark>) -> Line {
        let line = self.of(value);
        let now = match who {
            None => Line { is_nobodys: line.holder.is_some(), ..line },
            Some(_) if line.holder.is_none_or(|holder| who == Some(holder)) => {
                Line { holder: who, is_nobodys: false, ..line }
            }
            // Somebody else has signed in.
            Some(_) => Line { holder: who, ..Line::new(value.own, line.seen) },
        };
        if now != line {
            self.keep(value.cookie, now);
        }
        if who.is_some() {
            self.shares.used(now.root, value.cookie);
        }
        now
    }

    fn keep(&self, cookie: Mark, line: Line) {
        self.somebodys.insert(cookie, line);
        let stands = |one| self.somebodys.get(&one).is_some_and(|other| other.root == line.root);
        if let Some(oldest) = self.shares.add(line.root, cookie, stands) {
            self.somebodys.invalidate(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mark;
    use super::*;

    fn value(number: u32) -> Value {
        Value { cookie: mark(number), own: mark(number + 1_000_000) }
    }

    const ADA: Option<Mark> = Some(Mark([1; 16]));
    const EVE: Option<Mark> = Some(Mark([2; 16]));

    /// A session of Ada's whose first value is 1.
    fn signed_in() -> Lineage {
        let lineage = Lineage::default();
        lineage.set(value(1), None);
        lineage.said(value(1), ADA);
        lineage
    }

    #[test]
    fn what_is_set_in_place_of_a_value_is_of_its_session() {
        let lineage = signed_in();
        for number in 2..200 {
            lineage.set(value(number), Some(value(number - 1)));
            let line = lineage.said(value(number), ADA);
            assert_eq!((line.root, line.seen), (value(1).own, true), "{number}");
        }
        lineage.set(value(300), None);
        assert_eq!(lineage.of(value(300)), Line::new(value(300).own, true), "another browser");
    }

    #[test]
    fn what_was_not_seen_stays_so_whatever_is_set_in_its_place() {
        let lineage = Lineage::default();
        assert_eq!(lineage.of(value(1)), Line::new(value(1).own, false));
        lineage.set(value(2), Some(value(1)));
        lineage.said(value(2), ADA);
        lineage.set(value(3), Some(value(2)));
        lineage.said(value(3), None);
        lineage.set(value(4), Some(value(3)));
        let of = |number| lineage.of(value(number));
        assert_eq!([of(2).root, of(3).root, of(4).root], [value(1).own, value(1).own, value(4).own]);
        assert!(![of(1).seen, of(2).seen, of(3).seen, of(4).seen].contains(&true));
    }

    #[test]
    fn a_value_that_is_nobodys_or_anothers_begins_another_session() {
        let lineage = signed_in();
        // Signed out, and in again.
        lineage.set(value(2), Some(value(1)));
        lineage.said(value(2), None);
        lineage.set(value(3), Some(value(2)));
        assert_eq!(lineage.said(value(3), ADA).root, value(3).own);
        assert_eq!(lineage.of(value(2)).root, value(1).own, "what was set before is what it was");
        // Eve signs in where Ada was, and Ada where Eve was.
        lineage.set(value(4), Some(value(3)));
        assert_eq!(lineage.said(value(4), EVE).root, value(4).own);
        lineage.set(value(5), Some(value(4)));
        assert_eq!(lineage.said(value(5), ADA).root, value(5).own);
    }

    #[test]
    fn the_tables_are_bounded_and_what_is_forgotten_counts_as_never_seen() {
        let lineage = Lineage::of_size(500, 100);
        for number in 0..2_000 {
            lineage.set(value(number), None);
        }
        for number in 5_000..7_000 {
            lineage.said(value(number), ADA);
        }
        for table in [&lineage.somebodys, &lineage.unused] {
            table.run_pending_tasks();
            assert!(table.entry_count() <= 500);
        }
        assert!(lineage.shares.owners() <= 100);
        assert!(!lineage.of(value(0)).seen && lineage.of(value(1_999)).seen);
    }

    #[test]
    fn a_session_with_many_values_pushes_out_its_own() {
        let lineage = signed_in();
        lineage.set(value(900), None);
        lineage.said(value(900), EVE);
        for number in 2..300 {
            lineage.set(value(number), Some(value(number - 1)));
        }
        assert!(lineage.of(value(900)).seen && lineage.of(value(299)).seen && !lineage.of(value(100)).seen);
    }
}
