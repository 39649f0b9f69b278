//! For which tenants a caller may act, and with which roles in each.
//!
//! A role is held in a tenant and nowhere else. There is no list of roles without a tenant, so that an admin in one clinic
//! who is a member in another cannot be taken for an admin there. It does not say which of them a request is about: that
//! is [`tenant`](crate::tenant)'s.

use crate::roles::is_role_name;
use crate::tenant::TenantId;
use std::sync::Arc;

/// A tenant, with the roles that the caller holds in it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    tenant: TenantId,
    roles: Arc<[String]>,
    named: Arc<[String]>,
}

impl Binding {
    /// These roles, as the provider spells them, in this tenant. Names that no policy knows grant nothing.
    #[must_use]
    pub fn new(tenant: TenantId, roles: Vec<String>) -> Self {
        let named: Vec<String> = roles.iter().filter(|role| is_role_name(role)).cloned().collect();
        let is_all = named.len() == roles.len();
        let roles: Arc<[String]> = roles.into();
        let named = if is_all { Arc::clone(&roles) } else { named.into() };
        Self { tenant, roles, named }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The roles held in it.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The same, to keep.
    #[must_use]
    pub fn roles_shared(&self) -> Arc<[String]> {
        Arc::clone(&self.roles)
    }

    /// Those of them that a policy could write: no comma, no control character.
    pub(crate) fn named_shared(&self) -> Arc<[String]> {
        Arc::clone(&self.named)
    }

    pub(crate) fn holds(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }

    fn weight(&self) -> usize {
        let of = |texts: &[String]| texts.iter().map(|text| text_weight(text)).sum::<usize>();
        let named = if Arc::ptr_eq(&self.roles, &self.named) { 0 } else { of(&self.named) };
        text_weight(self.tenant.as_str()) + of(&self.roles) + named + size_of::<Self>()
    }
}

/// About how many bytes of memory a text takes, rather more than less: its letters, and what holds them.
pub(crate) fn text_weight(text: &str) -> usize {
    size_of::<String>() + 32 + text.len()
}

/// The bindings of a caller: each tenant once, none of them before the others. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bindings(Arc<[Binding]>);

impl Bindings {
    /// The most tenants of one caller.
    pub const MOST: usize = 256;

    /// Those of a caller who is of no tenant: denied wherever a credential is needed.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of a caller who is of one tenant. Without a tenant the roles are held nowhere, so there is none.
    #[must_use]
    pub fn one(tenant: Option<TenantId>, roles: Vec<String>) -> Self {
        tenant.map_or_else(Self::none, |tenant| Self(Arc::from([Binding::new(tenant, roles)])))
    }

    /// These. `None` where a tenant stands twice, since then it would not be clear which roles are held in it, or where
    /// there are more than [`MOST`](Self::MOST).
    #[must_use]
    pub fn of(mut bindings: Vec<Binding>) -> Option<Self> {
        bindings.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        let twice = bindings.windows(2).any(|pair| matches!(pair, [one, other] if one.tenant == other.tenant));
        (bindings.len() <= Self::MOST && !twice).then(|| Self(bindings.into()))
    }

    /// The only one; `None` where there is none or more than one.
    #[must_use]
    pub fn only(&self) -> Option<&Binding> {
        match &*self.0 {
            [only] => Some(only),
            [] | [_, _, ..] => None,
        }
    }

    /// The one in the tenant of this name, byte for byte.
    #[must_use]
    pub fn in_tenant(&self, name: &str) -> Option<&Binding> {
        self.0.iter().find(|binding| binding.tenant.as_str() == name)
    }

    /// All of them, by the name of the tenant.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Binding> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About how many bytes of memory they take, rather more than less. A short text takes many times its letters.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.iter().map(Binding::weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(tenant: &str, roles: &[&str]) -> Binding {
        Binding::new(TenantId::parse(tenant).unwrap(), roles.iter().map(|role| (*role).to_owned()).collect())
    }

    #[test]
    fn what_they_take_is_more_than_their_letters() {
        let names: Vec<String> = (0..500).map(|number| format!("r{number}")).collect();
        let roles: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = Bindings::of(vec![binding("a", &roles)]).unwrap().weight();
        assert!((500 * 56..500 * 70).contains(&all), "{all}");
        // One that no policy can write: those that one can are held once more.
        let odd = Bindings::of(vec![binding("a", &[&roles[..], &["a,b"]].concat())]).unwrap().weight();
        assert!(odd > 2 * all - 500, "{odd}");
    }

    #[test]
    fn roles_are_held_in_a_tenant() {
        let both = Bindings::of(vec![binding("b", &["member"]), binding("a", &["admin"])]).unwrap();
        assert_eq!(both.in_tenant("a").unwrap().roles(), ["admin"]);
        assert!(both.in_tenant("b").unwrap().holds("member") && !both.in_tenant("b").unwrap().holds("admin"));
        assert_eq!((both.in_tenant("A"), both.in_tenant(""), both.only()), (None, None, None));
        assert_eq!(both.iter().map(|one| one.tenant().as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let one = Bindings::one(TenantId::parse("a"), vec!["admin".to_owned()]);
        assert_eq!(one.only(), one.in_tenant("a"));
        assert!(Bindings::one(None, vec!["admin".to_owned()]).is_empty() && Bindings::none().only().is_none());
    }

    #[test]
    fn a_tenant_stands_once_and_there_are_not_too_many() {
        assert_eq!(Bindings::of(vec![binding("a", &["x"]), binding("b", &[]), binding("a", &["y"])]), None);
        assert_eq!(Bindings::of(Vec::new()), Some(Bindings::none()));
        let many = |count: usize| Bindings::of((0..count).map(|at| binding(&format!("t{at}"), &[])).collect());
        assert!(many(Bindings::MOST).is_some() && many(Bindings::MOST + 1).is_none());
    }
}
