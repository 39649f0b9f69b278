//! The one cryptographic provider of every TLS configuration here, with the order of key exchanges written out.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};

/// aws-lc-rs, with the post-quantum hybrid preferred (draft-ietf-tls-ecdhe-mlkem) and classical groups for clients
/// that have none.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..default_provider()
    })
}
