//! Which objects have pods, and where in them their template is.

use serde_json::Value;

use crate::names;
use crate::settings::{AppPort, Settings};

/// What an object is to us.
pub(super) enum Workload {
    /// Its pod template is at this pointer.
    Pods(&'static str),
    /// A kind that is not known.
    Unknown {
        /// Does something in it ask for the gate?
        labelled: bool,
        /// Does it look as if it made pods?
        has_pods: bool,
    },
}

const TEMPLATE: &str = "/spec/template";

/// Looks at an object's kind and the group of its version.
pub(super) fn of(object: &Value) -> Workload {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text("kind")) {
        ("", "Pod") => Workload::Pods(""),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => {
            Workload::Pods(TEMPLATE)
        }
        ("batch", "CronJob") => Workload::Pods("/spec/jobTemplate/spec/template"),
        _ => Workload::Unknown {
            labelled: asks(object) || object.pointer(TEMPLATE).is_some_and(asks),
            has_pods: object.pointer("/spec/template/spec/containers").is_some(),
        },
    }
}

/// Does a label ask for the gate?
fn asks(value: &Value) -> bool {
    label(value).and_then(Value::as_str) == Some("true")
}

fn label(value: &Value) -> Option<&Value> {
    value.get("metadata")?.get("labels")?.get(names::INJECT)
}

/// Does the label stand on the object alone, where no pod has it? (A Pod is its own template.)
pub(super) fn label_outside(object: &Value, template: &Value, path: &str) -> bool {
    !path.is_empty() && asks(object) && label(template).is_none()
}

/// The app's port of a template that has the gate already.
pub(super) fn said_port(template: &Value, settings: &Settings) -> Option<AppPort> {
    let said = template.get("metadata").and_then(|one| one.get("annotations")).and_then(|one| one.get(names::APP_PORT));
    said.and_then(Value::as_str).and_then(AppPort::parse).or_else(|| settings.app_port.clone())
}
