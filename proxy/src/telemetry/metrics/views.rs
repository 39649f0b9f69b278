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

/// The one that has a set for each pair of words, 23 by 3, and the room for it.
const PAIRED: (&str, usize) = ("anteroom.csp.reports", 111);

/// The most sets of all others: each has one word of a closed list of ours. The library makes room for as many as there may be, which
/// is memory of an idle gate: for this many, a table of 32 places.
const CLOSED: usize = 27;

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
    if NAMED.contains(&name) {
        return None;
    }
    let most = if name == PAIRED.0 { PAIRED.1 } else { CLOSED };
    stream.with_cardinality_limit(most).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::METHODS;
    use crate::sessions::EndedBy;
    use crate::sessions::life::Fault;
    use crate::sessions::open::Cut;
    use crate::telemetry::controls::{Control, Reports};
    use crate::telemetry::ended::Ended;

    #[test]
    fn every_word_has_its_room() {
        let lists = [
            METHODS.len() + 1,
            Ended::ALL.len(),
            Cut::ALL.len(),
            Fault::ALL.len(),
            EndedBy::ALL.len(),
            Control::ALL.len(),
        ];
        assert!(lists.into_iter().all(|words| words < CLOSED));
        assert!(Reports::SETS < PAIRED.1);
    }
}
