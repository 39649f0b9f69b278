//! The server side: which TLS is spoken, and the choice of a certificate by the name that the client sends.
//!
//! Decides which certificate a client sees, and whether it must show one itself. Never decides whether a request may
//! use it: where SNI and `Host` disagree, the proxy answers 421.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::clients::ClientTrust;
use crate::error::CertError;
use crate::pair::{CertifiedPair, wildcard_of};
use crate::provider::provider;

static NEWEST: [&SupportedProtocolVersion; 1] = [&version::TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// The oldest TLS that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Minimum {
    /// TLS 1.2 with ECDHE, an AEAD and the extended master secret (RFC 7627), beside TLS 1.3.
    Tls12,
    /// TLS 1.3 alone.
    #[default]
    Tls13,
}

impl Minimum {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Minimum::Tls12 => &BOTH,
            Minimum::Tls13 => &NEWEST,
        }
    }
}

/// A configuration that serves `pairs` with TLS 1.3 alone and asks for no client certificate; see [`gate_config`].
///
/// # Errors
/// As [`gate_config`].
pub fn server_config(pairs: Vec<CertifiedPair>) -> Result<Arc<ServerConfig>, CertError> {
    gate_config(pairs, Minimum::Tls13, None)
}

/// A configuration that serves `pairs`: X25519MLKEM768 preferred, ALPN `h2` then `http/1.1`, no early data (a replay
/// would be a second request), and clients judged by `trust` where it is given.
///
/// A client that sends a name gets the certificate that names it exactly, else by a wildcard of one label, else none:
/// the handshake ends with an alert. A client that sends no name (an address, a probe) gets the first pair.
///
/// Sessions are resumed by tickets (RFC 5077, RFC 8446 section 4.6.1): they are encrypted with a key of this
/// configuration alone that is exchanged every six hours and opens a ticket for twelve at most, so they take up no
/// memory here, and no ticket is taken by another configuration, such as one with another `trust`.
///
/// # Errors
/// No pair at all, two pairs that name one host, or no randomness for the tickets' key.
pub fn gate_config(
    pairs: Vec<CertifiedPair>,
    minimum: Minimum,
    trust: Option<&ClientTrust>,
) -> Result<Arc<ServerConfig>, CertError> {
    let refused = |fault: rustls::Error| CertError::Tls { detail: fault.to_string() };
    let chosen = Chosen::new(&pairs)?;
    let verifier = trust.map_or_else(WebPkiClientVerifier::no_client_auth, ClientTrust::verifier);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(minimum.versions())
        .map_err(refused)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(chosen));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.require_ems = true;
    // INVARIANT: made anew with each configuration. Resumption skips the client's authentication, so a ticket must never
    // be taken under another trust than the one that it was given under.
    config.ticketer = Ticketer::new().map_err(refused)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The pairs by name. The map is as large as the configured certificates' names; no client can add to it.
#[derive(Debug)]
struct Chosen {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    unnamed: Arc<CertifiedKey>,
}

impl Chosen {
    fn new(pairs: &[CertifiedPair]) -> Result<Self, CertError> {
        let unnamed = Arc::clone(pairs.first().ok_or(CertError::NoPairs)?.key());
        let mut by_name = HashMap::new();
        for pair in pairs {
            for name in pair.names() {
                if by_name.insert(name.to_owned(), Arc::clone(pair.key())).is_some() {
                    return Err(CertError::DuplicateName { name: name.to_owned() });
                }
            }
        }
        Ok(Self { by_name, unnamed })
    }

    /// ORDER: an exact name goes before a wildcard.
    fn for_name(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| self.by_name.get(&wildcard_of(&name)?))
    }
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) => self.for_name(name).map(Arc::clone),
            None => Some(Arc::clone(&self.unnamed)),
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
