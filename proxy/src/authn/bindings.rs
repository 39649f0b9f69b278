//! Which tenants a token speaks for, and with which roles in each.
//!
//! Decides it by the provider's mapping: one tenant with a list of roles, or a place where each tenant has its own. What is of
//! another form is nobody's: a role never moves from one tenant to another, and several tenants beside one list of roles are
//! none, since whose roles they are cannot be known.

use std::collections::{BTreeMap, HashSet};

use policy::{Binding, Bindings, TenantId};
use serde_json::{Map, Value};

use super::claim_map::{ClaimPath, TenantSource};
use super::preset::Preset;
use super::provider::Provider;

/// The longest role, in bytes.
const MAX_ROLE: usize = 128;
/// The most tenants that one token may speak for.
const MAX_TENANTS: usize = 64;

/// Why groups that do not fit into a token count for nothing.
const TOO_MANY_GROUPS: &str = "it has too many groups to name them (`_claim_names`, `hasgroups`), so it proves no role";

type Claims = Map<String, Value>;

/// What a token says of tenants and roles.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Each tenant once, with the roles held in it.
    pub(super) bindings: Bindings,
    /// Why they are fewer than one would think, for the log.
    pub(super) remark: Option<&'static str>,
}

impl Said {
    fn nothing(remark: &'static str) -> Self {
        Self { bindings: Bindings::none(), remark: Some(remark) }
    }
}

/// What these claims say, as far as the provider may speak for it.
pub(super) fn bindings(claims: &Claims, provider: &Provider) -> Said {
    let map = provider.claims();
    let said = match &map.bindings {
        // What is named all the same is not all that there is.
        Some(path) if is_elsewhere(path, claims, provider.preset()) => Said::nothing(TOO_MANY_GROUPS),
        Some(path) => of_each(path.find(claims)),
        None => flat(claims, provider),
    };
    let bindings = provider.within(&said.bindings);
    if bindings == said.bindings {
        return said;
    }
    Said { bindings, remark: Some("it names a tenant that its provider does not speak for") }
}

impl Provider {
    /// Those of the bindings that are of tenants which the provider may speak for (`tenants`), whoever says that they are the
    /// caller's.
    pub(crate) fn within(&self, bindings: &Bindings) -> Bindings {
        let Some(allowed) = self.tenants() else { return bindings.clone() };
        let kept = bindings.iter().filter(|binding| allowed.contains(binding.tenant())).cloned().collect();
        // INVARIANT: a part of what stood there once stands there once.
        Bindings::of(kept).unwrap_or_default()
    }
}

/// One tenant, and the list of roles.
fn flat(claims: &Claims, provider: &Provider) -> Said {
    let map = provider.claims();
    let mut tenants = match &map.tenant {
        None => Vec::new(),
        Some(TenantSource::Fixed(tenant)) => vec![tenant.clone()],
        Some(TenantSource::Claim(path)) => match tenants(path.find(claims), provider.preset()) {
            Some(tenants) => tenants,
            None => return Said::nothing("it names several tenants, and one list of roles"),
        },
    };
    let Some(tenant) = tenants.pop() else { return Said::default() };
    let (roles, remark) = match &map.roles {
        Some(path) if is_elsewhere(path, claims, provider.preset()) => (Vec::new(), Some(TOO_MANY_GROUPS)),
        Some(path) => (roles(path.find(claims)), None),
        None => (Vec::new(), None),
    };
    Said { bindings: Bindings::one(Some(tenant), roles), remark }
}

/// The one tenant of a claim, or none; `None` where there are several.
fn tenants(claim: Option<&Value>, preset: Preset) -> Option<Vec<TenantId>> {
    let named: Vec<&str> = match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect()
        }
        // Keycloak's organisations, where their ids or attributes are asked for too.
        Some(Value::Object(all)) if preset == Preset::Keycloak => all.keys().map(String::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    match named.as_slice() {
        [] => Some(Vec::new()),
        [one] => Some(TenantId::parse(one).into_iter().collect()),
        [_, _, ..] => None,
    }
}

/// Each tenant with its own roles: an object from tenants to roles, or a list of texts `tenant:role`.
fn of_each(claim: Option<&Value>) -> Said {
    let mut held: BTreeMap<TenantId, Vec<String>> = BTreeMap::new();
    match claim {
        Some(Value::Object(all)) => {
            for (tenant, listed) in all {
                if let Some(tenant) = TenantId::parse(tenant) {
                    held.insert(tenant, roles(Some(listed)));
                }
            }
        }
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            for text in list.iter().filter_map(Value::as_str) {
                // A tenant may hold a colon, a role written so may not.
                let Some((tenant, role)) = text.rsplit_once(':') else { continue };
                let Some(tenant) = TenantId::parse(tenant).filter(|_| is_role(role)) else { continue };
                let roles = held.entry(tenant).or_default();
                if !roles.iter().any(|one| one == role) {
                    roles.push(role.to_owned());
                }
            }
        }
        Some(_) | None => {}
    }
    if held.len() > MAX_TENANTS {
        return Said::nothing("it names more than 64 tenants");
    }
    // INVARIANT: a map holds each tenant once.
    let held = held.into_iter().map(|(tenant, roles)| Binding::new(tenant, roles)).collect();
    Said { bindings: Bindings::of(held).unwrap_or_default(), remark: None }
}

