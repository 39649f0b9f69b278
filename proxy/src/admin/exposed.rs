//! The look at the application's port from the pod's own addresses.
//!
//! Decides when to look (at the start, every five seconds of the first minute, then each minute, and when the port is
//! another) and what counts: a connection that the application takes, and one that is refused. What is neither is no look:
//! what was open before stays open. It sends nothing over a connection, and never asks a loopback address. It looks from
//! within the pod, so a NetworkPolicy or a firewall outside is not seen.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
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
    let mut looks = Vec::new();
    for address in addresses {
        let address = SocketAddr::new(address, port);
        looks.push((address, is_open(exposed, address).await));
    }
    judge(&exposed.found(), &looks)
}

/// What `looks` come to, each with whether that address is open, where it answered. What cannot be looked at now is no better
/// than it was `before`: it was found open by an answer, and only an answer closes it.
fn judge(before: &Exposure, looks: &[(SocketAddr, Option<bool>)]) -> Exposure {
    let was_open = match before {
        Exposure::Open(open) => open.as_slice(),
        Exposure::Unknown | Exposure::Unasked | Exposure::Closed => &[],
    };
    let open = looks.iter().filter(|(address, open)| open.unwrap_or_else(|| was_open.contains(address)));
    let open: Vec<_> = open.map(|(address, _)| *address).collect();
    let answered = looks.iter().any(|(_, open)| open.is_some());
    match (open.is_empty(), answered) {
        (false, _) => Exposure::Open(open),
        (true, true) => Exposure::Closed,
        (true, false) if !was_open.is_empty() => before.clone(),
        // That settles the first look too: where a firewall drops them all, the gate would else never be ready.
        (true, false) => Exposure::Unasked,
    }
}

/// Whether the application takes a connection at `address`; `None` where nothing says so: it is no address of this machine,
/// there is no socket to ask with, or no answer in time, as where the application's queue is full.
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
        let open = match timeout(CONNECT, socket.connect(address)).await {
            Ok(Ok(_connected)) => Some(!matches!(timeout(MEET, meets).await, Ok(Ok(())))),
            Ok(Err(error)) => is_answer(error.kind()).then_some(false),
            Err(_) => None,
        };
        exposed.asked();
        return open;
    }
    None
}

/// Whether a connection failed by an answer, the port's or a firewall's, and not for want of something of our own.
fn is_answer(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::PermissionDenied
    )
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
    use tokio::net::TcpStream;

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

    #[test]
    fn what_cannot_be_looked_at_is_no_better_than_it_was() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (four, six) = (at("10.0.0.7:3000"), at("[2001:db8::7]:3000"));
        let open = |addresses: &[SocketAddr]| Exposure::Open(addresses.to_vec());
        let (none, no, yes) = (None, Some(false), Some(true));
        for (before, looks, after) in [
            (Exposure::Unknown, [none, none], Exposure::Unasked),
            (Exposure::Closed, [none, none], Exposure::Unasked),
            (Exposure::Unknown, [no, none], Exposure::Closed),
            (Exposure::Closed, [none, yes], open(&[six])),
            (open(&[four]), [none, none], open(&[four])),
            (open(&[four]), [none, no], open(&[four])),
            (open(&[four]), [none, yes], open(&[four, six])),
            (open(&[four]), [no, none], Exposure::Closed),
            (open(&[four, six]), [no, none], open(&[six])),
            (open(&[at("10.0.0.7:4000")]), [none, none], open(&[at("10.0.0.7:4000")])),
            (open(&[at("10.0.0.7:4000")]), [no, none], Exposure::Closed),
        ] {
            let [first, second] = looks;
            assert_eq!(judge(&before, &[(four, first), (six, second)]), after, "{before:?} {looks:?}");
        }
        // Without a socket to ask by, not even the addresses are known.
        assert_eq!(judge(&open(&[four]), &[]), open(&[four]));
        assert!(is_answer(ErrorKind::ConnectionRefused) && !is_answer(ErrorKind::AddrNotAvailable));
    }

    #[tokio::test]
    async fn a_full_queue_closes_nothing() {
        let Some(address) = own_addresses().into_iter().find(IpAddr::is_ipv4) else { return };
        let app = TcpSocket::new_v4().unwrap();
        app.bind(SocketAddr::new(address, 0)).unwrap();
        // It accepts nobody.
        let app = app.listen(1).unwrap();
        let at = app.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(one) = timeout(Duration::from_millis(200), TcpStream::connect(at)).await {
            waiting.push(one.unwrap());
            assert!(waiting.len() < 100, "the queue does not fill");
        }
        let exposed = Exposed::default();
        assert_eq!(look(&exposed, &[address], at.port()).await, Exposure::Unasked, "the first look settles");
        exposed.keep(Exposure::Open(vec![at]));
        assert_eq!(look(&exposed, &[address], at.port()).await, Exposure::Open(vec![at]));
        drop((app, waiting));
        assert_eq!(look(&exposed, &[address], at.port()).await, Exposure::Closed);
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
