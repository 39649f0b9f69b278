//! Which route a path and a method belong to.
//!
//! The most specific path wins, compared segment by segment from the left: a literal before `{name}` before `**`. Of the
//! routes of that path the query and the form pick one, where they ask for parameters. The winner alone is asked for the method, so
//! that a wider route never answers for a narrower one. A path in an odd form needs a route that allows it.

mod methods;

use crate::dispatch::{FormAsked, Group, Parameter, Parameters, Picked, Source};
use crate::expr::Condition;
use crate::facts::{Place, RequestFacts};
use crate::folded::Folded;
use crate::principal::Principal;
use crate::raw::{Mode, RouteCache, RouteErrors};
use crate::reading::{PathForm, Reading};
use crate::roles::{Act, Charges, Scope};
use crate::session::{SessionCharge, SessionTerms};
use crate::template::{Segment, Template};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub(crate) use methods::{METHODS, Methods};

/// What a policy says of a path and a method.
#[derive(Debug)]
pub enum Found<'p> {
    /// A route, and what it demands for the method.
    Route(Match<'p>),
    /// A route that has no such method.
    MethodNotAllowed {
        /// The route.
        route: &'p Route,
        /// The methods that it has, as in an `Allow` header: `GET, HEAD, POST`.
        allow: &'p str,
    },
    /// Nothing: it may not pass.
    NoRoute,
    /// The path or a parameter that picks the route could be read in two ways; holds by what that is seen.
    Unclear(&'static str),
}

/// A request's path and method, matched.
#[derive(Debug)]
pub struct Match<'p> {
    route: &'p Route,
    demand: &'p Demand,
    /// One for each `{name}` of the route's path, decoded, in order.
    params: Vec<String>,
    /// What roles and tenants demand, whatever the route.
    charges: &'p Charges,
    /// What roles demand of the sessions of those who hold them.
    session_charges: &'p [SessionCharge],
    /// The parameters by which the route was picked among those of its path.
    picked_by: &'p BTreeSet<Parameter>,
}

impl<'p> Match<'p> {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &'p Route {
        self.route
    }

    /// What the route demands for the method.
    #[must_use]
    pub fn demand(&self) -> &'p Demand {
        self.demand
    }

    pub(crate) fn charges(&self) -> &'p Charges {
        self.charges
    }

    /// What is demanded of the session of a caller: by the route, and by every role held, whichever grants.
    #[must_use]
    pub fn session(&self, principal: &Principal) -> SessionTerms {
        let held = self.session_charges.iter().filter(|charge| charge.is_held_by(principal));
        held.map(|charge| charge.terms).fold(self.route.session, SessionTerms::and)
    }

    /// Every parameter that was read to pick the route, or is read to decide: an application that finds one of them in
    /// another place of the request, or once more, reads another request.
    pub fn parameter_names(&self) -> impl Iterator<Item = &'p str> {
        let route = self.route;
        let places = route.patient.iter().chain(&route.tenant).filter_map(|place| match place {
            Place::Query(name) => Some(name.as_str()),
            Place::Claim | Place::Path(_) | Place::Header(_) => None,
        });
        self.picked_by.iter().map(|parameter| parameter.name.as_str()).chain(places)
    }

    /// The segment that stands for `{name}`, decoded and not empty.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.route.template.params().zip(&self.params).find(|(one, _)| *one == name).map(|(_, value)| value.as_str())
    }
}

/// What a method demands of the caller.
#[derive(Debug, Clone)]
pub enum Demand {
    /// Nothing.
    Public,
    /// Any valid credential of a tenant.
    Authenticated,
    /// A grant of this act.
    Act(Arc<Act>),
}

/// A path, and what each method on it demands.
#[derive(Debug)]
pub struct Route {
    pub(crate) id: String,
    pub(crate) template: Template,
    pub(crate) methods: Methods,
    pub(crate) mode: Mode,
    pub(crate) recorded: bool,
    pub(crate) errors: RouteErrors,
    pub(crate) cache: Option<RouteCache>,
    pub(crate) session: SessionTerms,
    pub(crate) background: bool,
    pub(crate) patient: Option<Place>,
    pub(crate) tenant: Vec<Place>,
    pub(crate) when: Option<Condition>,
    /// Those of the query and of a form that it asks for.
    pub(crate) parameters: Parameters,
    /// The odd forms in which its path may be written.
    pub(crate) allow: Vec<PathForm>,
}

impl Route {
    /// The rule's id: its key in the policy.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path as the policy writes it, such as `/api/patients/{patient}/records/**`.
    #[must_use]
    pub fn template(&self) -> &str {
        self.template.text()
    }

