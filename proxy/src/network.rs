//! Networks in CIDR form, and lists of them.
//!
//! Decides whether an address is in one. An empty list holds nobody, and there is no word for "every private address": in a
//! pod every peer is private (CVE-2026-76835, CVE-2026-40575).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network, such as `192.0.2.0/24` or `2001:db8::/32`; an address without a length is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count: at most 32, with IPv6 128.
    length: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNetwork {
    /// No address, or no length behind the `/`.
    Form,
    /// Bits are set behind the length, so it is unclear what was meant.
    HostBits,
    /// It holds every address there is.
    Everyone,
}

impl fmt::Display for NotNetwork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            NotNetwork::Form => "is no network in the form `192.0.2.0/24`",
            NotNetwork::HostBits => "has bits set behind its length",
            NotNetwork::Everyone => "holds every address there is",
        })
    }
}

impl FromStr for Network {
    type Err = NotNetwork;

    fn from_str(text: &str) -> Result<Self, NotNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotNetwork::Form)?;
        // An IPv4 address in IPv6 clothes would never match: peers are compared in their plain form.
        if address.to_canonical() != address {
            return Err(NotNetwork::Form);
        }
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= most).ok_or(NotNetwork::Form)?
            }
            Some(_) => return Err(NotNetwork::Form),
        };
        if length == 0 {
            return Err(NotNetwork::Everyone);
        }
        let network = Self { address, length };
        if bits(address) != bits(address) & network.mask() { Err(NotNetwork::HostBits) } else { Ok(network) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl Network {
    /// Whether an address is in it; IPv4 in IPv6 clothes counts as IPv4.
    pub fn holds(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && bits(address) & self.mask() == bits(self.address)
    }

    /// Whether it is broader than anybody's own: a /8 of IPv4, a /16 of IPv6.
    pub fn is_broad(self) -> bool {
        self.share() > broadest(self.address.is_ipv4())
    }

    /// How much of all addresses it holds, all of them being 2 to the power of 127.
    fn share(self) -> u128 {
        1 << 127_u32.saturating_sub(u32::from(self.length))
    }

    /// The bits that count, at the top.
    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(self.length))).unwrap_or(0)
    }
}

/// The share of the broadest network that may still be somebody's own: `10.0.0.0/8`, and in IPv6 what registries have given
/// to hardly anybody.
const fn broadest(ipv4: bool) -> u128 {
    1 << if ipv4 { 127 - 8 } else { 127 - 16 }
}

/// The bits of an address, those of IPv4 at the top.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(u32::from(four)) << 96,
        IpAddr::V6(six) => u128::from(six),
    }
}

/// Some networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// These.
    pub fn of(all: Vec<Network>) -> Self {
        Self(all)
    }

    /// Whether those of one kind hold more together than four of the broadest. What stands in two of them counts twice.
    pub fn are_broad(&self) -> bool {
        [true, false].into_iter().any(|ipv4| {
            let kind = self.0.iter().filter(|network| network.address.is_ipv4() == ipv4);
            kind.fold(0_u128, |sum, one| sum.saturating_add(one.share())) > broadest(ipv4) * 4
        })
    }

    /// Whether an address is in one of them.
    pub fn hold(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_and_nobody_else() {
        for (network, address, inside) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7/32", "::ffff:192.0.2.7", true),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("128.0.0.0/1", "255.1.1.1", true),
            ("128.0.0.0/1", "127.1.1.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
            // The bits of the one at the top of the other.
            ("c000:200::/24", "192.0.2.1", false),
            ("192.0.2.0/24", "c000:200::1", false),
        ] {
            let held = network.parse::<Network>().unwrap().holds(address.parse().unwrap());
            assert_eq!(held, inside, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_plain_network_is_refused() {
        for (text, fault) in [
            ("", NotNetwork::Form),
            ("private", NotNetwork::Form),
            ("192.0.2", NotNetwork::Form),
            ("192.0.2.0/", NotNetwork::Form),
            ("192.0.2.0/+8", NotNetwork::Form),
            ("192.0.2.0/33", NotNetwork::Form),
            ("192.0.2.0/24/1", NotNetwork::Form),
            ("2001:db8::/129", NotNetwork::Form),
            ("::ffff:192.0.2.0/120", NotNetwork::Form),
            ("192.0.2.1/24", NotNetwork::HostBits),
            ("0.0.0.0/0", NotNetwork::Everyone),
            ("::/0", NotNetwork::Everyone),
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err(), fault, "{text}");
        }
    }

    #[test]
    fn networks_are_broad_by_themselves_and_together() {
        for (text, broad) in [
            ("10.0.0.0/8", false),
            ("10.0.0.0/7", true),
            ("128.0.0.0/1", true),
            ("192.0.2.7", false),
            ("2001::/16", false),
            ("2000::/15", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().is_broad(), broad, "{text}");
        }
        let slash_8s = |count: u8| (1..=count).map(|first| format!("{first}.0.0.0/8").parse().unwrap()).collect();
        assert!(!Networks::of(slash_8s(4)).are_broad());
        assert!(Networks::of(slash_8s(5)).are_broad());
        let mut mixed: Vec<Network> = slash_8s(4);
        mixed.extend((0..4).map(|n| format!("200{n}::/16").parse::<Network>().unwrap()));
        assert!(!Networks::of(mixed.clone()).are_broad(), "each kind has its own bound");
        mixed.push("2009::1".parse().unwrap());
        assert!(Networks::of(mixed).are_broad());
        assert!(!Networks::default().are_broad());
    }
}
