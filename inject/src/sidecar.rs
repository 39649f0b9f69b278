//! The container, its volumes, and what the rest of the pod needs so that both end well.

use serde_json::{Map, Value, json};

use crate::names;
use crate::note::Note;
use crate::outcome::{Change, Refusal};
use crate::pod::{Object, given, list_mut, map, map_mut, metadata_mut, no_pod, spec_mut, text};
use crate::probes;
use crate::settings::{Mode, Settings};

mod group;

/// Who may read the Secrets where the group of the volumes is known: owner and group (0440).
const GROUP_MODE: u32 = 0o440;
/// Who may read them where it is not: every user of the container, which is one. The app mounts them nowhere (0444).
const OPEN_MODE: u32 = 0o444;

/// Adds everything but the probes.
pub(crate) fn add(
    template: &mut Value,
    wanted: &Settings,
    recorded: &Object,
    changes: &mut Vec<Change>,
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let first = first_container(template)?;
    let spec = spec_mut(template)?;
    sleep(spec, wanted, changes)?;
    grace(spec, wanted, changes)?;
    let mode = if group::settle(spec, wanted, changes, notes)? { GROUP_MODE } else { OPEN_MODE };
    list_mut(spec, "volumes")?.extend(volumes(wanted, mode));
    let list = match wanted.mode {
        Mode::Native => list_mut(spec, "initContainers")?,
        Mode::Container => list_mut(spec, "containers")?,
    };
    list.insert(0, container(wanted, recorded));
    changes.insert(0, Change::Sidecar { mode: wanted.mode, image: wanted.image.clone() });
    let annotations = map_mut(metadata_mut(template)?, "annotations")?;
    annotations.insert(names::INJECTED.to_owned(), json!(wanted.version));
    if given(annotations, names::DEFAULT_CONTAINER).is_none() {
        annotations.insert(names::DEFAULT_CONTAINER.to_owned(), json!(first));
        changes.push(Change::DefaultContainer { container: first });
    }
    Ok(())
}

fn first_container(template: &Value) -> Result<String, Refusal> {
    let first = template.pointer("/spec/containers/0/name").and_then(Value::as_str);
    first.map(str::to_owned).ok_or_else(|| no_pod("it has no `containers`"))
}

/// Endpoints still route to a pod that is ending; an app that ended at once would leave these requests without an answer.
fn sleep(spec: &mut Object, wanted: &Settings, changes: &mut Vec<Change>) -> Result<(), Refusal> {
    if wanted.app_sleep == 0 {
        return Ok(());
    }
    for container in list_mut(spec, "containers")?.iter_mut().filter_map(Value::as_object_mut) {
        let has = map(container, "lifecycle")?.is_some_and(|lifecycle| given(lifecycle, "preStop").is_some());
        if has {
            continue;
        }
        let name = text(container, "name").unwrap_or_default().to_owned();
        let hook = json!({ "sleep": { "seconds": wanted.app_sleep } });
        map_mut(container, "lifecycle")?.insert("preStop".to_owned(), hook);
        changes.push(Change::Sleep { container: name, seconds: wanted.app_sleep });
    }
    Ok(())
}

fn grace(spec: &mut Object, wanted: &Settings, changes: &mut Vec<Change>) -> Result<(), Refusal> {
    const KEY: &str = "terminationGracePeriodSeconds";
    let needed = wanted.grace();
    let from = match given(spec, KEY) {
        None => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| no_pod(format!("`{KEY}` is no number of seconds")))?),
    };
    // What Kubernetes takes where nothing is written.
    if from.unwrap_or(30) < u64::from(needed) {
        spec.insert(KEY.to_owned(), json!(needed));
        changes.push(Change::Grace { from, to: needed });
    }
    Ok(())
}