    /// The headers in which it finds its resource, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.patient.iter().chain(&self.tenant).filter_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            Place::Claim | Place::Path(_) | Place::Query(_) => None,
        })
    }

    /// The parameters of the query that it asks for, by name, each with its value.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.asked(Source::Query)
    }

    /// The fields of a form that it asks for, by name, each with its value.
    pub fn form(&self) -> impl Iterator<Item = (&str, &str)> {
        self.asked(Source::Form)
    }

    fn asked(&self, source: Source) -> impl Iterator<Item = (&str, &str)> {
        let there = self.parameters.iter().filter(move |(parameter, _)| parameter.source == source);
        there.map(|(parameter, value)| (parameter.name.as_str(), value.as_str()))
    }

    /// Whether requests to it are recorded.
    #[must_use]
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    /// What becomes of the application's own pages for its errors.
    #[must_use]
    pub fn errors(&self) -> RouteErrors {
        self.errors
    }

    /// What may be kept of its answers to known callers; `None` where the policy leaves that open.
    #[must_use]
    pub fn cache(&self) -> Option<RouteCache> {
        self.cache
    }

    /// Whether its requests come without anybody doing anything.
    #[must_use]
    pub fn background(&self) -> bool {
        self.background
    }

    /// Whether what it denies is stopped.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the path ends in a `{name}` that a rule reads, and that holds a dot: Rails and Spring take what follows for
    /// a format, and the rest for the name.
    fn reads_dotted(&self, params: &[String]) -> bool {
        let slash = |segment: &&Segment| matches!(segment, Segment::Literal(text) if text.is_empty());
        let last = self.template.segments().iter().rfind(|segment| !slash(segment));
        let (Some(Segment::Param(name)), Some(value)) = (last, params.last()) else {
            return false;
        };
        value.contains('.') && self.reads(name)
    }

    /// Whether a place or a condition reads `{name}`.
    fn reads(&self, name: &str) -> bool {
        let is_it = |place: &Place| matches!(place, Place::Path(one) if one == name);
        let in_condition = |condition: &Condition| condition.reads().params.iter().any(|one| one == name);
        let in_scope = |demand: &Demand| match demand {
            Demand::Public | Demand::Authenticated => false,
            Demand::Act(act) => act.grants().iter().any(|grant| match &grant.scope {
                Scope::Tenant => false,
                Scope::Named(scope) => in_condition(scope.condition()),
            }),
        };
        self.patient.iter().chain(&self.tenant).any(is_it)
            || self.when.as_ref().is_some_and(in_condition)
            || self.methods.each().any(|(_, demand)| in_scope(demand))
    }

    pub(crate) fn patient_place(&self) -> Option<&Place> {
        self.patient.as_ref()
    }

    pub(crate) fn tenant_places(&self) -> &[Place] {
        &self.tenant
    }

    pub(crate) fn when(&self) -> Option<&Condition> {
        self.when.as_ref()
    }
}

/// All routes of a policy, as a tree of segments.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: Vec<Route>,
    /// The routes of each path.
    groups: Vec<Group>,
    /// The paths of the groups.
    templates: Vec<Template>,
    root: Branch,
    /// The same paths as a careless application tells them apart.
    folded: Folded,
    charges: Charges,
    session_charges: Vec<SessionCharge>,
}

#[derive(Debug, Default)]
struct Branch {
    literals: HashMap<String, Branch>,
    param: Option<Box<Branch>>,
    /// The group that ends here, by its place in the table.
    here: Option<usize>,
    /// The group whose `**` begins here.
    rest: Option<usize>,
}

impl RouteTable {
    /// Adds a route. Of two for the same requests one would win: the compiler refuses such pairs before.
    pub(crate) fn insert(&mut self, route: Route) {
        let at = self.routes.len();
        let mut branch = &mut self.root;
        let mut rest = false;
        for segment in route.template.segments() {
            match segment {
                Segment::Literal(text) => branch = branch.literals.entry(text.clone()).or_default(),
                Segment::Param(_) => branch = branch.param.get_or_insert_default(),
                Segment::Rest => rest = true,
            }
        }
        let end = if rest { &mut branch.rest } else { &mut branch.here };
        let group = *end.get_or_insert_with(|| {
            let group = self.groups.len();
            self.folded.insert(group, &route.template);
            self.templates.push(route.template.clone());
            self.groups.push(Group::default());
            group
        });
        if let Some(group) = self.groups.get_mut(group) {
            group.insert(at, &route.parameters);
        }
        self.routes.push(route);
    }

    /// Sets what roles and tenants demand, on every route.
    pub(crate) fn charge(&mut self, charges: Charges) {
        self.charges = charges;
    }

