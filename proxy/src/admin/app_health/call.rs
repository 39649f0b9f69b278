//! A connection to a port of this pod: 127.0.0.1, then `::1`. Never to any other address.

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The largest head of an answer that is looked at, in bytes.
pub(super) const HEAD: usize = 64 * 1024;
/// What the kubelet begins its name with; applications go by that.
pub(super) const USER_AGENT: &str = concat!("kube-probe/anteroom-", env!("CARGO_PKG_VERSION"));

/// Connects.
///
/// # Errors
/// Where neither address takes it.
pub(super) async fn connect(port: u16) -> Result<TcpStream, &'static str> {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(stream) => Ok(stream),
        Err(_) => TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.map_err(|_| "refuses connections"),
    }
}

/// Drives a connection until what is handed out is dropped.
pub(super) fn drive<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    // What it ended with shows in the exchange.
    tasks.spawn(async move { drop(connection.await) });
    tasks
}
