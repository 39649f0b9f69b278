//! Does the gate fit into this pod? What stands in its way is refused, what is odd is noted.

use serde_json::Value;

use crate::names;
use crate::note::Note;
use crate::outcome::Refusal;
use crate::pod::{Container, Object, Pod, Role, given, items, map, no_pod, text};
use crate::settings::{AppAddress, AppPort, Mode, Settings};

/// Everything that keeps the gate out of a pod, the first that is found.
pub(crate) fn fits(pod: &Pod<'_>, wanted: &Settings) -> Result<Vec<Note>, Refusal> {
    let mut notes = Vec::new();
    if is_set(pod.spec, "hostNetwork") {
        return Err(Refusal::HostNetwork);
    }
    if windows(pod.spec)? {
        return Err(Refusal::Windows);
    }
    if wanted.mode == Mode::Container && text(pod.spec, "restartPolicy").is_some_and(|policy| policy != "Always") {
        return Err(Refusal::NeverEnds);
    }
    if is_set(pod.spec, "shareProcessNamespace") {
        notes.push(Note::SharedProcesses);
    }
    volumes(pod, wanted, &mut notes)?;
    for container in &pod.containers {
        if container.name == names::CONTAINER {
            return Err(Refusal::NameTaken);
        }
        ports(container, wanted, &mut notes)?;
        mounts(container)?;
        if wanted.app_address == AppAddress::Loopback {
            hooks(container, &mut notes)?;
        }
    }
    Ok(notes)
}

/// Refuses a port that an annotation of the pod names and that no container declares.
///
/// A Service would otherwise go on leading to the app, and nobody would hear of the slip. Containers need not declare their
/// ports: where none does, a number is believed. A name without its port is none.
pub(crate) fn declared(pod: &Pod<'_>, named: &[(&'static str, AppPort)]) -> Result<(), Refusal> {
    let mut ports = Vec::new();
    for container in &pod.containers {
        for port in container.maps("ports")? {
            ports.extend(number(port, "containerPort", container.name)?.map(|number| (text(port, "name"), number)));
        }
    }
    for (annotation, said) in named {
        let known = match said {
            AppPort::Number(said) => ports.is_empty() || ports.iter().any(|(_, port)| *port == u64::from(*said)),
            AppPort::Name(said) => ports.iter().any(|(name, _)| *name == Some(said.as_str())),
        };
        if !known {
            let shown = ports.iter().map(|(name, port)| match name {
                Some(name) => format!("`{name}` ({port})"),
                None => port.to_string(),
            });
            return Err(Refusal::UnknownAppPort { annotation, port: said.clone(), declared: shown.collect() });
        }
    }
    Ok(())
}

/// Is it there and not `false`? What is neither true nor false counts as true: the strict side.
fn is_set(spec: &Object, key: &str) -> bool {
    given(spec, key).is_some_and(|value| *value != Value::Bool(false))
}

fn windows(spec: &Object) -> Result<bool, Refusal> {
    let named = map(spec, "os")?.and_then(|os| text(os, "name"));
    let selected = map(spec, "nodeSelector")?.and_then(|labels| text(labels, "kubernetes.io/os"));
    Ok(named == Some("windows") || selected == Some("windows"))
}

fn volumes(pod: &Pod<'_>, wanted: &Settings, notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let ours = [Some(&wanted.names.tls), wanted.names.keys.as_ref()];
    for volume in items(pod.spec, "volumes")? {
        let volume = volume.as_object().ok_or_else(|| no_pod("an entry of `volumes` is no map"))?;
        let name = text(volume, "name").ok_or_else(|| no_pod("an entry of `volumes` has no `name`"))?;
        if names::VOLUMES.contains(&name) {
            return Err(Refusal::VolumeTaken { name: name.to_owned() });
        }
        let secrets = secrets(volume)?;
        for secret in ours.into_iter().flatten().filter(|secret| secrets.contains(&secret.as_str())) {
            notes.push(Note::SecretShared { volume: name.to_owned(), secret: secret.clone() });
        }
    }
    Ok(())
}

/// The Secrets that a volume is made of.
fn secrets(volume: &Object) -> Result<Vec<&str>, Refusal> {
    let mut found: Vec<&str> =
        map(volume, "secret")?.and_then(|secret| text(secret, "secretName")).into_iter().collect();
    if let Some(projected) = map(volume, "projected")? {
        for source in items(projected, "sources")?.filter_map(Value::as_object) {
            found.extend(map(source, "secret")?.and_then(|secret| text(secret, "name")));
        }
    }
    Ok(found)
}

fn ports(container: &Container<'_>, wanted: &Settings, notes: &mut Vec<Note>) -> Result<(), Refusal> {
    for port in container.maps("ports")? {
        let number = number(port, "containerPort", container.name)?.unwrap_or(0);
        let host = number_or_none(port, "hostPort", container.name)?;
        if let Some(port) = host {
            return Err(Refusal::HostPort { container: container.name.to_owned(), port });
        }
        if let Some(name @ (names::PORT | names::HEALTH_PORT)) = text(port, "name") {
            return Err(Refusal::PortNameTaken { container: container.name.to_owned(), name: name.to_owned() });
        }
        match text(port, "protocol") {
            None | Some("TCP") => free(container.name, number, wanted)?,
            Some(protocol) => notes.push(Note::NotTcp {
                container: container.name.to_owned(),
                port: number,
                protocol: protocol.to_owned(),
            }),
        }
    }
    Ok(())
}

/// Refuses a port of the app that is one of the gate's.
pub(crate) fn free(container: &str, number: u64, wanted: &Settings) -> Result<(), Refusal> {
    let taken = [wanted.ports.https, wanted.ports.health].into_iter().find(|ours| u64::from(*ours) == number);
    match taken {
        Some(port) => Err(Refusal::PortTaken { container: container.to_owned(), port }),
        None => Ok(()),
    }
}

/// A number under a key that may be absent; 0 is as good as absent.
fn number_or_none(port: &Object, key: &str, container: &str) -> Result<Option<u64>, Refusal> {
    Ok(number(port, key, container)?.filter(|number| *number != 0))
}

fn number(port: &Object, key: &str, container: &str) -> Result<Option<u64>, Refusal> {
    match given(port, key) {
        None => Ok(None),
        Some(value) => {
            let number = value.as_u64().filter(|number| *number <= u64::from(u16::MAX));
            number.map(Some).ok_or_else(|| no_pod(format!("`{key}` of `{container}` is no port")))
        }
    }
}

fn mounts(container: &Container<'_>) -> Result<(), Refusal> {
    for (list, key) in [("volumeMounts", "name"), ("volumeDevices", "name")] {
        let mounted = container.maps(list)?;
        if let Some(name) =
            mounted.into_iter().filter_map(|mount| text(mount, key)).find(|name| names::VOLUMES.contains(name))
        {
            return Err(Refusal::VolumeMounted { container: container.name.to_owned(), name: name.to_owned() });
        }
    }
    Ok(())
}

fn hooks(container: &Container<'_>, notes: &mut Vec<Note>) -> Result<(), Refusal> {
    if container.role == Role::Ephemeral {
        return Ok(());
    }
    let Some(lifecycle) = map(container.value, "lifecycle")? else { return Ok(()) };
    for hook in ["postStart", "preStop"] {
        let Some(handler) = map(lifecycle, hook)? else { continue };
        for kind in ["httpGet", "tcpSocket"] {
            if map(handler, kind)?.is_some_and(|call| given(call, "host").is_none()) {
                notes.push(Note::HookKept { container: container.name.to_owned(), hook });
            }
        }
    }
    Ok(())
}
