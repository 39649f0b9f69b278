//! Before TLS: who comes, how often, and whether there is room.
//!
//! Decides by address and number alone. Whoever comes too often is closed before a byte of it is read and before any
//! cryptography. A named sender of the PROXY protocol is asked for its header; from anybody else such a header is never
//! read, so that its bytes go to TLS, which refuses them.

use std::net::IpAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::proxy_protocol::{self, Behind};
use super::room::Place;
use crate::runtime::ClientAddress;
use crate::shared::Shared;
use crate::telemetry::ended::Ended;

/// A client that may shake hands.
#[derive(Debug)]
pub(super) struct Client {
    /// Its address: the peer's, or what a named sender says before TLS.
    pub(super) address: IpAddr,
    /// Its place among the connections of its address; a named sender carries many clients and is not counted.
    pub(super) place: Option<Place>,
}

/// Who opened a connection, as far as its address tells.
#[derive(Debug)]
pub(super) enum Caller {
    /// A client, or the named sender of a header.
    Known(Client),
    /// A named sender of the PROXY protocol, at this address, which says who the client is.
    Sender(IpAddr),
}

/// Looks who comes. `None`: the connection ends here, which is counted.
pub(super) fn look(peer: IpAddr, shared: &Shared) -> Option<Caller> {
    let runtime = shared.runtime.load();
    match &runtime.client_address {
        ClientAddress::Header { sent_by, .. } if sent_by.hold(peer) => {
            Some(Caller::Known(Client { address: peer, place: None }))
        }
        ClientAddress::ProxyProtocol { sent_by } if sent_by.hold(peer) => Some(Caller::Sender(peer)),
        ClientAddress::Peer | ClientAddress::Header { .. } | ClientAddress::ProxyProtocol { .. } => {
            enter(peer, shared).map(Caller::Known)
        }
    }
}

/// Asks a named sender for its client, until the deadline. `None`: the connection ends here, which is counted.
pub(super) async fn admit(
    caller: Caller,
    stream: &mut TcpStream,
    deadline: Instant,
    shared: &Shared,
) -> Option<Client> {
    let sender = match caller {
        Caller::Known(client) => return Some(client),
        Caller::Sender(sender) => sender,
    };
    match timeout_at(deadline, proxy_protocol::read(stream)).await {
        Ok(Ok(Behind::Client(client))) => enter(client, shared),
        Ok(Ok(Behind::Sender)) => Some(Client { address: sender, place: None }),
        Ok(Err(_)) | Err(_) => {
            shared.ended(Ended::ProxyProtocol);
            None
        }
    }
}

/// One more connection of a client's address, where it does not come too often and there is room.
fn enter(address: IpAddr, shared: &Shared) -> Option<Client> {
    let limits = shared.runtime.load().limits;
    let now = shared.clock.now().monotone;
    if shared.newcomers.take_newcomer(address, limits.new_connections_per_address, now).is_err() {
        shared.ended(Ended::Rate);
        return None;
    }
    let place = shared.room.address(address, limits.connections_per_address);
    if place.is_none() {
        shared.ended(Ended::Address);
        return None;
    }
    Some(Client { address, place })
}

/// Waits for a handshake, unless it has to give way to newer ones.
pub(super) async fn or_give_way<T>(shared: &Shared, shaking: impl Future<Output = Option<T>>) -> Option<T> {
    let most = shared.runtime.load().limits.handshakes;
    let (_place, told) = shared.room.handshake(most);
    tokio::select! {
        biased;
        shaken = shaking => shaken,
        () = told.notified() => {
            shared.ended(Ended::Handshakes);
            None
        }
    }
}
