//! `tls.client_certificates`: whom we believe when clients show certificates, and which callers they are. As written, and
//! compiled.
//!
//! Decides what is unsafe: a name that could be read in two ways, callers of two trust domains under one bundle, a caller
//! without a tenant. What a certificate's name means hangs on who vouches for it, so both stand in one place.

use std::collections::BTreeMap;

use certs::{ClientTrust, NameKind};
use policy::{Span, Spanned, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::authn::{Callers, Grant, NamePattern, is_role};
use crate::config::compile::Faulty;
use crate::config::raw::RawConfig;
use crate::made_of::MadeOf;

/// The most callers that are listed.
const MOST_CALLERS: usize = 4_096;

/// The certificates that clients show.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawClientCertificates {
    /// Whether a client may come without one. `required`: the handshake fails without. One that is shown must be good in
    /// either case.
    #[serde(default)]
    pub mode: RawMode,
    /// A PEM file with the authorities that vouch for clients: at most 32, and 128 KiB.
    pub ca: Spanned<String>,
    /// A PEM file with the lists of revoked certificates (CRL) of these authorities and of those between: at most 64, and
    /// 2 MiB. Where it is named, each certificate of a chain must be spoken for by a list that is not past its
    /// `nextUpdate`. Left out: nothing is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<Spanned<String>>,
    /// Which callers the certificates prove. Left out: they open the connection and prove nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RawIdentity>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// It may.
    Optional,
    /// It has to.
    #[default]
    Required,
}

/// Who is who, by a name in the certificate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawIdentity {
    /// The provider's name in the log and the record; no name of `providers`.
    pub provider: Spanned<String>,
    /// Which kind of subject alternative name says who the client is. A certificate must have exactly one of it; the common
    /// name is never looked at.
    pub name: RawNameKind,
    /// The callers by their names. A SPIFFE ID that ends in `/**` stands for all below it, a DNS name that begins with `*.`
    /// for all that are one label longer; the most exact one counts. A name that fits none proves nobody.
    pub callers: BTreeMap<String, RawCaller>,
}

/// A kind of subject alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawNameKind {
    /// A SPIFFE ID, the one URI of an X509-SVID.
    Spiffe,
    /// A DNS name.
    Dns,
    /// A URI, compared as it stands.
    Uri,
    /// A mail address, compared as it stands.
    Email,
}

impl RawNameKind {
    fn plain(self) -> NameKind {
        match self {
            RawNameKind::Spiffe => NameKind::Spiffe,
            RawNameKind::Dns => NameKind::Dns,
            RawNameKind::Uri => NameKind::Uri,
            RawNameKind::Email => NameKind::Email,
        }
    }
}

/// What a caller has.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCaller {
    /// The tenant that it acts for.
    pub tenant: Spanned<String>,
    /// Its roles there. Left out: none.
    #[serde(default)]
    pub roles: Vec<Spanned<String>>,
}

/// Whom handshakes believe; what it is made of goes into `made_of`.
pub(super) fn trust(
    written: &RawClientCertificates,
    made_of: &mut MadeOf,
    faults: &mut Faulty<'_>,
) -> Option<ClientTrust> {
    let ca = faults.file(&written.ca);
    let crl = match &written.crl {
        Some(name) => Some(faults.file(name)?),
        None => None,
    };
    let ca = ca?;
    made_of.add(format!("{:?}", written.mode).as_bytes()).add(ca).add(crl.unwrap_or_default());
    match ClientTrust::new(ca, crl, written.mode == RawMode::Required) {
        Ok(trust) => Some(trust),
        Err(fault) => {
            let span = written.crl.as_ref().filter(|_| is_of_lists(&fault)).map_or(written.ca.span, |crl| crl.span);
            faults.at(span, "certificate", fault.to_string(), "`ca` and `crl` name files in PEM");
            None
        }
    }
}

fn is_of_lists(fault: &certs::CertError) -> bool {
    use certs::{CertError, Part};
    matches!(
        fault,
        CertError::NoRevocations
            | CertError::TooManyRevocations { .. }
            | CertError::BadRevocations { .. }
            | CertError::TooLarge { part: Part::Revocations, .. }
            | CertError::BadPem { part: Part::Revocations, .. }
    )
}

