//! Which addresses may be called.
//!
//! Decides by the address alone, whatever name led there. What is not public (a private or shared network, this machine, a
//! link, documentation, a cloud's metadata service) may be called only where the configuration lists its network: an
//! address book that somebody else writes, such as a name server or a provider's metadata, must not lead into the clinic's
//! network or to the machine's credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::Networks;

/// The addresses that may be called: the public ones, and those in listed networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    private: Networks,
}

impl Reach {
    /// Public addresses only.
    pub fn public() -> Self {
        Self::default()
    }

    /// Public addresses, and all in `private`.
    pub fn and(private: Networks) -> Self {
        Self { private }
    }

    /// Whether an address may be called. The unspecified address (which means this machine), broadcast and multicast never
    /// may; IPv4 in IPv6 clothes counts as IPv4.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let callable = match address {
            IpAddr::V4(four) => !four.is_unspecified() && !four.is_broadcast() && !four.is_multicast(),
            IpAddr::V6(six) => !six.is_unspecified() && !six.is_multicast(),
        };
        callable && (is_public(address) || self.private.hold(address))
    }
}

/// IPv4 networks that are not of the public internet, by first address and length (IANA's registry of special-purpose
/// addresses), and the one public address at which a cloud (Azure) answers its guests about themselves.
const SPECIAL: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// IPv6 networks within `2000::/3` that are not of the public internet: protocol assignments with Teredo, documentation,
/// 6to4 (which holds an IPv4 address of any kind), documentation again.
const SPECIAL_6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where a network translates IPv4 for hosts that have IPv6 alone (RFC 6052): the last four bytes are the real address.
const TRANSLATED: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// All that is global unicast so far (RFC 4291).
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !SPECIAL.iter().any(|special| holds_4(*special, four)),
        IpAddr::V6(six) if holds_6(TRANSLATED, six) => {
            let [.., a, b, c, d] = six.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(six) => holds_6(GLOBAL, six) && !SPECIAL_6.iter().any(|special| holds_6(*special, six)),
    }
}

fn holds_4((network, length): (Ipv4Addr, u32), address: Ipv4Addr) -> bool {
    let shift = 32_u32.saturating_sub(length);
    u32::from(network).checked_shr(shift) == u32::from(address).checked_shr(shift)
}

fn holds_6((network, length): (Ipv6Addr, u32), address: Ipv6Addr) -> bool {
    let shift = 128_u32.saturating_sub(length);
    u128::from(network).checked_shr(shift) == u128::from(address).checked_shr(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(networks: &[&str]) -> Reach {
        Reach::and(Networks::of(networks.iter().map(|one| one.parse().unwrap()).collect()))
    }

    /// Not public: private, shared, this machine, links, metadata services, documentation, tunnels that lead anywhere.
    const INSIDE: [&str; 37] = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "0.0.0.1",
        "240.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
    ];

    #[test]
    fn what_is_not_public_is_called_only_where_its_network_is_listed() {
        for text in INSIDE {
            let address: IpAddr = text.parse().unwrap();
            assert!(!Reach::public().allows(address), "{text}");
            let own = address.to_canonical().to_string();
            assert!(listing(&[&own]).allows(address), "{text} listed");
            assert!(!listing(&["10.255.0.0/16", "fd12::/16"]).allows(address), "{text}, others listed");
        }
        assert!(listing(&["10.0.0.0/8"]).allows("10.1.2.3".parse().unwrap()));
        assert!(listing(&["10.0.0.0/8"]).allows("::ffff:10.1.2.3".parse().unwrap()));
        assert!(
            !listing(&["10.0.0.0/8"]).allows("64:ff9b::a00:1".parse().unwrap()),
            "a translator is listed by itself"
        );
    }

    #[test]
    fn public_addresses_are_called() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "168.63.129.17",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(Reach::public().allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_nobodys_is_never_called() {
        let all = listing(&["0.0.0.0/8", "128.0.0.0/1", "::/1", "8000::/1"]);
        for text in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.250", "::", "ff02::1", "::ffff:0.0.0.0"] {
            assert!(!all.allows(text.parse().unwrap()), "{text}");
        }
    }
}
