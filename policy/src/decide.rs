//! May this request pass? One function; its order is the file.
//!
//! It sees a matched route and the facts, and nothing else. Whatever it cannot answer is a denial. It reads no clock
//! and changes nothing, so the same facts always give the same decision.

use crate::assurance::Assurance;
use crate::bindings::Binding;
use crate::decision::{Basis, Decision, Denial, NotOwn, TenantFact, Verdict};
use crate::explain::{Look, Observer};
use crate::expr::Env;
use crate::facts::{Facts, Patient, patient};
use crate::principal::Principal;
use crate::raw::Mode;
use crate::roles::{Act, Scope};
use crate::route::{Demand, Match};
use crate::tenant::{self, Inactive, TenantId};
use std::sync::Arc;

/// Proof that a request was decided and may go on. Whoever forwards a request consumes one.
///
/// Only [`decide`] makes one: it cannot be built,
/// ```compile_fail,E0451
/// let forged = policy::Passage { identity: None };
/// ```
/// copied,
/// ```compile_fail,E0599
/// fn twice(passage: policy::Passage) -> (policy::Passage, policy::Passage) { (passage.clone(), passage) }
/// ```
/// or had for nothing.
/// ```compile_fail,E0599
/// let forged = policy::Passage::default();
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Passage {
    identity: Option<Identity>,
}

impl Passage {
    /// What the application is told of the caller. `None` where no identity and tenant were proved: then it is told
    /// nothing.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// A caller whose tenant agrees with the request, as the application is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    tenant: TenantId,
    issuer: Arc<str>,
    subject: Arc<str>,
    roles: Arc<[String]>,
}

impl Identity {
    fn of(principal: &Principal, active: &Binding) -> Self {
        Self {
            tenant: active.tenant().clone(),
            issuer: Arc::clone(&principal.issuer),
            subject: Arc::clone(&principal.subject),
            roles: active.named_shared(),
        }
    }

    /// The tenant, safe as the value of a header.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who vouches for the subject, as the credential names it: a subject is one person only together with it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject, as the credential spells it: any text.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The roles held in that tenant that are role names, as a policy could write them: no comma, no control character. Others grant
    /// nothing and are left out, so that a list of these cannot be split in two ways.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }
}

/// Decides one request. The match comes from the policy that is in force, so that no decision can mix two.
pub fn decide(found: &Match<'_>, facts: &Facts<'_>) -> Decision {
    observed(found, facts, &mut ())
}

/// Decides one request, and tells an observer what is looked at. It is told, and never asked.
pub(crate) fn observed(found: &Match<'_>, facts: &Facts<'_>, watch: &mut impl Observer) -> Decision {
    let patient = patient(found, facts);
    let mut proved = Proved::default();
    proved.basis.patient = patient.name().map(str::to_owned);
    let judged = judge(found, facts, &patient, &mut proved, watch);
    let Proved { identity, basis } = proved;
    let verdict = match judged {
        Ok(()) => Verdict::Granted(Passage { identity }),
        Err(denial) => match found.route().mode() {
            Mode::Enforce => Verdict::Denied(denial),
            Mode::Observe => observe(denial, identity, found, facts),
        },
    };
    Decision { verdict, basis }
}

/// What the steps have proved so far. A later step that denies leaves it standing, for the record and for a passage
/// under observation.
#[derive(Default)]
struct Proved {
    identity: Option<Identity>,
    basis: Basis,
}

