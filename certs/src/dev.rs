//! A certificate authority for development and tests: made on the spot, trusted by nobody until somebody says so.
//!
//! Decides what its certificates say. Never writes a key anywhere: the caller does, and keeps it out of the repository.

mod clients;

pub use clients::ClientName;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::{CertError, Part};
use crate::pair::{MAX_CHAIN, certificates, is_host_pattern};

/// From when to when a certificate is valid, in Unix seconds, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    pub not_before: u64,
    pub not_after: u64,
}

impl Validity {
    /// `days` from `now` on, begun an hour early for clocks that are behind.
    pub fn days(now: u64, days: u32) -> Self {
        let length = u64::from(days).saturating_mul(86_400);
        Self { not_before: now.saturating_sub(3_600), not_after: now.saturating_add(length) }
    }
}

/// A certificate and its key, both as PEM text.
pub struct IssuedPair {
    pub cert_pem: String,
    pub key_pem: String,
}

/// The development CA. It signs certificates of servers and clients only (no CA below it), with ECDSA P-256 keys.
pub struct DevCa {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    not_after: i64,
}

impl DevCa {
    /// A new CA with a new key.
    ///
    /// # Errors
    /// A validity that no certificate can say.
    pub fn generate(validity: Validity) -> Result<Self, CertError> {
        Self::named("Anteroom development CA", validity)
    }

    /// A new CA with a new key, under this common name.
    ///
    /// # Errors
    /// A validity that no certificate can say.
    pub fn named(name: &str, validity: Validity) -> Result<Self, CertError> {
        let key = KeyPair::generate().map_err(not_issued)?;
        let mut params = dated(CertificateParams::default(), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let ca_pem = params.self_signed(&key).map_err(not_issued)?.pem();
        Self::join(ca_pem, key)
    }

    /// A CA made earlier, so that what a browser was told to trust stays the same.
    ///
    /// # Errors
    /// Broken PEM, a certificate that is no CA's, a key of another certificate.
    pub fn from_pem(ca_pem: &str, key_pem: &str) -> Result<Self, CertError> {
        let key = KeyPair::from_pem(key_pem).map_err(|_| CertError::BadKey {
            detail: "it is not the PKCS#8 key that was written with this CA".to_owned(),
        })?;
        Self::join(ca_pem.to_owned(), key)
    }

    fn join(ca_pem: String, key: KeyPair) -> Result<Self, CertError> {
        let chain = certificates(ca_pem.as_bytes(), Part::Chain, MAX_CHAIN, 1)?;
        let der = chain.first().ok_or(CertError::NoCertificate { part: Part::Chain })?;
        let not_after = checked_ca(der, &key)?;
        let issuer = Issuer::from_ca_cert_der(der, key).map_err(not_issued)?;
        Ok(Self { issuer, ca_pem, not_after })
    }

    /// The CA's certificate as PEM: what a client is told to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The CA's private key as PEM (PKCS#8). Whoever has it can pose as any host to those who trust the CA.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The CA's last second of validity, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// A server's certificate for `names` (DNS names, `*.` wildcards, IP addresses) with a new key.
    ///
    /// # Errors
    /// No name or a bad one; a validity that is impossible or ends after the CA's.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<IssuedPair, CertError> {
        let first = *names.first().ok_or(CertError::NoNames)?;
        if let Some(bad) = names.iter().find(|name| !is_name(name)) {
            return Err(CertError::BadName { name: (*bad).to_owned() });
        }
        if i64::try_from(validity.not_after).map_or(true, |end| end > self.not_after) {
            return Err(CertError::OutlivesCa);
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = dated(CertificateParams::new(names).map_err(not_issued)?, validity)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, first);
        let key = KeyPair::generate().map_err(not_issued)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(not_issued)?;
        Ok(IssuedPair { cert_pem: leaf.pem(), key_pem: key.serialize_pem() })
    }
}

/// Sets the dates and clears the library's default name.
fn dated(mut params: CertificateParams, validity: Validity) -> Result<CertificateParams, CertError> {
    if validity.not_before > validity.not_after {
        return Err(CertError::BadValidity);
    }
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

/// Unix seconds up to the end of the year 9999, the last that RFC 5280 can write.
fn moment(seconds: u64) -> Result<OffsetDateTime, CertError> {
    let seconds = i64::try_from(seconds).map_err(|_| CertError::BadValidity)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CertError::BadValidity)
}

