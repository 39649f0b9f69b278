//! Who is asking: from a token, or the certificate of a connection, to a [`policy::Principal`].
//!
//! Decides whether a credential proves an identity, by the provider's keys and settings and at a time that is an argument:
//! [`Remembered`] is what the pipeline asks; [`verify`] and [`principal`] are what it does with a token not seen before. All
//! of it is synchronous and does no IO; [`keep_fresh`] alone fetches keys and metadata, in a task of its own, and hands
//! them over through a [`KeyStore`] and a [`MetadataStore`]. A [`Preset`] says what is true of one kind of provider. Never
//! decides what the caller may do, and never reads a credential out of a request.

mod algorithm;
mod bindings;
mod certificate;
mod claim_map;
mod claims;
mod demand;
mod discovery;
mod factors;
mod fault;
mod fetch;
mod freshness;
pub(crate) mod json;
mod jwk;
mod jwks;
mod jwt;
mod keys;
mod last_good;
mod logout;
mod outline;
mod preset;
mod provider;
mod remember;
mod store;

pub use algorithm::Algorithm;
pub(crate) use bindings::{is_role, roles};
pub use certificate::{Callers, CertificateFault, Grant, NamePattern, Presented};
pub use claim_map::{ClaimMap, ClaimPath, SessionSource, TenantSource};
pub use claims::principal;
pub(crate) use claims::{assumed, extra, is_name};
pub use demand::WINDOW_S;
pub use discovery::{Metadata, MetadataFault, MetadataStore, address_of};
pub use factors::FactorRule;
pub(crate) use factors::seconds;
pub use fault::{TokenFault, TokenPart};
pub use fetch::{Discovery, FetchFault, Source, fetch_once};
pub use json::JsonFault;
pub(crate) use json::object as json_object;
pub use jwk::Unusable;
pub use jwks::{Pace, Renewal, keep_fresh};
pub use jwt::{Lifetime, MAX_TOKEN, Verified, unverified_issuer, verify};
pub(crate) use keys::is_one_byte;
pub use keys::{KeyId, KeySet, KeySetFault, MAX_KEY_SET, MAX_KEYS, MAX_SECRET, MIN_SECRET, Skipped};
pub use last_good::State;
pub use logout::LoggedOut;
pub(crate) use logout::logged_out;
pub use outline::{Check, Outline};
pub use preset::{
    Asked, IdTokens, KnownAudience, KnownClients, KnownCookie, Preset, Profile, SignInPlace, SignOut, TokenKind,
};
pub(crate) use provider::bare_type;
pub use provider::{Contexts, MAX_LEEWAY_S, Provider, ProviderFault, ProviderSettings};
pub use remember::Remembered;
pub(crate) use remember::places;
pub use store::{KeyStatus, KeyStore, MAX_WAITING, PATIENCE};

#[cfg(test)]
mod signing;
