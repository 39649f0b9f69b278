//! Where the application is, what is spoken to it, and how long the gate waits for it: compiled from the configuration.
//!
//! It decides nothing. Two ways are equal only where every connection of the one could have been one of the other: the
//! same address, the same protocol, the same trust, the same certificate of ours.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::trailers::TrailerRules;

/// Where the application is and how long the gate waits for it.
#[derive(Clone, Debug)]
pub struct AppTarget {
    /// The way to it.
    pub way: Arc<Way>,
    /// How long a connection may take: with the name's address and the TLS handshake, where there are any.
    pub connect: Duration,
    /// How long the head of an answer may take.
    pub response: Duration,
    /// How long nothing may move in a body.
    pub idle: Duration,
    /// Which trailers pass.
    pub trailers: TrailerRules,
}

/// A way to the application. A kept connection is used only for the way that it was opened for.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    /// Where it is.
    pub address: Address,
    /// What is spoken there.
    pub protocol: AppProtocol,
}

/// What the application speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppProtocol {
    /// HTTP/1.1: one request at a time on a connection.
    Http1,
    /// HTTP/2: by prior knowledge in clear, by ALPN over TLS.
    Http2,
}

/// Where the application is.
#[derive(Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP in clear, always loopback.
    Loopback(SocketAddr),
    /// TCP in clear to this port of 127.0.0.1, or of `::1` where nobody listens there.
    Localhost(u16),
    /// A unix socket of this machine.
    Unix(PathBuf),
    /// TLS to any host.
    Secure(Secure),
}

/// TLS to the application.
#[derive(Debug)]
pub struct Secure {
    /// The name or address that is connected to; a name is resolved for each connection.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that its certificate must be for.
    pub name: ServerName<'static>,
    /// Whom we believe, who we are, and what we want to speak.
    pub tls: Arc<ClientConfig>,
    /// SHA-256 over the files that `tls` was made from, to see whether another set is really another.
    pub files: [u8; 32],
}

impl PartialEq for Secure {
    fn eq(&self, other: &Self) -> bool {
        // Configurations of TLS cannot be compared; what they were made from can.
        self.host == other.host && self.port == other.port && self.name == other.name && self.files == other.files
    }
}

impl Eq for Secure {}
