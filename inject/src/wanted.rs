//! What one pod asks for: its label and its annotations, over the settings.

use serde_json::Value;

use crate::names;
use crate::outcome::{Refusal, Skip};
use crate::pod::{Object, given, is_gate, items, map, no_pod, stays, text};
use crate::settings::{AppAddress, AppPort, Asked, Mode, Quantity, Settings};

/// The longest value of an annotation that a message repeats, in characters.
const SHOWN: usize = 100;
/// The longest name of an image that is taken, in bytes.
const LONGEST_IMAGE: usize = 512;

/// Why nothing is to be done for this pod, if so.
pub(crate) fn skip(template: &Value, settings: &Settings) -> Result<Option<Skip>, Refusal> {
    if let Some(skip) = already_there(template)? {
        return Ok(Some(skip));
    }
    let label = match metadata(template)?.map(|metadata| map(metadata, "labels")).transpose()?.flatten() {
        Some(labels) => given(labels, names::INJECT),
        None => None,
    };
    match (label.map(|value| (value, value.as_str())), settings.asked) {
        (Some((_, Some("true"))), _) | (None, Asked::ByDefault) => Ok(None),
        (Some((_, Some("false"))), _) => Ok(Some(Skip::OptedOut)),
        (None, Asked::ByLabel) => Ok(Some(Skip::NotAskedFor)),
        (Some((value, _)), _) => Err(Refusal::BadLabel { value: shown(value) }),
    }
}

fn already_there(template: &Value) -> Result<Option<Skip>, Refusal> {
    let Some(spec) = template.get("spec").and_then(Value::as_object) else { return Ok(None) };
    let main = items(spec, "containers")?.any(is_gate);
    let sidecar = items(spec, "initContainers")?.any(|one| is_gate(one) && one.as_object().is_some_and(stays));
    Ok((main || sidecar).then_some(Skip::AlreadyThere))
}

fn metadata(template: &Value) -> Result<Option<&Object>, Refusal> {
    template.as_object().ok_or_else(|| no_pod("it is no map")).and_then(|template| map(template, "metadata"))
}

/// The settings as this pod wants them.
pub(crate) fn wanted(template: &Value, settings: &Settings) -> Result<Settings, Refusal> {
    let mut wanted = settings.clone();
    let Some(annotations) = metadata(template)?.map(|one| map(one, "annotations")).transpose()?.flatten() else {
        return Ok(wanted);
    };
    for name in annotations.keys().filter(|name| name.starts_with("anteroom.dev/")) {
        if !names::ANNOTATIONS.contains(&name.as_str()) {
            return Err(Refusal::UnknownAnnotation { name: name.clone(), like: like(name) });
        }
    }
    let read = Annotations(annotations);
    let object = "the name of an object";
    read.take(names::CONFIG, object, object_name, |name| wanted.names.config = name)?;
    read.take(names::POLICIES, object, object_name, |name| wanted.names.policies = name)?;
    read.take(names::TLS, object, object_name, |name| wanted.names.tls = name)?;
    read.take(names::KEYS, object, object_name, |name| wanted.names.keys = Some(name))?;
    let port = "a port from 1 to 65535, or the name of one";
    read.take(names::APP_PORT, port, AppPort::parse, |port| wanted.app_port = Some(port))?;
    let ports = "ports or their names, parted by commas";
    read.take(names::KEEP_PORTS, ports, AppPort::parse_list, |ports| wanted.keep_ports = ports)?;
    read.take(names::APP_ADDRESS, "`loopback` or `pod`", AppAddress::parse, |address| wanted.app_address = address)?;
    read.take(names::MODE, "`native` or `container`", Mode::parse, |mode| wanted.mode = mode)?;
    read.take(names::IMAGE, "the name of an image", image_name, |image| wanted.image = image)?;
    let resources = &mut wanted.resources;
    let amount = "an amount such as `10m` or `64Mi`";
    read.take(names::CPU_REQUEST, amount, Quantity::parse, |cpu| resources.cpu_request = cpu)?;
    read.take(names::MEMORY_REQUEST, amount, Quantity::parse, |memory| resources.memory_request = memory)?;
    read.take(names::MEMORY_LIMIT, amount, Quantity::parse, |memory| resources.memory_limit = memory)?;
    read.take(names::AUDIT_SIZE, amount, Quantity::parse, |size| wanted.audit_size = size)?;
    Ok(wanted)
}

/// The ports that the pod's own annotations name, with the annotation. Those of the settings are meant for many pods, which
/// need not all have them.
pub(crate) fn named_ports(template: &Value) -> Result<Vec<(&'static str, AppPort)>, Refusal> {
    let Some(annotations) = metadata(template)?.map(|one| map(one, "annotations")).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let mut named = Vec::new();
    for name in [names::APP_PORT, names::KEEP_PORTS] {
        let ports = text(annotations, name).and_then(AppPort::parse_list).unwrap_or_default();
        named.extend(ports.into_iter().map(|port| (name, port)));
    }
    Ok(named)
}

struct Annotations<'t>(&'t Object);

impl Annotations<'_> {
    /// Hands an annotation on, where it is there and what it may be.
    fn take<T>(
        &self,
        name: &'static str,
        takes: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        mut keep: impl FnMut(T),
    ) -> Result<(), Refusal> {
        let Some(value) = given(self.0, name) else { return Ok(()) };
        match value.as_str().and_then(parse) {
            Some(parsed) => keep(parsed),
            None => return Err(Refusal::BadAnnotation { name, value: shown(value), takes }),
        }
        Ok(())
    }
}

/// A name as Kubernetes gives them to ConfigMaps and Secrets (RFC 1123, at most 253 characters).
pub(crate) fn object_name(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inside = text.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'.');
    let edges = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
    (inside && edges && !text.contains("..") && text.len() <= 253).then(|| text.to_owned())
}

/// The name of an image: no blanks, at most 512 characters. What is behind it, the container runtime judges.
pub(crate) fn image_name(text: &str) -> Option<String> {
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    (begins && text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= LONGEST_IMAGE).then(|| text.to_owned())
}

fn like(name: &str) -> Option<&'static str> {
    let near =
        names::ANNOTATIONS.iter().chain(&[names::INJECT]).map(|known| (strsim::osa_distance(known, name), *known));
    near.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known)
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