fn is_name(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok() || is_host_pattern(&name.to_ascii_lowercase())
}

/// The end of a CA certificate's validity, once it is sure that it may sign and that `key` is its key.
fn checked_ca(der: &CertificateDer<'_>, key: &KeyPair) -> Result<i64, CertError> {
    let bad = |detail: String| CertError::BadCertificate { part: Part::Chain, index: 1, detail };
    let (_, parsed) = X509Certificate::from_der(der).map_err(|fault| bad(fault.to_string()))?;
    if !parsed.is_ca() {
        return Err(CertError::NotACa);
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(CertError::KeyMismatch);
    }
    Ok(parsed.validity().not_after.timestamp())
}

fn not_issued(fault: rcgen::Error) -> CertError {
    CertError::NotIssued { detail: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_pair;

    const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

    #[test]
    fn a_leaf_has_its_names_and_dates() {
        let ca = DevCa::generate(VALID).unwrap();
        let validity = Validity::days(1_800_000_000, 30);
        let issued = ca.issue(&["localhost", "*.clinic.example", "127.0.0.1", "::1"], validity).unwrap();
        let pair = load_pair(issued.cert_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap();
        assert_eq!(pair.names().collect::<Vec<_>>(), ["*.clinic.example", "127.0.0.1", "::1", "localhost"]);
        assert_eq!(pair.not_before(), 1_800_000_000 - 3_600);
        assert_eq!(pair.not_after(), 1_800_000_000 + 30 * 86_400);
    }

    #[test]
    fn a_ca_read_back_issues_for_the_same_trust() {
        let first = DevCa::generate(VALID).unwrap();
        let again = DevCa::from_pem(first.ca_pem(), &first.key_pem()).unwrap();
        assert_eq!(again.ca_pem(), first.ca_pem());
        assert_eq!(again.not_after(), 4_000_000_000);
        assert!(again.issue(&["localhost"], VALID).is_ok());
    }

    #[test]
    fn a_ca_with_the_key_of_another_is_refused() {
        let (one, other) = (DevCa::generate(VALID).unwrap(), DevCa::generate(VALID).unwrap());
        let mixed = DevCa::from_pem(one.ca_pem(), &other.key_pem());
        assert_eq!(mixed.err(), Some(CertError::KeyMismatch));
    }

    #[test]
    fn a_leaf_is_no_ca() {
        let ca = DevCa::generate(VALID).unwrap();
        let leaf = ca.issue(&["localhost"], VALID).unwrap();
        assert_eq!(DevCa::from_pem(&leaf.cert_pem, &leaf.key_pem).err(), Some(CertError::NotACa));
    }

    #[test]
    fn impossible_dates_are_refused() {
        let backwards = Validity { not_before: 2_000_000_000, not_after: 1_900_000_000 };
        let endless = Validity { not_before: 0, not_after: u64::MAX };
        assert_eq!(DevCa::generate(backwards).err(), Some(CertError::BadValidity));
        assert_eq!(DevCa::generate(endless).err(), Some(CertError::BadValidity));
        let ca = DevCa::generate(VALID).unwrap();
        assert_eq!(ca.issue(&["localhost"], backwards).err(), Some(CertError::BadValidity));
        let longer = Validity { not_after: VALID.not_after + 1, ..VALID };
        assert_eq!(ca.issue(&["localhost"], longer).err(), Some(CertError::OutlivesCa));
    }

    #[test]
    fn bad_names_are_refused() {
        let ca = DevCa::generate(VALID).unwrap();
        assert_eq!(ca.issue(&[], VALID).err(), Some(CertError::NoNames));
        for name in ["", "a b", "a..b", "*", "*.", "a.*.b", "clinic.example.", "x\0.example", "https://x", "[::1]"] {
            assert_eq!(ca.issue(&[name], VALID).err(), Some(CertError::BadName { name: name.to_owned() }), "{name}");
        }
    }
}
