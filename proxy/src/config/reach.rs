//! `private`, beside an address that the gate itself calls: which addresses that are not public it may lead to.

use policy::Spanned;

use super::compile::Faulty;
use crate::network::{Network, Networks, NotNetwork};
use crate::outbound::Reach;

/// The most networks of one list.
const NETWORKS: usize = 64;

/// The addresses that a call may reach: the public ones and those in `private`. `None` where a network is wrong.
pub(super) fn reach(private: &[Spanned<String>], faults: &mut Faulty<'_>) -> Option<Reach> {
    if let Some(one) = private.get(NETWORKS) {
        let message = format!("`private` lists more than {NETWORKS} networks");
        faults.at(one.span, "range", message, "list the network that the service is in");
        return None;
    }
    let mut all = Vec::new();
    for one in private {
        match one.value.parse::<Network>() {
            Ok(network) if network.is_broad() => {
                let message = format!("`{}` is broader than any private network", one.value);
                let hint = "list the network that the service is in, at most a /8, or a /16 of IPv6";
                faults.at(one.span, "address", message, hint);
            }
            Ok(network) => all.push(network),
            Err(fault) => {
                let hint = match fault {
                    NotNetwork::Form => "write an address, or a network such as `10.0.0.0/8` or `fd12::/16`",
                    NotNetwork::HostBits => "write the first address of the network",
                    NotNetwork::Everyone => "list the network that the service is in",
                };
                faults.at(one.span, "address", format!("`{}` {fault}", one.value), hint);
            }
        }
    }
    (all.len() == private.len()).then(|| Reach::and(Networks::of(all)))
}
