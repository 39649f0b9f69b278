//! What is known of a request so far: the steps write it, the record and the log are made of it.
//!
//! It never influences a decision. It holds the route's template, never the path, and nothing that the client could
//! choose but the method, which is one of a closed list by the time it stands here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Actor, AppError, AuditSlot, Draft, Factors, Facts, Kind, Mode};
use http::HeaderValue;
use policy::{Basis, Binding, Denial, Match, Principal, RouteCache, TenantId};

use super::cache::Audience;
use crate::clock::Now;
use crate::login::{Ask, ReturnPath};
use crate::request_id::RequestId;
use crate::sessions::Sessions;
use crate::sessions::name::Name;
use crate::telemetry::otlp::RequestSpans;
use crate::telemetry::trace::{AppCall, Trace};

/// The growing account of one request.
#[derive(Debug)]
pub(crate) struct Trail {
    /// The id in the answer, the log and the record.
    pub(crate) id: RequestId,
    /// When the head was read.
    pub(crate) started: Now,
    /// The client's address.
    pub(crate) peer: IpAddr,
    /// The request's method, once it is known to be one that a policy can name.
    pub(crate) method: Option<&'static str>,
    /// The trace that it belongs to: the client's where it named one well, else our own where this request is traced.
    pub(crate) trace: Option<Trace>,
    /// How the call to the application went.
    pub(crate) app: Option<AppCall>,
    /// The id of the rule that the path picked.
    pub(crate) rule: Option<Arc<str>>,
    /// The rule's path as written.
    pub(crate) template: Option<Arc<str>>,
    /// The form of a path that no rule names: its segments taken out.
    pub(crate) shape: Option<String>,
    /// The act that the rule demands.
    pub(crate) act: Option<Arc<str>>,
    /// Whether the answer must be on the record before it leaves.
    pub(crate) strict: bool,
    /// Whether the answer holds health data, so that nobody may keep a copy on the way.
    pub(crate) phi: bool,
    /// Whether the rule wants no record (`audit: none`).
    pub(crate) unrecorded: bool,
    /// Who is asking.
    pub(crate) actor: Option<Known>,
    /// The tenant that the request acts in.
    pub(crate) tenant: Option<TenantId>,
    /// The pseudonym of the patient that the request names.
    pub(crate) patient: Option<String>,
    /// What the decision looked at.
    pub(crate) facts: Option<Facts>,
    /// Cookies that the browser is to let go of, where the request ends here.
    pub(crate) let_go: Vec<HeaderValue>,
    /// The denial that observing let pass.
    pub(crate) observed: Option<Denial>,
    /// The code of a control that would have refused it, were it not observed only; the first one, where there are more.
    pub(crate) waived: Option<&'static str>,
    /// Whether the route asks who is there.
    pub(crate) asks: bool,
    /// What may be kept of its answers, where the route says so.
    pub(crate) cache: Option<RouteCache>,
    /// Whether the gate has a text of its own in case that the application has none.
    pub(crate) security_txt: bool,
    /// Whether the route lets the application's own errors pass.
    pub(crate) passes_errors: bool,
    /// What became of the application's own error, where it answered with one.
    pub(crate) app_error: Option<AppError>,
    /// What the gate itself gives the browser to keep.
    pub(crate) cookies: Vec<HeaderValue>,
    /// When the caller last came back from being asked for factors, where the gate signed the caller in.
    pub(crate) stepped: Option<u64>,
    /// What to ask the provider for, where the factors of someone whom the gate signed in fall short.
    pub(crate) ask: Option<Ask>,
    /// Where a sign-in that made no session was to lead back to.
    pub(crate) back: Option<ReturnPath>,
    /// Whether the browser of someone whom the gate signed in counts its sign-ins.
    pub(crate) counted: bool,
    /// How many seconds are left of the caller's session, where that is limited.
    pub(crate) session_left: Option<u64>,
    /// Whether the browser is told to forget what it keeps of this site.
    pub(crate) clears: bool,
    /// Digest of the policies that judged it.
    pub(crate) policy: Arc<str>,
    /// The place in the record that was made for this request and is not yet filled.
    pub(crate) slot: Option<AuditSlot>,
}

