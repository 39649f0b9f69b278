//! Services that pointed at an app point at its gate.
//!
//! A port that led to the app's port leads to the gate's, by its number. What leads elsewhere goes around the gate: it is
//! refused, unless the pods say that this port may stay open. So after an injection that was not refused no Service among
//! the manifests leads around a gate without somebody having written so.

use serde_json::{Map, Value};

use super::document::Document;
use super::report::{Place, Report, What};
use crate::names;
use crate::pod::is_gate;
use crate::settings::{AppPort, Ports, Settings};

/// The pods of one template, as a Service sees them.
pub(super) struct Pods {
    namespace: Option<String>,
    labels: Map<String, Value>,
    /// The app's ports.
    ports: Vec<Port>,
    /// The gate's ports; none where there is no gate.
    gate: Option<Gate>,
    called: String,
}

struct Port {
    name: Option<String>,
    number: u64,
    tcp: bool,
}

/// A gate, and what it stands before.
struct Gate {
    https: u64,
    health: u64,
    /// The app's port that Services point at.
    app: Option<u64>,
    /// The app's ports that Services may reach around the gate.
    kept: Vec<AppPort>,
}

/// Where a port of a Service leads in some pods.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    ToGate,
    ToApp,
    /// Around the gate, as somebody wrote that it may.
    Kept,
    Around,
}

impl Pods {
    /// Pods with the gate. Its own ports are those that its container declares, or else those of the settings.
    pub(super) fn of(
        place: &Place,
        template: &Value,
        settings: &Settings,
        said: Option<&AppPort>,
        kept: &[AppPort],
    ) -> Self {
        let mut pods = Self::without(place, template);
        let own = |name: &str| {
            let ours = containers(template).filter(|one| is_gate(one)).flat_map(ports);
            ours.filter(|port| port.name.as_deref() == Some(name)).map(|port| port.number).next()
        };
        let tcp: Vec<u64> = pods.ports.iter().filter(|port| port.tcp).map(|port| port.number).collect();
        let app = match said {
            Some(AppPort::Number(number)) => Some(u64::from(*number)),
            Some(AppPort::Name(name)) => pods.named(name, true),
            None => match tcp.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
        };
        let Ports { https, health } = settings.ports;
        pods.gate = Some(Gate {
            https: own(names::PORT).unwrap_or(https.into()),
            health: own(names::HEALTH_PORT).unwrap_or(health.into()),
            app,
            kept: kept.to_vec(),
        });
        pods
    }

    /// Pods without the gate.
    pub(super) fn without(place: &Place, template: &Value) -> Self {
        let labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            namespace: place.namespace.clone(),
            labels,
            ports: containers(template).filter(|one| !is_gate(one)).flat_map(ports).collect(),
            gate: None,
            called: format!("{}/{}", place.kind, place.name),
        }
    }

    fn named(&self, name: &str, tcp: bool) -> Option<u64> {
        let mut ports = self.ports.iter().filter(|port| port.tcp == tcp);
        ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.number)
    }

    fn leads(&self, gate: &Gate, target: &Value, tcp: bool) -> Leads {
        let number = match target {
            Value::String(name) => self.named(name, tcp).or_else(|| name.parse().ok()),
            other => other.as_u64(),
        };
        let kept = |port: &AppPort| match port {
            AppPort::Number(port) => number == Some(u64::from(*port)),
            AppPort::Name(name) => {
                target.as_str() == Some(name) || (number.is_some() && number == self.named(name, tcp))
            }
        };
        if tcp && (*target == names::PORT || *target == names::HEALTH_PORT) {
            return Leads::ToGate;
        }
        match number {
            Some(number) if tcp && (number == gate.https || number == gate.health) => Leads::ToGate,
            Some(number) if tcp && Some(number) == gate.app => Leads::ToApp,
            _ if gate.kept.iter().any(kept) => Leads::Kept,
            _ => Leads::Around,
        }
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
    if holds_services(value) && pods.iter().any(|one| one.gate.is_some()) {
        report.add(place, What::UnknownKind);
        return;
    }
    let core = value.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let selector = value.pointer("/spec/selector").and_then(Value::as_object).filter(|one| !one.is_empty());
    let Some(selector) = selector.filter(|_| core && place.kind == "Service") else { return };
    let chosen: Vec<&Pods> = pods.iter().filter(|pods| pods.chosen(place.namespace(), selector)).collect();
    let gated: Vec<(&Pods, &Gate)> = chosen.iter().filter_map(|pods| Some((*pods, pods.gate.as_ref()?))).collect();
    let Some((_, first)) = gated.first() else { return };
    let alike = gated.iter().all(|(_, gate)| gate.https == first.https);
    let without = chosen.iter().find(|pods| pods.gate.is_none()).map(|pods| pods.called.clone());
    let headless = value.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None");
    let ports = value.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut moved = false;
    for (at, port) in ports.iter().enumerate() {
        let Some(number) = port.get("port").and_then(Value::as_u64) else { continue };
        let target =
            port.get("targetPort").filter(|target| !target.is_null()).cloned().unwrap_or_else(|| number.into());
        let leads: Vec<Leads> = gated.iter().map(|(pods, gate)| pods.leads(gate, &target, is_tcp(port))).collect();
        let any = |one: Leads| leads.contains(&one);
        // ORDER: what leads to an app anywhere is moved for all of them, which closes the others too.
        let what = match () {
            () if any(Leads::ToApp) && !alike => What::GatesDiffer { port: number },
            () if any(Leads::ToApp) => {
                let mut port = port.clone();
                let plain = port.get("appProtocol").and_then(Value::as_str) == Some("http");
                if let Some(port) = port.as_object_mut() {
                    port.insert("targetPort".to_owned(), first.https.into());
                }
                document.change(object, &format!("/spec/ports/{at}"), port);
                moved = true;
                What::PortMoved { port: number, from: shown(&target), headless, plain }
            }
            () if any(Leads::Around) => {
                let unknown = is_tcp(port) && gated.iter().any(|(_, gate)| gate.app.is_none());
                What::PortAround { port: number, target: shown(&target), unknown }
            }
            () if any(Leads::Kept) => What::PortKept { port: number, target: shown(&target) },
            () => continue,
        };
        report.add(place.clone(), what);
    }
    if let Some(pods) = without.filter(|_| moved) {
        report.add(place, What::ServiceShared { pods });
    }
}

/// Is this a list, other than the one that is looked into, in which a Service may be? `kubectl` takes whatever has `items` for
/// one.
fn holds_services(value: &Value) -> bool {
    let Some(items) = value.get("items").and_then(Value::as_array) else { return false };
    let kind = |one: &Value| one.get("kind").and_then(Value::as_str).map(str::to_owned);
    kind(value).as_deref() == Some("ServiceList")
        || items.iter().any(|one| kind(one).as_deref() == Some("Service") || one.get("items").is_some())
}

fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    let list = |path: &str| template.pointer(path).and_then(Value::as_array).into_iter().flatten();
    list("/spec/containers").chain(list("/spec/initContainers"))
}

fn ports(container: &Value) -> impl Iterator<Item = Port> {
    let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| {
        let name = port.get("name").and_then(Value::as_str).map(str::to_owned);
        Some(Port { name, number: port.get("containerPort").and_then(Value::as_u64)?, tcp: is_tcp(port) })
    })
}

fn is_tcp(port: &Value) -> bool {
    port.get("protocol").and_then(Value::as_str).is_none_or(|one| one == "TCP")
}

fn shown(target: &Value) -> String {
    target.as_str().map_or_else(|| target.to_string(), str::to_owned)
}
