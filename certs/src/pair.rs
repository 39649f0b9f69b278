//! A certificate with its key, read from PEM and checked before anything serves it.
//!
//! Decides whether the two texts are one usable pair and for which names. Never decides whether the pair is still
//! valid at some time (the caller has the clock), nor whether a client will trust the chain.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::{CertError, Part};
use crate::provider::provider;

/// The largest certificate file that is read, in bytes.
pub const MAX_CHAIN: usize = 128 * 1024;
/// The largest key file that is read, in bytes.
pub const MAX_KEY: usize = 32 * 1024;
/// The most certificates that a chain may have, the leaf included.
pub const MAX_CERTIFICATES: usize = 10;

/// A certificate chain and the key of its leaf: parsed, matching, and named.
#[derive(Clone)]
pub struct CertifiedPair {
    key: Arc<CertifiedKey>,
    names: BTreeSet<String>,
    not_before: i64,
    not_after: i64,
}

impl CertifiedPair {
    /// The DNS names (lower case, wildcards as `*.rest`) and IP addresses (their usual text) of the leaf, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a client that asks for `host` (a DNS name without a trailing dot, or an IP address without brackets)
    /// may be shown this certificate: exactly, or by a wildcard that stands for one label (RFC 6125, 6.4.3).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.names.contains(&host) || wildcard_of(&host).is_some_and(|name| self.names.contains(&name))
    }

    /// The first second of validity, in Unix seconds.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second of validity, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// What `rustls` serves.
    pub(crate) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl fmt::Debug for CertifiedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedPair")
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The name under which a wildcard certificate would cover `host`; `None` for addresses and names of one label.
pub(crate) fn wildcard_of(host: &str) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let (first, rest) = host.split_once('.')?;
    (!first.is_empty() && !rest.is_empty()).then(|| format!("*.{rest}"))
}

/// Reads a PEM chain (leaf first) and a PEM key, both bounded ([`MAX_CHAIN`], [`MAX_KEY`]), and checks that they
/// belong together and name at least one host.
///
/// # Errors
/// The first fault found; the texts themselves never appear in it.
pub fn load_pair(cert_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedPair, CertError> {
    let chain = certificates(cert_pem, Part::Chain, MAX_CHAIN, MAX_CERTIFICATES)?;
    let key = private_key(key_pem)?;
    let leaf = chain.first().ok_or(CertError::NoCertificate { part: Part::Chain })?;
    let (names, not_before, not_after) = facts(leaf)?;
    let key = certified(chain, key)?;
    Ok(CertifiedPair { key: Arc::new(key), names, not_before, not_after })
}

/// Every certificate of a PEM text: at least one, at most `most`, from at most `limit` bytes.
pub(crate) fn certificates(
    pem: &[u8],
    part: Part,
    limit: usize,
    most: usize,
) -> Result<Vec<CertificateDer<'static>>, CertError> {
    if pem.len() > limit {
        return Err(CertError::TooLarge { part, limit });
    }
    let mut found = Vec::new();
    for one in CertificateDer::pem_slice_iter(pem) {
        if found.len() == most {
            return Err(CertError::TooManyCertificates { part, limit: most });
        }
        found.push(one.map_err(|fault| CertError::BadPem { part, detail: fault.to_string() })?);
    }
    if found.is_empty() {
        return Err(CertError::NoCertificate { part });
    }
    Ok(found)
}

/// The one private key of a PEM text.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertError> {
    if pem.len() > MAX_KEY {
        return Err(CertError::TooLarge { part: Part::Key, limit: MAX_KEY });
    }
    if is_encrypted(pem) {
        return Err(CertError::EncryptedKey);
    }
    // The parser's own words are not repeated here: some of them quote the line that they stumbled over.
    let broken = |_| CertError::BadPem { part: Part::Key, detail: "broken armour or base64".to_owned() };
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = keys.next().ok_or(CertError::NoKey)?.map_err(broken)?;
    match keys.next() {
        None => Ok(key),
        Some(Ok(_)) => Err(CertError::SeveralKeys),
        Some(Err(fault)) => Err(broken(fault)),
    }
}

/// PKCS#8 (RFC 5958) and the older header of OpenSSL both say so in clear text.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Joins chain and key; refuses a key that is not the leaf's.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertError> {
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| CertError::BadKey { detail: "its kind or size is not supported".to_owned() })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertError::KeyMismatch),
        Err(fault) => Err(CertError::BadCertificate { part: Part::Chain, index: 1, detail: fault.to_string() }),
    }
}

