use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::*;
use crate::dev::{ClientName, DevCa, IssuedPair, Validity};

const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };
const NOW: u64 = 1_800_000_000;
const DEVICE: ClientName<'_> = ClientName::Uri("spiffe://clinic.example/devices/7");

fn chain(pair: &IssuedPair) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pair.cert_pem.as_bytes()).map(Result::unwrap).collect()
}

fn trust(ca: &DevCa, crl: Option<&str>) -> ClientTrust {
    ClientTrust::new(ca.ca_pem().as_bytes(), crl.map(str::as_bytes), true).unwrap()
}

#[test]
fn what_the_authority_signs_for_clients_is_believed_while_it_lasts() {
    let ca = DevCa::generate(VALID).unwrap();
    let short = Validity { not_before: NOW - 10, not_after: NOW + 10 };
    let device = chain(&ca.issue_client(&[DEVICE], short).unwrap());
    let trust = trust(&ca, None);
    assert_eq!(trust.judge(&device, NOW), Ok(()));
    assert_eq!(trust.judge(&device, NOW + 11), Err(ClientFault::Expired));
    assert_eq!(trust.judge(&device, NOW - 11), Err(ClientFault::NotYet));
    assert_eq!(trust.judge(&[], NOW), Err(ClientFault::Unusable));
    let server = chain(&ca.issue(&["clinic.example"], VALID).unwrap());
    assert_eq!(trust.judge(&server, NOW), Err(ClientFault::Purpose));
    let other = chain(&DevCa::generate(VALID).unwrap().issue_client(&[DEVICE], VALID).unwrap());
    assert_ne!(trust.judge(&other, NOW), Ok(()));
}

#[test]
fn a_list_revokes_and_is_needed_and_grows_old() {
    let ca = DevCa::generate(VALID).unwrap();
    let (good, bad) = (ca.issue_client(&[DEVICE], VALID).unwrap(), ca.issue_client(&[DEVICE], VALID).unwrap());
    let until = Validity { not_before: NOW - 10, not_after: NOW + 100 };
    let listed = trust(&ca, Some(&ca.revoke(&[&bad], until).unwrap()));
    assert_eq!(listed.lists_until(), Some(1_800_000_100));
    assert_eq!(listed.judge(&chain(&good), NOW), Ok(()));
    assert_eq!(listed.judge(&chain(&bad), NOW), Err(ClientFault::Revoked));
    assert_eq!(listed.judge(&chain(&good), NOW + 101), Err(ClientFault::OldRevocations));
    let strangers = DevCa::generate(VALID).unwrap().revoke(&[], until).unwrap();
    let unlisted = trust(&ca, Some(&strangers)).judge(&chain(&good), NOW);
    assert!(unlisted.is_err(), "a list of another authority says nothing: {unlisted:?}");
}

/// An authority below another, which [`DevCa`] does not make.
fn authority(name: &str, above: Option<&Issuer<'_, KeyPair>>) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let made = match above {
        Some(above) => params.signed_by(&key, above).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (made.pem(), Issuer::new(params, key))
}

fn list(by: &Issuer<'_, KeyPair>) -> String {
    let at = |seconds: u64| time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap();
    let params = rcgen::CertificateRevocationListParams {
        this_update: at(NOW - 10),
        next_update: at(NOW + 100),
        crl_number: rcgen::SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    params.signed_by(by).unwrap().pem().unwrap()
}

#[test]
fn every_certificate_of_the_chain_needs_a_list() {
    let (root_pem, root) = authority("root", None);
    let (middle_pem, middle) = authority("middle", Some(&root));
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &middle).unwrap();
    let chain = chain(&IssuedPair { cert_pem: format!("{}{middle_pem}", leaf.pem()), key_pem: String::new() });
    let with = |lists: &str| ClientTrust::new(root_pem.as_bytes(), Some(lists.as_bytes()), true).unwrap();
    assert_eq!(with(&format!("{}{}", list(&root), list(&middle))).judge(&chain, NOW), Ok(()));
    for one in [list(&root), list(&middle)] {
        assert_eq!(with(&one).judge(&chain, NOW), Err(ClientFault::NoRevocations));
    }
}

#[test]
fn texts_that_are_no_trust_are_refused() {
    let ca = DevCa::generate(VALID).unwrap();
    let refused = |ca: &str, crl: Option<&str>| ClientTrust::new(ca.as_bytes(), crl.map(str::as_bytes), true).err();
    assert_eq!(refused("", None), Some(CertError::NoCertificate { part: Part::Bundle }));
    let leaf = ca.issue_client(&[DEVICE], VALID).unwrap();
    assert_eq!(refused(&leaf.cert_pem, None), Some(CertError::NotACa));
    assert_eq!(refused(ca.ca_pem(), Some("")), Some(CertError::NoRevocations));
    assert_eq!(refused(ca.ca_pem(), Some(ca.ca_pem())), Some(CertError::NoRevocations));
    let garbage = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    assert!(matches!(refused(ca.ca_pem(), Some(garbage)), Some(CertError::BadRevocations { index: 1, .. })));
    let long = "\n".repeat(MAX_REVOCATIONS + 1);
    let limit = MAX_REVOCATIONS;
    assert_eq!(refused(ca.ca_pem(), Some(&long)), Some(CertError::TooLarge { part: Part::Revocations, limit }));
}
