//! Who a client's certificate says it is: from the certificate of a connection to a [`policy::Principal`].
//!
//! Decides whether the certificate is believed at this moment, and which caller its name stands for. The handshake has
//! proved that the client holds the key; a believed certificate is judged anew (its signatures, its time, the lists of
//! revoked ones) when the authorities or lists change, and every minute on a connection that is in use. So a request costs
//! no signature, and a revoked certificate ends an open connection's rights too. Never looks at the common name, and
//! never at a header.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use certs::{ClientFault, ClientNames, ClientTrust, NameFault, NameKind};
use policy::{Bindings, Factors, Principal, SignIn, TenantId};
use rustls_pki_types::CertificateDer;

/// For how long a certificate is believed without a new look, in seconds.
const BELIEVED_S: u64 = 60;

/// The certificate that a client has shown. It is kept as long as its connection: some KiB, at most 64.
#[derive(Debug)]
pub struct Presented {
    chain: Vec<CertificateDer<'static>>,
    names: Result<ClientNames, NameFault>,
    judged: ArcSwapOption<Judged>,
}

/// What was found the last time.
#[derive(Debug)]
struct Judged {
    trust: Arc<ClientTrust>,
    at: u64,
    verdict: Result<(), ClientFault>,
}

impl Presented {
    /// A chain, leaf first.
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        let names = chain.first().map_or(Err(NameFault::Unreadable), ClientNames::of);
        Self { chain, names, judged: ArcSwapOption::empty() }
    }

    /// Notes that a full handshake has just judged it by `trust`.
    pub(crate) fn believed(&self, trust: Arc<ClientTrust>, now: u64) {
        self.judged.store(Some(Arc::new(Judged { trust, at: now, verdict: Ok(()) })));
    }

    /// Whether it is believed by `trust` at `now` (Unix seconds).
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn judge(&self, trust: &Arc<ClientTrust>, now: u64) -> Result<(), ClientFault> {
        let ended = |names: &ClientNames| i64::try_from(now).map_or(true, |now| now > names.not_after());
        if self.names.as_ref().is_ok_and(ended) {
            return Err(ClientFault::Expired);
        }
        if let Some(last) = self.judged.load().as_ref()
            && Arc::ptr_eq(&last.trust, trust)
            && (last.at..last.at.saturating_add(BELIEVED_S)).contains(&now)
        {
            return last.verdict;
        }
        let verdict = trust.judge(&self.chain, now);
        self.judged.store(Some(Arc::new(Judged { trust: Arc::clone(trust), at: now, verdict })));
        verdict
    }
}

/// Why a certificate proves nobody. `Display` is for the log and holds nothing of the certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateFault {
    /// It is not believed.
    Judged(ClientFault),
    /// It names nobody in one way only.
    Name(NameFault),
    /// The configuration has no caller of its name.
    Stranger,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateFault::Judged(fault) => fault.fmt(f),
            CertificateFault::Name(fault) => fault.fmt(f),
            CertificateFault::Stranger => f.write_str("the certificate's name is none of `callers`"),
        }
    }
}

/// Which names stand for which callers: the provider of those who show a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Callers {
    name: String,
    issuer: Arc<str>,
    kind: NameKind,
    listed: BTreeMap<NamePattern, Grant>,
}

/// What a caller has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The tenant that it acts for.
    pub tenant: TenantId,
    /// Its roles there.
    pub roles: Vec<String>,
}

/// Which names are meant. An exact one goes before a pattern, and a longer pattern before a shorter one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// A SPIFFE ID and all below it (`…/**`), held without the end.
    Below(String),
    /// The hosts that are one label longer (`*.…`), held with the dot and without the star.
    Label(String),
}

impl NamePattern {
    /// How exactly it fits `name`; `None` where it does not.
    fn fits(&self, name: &str) -> Option<usize> {
        let fits = match self {
            NamePattern::Exact(one) => one == name,
            NamePattern::Below(top) => {
                name.strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            NamePattern::Label(end) => name
                .split_once('.')
                .is_some_and(|(label, _)| !label.is_empty() && name.get(label.len()..).is_some_and(|rest| rest == end)),
        };
        fits.then_some(match self {
            NamePattern::Exact(_) => usize::MAX,
            NamePattern::Below(text) | NamePattern::Label(text) => text.len(),
        })
    }
}

impl Callers {
    /// Callers of the provider `name`, told by names of `kind`.
    pub fn new(name: String, kind: NameKind, listed: BTreeMap<NamePattern, Grant>) -> Self {
        Self { issuer: Self::issuer_of(&name).into(), name, kind, listed }
    }

    /// What stands for `iss` in their principals.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What stands for `iss` in a principal of the provider `name`.
    pub fn issuer_of(name: &str) -> String {
        format!("certificate:{name}")
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The caller of a certificate that is believed.
    ///
    /// # Errors
    /// Where it names nobody, or nobody that is listed.
    pub(crate) fn principal(&self, certificate: &Presented) -> Result<Principal, CertificateFault> {
        let names = certificate.names.as_ref().map_err(|fault| CertificateFault::Name(*fault))?;
        let subject = names.the_one(self.kind).map_err(CertificateFault::Name)?;
        let fitting = self.listed.iter().filter_map(|(pattern, grant)| Some((pattern.fits(subject)?, grant)));
        let (_, grant) = fitting.max_by_key(|(exactly, _)| *exactly).ok_or(CertificateFault::Stranger)?;
        Ok(Principal {
            issuer: self.issuer.clone(),
            provider: self.name.clone(),
            subject: subject.into(),
            client: None,
            bindings: Bindings::one(Some(grant.tenant.clone()), grant.roles.clone()),
            claims: BTreeMap::new(),
            // A key that a machine holds says nothing about a person.
            factors: Factors::default(),
            sign_in: SignIn::default(),
        })
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
