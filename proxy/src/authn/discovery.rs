//! What a provider says about itself (OpenID Connect Discovery 1.0): where its keys are, and where people sign in.
//!
//! Decides whether a document is the provider's own and which of its addresses can be used. Each is held to the rules of the
//! document's own address: `https`, the same authorities, the same networks. Never takes an algorithm, a key or an issuer
//! from it: those are the configuration's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde_json::{Map, Value};

use super::json::{self, JsonFault};
use super::last_good::{LastGood, State};
use crate::outbound::{Endpoint, MAX_URL};

/// The largest document, in bytes.
pub(super) const MAX_METADATA: usize = 64 * 1024;
/// The most JSON values in it.
const MAX_VALUES: usize = 2_048;

/// Where the document of an issuer is (OpenID Connect Discovery 1.0, 4).
pub fn address_of(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Why a document is refused. `Display` is fit for the status page and the log; it holds nothing of the document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataFault {
    /// Not an acceptable JSON object.
    Json(JsonFault),
    /// `issuer` is not the configured one, letter by letter: the document is somebody else's.
    Issuer,
    /// `jwks_uri` is missing, or an address that may not be called.
    Keys,
}

impl fmt::Display for MetadataFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataFault::Json(fault) => write!(f, "the metadata is refused: {fault}"),
            MetadataFault::Issuer => f.write_str("the metadata has another `issuer`"),
            MetadataFault::Keys => f.write_str("the metadata names no `jwks_uri` that may be called"),
        }
    }
}

/// A provider's metadata, as far as it can be used. What is missing or malformed is `None`, but for the keys.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where its keys are.
    pub keys: Endpoint,
    /// Where a browser is sent to sign in: an `https` address without a fragment.
    pub authorization_endpoint: Option<String>,
    /// Where a code becomes a token; called by us.
    pub token_endpoint: Option<Endpoint>,
    /// Where a browser is sent to sign out (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session_endpoint: Option<String>,
    /// Where a refresh token is withdrawn (RFC 7009); called by us.
    pub revocation_endpoint: Option<Endpoint>,
    /// How the token endpoint recognises a client; left out by the provider: `client_secret_basic`.
    pub token_endpoint_auth_methods: Vec<String>,
    /// How the proof of a code exchange may be hidden (RFC 7636); empty where the provider does not say.
    pub code_challenge_methods: Vec<String>,
    /// Whether each answer to a sign-in names its issuer (RFC 9207).
    pub names_issuer: bool,
}

impl Metadata {
    /// Reads the document that was fetched from `at`, for `issuer`.
    ///
    /// # Errors
    /// A document that is not strict JSON, is for another issuer or names no keys.
    pub fn read(text: &[u8], issuer: &str, at: &Endpoint) -> Result<Self, MetadataFault> {
        let document = json::object(text, MAX_VALUES).map_err(MetadataFault::Json)?;
        // ORDER: whose document it is, before anything in it is believed.
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(MetadataFault::Issuer);
        }
        let endpoint = |name: &str| document.get(name).and_then(Value::as_str).and_then(|url| at.at(url).ok());
        let auth_methods = list(&document, "token_endpoint_auth_methods_supported");
        Ok(Self {
            keys: endpoint("jwks_uri").ok_or(MetadataFault::Keys)?,
            authorization_endpoint: page(&document, "authorization_endpoint"),
            token_endpoint: endpoint("token_endpoint"),
            end_session_endpoint: page(&document, "end_session_endpoint"),
            revocation_endpoint: endpoint("revocation_endpoint"),
            token_endpoint_auth_methods: auth_methods.unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
            code_challenge_methods: list(&document, "code_challenge_methods_supported").unwrap_or_default(),
            names_issuer: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

/// An address for a browser. We never call it, so it is not held to networks.
fn page(document: &Map<String, Value>, name: &str) -> Option<String> {
    let text = document.get(name)?.as_str()?;
    let plain = text.len() <= MAX_URL && !text.contains(['#', '@']);
    let uri: Uri = text.parse().ok()?;
    (plain && uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()))
        .then(|| text.to_owned())
}

fn list(document: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let all = document.get(name)?.as_array()?;
    Some(all.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

/// A provider's metadata as it is now, shared by every worker and kept up to date by [`keep_fresh`](super::keep_fresh).
#[derive(Debug)]
pub struct MetadataStore(pub(super) LastGood<Metadata>);

impl MetadataStore {
    /// None yet: it will be fetched, and then used for `keep` while it cannot be fetched again.
    pub fn awaiting(keep: Duration) -> Self {
        Self(LastGood::awaited(keep))
    }

    /// From now on the last good one is used for `keep`.
    pub fn keep_for(&self, keep: Duration) {
        self.0.keep_for(keep);
    }

    /// The metadata at `now` (monotone); `None` where there never was any, or the last good one is too old.
    pub fn current(&self, now: Duration) -> Option<Arc<Metadata>> {
        self.0.current(now)
    }

    /// How it came here.
    pub fn state(&self) -> State {
        self.0.held().state.clone()
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
