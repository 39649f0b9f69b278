//! Policy tests: the cases that stand in policy files, and whether the policy does what they expect.
//!
//! A case is decided by the functions that decide requests ([`Policy::find`] and [`explain`](crate::explain())). It says
//! what the rule decides, so it need not change when a route goes from observing to enforcing. It reads no token: who
//! asks is what a credential would have proved.

use crate::assurance::Factors;
use crate::bindings::{Binding, Bindings};
use crate::compile::Policy;
use crate::de::Spanned;
use crate::decision::{Verdict, codes};
use crate::diagnostic::{Diagnostic, quoted};
use crate::explain::explain;
use crate::facts::{Facts, RequestFacts};
use crate::principal::{Principal, SignIn};
use crate::raw::{RawCase, RawPolicy, RawSomebody, RawWho};
use crate::route::{Demand, Found, METHODS};
use crate::span::{FileId, Span};
use crate::tenant::TenantId;
use crate::words::nearest;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// What the request itself can come to before a route is asked, beside the codes of decisions.
const FURTHER: [&str; 4] = ["NO_ROUTE", "METHOD_NOT_ALLOWED", "BAD_PATH", "BAD_FRAMING"];
/// What a case expects of a request that passes.
const ALLOW: &str = "allow";

/// A policy test.
#[derive(Clone, Debug)]
pub struct Case {
    name: Spanned<String>,
    principal: Option<Principal>,
    age_s: Option<u64>,
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    form: BTreeMap<String, String>,
    expect: Spanned<String>,
}

/// What came out of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Came {
    /// `allow`, or a reason code.
    pub code: &'static str,
    /// Whether a route that only observes lets it pass all the same.
    pub observed: bool,
    /// The last thing that was looked at.
    pub says: String,
    /// The rule and the method whose answer it is, where a route was found.
    pub rule: Option<(String, String)>,
}

/// The cases of all files, in their order.
///
/// # Errors
/// Everything that is wrong with them: a name that is taken, a request that is none, a code that nothing gives.
pub fn cases(files: &[(FileId, RawPolicy)]) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let cases = checked(files, &mut faults);
    if faults.is_empty() { Ok(cases) } else { Err(faults) }
}

pub(crate) fn checked(files: &[(FileId, RawPolicy)], faults: &mut Vec<Diagnostic>) -> Vec<Case> {
    let written = files.iter().flat_map(|(_, policy)| &policy.tests);
    written.filter_map(|(name, raw)| case(name, raw, faults)).collect()
}

fn case(name: &Spanned<String>, raw: &RawCase, faults: &mut Vec<Diagnostic>) -> Option<Case> {
    let known = || codes().into_iter().map(|one| one.code).chain(FURTHER).chain([ALLOW]);
    if !known().any(|one| one == raw.expect.value) {
        let help = match nearest(&raw.expect, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write `allow`, or the reason code of a denial such as `NOT_GRANTED`".to_owned(),
        };
        let message = format!("no decision comes out as {}", quoted(&raw.expect));
        faults.push(Diagnostic::error("bad-expect", raw.expect.span, message).help(help));
    }
    let sent = raw.send.split_once(' ').filter(|(method, target)| METHODS.contains(method) && target.starts_with('/'));
    if sent.is_none() {
        let message = format!("{} is no request", quoted(&raw.send));
        faults.push(
            Diagnostic::error("bad-send", raw.send.span, message)
                .help("a method that a policy can name and a target, such as `GET /api/patients/p1`"),
        );
    }
    for header in raw.headers.keys().filter(|header| header.value != header.value.to_ascii_lowercase()) {
        let message = format!("{} is not in lower case", quoted(header));
        let help = format!("write `{}`", header.value.to_ascii_lowercase());
        faults.push(Diagnostic::error("bad-place", header.span, message).help(help));
    }
    if let (Some((method, _)), Some(field)) = (sent, raw.form.keys().next())
        && method != "POST"
    {
        let message = format!("{} sends a form with {method}", quoted(name));
        faults.push(
            Diagnostic::error("bad-send", field.span, message)
                .help("a form is read of a POST alone; where it names another method, say so by `_method` in it"),
        );
    }
    let principal = match &raw.who {
        RawWho::Word(_) => None,
        RawWho::Map(somebody) => Some(principal(somebody, faults)),
    };
    let factors = match &raw.who {
        RawWho::Word(_) => None,
        RawWho::Map(somebody) => somebody.factors.as_ref(),
    };
    let (method, target) = sent?;
    Some(Case {
        name: name.clone(),
        principal,
        age_s: factors.and_then(|factors| factors.age).map(|age| age.0.as_secs()),
        method: method.to_owned(),
        target: target.to_owned(),
        headers: raw.headers.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect(),
        form: raw.form.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect(),
        expect: raw.expect.clone(),
    })
}

/// The tenant of this name; a fault where it is none.
fn tenant(written: &Spanned<String>, faults: &mut Vec<Diagnostic>) -> Option<TenantId> {
    let tenant = TenantId::parse(written);
    if tenant.is_none() {
        let message = format!("{} is no name for a tenant", quoted(written));
        let help = format!("{}; leave it out for nobody's", TenantId::RULE);
        faults.push(Diagnostic::error("bad-name", written.span, message).help(help));
    }
    tenant
}

