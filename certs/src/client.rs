//! The client side: whom we believe when we fetch something ourselves, such as an issuer's keys.
//!
//! Decides the trust anchors. Verification is always on; there is no switch for it.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::{CertError, Part};
use crate::pair::certificates;
use crate::provider::provider;

/// The largest CA bundle that is read, in bytes (the usual public bundle is about 220 KiB).
pub const MAX_BUNDLE: usize = 1024 * 1024;
/// The most certificates that a bundle may have.
const MAX_ROOTS: usize = 1_000;

/// A verifying client configuration for HTTP/1.1 (ALPN `http/1.1`), TLS 1.2 or 1.3.
///
/// With `roots_pem` exactly the certificates in it are believed, each of which must be usable; without, those of the
/// operating system (read now, once).
///
/// # Errors
/// A bundle that is empty, broken or too large ([`MAX_BUNDLE`]); a trust store without any usable certificate.
pub fn client_config(roots_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, CertError> {
    let roots = match roots_pem {
        Some(pem) => given_roots(pem)?,
        None => native_roots()?,
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|fault| CertError::Tls { detail: fault.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Every certificate of a bundle as one to believe.
pub(crate) fn given_roots(pem: &[u8]) -> Result<RootCertStore, CertError> {
    let mut roots = RootCertStore::empty();
    for (index, one) in certificates(pem, Part::Bundle, MAX_BUNDLE, MAX_ROOTS)?.into_iter().enumerate() {
        roots.add(one).map_err(|fault| CertError::BadCertificate {
            part: Part::Bundle,
            index: index.saturating_add(1),
            detail: fault.to_string(),
        })?;
    }
    Ok(roots)
}

/// The system's certificates. Single ones that cannot be read are passed over, as every client does; none at all is
/// an error.
fn native_roots() -> Result<RootCertStore, CertError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let detail = found.errors.first().map_or_else(|| "it is empty".to_owned(), ToString::to_string);
    Err(CertError::NoNativeRoots { detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{DevCa, Validity};

    const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

    #[test]
    fn a_bundle_must_be_whole() {
        let ca = DevCa::generate(VALID).unwrap();
        assert!(client_config(Some(ca.ca_pem().as_bytes())).is_ok());
        assert_eq!(client_config(Some(b"")).err(), Some(CertError::NoCertificate { part: Part::Bundle }));
        let broken = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ca.ca_pem());
        let refused = client_config(Some(broken.as_bytes())).err();
        assert!(matches!(refused, Some(CertError::BadCertificate { part: Part::Bundle, index: 2, .. })), "{refused:?}");
        let long = vec![b'\n'; MAX_BUNDLE + 1];
        assert_eq!(
            client_config(Some(&long)).err(),
            Some(CertError::TooLarge { part: Part::Bundle, limit: MAX_BUNDLE })
        );
    }

    #[test]
    fn it_speaks_http_1_1_only() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = client_config(Some(ca.ca_pem().as_bytes())).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert!(!config.enable_early_data);
    }
}
