//! A new connection to the application: TCP on loopback, a unix socket, or TLS to any host.
//!
//! Decides what counts as a connection: within the time limit, over TLS with a verified certificate, and with the protocol
//! that was configured. It never falls back to another protocol, to less trust, or to another address than the two of
//! `localhost`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsFault};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::target::{Address, AppProtocol, AppTarget, Secure};
use crate::rejection::Rejection;

/// When the kernel asks a silent peer on another machine whether it still lives, how often, and how many times in vain.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreachable {
    /// It cannot be reached, or not be trusted.
    Down(&'static str),
    /// It is there, and speaks something else.
    Invalid(&'static str),
    /// There are as many connections as there may be.
    Full,
}

impl From<Unreachable> for Rejection {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Down(why) => Rejection::AppDown(why),
            Unreachable::Invalid(why) => Rejection::AppInvalid(why),
            Unreachable::Full => Rejection::Overloaded,
        }
    }
}

/// Connects, within the limit for it.
pub(super) async fn connect(target: &AppTarget) -> Result<Socket, Unreachable> {
    let connecting = async {
        match &target.way.address {
            Address::Loopback(address) => plain(TcpStream::connect(address).await),
            // No byte of a request was sent yet, and both are this machine. Many servers listen on one of the two alone.
            Address::Localhost(port) => plain(match TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await {
                Ok(stream) => Ok(stream),
                Err(_) => TcpStream::connect((Ipv6Addr::LOCALHOST, *port)).await,
            }),
            Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix).map_err(no_socket),
            Address::Secure(secure) => handshake(secure, target.way.protocol).await,
        }
    };
    match timeout(target.connect, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(Unreachable::Down("the application did not take the connection in time")),
    }
}

fn plain(connected: io::Result<TcpStream>) -> Result<Socket, Unreachable> {
    let stream = connected.map_err(refused)?;
    stream.set_nodelay(true).map_err(broke)?;
    Ok(Socket::Tcp(stream))
}

async fn handshake(secure: &Secure, protocol: AppProtocol) -> Result<Socket, Unreachable> {
    let stream = TcpStream::connect((secure.host.as_str(), secure.port)).await.map_err(|error| {
        // What the resolver says has no kind of its own.
        match error.kind() {
            io::ErrorKind::ConnectionRefused => refused(error),
            _ => Unreachable::Down("the application's host cannot be found or reached"),
        }
    })?;
    stream.set_nodelay(true).map_err(broke)?;
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY).with_retries(PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&probes).map_err(broke)?;
    let connector = TlsConnector::from(Arc::clone(&secure.tls));
    let stream = connector.connect(secure.name.clone(), stream).await.map_err(|error| {
        tls_fault(&error).unwrap_or(Unreachable::Down("the application broke the TLS handshake off"))
    })?;
    let (_, session) = stream.get_ref();
    match (protocol, session.alpn_protocol()) {
        (AppProtocol::Http2, Some(b"h2")) | (AppProtocol::Http1, None | Some(b"http/1.1")) => {
            Ok(Socket::Tls(Box::new(stream)))
        }
        (AppProtocol::Http2, _) => Err(Unreachable::Invalid("the application offers no HTTP/2 (ALPN)")),
        (AppProtocol::Http1, Some(_)) => Err(Unreachable::Invalid("the application offers no HTTP/1.1 (ALPN)")),
    }
}

fn refused(_: io::Error) -> Unreachable {
    Unreachable::Down("the application refuses connections")
}

fn broke(_: io::Error) -> Unreachable {
    Unreachable::Down("the connection broke at once")
}

fn no_socket(error: io::Error) -> Unreachable {
    Unreachable::Down(match error.kind() {
        io::ErrorKind::NotFound => "the application's socket does not exist",
        io::ErrorKind::PermissionDenied => "the application's socket may not be opened by the gate's user",
        _ => "the application refuses connections",
    })
}

/// What TLS found wrong, in fixed words for the log; `None` where it was not TLS.
pub(super) fn tls_fault(error: &io::Error) -> Option<Unreachable> {
    let fault = error.get_ref()?.downcast_ref::<TlsFault>()?;
    Some(match fault {
        TlsFault::InvalidCertificate(fault) => Unreachable::Down(match fault {
            // Another authority of the same name shows as a signature that does not hold.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the application's certificate is of an authority that is not trusted"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the application's certificate is for another name"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the application's certificate has expired"
            }
            _ => "the application's certificate cannot be verified",
        }),
        TlsFault::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Unreachable::Invalid("the application does not offer the configured protocol (ALPN)")
        }
        TlsFault::AlertReceived(AlertDescription::CertificateRequired) => {
            Unreachable::Down("the application demands a client certificate")
        }
        TlsFault::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError,
        ) => Unreachable::Down("the application does not take the gate's client certificate"),
        _ => Unreachable::Down("no TLS connection to the application"),
    })
}

/// A connection to the application, whatever it is made of.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Calls a method of whatever is inside.
macro_rules! inside {
    ($self:expr, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
            Socket::Tls($socket) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        inside!(self, socket => Pin::new(socket).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        inside!(self, socket => Pin::new(socket).poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inside!(self, socket => Pin::new(socket).poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Tcp(socket) => socket.is_write_vectored(),
            Socket::Unix(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
