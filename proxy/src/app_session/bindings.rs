//! Whose session cookies are.
//!
//! Decides nothing of a cookie that it does not know: forgotten is as never seen, so that a full table refuses and never
//! lets pass. It never gives a cookie to another owner: who was given it first keeps it.

use moka::sync::Cache;

use super::shares::Shares;
use super::{Mark, table};

/// The most cookies that are known; the one that was used longest ago goes first. About 550 bytes each, 11 MiB in all.
const MOST: u64 = 20_000;
/// The most owners whose cookies are counted; each may have [`super::shares::MOST_OF_ONE`].
const OWNERS: u64 = 10_000;

/// Where a browser sends a cookie, by what the application said when it set it, and to which path. What is too long to keep,
/// or not said at all, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) path: Option<Box<str>>,
    pub(crate) domain: Option<Box<str>>,
}

/// Whom a cookie can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// By issuer and subject.
    pub(super) person: Mark,
    /// By the tenants as well; `None` where they are not known, and then every cookie of the person counts.
    pub(super) whole: Option<Mark>,
}

impl Owner {
    /// The person, whatever the tenants are.
    pub(crate) fn anywhere(self) -> Self {
        Self { whole: None, ..self }
    }
}

/// Whose a cookie is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// The one who asks.
    Here,
    /// Somebody else, for whom it was set with this scope.
    Elsewhere(Scope),
    /// Nobody knows: set before this process, for nobody, or too long ago.
    Unknown,
}

#[derive(Clone, Debug)]
struct Bound {
    person: Mark,
    owner: Mark,
    /// As the application wrote it: readers may take another spelling for another value.
    spelt: Mark,
    scope: Scope,
}

/// The table.
#[derive(Debug)]
pub(super) struct Bindings {
    cookies: Cache<Mark, Bound>,
    shares: Shares,
}

impl Default for Bindings {
    fn default() -> Self {
        Self::of_size(MOST, OWNERS)
    }
}

impl Bindings {
    fn of_size(most: u64, owners: u64) -> Self {
        Self { cookies: table(most), shares: Shares::of_size(owners) }
    }

    /// Whether `cookie`, `spelt` like this, is of `owner`.
    pub(super) fn of(&self, (cookie, spelt): (Mark, Mark), owner: Owner) -> Belongs {
        let Some(bound) = self.cookies.get(&cookie) else { return Belongs::Unknown };
        let is_own = bound.person == owner.person && owner.whole.is_none_or(|whole| whole == bound.owner);
        match (is_own, bound.spelt == spelt) {
            (true, true) => {
                self.shares.used(bound.owner, cookie);
                Belongs::Here
            }
            (true, false) => Belongs::Unknown,
            (false, _) => Belongs::Elsewhere(bound.scope),
        }
    }

    /// Whom it was set for, if for anybody.
    pub(super) fn owner(&self, cookie: Mark) -> Option<Owner> {
        self.cookies.get(&cookie).map(|bound| Owner { person: bound.person, whole: Some(bound.owner) })
    }

    /// Whether it was set for anybody with this very spelling.
    pub(super) fn is_spelt(&self, (cookie, spelt): (Mark, Mark)) -> bool {
        self.cookies.get(&cookie).is_some_and(|bound| bound.spelt == spelt)
    }

    /// With which scope a cookie was set, as far as it is known.
    pub(super) fn scope(&self, cookie: Mark) -> Scope {
        self.cookies.get(&cookie).map(|bound| bound.scope).unwrap_or_default()
    }

    /// Gives a cookie that is nobody's to `owner`, where it is known who that is.
    pub(super) fn bind(&self, (cookie, spelt): (Mark, Mark), owner: Owner, scope: Scope) {
        let Owner { person, whole: Some(owner) } = owner else { return };
        // INVARIANT: whoever was given it first keeps it. An application that hands one cookie to two people has the
        // second one refused, never the first one's session taken over.
        if self.cookies.get_with(cookie, || Bound { person, owner, spelt, scope }).owner != owner {
            return;
        }
        let stands = |one| self.cookies.get(&one).is_some_and(|bound| bound.owner == owner);
        if let Some(oldest) = self.shares.add(owner, cookie, stands) {
            self.cookies.invalidate(&oldest);
        }
    }

