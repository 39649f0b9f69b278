use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection, version};

use super::*;
use crate::dev::{DevCa, Validity};
use crate::{Refusal, client_config, load_pair, refusal};

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

/// A client that believes `ca` and speaks only these versions, suites and groups.
fn speaking(
    ca: &DevCa,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut rustls::crypto::CryptoProvider),
) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(ca.ca_pem().as_bytes()).unwrap()).unwrap();
    let mut spoken = rustls::crypto::aws_lc_rs::default_provider();
    change(&mut spoken);
    ClientConfig::builder_with_provider(Arc::new(spoken))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What the server says of a handshake that fails.
fn refused(server: &Arc<ServerConfig>, client: ClientConfig, name: &str) -> Refusal {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        if let Err(error) = server.process_new_packets() {
            return refusal(&error);
        }
        assert!(server.is_handshaking(), "it was accepted");
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        drop(client.process_new_packets());
    }
}

#[test]
fn tls_1_2_is_refused_unless_it_is_asked_for() {
    let ca = DevCa::generate(VALID).unwrap();
    let strict = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
    let old = || speaking(&ca, &[&version::TLS12], |_| {});
    assert_eq!(refused(&strict, old(), "clinic.example"), Refusal::OldVersion);
    let wide = gate_config(vec![pair(&ca, &["clinic.example"])], Minimum::Tls12, None).unwrap();
    let (_, server) = connect(&wide, old(), "clinic.example").unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let (_, server) = connect(&wide, trusting(&ca), "clinic.example").unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3), "who can, still speaks 1.3");
}

#[test]
fn whatever_1_2_offers_is_ephemeral_and_authenticated() {
    let suites = provider().cipher_suites.clone();
    let old: Vec<_> =
        suites.iter().filter(|one| one.tls13().is_none()).map(|one| format!("{:?}", one.suite())).collect();
    assert_eq!(old.len(), 6, "{old:?}");
    for suite in old {
        assert!(suite.starts_with("TLS_ECDHE_"), "{suite}");
        assert!(suite.contains("_GCM_") || suite.contains("_CHACHA20_POLY1305_"), "{suite}");
    }
}

#[test]
fn what_a_client_lacks_is_named() {
    let ca = DevCa::generate(VALID).unwrap();
    let config = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
    let group = rustls::crypto::aws_lc_rs::kx_group::MLKEM768;
    let odd = speaking(&ca, &[&version::TLS13], |spoken| spoken.kx_groups = vec![group]);
    assert_eq!(refused(&config, odd, "clinic.example"), Refusal::NothingInCommon);
    assert_eq!(refused(&config, trusting(&ca), "other.example"), Refusal::UnknownName);
    let mut mail = trusting(&ca);
    mail.alpn_protocols = vec![b"imap".to_vec()];
    assert_eq!(refused(&config, mail, "clinic.example"), Refusal::NoProtocol);
    let strangers = DevCa::generate(VALID).unwrap();
    assert_eq!(refused(&config, trusting(&strangers), "clinic.example"), Refusal::ByTheClient);
    let mut server = ServerConnection::new(config).unwrap();
    server.read_tls(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap();
    assert_eq!(refusal(&server.process_new_packets().unwrap_err()), Refusal::Malformed);
}

/// Shakes hands and carries what the server says after it, the tickets.
fn kind(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> HandshakeKind {
    let name = ServerName::try_from("clinic.example").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    shake(&mut client, &mut server).unwrap();
    let mut wire = Vec::new();
    server.write_tls(&mut wire).unwrap();
    client.read_tls(&mut wire.as_slice()).unwrap();
    client.process_new_packets().unwrap();
    server.handshake_kind().unwrap()
}

#[test]
fn a_session_is_resumed_by_its_own_configuration_only() {
    let ca = DevCa::generate(VALID).unwrap();
    let one = gate_config(vec![pair(&ca, &["clinic.example"])], Minimum::Tls12, None).unwrap();
    let other = gate_config(vec![pair(&ca, &["clinic.example"])], Minimum::Tls12, None).unwrap();
    for versions in [&[&version::TLS13], &[&version::TLS12]] {
        let client = Arc::new(speaking(&ca, versions, |_| {}));
        assert_eq!(kind(&one, &client), HandshakeKind::Full);
        assert_eq!(kind(&one, &client), HandshakeKind::Resumed);
        assert_eq!(kind(&other, &client), HandshakeKind::Full, "a ticket of another configuration");
    }
    assert!(!one.session_storage.can_cache(), "sessions take up no memory here");
}

#[test]
fn early_data_is_never_taken() {
    let ca = DevCa::generate(VALID).unwrap();
    let config = server_config(vec![pair(&ca, &["clinic.example"])]).unwrap();
    let mut client = trusting(&ca);
    client.enable_early_data = true;
    let client = Arc::new(client);
    assert_eq!(kind(&config, &client), HandshakeKind::Full);
    let name = ServerName::try_from("clinic.example").unwrap();
    let mut again = ClientConnection::new(client, name).unwrap();
    assert!(again.early_data().is_none(), "no ticket allows it");
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
