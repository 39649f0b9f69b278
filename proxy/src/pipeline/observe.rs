//! What a control would refuse while it is observed only.
//!
//! Decides whether a refusal ends the request or is noted: counted, logged, and recorded with its code. It is asked by the
//! controls that have a stage and by no other, so nothing else can be waived through it.

use super::trail::Trail;
use crate::rejection::Rejection;
use crate::runtime::{Rollout, Runtime};
use crate::shared::Shared;
use crate::telemetry::controls::Control;
use crate::telemetry::log;

/// Ends the request with `rejection`, unless `control` is observed only.
///
/// # Errors
/// `rejection`, where the control is enforced.
pub(super) fn ends(
    shared: &Shared,
    runtime: &Runtime,
    trail: &mut Trail,
    control: Control,
    rejection: Rejection,
) -> Result<(), Rejection> {
    match runtime.stages.of(control) {
        Rollout::Enforce => Err(rejection),
        Rollout::Observe => {
            trail.waived.get_or_insert(rejection.code());
            shared.metrics.observed(control);
            log::observed(trail, control, &rejection.detail());
            Ok(())
        }
    }
}
