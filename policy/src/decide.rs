//! May this request pass? One function; its order is the file.
//!
//! It sees a matched route and the facts, and nothing else. Whatever it cannot answer is a denial. It reads no clock
//! and changes nothing, so the same facts always give the same decision.

use crate::decision::{Basis, Decision, Denial, NotOwn, TenantFact, Verdict};
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
    let patient = patient(found, facts);
    let mut proved = Proved::default();
    proved.basis.patient = patient.name().map(str::to_owned);
    let judged = judge(found, facts, &patient, &mut proved);
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

// ORDER: who, for which tenant, by which role, on whose record, under which condition. Each step relies on those
// before it: a scope may compare with the tenant because the tenant step has passed.
fn judge(found: &Match<'_>, facts: &Facts<'_>, patient: &Patient<'_>, proved: &mut Proved) -> Result<(), Denial> {
    match found.demand() {
        Demand::Public => {
            proved.welcome(facts.principal);
            condition(found, &Env { found, facts, tenant: None, patient: None })
        }
        Demand::Authenticated => {
            let principal = identity(facts)?;
            let tenant = tenant(principal, found, facts, proved)?;
            one_record(patient)?;
            condition(found, &Env { found, facts, tenant: Some(tenant), patient: patient.name() })
        }
        Demand::Act(act) => {
            let principal = identity(facts)?;
            let tenant = tenant(principal, found, facts, proved)?;
            roles(act, principal)?;
            one_record(patient)?;
            let env = Env { found, facts, tenant: Some(tenant), patient: patient.name() };
            scopes(act, principal, &env, &mut proved.basis)?;
            condition(found, &env)
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
fn identity<'a>(facts: &Facts<'a>) -> Result<&'a Principal, Denial> {
    facts.principal.ok_or(Denial::NoCredential)
}

/// For which tenant? For the caller's own, with which every declared place that the request fills must agree.
fn tenant<'a>(
    principal: &'a Principal,
    found: &Match<'_>,
    facts: &Facts<'_>,
    proved: &mut Proved,
) -> Result<&'a TenantId, Denial> {
    let tenant = principal.tenant.as_ref().ok_or(Denial::NoTenant)?;
    proved.basis.tenant = Some(tenant.clone());
    match tenant::belongs(tenant, found, facts) {
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

/// By which role? At least one that is held must grant the act under some scope.
fn roles(act: &Act, principal: &Principal) -> Result<(), Denial> {
    let held = act.grants().iter().any(|grant| grant.held_by(principal).next().is_some());
    if held { Ok(()) } else { Err(Denial::NotGranted { act: act.name_shared() }) }
}

/// On one record? What names two patients is about neither, whatever the scope.
fn one_record(patient: &Patient<'_>) -> Result<(), Denial> {
    match patient {
        Patient::Unnamed | Patient::Named(_) => Ok(()),
        Patient::Unclear(place) => Err(Denial::NotOwn(NotOwn::Unclear(place.clone()))),
    }
}

/// On whose record? Grants add up: one scope that holds suffices, and one that has no answer holds for nobody.
fn scopes(act: &Act, principal: &Principal, env: &Env<'_>, basis: &mut Basis) -> Result<(), Denial> {
    let mut refused = None;
    for grant in act.grants() {
        let mut held = grant.held_by(principal).peekable();
        if held.peek().is_none() {
            continue;
        }
        match grant.scope() {
            // The tenant step has passed: this request is about the caller's tenant.
            Scope::Tenant => basis.granted_by.extend(held),
            Scope::Named(scope) => match scope.condition().holds(env) {
                Ok(true) => {
                    basis.own = Some(true);
                    basis.granted_by.extend(held);
                }
                Ok(false) => refused = Some((scope, None)),
                Err(cause) => refused = Some((scope, Some(cause))),
            },
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
fn condition(found: &Match<'_>, env: &Env<'_>) -> Result<(), Denial> {
    match found.route().when().map(|when| when.holds(env)) {
        None | Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(Denial::Condition { cause: None }),
        Some(Err(cause)) => Err(Denial::Condition { cause: Some(cause) }),
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
        Denial::NotGranted { .. } | Denial::NotOwn(_) | Denial::Condition { .. } => {
            Verdict::Observed(Passage { identity }, denial)
        }
    }
}

#[cfg(test)]
mod tests;
