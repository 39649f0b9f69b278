//! What each method of a route demands.

use super::Demand;

/// The methods that a policy can name. `CONNECT` and `TRACE` are never forwarded, whatever a policy says.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What each method of a route demands.
#[derive(Debug)]
pub(crate) struct Methods {
    demands: Vec<(&'static str, Demand)>,
    pub(super) allow: String,
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

    pub(super) fn demand(&self, method: &str) -> Option<&Demand> {
        self.demands.iter().find(|(one, _)| *one == method).map(|(_, demand)| demand)
    }
}
