//! Certificates for clients, and the list of those that were revoked: for development and tests.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{DevCa, IssuedPair, Validity, dated, moment, not_issued};
use crate::error::{CertError, Part};

/// A name of a client, by its kind. Whatever text it holds is written, so that tests can write bad ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientName<'a> {
    /// A URI, such as a SPIFFE ID.
    Uri(&'a str),
    /// A DNS name.
    Dns(&'a str),
    /// A mail address.
    Email(&'a str),
}

impl DevCa {
    /// A client's certificate with these subject alternative names and a new key.
    ///
    /// # Errors
    /// A name beyond ASCII; a validity that is impossible or ends after the CA's.
    pub fn issue_client(&self, names: &[ClientName<'_>], validity: Validity) -> Result<IssuedPair, CertError> {
        if i64::try_from(validity.not_after).map_or(true, |end| end > self.not_after) {
            return Err(CertError::OutlivesCa);
        }
        let mut params = dated(CertificateParams::default(), validity)?;
        for name in names {
            let bad = |_| CertError::BadName { name: format!("{name:?}") };
            params.subject_alt_names.push(match name {
                ClientName::Uri(text) => SanType::URI((*text).try_into().map_err(bad)?),
                ClientName::Dns(text) => SanType::DnsName((*text).try_into().map_err(bad)?),
                ClientName::Email(text) => SanType::Rfc822Name((*text).try_into().map_err(bad)?),
            });
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(rcgen::DnType::CommonName, "client");
        let key = KeyPair::generate().map_err(not_issued)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(not_issued)?;
        Ok(IssuedPair { cert_pem: leaf.pem(), key_pem: key.serialize_pem() })
    }

    /// The list of revoked certificates (CRL) as PEM: those of `revoked`, from `not_before` (`thisUpdate`) to `not_after`
    /// (`nextUpdate`).
    ///
    /// # Errors
    /// Something in `revoked` that is no certificate; an impossible validity.
    pub fn revoke(&self, revoked: &[&IssuedPair], validity: Validity) -> Result<String, CertError> {
        let mut entries = Vec::new();
        for (index, pair) in (1..).zip(revoked) {
            let bad = |detail: String| CertError::BadCertificate { part: Part::Chain, index, detail };
            let der =
                CertificateDer::from_pem_slice(pair.cert_pem.as_bytes()).map_err(|fault| bad(fault.to_string()))?;
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|fault| bad(fault.to_string()))?;
            entries.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(parsed.raw_serial()),
                revocation_time: moment(validity.not_before)?,
                reason_code: None,
                invalidity_date: None,
            });
        }
        let list = CertificateRevocationListParams {
            this_update: moment(validity.not_before)?,
            next_update: moment(validity.not_after)?,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: entries,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).map_err(not_issued)?.pem().map_err(not_issued)
    }
}
