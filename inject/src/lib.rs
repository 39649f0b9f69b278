//! Puts the gate into a pod.
//!
//! [`inject`] takes a pod template, which is what `spec.template` of a Deployment holds and what a Pod is, and answers with
//! the template that has the sidecar, or with why it has not. Everything that injects goes through it: `anteroom inject`,
//! the post-renderer of Helm and the webhook, so that a pod is the same whichever way it came.
//!
//! What it changes: the container `anteroom`, first of the pod; its volumes; the probes of the app, which go to the gate's
//! health listener where the app binds loopback; a pause before the app's containers are told to end; the grace period; and
//! annotations that say so. It changes nothing else of the app's containers and never adds a probe.
//!
//! What could not be protected is refused, never half done: a pod in the host's network, a port on the host, a port or a
//! volume that is taken. A pod that was not asked for, that opted out or that has the gate already is skipped.
//!
//! It is pure: no file, no clock, no network, no randomness. It never panics, whatever the JSON.
//!
//! ```
//! use inject::{Outcome, Settings, inject};
//! use serde_json::json;
//!
//! let template = json!({
//!     "metadata": { "labels": { "app": "records", "anteroom.dev/inject": "true" } },
//!     "spec": { "containers": [{ "name": "records", "image": "records:7", "ports": [{ "containerPort": 8080 }] }] },
//! });
//! let settings = Settings::new("registry.example/anteroom:1.0", "1.0.0");
//! let Outcome::Injected(injected) = inject(&template, &settings) else { return };
//! assert_eq!(injected.template["spec"]["initContainers"][0]["name"], "anteroom");
//! assert_eq!(injected.template["metadata"]["annotations"]["anteroom.dev/injected"], "1.0.0");
//! // A second time changes nothing.
//! assert!(matches!(inject(&injected.template, &settings), Outcome::Skipped(inject::Skip::AlreadyThere)));
//! ```
#![deny(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "tests may"
    )
)]

mod fit;
pub mod manifests;
pub mod names;
mod note;
mod outcome;
mod pod;
mod probes;
mod raw;
mod settings;
mod sidecar;
mod wanted;
mod yaml;

pub use note::{Kept, Note};
pub use outcome::{Change, Injected, Outcome, Refusal, Skip};
pub use raw::{ImageName, ObjectName, RawApp, RawInjection, RawPort, RawPorts, RawResources, Seconds, User};
pub use settings::{AppAddress, AppPort, Asked, Mode, Names, Ports, Quantity, Resources, Rollout, Settings};

use serde_json::Value;

/// Puts the gate into a pod template: `{"metadata": {…}, "spec": {…}}`, as in `spec.template` or as a Pod.
///
/// Other keys of the value (`apiVersion`, `kind`, `status`) are kept as they are. What the pod's own label and annotations
/// say comes before `settings`; [`names`] lists them. The same template and settings give the same answer, and the result
/// given in again is [`Skip::AlreadyThere`].
#[must_use]
pub fn inject(template: &Value, settings: &Settings) -> Outcome {
    match injected(template, settings) {
        Ok(done) => Outcome::Injected(Box::new(done)),
        Err(Not::Skipped(skip)) => Outcome::Skipped(skip),
        Err(Not::Refused(refusal)) => Outcome::Refused(refusal),
    }
}

/// Why there is no changed template.
enum Not {
    Skipped(Skip),
    Refused(Refusal),
}

impl From<Refusal> for Not {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn injected(template: &Value, settings: &Settings) -> Result<Injected, Not> {
    // ORDER: who did not ask hears of no fault, and who has the gate is not asked for anything again.
    if let Some(skip) = wanted::skip(template, settings)? {
        return Err(Not::Skipped(skip));
    }
    let wanted = wanted::wanted(template, settings)?;
    let pod = pod::Pod::of(template)?;
    let mut notes = fit::fits(&pod, &wanted)?;
    fit::declared(&pod, &wanted::named_ports(template)?)?;
    let mut changes = Vec::new();
    let mut template = template.clone();
    // ORDER: the app's probes come first, since the sidecar carries what they were.
    let recorded = probes::rewrite(&mut template, &wanted, &mut changes, &mut notes)?;
    sidecar::add(&mut template, &wanted, &recorded, &mut changes, &mut notes)?;
    let Settings { names, app_port, keep_ports, .. } = wanted;
    Ok(Injected { template, changes, notes, names, app_port, keep_ports })
}

#[cfg(test)]
mod tests;
