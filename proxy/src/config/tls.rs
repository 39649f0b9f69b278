//! `tls`: the certificates that clients are shown. As written, and compiled.
//!
//! Decides whether certificate and key belong together, and refuses what a client could not verify.

use policy::{Diagnostic, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::raw::RawConfig;
use crate::runtime::{CertificateNote, Shown};

/// The certificates that the gate shows.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// Where the certificates and keys are; SNI picks one, and the first is shown to a client that sends no name.
    pub certificates: Vec<RawCertificate>,
}

/// One certificate with its key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCertificate {
    /// A folder with `tls.crt` (the chain, leaf first) and `tls.key`, as a Kubernetes TLS secret is mounted.
    pub directory: Spanned<String>,
}

pub(super) fn certificates(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<Shown> {
    let mut pairs = Vec::new();
    let mut notes = Vec::new();
    for written in &config.tls.certificates {
        let span = written.directory.span;
        let folder = faults.base.join(&written.directory.value);
        let chain = faults.file_at(&folder.join("tls.crt"), span);
        let key = faults.file_at(&folder.join("tls.key"), span);
        let (Some(chain), Some(key)) = (chain, key) else { continue };
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
    let span = config.tls.certificates.last().map(|last| last.directory.span);
    if pairs.len() < config.tls.certificates.len() {
        return None;
    }
    match (certs::server_config(pairs), span) {
        (Ok(tls), _) => Some(Shown { tls, certificates: notes }),
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
