//! May this request pass? One function; its order is the file.
//!
//! It sees a matched route and the facts, and nothing else. Whatever it cannot answer is a denial. It reads no clock
//! and changes nothing, so the same facts always give the same decision.

use crate::assurance::Assurance;
use crate::decision::{Basis, Decision, Denial, NotOwn, TenantFact, Verdict};
use crate::explain::{Look, Observer};
use crate::expr::Env;
use crate::facts::{Facts, Patient, patient};
use crate::principal::Principal;
use crate::raw::Mode;
use crate::roles::{Act, Scope, is_role_name};
use crate::route::{Demand, Match};
use crate::tenant::{self, TenantId};

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
    subject: String,
    roles: Vec<String>,
}

impl Identity {
    fn of(principal: &Principal, tenant: &TenantId) -> Self {
        let roles = principal.roles.iter().filter(|role| is_role_name(role)).cloned().collect();
        Self { tenant: tenant.clone(), subject: principal.subject.clone(), roles }
    }

    /// The tenant, safe as the value of a header.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The subject, as the credential spells it: any text.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The roles that are role names, as a policy could write them: no comma, no control character. Others grant
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
            condition(found, &Env { found, facts, tenant: None, patient: None }, watch)
        }
        Demand::Authenticated => {
            let principal = identity(facts, watch)?;
            let tenant = tenant(principal, found, facts, proved, watch)?;
            assurance(None, principal, found, facts, watch)?;
            one_record(patient, watch)?;
            condition(found, &Env { found, facts, tenant: Some(tenant), patient: patient.name() }, watch)
        }
        Demand::Act(act) => {
            let principal = identity(facts, watch)?;
            let tenant = tenant(principal, found, facts, proved, watch)?;
            assurance(Some(act), principal, found, facts, watch)?;
            roles(act, principal, watch)?;
            one_record(patient, watch)?;
            let env = Env { found, facts, tenant: Some(tenant), patient: patient.name() };
            scopes(act, principal, &env, &mut proved.basis, watch)?;
            condition(found, &env, watch)
        }
    }
}

impl Proved {
    /// On a public method a caller who is known, and whose tenant is, stays so. Public routes declare no place, so
    /// there is nothing to disagree with.
    fn welcome(&mut self, principal: Option<&Principal>) {
        let Some((principal, tenant)) = principal.and_then(|one| Some((one, one.tenant.as_ref()?))) else { return };
        self.identity = Some(Identity::of(principal, tenant));
        self.basis.tenant = Some(tenant.clone());
        self.basis.tenant_fact = TenantFact::Same;
    }
}

/// Who is asking?
fn identity<'a>(facts: &Facts<'a>, watch: &mut impl Observer) -> Result<&'a Principal, Denial> {
    watch.saw(Look::Caller(facts.principal));
    facts.principal.ok_or(Denial::NoCredential)
}

/// For which tenant? For the caller's own, with which every declared place that the request fills must agree.
fn tenant<'a>(
    principal: &'a Principal,
    found: &Match<'_>,
    facts: &Facts<'_>,
    proved: &mut Proved,
    watch: &mut impl Observer,
) -> Result<&'a TenantId, Denial> {
    watch.saw(Look::Tenant(principal.tenant.as_ref()));
    let tenant = principal.tenant.as_ref().ok_or(Denial::NoTenant)?;
    proved.basis.tenant = Some(tenant.clone());
    let belongs = tenant::belongs(tenant, found, facts);
    watch.saw(Look::Places(found.route().tenant_places(), &belongs));
    match belongs {
        Ok(()) => {
            proved.basis.tenant_fact = TenantFact::Same;
            proved.identity = Some(Identity::of(principal, tenant));
            Ok(tenant)
        }
        Err(disagreement) => {
            proved.basis.tenant_fact = TenantFact::Other;
            Err(Denial::TenantMismatch(disagreement))
        }
    }
}

/// With which factors? Those that the roles held demand, whichever of them grants, and those that the act demands.
fn assurance(
    act: Option<&Act>,
    principal: &Principal,
    found: &Match<'_>,
    facts: &Facts<'_>,
    watch: &mut impl Observer,
) -> Result<(), Denial> {
    let mut needed: Option<Assurance> = None;
    for charge in found.charges().iter().filter(|charge| charge.is_held_by(principal)) {
        watch.saw(Look::RoleDemands(&charge.role, charge.mfa));
        needed = Some(needed.map_or(charge.mfa, |needed| needed.and(charge.mfa)));
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
fn roles(act: &Act, principal: &Principal, watch: &mut impl Observer) -> Result<(), Denial> {
    let held = act.grants().iter().any(|grant| grant.held_by(principal).next().is_some());
    watch.saw(Look::Roles { act, held: &principal.roles, granted: held });
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
    principal: &Principal,
    env: &Env<'_>,
    basis: &mut Basis,
    watch: &mut impl Observer,
) -> Result<(), Denial> {
    let mut refused = None;
    for grant in act.grants() {
        let mut held = grant.held_by(principal).peekable();
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
        // The places were not compared with a tenant: there was none. They may still not name two.
        Denial::NoCredential | Denial::NoTenant => match tenant::agree(found, facts) {
            Ok(()) => Verdict::Observed(Passage { identity: None }, denial),
            Err(disagreement) => Verdict::Denied(Denial::TenantMismatch(disagreement)),
        },
        Denial::StepUp(_) | Denial::NotGranted { .. } | Denial::NotOwn(_) | Denial::Condition { .. } => {
            Verdict::Observed(Passage { identity }, denial)
        }
    }
}

#[cfg(test)]
mod tests;
