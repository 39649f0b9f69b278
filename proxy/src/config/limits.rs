//! `limits`: what a client may ask of the gate. As written, and compiled.

use std::num::NonZeroU32;
use std::time::Duration;

use policy::Spanned;
use policy::units::{ByteSize, Period, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, period, size, within};
use super::raw::seconds;
use crate::limits::Quota;
use crate::pace::LeastRate;
use crate::runtime::Bounds;

/// What a client may ask of the gate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// All header names and values of a request together: `1KiB` to `256KiB`.
    pub headers: Spanned<ByteSize>,
    /// The body of a request: at most `1TiB`.
    pub body: Spanned<ByteSize>,
    /// Open connections, over all workers: 1 to 1000000. One more is closed at once.
    pub connections: Spanned<u32>,
    /// Open connections of one address (IPv6: one /64): 1 to 1000000. A clinic behind one NAT is one address; a sender that
    /// `client_address` names is not counted.
    pub connections_per_address: Spanned<u32>,
    /// New connections of one address (IPv6: one /64). One more is closed before anything of it is read. With the PROXY
    /// protocol the client's address counts; senders of a header that `client_address` names are not counted.
    pub new_connections_per_address: RawConnectionRate,
    /// Connections that have not finished their TLS handshake, over all workers: 1 to 1000000. For one more the oldest
    /// gives way.
    pub handshakes: Spanned<u32>,
    /// How long a TLS handshake may take: at most `1m`.
    pub handshake_time: Spanned<Period>,
    /// How long the head of a request may take, and how long a connection may be silent between two: at most `15m`.
    pub head_time: Spanned<Period>,
    /// Requests at once on one HTTP/2 connection: 1 to 1000.
    pub streams: Spanned<u32>,
    /// Requests at once, over all workers, each until its answer has been handed on: 1 to 1000000. One more is answered
    /// with `503 OVERLOADED`.
    pub requests: Spanned<u32>,
    /// How fast a client has to send a body, and to take an answer. Only time counts in which it could go on: a stream on
    /// which nothing waits for it is never too slow.
    pub least_rate: RawLeastRate,
    /// Requests of one address (IPv6: one /64).
    pub per_address: RawAddressLimit,
    /// Refused requests of one address: once they are used up, only public pages and tokens that were verified before
    /// pass.
    pub refused_per_address: RawRefusedLimit,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            headers: Spanned::unplaced(ByteSize(32 * 1024)),
            body: Spanned::unplaced(ByteSize(10 * 1024 * 1024)),
            connections: Spanned::unplaced(10_000),
            connections_per_address: Spanned::unplaced(2_000),
            new_connections_per_address: RawConnectionRate::default(),
            handshakes: Spanned::unplaced(512),
            handshake_time: Spanned::unplaced(seconds(10)),
            head_time: Spanned::unplaced(seconds(30)),
            streams: Spanned::unplaced(100),
            requests: Spanned::unplaced(4_096),
            least_rate: RawLeastRate::default(),
            per_address: RawAddressLimit::default(),
            refused_per_address: RawRefusedLimit::default(),
        }
    }
}

/// How fast a client has to be.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLeastRate {
    /// Bytes in a second, on average: `1B` to `1MiB`.
    pub per_second: Spanned<ByteSize>,
    /// How long it may do nothing at all: at most `10m`.
    pub grace: Spanned<Period>,
}

impl Default for RawLeastRate {
    fn default() -> Self {
        Self { per_second: Spanned::unplaced(ByteSize(1_024)), grace: Spanned::unplaced(seconds(30)) }
    }
}

/// A rate with a burst, for the new connections of an address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawConnectionRate {
    /// How fast the allowance grows back.
    pub rate: Rate,
    /// How much of it can be used at once: at least 1.
    pub burst: Spanned<u32>,
}

impl Default for RawConnectionRate {
    fn default() -> Self {
        Self { rate: Rate { count: 200, per: Duration::from_secs(1) }, burst: Spanned::unplaced(1_000) }
    }
}

/// A rate with a burst, for all requests of an address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAddressLimit {
    /// How fast the allowance grows back.
    pub rate: Rate,
    /// How much of it can be used at once: at least 1.
    pub burst: Spanned<u32>,
}

impl Default for RawAddressLimit {
    fn default() -> Self {
        Self { rate: Rate { count: 500, per: Duration::from_secs(1) }, burst: Spanned::unplaced(1_000) }
    }
}

/// A rate with a burst, for the refused requests of an address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRefusedLimit {
    /// How fast the allowance grows back.
    pub rate: Rate,
    /// How much of it can be used at once: at least 1.
    pub burst: Spanned<u32>,
}

impl Default for RawRefusedLimit {
    fn default() -> Self {
        Self { rate: Rate { count: 5, per: Duration::from_secs(1) }, burst: Spanned::unplaced(50) }
    }
}

pub(super) fn bounds(raw: &RawLimits, faults: &mut Faulty<'_>) -> Option<Bounds> {
    let kib = 1024;
    let headers = size(&raw.headers, kib, 256 * kib, faults);
    let body = size(&raw.body, 0, 1024 * 1024 * 1024 * kib, faults);
    let per_address = quota(&raw.per_address.rate, &raw.per_address.burst, faults);
    let refused = quota(&raw.refused_per_address.rate, &raw.refused_per_address.burst, faults);
    let newcomers = quota(&raw.new_connections_per_address.rate, &raw.new_connections_per_address.burst, faults);
    let million = 1_000_000;
    let connections = within(&raw.connections, 1, million, faults);
    let connections_per_address = within(&raw.connections_per_address, 1, million, faults);
    let handshakes = within(&raw.handshakes, 1, million, faults);
    let requests = within(&raw.requests, 1, million, faults);
    let streams = within(&raw.streams, 1, 1_000, faults);
    let handshake_time = period(&raw.handshake_time, Duration::from_secs(60), faults);
    let head_time = period(&raw.head_time, Duration::from_secs(900), faults);
    let per_second = size(&raw.least_rate.per_second, 1, 1024 * kib, faults);
    let grace = period(&raw.least_rate.grace, Duration::from_secs(600), faults);
    let whole = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Some(Bounds {
        headers: headers?,
        body: body?,
        per_address: per_address?,
        refused_per_address: refused?,
        connections: whole(connections?),
        connections_per_address: whole(connections_per_address?),
        new_connections_per_address: newcomers?,
        handshakes: whole(handshakes?),
        handshake_time: handshake_time?,
        head_time: head_time?,
        streams: streams?,
        requests: whole(requests?),
        least_rate: LeastRate { per_second: per_second?, grace: grace? },
    })
}

pub(super) fn quota(rate: &Rate, burst: &Spanned<u32>, faults: &mut Faulty<'_>) -> Option<Quota> {
    let Some(allowance) = NonZeroU32::new(burst.value).filter(|burst| burst.get() <= 1_000_000) else {
        faults.at(burst.span, "range", "a burst is at least 1 and at most 1000000", "leave it out for the default");
        return None;
    };
    let quota = Quota { count: NonZeroU32::new(rate.count)?, per: rate.per, burst: allowance };
    if quota.is_sane() {
        return Some(quota);
    }
    faults.at(
        burst.span,
        "range",
        "it would take over 30 days until this burst has grown back",
        "raise the rate or lower the burst",
    );
    None
}
