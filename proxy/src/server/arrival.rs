//! Before TLS: who comes, and whether there is room.
//!
//! Decides by address and number alone. A named sender of the PROXY protocol is asked for its header; from anybody else such
//! a header is never read, so that its bytes go to TLS, which refuses them.

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

/// Looks who comes, until the deadline. `None`: the connection ends here, which is counted.
pub(super) async fn admit(stream: &mut TcpStream, peer: IpAddr, deadline: Instant, shared: &Shared) -> Option<Client> {
    let (most, behind) = {
        let runtime = shared.runtime.load();
        let behind = match &runtime.client_address {
            ClientAddress::Peer => Arrives::Itself,
            ClientAddress::Header { sent_by, .. } if sent_by.hold(peer) => Arrives::Sender,
            ClientAddress::ProxyProtocol { sent_by } if sent_by.hold(peer) => Arrives::WithHeader,
            ClientAddress::Header { .. } | ClientAddress::ProxyProtocol { .. } => Arrives::Itself,
        };
        (runtime.limits.connections_per_address, behind)
    };
    let address = match behind {
        Arrives::Itself => peer,
        Arrives::Sender => return Some(Client { address: peer, place: None }),
        Arrives::WithHeader => match timeout_at(deadline, proxy_protocol::read(stream)).await {
            Ok(Ok(Behind::Client(client))) => client,
            Ok(Ok(Behind::Sender)) => return Some(Client { address: peer, place: None }),
            Ok(Err(_)) | Err(_) => {
                shared.ended(Ended::ProxyProtocol);
                return None;
            }
        },
    };
    let place = shared.room.address(address, most);
    if place.is_none() {
        shared.ended(Ended::Address);
        return None;
    }
    Some(Client { address, place })
}

enum Arrives {
    Itself,
    Sender,
    WithHeader,
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
