//! `client_address`: whose word on a client's address counts. As written, and compiled.

use policy::Spanned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use crate::network::{Network, Networks, NotNetwork};
use crate::runtime::{ClientAddress, ForwardingHeader};

/// The most networks of one list.
const NETWORKS: usize = 256;

/// Whose word on a client's address counts. That address is limited, recorded and told to the application.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawClientAddress {
    /// Nobody's: the client is whoever opened the connection.
    #[default]
    Peer,
    /// A header of named senders.
    Header(RawForwardingHeader),
    /// The PROXY protocol, version 1 or 2, of named senders: from them it is demanded, from anybody else never read.
    ProxyProtocol(RawSenders),
}

/// A header that named senders write.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawForwardingHeader {
    /// Which one.
    pub name: RawForwardingName,
    /// Networks of those who are believed, each at most a /8 (IPv6: a /16) and four times that together: never a network
    /// from which clients come. The header is read from the right; the
    /// first address that is not in here is the client's.
    pub sent_by: Spanned<Vec<Spanned<String>>>,
}

/// A header that carries addresses.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawForwardingName {
    /// `X-Forwarded-For`: addresses with commas between.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), of which `for` is read.
    Forwarded,
}

/// Those who are believed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSenders {
    /// Networks of those who are believed, such as `192.0.2.7/32`, each at most a /8 (IPv6: a /16) and four times that
    /// together: never a network from which clients come.
    pub sent_by: Spanned<Vec<Spanned<String>>>,
}

pub(super) fn client_address(raw: &RawClientAddress, faults: &mut Faulty<'_>) -> Option<ClientAddress> {
    match raw {
        RawClientAddress::Peer => Some(ClientAddress::Peer),
        RawClientAddress::Header(RawForwardingHeader { name, sent_by }) => {
            let header = match name {
                RawForwardingName::XForwardedFor => ForwardingHeader::XForwardedFor,
                RawForwardingName::Forwarded => ForwardingHeader::Forwarded,
            };
            Some(ClientAddress::Header { header, sent_by: networks(sent_by, faults)? })
        }
        RawClientAddress::ProxyProtocol(senders) => {
            Some(ClientAddress::ProxyProtocol { sent_by: networks(&senders.sent_by, faults)? })
        }
    }
}

fn networks(written: &Spanned<Vec<Spanned<String>>>, faults: &mut Faulty<'_>) -> Option<Networks> {
    if written.value.is_empty() || written.value.len() > NETWORKS {
        let hint = "name the addresses of the proxies in front, or write `client_address: peer`";
        faults.at(written.span, "range", format!("a list of senders has 1 to {NETWORKS} networks"), hint);
        return None;
    }
    let mut all = Vec::new();
    for one in &written.value {
        match one.value.parse::<Network>() {
            Ok(network) if network.is_broad() => {
                let message = format!("`{}` is broader than any one owner's network", one.value);
                let hint = "whoever is in it could say to be anybody: name the proxies in front, at most a /8, or a /16 of IPv6";
                faults.at(one.span, "address", message, hint);
            }
            Ok(network) => all.push(network),
            Err(fault) => {
                let hint = match fault {
                    NotNetwork::Form => "write an address, or a network such as `192.0.2.0/24` or `2001:db8::/32`",
                    NotNetwork::HostBits => "write the first address of the network",
                    NotNetwork::Everyone => "then anybody could say to be anybody: name the proxies in front",
                };
                faults.at(one.span, "address", format!("`{}` {fault}", one.value), hint);
            }
        }
    }
    if all.len() < written.value.len() {
        return None;
    }
    let all = Networks::of(all);
    if all.are_broad() {
        let message = "these networks together hold more than four times a /8, or a /16 of IPv6";
        faults.at(
            written.span,
            "address",
            message,
            "whoever is in them could say to be anybody: name the proxies in front",
        );
        return None;
    }
    Some(all)
}
