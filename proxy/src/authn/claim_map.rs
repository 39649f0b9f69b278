//! Where in a token the facts stand that a caller is made of.
//!
//! Decides how a place in a token is written. Never says what stands there.

use std::collections::BTreeMap;

use policy::TenantId;
use serde_json::{Map, Value};

/// Where in a token's claims a fact stands: a leading `/` makes it a JSON Pointer (RFC 6901), anything else is the literal
/// name of a top-level claim, dots, colons and slashes included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Reads a path; `None` when it is empty or a pointer with an escape other than `~0` and `~1`.
    pub fn parse(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let fine = if text.starts_with('/') { escapes } else { !text.is_empty() };
        fine.then(|| Self(text.to_owned()))
    }

    /// The name of a claim at the top of the token.
    pub(crate) fn at_the_top(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The names on the way, the first one at the top of the token.
    pub(crate) fn steps(&self) -> Vec<String> {
        match self.0.strip_prefix('/') {
            None => vec![self.0.clone()],
            // RFC 6901, 4: `~1` before `~0`, so that `~01` is `~1`.
            Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        }
    }

    /// The name at the top of the token.
    pub(crate) fn top(&self) -> String {
        self.steps().into_iter().next().unwrap_or_default()
    }

    /// The value at this place.
    pub(crate) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let Some(pointer) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let (first, rest) = match pointer.split_once('/') {
            Some((first, rest)) => (first, format!("/{rest}")),
            None => (pointer, String::new()),
        };
        // RFC 6901, 4: `~1` before `~0`, so that `~01` is `~1`.
        claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(&rest)
    }

    /// Puts the value that `from` has at this place there in `to` as well. Where `from` has none, or where `to` has something
    /// in the way, nothing changes.
    pub(crate) fn carry(&self, from: &Map<String, Value>, to: &mut Map<String, Value>) {
        let Some(value) = self.find(from) else { return };
        let mut steps = self.steps();
        let Some(last) = steps.pop() else { return };
        let mut place = to;
        for step in steps {
            match place.entry(step).or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(inner) => place = inner,
                _ => return,
            }
        }
        place.insert(last, value.clone());
    }
}

/// Where a caller's tenant comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TenantSource {
    /// A claim.
    Claim(ClaimPath),
    /// Every token of the provider is of this one tenant.
    Fixed(TenantId),
}

/// Where the name of a caller's session comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionSource {
    /// No token says it.
    Untold,
    /// A claim.
    Claim(ClaimPath),
    /// The subject with the time at which it signed in: renewed tokens keep both.
    SignIn,
}

impl SessionSource {
    /// The claim, where it is one.
    pub(crate) fn claim(&self) -> Option<&ClaimPath> {
        match self {
            SessionSource::Claim(path) => Some(path),
            SessionSource::Untold | SessionSource::SignIn => None,
        }
    }
}

/// Which claims say what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimMap {
    /// The tenant; without a source nobody has one.
    pub tenant: Option<TenantSource>,
    /// The roles: an array of strings, or one string that is one role. Without a path nobody has any.
    pub roles: Option<ClaimPath>,
    /// Tenants with their roles, in the place of `tenant` and `roles`.
    pub bindings: Option<ClaimPath>,
    /// The subject, usually `sub`: a string.
    pub subject: ClaimPath,
    /// The session.
    pub session: SessionSource,
    /// The token's own name.
    pub credential: ClaimPath,
    /// The methods (RFC 8176).
    pub amr: ClaimPath,
    /// The authentication context.
    pub acr: ClaimPath,
    /// When the caller signed in.
    pub auth_time: ClaimPath,
    /// Further claims for conditions, by the name that conditions use.
    pub extra: BTreeMap<String, ClaimPath>,
}

impl Default for ClaimMap {
    fn default() -> Self {
        Self {
            tenant: None,
            roles: None,
            bindings: None,
            subject: ClaimPath::at_the_top("sub"),
            session: SessionSource::Claim(ClaimPath::at_the_top("sid")),
            credential: ClaimPath::at_the_top("jti"),
            amr: ClaimPath::at_the_top("amr"),
            acr: ClaimPath::at_the_top("acr"),
            auth_time: ClaimPath::at_the_top("auth_time"),
            extra: BTreeMap::new(),
        }
    }
}

impl ClaimMap {
    /// Whether a condition can read anything of the claim `top`.
    pub(super) fn reads(&self, top: &str) -> bool {
        self.extra.values().any(|path| path.top() == top)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_a_pointer_or_a_literal_name() {
        let claims = json!({
            "org": "a", "https://clinic.example/roles": "b", "realm_access": { "roles": ["c"] }, "a/b": "d", "~x": "e",
            "realm_access.roles": "f", "": "g", "deep": [{ "x": "h" }],
        });
        let claims = claims.as_object().unwrap();
        let found = |path: &str| ClaimPath::parse(path).unwrap().find(claims).cloned();
        assert_eq!(found("org"), Some(json!("a")));
        assert_eq!(found("https://clinic.example/roles"), Some(json!("b")));
        assert_eq!(found("/realm_access/roles"), Some(json!(["c"])));
        assert_eq!(found("/realm_access/roles/0"), Some(json!("c")));
        assert_eq!(found("realm_access.roles"), Some(json!("f")));
        assert_eq!(found("/a~1b"), Some(json!("d")));
        assert_eq!(found("a/b"), Some(json!("d")));
        assert_eq!(found("/~0x"), Some(json!("e")));
        assert_eq!(found("/"), Some(json!("g")));
        assert_eq!(found("/deep/0/x"), Some(json!("h")));
        for absent in ["missing", "/missing", "/realm_access/missing", "/org/x", "/deep/1", "/deep/-", "/deep/00"] {
            assert_eq!(found(absent), None, "{absent}");
        }
        for bad in ["", "/~", "/~2", "/a~"] {
            assert_eq!(ClaimPath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_claim_is_carried_to_its_place_and_takes_nothing_away() {
        let from = json!({ "sid": "s", "x": { "y": { "sid": "t" } }, "list": ["u"] });
        let carried = |path: &str, to: Value| {
            let mut to = to.as_object().unwrap().clone();
            ClaimPath::parse(path).unwrap().carry(from.as_object().unwrap(), &mut to);
            Value::Object(to)
        };
        assert_eq!(carried("sid", json!({ "a": 1 })), json!({ "a": 1, "sid": "s" }));
        assert_eq!(carried("sid", json!({ "sid": "other" })), json!({ "sid": "s" }));
        assert_eq!(carried("/x/y/sid", json!({})), json!({ "x": { "y": { "sid": "t" } } }));
        assert_eq!(carried("/x/y/sid", json!({ "x": { "b": 2 } })), json!({ "x": { "b": 2, "y": { "sid": "t" } } }));
        for (path, to) in
            [("none", json!({ "a": 1 })), ("/x/y/sid", json!({ "x": "text" })), ("/list/0", json!({ "list": [] }))]
        {
            assert_eq!(carried(path, to.clone()), to, "{path}");
        }
    }
}
