//! What can be wrong with a certificate, a key or a bundle, in words for the person who wrote the configuration.
//!
//! No message ever holds key material or the text of the file.

use std::fmt;

/// Which of the given texts a fault lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The server's certificate and its chain.
    Chain,
    /// The private key.
    Key,
    /// The certificates of the authorities to trust.
    Bundle,
    /// The lists of revoked certificates.
    Revocations,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Chain => "certificate",
            Part::Key => "private key",
            Part::Bundle => "CA bundle",
            Part::Revocations => "CRL",
        })
    }
}

/// Why a certificate, key or bundle was refused. `Display` is fit for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertError {
    /// The text is larger than this crate reads; `limit` is in bytes.
    TooLarge { part: Part, limit: usize },
    /// The PEM armour is broken.
    BadPem { part: Part, detail: String },
    /// No `CERTIFICATE` section.
    NoCertificate { part: Part },
    /// More certificates than a chain or bundle may have.
    TooManyCertificates { part: Part, limit: usize },
    /// A section is there but is not an X.509 certificate. `index` counts from 1.
    BadCertificate { part: Part, index: usize, detail: String },
    /// The leaf names no host in its subject alternative name; a common name does not count.
    NoNames,
    /// A subject alternative name that is not a plain host name.
    BadName { name: String },
    /// No private key section.
    NoKey,
    /// More than one private key: which one is meant cannot be known.
    SeveralKeys,
    /// The key is protected by a passphrase.
    EncryptedKey,
    /// The key is of a kind or size that is not supported.
    BadKey { detail: String },
    /// The key belongs to another certificate.
    KeyMismatch,
    /// A server needs at least one pair.
    NoPairs,
    /// Two pairs claim one name.
    DuplicateName { name: String },
    /// The operating system's trust store holds no usable certificate.
    NoNativeRoots { detail: String },
    /// The begin lies after the end, or outside of what a certificate can say.
    BadValidity,
    /// A leaf would outlive the CA that signs it.
    OutlivesCa,
    /// The certificate given as a CA may not sign.
    NotACa,
    /// No `X509 CRL` section.
    NoRevocations,
    /// More lists of revoked certificates than are read.
    TooManyRevocations { limit: usize },
    /// A list of revoked certificates that cannot be used. `index` counts from 1.
    BadRevocations { index: usize, detail: String },
    /// The development CA could not sign.
    NotIssued { detail: String },
    /// The TLS library refused the whole.
    Tls { detail: String },
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertError::TooLarge { part, limit } => {
                write!(f, "the {part} file is larger than {limit} bytes; it should hold PEM text only")
            }
            CertError::BadPem { part, detail } => write!(f, "the {part} file is not valid PEM: {detail}"),
            CertError::NoCertificate { part } => {
                write!(f, "the {part} file holds no `CERTIFICATE` section; it must be PEM, not DER or PKCS#12")
            }
            CertError::TooManyCertificates { part, limit } => {
                write!(f, "the {part} file holds more than {limit} certificates")
            }
            CertError::BadCertificate { part, index, detail } => {
                write!(f, "certificate {index} in the {part} file cannot be used: {detail}")
            }
            CertError::NoNames => f.write_str(
                "the certificate names no host in its subject alternative name; clients ignore the common name, so issue one with a DNS or IP name",
            ),
            CertError::BadName { name } => write!(
                f,
                "`{}` is not a plain host name; use a DNS name, an IP address, or a wildcard as the whole first label (`*.clinic.example`)",
                name.escape_default()
            ),
            CertError::NoKey => f.write_str(
                "the key file holds no private key section; `PRIVATE KEY`, `RSA PRIVATE KEY` and `EC PRIVATE KEY` are read",
            ),
            CertError::SeveralKeys => f.write_str("the key file holds more than one private key; keep the one that belongs to the certificate"),
            CertError::EncryptedKey => f.write_str(
                "the private key is protected by a passphrase; remove it (`openssl pkey -in tls.key -out plain.key`) and protect the file instead",
            ),
            CertError::BadKey { detail } => {
                write!(f, "the private key cannot be used: {detail}; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more")
            }
            CertError::KeyMismatch => f.write_str(
                "the private key does not belong to the first certificate in the file; the server's own certificate comes first, the chain after it",
            ),
            CertError::NoPairs => f.write_str("no certificate to serve; give at least one certificate with its key"),
            CertError::DuplicateName { name } => {
                write!(f, "two certificates are for `{name}`; keep one of them")
            }
            CertError::NoNativeRoots { detail } => {
                write!(f, "the system's trust store holds no usable certificate: {detail}; install one, or give a CA bundle")
            }
            CertError::BadValidity => f.write_str("the certificate would end before it begins, or lies beyond the year 9999"),
            CertError::OutlivesCa => f.write_str("the certificate would outlive its CA; make a new CA, or a shorter validity"),
            CertError::NotACa => f.write_str("the certificate is not one of a CA (`CA:TRUE` is missing)"),
            CertError::NoRevocations => f.write_str("the CRL file holds no `X509 CRL` section; it must be PEM, not DER"),
            CertError::TooManyRevocations { limit } => write!(f, "the CRL file holds more than {limit} lists"),
            CertError::BadRevocations { index, detail } => write!(f, "list {index} in the CRL file cannot be used: {detail}"),
            CertError::NotIssued { detail } => write!(f, "the development CA could not issue: {detail}"),
            CertError::Tls { detail } => write!(f, "the TLS configuration was refused: {detail}"),
        }
    }
}

impl std::error::Error for CertError {}
