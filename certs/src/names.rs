//! What a client's certificate says of its owner: its subject alternative names, and nothing else.
//!
//! Decides whether those names can be read in one way only. The common name is never looked at: it is a text for people,
//! and no authority is bound to check it. Never decides whether the certificate is believed, nor what its owner may do.

use std::fmt;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pair::is_host_pattern;

/// The longest SPIFFE ID, in bytes (SPIFFE ID, section 2.3); other names may not be longer either.
const MAX_NAME: usize = 2_048;

/// The names of a client's certificate, by their kind, and the end of its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientNames {
    uris: Vec<String>,
    hosts: Vec<String>,
    mails: Vec<String>,
    not_after: i64,
}

/// Which kind of name says who a client is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NameKind {
    /// A SPIFFE ID (X509-SVID): the one URI of the certificate.
    Spiffe,
    /// A DNS name, in lower case.
    Dns,
    /// A URI, compared as it stands.
    Uri,
    /// A mail address (`rfc822Name`), compared as it stands.
    Email,
}

/// Why a certificate names nobody. `Display` is for the log and holds nothing of the certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NameFault {
    /// The certificate or the extension cannot be read.
    Unreadable,
    /// A name with a NUL, a space or anything else that two readers could see differently (CVE-2026-47778).
    Odd,
    /// No name of the kind that is asked for.
    Missing,
    /// More than one name of that kind: which one is meant cannot be known.
    Several,
    /// A URI that is no SPIFFE ID.
    NotSpiffe,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameFault::Unreadable => "the certificate's names cannot be read",
            NameFault::Odd => "a name in the certificate can be read in two ways",
            NameFault::Missing => "the certificate has no name of the kind that says who the client is",
            NameFault::Several => "the certificate has several names of the kind that says who the client is",
            NameFault::NotSpiffe => "the certificate's URI is no SPIFFE ID",
        })
    }
}

impl ClientNames {
    /// The names of a leaf.
    ///
    /// # Errors
    /// Where one of them, of whatever kind, could be read in two ways.
    pub fn of(leaf: &CertificateDer<'_>) -> Result<Self, NameFault> {
        let (rest, parsed) = X509Certificate::from_der(leaf).map_err(|_| NameFault::Unreadable)?;
        if !rest.is_empty() {
            return Err(NameFault::Unreadable);
        }
        let not_after = parsed.validity().not_after.timestamp();
        let mut names = Self { uris: Vec::new(), hosts: Vec::new(), mails: Vec::new(), not_after };
        let Some(extension) = parsed.subject_alternative_name().map_err(|_| NameFault::Unreadable)? else {
            return Ok(names);
        };
        for name in &extension.value.general_names {
            match name {
                GeneralName::URI(text) => names.uris.push(plain(text)?),
                GeneralName::DNSName(text) => names.hosts.push(plain(text)?.to_ascii_lowercase()),
                GeneralName::RFC822Name(text) => names.mails.push(plain(text)?),
                GeneralName::Invalid(..) => return Err(NameFault::Odd),
                // Addresses, directory names and the like name nobody here.
                _ => {}
            }
        }
        Ok(names)
    }

    /// The last second of the certificate's time, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The one name of this kind.
    ///
    /// # Errors
    /// None, several, or one that is not of its kind's form.
    pub fn the_one(&self, kind: NameKind) -> Result<&str, NameFault> {
        let names = match kind {
            NameKind::Spiffe | NameKind::Uri => &self.uris,
            NameKind::Dns => &self.hosts,
            NameKind::Email => &self.mails,
        };
        let name = match names.as_slice() {
            [] => return Err(NameFault::Missing),
            [name] => name,
            [_, _, ..] => return Err(NameFault::Several),
        };
        match (is_name(kind, name), kind) {
            (true, _) => Ok(name),
            (false, NameKind::Spiffe) => Err(NameFault::NotSpiffe),
            (false, NameKind::Dns | NameKind::Uri | NameKind::Email) => Err(NameFault::Odd),
        }
    }
}