// ORDER: who, for which tenant, with which factors, by which role, on whose record, under which condition. Each step
// relies on those before it: a scope may compare with the tenant because the tenant step has passed. Factors come after
// the tenant because the roles that demand them are those held in it, and because a route that only observes waives a
// demand of factors and never the tenant's agreement, which has to be known by then; and before the roles, so that a
// stolen password alone does not learn what its owner may do.
fn judge(
    found: &Match<'_>,
    facts: &Facts<'_>,
    patient: &Patient<'_>,
    proved: &mut Proved,
    watch: &mut impl Observer,
) -> Result<(), Denial> {
    watch.saw(Look::Demand(found.demand()));
    match found.demand() {
        Demand::Public => {
            proved.welcome(facts.principal);
            condition(found, &Env { found, facts, active: None, patient: None }, watch)
        }
        Demand::Authenticated => {
            let principal = identity(facts, watch)?;
            let active = tenant(principal, found, facts, proved, watch)?;
            assurance(None, (principal, active), found, facts, watch)?;
            one_record(patient, watch)?;
            condition(found, &Env { found, facts, active: Some(active), patient: patient.name() }, watch)
        }
        Demand::Act(act) => {
            let principal = identity(facts, watch)?;
            let active = tenant(principal, found, facts, proved, watch)?;
            assurance(Some(act), (principal, active), found, facts, watch)?;
            roles(act, active, watch)?;
            one_record(patient, watch)?;
            let env = Env { found, facts, active: Some(active), patient: patient.name() };
            scopes(act, active, &env, &mut proved.basis, watch)?;
            condition(found, &env, watch)
        }
    }
}

impl Proved {
    /// On a public method a caller who is known, and whose tenant is, stays so. Public routes declare no place, so
    /// there is nothing to disagree with, and nothing that could say which of several tenants is meant.
    fn welcome(&mut self, principal: Option<&Principal>) {
        let Some((principal, only)) = principal.and_then(|one| Some((one, one.bindings.only()?))) else { return };
        self.identity = Some(Identity::of(principal, only));
        self.acts_by(only);
        self.basis.tenant_fact = TenantFact::Same;
    }

    fn acts_by(&mut self, binding: &Binding) {
        self.basis.tenant = Some(binding.tenant().clone());
        self.basis.roles = binding.roles_shared();
    }
}

/// Who is asking?
fn identity<'a>(facts: &Facts<'a>, watch: &mut impl Observer) -> Result<&'a Principal, Denial> {
    watch.saw(Look::Caller(facts.principal));
    facts.principal.ok_or(Denial::NoCredential)
}

/// For which tenant? For the only one of the caller, or for the one of several that the request names; every declared
/// place that the request fills must agree.
fn tenant<'a>(
    principal: &'a Principal,
    found: &Match<'_>,
    facts: &Facts<'_>,
    proved: &mut Proved,
    watch: &mut impl Observer,
) -> Result<&'a Binding, Denial> {
    let bindings = &principal.bindings;
    watch.saw(Look::Bindings(bindings));
    let active = tenant::active(bindings, found, facts);
    // Whoever is of one tenant alone is known to be, even where the request names another.
    if let Some(known) = active.as_ref().ok().copied().or_else(|| bindings.only()) {
        proved.acts_by(known);
    }
    if !bindings.is_empty() {
        watch.saw(Look::Places(found.route().tenant_places(), bindings, &active));
    }
    match active {
        Ok(active) => {
            proved.basis.tenant_fact = TenantFact::Same;
            proved.identity = Some(Identity::of(principal, active));
            Ok(active)
        }
        Err(Inactive::Homeless(homeless)) => Err(Denial::NoTenant(homeless)),
        Err(Inactive::Disagreement(disagreement)) => {
            proved.basis.tenant_fact = TenantFact::Other;
            Err(Denial::TenantMismatch(disagreement))
        }
    }
}

/// With which factors? Those that the tenant demands, those that the roles held in it demand, whichever of them grants,
/// and those that the act demands.
fn assurance(
    act: Option<&Act>,
    (principal, active): (&Principal, &Binding),
    found: &Match<'_>,
    facts: &Facts<'_>,
    watch: &mut impl Observer,
) -> Result<(), Denial> {
    let mut needed: Option<Assurance> = None;
    if let Some(mfa) = found.charges().tenants.get(active.tenant()) {
        watch.saw(Look::TenantDemands(active.tenant(), *mfa));
        needed = Some(*mfa);
    }
    for (role, mfa) in found.charges().roles.iter().filter(|(role, _)| active.holds(role)) {
        watch.saw(Look::RoleDemands(role, *mfa));
        needed = Some(needed.map_or(*mfa, |needed| needed.and(*mfa)));
    }
    if let Some((act, mfa)) = act.and_then(|act| Some((act, act.mfa()?))) {
        watch.saw(Look::ActDemands(act.name(), mfa));
        needed = Some(needed.map_or(mfa, |needed| needed.and(mfa)));
    }
    let Some(needed) = needed else { return Ok(()) };
    let met = principal.factors.meet(needed, facts.now);
    watch.saw(Look::Factors(&principal.factors, &met));
    met.map_err(Denial::StepUp)
}