fn volumes(wanted: &Settings, mode: u32) -> Vec<Value> {
    let names = &wanted.names;
    let configs =
        |volume: &str, name: &str| json!({ "name": volume, "configMap": { "name": name, "optional": false } });
    let secrets = |volume: &str, name: &str| json!({ "name": volume, "secret": { "secretName": name, "defaultMode": mode, "optional": false } });
    let mut volumes = vec![
        configs(names::CONFIG_VOLUME, &names.config),
        configs(names::POLICIES_VOLUME, &names.policies),
        secrets(names::TLS_VOLUME, &names.tls),
    ];
    volumes.extend(names.keys.as_ref().map(|keys| secrets(names::KEYS_VOLUME, keys)));
    volumes.push(json!({ "name": names::RUN_VOLUME, "emptyDir": { "medium": "Memory", "sizeLimit": "8Mi" } }));
    volumes.push(json!({ "name": names::AUDIT_VOLUME, "emptyDir": { "sizeLimit": wanted.audit_size.as_str() } }));
    volumes
}

fn mounts(wanted: &Settings) -> Vec<Value> {
    let read = |volume: &str, path: &str| json!({ "name": volume, "mountPath": path, "readOnly": true });
    let mut mounts = vec![
        read(names::CONFIG_VOLUME, "/etc/anteroom/config"),
        read(names::POLICIES_VOLUME, "/etc/anteroom/policies"),
        read(names::TLS_VOLUME, "/etc/anteroom/tls"),
    ];
    mounts.extend(wanted.names.keys.as_ref().map(|_| read(names::KEYS_VOLUME, "/etc/anteroom/keys")));
    mounts.push(json!({ "name": names::RUN_VOLUME, "mountPath": "/run/anteroom" }));
    mounts.push(json!({ "name": names::AUDIT_VOLUME, "mountPath": "/var/lib/anteroom/audit" }));
    mounts
}

fn container(wanted: &Settings, recorded: &Object) -> Value {
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": { "path": path, "port": names::HEALTH_PORT },
            "periodSeconds": period,
            "failureThreshold": failures,
        })
    };
    let pod_ips = json!({ "name": names::POD_IPS, "valueFrom": { "fieldRef": { "fieldPath": "status.podIPs" } } });
    let env: Vec<Value> = [Some(pod_ips), probes::variable(recorded)].into_iter().flatten().collect();
    let mut container = Map::new();
    let mut put = |key: &str, value: Value| drop(container.insert(key.to_owned(), value));
    put("name", json!(names::CONTAINER));
    put("image", json!(wanted.image));
    if wanted.mode == Mode::Native {
        put("restartPolicy", json!("Always"));
    }
    put("args", json!(names::ARGS));
    put("env", Value::Array(env));
    put(
        "ports",
        json!([
            { "name": names::PORT, "containerPort": wanted.ports.https, "protocol": "TCP" },
            { "name": names::HEALTH_PORT, "containerPort": wanted.ports.health, "protocol": "TCP" },
        ]),
    );
    put("startupProbe", probe("/startedz", 1, 120));
    put("readinessProbe", probe("/readyz", 2, 2));
    put("livenessProbe", probe("/livez", 10, 6));
    put("lifecycle", json!({ "preStop": { "exec": { "command": ["/anteroom", "drain"] } } }));
    put("resources", resources(wanted));
    put("securityContext", security(wanted));
    put("terminationMessagePolicy", json!("FallbackToLogsOnError"));
    put("volumeMounts", Value::Array(mounts(wanted)));
    Value::Object(container)
}

fn resources(wanted: &Settings) -> Value {
    let given = &wanted.resources;
    let mut limits = json!({ "memory": given.memory_limit.as_str() });
    if let (Some(cpu), Some(limits)) = (&given.cpu_limit, limits.as_object_mut()) {
        limits.insert("cpu".to_owned(), json!(cpu.as_str()));
    }
    let requests = json!({ "cpu": given.cpu_request.as_str(), "memory": given.memory_request.as_str() });
    json!({ "requests": requests, "limits": limits })
}

/// Said on the container, so that what the pod says for the app (a root user, say) is not said for the gate.
fn security(wanted: &Settings) -> Value {
    let mut context = Map::new();
    let mut put = |key: &str, value: Value| drop(context.insert(key.to_owned(), value));
    put("runAsNonRoot", json!(true));
    if let Some(user) = wanted.user {
        put("runAsUser", json!(user));
        put("runAsGroup", json!(user));
    }
    put("allowPrivilegeEscalation", json!(false));
    put("readOnlyRootFilesystem", json!(true));
    put("capabilities", json!({ "drop": ["ALL"] }));
    put("seccompProfile", json!({ "type": "RuntimeDefault" }));
    Value::Object(context)
}
