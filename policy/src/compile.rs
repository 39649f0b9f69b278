//! From policies as they are written to the one policy that decides, or every fault at once.
//!
//! All files share one namespace. What this lets through cannot fail later for a reason that was known now: each name
//! is defined once, each act that is granted is demanded somewhere, each scope finds on its routes what it reads.

mod matrix;
mod paths;
mod sessions;
#[cfg(test)]
mod tests;

use crate::case;
use crate::de::Spanned;
use crate::diagnostic::{Diagnostic, quoted};
use crate::dispatch::FormAsked;
use crate::facts::RequestFacts;
use crate::principal::Principal;
use crate::raw::{Named, RawAct, RawPolicy, RawRole, RawRoute, RawTenant};
use crate::reading::Reading;
use crate::roles::{is_name, is_role_name};
use crate::route::{Found, Route, RouteTable};
use crate::session::SessionTerms;
use crate::span::FileId;
use crate::tenant::TenantId;
use std::collections::BTreeMap;

/// Who may do what: all policy files as one, checked. It never changes.
#[derive(Debug)]
pub struct Policy {
    table: RouteTable,
    roles: Vec<String>,
}

impl Policy {
    /// The route for a method, a path and what `request` says in its query and its form.
    ///
    /// `path` is canonical: it begins with `/` and has neither query nor empty or dot segments. A path that could be
    /// read in two ways is [`Found::Unclear`], unless its route says how the application reads it. Takes time linear in the path
    /// and the number of routes, at worst.
    #[must_use]
    pub fn find<'p>(&'p self, method: &str, path: &str, request: &dyn RequestFacts) -> Found<'p> {
        self.table.find(method, path, request)
    }

    /// What the routes of `path` have to know of a form before one of them is picked.
    #[must_use]
    pub fn form_asked(&self, path: &str, request: &dyn RequestFacts) -> FormAsked {
        self.table.form(path, request)
    }

    /// All routes whose path fits, by file and id: [`find`](Self::find) asks the most specific of them, alone.
    pub fn fitting<'p>(&'p self, path: &'p str) -> impl Iterator<Item = &'p Route> {
        let reading = Reading::of(path);
        self.routes().filter(move |route| reading.as_ref().is_some_and(|one| route.template.fits(&one.segments)))
    }

    /// The roles that grant something, by name.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether a role or a route demands anything of sessions.
    #[must_use]
    pub fn demands_of_sessions(&self) -> bool {
        !self.table.session_charges().is_empty() || self.routes().any(|route| route.session.demand())
    }

    /// What every role that is held demands of a caller's session, whatever the route.
    #[must_use]
    pub fn session_of(&self, principal: &Principal) -> SessionTerms {
        let held = self.table.session_charges().iter().filter(|charge| charge.is_held_by(principal));
        held.map(|charge| charge.terms).fold(SessionTerms::default(), SessionTerms::and)
    }

    /// All routes, by file and id.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.table.routes().iter()
    }
}

/// Makes one policy of all files.
///
/// # Errors
/// Everything that is wrong with them.
pub fn compile(files: &[(FileId, RawPolicy)]) -> Result<Policy, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let written = Written::of(files, &mut faults);
    let drafts = paths::drafts(&written, &mut faults);
    paths::ties(&drafts, &mut faults);
    let acts = matrix::acts(&written, &drafts, &mut faults);
    case::checked(files, &mut faults);
    let mut table = paths::table(drafts, &acts);
    table.charge(matrix::charges(&written, &mut faults));
    table.charge_sessions(sessions::charges(&written, &mut faults));
    if faults.iter().any(Diagnostic::is_error) {
        return Err(faults);
    }
    Ok(Policy { table, roles: written.roles.iter().map(|(name, _)| name.value.clone()).collect() })
}

/// What all files define, in their order.
struct Written<'r> {
    roles: Vec<(&'r Spanned<String>, &'r RawRole)>,
    scopes: Vec<(&'r Spanned<String>, &'r Spanned<String>)>,
    tenants: Vec<(&'r Spanned<String>, &'r RawTenant)>,
    acts: Vec<(&'r Spanned<String>, &'r RawAct)>,
    routes: Vec<(&'r Spanned<String>, &'r RawRoute, &'r RawPolicy)>,
}

