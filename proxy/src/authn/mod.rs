//! Who is asking: from a token, or the certificate of a connection, to a [`policy::Principal`].
//!
//! Decides whether a credential proves an identity, by the provider's keys and settings and at a time that is an argument:
//! [`Remembered`] is what the pipeline asks; [`verify`] and [`principal`] are what it does with a token not seen before. All
//! of it is synchronous and does no IO; [`keep_fresh`] alone fetches keys and metadata, in a task of its own, and hands
//! them over through a [`KeyStore`] and a [`MetadataStore`]. Never decides what the caller may do, and never reads a credential out of a request.

mod algorithm;
mod certificate;
mod claims;
mod demand;
mod discovery;
mod fault;
mod fetch;
mod freshness;
mod json;
mod jwk;
mod jwks;
mod jwt;
mod keys;
mod last_good;
mod logout;
mod provider;
mod remember;
mod store;

pub use algorithm::Algorithm;
pub use certificate::{Callers, CertificateFault, Grant, NamePattern, Presented};
pub use claims::principal;
pub(crate) use claims::{assumed, is_role};
pub use demand::WINDOW_S;
pub use discovery::{Metadata, MetadataFault, MetadataStore, address_of};
pub use fault::{TokenFault, TokenPart};
pub use fetch::{Discovery, FetchFault, Source, fetch_once};
pub use json::JsonFault;
pub use jwk::Unusable;
pub use jwks::{Pace, Renewal, keep_fresh};
pub(crate) use jwt::unverified_kid;
pub use jwt::{Lifetime, MAX_TOKEN, Verified, unverified_issuer, verify};
pub use keys::{KeyId, KeySet, KeySetFault, MAX_KEY_SET, MAX_KEYS, MAX_SECRET, MIN_SECRET, Skipped};
pub use last_good::State;
pub use logout::LoggedOut;
pub(crate) use logout::logged_out;
pub use provider::{
    ClaimMap, ClaimPath, Contexts, MAX_LEEWAY_S, Provider, ProviderFault, ProviderSettings, TenantSource,
};
pub use remember::Remembered;
pub use store::{KeyStatus, KeyStore, MAX_WAITING, PATIENCE};

#[cfg(test)]
mod signing;
