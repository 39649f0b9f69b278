//! Why a handshake ended early, as far as the one who runs the gate can do something about it.
//!
//! Decides the kind of an error of the TLS library. Never holds anything that the client sent.

use rustls::{Error, PeerIncompatible};

use crate::clients::ClientFault;

/// Why a handshake ended early.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// The client speaks only versions of TLS that are older than the oldest allowed.
    OldVersion,
    /// The client has no cipher suite, group or signature scheme that we take.
    NothingInCommon,
    /// The client speaks TLS 1.2 without the extended master secret (RFC 7627).
    NoExtendedMasterSecret,
    /// The client speaks none of `h2` and `http/1.1`.
    NoProtocol,
    /// The client asked for a name that no certificate is for.
    UnknownName,
    /// The client showed no certificate where one is required.
    NoCertificate,
    /// The client showed a certificate that is not believed.
    BadCertificate(ClientFault),
    /// The client ended it with an alert: most often it does not believe our certificate.
    ByTheClient,
    /// What came is no TLS, or broken.
    Malformed,
}

/// The kind of an error that ended a handshake of a server.
pub fn refusal(error: &Error) -> Refusal {
    match error {
        Error::PeerIncompatible(why) => incompatible(why),
        Error::NoApplicationProtocol => Refusal::NoProtocol,
        Error::NoCertificatesPresented => Refusal::NoCertificate,
        Error::InvalidCertificate(fault) => Refusal::BadCertificate(ClientFault::of(fault)),
        Error::AlertReceived(_) => Refusal::ByTheClient,
        // The library has no kind of its own for it; a test holds it to these words.
        Error::General(text) if text.starts_with("no server certificate chain") => Refusal::UnknownName,
        _ => Refusal::Malformed,
    }
}

fn incompatible(why: &PeerIncompatible) -> Refusal {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Refusal::OldVersion,
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => Refusal::NoExtendedMasterSecret,
        _ => Refusal::NothingInCommon,
    }
}
