//! `tls`: the certificates that clients are shown, the oldest TLS that is spoken, and the certificates that clients show.
//! As written, and compiled.
//!
//! Decides whether certificate and key belong together, and refuses what a client could not verify.

mod clients;

use std::sync::Arc;

use policy::{Diagnostic, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::raw::RawConfig;
use crate::made_of::MadeOf;
use crate::runtime::{CertificateNote, Shown};
use clients::RawClientCertificates;
pub(super) use clients::callers;

/// What clients see of TLS, and what they have to show.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// Where the certificates and keys are; SNI picks one, and the first is shown to a client that sends no name.
    pub certificates: Vec<RawCertificate>,
    /// The oldest TLS that is spoken: `"1.3"`, or `"1.2"` for clients that cannot do better (with ECDHE, an AEAD and the
    /// extended master secret).
    #[serde(default)]
    pub minimum: RawMinimum,
    /// The certificates that clients show. Left out: none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<RawClientCertificates>,
}

/// One certificate with its key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCertificate {
    /// A folder with `tls.crt` (the chain, leaf first) and `tls.key`, as a Kubernetes TLS secret is mounted.
    pub directory: Spanned<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RawMinimum {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

impl RawMinimum {
    fn plain(self) -> certs::Minimum {
        match self {
            RawMinimum::Tls12 => certs::Minimum::Tls12,
            RawMinimum::Tls13 => certs::Minimum::Tls13,
        }
    }
}

pub(super) fn certificates(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<Shown> {
    // Everything that handshakes go by.
    let mut made_of = MadeOf::begin();
    let mut pairs = Vec::new();
    let mut notes = Vec::new();
    for written in &config.tls.certificates {
        let span = written.directory.span;
        let folder = faults.base.join(&written.directory.value);
        let chain = faults.file_at(&folder.join("tls.crt"), span);
        let key = faults.file_at(&folder.join("tls.key"), span);
        let (Some(chain), Some(key)) = (chain, key) else { continue };
        made_of.add(chain).add(key);
        match certs::load_pair(chain, key) {
            Ok(pair) => {
                notes.push(CertificateNote {
                    names: pair.names().map(str::to_owned).collect(),
                    not_after: pair.not_after(),
                });
                pairs.push(pair);
            }
            Err(fault) => {
                faults.at(span, "certificate", fault.to_string(), "`anteroom dev certs` makes a pair to try with");
            }
        }
    }
    let trust = match &config.tls.client_certificates {
        Some(written) => Some(clients::trust(written, &mut made_of, faults)?),
        None => None,
    };
    let span = config.tls.certificates.last().map(|last| last.directory.span);
    if pairs.len() < config.tls.certificates.len() {
        return None;
    }
    let minimum = config.tls.minimum.plain();
    made_of.add(format!("{minimum:?}").as_bytes());
    match (certs::gate_config(pairs, minimum, trust.as_ref()), span) {
        (Ok(tls), _) => Some(Shown { tls, trust: trust.map(Arc::new), certificates: notes, digest: made_of.end() }),
        (Err(fault), Some(span)) => {
            faults.at(span, "certificate", fault.to_string(), "each name needs one certificate");
            None
        }
        (Err(_), None) => {
            let fault = Diagnostic::error("certificate", config.app.url.span, "`tls.certificates` is empty");
            faults.found.push(fault.help("name a folder with `tls.crt` and `tls.key`: `[{ directory: /tls }]`"));
            None
        }
    }
}
