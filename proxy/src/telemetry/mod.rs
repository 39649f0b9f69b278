//! What the gate tells about itself while it runs: the log, the metrics, the traces, and their way to a collector.

pub mod log;
pub mod metrics;
pub mod otlp;
pub mod refusals;
pub(crate) mod trace;
