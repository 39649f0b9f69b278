//! Opening sockets.
//!
//! Decides their options. A port that someone else holds is an error even where the kernel would let us share it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1_024;

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
pub(crate) fn single(address: SocketAddr) -> io::Result<TcpListener> {
    open(address, false)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
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
