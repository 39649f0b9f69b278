//! The server side: TLS 1.3 alone, and the choice of a certificate by the name that the client sends.
//!
//! Decides which certificate a client sees. Never decides whether a request may use it: where SNI and `Host`
//! disagree, the proxy answers 421.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::CertError;
use crate::pair::{CertifiedPair, wildcard_of};
use crate::provider::provider;

/// A configuration that serves `pairs`: TLS 1.3 only, X25519MLKEM768 preferred, ALPN `h2` then `http/1.1`, no early
/// data (a replay would be a second request), no client certificates.
///
/// A client that sends a name gets the certificate that names it exactly, else by a wildcard of one label, else none:
/// the handshake ends with an alert. A client that sends no name (an address, a probe) gets the first pair.
///
/// # Errors
/// No pair at all, or two pairs that name one host.
pub fn server_config(pairs: Vec<CertifiedPair>) -> Result<Arc<ServerConfig>, CertError> {
    let chosen = Chosen::new(&pairs)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|fault| CertError::Tls { detail: fault.to_string() })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(chosen));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
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
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, ServerConnection, version};

    use super::*;
    use crate::dev::{DevCa, Validity};
    use crate::{client_config, load_pair};

    const VALID: Validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };

    fn pair(ca: &DevCa, names: &[&str]) -> CertifiedPair {
        let issued = ca.issue(names, VALID).unwrap();
        load_pair(issued.cert_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap()
    }

    /// Carries bytes between the two until neither has any more, or one refuses.
    fn shake(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), rustls::Error> {
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            let judged = server.process_new_packets();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
            judged?;
        }
        Ok(())
    }

    fn connect(
        server: &Arc<ServerConfig>,
        client: ClientConfig,
        name: &str,
    ) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        shake(&mut client, &mut server)?;
        Ok((client, server))
    }

    fn trusting(ca: &DevCa) -> ClientConfig {
        ClientConfig::clone(&client_config(Some(ca.ca_pem().as_bytes())).unwrap())
    }

    #[test]
    fn tls_1_3_with_the_hybrid_group_and_the_best_protocol() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
        assert_eq!(config.max_early_data_size, 0);
        let mut client = trusting(&ca);
        client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        let (_, server) = connect(&config, client, "clinic.example").unwrap();
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
    }

    #[test]
    fn tls_1_2_is_refused() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(ca.ca_pem().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        assert!(connect(&config, client, "clinic.example").is_err());
    }

    #[test]
    fn a_protocol_that_we_do_not_speak_is_refused() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
        let mut client = trusting(&ca);
        client.alpn_protocols = vec![b"imap".to_vec()];
        assert!(connect(&config, client, "clinic.example").is_err());
    }

    #[test]
    fn the_name_picks_the_certificate() {
        let ca = DevCa::generate(VALID).unwrap();
        let pairs = vec![
            pair(&ca, &["first.example", "192.0.2.7"]),
            pair(&ca, &["*.clinic.example"]),
            pair(&ca, &["exact.clinic.example"]),
        ];
        let leaves: Vec<_> = pairs.iter().map(|pair| pair.key().cert[0].clone()).collect();
        let config = server_config(pairs).unwrap();
        for (name, expected) in [
            ("first.example", 0),
            ("any.clinic.example", 1),
            ("exact.clinic.example", 2),
            ("EXACT.clinic.example", 2),
            ("192.0.2.7", 0),
        ] {
            let (client, _) = connect(&config, trusting(&ca), name).unwrap();
            assert_eq!(client.peer_certificates().unwrap()[0], leaves[expected], "{name}");
        }
    }

    #[test]
    fn an_unknown_name_gets_no_certificate() {
        let ca = DevCa::generate(VALID).unwrap();
        let config = server_config(vec![pair(&ca, &["*.clinic.example"])]).unwrap();
        for name in ["other.example", "clinic.example", "a.b.clinic.example"] {
            let refused = connect(&config, trusting(&ca), name).unwrap_err();
            assert!(matches!(refused, rustls::Error::AlertReceived(_)), "{name}: {refused:?}");
        }
    }

    #[test]
    fn another_ca_is_not_believed() {
        let (ours, theirs) = (DevCa::generate(VALID).unwrap(), DevCa::generate(VALID).unwrap());
        let config = server_config(vec![pair(&theirs, &["clinic.example"])]).unwrap();
        let refused = connect(&config, trusting(&ours), "clinic.example").unwrap_err();
        assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused:?}");
    }

    #[test]
    fn pairs_must_be_there_and_distinct() {
        assert_eq!(server_config(Vec::new()).err(), Some(CertError::NoPairs));
        let ca = DevCa::generate(VALID).unwrap();
        let twice = vec![pair(&ca, &["a.example"]), pair(&ca, &["b.example", "A.example"])];
        let refused = server_config(twice).err();
        assert_eq!(refused, Some(CertError::DuplicateName { name: "a.example".to_owned() }));
    }
}
