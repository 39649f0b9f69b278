//! Places for what is scarce: how many are taken at once, and by whom.
//!
//! Decides whether one more fits. Each caller has a share, and callers whom nobody knows have one together, so that nobody
//! keeps the others out by holding many. What does not fit is turned away at once, never queued.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{site, wide_site};

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For everybody together.
    pub(crate) all: usize,
    /// How many of those for callers whom nobody knows.
    pub(crate) strangers: usize,
    /// For one caller who is known.
    pub(crate) caller: usize,
    /// For one address: an IPv4 address, of an IPv6 address the first 64 bits.
    pub(crate) site: usize,
    /// For one network: of an IPv4 address the first 24 bits, of an IPv6 address the first 48.
    pub(crate) network: usize,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Somebody whom a provider vouches for, by 128 bits of a digest.
    Known(u128),
    /// Somebody at an address.
    Stranger(IpAddr),
}

/// Those who share an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Share {
    Caller(u128),
    Site(bool, u128),
    Network(bool, u128),
    Strangers,
    All,
}

impl Share {
    fn most(self, bounds: Bounds) -> usize {
        match self {
            Share::Caller(_) => bounds.caller,
            Share::Site(..) => bounds.site,
            Share::Network(..) => bounds.network,
            Share::Strangers => bounds.strangers,
            Share::All => bounds.all,
        }
    }

    fn of(sender: Sender) -> Vec<Self> {
        match sender {
            Sender::Known(who) => vec![Share::All, Share::Caller(who)],
            Sender::Stranger(address) => {
                let six = address.to_canonical().is_ipv6();
                let (site, network) = (Share::Site(six, site(address)), Share::Network(six, wide_site(address)));
                vec![Share::All, Share::Strangers, network, site]
            }
        }
    }
}

/// The places of one kind. Its table has at most three entries for each that is taken, and two more.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    bounds: Bounds,
    taken: Arc<Mutex<HashMap<Share, usize>>>,
}

/// A place, free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    sender: Sender,
}

impl Places {
    /// So many, all of them free.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, taken: Arc::default() }
    }

    /// A place for `sender`; `None` where a share that it counts for is used up.
    pub(crate) fn take(&self, sender: Sender) -> Option<Place> {
        let shares = Share::of(sender);
        let mut taken = self.taken();
        if shares.iter().any(|share| taken.get(share).copied().unwrap_or(0) >= share.most(self.bounds)) {
            return None;
        }
        for share in shares {
            *taken.entry(share).or_default() += 1;
        }
        Some(Place { places: self.clone(), sender })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        for share in Share::of(self.sender) {
            if let Some(count) = taken.get_mut(&share) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    taken.remove(&share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { all: 256, strangers: 128, caller: 16, site: 16, network: 32 };

    fn stranger(address: &str) -> Sender {
        Sender::Stranger(address.parse().unwrap())
    }

    fn taken(places: &Places, sender: Sender) -> Vec<Place> {
        std::iter::from_fn(|| places.take(sender)).collect()
    }

    #[test]
    fn one_caller_keeps_no_other_out() {
        let places = Places::new(BOUNDS);
        let greedy = taken(&places, Sender::Known(1));
        assert_eq!(greedy.len(), BOUNDS.caller);
        let here = taken(&places, stranger("203.0.113.9"));
        assert_eq!(here.len(), BOUNDS.site);
        assert_eq!(taken(&places, stranger("203.0.113.10")).len(), BOUNDS.network - BOUNDS.site);
        assert!(places.take(Sender::Known(2)).is_some() && places.take(stranger("198.51.100.1")).is_some());
        drop(greedy);
        assert_eq!(taken(&places, Sender::Known(1)).len(), BOUNDS.caller);
    }

    #[test]
    fn strangers_leave_half_to_those_who_are_known() {
        let places = Places::new(BOUNDS);
        let all: Vec<Place> =
            (0..=255_u8).flat_map(|net| taken(&places, Sender::Stranger([10, 0, net, 1].into()))).collect();
        assert_eq!(all.len(), BOUNDS.strangers);
        assert!(places.take(stranger("2001:db8::1")).is_none());
        let known: Vec<Place> = (0..100).flat_map(|who| taken(&places, Sender::Known(who))).collect();
        assert_eq!(known.len(), BOUNDS.all - BOUNDS.strangers);
        assert!(places.take(Sender::Known(1_000)).is_none());
    }

    #[test]
    fn an_ipv6_network_has_one_share_and_nothing_is_left_behind() {
        let places = Places::new(BOUNDS);
        let one = taken(&places, stranger("2001:db8::1"));
        assert!(places.take(stranger("2001:db8::2")).is_none(), "the same first 64 bits");
        let two = taken(&places, stranger("2001:db8:0:1::1"));
        assert_eq!((one.len(), two.len()), (BOUNDS.site, BOUNDS.site));
        assert!(places.take(stranger("2001:db8:0:2::1")).is_none(), "the same first 48 bits");
        assert!(places.take(stranger("2001:db8:1::1")).is_some());
        drop((one, two));
        assert!(places.taken().is_empty());
    }
}
