use certs::dev::{ClientName, DevCa, IssuedPair, Validity};
use rustls_pki_types::pem::PemObject as _;

use super::*;

const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };
const NOW: u64 = 1_800_000_000;

fn presented(pair: &IssuedPair) -> Presented {
    Presented::new(vec![CertificateDer::from_pem_slice(pair.cert_pem.as_bytes()).unwrap()])
}

fn trust(ca: &DevCa, crl: Option<&str>) -> Arc<ClientTrust> {
    Arc::new(ClientTrust::new(ca.ca_pem().as_bytes(), crl.map(str::as_bytes), false).unwrap())
}

fn grant(tenant: &str) -> Grant {
    Grant { tenant: TenantId::parse(tenant).unwrap(), roles: vec!["device".to_owned()] }
}

#[test]
fn a_verdict_holds_for_a_minute_and_for_one_trust() {
    let ca = DevCa::generate(VALID).unwrap();
    let pair = ca.issue_client(&[ClientName::Dns("a.example")], VALID).unwrap();
    let (first, certificate) = (trust(&ca, None), presented(&pair));
    assert_eq!(certificate.judge(&first, NOW), Ok(()));
    let kept = certificate.judged.load_full().unwrap();
    assert_eq!(certificate.judge(&first, NOW + 59), Ok(()));
    assert!(Arc::ptr_eq(&kept, &certificate.judged.load_full().unwrap()), "it was not judged again");
    assert_eq!(certificate.judge(&first, NOW + 60), Ok(()));
    assert!(!Arc::ptr_eq(&kept, &certificate.judged.load_full().unwrap()));
    let crl = ca.revoke(&[&pair], VALID).unwrap();
    let revoking = trust(&ca, Some(&crl));
    assert_eq!(certificate.judge(&revoking, NOW + 61), Err(ClientFault::Revoked));
    assert_eq!(certificate.judge(&revoking, NOW + 62), Err(ClientFault::Revoked));
}

#[test]
fn it_ends_in_the_second_in_which_its_time_does_and_with_the_list() {
    let ca = DevCa::generate(VALID).unwrap();
    let ends = Validity { not_before: NOW - 10, not_after: NOW + 30 };
    let pair = ca.issue_client(&[ClientName::Dns("a.example")], ends).unwrap();
    let (plain, certificate) = (trust(&ca, None), presented(&pair));
    assert_eq!(certificate.judge(&plain, NOW + 30), Ok(()));
    assert_eq!(certificate.judge(&plain, NOW + 31), Err(ClientFault::Expired));
    let lasting = presented(&ca.issue_client(&[ClientName::Dns("a.example")], VALID).unwrap());
    let listed = trust(&ca, Some(&ca.revoke(&[], ends).unwrap()));
    assert_eq!(lasting.judge(&listed, NOW + 1), Ok(()));
    assert_eq!(lasting.judge(&listed, NOW + 61), Err(ClientFault::OldRevocations));
}

#[test]
fn the_most_exact_name_counts() {
    let text = str::to_owned;
    let listed = BTreeMap::from([
        (NamePattern::Below(text("spiffe://c.example")), grant("any")),
        (NamePattern::Below(text("spiffe://c.example/devices")), grant("devices")),
        (NamePattern::Exact(text("spiffe://c.example/devices/7")), grant("seven")),
    ]);
    let callers = Callers::new("machines".to_owned(), NameKind::Spiffe, listed);
    let ca = DevCa::generate(VALID).unwrap();
    let tenant = |id: &str| {
        let pair = ca.issue_client(&[ClientName::Uri(id)], VALID).unwrap();
        callers.principal(&presented(&pair)).map(|one| one.bindings.only().unwrap().tenant().to_string())
    };
    assert_eq!(tenant("spiffe://c.example/devices/7").as_deref(), Ok("seven"));
    assert_eq!(tenant("spiffe://c.example/devices/70").as_deref(), Ok("devices"));
    assert_eq!(tenant("spiffe://c.example/devices").as_deref(), Ok("devices"));
    assert_eq!(tenant("spiffe://c.example/devicesx").as_deref(), Ok("any"));
    assert_eq!(tenant("spiffe://c.example.evil/devices/7"), Err(CertificateFault::Stranger));
    assert_eq!(tenant("https://c.example/devices/7"), Err(CertificateFault::Name(NameFault::NotSpiffe)));
}

#[test]
fn a_star_stands_for_one_label() {
    let star = NamePattern::Label(".devices.example".to_owned());
    for name in ["a.devices.example", "b.devices.example"] {
        assert!(star.fits(name).is_some(), "{name}");
    }
    for name in ["devices.example", ".devices.example", "a.b.devices.example", "a.devices.example.evil", "a"] {
        assert!(star.fits(name).is_none(), "{name}");
    }
}

#[test]
fn a_principal_of_a_certificate_has_no_factors_and_no_claims() {
    let listed = BTreeMap::from([(NamePattern::Exact("ada@c.example".to_owned()), grant("a"))]);
    let callers = Callers::new("people".to_owned(), NameKind::Email, listed);
    let ca = DevCa::generate(VALID).unwrap();
    let pair = ca.issue_client(&[ClientName::Email("ada@c.example")], VALID).unwrap();
    let found = callers.principal(&presented(&pair)).unwrap();
    assert_eq!((&*found.issuer, found.provider.as_str()), ("certificate:people", "people"));
    let roles = found.bindings.only().map(policy::Binding::roles).unwrap_or_default();
    assert_eq!((&*found.subject, roles), ("ada@c.example", &["device".to_owned()][..]));
    assert_eq!((found.factors, found.claims.len()), (Factors::default(), 0));
}
