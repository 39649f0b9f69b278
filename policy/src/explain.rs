//! Why a decision came out as it did: what was looked at, step by step, and where it ended.
//!
//! It decides nothing: [`explain`] runs the very function that decides and writes down what that looks at. A trace is
//! for whoever asks on a terminal: unlike a line of the log it shows what the request and the credential say.

use crate::assurance::{Assurance, Factors, StepUp};
use crate::bindings::{Binding, Bindings};
use crate::decide::observed;
use crate::decision::{Decision, Verdict};
use crate::expr::Unanswered;
use crate::facts::{Facts, Patient, Place};
use crate::principal::Principal;
use crate::roles::Act;
use crate::route::{Demand, Match};
use crate::tenant::{Homeless, Inactive, TenantId};
use std::fmt;
use std::sync::Arc;

/// A decision, and the way to it.
#[derive(Debug)]
#[must_use = "it holds the passage of the decision"]
pub struct Trace {
    /// What was looked at, in the order of the deciding function. The last one is where it ended.
    pub steps: Vec<Step>,
    /// What came out.
    pub decision: Decision,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which question it belongs to.
    pub name: StepName,
    /// What it did to the request.
    pub outcome: Outcome,
    /// What was seen, in words.
    pub says: String,
}

/// The questions that a decision asks, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepName {
    /// What does the method demand?
    Demand,
    /// Who is asking?
    Caller,
    /// For which tenant?
    Tenant,
    /// With which factors?
    Factors,
    /// By which role?
    Roles,
    /// On which record?
    Record,
    /// On whose record?
    Scope,
    /// Under which condition?
    Condition,
}

impl StepName {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::Caller => "caller",
            Self::Tenant => "tenant",
            Self::Factors => "factors",
            Self::Roles => "roles",
            Self::Record => "record",
            Self::Scope => "scope",
            Self::Condition => "condition",
        }
    }
}

/// What a step did to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It goes on.
    Passed,
    /// It ended here, or would have on a route that does not only observe.
    Ended,
}

impl Outcome {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Ended => "ended",
        }
    }
}

/// Decides one request as [`decide`](crate::decide()) does, and says what was looked at.
pub fn explain(found: &Match<'_>, facts: &Facts<'_>) -> Trace {
    let mut steps: Vec<Step> = Vec::new();
    let decision = observed(found, facts, &mut steps);
    let ended = match &decision.verdict {
        Verdict::Granted(_) => false,
        Verdict::Observed(..) | Verdict::Denied(_) => true,
    };
    if let Some(last) = steps.last_mut().filter(|_| ended) {
        last.outcome = Outcome::Ended;
    }
    Trace { steps, decision }
}