impl<'r> Written<'r> {
    fn of(files: &'r [(FileId, RawPolicy)], faults: &mut Vec<Diagnostic>) -> Self {
        let policies = || files.iter().map(|(_, policy)| policy);
        let written = Self {
            roles: policies().flat_map(|policy| &policy.roles).collect(),
            scopes: policies().flat_map(|policy| &policy.scopes).collect(),
            tenants: policies().flat_map(|policy| &policy.tenants).collect(),
            acts: policies().flat_map(|policy| &policy.acts).collect(),
            routes: policies().flat_map(|policy| each(policy, &policy.routes)).collect(),
        };
        let titles: Vec<_> = policies().map(|policy| &policy.metadata.name).collect();
        once("policy", titles.iter().copied(), faults);
        once("role", written.roles.iter().map(|(name, _)| *name), faults);
        once("scope", written.scopes.iter().map(|(name, _)| *name), faults);
        once("tenant", written.tenants.iter().map(|(name, _)| *name), faults);
        once("act", written.acts.iter().map(|(name, _)| *name), faults);
        once("test", policies().flat_map(|policy| policy.tests.keys()), faults);
        once("route", written.routes.iter().map(|(name, _, _)| *name), faults);

        let plain = "1 to 64 letters, digits, `_` and `-`, a letter first";
        let role = "1 to 64 letters, digits, `_`, `.`, `:`, `/`, `-` and inner spaces, as the provider spells it";
        for title in titles {
            named("policy", title, is_name, plain, faults);
        }
        for (name, _) in &written.roles {
            named("role", name, is_role_name, role, faults);
        }
        for (name, _) in &written.scopes {
            named("scope", name, is_name, plain, faults);
        }
        for (name, _) in &written.tenants {
            named("tenant", name, |name| TenantId::parse(name).is_some(), TenantId::RULE, faults);
        }
        for (name, _, _) in &written.routes {
            named("route", name, is_name, plain, faults);
        }
        if written.routes.is_empty() {
            faults.push(no_routes(policies().next()));
        }
        written
    }
}

fn each<'r>(
    policy: &'r RawPolicy,
    routes: &'r Named<RawRoute>,
) -> impl Iterator<Item = (&'r Spanned<String>, &'r RawRoute, &'r RawPolicy)> {
    routes.iter().map(move |(name, route)| (name, route, policy))
}

fn no_routes(first: Option<&RawPolicy>) -> Diagnostic {
    let message = "there are no routes, so nothing could pass";
    let help = "add one under `routes`, such as `health: { path: /healthz, methods: { GET: public } }`";
    match first {
        Some(policy) => Diagnostic::error("no-routes", policy.metadata.name.span, message),
        None => Diagnostic::without_place("no-routes", message),
    }
    .help(help)
}

/// Reports each name that is defined more than once: at the later place, and at the first.
fn once<'r>(what: &str, names: impl Iterator<Item = &'r Spanned<String>>, faults: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, (&Spanned<String>, bool)> = BTreeMap::new();
    for name in names {
        let Some((first, reported)) = seen.get_mut(name.value.as_str()) else {
            seen.insert(&name.value, (name, false));
            continue;
        };
        let shown = quoted(&name.value);
        if !*reported {
            let message = format!("{what} {shown} is defined here first");
            faults.push(Diagnostic::error("duplicate-name", first.span, message));
            *reported = true;
        }
        faults.push(
            Diagnostic::error("duplicate-name", name.span, format!("{what} {shown} is defined again"))
                .help("all policy files share one namespace; keep one, or rename one"),
        );
    }
}

fn named(what: &str, name: &Spanned<String>, fits: fn(&str) -> bool, help: &str, faults: &mut Vec<Diagnostic>) {
    if !fits(&name.value) {
        let message = format!("{} is no name for a {what}", quoted(&name.value));
        faults.push(Diagnostic::error("bad-name", name.span, message).help(help));
    }
}
