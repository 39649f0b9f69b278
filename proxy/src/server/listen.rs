//! Opening sockets.
//!
//! Decides their options. A port that someone else holds is an error even where the kernel would let us share it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1_024;
/// `EAFNOSUPPORT`: the system has no such family of addresses.
const NO_FAMILY: i32 = 97;

/// One listener per worker, all on one port: the kernel deals connections out to them.
///
/// # Errors
/// The system's.
pub(super) fn reuse_port(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Sharing is meant for our own workers only. Another process of the same user could share the port too, and take half
    // of the traffic, so the first bind is one that refuses that.
    drop(open(address, false)?);
    let mut listeners = vec![open(address, true)?];
    let taken = listeners.first().map_or(Ok(address), TcpListener::local_addr)?;
    for _ in 1..workers {
        listeners.push(open(taken, true)?);
    }
    Ok(listeners)
}

/// One listener.
///
/// # Errors
/// The system's.
pub(super) fn single(address: SocketAddr) -> io::Result<TcpListener> {
    open(address, false)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    open_at(address, shared).or_else(|error| match without_ipv6(address, &error) {
        Some(address) => open_at(address, shared),
        None => Err(error),
    })
}

/// What `[::]` stands for on a machine that has no IPv6: every address of IPv4. Any other address of IPv6 is an error there.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let all = address.is_ipv6() && address.ip().is_unspecified();
    (all && error.raw_os_error() == Some(NO_FAMILY))
        .then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
}

fn open_at(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 as well, whatever the machine's default.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A unix socket that only our user can open. A socket that a dead process left behind is removed first.
///
/// # Errors
/// The system's; `AddrInUse` where somebody answers on it.
pub(super) fn unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match std::fs::symlink_metadata(path) {
        Ok(about) if std::os::unix::fs::FileTypeExt::is_socket(&about.file_type()) => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has this name")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ipv6_every_address_is_one_of_ipv4() {
        let chosen = |address: &str, error| {
            let chosen = without_ipv6(address.parse().unwrap(), &io::Error::from_raw_os_error(error));
            chosen.map(|address| address.to_string())
        };
        assert_eq!(chosen("[::]:8443", NO_FAMILY).as_deref(), Some("0.0.0.0:8443"));
        for (address, error) in
            [("[::]:8443", 98), ("[::]:8443", 13), ("[::1]:8443", NO_FAMILY), ("0.0.0.0:8443", NO_FAMILY)]
        {
            assert_eq!(chosen(address, error), None, "{address} {error}");
        }
    }

    #[test]
    fn every_address_takes_both_families() {
        let listener = single("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "::1"] {
            assert!(std::net::TcpStream::connect((address, port)).is_ok(), "{address}");
        }
    }
}