    /// Sets what roles demand of the sessions of those who hold them.
    pub(crate) fn charge_sessions(&mut self, charges: Vec<SessionCharge>) {
        self.session_charges = charges;
    }

    pub(crate) fn session_charges(&self) -> &[SessionCharge] {
        &self.session_charges
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What the routes of a path have to know of a form; nothing where there are none.
    pub(crate) fn form(&self, path: &str, request: &dyn RequestFacts) -> FormAsked {
        let at = Reading::of(path).and_then(|reading| Some(self.group(&reading.segments).ok().flatten()?.0));
        at.and_then(|at| self.groups.get(at)).map(|group| group.form(&self.routes, request)).unwrap_or_default()
    }

    pub(crate) fn find(&self, method: &str, path: &str, request: &dyn RequestFacts) -> Found<'_> {
        let Some(reading) = Reading::of(path) else { return Found::Unclear("path with more than one reading") };
        match (self.located(&reading, request), reading.forms.first()) {
            (Ok((route, picked_by, params)), _) => match route.methods.demand(method) {
                Some(demand) => Found::Route(Match {
                    route,
                    demand,
                    params,
                    charges: &self.charges,
                    session_charges: &self.session_charges,
                    picked_by,
                }),
                None => Found::MethodNotAllowed { route, allow: &route.methods.allow },
            },
            // What no route allows is refused as what it is, whether there is a route or not.
            (Err(Found::NoRoute), Some(form)) => Found::Unclear(form.refusal()),
            (Err(other), _) => other,
        }
    }

    /// The route that a path, a query and a form mean, with what stands for its names.
    fn located(&self, reading: &Reading<'_>, request: &dyn RequestFacts) -> Result<Located<'_>, Found<'_>> {
        let (at, params) = self.group(&reading.segments).ok().flatten().ok_or(Found::NoRoute)?;
        let group = self.groups.get(at).ok_or(Found::NoRoute)?;
        let route = match group.pick(&self.routes, request) {
            Picked::Route(route) => self.routes.get(route).ok_or(Found::NoRoute)?,
            Picked::Nothing => return Err(Found::NoRoute),
            Picked::Unclear => return Err(Found::Unclear("parameter that picks the route")),
        };
        if let Some(form) = reading.forms.iter().find(|form| !route.allow.contains(form)) {
            return Err(Found::Unclear(form.refusal()));
        }
        if route.reads_dotted(&params) && !route.allow.contains(&PathForm::DottedNames) {
            return Err(Found::Unclear(PathForm::DottedNames.refusal()));
        }
        // INVARIANT: a reader that splits at an encoded slash comes to the same route with the same names, or to none.
        if let Some(split) = reading.split() {
            match self.group(&split) {
                Ok(None) if !self.folded.leads_elsewhere(at, &split) => {}
                Ok(Some(other)) if other == (at, params.clone()) => {}
                Ok(Some(_) | None) | Err(LookAlike) => {
                    return Err(Found::Unclear("encoded slash that leads to another route"));
                }
            }
        }
        Ok((route, group.names(), params))
    }

    /// The group of the most specific path for these segments, with what stands for the names.
    fn group(&self, path: &[Cow<'_, str>]) -> Result<Option<(usize, Vec<String>)>, LookAlike> {
        let mut params = Vec::new();
        let Some(at) = self.root.find(path, &mut params) else { return Ok(None) };
        // A look-alike of a stricter path is not judged by the wider route that happens to cover it.
        if self.templates.get(at).is_none_or(|template| self.folded.has_stricter(at, template, path)) {
            return Err(LookAlike);
        }
        Ok(Some((at, params)))
    }
}

/// A route, the parameters by which it was picked, and what stands for the names in its path.
type Located<'p> = (&'p Route, &'p BTreeSet<Parameter>, Vec<String>);

/// The path fits a route, and looks like a stricter one.
struct LookAlike;

impl Branch {
    /// The group of the most specific path for these segments. Visits each branch at most once and goes no deeper than the longest
    /// template; `params` holds what stands for the names on the way.
    fn find(&self, path: &[Cow<'_, str>], params: &mut Vec<String>) -> Option<usize> {
        let Some((first, others)) = path.split_first() else { return self.here.or(self.rest) };
        if let Some(at) = self.literals.get(first.as_ref()).and_then(|branch| branch.find(others, params)) {
            return Some(at);
        }
        if let Some(branch) = self.param.as_ref().filter(|_| !first.is_empty()) {
            params.push(first.to_string());
            if let Some(at) = branch.find(others, params) {
                return Some(at);
            }
            params.pop();
        }
        self.rest
    }
}

#[cfg(test)]
mod odd_tests;
#[cfg(test)]
mod tests;
