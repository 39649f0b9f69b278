//! Whom a server believes when clients show certificates: the authorities, and their lists of revoked certificates.
//!
//! Decides whether a chain is believed at a time, in the handshake and again for connections that live on. A list that
//! is given is asked about every certificate of the chain but the root's; what it does not cover, and a list that is
//! past its `nextUpdate`, are refusals. Never decides what a name in a certificate means ([`crate::ClientNames`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::CertificateError;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use crate::client::given_roots;
use crate::error::{CertError, Part};
use crate::pair::certificates;
use crate::provider::provider;

/// The largest file of revocation lists that is read, in bytes.
pub const MAX_REVOCATIONS: usize = 2 * 1024 * 1024;
/// The most lists that it may hold.
const MAX_LISTS: usize = 64;
/// The largest bundle of authorities for clients, in bytes.
const MAX_AUTHORITIES: usize = 128 * 1024;
/// The most authorities: a client may be told their names, so they are few.
const MOST_AUTHORITIES: usize = 32;

/// Which clients' certificates are believed.
#[derive(Clone)]
pub struct ClientTrust {
    verifier: Arc<dyn ClientCertVerifier>,
    required: bool,
    next_update: Option<i64>,
}

impl ClientTrust {
    /// Believes what the authorities in `ca_pem` sign (directly or by intermediates that the client sends), for the use
    /// `clientAuth`, unless a list in `crl_pem` revokes it. With `required` a client without a certificate is refused.
    ///
    /// # Errors
    /// Texts that are empty, broken or too large; a certificate that is no authority's; a list without `nextUpdate`.
    pub fn new(ca_pem: &[u8], crl_pem: Option<&[u8]>, required: bool) -> Result<Self, CertError> {
        for one in certificates(ca_pem, Part::Bundle, MAX_AUTHORITIES, MOST_AUTHORITIES)? {
            if !X509Certificate::from_der(&one).is_ok_and(|(_, parsed)| parsed.is_ca()) {
                return Err(CertError::NotACa);
            }
        }
        let (lists, next_update) = match crl_pem {
            Some(pem) => revocations(pem)?,
            None => (Vec::new(), None),
        };
        let roots = Arc::new(given_roots(ca_pem)?);
        // Of the whole chain, and unknown is an error: both are what the builder does unless it is told otherwise.
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .with_crls(lists)
            .enforce_revocation_expiration();
        let builder = if required { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|fault| CertError::Tls { detail: fault.to_string() })?;
        Ok(Self { verifier, required, next_update })
    }

    /// Whether a client without a certificate is refused.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// The last second (Unix time) for which all lists speak; `None` without lists.
    pub fn lists_until(&self) -> Option<i64> {
        self.next_update
    }

    /// Judges a chain, leaf first, at `now` (Unix seconds): as in the handshake, but for the proof that the client holds
    /// the key, which only a handshake can give.
    ///
    /// # Errors
    /// Why the chain is not believed.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: u64) -> Result<(), ClientFault> {
        let (leaf, rest) = chain.split_first().ok_or(ClientFault::Unusable)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        match self.verifier.verify_client_cert(leaf, rest, now) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(fault)) => Err(ClientFault::of(&fault)),
            Err(_) => Err(ClientFault::Unusable),
        }
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust")
            .field("required", &self.required)
            .field("next_update", &self.next_update)
            .finish_non_exhaustive()
    }
}

/// Why a client's certificate is not believed. `Display` is for the log and holds nothing of the certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientFault {
    /// Its time, or that of one above it, has passed.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It, or one above it, was revoked.
    Revoked,
    /// No list speaks for its authority, or for one above it.
    NoRevocations,
    /// The list that speaks for it is past its `nextUpdate`.
    OldRevocations,
    /// No authority of ours vouches for it.
    UnknownIssuer,
    /// It is not for clients (`clientAuth`).
    Purpose,
    /// It is broken in another way.
    Unusable,
}

impl ClientFault {
    pub(crate) fn of(fault: &CertificateError) -> Self {
        match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => ClientFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => ClientFault::NotYet,
            CertificateError::Revoked => ClientFault::Revoked,
            CertificateError::UnknownRevocationStatus => ClientFault::NoRevocations,
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
                ClientFault::OldRevocations
            }
            CertificateError::UnknownIssuer => ClientFault::UnknownIssuer,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => ClientFault::Purpose,
            _ => ClientFault::Unusable,
        }
    }

    /// What is wrong, in words.
    pub fn words(self) -> &'static str {
        match self {
            ClientFault::Expired => "the certificate has expired",
            ClientFault::NotYet => "the certificate is not valid yet",
            ClientFault::Revoked => "the certificate was revoked",
            ClientFault::NoRevocations => "no CRL speaks for the certificate's authority",
            ClientFault::OldRevocations => "the CRL is past its `nextUpdate`",
            ClientFault::UnknownIssuer => "no authority in `ca` vouches for the certificate",
            ClientFault::Purpose => "the certificate is not for clients (`clientAuth`)",
            ClientFault::Unusable => "the certificate cannot be used",
        }
    }
}

impl fmt::Display for ClientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Every list of a PEM text, and the first second at which one of them is old.
fn revocations(pem: &[u8]) -> Result<(Vec<CertificateRevocationListDer<'static>>, Option<i64>), CertError> {
    if pem.len() > MAX_REVOCATIONS {
        return Err(CertError::TooLarge { part: Part::Revocations, limit: MAX_REVOCATIONS });
    }
    let mut lists = Vec::new();
    let mut until: Option<i64> = None;
    for one in CertificateRevocationListDer::pem_slice_iter(pem) {
        if lists.len() == MAX_LISTS {
            return Err(CertError::TooManyRevocations { limit: MAX_LISTS });
        }
        let list = one.map_err(|fault| CertError::BadPem { part: Part::Revocations, detail: fault.to_string() })?;
        let index = lists.len().saturating_add(1);
        let bad = |detail: String| CertError::BadRevocations { index, detail };
        let (_, parsed) = CertificateRevocationList::from_der(&list).map_err(|fault| bad(fault.to_string()))?;
        let next = parsed.next_update().ok_or_else(|| bad("it says no `nextUpdate`".to_owned()))?.timestamp();
        until = Some(until.map_or(next, |least| least.min(next)));
        lists.push(list);
    }
    if lists.is_empty() { Err(CertError::NoRevocations) } else { Ok((lists, until)) }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