/// Who is asking; the record gets it in words of its own.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// A caller.
    Caller {
        /// Who was proved.
        who: Arc<Principal>,
        /// The roles held in the tenant that the request acts in.
        roles: Arc<[String]>,
        /// What the record calls the session; `None`: nobody has asked yet, or the credential names none.
        session: Option<Name>,
    },
    /// Whom a provider speaks of.
    Told {
        /// The provider.
        issuer: String,
        /// Who.
        subject: String,
        /// What the record calls the session that it speaks of.
        session: Option<Name>,
    },
}

impl Known {
    /// A caller. Which of several tenants is meant is not known yet; the decision says it.
    pub(crate) fn caller(who: &Arc<Principal>) -> Self {
        let roles = who.bindings.only().map(Binding::roles_shared).unwrap_or_default();
        Self::Caller { who: Arc::clone(who), roles, session: None }
    }

    /// Makes sure that the record can name the session.
    pub(crate) fn name_session(&mut self, sessions: &Sessions) {
        if let Known::Caller { who, session: session @ None, .. } = self {
            *session = sessions.name_of(who);
        }
    }

    /// The session goes by this name in the record.
    pub(crate) fn session_is(&mut self, name: Name) {
        if let Known::Caller { session, .. } = self {
            *session = Some(name);
        }
    }

    /// The caller holds these roles, and no others.
    pub(crate) fn holds(&mut self, held: &Arc<[String]>) {
        if let Known::Caller { roles, .. } = self {
            *roles = Arc::clone(held);
        }
    }

    /// Issuer and subject.
    pub(crate) fn name(&self) -> [&str; 2] {
        match self {
            Known::Caller { who, .. } => [&who.issuer, &who.subject],
            Known::Told { issuer, subject, .. } => [issuer, subject],
        }
    }

    fn recorded(&self, now: u64) -> Actor {
        let [iss, sub] = self.name().map(str::to_owned);
        let (Known::Caller { session, .. } | Known::Told { session, .. }) = self;
        let session = session.map(|name| name.text());
        let Known::Caller { who, roles, .. } = self else {
            return Actor { iss, sub, session, roles: Vec::new(), client: None, factors: None };
        };
        let (methods, at) = (&who.factors.methods, who.factors.at);
        let known = !methods.is_empty() || at.is_some();
        let factors = known.then(|| Factors { methods: methods.clone(), age_s: at.map(|at| now.saturating_sub(at)) });
        Actor { iss, sub, session, roles: roles.to_vec(), client: who.client.clone(), factors }
    }
}

impl Trail {
    /// Starts the account of a request.
    pub(crate) fn new(id: RequestId, started: Now, peer: IpAddr, policy: Arc<str>) -> Self {
        Self {
            id,
            started,
            peer,
            policy,
            method: None,
            trace: None,
            app: None,
            rule: None,
            template: None,
            shape: None,
            act: None,
            strict: false,
            phi: false,
            unrecorded: false,
            actor: None,
            tenant: None,
            patient: None,
            facts: None,
            let_go: Vec::new(),
            observed: None,
            waived: None,
            asks: false,
            cache: None,
            security_txt: false,
            passes_errors: false,
            app_error: None,
            cookies: Vec::new(),
            stepped: None,
            ask: None,
            back: None,
            counted: false,
            session_left: None,
            clears: false,
            slot: None,
        }
    }

    /// Notes the rule that the path picked.
    pub(crate) fn matched(&mut self, found: &Match<'_>) {
        let route = found.route();
        self.rule = Some(route.id().into());
        self.template = Some(route.template().into());
        self.unrecorded = !route.recorded();
        self.asks = !matches!(found.demand(), policy::Demand::Public);
        self.cache = route.cache();
        self.passes_errors = route.errors() == policy::RouteErrors::Pass;
        if let policy::Demand::Act(act) = found.demand() {
            self.act = Some(act.name().into());
            self.strict = act.strict();
            self.phi = act.phi();
        }
    }

