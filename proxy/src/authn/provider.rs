//! One provider, ready to judge tokens: what its tokens must say, and where in them the caller's facts stand.
//!
//! Decides whether such settings make sense. Never holds keys: those change while the settings stay.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use policy::{TenantId, Vouched};

use super::algorithm::Algorithm;
use super::claim_map::{ClaimMap, ClaimPath, SessionSource};
use super::factors::FactorRule;
use super::preset::{IdTokens, KnownAudience, Preset, TokenKind};

/// The longest leeway, in seconds: what is off by more is a clock that nobody sets.
pub const MAX_LEEWAY_S: u64 = 60;

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
    pub issuer: Arc<str>,
    /// What kind of provider it is.
    pub preset: Preset,
    /// `aud` must name at least one of these. Empty only where the clients take its place.
    pub audience: Vec<String>,
    /// Who may have asked for its tokens; empty: anybody.
    pub clients: Vec<String>,
    /// Which of its tokens count, where it tells kinds apart.
    pub kinds: Vec<TokenKind>,
    /// Whether people may come who signed in without proving anything.
    pub allow_anonymous: bool,
    /// The tenants that it may speak for; `None`: all that its tokens name.
    pub tenants: Option<Vec<TenantId>>,
    /// How its tokens show factors.
    pub factors: FactorRule,
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
pub struct Provider {
    settings: ProviderSettings,
    /// What its tokens are remembered under.
    number: u64,
    is_shown: bool,
}

