//! Places for forms that are held before the decision: how many at once, and whose.
//!
//! Decides whether one more fits. Each caller has a share, and callers whom nobody knows have one together, so that nobody
//! keeps the others out by holding many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{site, wide_site};

/// How many forms are held at once, over all workers: 64 KiB of each, and one piece more.
const PLACES: usize = 256;
/// How many of those may be of callers whom nobody knows.
const STRANGERS: usize = 128;
/// How many may be of one caller who is known.
const CALLER: usize = 16;
/// How many may be of one address: an IPv4 address, of an IPv6 address the first 64 bits.
const SITE: usize = 16;
/// How many may be of one network: of an IPv4 address the first 24 bits, of an IPv6 address the first 48.
const NETWORK: usize = 32;

/// Who sends a form.
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
    fn places(self) -> usize {
        match self {
            Share::Caller(_) => CALLER,
            Share::Site(..) => SITE,
            Share::Network(..) => NETWORK,
            Share::Strangers => STRANGERS,
            Share::All => PLACES,
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

/// The forms that are held at this moment. Its table has at most three entries for each, and two more.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldForms(Arc<Mutex<HashMap<Share, usize>>>);

/// A place of one form, free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    forms: HeldForms,
    sender: Sender,
}

impl HeldForms {
    /// A place for a form of `sender`; `None` where a share that it counts for is used up.
    pub(crate) fn take(&self, sender: Sender) -> Option<Place> {
        let shares = Share::of(sender);
        let mut held = self.held();
        if shares.iter().any(|share| held.get(share).is_some_and(|count| *count >= share.places())) {
            return None;
        }
        for share in shares {
            *held.entry(share).or_default() += 1;
        }
        Some(Place { forms: self.clone(), sender })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.forms.held();
        for share in Share::of(self.sender) {
            if let Some(count) = held.get_mut(&share) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    held.remove(&share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Sender {
        Sender::Stranger(address.parse().unwrap())
    }

    fn taken(forms: &HeldForms, sender: Sender) -> Vec<Place> {
        std::iter::from_fn(|| forms.take(sender)).collect()
    }

    #[test]
    fn one_caller_keeps_no_other_out() {
        let forms = HeldForms::default();
        let greedy = taken(&forms, Sender::Known(1));
        assert_eq!(greedy.len(), CALLER);
        let here = taken(&forms, stranger("203.0.113.9"));
        assert_eq!(here.len(), SITE);
        assert_eq!(taken(&forms, stranger("203.0.113.10")).len(), NETWORK - SITE);
        assert!(forms.take(Sender::Known(2)).is_some() && forms.take(stranger("198.51.100.1")).is_some());
        drop(greedy);
        assert_eq!(taken(&forms, Sender::Known(1)).len(), CALLER);
    }

    #[test]
    fn strangers_leave_half_to_those_who_are_known() {
        let forms = HeldForms::default();
        let all: Vec<Place> =
            (0..=255_u8).flat_map(|net| taken(&forms, Sender::Stranger([10, 0, net, 1].into()))).collect();
        assert_eq!(all.len(), STRANGERS);
        assert!(forms.take(stranger("2001:db8::1")).is_none());
        let known: Vec<Place> = (0..100).flat_map(|who| taken(&forms, Sender::Known(who))).collect();
        assert_eq!(known.len(), PLACES - STRANGERS);
        assert!(forms.take(Sender::Known(1_000)).is_none());
    }

    #[test]
    fn an_ipv6_network_has_one_share_and_nothing_is_left_behind() {
        let forms = HeldForms::default();
        let one = taken(&forms, stranger("2001:db8::1"));
        assert!(forms.take(stranger("2001:db8::2")).is_none(), "the same first 64 bits");
        let two = taken(&forms, stranger("2001:db8:0:1::1"));
        assert_eq!((one.len(), two.len()), (SITE, SITE));
        assert!(forms.take(stranger("2001:db8:0:2::1")).is_none(), "the same first 48 bits");
        assert!(forms.take(stranger("2001:db8:1::1")).is_some());
        drop((one, two));
        assert!(forms.held().is_empty());
    }
}
