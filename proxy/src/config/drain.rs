//! `drain`: how the gate leaves. As written, and compiled.

use std::time::Duration;

use policy::units::Period;
use policy::{Span, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, period};
use super::raw::seconds;
use crate::runtime::DrainTimes;

/// How the gate leaves after SIGTERM or `anteroom drain`, counted from the moment that readiness falls.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDrain {
    /// How long new connections and requests are still taken, until everybody knows that readiness has fallen: at most
    /// `5m`; `0s` for none.
    pub delay: Spanned<Period>,
    /// When requests that are still open are cut: more than `delay`, at most `1h`. The pod's
    /// `terminationGracePeriodSeconds` must be some seconds longer.
    pub deadline: Spanned<Period>,
}

impl Default for RawDrain {
    fn default() -> Self {
        // Together they leave 5 s of Kubernetes' default grace of 30 s for the record.
        Self { delay: Spanned::unplaced(seconds(5)), deadline: Spanned::unplaced(seconds(25)) }
    }
}

pub(super) fn drain_times(raw: &RawDrain, faults: &mut Faulty<'_>) -> Option<DrainTimes> {
    let (delay, deadline) = (raw.delay.value.0, period(&raw.deadline, Duration::from_secs(60 * 60), faults)?);
    if delay > Duration::from_secs(5 * 60) {
        let message = format!("`{}` is more than `5m`", raw.delay.value);
        faults.at(raw.delay.span, "range", message, "readiness is asked for every few seconds");
        return None;
    }
    if delay >= deadline {
        // Where only one of the two is written, the fault is at that one.
        let span = if raw.deadline.span == Span::NOWHERE { raw.delay.span } else { raw.deadline.span };
        let message = format!("the deadline `{}` is not after the delay `{}`", raw.deadline.value, raw.delay.value);
        faults.at(span, "range", message, "both count from the moment that readiness falls");
        return None;
    }
    Some(DrainTimes { delay, deadline })
}
