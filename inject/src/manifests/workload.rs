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
        _ => {
            // `kubectl` takes whatever has `items` for a list, and creates each of them.
            let items = object.get("items").and_then(Value::as_array).into_iter().flatten();
            let has_pods = items.chain([object]).any(makes_pods);
            let inside = object
                .as_object()
                .is_some_and(|map| map.iter().any(|(key, value)| key != "metadata" && asks_inside(value)));
            Workload::Unknown { labelled: inside || (has_pods && asks(object)), has_pods }
        }
    }
}

/// Does an object look as if it made pods, or were one?
fn makes_pods(object: &Value) -> bool {
    [
        "/spec/template/spec/containers",
        "/spec/jobTemplate/spec/template/spec/containers",
        "/template/spec/containers",
        "/spec/containers",
    ]
    .iter()
    .any(|place| object.pointer(place).is_some())
}

/// Does the object ask for the gate somewhere, though its pods do not?
pub(super) fn asks_elsewhere(object: &Value) -> bool {
    asks(object) || object.get("spec").is_some_and(asks_inside)
}

/// Does its own label ask for the gate?
fn asks(object: &Value) -> bool {
    object.get("metadata").is_some_and(labelled)
}

fn labelled(metadata: &Value) -> bool {
    metadata.get("labels").and_then(|labels| labels.get(names::INJECT)).and_then(Value::as_str) == Some("true")
}

/// Does anything in it have labels that ask for the gate? Selectors are no labels. As deep as the reader lets it be.
fn asks_inside(value: &Value) -> bool {
    match value {
        Value::Object(map) => labelled(value) || map.values().any(asks_inside),
        Value::Array(items) => items.iter().any(asks_inside),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A disk of a StatefulSet that would take the place of a volume of ours.
pub(super) fn claimed(object: &Value) -> Option<&str> {
    let claims = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array).into_iter().flatten();
    let mut named = claims.filter_map(|claim| claim.pointer("/metadata/name").and_then(Value::as_str));
    named.find(|name| names::VOLUMES.contains(name))
}

/// The app's port of a template that has the gate already, and the ports that may stay open.
pub(super) fn said_ports(template: &Value, settings: &Settings) -> (Option<AppPort>, Vec<AppPort>) {
    let annotations = template.get("metadata").and_then(|one| one.get("annotations"));
    let said = |name: &str| annotations.and_then(|one| one.get(name)).and_then(Value::as_str);
    let app = said(names::APP_PORT).and_then(AppPort::parse).or_else(|| settings.app_port.clone());
    let kept = said(names::KEEP_PORTS).and_then(AppPort::parse_list).unwrap_or_else(|| settings.keep_ports.clone());
    (app, kept)
}
