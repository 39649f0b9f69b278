//! One provider, ready to judge tokens: what its tokens must say, and where in them the caller's facts stand.
//!
//! Decides whether such settings make sense. Never holds keys: those change while the settings stay.

use std::collections::BTreeMap;
use std::fmt;

use policy::{TenantId, Vouched};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;

/// The longest leeway, in seconds.
pub const MAX_LEEWAY_S: u64 = 300;

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
}

/// Where a caller's tenant comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TenantSource {
    /// A claim.
    Claim(ClaimPath),
    /// Every token of the provider is of this one tenant.
    Fixed(TenantId),
}

/// Which claims say what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimMap {
    /// The tenant; without a source nobody has one.
    pub tenant: Option<TenantSource>,
    /// The roles: an array of strings, or one string that is one role. Without a path nobody has any.
    pub roles: Option<ClaimPath>,
    /// The subject, usually `sub`: a string.
    pub subject: ClaimPath,
    /// Further claims for conditions, by the name that conditions use.
    pub extra: BTreeMap<String, ClaimPath>,
}

/// Authentication contexts (`acr`) of a provider, by what they prove, each list in the order of preference.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contexts {
    /// Two factors.
    pub two_factors: Vec<String>,
    /// Two factors, one of which cannot be phished.
    pub phishing_resistant: Vec<String>,
}

impl Contexts {
    /// What a context proves. One that stands in both lists proves what the stricter list says.
    pub(super) fn vouch(&self, context: &str) -> Vouched {
        let listed = |list: &[String]| list.iter().any(|one| one == context);
        match (listed(&self.phishing_resistant), listed(&self.two_factors)) {
            (true, _) => Vouched::PhishingResistant,
            (false, true) => Vouched::TwoFactors,
            (false, false) => Vouched::Nothing,
        }
    }
}

/// A provider as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSettings {
    /// Its name in the configuration.
    pub name: String,
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// `aud` must name at least one of these.
    pub audience: Vec<String>,
    /// The algorithms that are allowed; empty: whatever the key is for.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` values that are allowed (letter case and a leading `application/` do not matter); a token without `typ`
    /// passes where `JWT` does. Empty: `JWT` and `at+jwt`.
    pub types: Vec<String>,
    /// How far the provider's clock may be from ours, in seconds, at most [`MAX_LEEWAY_S`].
    pub leeway_s: u64,
    /// Which claims say what.
    pub claims: ClaimMap,
    /// Values of `acr` that prove something; all others prove nothing.
    pub contexts: Contexts,
    /// Whether the app gets the token too.
    pub forward_credential: bool,
    /// Another number with every change of any of these settings: remembered tokens are remembered under it.
    pub generation: u64,
}

/// Why settings make no provider. `Display` is fit for users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProviderFault {
    /// No issuer.
    NoIssuer,
    /// No audience, or an empty one: a token for another app would pass.
    NoAudience,
    /// HMAC beside public keys: a public key could be taken for a secret.
    MixedAlgorithms,
    /// More than [`MAX_LEEWAY_S`].
    Leeway,
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProviderFault::NoIssuer => {
                f.write_str("`issuer` is empty; it must be the exact `iss` of the provider's tokens")
            }
            ProviderFault::NoAudience => {
                f.write_str("`audience` needs at least one name; without it a token for another app would pass")
            }
            ProviderFault::MixedAlgorithms => f.write_str(
                "`algorithms` mixes shared secrets (HS256, HS384, HS512) with public keys; make two providers of it",
            ),
            ProviderFault::Leeway => {
                write!(f, "`leeway` is more than {MAX_LEEWAY_S} seconds; set the clocks right instead")
            }
        }
    }
}

impl std::error::Error for ProviderFault {}

/// Settings that were checked.
#[derive(Clone, Debug)]
pub struct Provider(ProviderSettings);

impl Provider {
    /// Checks the settings.
    ///
    /// # Errors
    /// Settings under which a token could not, or could wrongly, be accepted.
    pub fn new(settings: ProviderSettings) -> Result<Self, ProviderFault> {
        if settings.issuer.is_empty() {
            return Err(ProviderFault::NoIssuer);
        }
        if settings.audience.is_empty() || settings.audience.iter().any(String::is_empty) {
            return Err(ProviderFault::NoAudience);
        }
        let mut symmetric = settings.algorithms.iter().map(|one| one.is_symmetric());
        if let Some(first) = symmetric.next()
            && symmetric.any(|other| other != first)
        {
            return Err(ProviderFault::MixedAlgorithms);
        }
        if settings.leeway_s > MAX_LEEWAY_S {
            return Err(ProviderFault::Leeway);
        }
        let types = settings.types.iter().map(|one| bare_type(one)).collect();
        Ok(Self(ProviderSettings { types, ..settings }))
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The exact `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Whether the app gets the token too.
    pub fn forwards_credential(&self) -> bool {
        self.0.forward_credential
    }

    /// The number of these settings.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    pub(super) fn is_audience(&self, name: &str) -> bool {
        self.0.audience.iter().any(|one| one == name)
    }

    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.0.algorithms.is_empty() || self.0.algorithms.contains(&algorithm)
    }

    pub(super) fn allows_type(&self, typ: Option<&str>) -> bool {
        let typ = typ.map_or_else(|| "jwt".to_owned(), bare_type);
        if self.0.types.is_empty() { matches!(typ.as_str(), "jwt" | "at+jwt") } else { self.0.types.contains(&typ) }
    }

    /// The contexts that prove something.
    pub fn contexts(&self) -> &Contexts {
        &self.0.contexts
    }

    /// The same issuer, as its tokens for ending sessions are judged (OpenID Connect Back-Channel Logout, 2.6); `audience`
    /// empty: that of its other tokens.
    ///
    /// # Errors
    /// Where the audience is none.
    pub(crate) fn for_logout(&self, audience: Vec<String>) -> Result<Self, ProviderFault> {
        let audience = if audience.is_empty() { self.0.audience.clone() } else { audience };
        let types = vec!["logout+jwt".to_owned(), "jwt".to_owned()];
        Self::new(ProviderSettings { audience, types, ..self.0.clone() })
    }

    pub(crate) fn leeway_s(&self) -> u64 {
        self.0.leeway_s
    }

    pub(super) fn claims(&self) -> &ClaimMap {
        &self.0.claims
    }
}

/// A media type as RFC 7515, 4.1.9 compares it.
fn bare_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or(lower.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authn::signing::settings;

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
    fn settings_that_could_let_a_stranger_in_are_refused() {
        let refused = |settings| Provider::new(settings).err();
        assert_eq!(refused(settings()), None);
        let none = ProviderSettings { issuer: String::new(), ..settings() };
        assert_eq!(refused(none), Some(ProviderFault::NoIssuer));
        for audience in [vec![], vec![String::new()]] {
            assert_eq!(refused(ProviderSettings { audience, ..settings() }), Some(ProviderFault::NoAudience));
        }
        let mixed = ProviderSettings { algorithms: vec![Algorithm::Hs256, Algorithm::Rs256], ..settings() };
        assert_eq!(refused(mixed), Some(ProviderFault::MixedAlgorithms));
        let lax = ProviderSettings { leeway_s: MAX_LEEWAY_S + 1, ..settings() };
        assert_eq!(refused(lax), Some(ProviderFault::Leeway));
    }
}