/// Whether Entra says that the claim is too large for the token, and stands somewhere else.
fn is_elsewhere(path: &ClaimPath, claims: &Claims, preset: Preset) -> bool {
    let top = path.top();
    let named = claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.contains_key(&top));
    let has_groups = top == "groups" && claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false));
    preset == Preset::Entra && (named || has_groups)
}

/// Roles in the token's order, each once. A list that holds anything but strings is no list of roles. A name that could
/// not stand alone in a header (empty, too long, with a comma or control characters) is left out: it can grant nothing.
pub(crate) fn roles(claim: Option<&Value>) -> Vec<String> {
    let listed: Vec<&str> = match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect()
        }
        Some(_) | None => Vec::new(),
    };
    let mut seen = HashSet::new();
    listed.into_iter().filter(|role| is_role(role) && seen.insert(*role)).map(ToOwned::to_owned).collect()
}

/// Whether a role could stand alone in a header.
pub(crate) fn is_role(role: &str) -> bool {
    !role.is_empty() && role.len() <= MAX_ROLE && !role.chars().any(|one| one == ',' || one.is_control())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authn::signing::settings;
    use crate::authn::{ClaimMap, ProviderSettings};

    fn said(changed: ProviderSettings, claims: Value) -> Said {
        bindings(claims.as_object().unwrap(), &Provider::new(changed).unwrap())
    }

    #[test]
    fn what_counts_for_nothing_is_said_in_the_log() {
        let mut entra = ProviderSettings { preset: Preset::Entra, ..settings() };
        entra.claims.roles = ClaimPath::parse("groups");
        let elsewhere = said(entra.clone(), json!({ "org": "a", "groups": ["g"], "hasgroups": true }));
        assert!(elsewhere.remark.is_some_and(|remark| remark.contains("hasgroups")), "{elsewhere:?}");
        assert_eq!(elsewhere.bindings, Bindings::one(TenantId::parse("a"), Vec::new()));
        assert_eq!(said(entra.clone(), json!({ "org": "a", "groups": ["g"] })).remark, None);
        entra.claims = ClaimMap { bindings: ClaimPath::parse("groups"), ..ClaimMap::default() };
        let claims = json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": {} } });
        assert_eq!(said(entra.clone(), claims).remark, Some(TOO_MANY_GROUPS));
        let named = said(entra, json!({ "groups": ["a:admin"], "_claim_names": { "groups": "src1" } }));
        assert!(named.remark.is_some() && named.bindings.is_empty(), "{named:?}");

        let several = said(settings(), json!({ "org": ["a", "b"], "roles": ["admin"] }));
        assert!(several.remark.is_some() && several.bindings.is_empty(), "{several:?}");

        let own = ProviderSettings { tenants: Some(TenantId::parse("a").into_iter().collect()), ..settings() };
        let foreign = said(own.clone(), json!({ "org": "b", "roles": ["admin"] }));
        assert!(foreign.remark.is_some() && foreign.bindings.is_empty(), "{foreign:?}");
        assert_eq!(said(own, json!({ "org": "a" })).remark, None);

        let claims = ClaimMap { bindings: ClaimPath::parse("clinics"), ..ClaimMap::default() };
        let many: Map<String, Value> = (0..=MAX_TENANTS).map(|at| (format!("t{at}"), json!([]))).collect();
        let many = said(ProviderSettings { claims, ..settings() }, json!({ "clinics": many }));
        assert!(many.remark.is_some() && many.bindings.is_empty());
    }

    #[test]
    fn only_entra_and_keycloak_have_forms_of_their_own() {
        let roles = ProviderSettings {
            claims: ClaimMap { roles: ClaimPath::parse("groups"), ..settings().claims },
            ..settings()
        };
        let kept =
            said(roles, json!({ "org": "a", "groups": ["g"], "hasgroups": true, "_claim_names": { "groups": "x" } }));
        assert_eq!((kept.bindings, kept.remark), (Bindings::one(TenantId::parse("a"), vec!["g".to_owned()]), None));
        assert!(said(settings(), json!({ "org": { "a": {} } })).bindings.is_empty());
        let keycloak = ProviderSettings { preset: Preset::Keycloak, ..settings() };
        assert_eq!(
            said(keycloak, json!({ "org": { "a": {} } })).bindings,
            Bindings::one(TenantId::parse("a"), Vec::new())
        );
    }
}
