//! Which route a path and a method belong to.
//!
//! The most specific path wins, compared segment by segment from the left: a literal before `{name}` before `**`.
//! The winner alone is asked for the method, so that a wider route never answers for a narrower one.

use crate::expr::Condition;
use crate::facts::Place;
use crate::folded::Folded;
use crate::raw::{Mode, RouteCache, RouteErrors};
use crate::roles::{Act, Charge};
use crate::template::{Segment, Template, segments};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

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
}

/// A request's path and method, matched.
#[derive(Debug)]
pub struct Match<'p> {
    route: &'p Route,
    demand: &'p Demand,
    /// One for each `{name}` of the route's path, decoded, in order.
    params: Vec<String>,
    /// What the roles of the policy demand of those who hold them.
    charges: &'p [Charge],
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

    pub(crate) fn charges(&self) -> &'p [Charge] {
        self.charges
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
    pub(crate) patient: Option<Place>,
    pub(crate) tenant: Vec<Place>,
    pub(crate) when: Option<Condition>,
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

    /// Whether what it denies is stopped.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
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

/// The methods that a policy can name. `CONNECT` and `TRACE` are never forwarded, whatever a policy says.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What each method of a route demands.
#[derive(Debug)]
pub(crate) struct Methods {
    demands: Vec<(&'static str, Demand)>,
    allow: String,
}

impl Methods {
    /// `listed` by method; `rest` is what `*` demands.
    pub(crate) fn new(listed: &[(&'static str, Demand)], rest: Option<&Demand>) -> Self {
        let listed_as = |method: &str| listed.iter().find(|(one, _)| *one == method).map(|(_, demand)| demand);
        let demand = |method: &'static str| {
            let covered = if method == "HEAD" { listed_as("GET") } else { None };
            listed_as(method).or(covered).or(rest).map(|demand| (method, demand.clone()))
        };
        let demands: Vec<_> = METHODS.into_iter().filter_map(demand).collect();
        let allow = demands.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ");
        Self { demands, allow }
    }

    /// Every method that it has, with what it demands.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Demand)> {
        self.demands.iter().map(|(method, demand)| (*method, demand))
    }

    pub(crate) fn has(&self, method: &str) -> bool {
        self.demand(method).is_some()
    }

    fn demand(&self, method: &str) -> Option<&Demand> {
        self.demands.iter().find(|(one, _)| *one == method).map(|(_, demand)| demand)
    }
}

/// All routes of a policy, as a tree of segments.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: Vec<Route>,
    root: Branch,
    /// The same routes as a careless application tells them apart.
    folded: Folded,
    charges: Vec<Charge>,
}

#[derive(Debug, Default)]
struct Branch {
    literals: HashMap<String, Branch>,
    param: Option<Box<Branch>>,
    /// The route that ends here, by its place in the table.
    here: Option<usize>,
    /// The route whose `**` begins here.
    rest: Option<usize>,
}

impl RouteTable {
    /// Adds a route. Of two with the same shape the later one would win: the compiler refuses such pairs before.
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
        *end = Some(at);
        self.folded.insert(at, &route.template);
        self.routes.push(route);
    }

    /// Sets what roles demand of those who hold them, on every route.
    pub(crate) fn charge(&mut self, charges: Vec<Charge>) {
        self.charges = charges;
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let Some(path) = segments(path) else { return Found::NoRoute };
        let mut params = Vec::new();
        let Some(at) = self.root.find(&path, &mut params) else { return Found::NoRoute };
        // A look-alike of a stricter path is not judged by the wider route that happens to cover it.
        if self.folded.has_stricter(at, &path) {
            return Found::NoRoute;
        }
        let Some(route) = self.routes.get(at) else { return Found::NoRoute };
        match route.methods.demand(method) {
            Some(demand) => Found::Route(Match { route, demand, params, charges: &self.charges }),
            None => Found::MethodNotAllowed { route, allow: &route.methods.allow },
        }
    }
}

impl Branch {
    /// The most specific route for these segments. Visits each branch at most once and goes no deeper than the longest
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
mod tests;