/// Who is who; `Some(None)` where nothing is said of it.
pub(in crate::config) fn callers(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<Option<Callers>> {
    let Some(identity) = config.tls.client_certificates.as_ref().and_then(|written| written.identity.as_ref()) else {
        return Some(None);
    };
    let before = faults.found.len();
    let name = &identity.provider;
    let issuer = Callers::issuer_of(&name.value);
    let taken = |(other, raw): (&String, &crate::config::providers::raw::RawProvider)| {
        *other == name.value || raw.issuer.value == issuer
    };
    if config.providers.iter().any(taken) {
        let message = format!("`{}` is a provider of tokens already", name.value);
        faults.at(name.span, "provider", message, "a principal is of one provider: give this one its own name");
    }
    if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        faults.at(name.span, "provider", "this is no name for a provider", "use 1 to 64 visible characters");
    }
    if identity.callers.is_empty() || identity.callers.len() > MOST_CALLERS {
        let message = format!("`callers` has {} entries, and may have 1 to {MOST_CALLERS}", identity.callers.len());
        faults.at(name.span, "provider", message, "leave `identity` out where certificates prove nobody");
    }
    let kind = identity.name.plain();
    let mut listed = BTreeMap::new();
    let mut domain = None;
    for (written, caller) in &identity.callers {
        let span = caller.tenant.span;
        match pattern(kind, written) {
            Some(pattern) => {
                same_domain(&pattern, kind, &mut domain, span, faults);
                listed.extend(grant(caller, faults).map(|grant| (pattern, grant)));
            }
            None => {
                let hint = match kind {
                    NameKind::Spiffe => {
                        "write `spiffe://clinic.example/devices/7` or `spiffe://clinic.example/devices/**`"
                    }
                    NameKind::Dns => "write `kiosk.clinic.example` or `*.devices.clinic.example`, in lower case",
                    NameKind::Uri => "write the URI as the certificate has it",
                    NameKind::Email => "write the address as the certificate has it",
                };
                faults.at(span, "provider", format!("`{}` is no name of this kind", written.escape_default()), hint);
            }
        }
    }
    let fine = !faults.found.iter().skip(before).any(policy::Diagnostic::is_error);
    fine.then(|| Some(Callers::new(name.value.clone(), kind, listed)))
}

/// One bundle vouches for one trust domain: an authority of one could otherwise speak for another.
fn same_domain(
    pattern: &NamePattern,
    kind: NameKind,
    domain: &mut Option<String>,
    span: Span,
    faults: &mut Faulty<'_>,
) {
    let (NameKind::Spiffe, NamePattern::Exact(id) | NamePattern::Below(id)) = (kind, pattern) else { return };
    let own = id.split('/').nth(2).unwrap_or_default();
    let first = domain.get_or_insert_with(|| own.to_owned());
    if first != own {
        let message = format!("`{own}` is another trust domain than `{first}`, and one `ca` vouches for both");
        faults.at(span, "provider", message, "give each trust domain a gate of its own");
    }
}

fn pattern(kind: NameKind, written: &str) -> Option<NamePattern> {
    let below = written.strip_suffix("/**");
    let wild = written.strip_prefix("*.");
    match (kind, below, wild) {
        // `x` stands for a segment: a trust domain alone is no SPIFFE ID of anyone.
        (NameKind::Spiffe, Some(top), _) => {
            certs::is_name(kind, &format!("{top}/x")).then(|| NamePattern::Below(top.to_owned()))
        }
        (NameKind::Dns, _, Some(rest)) => {
            (certs::is_name(kind, rest) && rest.contains('.')).then(|| NamePattern::Label(format!(".{rest}")))
        }
        (NameKind::Spiffe | NameKind::Dns | NameKind::Uri | NameKind::Email, _, _) => {
            certs::is_name(kind, written).then(|| NamePattern::Exact(written.to_owned()))
        }
    }
}

fn grant(caller: &RawCaller, faults: &mut Faulty<'_>) -> Option<Grant> {
    for role in caller.roles.iter().filter(|role| !is_role(&role.value)) {
        let hint = "use the names of your policies: 1 to 128 characters, without commas";
        faults.at(role.span, "provider", format!("`{}` is no name for a role", role.value.escape_default()), hint);
    }
    let tenant = TenantId::parse(&caller.tenant.value);
    if tenant.is_none() {
        let hint = "use 1 to 128 letters, digits and `- . _ : @ |`";
        faults.at(caller.tenant.span, "tenant", format!("`{}` is no name for a tenant", caller.tenant.value), hint);
    }
    Some(Grant { tenant: tenant?, roles: caller.roles.iter().map(|role| role.value.clone()).collect() })
}
