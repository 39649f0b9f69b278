//! Connections and streams that the gate ended because of what their clients did, or failed to do.
//!
//! Decides their names, and how often the log says so: a flood of them is one line a second, the metric counts each.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::Shared;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There were `limits.connections`.
    Full,
    /// Its address had `limits.connections_per_address`.
    Address,
    /// Its address had opened more than `limits.new_connections_per_address`.
    Rate,
    /// It waited longest of more than `limits.handshakes`.
    Handshakes,
    /// A named sender did not send the header that it has to.
    ProxyProtocol,
    /// It took an answer more slowly than `limits.least_rate`; on HTTP/2 that one stream was ended.
    SlowReader,
    /// Its block of headers on HTTP/2 stayed open for `limits.head_time`.
    HeaderBlock,
    /// Too many CONTINUATION frames, or empty ones (CVE-2024-27316).
    Continuation,
    /// Too many SETTINGS frames (CVE-2019-9515).
    Settings,
    /// Too many PING frames (CVE-2019-9512).
    Ping,
    /// Too many PRIORITY or PRIORITY_UPDATE frames (CVE-2019-9513).
    Priority,
    /// Too many streams that it reset itself (CVE-2023-44487).
    Reset,
    /// Too many WINDOW_UPDATE frames.
    WindowUpdate,
    /// Too many empty DATA frames (CVE-2019-9518).
    EmptyData,
    /// Too many frames of kinds that nobody knows.
    UnknownFrame,
    /// Too many refused requests in a row.
    Refused,
}

impl Ended {
    /// All of them: each is shown from the start, so that a rate can be made of the first one.
    pub(crate) const ALL: [Self; 16] = [
        Ended::Full,
        Ended::Address,
        Ended::Rate,
        Ended::Handshakes,
        Ended::ProxyProtocol,
        Ended::SlowReader,
        Ended::HeaderBlock,
        Ended::Continuation,
        Ended::Settings,
        Ended::Ping,
        Ended::Priority,
        Ended::Reset,
        Ended::WindowUpdate,
        Ended::EmptyData,
        Ended::UnknownFrame,
        Ended::Refused,
    ];

    /// Its name in the metric and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ended::Full => "full",
            Ended::Address => "address",
            Ended::Rate => "rate",
            Ended::Handshakes => "handshakes",
            Ended::ProxyProtocol => "proxy_protocol",
            Ended::SlowReader => "slow_reader",
            Ended::HeaderBlock => "header_block",
            Ended::Continuation => "continuation",
            Ended::Settings => "settings",
            Ended::Ping => "ping",
            Ended::Priority => "priority",
            Ended::Reset => "reset",
            Ended::WindowUpdate => "window_update",
            Ended::EmptyData => "empty_data",
            Ended::UnknownFrame => "unknown_frame",
            Ended::Refused => "refused",
        }
    }
}

/// When the log last said so, in seconds of our clock; 0 before it ever did.
#[derive(Debug, Default)]
pub struct Told(AtomicU64);

impl Shared {
    /// Counts a connection that was ended, and says so at most once a second.
    pub(crate) fn ended(&self, why: Ended) {
        self.metrics.ended(why);
        let second = self.clock.now().monotone.as_secs().saturating_add(1);
        if self.told.0.fetch_max(second, Ordering::AcqRel) < second {
            tracing::warn!(target: "anteroom", reason = why.name(), "a connection was ended for what its client did");
        }
    }
}
