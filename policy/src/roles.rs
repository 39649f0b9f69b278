//! The matrix: which role grants which act under which scope.
//!
//! Roles add up and have no order. It never guesses: a role that no policy names grants nothing.

use crate::assurance::Assurance;
use crate::bindings::Binding;
use crate::expr::Condition;
use crate::raw::Per;
use crate::tenant::TenantId;
use crate::units::Rate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An act, such as `records.read`, with all that holds for it wherever it is demanded.
#[derive(Debug)]
pub struct Act {
    pub(crate) name: Arc<str>,
    pub(crate) phi: bool,
    pub(crate) strict: bool,
    pub(crate) limit: Option<ActLimit>,
    pub(crate) mfa: Option<Assurance>,
    pub(crate) grants: Vec<Grant>,
}

impl Act {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn name_shared(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Whether its record must be safe on disk before the answer leaves.
    #[must_use]
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Whether it shows or changes health information of a person.
    #[must_use]
    pub fn phi(&self) -> bool {
        self.phi
    }

    /// How often it may be done, over all routes to it.
    #[must_use]
    pub fn limit(&self) -> Option<&ActLimit> {
        self.limit.as_ref()
    }

    /// Which factors it demands.
    #[must_use]
    pub fn mfa(&self) -> Option<Assurance> {
        self.mfa
    }

    pub(crate) fn grants(&self) -> &[Grant] {
        &self.grants
    }
}

/// How often an act may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActLimit {
    /// Whose requests are counted together.
    pub per: Per,
    /// How many in which time.
    pub rate: Rate,
    /// How many at once; at least 1.
    pub burst: u32,
}

/// The roles that grant one act under one scope.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) roles: Vec<Arc<str>>,
}

impl Grant {
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Those of the roles that are held by this binding.
    pub(crate) fn held_by<'a>(&'a self, binding: &'a Binding) -> impl Iterator<Item = Arc<str>> + 'a {
        self.roles.iter().filter(|role| binding.holds(role)).cloned()
    }
}

/// What roles demand of those who hold them, and tenants of those who act for them, on every route.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(crate) roles: Vec<(Arc<str>, Assurance)>,
    pub(crate) tenants: BTreeMap<TenantId, Assurance>,
}

/// On what a grant holds.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// On everything of the caller's tenant.
    Tenant,
    /// On what a named condition says.
    Named(Arc<NamedScope>),
}

/// A condition under `scopes`.
#[derive(Debug)]
pub(crate) struct NamedScope {
    pub(crate) name: Arc<str>,
    pub(crate) condition: Condition,
}

impl NamedScope {
    pub(crate) fn name_shared(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }
}

/// Bytes of the longest name of anything in a policy.
const LONGEST: usize = 64;

/// How a role may be called: 1 to 64 letters, digits, `_`, `.`, `:`, `/`, `-` and inner spaces, as providers do. A
/// comma is none of them, so that a list of roles can be read in one way only.
pub(crate) fn is_role_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/- ".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= LONGEST && name.bytes().all(known) && edge(name.bytes().next()) && edge(name.bytes().next_back())
}

/// How a route, a scope or a policy may be called: 1 to 64 letters, digits, `_` and `-`, a letter first.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
}

/// How an act may be called: two or more lower-case words with dots between, at most 64 bytes.
pub(crate) fn is_act_name(name: &str) -> bool {
    name.len() <= LONGEST && name.contains('.') && name.split('.').all(is_act_word)
}

fn is_act_word(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
        && word.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
}

/// An act, or a group of acts: a `*` stands for one whole word, the last one for one or more.
#[derive(Debug, Clone)]
pub(crate) struct ActGlob<'a>(Vec<&'a str>);

impl<'a> ActGlob<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let words: Vec<&str> = text.split('.').collect();
        let fits = words.iter().all(|word| *word == "*" || is_act_word(word));
        let whole = words.len() > 1 || text == "*";
        (fits && whole && text.len() <= LONGEST).then_some(Self(words))
    }

    pub(crate) fn matches(&self, act: &str) -> bool {
        let mut words = act.split('.');
        let fits = self.0.iter().all(|wanted| words.next().is_some_and(|word| *wanted == "*" || *wanted == word));
        fits && (words.next().is_none() || self.0.last() == Some(&"*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word_and_the_last_one_is_the_rest() {
        let glob = |text| ActGlob::parse(text).unwrap();
        assert!(glob("records.read").matches("records.read"));
        assert!(!glob("records.read").matches("records.read.all"));
        assert!(!glob("records.read").matches("records"));
        assert!(glob("records.*").matches("records.read"));
        assert!(glob("records.*").matches("records.read.all"));
        assert!(!glob("records.*").matches("records"));
        assert!(!glob("records.*").matches("recordsx.read"));
        assert!(glob("*.read").matches("records.read"));
        assert!(!glob("*.read").matches("records.a.read"));
        assert!(glob("*").matches("records.read"));
        for bad in
            ["", "records", "rec*.read", "records.", ".read", "Records.read", "records..read", "records.**", "a b.c"]
        {
            assert!(ActGlob::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names() {
        for good in ["provider", "org:admin", "Task.Write", "Front Desk", "a", "realm/role"] {
            assert!(is_role_name(good), "{good}");
        }
        for bad in ["", " a", "a ", "a,b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(!is_role_name(bad), "{bad}");
        }
        assert!(is_act_name("records.read") && is_act_name("a.b-c.d_1"));
        assert!(!is_act_name("records") && !is_act_name("records.*") && !is_act_name("records.1"));
        assert!(is_name("front-desk_2") && !is_name("2nd") && !is_name("a.b") && !is_name(""));
    }
}