fn bindings(raw: &RawSomebody, faults: &mut Vec<Diagnostic>) -> Bindings {
    let Some((first, _)) = raw.bindings.first_key_value() else {
        return Bindings::one(raw.tenant.as_ref().and_then(|written| tenant(written, faults)), raw.roles.clone());
    };
    if raw.tenant.is_some() || !raw.roles.is_empty() {
        faults.push(
            Diagnostic::error("bad-binding", first.span, "there are `bindings` beside `tenant` or `roles`")
                .help("roles are held in one tenant each: write all of them under `bindings`"),
        );
    }
    let listed =
        raw.bindings.iter().filter_map(|(name, roles)| Some(Binding::new(tenant(name, faults)?, roles.clone())));
    let bindings = Bindings::of(listed.collect());
    if bindings.is_none() {
        let message = format!("nobody is of more than {} tenants", Bindings::MOST);
        faults.push(Diagnostic::error("bad-binding", first.span, message).help("write fewer"));
    }
    bindings.unwrap_or_default()
}

fn principal(raw: &RawSomebody, faults: &mut Vec<Diagnostic>) -> Principal {
    let methods = raw.factors.as_ref().map(|factors| factors.methods.clone());
    Principal {
        issuer: "https://id.example/".into(),
        provider: "test".to_owned(),
        subject: raw.subject.as_deref().unwrap_or("someone").into(),
        client: raw.client.clone(),
        bindings: bindings(raw, faults),
        claims: raw.claims.iter().map(|(name, claim)| (name.clone(), claim.0.clone())).collect(),
        factors: Factors { methods: methods.unwrap_or_default(), ..Factors::default() },
        sign_in: SignIn::default(),
    }
}

impl Case {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.name.span
    }

    /// What it expects: `allow` or a reason code.
    #[must_use]
    pub fn expect(&self) -> &str {
        &self.expect
    }

    /// Where it says what it expects.
    #[must_use]
    pub fn expect_span(&self) -> Span {
        self.expect.span
    }

    /// Its method, one that a policy can name.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its target as written: a path, perhaps with a query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Its headers, by name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The fields of its form, by name.
    pub fn form(&self) -> impl Iterator<Item = (&str, &str)> {
        self.form.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What the policy makes of it at `now`, in Unix seconds. `method` is the one that the application will run, `path` the
    /// canonical path of its target, and `request` its headers, its query and its form.
    pub fn run(&self, policy: &Policy, method: &str, path: &str, request: &dyn RequestFacts, now: u64) -> Came {
        let came = |code, says: String, rule| Came { code, observed: false, says, rule };
        let found = match policy.find(method, path, request) {
            Found::Route(found) => found,
            Found::MethodNotAllowed { route, allow } => {
                return came("METHOD_NOT_ALLOWED", format!("route `{}` has {allow}", route.id()), None);
            }
            Found::NoRoute => return came("NO_ROUTE", "no route fits it".to_owned(), None),
            Found::Unclear(reason) => return Came::unread(reason),
        };
        let mut principal = self.principal.clone();
        if let (Some(principal), Some(age)) = (&mut principal, self.age_s) {
            principal.factors.at = Some(now.saturating_sub(age));
        }
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let facts = Facts { method, request, principal: principal.as_ref(), peer, now };
        let trace = explain(&found, &facts);
        let says = trace.steps.last().map(|step| step.says.clone()).unwrap_or_default();
        let rule = Some((found.route().id().to_owned(), method.to_owned()));
        match trace.decision.verdict {
            Verdict::Granted(_) => came(ALLOW, says, rule),
            Verdict::Denied(denial) => came(denial.code(), says, rule),
            Verdict::Observed(_, denial) => Came { observed: true, ..came(denial.code(), says, rule) },
        }
    }
}

impl Came {
    /// A request that could be read in two ways never came to the policy.
    #[must_use]
    pub fn unread(reason: impl Into<String>) -> Self {
        Self { code: "BAD_PATH", observed: false, says: reason.into(), rule: None }
    }

    /// A form that could be read in two ways never came to the policy, or would not have come to the application.
    #[must_use]
    pub fn unclear_form(reason: impl Into<String>) -> Self {
        Self { code: "BAD_FRAMING", ..Self::unread(reason) }
    }

    /// Whether it is what was expected.
    #[must_use]
    pub fn is(&self, expected: &str) -> bool {
        self.code == expected
    }
}

/// The methods of each route that no case among `came` was allowed to use: the route's id and the method. `HEAD` goes
/// with `GET`, and a method that `*` stands for is covered by any other that it stands for.
#[must_use]
pub fn uncovered(policy: &Policy, came: &[Came]) -> Vec<(String, String)> {
    let allowed = |id: &str, method: &str| {
        came.iter()
            .any(|one| one.code == ALLOW && one.rule.as_ref().is_some_and(|(rule, used)| rule == id && used == method))
    };
    let mut open = Vec::new();
    for route in policy.routes() {
        let written: Vec<(&'static str, &Demand)> =
            route.methods.each().filter(|(method, _)| *method != "HEAD" || !route.methods.has("GET")).collect();
        for (method, demand) in &written {
            let same = written.iter().filter(|(_, other)| same(demand, other)).any(|(one, _)| allowed(route.id(), one));
            if !same {
                open.push((route.id().to_owned(), (*method).to_owned()));
            }
        }
    }
    open
}

/// Whether two methods demand the same: one test speaks for both.
fn same(one: &Demand, other: &Demand) -> bool {
    match (one, other) {
        (Demand::Public, Demand::Public) | (Demand::Authenticated, Demand::Authenticated) => true,
        (Demand::Act(one), Demand::Act(other)) => one.name() == other.name(),
        (Demand::Public | Demand::Authenticated | Demand::Act(_), _) => false,
    }
}

#[cfg(test)]
mod tests;
