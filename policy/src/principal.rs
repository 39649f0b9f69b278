//! Who is asking, as far as a provider has vouched for it.
//!
//! Holds what was proved elsewhere: it reads no token and believes no header.

use crate::assurance::Factors;
use crate::bindings::{Bindings, text_weight};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A caller whose credential has been verified.
///
/// Its maker bounds it: every text comes from one credential of limited size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// Who vouches, as the credential names it (`iss`).
    pub issuer: Arc<str>,
    /// The provider's key in the configuration.
    pub provider: String,
    /// Who it is, unique for the issuer (`sub`).
    pub subject: Arc<str>,
    /// The program that the caller uses, where the credential names it.
    pub client: Option<String>,
    /// The tenants that the caller may act for, each with the roles held in it. A missing, null, empty or malformed claim
    /// makes no binding, and a caller without one is denied wherever a credential is needed.
    pub bindings: Bindings,
    /// The claims that the configuration maps, by the name it gives them, and no others.
    pub claims: BTreeMap<String, Claim>,
    /// How the caller proved to be who it is.
    pub factors: Factors,
    /// The sign-in that the credential comes from.
    pub sign_in: SignIn,
}

impl Principal {
    /// About how many bytes of memory it takes, rather more than less.
    #[must_use]
    pub fn weight(&self) -> usize {
        let sign_in = &self.sign_in;
        let told = [&self.client, &sign_in.session, &sign_in.at_provider, &sign_in.credential];
        let texts = [&self.provider].into_iter().chain(told.into_iter().flatten());
        let texts = texts.chain(&self.factors.methods).map(|text| text_weight(text)).sum::<usize>();
        // The places of a map may be half empty.
        let claims = self.claims.iter().map(|(name, claim)| 2 * text_weight(name) + claim.weight()).sum::<usize>();
        size_of::<Self>()
            + texts
            + text_weight(&self.issuer)
            + text_weight(&self.subject)
            + claims
            + self.bindings.weight()
    }
}

/// The sign-in behind a credential, as far as the credential tells. What it does not tell is unknown, never guessed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SignIn {
    /// The provider's name for the session (`sid`, `session_id`): credentials that are renewed from one sign-in share it.
    pub session: Option<String>,
    /// The provider's own name of it, where `session` is a name that the gate gave: what the provider ends it by.
    pub at_provider: Option<String>,
    /// When the gate itself began the session, in Unix seconds, where `session` is a name that it gave.
    pub begun: Option<u64>,
    /// When the caller last signed in, in Unix seconds. A credential that is renewed without the caller keeps it, so it is
    /// never the time at which the credential was issued.
    pub at: Option<u64>,
    /// The credential's own name (`jti`).
    pub credential: Option<String>,
    /// The first second in which the credential is no longer valid, in Unix time.
    pub expires: Option<u64>,
}

/// One mapped claim. A claim of any other form is left out, so that a condition that reads it denies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A string.
    Text(String),
    /// A whole number that fits 64 bits. Fractions are left out: rounding would make two identifiers one.
    Number(i64),
    /// True or false.
    Bool(bool),
    /// A list of strings.
    List(Vec<String>),
}

impl Claim {
    fn weight(&self) -> usize {
        match self {
            Claim::Text(text) => text_weight(text),
            Claim::Number(_) | Claim::Bool(_) => 32,
            Claim::List(texts) => texts.iter().map(|text| text_weight(text)).sum::<usize>() + 32,
        }
    }
}