/// Whether `text` has the form of a name of this kind, with one reading only; DNS names in lower case, no wildcards.
pub fn is_name(kind: NameKind, text: &str) -> bool {
    plain(text).is_ok()
        && match kind {
            NameKind::Spiffe => is_spiffe_id(text),
            NameKind::Dns => {
                !text.starts_with('*') && is_host_pattern(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
            }
            NameKind::Uri => text.contains(':'),
            NameKind::Email => text.matches('@').count() == 1,
        }
}

/// Visible ASCII of a sane length: everything else has a second reading somewhere.
fn plain(text: &str) -> Result<String, NameFault> {
    let fine = !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fine { Ok(text.to_owned()) } else { Err(NameFault::Odd) }
}

/// `spiffe://`, a trust domain, and a path of at least one segment (SPIFFE ID, section 2): no port, user, query,
/// fragment, escape, empty segment, dot segment or slash at the end.
fn is_spiffe_id(text: &str) -> bool {
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_segment = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(in_segment);
    text.len() <= MAX_NAME
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && path.split('/').all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{ClientName, DevCa, Validity};
    use rustls_pki_types::pem::PemObject as _;

    const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

    fn names(of: &[ClientName<'_>]) -> Result<ClientNames, NameFault> {
        let issued = DevCa::generate(VALID).unwrap().issue_client(of, VALID).unwrap();
        ClientNames::of(&CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap())
    }

    #[test]
    fn one_name_of_each_kind_is_found() {
        let found = names(&[
            ClientName::Uri("spiffe://clinic.example/devices/7"),
            ClientName::Dns("Kiosk.clinic.example"),
            ClientName::Email("ada@clinic.example"),
        ])
        .unwrap();
        assert_eq!(found.the_one(NameKind::Spiffe), Ok("spiffe://clinic.example/devices/7"));
        assert_eq!(found.the_one(NameKind::Uri), Ok("spiffe://clinic.example/devices/7"));
        assert_eq!(found.the_one(NameKind::Dns), Ok("kiosk.clinic.example"));
        assert_eq!(found.the_one(NameKind::Email), Ok("ada@clinic.example"));
        assert_eq!(found.not_after(), 4_000_000_000);
    }

    #[test]
    fn the_common_name_names_nobody_and_two_names_name_nobody() {
        let none = names(&[]).unwrap();
        for kind in [NameKind::Spiffe, NameKind::Dns, NameKind::Uri, NameKind::Email] {
            assert_eq!(none.the_one(kind), Err(NameFault::Missing));
        }
        let two = names(&[ClientName::Uri("spiffe://clinic.example/a"), ClientName::Uri("https://clinic.example/a")])
            .unwrap();
        assert_eq!(two.the_one(NameKind::Spiffe), Err(NameFault::Several));
        let wild = names(&[ClientName::Dns("*.clinic.example")]).unwrap();
        assert_eq!(wild.the_one(NameKind::Dns), Err(NameFault::Odd));
    }

    #[test]
    fn a_nul_or_a_space_in_any_name_makes_the_certificate_nobodys_cve_2026_47778() {
        for odd in
            ["spiffe://clinic.example/a\0.evil.example", "spiffe://clinic.example/a b", "spiffe://clinic.example/\r"]
        {
            assert_eq!(names(&[ClientName::Uri(odd)]), Err(NameFault::Odd), "{odd:?}");
        }
        let beside = [ClientName::Uri("spiffe://clinic.example/a"), ClientName::Dns("clinic.example\0.evil.example")];
        assert_eq!(names(&beside), Err(NameFault::Odd));
    }

    #[test]
    fn a_spiffe_id_has_one_form() {
        for good in ["spiffe://clinic.example/a", "spiffe://td_1.x-y/ns/billing/sa/Api.v2", "spiffe://c/a..b/..."] {
            assert!(is_spiffe_id(good), "{good}");
        }
        for bad in [
            "spiffe://clinic.example",
            "spiffe://clinic.example/",
            "spiffe:///a",
            "spiffe://clinic.example/a/",
            "spiffe://clinic.example//a",
            "spiffe://clinic.example/./a",
            "spiffe://clinic.example/a/../b",
            "spiffe://Clinic.example/a",
            "spiffe://clinic.example:8443/a",
            "spiffe://user@clinic.example/a",
            "spiffe://clinic.example/a?b",
            "spiffe://clinic.example/a#b",
            "spiffe://clinic.example/a%2fb",
            "SPIFFE://clinic.example/a",
            "https://clinic.example/a",
            "",
        ] {
            assert!(!is_spiffe_id(bad), "{bad}");
        }
    }
}