/// By which role? At least one that is held must grant the act under some scope.
fn roles(act: &Act, active: &Binding, watch: &mut impl Observer) -> Result<(), Denial> {
    let held = act.grants().iter().any(|grant| grant.held_by(active).next().is_some());
    watch.saw(Look::Roles { act, held: active.roles(), granted: held });
    if held { Ok(()) } else { Err(Denial::NotGranted { act: act.name_shared() }) }
}

/// On one record? What names two patients is about neither, whatever the scope.
fn one_record(patient: &Patient<'_>, watch: &mut impl Observer) -> Result<(), Denial> {
    watch.saw(Look::Record(patient));
    match patient {
        Patient::Unnamed | Patient::Named(_) => Ok(()),
        Patient::Unclear(place) => Err(Denial::NotOwn(NotOwn::Unclear(place.clone()))),
    }
}

/// On whose record? Grants add up: one scope that holds suffices, and one that has no answer holds for nobody.
fn scopes(
    act: &Act,
    active: &Binding,
    env: &Env<'_>,
    basis: &mut Basis,
    watch: &mut impl Observer,
) -> Result<(), Denial> {
    let mut refused = None;
    for grant in act.grants() {
        let mut held = grant.held_by(active).peekable();
        if held.peek().is_none() {
            continue;
        }
        match grant.scope() {
            // The tenant step has passed: this request is about the caller's tenant.
            Scope::Tenant => {
                watch.saw(Look::Scope { name: "tenant", roles: &grant.roles, holds: &Ok(true) });
                basis.granted_by.extend(held);
            }
            Scope::Named(scope) => {
                let holds = scope.condition().holds(env);
                watch.saw(Look::Scope { name: &scope.name, roles: &grant.roles, holds: &holds });
                match holds {
                    Ok(true) => {
                        basis.own = Some(true);
                        basis.granted_by.extend(held);
                    }
                    Ok(false) => refused = Some((scope, None)),
                    Err(cause) => refused = Some((scope, Some(cause))),
                }
            }
        }
    }
    if refused.is_some() && basis.own.is_none() {
        basis.own = Some(false);
    }
    match (basis.granted_by.is_empty(), refused) {
        (false, _) => Ok(()),
        (true, Some((scope, cause))) => Err(Denial::NotOwn(NotOwn::Scope { name: scope.name_shared(), cause })),
        (true, None) => Err(Denial::NotGranted { act: act.name_shared() }),
    }
}

/// Under which condition?
fn condition(found: &Match<'_>, env: &Env<'_>, watch: &mut impl Observer) -> Result<(), Denial> {
    let Some(when) = found.route().when() else { return Ok(()) };
    let holds = when.holds(env);
    watch.saw(Look::Condition(&holds));
    match holds {
        Ok(true) => Ok(()),
        Ok(false) => Err(Denial::Condition { cause: None }),
        Err(cause) => Err(Denial::Condition { cause: Some(cause) }),
    }
}

/// What observation lets pass: all but a disagreement about the tenant, with the identity only where it was proved.
fn observe(denial: Denial, identity: Option<Identity>, found: &Match<'_>, facts: &Facts<'_>) -> Verdict {
    match denial {
        Denial::TenantMismatch(_) => Verdict::Denied(denial),
        // The places were not compared with a tenant: there was none, or none that was named. They may still not name two.
        Denial::NoCredential | Denial::NoTenant(_) => match tenant::agree(found, facts) {
            Ok(()) => Verdict::Observed(Passage { identity: None }, denial),
            Err(disagreement) => Verdict::Denied(Denial::TenantMismatch(disagreement)),
        },
        Denial::StepUp(_) | Denial::NotGranted { .. } | Denial::NotOwn(_) | Denial::Condition { .. } => {
            Verdict::Observed(Passage { identity }, denial)
        }
    }
}

#[cfg(test)]
mod binding_tests;
#[cfg(test)]
mod tests;