/// The names and the validity of a leaf.
fn facts(leaf: &CertificateDer<'_>) -> Result<(BTreeSet<String>, i64, i64), CertError> {
    let bad = |detail: String| CertError::BadCertificate { part: Part::Chain, index: 1, detail };
    let (rest, parsed) = X509Certificate::from_der(leaf).map_err(|fault| bad(fault.to_string()))?;
    if !rest.is_empty() {
        return Err(bad("bytes follow its end".to_owned()));
    }
    let names = names(&parsed).map_err(|fault| match fault {
        Unreadable::Extension(detail) => bad(detail),
        Unreadable::Name(name) => CertError::BadName { name },
    })?;
    if names.is_empty() {
        return Err(CertError::NoNames);
    }
    let validity = parsed.validity();
    Ok((names, validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// What is wrong with a subject alternative name.
enum Unreadable {
    Extension(String),
    Name(String),
}

/// DNS and IP names; others (mail, URI) are no hosts and are passed over.
fn names(leaf: &X509Certificate<'_>) -> Result<BTreeSet<String>, Unreadable> {
    let mut names = BTreeSet::new();
    let extension = leaf.subject_alternative_name().map_err(|fault| Unreadable::Extension(fault.to_string()))?;
    let Some(extension) = extension else { return Ok(names) };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => {
                let lower = name.to_ascii_lowercase();
                if !is_host_pattern(&lower) {
                    return Err(Unreadable::Name((*name).to_owned()));
                }
                names.insert(lower);
            }
            GeneralName::IPAddress(bytes) => {
                let address = address(bytes).ok_or_else(|| Unreadable::Name(format!("{bytes:?}")))?;
                names.insert(address.to_string());
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The octets of an `iPAddress` name (RFC 5280, 4.2.1.6).
fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(octets).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)))
}

/// A DNS name of at most 253 characters in labels of letters, digits, `-` and `_`, with `*` allowed as the whole
/// first label. Everything else, an embedded NUL above all, is refused: two readers could disagree about it.
pub(crate) fn is_host_pattern(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    !labels.is_empty()
        && name.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{DevCa, IssuedPair, Validity};

    const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

    fn issued(names: &[&str]) -> IssuedPair {
        DevCa::generate(VALID).unwrap().issue(names, VALID).unwrap()
    }

    fn fault(cert: &str, key: &str) -> CertError {
        load_pair(cert.as_bytes(), key.as_bytes()).expect_err("must be refused")
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let (one, other) = (issued(&["a.example"]), issued(&["a.example"]));
        assert_eq!(fault(&one.cert_pem, &other.key_pem), CertError::KeyMismatch);
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_refused() {
        let ca = DevCa::generate(VALID).unwrap();
        let leaf = ca.issue(&["a.example"], VALID).unwrap();
        let right = format!("{}{}", leaf.cert_pem, ca.ca_pem());
        assert!(load_pair(right.as_bytes(), leaf.key_pem.as_bytes()).is_ok());
        let wrong = format!("{}{}", ca.ca_pem(), leaf.cert_pem);
        assert_eq!(fault(&wrong, &leaf.key_pem), CertError::NoNames);
    }

    #[test]
    fn one_file_may_hold_both() {
        let one = issued(&["a.example"]);
        let both = format!("{}{}", one.key_pem, one.cert_pem);
        assert!(load_pair(both.as_bytes(), both.as_bytes()).is_ok());
    }

    #[test]
    fn missing_parts_are_named() {
        let one = issued(&["a.example"]);
        assert_eq!(fault("", &one.key_pem), CertError::NoCertificate { part: Part::Chain });
        assert_eq!(fault(&one.key_pem, &one.key_pem), CertError::NoCertificate { part: Part::Chain });
        assert_eq!(fault(&one.cert_pem, ""), CertError::NoKey);
        assert_eq!(fault(&one.cert_pem, &one.cert_pem), CertError::NoKey);
    }

    #[test]
    fn two_keys_are_ambiguous() {
        let one = issued(&["a.example"]);
        let twice = format!("{0}{0}", one.key_pem);
        assert_eq!(fault(&one.cert_pem, &twice), CertError::SeveralKeys);
    }

    #[test]
    fn an_encrypted_key_says_what_to_do() {
        let one = issued(&["a.example"]);
        let pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let refused = fault(&one.cert_pem, pem);
        assert_eq!(refused, CertError::EncryptedKey);
        assert!(refused.to_string().contains("openssl pkey"));
    }

    #[test]
    fn broken_text_never_comes_back_in_the_message() {
        let one = issued(&["a.example"]);
        let pem = "-----BEGIN PRIVATE KEY-----\nVERY*SECRET*TEXT\n-----END PRIVATE KEY-----\n";
        let refused = fault(&one.cert_pem, pem);
        assert!(matches!(refused, CertError::BadPem { part: Part::Key, .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("SECRET"));
        let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(fault(&one.cert_pem, garbage), CertError::BadKey { .. }));
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let one = issued(&["a.example"]);
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(fault(pem, &one.key_pem), CertError::BadCertificate { index: 1, .. }));
    }

    #[test]
    fn sizes_are_bounded() {
        let one = issued(&["a.example"]);
        let long = format!("{}{}", one.cert_pem, "\n".repeat(MAX_CHAIN));
        assert_eq!(fault(&long, &one.key_pem), CertError::TooLarge { part: Part::Chain, limit: MAX_CHAIN });
        let long = format!("{}{}", one.key_pem, "\n".repeat(MAX_KEY));
        assert_eq!(fault(&one.cert_pem, &long), CertError::TooLarge { part: Part::Key, limit: MAX_KEY });
        let many = one.cert_pem.repeat(MAX_CERTIFICATES + 1);
        assert!(matches!(fault(&many, &one.key_pem), CertError::TooManyCertificates { part: Part::Chain, .. }));
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let one = issued(&["*.clinic.example", "clinic.example", "192.0.2.7"]);
        let pair = load_pair(one.cert_pem.as_bytes(), one.key_pem.as_bytes()).unwrap();
        for host in ["clinic.example", "CLINIC.example", "a.clinic.example", "192.0.2.7"] {
            assert!(pair.covers(host), "{host}");
        }
        for host in ["a.b.clinic.example", ".clinic.example", "other.example", "example", "", "192.0.2.8", "x.0.2.7"] {
            assert!(!pair.covers(host), "{host}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let one = issued(&["a.example"]);
        let pair = load_pair(one.cert_pem.as_bytes(), one.key_pem.as_bytes()).unwrap();
        assert_eq!(format!("{pair:?}"), "CertifiedPair { names: {\"a.example\"}, not_after: 4000000000, .. }");
    }
}
