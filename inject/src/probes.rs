//! The app's probes: asked of the gate, which asks the app on loopback.
//!
//! The kubelet calls the pod's address, where an app behind the gate should answer nobody. So a probe goes to the gate's
//! health listener, and the gate calls what the probe said, which it learns from one variable. It never adds a probe, and
//! leaves those alone that need no network (`exec`).

use serde_json::{Map, Value, json};

use crate::fit::free;
use crate::names;
use crate::note::{Kept, Note};
use crate::outcome::{Change, Refusal};
use crate::pod::{Object, given, items, map, no_pod, spec_mut, stays, text};
use crate::settings::{AppAddress, Settings};

/// Each kind of probe, and the word for it in the gate's path.
const KINDS: [(&str, &str); 3] =
    [("startupProbe", "startupz"), ("readinessProbe", "readyz"), ("livenessProbe", "livez")];
/// The ways to probe that go over the network.
const HANDLERS: [&str; 3] = ["httpGet", "tcpSocket", "grpc"];

/// The longest that a probe may wait, in seconds.
const LONGEST: u64 = 300;

/// Rewrites the probes and returns what they were, by container: the value of `ANTEROOM_APP_PROBES`.
pub(crate) fn rewrite(
    template: &mut Value,
    wanted: &Settings,
    changes: &mut Vec<Change>,
    notes: &mut Vec<Note>,
) -> Result<Object, Refusal> {
    let spec = spec_mut(template)?;
    let mut recorded = Map::new();
    for list in ["initContainers", "containers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            if list == "initContainers" && !stays(container) {
                continue;
            }
            let name = text(container, "name").unwrap_or_default().to_owned();
            let found = container_probes(container, &name, wanted, changes, notes)?;
            if !found.is_empty() && recorded.insert(name.clone(), Value::Object(found)).is_some() {
                return Err(no_pod(format!("two containers are called `{name}`")));
            }
        }
    }
    Ok(recorded)
}

fn container_probes(
    container: &mut Object,
    name: &str,
    wanted: &Settings,
    changes: &mut Vec<Change>,
    notes: &mut Vec<Note>,
) -> Result<Object, Refusal> {
    let mut recorded = Map::new();
    for (kind, word) in KINDS {
        let Some(probe) = map(container, kind)? else { continue };
        let Some((handler, call)) = handler(probe, kind, name)? else { continue };
        let call = resolved(call, container, name, kind, wanted)?;
        let why = match wanted.app_address {
            AppAddress::Pod => Some(Kept::AppOnPodAddress),
            AppAddress::Loopback => text(&call, "host").filter(|host| !host.is_empty()).map(|_| Kept::OwnHost),
        };
        if let Some(why) = why {
            notes.push(Note::ProbeKept { container: name.to_owned(), probe: kind, why });
            continue;
        }
        let timeout = timeout(probe, kind, name)?;
        recorded.insert(word.to_owned(), json!({ handler: call, "timeoutSeconds": timeout }));
        let Some(Value::Object(probe)) = container.get_mut(kind) else { continue };
        let ours = json!({ "path": format!("/app-health/{name}/{word}"), "port": wanted.ports.health });
        put_in_place(probe, handler, "httpGet", ours);
        changes.push(Change::Probe { container: name.to_owned(), probe: kind });
    }
    Ok(recorded)
}

/// Seconds that the answer may take: 1 where nothing is written, as in Kubernetes, and no more than the gate waits.
fn timeout(probe: &Object, kind: &str, name: &str) -> Result<u64, Refusal> {
    match given(probe, "timeoutSeconds").map(Value::as_u64) {
        None | Some(Some(0)) => Ok(1),
        Some(Some(seconds)) if seconds <= LONGEST => Ok(seconds),
        Some(_) => Err(no_pod(format!("`timeoutSeconds` of `{kind}` of `{name}` is not between 1 and {LONGEST}"))),
    }
}

/// The one way in which a probe asks over the network, if it does.
fn handler<'p>(probe: &'p Object, kind: &str, name: &str) -> Result<Option<(&'static str, &'p Object)>, Refusal> {
    let mut found = None;
    for handler in HANDLERS {
        let Some(call) = map(probe, handler)? else { continue };
        if found.is_some() || given(probe, "exec").is_some() {
            return Err(no_pod(format!("`{kind}` of `{name}` asks in two ways")));
        }
        found = Some((handler, call));
    }
    Ok(found)
}

/// The call with its port as a number, without what says nothing.
fn resolved(
    call: &Object,
    container: &Object,
    name: &str,
    kind: &'static str,
    wanted: &Settings,
) -> Result<Object, Refusal> {
    let port = match given(call, "port") {
        Some(Value::String(port)) => named_port(container, port, name, kind)?,
        Some(value) => value.as_u64().ok_or_else(|| no_pod(format!("`{kind}` of `{name}` has no good port")))?,
        None => return Err(no_pod(format!("`{kind}` of `{name}` has no port"))),
    };
    if port == 0 || port > u64::from(u16::MAX) {
        return Err(no_pod(format!("`{kind}` of `{name}` has no good port")));
    }
    free(name, port, wanted)?;
    let mut call: Object =
        call.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect();
    call.insert("port".to_owned(), json!(port));
    Ok(call)
}

/// The number of a named port. As the kubelet has it, text that is no name may still be a number.
fn named_port(container: &Object, port: &str, name: &str, kind: &'static str) -> Result<u64, Refusal> {
    let named = items(container, "ports")?
        .filter_map(Value::as_object)
        .find(|one| text(one, "name") == Some(port))
        .and_then(|one| one.get("containerPort").and_then(Value::as_u64));
    named.or_else(|| port.parse().ok()).ok_or_else(|| Refusal::UnknownProbePort {
        container: name.to_owned(),
        probe: kind,
        port: port.to_owned(),
    })
}

/// Puts a key where another one stood, so that the text of a manifest changes in this place alone.
fn put_in_place(object: &mut Object, old: &str, new: &str, value: Value) {
    let entries = std::mem::take(object);
    let mut value = Some(value);
    for (key, kept) in entries {
        if key == old {
            object.extend(value.take().map(|value| (new.to_owned(), value)));
        } else if key != new {
            object.insert(key, kept);
        }
    }
}

/// The variable that tells the gate what the probes were; none where there is nothing to tell.
pub(crate) fn variable(recorded: &Object) -> Option<Value> {
    let text = Value::Object(recorded.clone()).to_string();
    (!recorded.is_empty()).then(|| json!({ "name": names::APP_PROBES, "value": dollars(&text) }))
}

/// The kubelet reads `$(NAME)` in a value as another variable, and `$$` as one dollar.
fn dollars(text: &str) -> String {
    text.replace('$', "$$")
}
