//! What the gate tells about itself: the operations log and the metrics. Neither holds what a client sent.

pub mod log;
pub mod metrics;
