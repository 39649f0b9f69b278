//! The look at the application's port from the pod's own addresses.
//!
//! Decides when to look (at the start, every five seconds of the first minute, then each minute, and when the port is
//! another) and what counts: a connection that the application takes. It sends nothing over it, and never asks a loopback
//! address. It looks from within the pod, so a NetworkPolicy or a firewall outside is not seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::exposed::{Exposed, Exposure};
use crate::shared::Shared;
use crate::upstream::Address;

/// How often it is asked whether a look is due.
const TICK: Duration = Duration::from_secs(1);
/// The pause between two looks while the pod starts, and how long that is.
const YOUNG_PAUSE: Duration = Duration::from_secs(5);
const YOUNG: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a connection may take: it is one within the machine.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a connection that came back to the gate may wait there until it is accepted.
const MEET: Duration = Duration::from_secs(2);
/// How often another port is tried where the look would come from the very port that it looks at.
const TRIES: usize = 3;

/// Looks until the gate leaves. `addresses` are the pod's, where it was told.
pub(super) async fn watch(shared: Arc<Shared>, addresses: Vec<IpAddr>) {
    // A look that comes back to the gate has to find it listening.
    while !shared.phase.is_started() {
        sleep(Duration::from_millis(20)).await;
    }
    let mut pace = Pace::default();
    while !shared.phase.is_leaving() {
        let port = port(&shared.runtime.load().app.way.address);
        if pace.is_due(shared.clock.now().monotone, port) {
            let found = match port {
                Some(port) => look(&shared.exposed, &addresses, port).await,
                None => Exposure::Unasked,
            };
            tell(&shared.exposed.keep(found.clone()), &found);
        }
        sleep(TICK).await;
    }
}

/// When to look.
#[derive(Debug, Default)]
struct Pace {
    began: Option<Duration>,
    last: Option<(Duration, Option<u16>)>,
}

impl Pace {
    /// Whether to look now, at `now` since the process started; if so, that is the last look.
    fn is_due(&mut self, now: Duration, port: Option<u16>) -> bool {
        let began = *self.began.get_or_insert(now);
        let pause = if now.saturating_sub(began) < YOUNG { YOUNG_PAUSE } else { PAUSE };
        let due = self.last.is_none_or(|(at, same)| same != port || now.saturating_sub(at) >= pause);
        if due {
            self.last = Some((now, port));
        }
        due
    }
}

/// The application's port, where it is one of this machine.
fn port(address: &Address) -> Option<u16> {
    match address {
        Address::Loopback(address) => Some(address.port()),
        Address::Localhost(port) => Some(*port),
        Address::Unix(_) => None,
        Address::Secure(secure) => {
            let host = secure.host.as_str();
            let here = host.eq_ignore_ascii_case("localhost")
                || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
            here.then_some(secure.port)
        }
    }
}

async fn look(exposed: &Exposed, addresses: &[IpAddr], port: u16) -> Exposure {
    let addresses = if addresses.is_empty() { own_addresses() } else { addresses.to_vec() };
    let (mut asked, mut open) = (false, Vec::new());
    for address in addresses {
        match is_open(exposed, SocketAddr::new(address, port)).await {
            Some(true) => open.push(SocketAddr::new(address, port)),
            Some(false) => asked = true,
            None => {}
        }
    }
    match (open.is_empty(), asked) {
        (false, _) => Exposure::Open(open),
        (true, true) => Exposure::Closed,
        (true, false) => Exposure::Unasked,
    }
}

/// Whether the application takes a connection at `address`; `None` where that is no address of this machine.
async fn is_open(exposed: &Exposed, address: SocketAddr) -> Option<bool> {
    for _ in 0..TRIES {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.ok()?;
        // Bound first, so that the listener can be told whom to expect.
        socket.bind(SocketAddr::new(address.ip(), 0)).ok()?;
        let own = socket.local_addr().ok()?;
        if own.port() == address.port() {
            // It would be connected with itself.
            continue;
        }
        let meets = exposed.ask_from(own);
        let connected: Option<TcpStream> = timeout(CONNECT, socket.connect(address)).await.ok().and_then(Result::ok);
        let open = match &connected {
            Some(_) => !matches!(timeout(MEET, meets).await, Ok(Ok(()))),
            None => false,
        };
        exposed.asked();
        return Some(open);
    }
    None
}

/// The addresses that this machine would talk to others from. Nothing is sent: a datagram socket that is connected only
/// knows its way. (The addresses that it would go to are for documentation.)
fn own_addresses() -> Vec<IpAddr> {
    let ways: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    let own = ways.into_iter().filter_map(|(any, to)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    own.filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

/// Says it once when it has changed.
fn tell(before: &Exposure, now: &Exposure) {
    match (before, now) {
        (Exposure::Open(before), Exposure::Open(now)) if before == now => {}
        (_, Exposure::Open(open)) => {
            let address = open.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
            let detail = "bind it to 127.0.0.1, or lead its port to the gate with `anteroom redirect`";
            tracing::warn!(target: "anteroom", address, detail, "the application can be reached around the gate");
        }
        (Exposure::Open(_), Exposure::Unknown | Exposure::Unasked | Exposure::Closed) => {
            tracing::info!(target: "anteroom", "the application can no longer be reached around the gate");
        }
        (Exposure::Unknown | Exposure::Unasked | Exposure::Closed, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_often_at_first_and_then_each_minute() {
        let mut pace = Pace::default();
        let at = Duration::from_secs;
        let mut looks = Vec::new();
        for second in 100..300 {
            if pace.is_due(at(second), Some(3000)) {
                looks.push(second - 100);
            }
        }
        assert_eq!(looks, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 115, 175]);
        assert!(pace.is_due(at(300), Some(4000)), "another port is looked at at once");
        assert!(!pace.is_due(at(301), Some(4000)));
    }

    #[tokio::test]
    async fn a_listener_on_another_address_than_loopback_is_open() {
        let Some(address) = own_addresses().into_iter().find(IpAddr::is_ipv4) else {
            return; // a machine without a network has nothing to be reached at
        };
        let exposed = Exposed::default();
        let app = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = app.local_addr().unwrap().port();
        assert_eq!(look(&exposed, &[address], port).await, Exposure::Open(vec![SocketAddr::new(address, port)]));
        drop(app);
        let app = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(look(&exposed, &[address], port).await, Exposure::Closed);
        drop(app);
        // No address of this machine.
        assert_eq!(look(&exposed, &["192.0.2.1".parse().unwrap()], port).await, Exposure::Unasked);
    }

    #[tokio::test]
    async fn a_connection_that_comes_back_to_the_gate_is_none_to_the_application() {
        let Some(address) = own_addresses().into_iter().find(IpAddr::is_ipv4) else { return };
        let exposed = Arc::new(Exposed::default());
        let gate = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
        let port = gate.local_addr().unwrap().port();
        let listener = Arc::clone(&exposed);
        tokio::spawn(async move {
            let (_, peer) = gate.accept().await.unwrap();
            assert!(listener.meets(peer));
        });
        assert_eq!(look(&exposed, &[address], port).await, Exposure::Closed);
    }
}