    /// Notes what the decision rested on. `pseudonym` turns the patient's identifier into what the record may hold.
    pub(crate) fn decided(&mut self, basis: &Basis, pseudonym: impl FnOnce(&str) -> Option<String>) {
        if let Some(actor) = &mut self.actor {
            actor.holds(&basis.roles);
        }
        self.tenant = basis.tenant.clone();
        self.patient = basis.patient.as_deref().and_then(pseudonym);
        self.facts = Some(Facts { tenant: Some(recorded_tenant(basis.tenant_fact)), own: basis.own });
    }

    /// Who the answer is for; `standard` is what may be kept of it where the route does not say.
    pub(crate) fn audience(&self, standard: RouteCache) -> Audience {
        match (self.phi, self.asks, &self.actor) {
            (true, _, _) => Audience::Health,
            (false, true, _) => Audience::Admitted(self.cache.unwrap_or(standard)),
            // INVARIANT: no cache that others share keeps what a browser is given here.
            (false, false, None) if self.cookies.is_empty() => Audience::Everyone,
            (false, false, _) => Audience::Known,
        }
    }

    /// The code of what observing let pass.
    pub(crate) fn observed_code(&self) -> Option<&'static str> {
        self.observed.as_ref().map(Denial::code).or(self.waived)
    }

    /// What was decided, in one word; `code` is what the request was refused with.
    pub(crate) fn decision(&self, code: Option<&'static str>) -> &'static str {
        match (code, self.observed_code()) {
            (Some(_), _) => "deny",
            (None, Some(_)) => "observe",
            (None, None) => "allow",
        }
    }

    /// The code that it was refused with, or would have been.
    pub(crate) fn code(&self, code: Option<&'static str>) -> Option<&'static str> {
        code.or(self.observed_code())
    }

    /// The spans of an answer with this status, where this request is traced.
    pub(crate) fn spans(&self, status: u16, code: Option<&'static str>, took: Duration) -> Option<RequestSpans> {
        let trace = self.trace.as_ref()?;
        Some(RequestSpans {
            own: trace.reported()?,
            trace: trace.id,
            parent: trace.parent,
            method: self.method,
            template: self.template.clone(),
            rule: self.rule.clone(),
            code: self.code(code),
            decision: self.decision(code),
            status,
            started_ms: self.started.unix_ms,
            took,
            app: self.app,
        })
    }

    /// The event of an answer with this status and, where it was refused, this code.
    pub(crate) fn draft(&self, at: u64, status: Option<u16>, code: Option<&'static str>) -> Draft {
        let observed = self.observed_code();
        let decision = match (code, observed) {
            (Some(_), _) => audit::Decision::Deny,
            (None, Some(_)) => audit::Decision::Observe,
            (None, None) => audit::Decision::Allow,
        };
        let method = self.method.unwrap_or("?");
        Draft {
            at,
            kind: Kind::Answer,
            request: self.id.to_string(),
            trace: self.trace.as_ref().map(|trace| trace.id.to_string()),
            actor: self.actor.as_ref().map(|actor| actor.recorded(self.started.unix_seconds())),
            tenant: self.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            patient: self.patient.clone(),
            rule: self.rule.clone(),
            act: self.act.clone(),
            route: self.template.as_deref().or(self.shape.as_deref()).map(|path| format!("{method} {path}").into()),
            policy: Arc::clone(&self.policy),
            mode: if observed.is_some() { Mode::Observe } else { Mode::Enforce },
            decision,
            code: code.or(observed).map(Into::into),
            facts: self.facts,
            status,
            app_error: self.app_error,
            peer: self.peer,
            counted: None,
        }
    }
}

fn recorded_tenant(fact: policy::TenantFact) -> audit::TenantFact {
    match fact {
        policy::TenantFact::Same => audit::TenantFact::Same,
        policy::TenantFact::Other => audit::TenantFact::Other,
        policy::TenantFact::None => audit::TenantFact::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;

    #[test]
    fn what_gives_a_browser_a_cookie_is_for_nobody_else() {
        let now = Now { unix_ms: 0, monotone: Duration::ZERO };
        let mut trail = Trail::new(RequestIds::new(1).next(), now, IpAddr::from([192, 0, 2, 1]), "".into());
        assert_eq!(trail.audience(RouteCache::Private), Audience::Everyone);
        trail.cookies.push(HeaderValue::from_static("__Host-a=b"));
        assert_eq!(trail.audience(RouteCache::Private), Audience::Known);
    }
}
