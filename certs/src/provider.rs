//! The one cryptographic provider of every TLS configuration here, with the order of key exchanges written out.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};

/// aws-lc-rs, with the post-quantum hybrid preferred (draft-ietf-tls-ecdhe-mlkem) and classical groups for clients
/// that have none. A build with the feature `fips` leaves out what its module is not validated for: X25519 alone, and
/// ChaCha20-Poly1305.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    kx_groups.retain(|group| !cfg!(feature = "fips") || group.fips());
    Arc::new(CryptoProvider { kx_groups, ..default_provider() })
}