/// Someone whom the deciding function tells what it looks at.
pub(crate) trait Observer {
    /// One more thing was looked at.
    fn saw(&mut self, look: Look<'_>);
}

/// Nobody: costs nothing.
impl Observer for () {
    fn saw(&mut self, _: Look<'_>) {}
}

/// What the deciding function looks at.
pub(crate) enum Look<'a> {
    Demand(&'a Demand),
    Caller(Option<&'a Principal>),
    Bindings(&'a Bindings),
    Places(&'a [Place], &'a Bindings, &'a Result<&'a Binding, Inactive>),
    TenantDemands(&'a TenantId, Assurance),
    RoleDemands(&'a str, Assurance),
    ActDemands(&'a str, Assurance),
    Factors(&'a Factors, &'a Result<(), StepUp>),
    Roles { act: &'a Act, held: &'a [String], granted: bool },
    Record(&'a Patient<'a>),
    Scope { name: &'a str, roles: &'a [Arc<str>], holds: &'a Result<bool, Unanswered> },
    Condition(&'a Result<bool, Unanswered>),
}

impl Observer for Vec<Step> {
    fn saw(&mut self, look: Look<'_>) {
        let (name, says) = told(&look);
        self.push(Step { name, outcome: Outcome::Passed, says });
    }
}

fn told(look: &Look<'_>) -> (StepName, String) {
    match look {
        Look::Demand(Demand::Public) => (StepName::Demand, "the method is public: it needs no credential".to_owned()),
        Look::Demand(Demand::Authenticated) => (StepName::Demand, "the method takes any valid credential".to_owned()),
        Look::Demand(Demand::Act(act)) => (StepName::Demand, format!("the method is the act `{}`", act.name())),
        Look::Caller(None) => (StepName::Caller, "there is no credential".to_owned()),
        Look::Caller(Some(one)) => (StepName::Caller, format!("`{}` of provider `{}`", one.subject, one.provider)),
        Look::Bindings(bindings) => (StepName::Tenant, tenants(bindings)),
        Look::Places(places, bindings, active) => (StepName::Tenant, named(places, bindings, active)),
        Look::TenantDemands(tenant, needed) => (StepName::Factors, format!("tenant `{tenant}` demands {needed}")),
        Look::RoleDemands(role, needed) => (StepName::Factors, format!("role `{role}` demands {needed}")),
        Look::ActDemands(act, needed) => (StepName::Factors, format!("act `{act}` demands {needed}")),
        Look::Factors(shown, met) => (StepName::Factors, factors(shown, met)),
        Look::Roles { act, held, granted } => (StepName::Roles, roles(act, held, *granted)),
        Look::Record(Patient::Unnamed) => (StepName::Record, "the request names no patient".to_owned()),
        Look::Record(Patient::Named(name)) => (StepName::Record, format!("the request is about patient `{name}`")),
        Look::Record(Patient::Unclear(place)) => {
            (StepName::Record, format!("`{place}` occurs more than once or cannot be read"))
        }
        Look::Scope { name, roles, holds } => {
            (StepName::Scope, format!("scope `{name}` of {} {}", listed(*roles), answered(holds)))
        }
        Look::Condition(holds) => (StepName::Condition, format!("`when` {}", answered(holds))),
    }
}

fn tenants(bindings: &Bindings) -> String {
    match bindings.only() {
        Some(only) => format!("the caller is of tenant `{}`", only.tenant()),
        None if bindings.is_empty() => Homeless::Unbound.to_string(),
        None => format!("the caller is of tenants {}", listed(bindings.iter().map(Binding::tenant))),
    }
}

fn named(places: &[Place], bindings: &Bindings, active: &Result<&Binding, Inactive>) -> String {
    match active {
        Ok(_) if places.is_empty() => "the route declares no place that names a tenant".to_owned(),
        Ok(_) if bindings.only().is_some() => format!("nothing in {} names another", listed(places)),
        Ok(active) => format!("the request names `{}`", active.tenant()),
        Err(Inactive::Homeless(homeless)) => homeless.to_string(),
        Err(Inactive::Disagreement(disagreement)) => disagreement.to_string(),
    }
}

fn factors(shown: &Factors, met: &Result<(), StepUp>) -> String {
    let methods = if shown.methods.is_empty() { "no methods".to_owned() } else { listed(&shown.methods) };
    match met {
        Ok(()) => format!("`amr` has {methods}: enough"),
        Err(short) => format!("`amr` has {methods}: {}", short.lack),
    }
}

fn roles(act: &Act, held: &[String], granted: bool) -> String {
    let granting: Vec<&Arc<str>> = act.grants().iter().flat_map(|grant| &grant.roles).collect();
    let held = if held.is_empty() { "no role".to_owned() } else { listed(held) };
    match (granted, granting.as_slice()) {
        (true, _) => format!("the caller holds {held}; `{}` is granted to {}", act.name(), listed(granting)),
        (false, []) => format!("the caller holds {held}; no role grants `{}`", act.name()),
        (false, _) => format!("the caller holds {held}; `{}` is granted to {} only", act.name(), listed(granting)),
    }
}

fn answered(holds: &Result<bool, Unanswered>) -> String {
    match holds {
        Ok(true) => "holds".to_owned(),
        Ok(false) => "does not hold".to_owned(),
        Err(cause) => format!("has no answer: {cause}"),
    }
}

fn listed<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Request, caller, facts, find, outcome, policy};

    const POLICY: &str = "
roles:
  provider: { can: { records.read: tenant } }
  patient: { can: { records.read: own } }
  admin: { can: { users.read: tenant }, mfa: { within: 5m } }
scopes: { own: resource.patient == principal.claims.patient }
routes:
  home: { path: /, methods: { GET: public } }
  records:
    path: '/patients/{patient}'
    resource: { patient: path.patient, tenant: [claim, header.x-clinic] }
    methods: { GET: records.read }
    when: size(principal.subject) < 10
  users: { path: /users, methods: { GET: users.read } }
  trial: { path: /trial, methods: { GET: users.read }, mode: observe }
";

    fn told(send: &str, who: Option<&Principal>, request: &Request) -> (String, Vec<String>) {
        let policy = policy(POLICY);
        let found = find(&policy, send);
        let facts = facts(send, who, request);
        let trace = explain(&found, &facts);
        let same = crate::decide(&found, &facts);
        assert_eq!(outcome(&trace.decision), outcome(&same), "explaining changes nothing");
        let last = trace.steps.len() - 1;
        for (at, step) in trace.steps.iter().enumerate() {
            assert_eq!(step.outcome == Outcome::Ended, at == last && outcome(&same) != "allow");
        }
        let steps = trace.steps.iter().map(|step| format!("{}: {}", step.name.as_str(), step.says)).collect();
        (outcome(&trace.decision), steps)
    }

    #[test]
    fn the_last_step_is_where_it_ended() {
        let none = Request::default();
        let last = |send: &str, who: Option<&Principal>, request: &Request| {
            let (outcome, steps) = told(send, who, request);
            format!("{outcome} {}", steps.last().unwrap())
        };
        let provider = caller("a", &["provider"], &[]);
        let patient = caller("a", &["patient"], &[("patient", "p1")]);
        let admin = caller("a", &["admin"], &[]);
        assert_eq!(last("GET /", None, &none), "allow demand: the method is public: it needs no credential");
        assert_eq!(last("GET /patients/p1", None, &none), "NO_CREDENTIAL caller: there is no credential");
        assert_eq!(
            last("GET /patients/p1", Some(&caller("", &[], &[])), &none),
            "NO_TENANT tenant: the caller is of no tenant"
        );
        assert_eq!(
            last("GET /patients/p1", Some(&provider), &none.clone().header("x-clinic", "b")),
            "TENANT_MISMATCH tenant: `header.x-clinic` names a tenant that is not the caller's"
        );
        assert_eq!(
            last("GET /users", Some(&provider), &none),
            "NOT_GRANTED roles: the caller holds `provider`; `users.read` is granted to `admin` only"
        );
        assert_eq!(
            last("GET /users", Some(&admin), &none),
            "STEP_UP factors: `amr` has no methods: the credential shows no two factors"
        );
        assert!(last("GET /trial", Some(&admin), &none).starts_with("observe:STEP_UP factors: "));
        assert_eq!(
            last("GET /patients/p2", Some(&patient), &none),
            "NOT_OWN scope: scope `own` of `patient` does not hold"
        );
        assert_eq!(last("GET /patients/p1", Some(&patient), &none), "allow condition: `when` holds");
    }

    #[test]
    fn each_step_says_what_was_seen() {
        let patient = caller("a", &["patient", "provider"], &[("patient", "p1")]);
        let (_, steps) = told("GET /patients/p2", Some(&patient), &Request::default());
        assert_eq!(
            steps,
            [
                "demand: the method is the act `records.read`",
                "caller: `user-1` of provider `clinic`",
                "tenant: the caller is of tenant `a`",
                "tenant: nothing in `claim`, `header.x-clinic` names another",
                "roles: the caller holds `patient`, `provider`; `records.read` is granted to `patient`, `provider`",
                "record: the request is about patient `p2`",
                "scope: scope `own` of `patient` does not hold",
                "scope: scope `tenant` of `provider` holds",
                "condition: `when` holds",
            ]
        );
    }
}
