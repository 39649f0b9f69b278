//! The client side: whom we believe when we ask somebody ourselves, such as an issuer for its keys, and who we say that we
//! are.
//!
//! Decides the trust anchors. Verification is always on; there is no switch for it.

use std::fmt;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{CertError, Part};
use crate::pair::{MAX_CERTIFICATES, MAX_CHAIN, certificates, certified, private_key};
use crate::provider::provider;

/// The largest CA bundle that is read, in bytes (the usual public bundle is about 220 KiB).
pub const MAX_BUNDLE: usize = 1024 * 1024;
/// The most certificates that a bundle may have.
const MAX_ROOTS: usize = 1_000;

/// A certificate that we show as a client, with its key. It need not name a host: what it says is read by whoever asks for
/// it.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// Reads a PEM chain (leaf first) and a PEM key, bounded as those of a server, and checks that they belong together.
///
/// # Errors
/// The first fault found; the texts themselves never appear in it.
pub fn load_identity(cert_pem: &[u8], key_pem: &[u8]) -> Result<ClientIdentity, CertError> {
    let chain = certificates(cert_pem, Part::Chain, MAX_CHAIN, MAX_CERTIFICATES)?;
    certified(chain, private_key(key_pem)?).map(|key| ClientIdentity(Arc::new(key)))
}

/// A verifying client configuration for HTTP/1.1 (ALPN `http/1.1`), TLS 1.2 or 1.3.
///
/// With `roots_pem` exactly the certificates in it are believed, each of which must be usable; without, those of the
/// operating system (read now, once).
///
/// # Errors
/// A bundle that is empty, broken or too large ([`MAX_BUNDLE`]); a trust store without any usable certificate.
pub fn client_config(roots_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, CertError> {
    client_config_for(roots_pem, None, b"http/1.1")
}

/// The same for the protocol `alpn`, showing `identity` to a server that asks for a certificate.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_for(
    roots_pem: Option<&[u8]>,
    identity: Option<ClientIdentity>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, CertError> {
    let roots = match roots_pem {
        Some(pem) => given_roots(pem)?,
        None => native_roots()?,
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|fault| CertError::Tls { detail: fault.to_string() })?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(ClientIdentity(key)) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
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
    fn an_identity_needs_no_name_but_its_own_key() {
        let ca = DevCa::generate(VALID).unwrap();
        let (one, other) = (ca.issue(&["a.example"], VALID).unwrap(), ca.issue(&["b.example"], VALID).unwrap());
        let nameless = load_identity(ca.ca_pem().as_bytes(), one.key_pem.as_bytes());
        assert_eq!(nameless.err(), Some(CertError::KeyMismatch), "and not that it names no host");
        assert!(load_identity(one.cert_pem.as_bytes(), other.key_pem.as_bytes()).is_err());
        let identity = load_identity(one.cert_pem.as_bytes(), one.key_pem.as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "ClientIdentity { .. }");
        let config = client_config_for(Some(ca.ca_pem().as_bytes()), Some(identity), b"h2").unwrap();
        assert!(config.client_auth_cert_resolver.has_certs());
        assert_eq!(config.alpn_protocols, [b"h2".to_vec()]);
    }

    #[test]
    fn it_speaks_http_1_1_only() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = client_config(Some(ca.ca_pem().as_bytes())).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert!(!config.enable_early_data);
    }
}
