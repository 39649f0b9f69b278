//! Services that pointed at an app point at its gate.
//!
//! A port that led to the app's port leads to the port named `anteroom`. What leads elsewhere stays, and is told: it goes
//! around the gate.

use serde_json::{Map, Value};

use super::document::Document;
use super::report::{Place, Report, What};
use crate::names;
use crate::settings::AppPort;

/// The pods of one template, as a Service sees them.
pub(super) struct Pods {
    namespace: Option<String>,
    labels: Map<String, Value>,
    /// The app's TCP ports: their names and numbers.
    ports: Vec<(Option<String>, u64)>,
    /// The app's port that Services point at.
    app: Option<u64>,
    gated: bool,
    called: String,
}

impl Pods {
    /// Pods with the gate; `template` is that of before.
    pub(super) fn of(place: &Place, template: &Value, said: Option<&AppPort>) -> Self {
        let mut pods = Self::without(place, template);
        pods.gated = true;
        pods.app = match said {
            Some(AppPort::Number(number)) => Some(u64::from(*number)),
            Some(AppPort::Name(name)) => pods.named(name),
            None => match pods.ports.as_slice() {
                [(_, only)] => Some(*only),
                _ => None,
            },
        };
        pods
    }

    /// Pods without the gate.
    pub(super) fn without(place: &Place, template: &Value) -> Self {
        let labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let list = |path: &str| template.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let app = |one: &&Value| one.get("name").and_then(Value::as_str) != Some(names::CONTAINER);
        let containers = list("/spec/containers").chain(list("/spec/initContainers")).filter(app);
        let ports = containers.filter_map(|one| one.get("ports").and_then(Value::as_array)).flatten();
        let tcp = ports.filter(|port| port.get("protocol").and_then(Value::as_str).is_none_or(|one| one == "TCP"));
        let ports = tcp.filter_map(|port| {
            let name = port.get("name").and_then(Value::as_str).map(str::to_owned);
            Some((name, port.get("containerPort").and_then(Value::as_u64)?))
        });
        Self {
            namespace: place.namespace.clone(),
            labels,
            ports: ports.collect(),
            app: None,
            gated: false,
            called: format!("{}/{}", place.kind, place.name),
        }
    }

    fn named(&self, name: &str) -> Option<u64> {
        self.ports.iter().find(|(other, _)| other.as_deref() == Some(name)).map(|(_, number)| *number)
    }

    /// Does a Service with this selector, in this namespace, lead here? Where none is written, kubectl's is meant.
    fn chosen(&self, namespace: Option<&str>, selector: &Map<String, Value>) -> bool {
        let near = self.namespace.is_none() || namespace.is_none() || self.namespace.as_deref() == namespace;
        near && selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// Points one object, if it is a Service, at the gates among the pods.
pub(super) fn point(document: &mut Document, object: &str, pods: &[Pods], report: &mut Report) {
    let place = document.place(object, 0);
    let Some(value) = document.value.pointer(object) else { return };
    let core = value.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let selector = value.pointer("/spec/selector").and_then(Value::as_object).filter(|one| !one.is_empty());
    let Some(selector) = selector.filter(|_| core && place.kind == "Service") else { return };
    let chosen: Vec<&Pods> = pods.iter().filter(|pods| pods.chosen(place.namespace(), selector)).collect();
    let gated: Vec<&&Pods> = chosen.iter().filter(|pods| pods.gated).collect();
    if gated.is_empty() {
        return;
    }
    let without = chosen.iter().find(|pods| !pods.gated).map(|pods| pods.called.clone());
    let headless = value.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None");
    let ports = value.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut moved = false;
    for (at, port) in ports.iter().enumerate() {
        let Some(number) = port.get("port").and_then(Value::as_u64) else { continue };
        let target =
            port.get("targetPort").filter(|target| !target.is_null()).cloned().unwrap_or_else(|| number.into());
        if target == names::PORT || target == names::HEALTH_PORT {
            continue;
        }
        let tcp = port.get("protocol").and_then(Value::as_str).is_none_or(|one| one == "TCP");
        if !tcp || !gated.iter().any(|pods| leads_to_app(pods, &target)) {
            let unknown = tcp && gated.iter().any(|pods| pods.app.is_none());
            report.add(place.clone(), What::PortKept { port: number, target: shown(&target), unknown });
            continue;
        }
        let mut port = port.clone();
        let plain = port.get("appProtocol").and_then(Value::as_str) == Some("http");
        if let Some(port) = port.as_object_mut() {
            port.insert("targetPort".to_owned(), names::PORT.into());
        }
        document.change(object, &format!("/spec/ports/{at}"), port);
        moved = true;
        report.add(place.clone(), What::PortMoved { port: number, from: shown(&target), headless, plain });
    }
    if let Some(pods) = without.filter(|_| moved) {
        report.add(place, What::ServiceShared { pods });
    }
}

fn leads_to_app(pods: &Pods, target: &Value) -> bool {
    let number = match target {
        Value::String(name) => pods.named(name).or_else(|| name.parse().ok()),
        other => other.as_u64(),
    };
    number.is_some() && number == pods.app
}

fn shown(target: &Value) -> String {
    target.as_str().map_or_else(|| target.to_string(), str::to_owned)
}