    /// Forgets a cookie.
    pub(super) fn forget(&self, cookie: Mark) {
        self.cookies.invalidate(&cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::super::shares::MOST_OF_ONE;
    use super::super::tests::mark;
    use super::*;

    fn owner(number: u32) -> Owner {
        Owner { person: mark(number), whole: Some(mark(number)) }
    }

    #[test]
    fn where_the_tenants_are_not_known_the_person_counts() {
        let bindings = Bindings::default();
        let north = Owner { person: mark(1), whole: Some(mark(2)) };
        let south = Owner { person: mark(1), whole: Some(mark(3)) };
        bindings.bind((mark(8), mark(8)), north.anywhere(), Scope::default());
        assert_eq!(bindings.of((mark(8), mark(8)), north), Belongs::Unknown, "nothing is bound by halves");
        bindings.bind((mark(9), mark(9)), north, Scope::default());
        assert_eq!(bindings.of((mark(9), mark(9)), south), Belongs::Elsewhere(Scope::default()));
        assert_eq!(bindings.of((mark(9), mark(9)), south.anywhere()), Belongs::Here);
        assert_eq!(bindings.of((mark(9), mark(9)), owner(4).anywhere()), Belongs::Elsewhere(Scope::default()));
    }

    #[test]
    fn a_cookie_is_of_the_first_one_that_it_was_set_for() {
        let bindings = Bindings::default();
        let (ada, eve) = (owner(1), owner(2));
        assert_eq!(bindings.of((mark(9), mark(9)), ada), Belongs::Unknown);
        let scope = Scope { path: Some("/app".into()), domain: None };
        bindings.bind((mark(9), mark(9)), ada, scope.clone());
        bindings.bind((mark(9), mark(9)), eve, Scope::default());
        assert_eq!(bindings.of((mark(9), mark(9)), ada), Belongs::Here);
        assert_eq!(bindings.of((mark(9), mark(9)), eve), Belongs::Elsewhere(scope));
        bindings.forget(mark(9));
        assert_eq!(bindings.of((mark(9), mark(9)), ada), Belongs::Unknown);
    }

    #[test]
    fn nobody_makes_the_table_forget_the_others() {
        let bindings = Bindings::default();
        let (ada, eve) = (owner(1), owner(2));
        bindings.bind((mark(9), mark(9)), ada, Scope::default());
        for number in 100..100 + 4 * MOST_OF_ONE as u32 {
            bindings.bind((mark(number), mark(number)), eve, Scope::default());
        }
        assert_eq!(bindings.of((mark(9), mark(9)), ada), Belongs::Here);
        assert_eq!(bindings.of((mark(100), mark(100)), eve), Belongs::Unknown, "the oldest of one's own go");
        let kept = (100..100 + 4 * MOST_OF_ONE as u32)
            .filter(|one| bindings.of((mark(*one), mark(*one)), eve) == Belongs::Here);
        assert_eq!(kept.count(), MOST_OF_ONE);
    }

    #[test]
    fn a_client_that_keeps_no_cookies_does_not_push_out_one_that_is_used() {
        let bindings = Bindings::default();
        let (ada, browser) = (owner(1), (mark(9), mark(9)));
        bindings.bind(browser, ada, Scope::default());
        assert_eq!(bindings.of(browser, ada), Belongs::Here);
        for number in 100..100 + 4 * MOST_OF_ONE as u32 {
            bindings.bind((mark(number), mark(number)), ada, Scope::default());
        }
        assert_eq!(bindings.of(browser, ada), Belongs::Here);
    }

    #[test]
    fn the_table_is_bounded() {
        let bindings = Bindings::of_size(500, 100);
        for number in 0..2_000 {
            bindings.bind((mark(number), mark(number)), owner(number), Scope::default());
        }
        bindings.cookies.run_pending_tasks();
        assert!(bindings.cookies.entry_count() <= 500 && bindings.shares.owners() <= 100);
        assert_eq!(bindings.of((mark(1_999), mark(1_999)), owner(1_999)), Belongs::Here, "newcomers are let in");
        assert_eq!(bindings.of((mark(0), mark(0)), owner(0)), Belongs::Unknown);
    }
}