impl Provider {
    /// Checks the settings.
    ///
    /// # Errors
    /// Settings under which a token could not, or could wrongly, be accepted.
    pub fn new(settings: ProviderSettings) -> Result<Self, ProviderFault> {
        if settings.issuer.is_empty() {
            return Err(ProviderFault::NoIssuer);
        }
        let by_client = matches!(settings.preset.profile().audience, KnownAudience::OfClient);
        let named = !settings.audience.is_empty() || (by_client && !settings.clients.is_empty());
        if !named || settings.audience.iter().chain(&settings.clients).any(String::is_empty) {
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
        Ok(Self { number: number(&settings), settings: ProviderSettings { types, ..settings }, is_shown: true })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The exact `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The same, for each of the many principals that it vouches for.
    pub(crate) fn issuer_shared(&self) -> Arc<str> {
        Arc::clone(&self.settings.issuer)
    }

    /// Whether the app gets the token too.
    pub fn forwards_credential(&self) -> bool {
        self.settings.forward_credential
    }

    /// The number of these settings.
    pub fn generation(&self) -> u64 {
        self.settings.generation
    }

    /// Another number than that of every other provider, and than its own under other settings.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The same provider as the judge of ID tokens that `client` fetched from it itself: what keeps tokens of other kinds and
    /// other programs away does not apply to them, and their claims mean the same, but for how they show factors.
    #[must_use]
    pub fn of_login(&self, client: &str) -> Self {
        let settings = &self.settings;
        let profile = settings.preset.profile();
        let factors = match profile.id_tokens {
            // What is written holds for all its tokens.
            IdTokens::Of { factors, .. } if settings.factors == profile.factors => factors,
            IdTokens::Of { .. } | IdTokens::Nowhere(_) => settings.factors,
        };
        let settings = ProviderSettings {
            factors,
            audience: vec![client.to_owned()],
            types: vec!["jwt".to_owned()],
            // A token that is remembered for one of the two is not remembered for the other.
            generation: !settings.generation,
            ..settings.clone()
        };
        Self { number: number(&settings), settings, is_shown: false }
    }

    /// Whether its tokens are shown by whoever asks; if not, the gate has fetched them itself.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// What kind of provider it is.
    pub(crate) fn preset(&self) -> Preset {
        self.settings.preset
    }

    pub(super) fn clients(&self) -> &[String] {
        &self.settings.clients
    }

    pub(super) fn kinds(&self) -> &[TokenKind] {
        &self.settings.kinds
    }

    pub(super) fn allows_anonymous(&self) -> bool {
        self.settings.allow_anonymous
    }

    pub(super) fn tenants(&self) -> Option<&[TenantId]> {
        self.settings.tenants.as_deref()
    }

    pub(super) fn factor_rule(&self) -> FactorRule {
        self.settings.factors
    }

    /// Whether its tokens have to name an audience; if not, a client takes its place.
    pub(super) fn demands_audience(&self) -> bool {
        !self.settings.audience.is_empty()
    }

    /// The audiences of which a token must name one.
    pub fn audience(&self) -> &[String] {
        &self.settings.audience
    }

    /// The types that are allowed, as they are compared; empty: `jwt` and `at+jwt`.
    pub fn types(&self) -> &[String] {
        &self.settings.types
    }

    /// The algorithms that are allowed; empty: whatever the key is for.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.settings.algorithms
    }

    pub(super) fn is_audience(&self, name: &str) -> bool {
        self.settings.audience.iter().any(|one| one == name)
    }

    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.settings.algorithms.is_empty() || self.settings.algorithms.contains(&algorithm)
    }

    pub(super) fn allows_type(&self, typ: Option<&str>) -> bool {
        let typ = typ.map_or_else(|| "jwt".to_owned(), bare_type);
        if self.settings.types.is_empty() {
            matches!(typ.as_str(), "jwt" | "at+jwt")
        } else {
            self.settings.types.contains(&typ)
        }
    }

    /// The contexts that prove something.
    pub fn contexts(&self) -> &Contexts {
        &self.settings.contexts
    }

    /// The same issuer, as its tokens for ending sessions are judged (OpenID Connect Back-Channel Logout, 2.6); `audience`
    /// empty: that of its other tokens.
    ///
    /// # Errors
    /// Where the audience is none.
    pub(crate) fn for_logout(&self, audience: Vec<String>) -> Result<Self, ProviderFault> {
        let settings = &self.settings;
        let audience = match (audience.is_empty(), settings.audience.is_empty()) {
            (false, _) => audience,
            (true, false) => settings.audience.clone(),
            // Where the preset knows a token's audience by its client alone.
            (true, true) => settings.clients.clone(),
        };
        let types = vec!["logout+jwt".to_owned(), "jwt".to_owned()];
        let judge = Self::new(ProviderSettings { audience, types, ..settings.clone() })?;
        // What keeps tokens of other kinds away that are shown for access would keep this one away too.
        Ok(Self { is_shown: false, ..judge })
    }

    /// Whether its tokens name a session as its logout tokens do, by `sid` (OpenID Connect Back-Channel Logout, 2.4).
    pub(crate) fn names_sid(&self) -> bool {
        self.claims().session == SessionSource::Claim(ClaimPath::at_the_top("sid"))
    }

    /// Whether its tokens name a subject as its logout tokens do, by `sub`.
    pub(crate) fn names_sub(&self) -> bool {
        self.claims().subject == ClaimPath::at_the_top("sub")
    }

    /// Whether every token of a person tells when that person signed in, whatever is configured at the provider.
    pub(crate) fn tells_sign_in(&self) -> bool {
        match self.factor_rule() {
            FactorRule::Clerk | FactorRule::Supabase | FactorRule::Firebase => true,
            FactorRule::Standard | FactorRule::Entra | FactorRule::None => false,
        }
    }

    pub(crate) fn leeway_s(&self) -> u64 {
        self.settings.leeway_s
    }

    pub(crate) fn claims(&self) -> &ClaimMap {
        &self.settings.claims
    }
}

/// The name stands last, so that no two pairs make one text.
fn number(settings: &ProviderSettings) -> u64 {
    let text = [&settings.generation.to_be_bytes(), settings.name.as_bytes()].concat();
    digest(&SHA256, &text).as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A media type as RFC 7515, 4.1.9 compares it.
pub(crate) fn bare_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or(lower.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::signing::settings;

    #[test]
    fn settings_that_could_let_a_stranger_in_are_refused() {
        let refused = |settings| Provider::new(settings).err();
        assert_eq!(refused(settings()), None);
        let none = ProviderSettings { issuer: "".into(), ..settings() };
        assert_eq!(refused(none), Some(ProviderFault::NoIssuer));
        for audience in [vec![], vec![String::new()]] {
            assert_eq!(refused(ProviderSettings { audience, ..settings() }), Some(ProviderFault::NoAudience));
        }
        let mixed = ProviderSettings { algorithms: vec![Algorithm::Hs256, Algorithm::Rs256], ..settings() };
        assert_eq!(refused(mixed), Some(ProviderFault::MixedAlgorithms));
        let lax = |leeway_s| refused(ProviderSettings { leeway_s, ..settings() });
        assert_eq!((lax(60), lax(61)), (None, Some(ProviderFault::Leeway)));
    }
}
