//! Certificates: from PEM text to `rustls` configurations.
//!
//! This crate decides which bytes are an acceptable certificate and key ([`load_pair`]), which certificate a client is
//! shown ([`gate_config`]), which clients' certificates are believed ([`ClientTrust`]) and what they name
//! ([`ClientNames`]), whom we believe when we are the client ([`client_config`]), and how a development CA issues ([`dev`]). It never opens, watches or writes a file, never logs, and never asks for the time: the caller
//! reads, watches and compares dates. The one exception is [`client_config`] without a bundle, which reads the
//! operating system's trust store.
//!
//! All cryptography comes from one provider, given explicitly, so that another provider in the tree cannot take over.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod client;
mod clients;
pub mod dev;
mod error;
mod names;
mod pair;
mod provider;
mod refusal;
mod server;

pub use client::{MAX_BUNDLE, client_config};
pub use clients::{ClientFault, ClientTrust, MAX_REVOCATIONS};
pub use error::{CertError, Part};
pub use names::{ClientNames, NameFault, NameKind, is_name};
pub use pair::{CertifiedPair, MAX_CERTIFICATES, MAX_CHAIN, MAX_KEY, load_pair};
pub use refusal::{Refusal, refusal};
pub use server::{Minimum, gate_config, server_config};
