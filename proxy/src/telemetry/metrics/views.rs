//! How the numbers of an instrument are kept: which buckets a duration has, and how many sets of attributes there may be.
//!
//! Decides nothing of what is counted.

use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

/// The upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Those whose attributes the configuration names (routes, providers, certificates): as many sets as the library keeps, 2,000.
const NAMED: [&str; 5] = [
    "anteroom.requests",
    "anteroom.provider.keys",
    "anteroom.provider.keys_fetched",
    "anteroom.provider.fetch_failures",
    "anteroom.certificate.expiry",
];

/// The most sets of all others: their words stand in closed lists of ours, none of which is half as long. The library makes
/// room for as many as there may be, which is memory of an idle gate.
const CLOSED: usize = 256;

/// The form of an instrument.
pub(super) fn of(instrument: &Instrument) -> Option<Stream> {
    let name = instrument.name();
    let stream = Stream::builder();
    if name.ends_with(".duration") {
        let boundaries = SECONDS.to_vec();
        return stream
            .with_aggregation(Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false })
            .build()
            .ok();
    }
    if NAMED.contains(&name) { None } else { stream.with_cardinality_limit(CLOSED).build().ok() }
}
