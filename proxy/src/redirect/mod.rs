//! The rules that lead who comes to the application's port past the application, to the gate.
//!
//! Decides which packets are led: TCP to one of the ports, from other machines, and from this pod to its own addresses.
//! Loopback is left alone, so that the gate still reaches the application there. It touches one table, its own, and makes it
//! anew each time; it starts no other program.

mod kernel;
mod message;

use std::io;
use std::{error, fmt};

use message::{Batch, Chain, Compare, Expression, Family};

/// The name of the table.
const TABLE: &str = "anteroom";
/// Runs on what comes in.
const INCOMING: Chain = Chain { name: "prerouting", hook: message::PREROUTING };
/// Runs on what this pod sends.
const OWN: Chain = Chain { name: "output", hook: message::OUTPUT };

/// Why the rules are not there. None of them is: the kernel takes all or nothing.
#[derive(Debug)]
pub enum RedirectError {
    /// This process may not change the pod's network.
    NotPermitted,
    /// The kernel lacks what the rules need.
    Unsupported(io::Error),
    /// The kernel refused a step, which is named.
    Refused(&'static str, io::Error),
    /// The kernel could not be asked, or did not answer.
    Netlink(io::Error),
}

impl fmt::Display for RedirectError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectError::NotPermitted => out.write_str("the kernel does not permit it"),
            RedirectError::Unsupported(error) => write!(out, "this kernel has no nf_tables with NAT: {error}"),
            RedirectError::Refused(step, error) => write!(out, "the kernel refused {step}: {error}"),
            RedirectError::Netlink(error) => write!(out, "no netlink to the kernel: {error}"),
        }
    }
}

impl error::Error for RedirectError {}

impl RedirectError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            RedirectError::NotPermitted => {
                "run it as uid 0 with the capability NET_ADMIN, in an init container of its own"
            }
            RedirectError::Unsupported(_) => {
                "it takes Linux 5.2 with nf_tables and its NAT; bind the application to 127.0.0.1 instead"
            }
            RedirectError::Refused(..) | RedirectError::Netlink(_) => "bind the application to 127.0.0.1 instead",
        }
    }
}

/// Leads TCP to each of `ports` to port `to` of this network namespace, for IPv4 and IPv6.
///
/// # Errors
/// Where the kernel does not take the rules; then it has taken none of them.
pub fn redirect(ports: &[u16], to: u16) -> Result<(), RedirectError> {
    kernel::apply(&rules(ports, to))
}

/// The whole change as one batch.
fn rules(ports: &[u16], to: u16) -> Batch {
    let mut batch = Batch::new(TABLE);
    batch.chain(INCOMING).chain(OWN);
    for port in ports {
        let lead = |mut to_port: Vec<Expression>| {
            to_port.extend(Expression::tcp_to(*port));
            to_port.extend(Expression::redirect(to));
            to_port
        };
        // What this pod sends to itself comes in by `lo` as well, but is led on its way out; a connection is led once.
        batch.rule(INCOMING, lead(Expression::from_interface(Compare::Other, "lo").to_vec()));
        for family in [Family::V4, Family::V6] {
            // Every address of this pod is reached by way of `lo`; the loopback addresses themselves are left alone.
            let mut own = Expression::to_interface(Compare::Same, "lo").to_vec();
            own.extend(Expression::not_to_loopback(family));
            batch.rule(OWN, lead(own));
        }
    }
    batch
}
