//! For which tenant: what a tenant's name is, and which of the caller's own a request is about.
//!
//! The active tenant is always one of the caller's own. Where the caller has one, a place in the request can contradict
//! it, never choose it; where there are several, the places have to name exactly one of them. None of them goes without
//! saying.

use crate::bindings::{Binding, Bindings};
use crate::facts::{Facts, Occurs, Place};
use crate::route::Match;
use std::fmt;
use std::sync::Arc;

/// The name of a tenant: 1 to 128 bytes of ASCII letters, digits, `.` `_` `:` `@` `|` `-`.
///
/// Safe as the value of a header. Two tenants are the same only byte for byte: nothing is trimmed or folded, since
/// the application may treat `a` and `A` as two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Bytes of the longest name.
    pub const LONGEST: usize = 128;
    /// How one is written, in words.
    pub const RULE: &str = "1 to 128 letters, digits and `. _ : @ | -`";

    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@|-".contains(&byte);
        let fits = !text.is_empty() && text.len() <= Self::LONGEST && text.bytes().all(known);
        fits.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why no tenant is the one that a request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Homeless {
    /// The caller is of none.
    Unbound,
    /// The caller is of several, and no declared place of the request names one.
    Unnamed,
}

impl fmt::Display for Homeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbound => "the caller is of no tenant",
            Self::Unnamed => "the caller is of several tenants, and no place that the route lists names one",
        })
    }
}

/// Why a request is about none of the caller's tenants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Inactive {
    /// It names none.
    Homeless(Homeless),
    /// It names another, or two.
    Disagreement(Disagreement),
}

/// Why the places that a route declares do not name the one tenant. Names places, never what stood in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disagreement {
    /// A place occurs more than once, or cannot be read in one way.
    Repeated(Place),
    /// A place names a tenant that is none of the caller's.
    Other(Place),
    /// Two places name different tenants.
    Apart(Place, Place),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated(place) => write!(f, "`{place}` occurs more than once or cannot be read"),
            Self::Other(place) => write!(f, "`{place}` names a tenant that is not the caller's"),
            Self::Apart(one, two) => write!(f, "`{one}` and `{two}` name different tenants"),
        }
    }
}

/// The binding that a request is about: the only one, or the one that the request names. Every declared place that the
/// request fills must name it.
pub(crate) fn active<'b>(
    bindings: &'b Bindings,
    found: &Match<'_>,
    facts: &Facts<'_>,
) -> Result<&'b Binding, Inactive> {
    if bindings.is_empty() {
        return Err(Inactive::Homeless(Homeless::Unbound));
    }
    let disagrees = |how| Err(Inactive::Disagreement(how));
    let mut active = bindings.only();
    let mut first = None;
    for place in found.route().tenant_places() {
        let named = match facts.at(place, found) {
            Occurs::Absent => continue,
            Occurs::Repeated => return disagrees(Disagreement::Repeated(place.clone())),
            Occurs::Once(named) => named,
        };
        let Some(binding) = bindings.in_tenant(&named) else {
            return disagrees(Disagreement::Other(place.clone()));
        };
        match (active, first) {
            (Some(same), _) if same.tenant() == binding.tenant() => {}
            (Some(_), Some(first)) => return disagrees(Disagreement::Apart(Place::clone(first), place.clone())),
            // INVARIANT: an active one without a first place is the only one, and no other is in the list.
            (Some(_), None) => return disagrees(Disagreement::Other(place.clone())),
            (None, _) => (active, first) = (Some(binding), Some(place)),
        }
    }
    active.ok_or(Inactive::Homeless(Homeless::Unnamed))
}

/// Whether the declared places that the request fills name one tenant, whoever is asking.
///
/// For a request that passes under observation without a proved tenant: even then it may not name two.
pub(crate) fn agree(found: &Match<'_>, facts: &Facts<'_>) -> Result<(), Disagreement> {
    let mut first = None;
    for place in found.route().tenant_places() {
        match (facts.at(place, found), &first) {
            (Occurs::Absent, _) => {}
            (Occurs::Repeated, _) => return Err(Disagreement::Repeated(place.clone())),
            (Occurs::Once(named), None) => first = Some((place, named)),
            (Occurs::Once(named), Some((_, same))) if named == *same => {}
            (Occurs::Once(_), Some((other, _))) => {
                return Err(Disagreement::Apart(Place::clone(other), place.clone()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_word_that_is_safe_in_a_header() {
        for good in ["a", "org_2abC", "clinic-7", "auth0|x", "a.b:c@d", &"x".repeat(128)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a\r\n", "a,b", "ä", "a/b", "{}", "a\0", &"x".repeat(129)] {
            assert_eq!(TenantId::parse(bad), None, "{bad:?}");
        }
    }
}
