use policy::{Disagreement, Homeless, NotOwn, Place};

use super::*;
use crate::app_session::AppSessionFault;
use crate::authn::{CertificateFault, JsonFault, TokenPart};

/// The fault after this one; a new fault does not compile until it has its place here.
fn next_fault(one: &TokenFault) -> Option<TokenFault> {
    Some(match one {
        TokenFault::TooLong => TokenFault::Encrypted,
        TokenFault::Encrypted => TokenFault::Parts,
        TokenFault::Parts => TokenFault::Encoding(TokenPart::Header),
        TokenFault::Encoding(_) => TokenFault::Json(TokenPart::Payload, JsonFault::Syntax),
        TokenFault::Json(..) => TokenFault::Header("kid"),
        TokenFault::Header(_) => TokenFault::Critical,
        TokenFault::Critical => TokenFault::Algorithm,
        TokenFault::Algorithm => TokenFault::KeyAlgorithm,
        TokenFault::KeyAlgorithm => TokenFault::Type,
        TokenFault::Type => TokenFault::UnknownKey,
        TokenFault::UnknownKey => TokenFault::AmbiguousKey,
        TokenFault::AmbiguousKey => TokenFault::UnnamedKey,
        TokenFault::UnnamedKey => TokenFault::Signature,
        TokenFault::Signature => TokenFault::Issuer,
        TokenFault::Issuer => TokenFault::Audience,
        TokenFault::Audience => TokenFault::Claim("sub"),
        TokenFault::Claim(_) => TokenFault::Rule("a rule"),
        TokenFault::Rule(_) => TokenFault::Cookies("cookies"),
        TokenFault::Cookies(_) => TokenFault::Expired,
        TokenFault::Expired => TokenFault::NotYet,
        TokenFault::NotYet => TokenFault::IssuedLater,
        TokenFault::IssuedLater => TokenFault::NoKeys,
        TokenFault::NoKeys => TokenFault::Certificate(CertificateFault::Stranger),
        TokenFault::Certificate(_) => TokenFault::AppSession(AppSessionFault::Repeated),
        TokenFault::AppSession(AppSessionFault::Repeated) => TokenFault::AppSession(AppSessionFault::Unclear),
        TokenFault::AppSession(AppSessionFault::Unclear) => TokenFault::AppSession(AppSessionFault::Foreign),
        TokenFault::AppSession(AppSessionFault::Foreign) => TokenFault::AppSession(AppSessionFault::Unvouched("")),
        TokenFault::AppSession(AppSessionFault::Unvouched(_)) => TokenFault::Login(LoginFault::Unreadable),
        TokenFault::Login(LoginFault::Unreadable) => TokenFault::Login(LoginFault::Over),
        TokenFault::Login(LoginFault::Over) => TokenFault::Login(LoginFault::Stale),
        TokenFault::Login(_) => return None,
    })
}

fn next_denial(one: &Denial) -> Option<Denial> {
    Some(match one {
        Denial::NoCredential => Denial::NoTenant(Homeless::Unbound),
        Denial::NoTenant(_) => Denial::TenantMismatch(Disagreement::Other(Place::Claim)),
        Denial::TenantMismatch(_) => Denial::StepUp(StepUp { needed: Assurance::default(), lack: Lack::SecondFactor }),
        Denial::StepUp(_) => Denial::NotGranted { act: "records.read".into() },
        Denial::NotGranted { .. } => Denial::NotOwn(NotOwn::Unclear(Place::Claim)),
        Denial::NotOwn(_) => Denial::Condition { cause: None },
        Denial::Condition { .. } => return None,
    })
}

#[test]
fn every_rejection_is_on_the_list_with_its_status_and_its_text() {
    let faults = std::iter::successors(Some(TokenFault::TooLong), next_fault).map(Rejection::Token);
    let denials = std::iter::successors(Some(Denial::NoCredential), next_denial).map(Rejection::Denied);
    let others = std::iter::successors(Some(Rejection::BadFraming("")), next);
    let codes = codes();
    for rejection in others.chain(faults).chain(denials) {
        let entry = codes.iter().find(|entry| entry.code == rejection.code()).unwrap();
        assert!(entry.statuses.contains(&rejection.status().as_u16()), "{}", entry.code);
        assert_eq!(entry.meaning, rejection.public(), "{}", entry.code);
    }
}

#[test]
fn every_code_is_one_word_that_stands_once_with_a_remedy() {
    let mut seen = Vec::new();
    for entry in codes() {
        assert!(entry.code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{}", entry.code);
        assert!(entry.remedy.ends_with('.'), "{}", entry.code);
        assert!(!seen.contains(&entry.code), "{}", entry.code);
        seen.push(entry.code);
    }
    assert_eq!(seen.len(), 27);
}
