//! `limits`: what a client may ask of the gate. As written, and compiled.

use std::num::NonZeroU32;
use std::time::Duration;

use policy::Spanned;
use policy::units::{ByteSize, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, size};
use crate::limits::Quota;
use crate::runtime::Bounds;

/// What a client may ask of the gate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// All header names and values of a request together: `1KiB` to `256KiB`.
    pub headers: Spanned<ByteSize>,
    /// The body of a request: at most `1TiB`.
    pub body: Spanned<ByteSize>,
    /// Open connections, over all workers: 1 to 1000000.
    pub connections: Spanned<u32>,
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
            per_address: RawAddressLimit::default(),
            refused_per_address: RawRefusedLimit::default(),
        }
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
    Some(Bounds { headers: headers?, body: body?, per_address: per_address?, refused_per_address: refused? })
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
