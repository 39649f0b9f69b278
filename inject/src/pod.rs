//! A pod template as it is given: reading it without believing it.
//!
//! Decides what counts as a pod at all. What is absent and what is `null` are the same, as they are to Kubernetes; what has
//! another type than Kubernetes gives it is no pod.

use serde_json::{Map, Value, json};

use crate::names;
use crate::outcome::Refusal;

/// An object of the template.
pub(crate) type Object = Map<String, Value>;

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// One of `containers`.
    Main,
    /// One of `initContainers` that ends before the next one starts.
    Init,
    /// One of `initContainers` that keeps running.
    Sidecar,
    /// One of `ephemeralContainers`.
    Ephemeral,
}

/// A container of the app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'t> {
    pub(crate) name: &'t str,
    pub(crate) role: Role,
    pub(crate) value: &'t Object,
}

/// A template whose form is right as far as we look at it.
#[derive(Debug)]
pub(crate) struct Pod<'t> {
    pub(crate) spec: &'t Object,
    pub(crate) containers: Vec<Container<'t>>,
}

impl<'t> Pod<'t> {
    pub(crate) fn of(template: &'t Value) -> Result<Self, Refusal> {
        let spec = template.get("spec").and_then(Value::as_object).ok_or_else(|| no_pod("it has no `spec`"))?;
        let mut containers = Vec::new();
        for (list, key) in
            [("containers", Role::Main), ("initContainers", Role::Init), ("ephemeralContainers", Role::Ephemeral)]
        {
            for value in items(spec, list)? {
                containers.push(Container::of(value, key, list)?);
            }
        }
        if !containers.iter().any(|one| one.role == Role::Main) {
            return Err(no_pod("it has no `containers`"));
        }
        Ok(Self { spec, containers })
    }
}

impl<'t> Container<'t> {
    fn of(value: &'t Value, listed: Role, list: &str) -> Result<Self, Refusal> {
        let value = value.as_object().ok_or_else(|| no_pod(format!("an entry of `{list}` is no map")))?;
        let name = text(value, "name").ok_or_else(|| no_pod(format!("an entry of `{list}` has no `name`")))?;
        let role = match listed {
            Role::Init if stays(value) => Role::Sidecar,
            Role::Main | Role::Init | Role::Sidecar | Role::Ephemeral => listed,
        };
        Ok(Self { name, role, value })
    }

    /// The entries of a list of maps in this container.
    pub(crate) fn maps(&self, key: &'static str) -> Result<Vec<&'t Object>, Refusal> {
        items(self.value, key)?
            .map(|one| {
                one.as_object().ok_or_else(|| no_pod(format!("an entry of `{key}` of `{}` is no map", self.name)))
            })
            .collect()
    }
}

/// Does this init container keep running?
pub(crate) fn stays(container: &Object) -> bool {
    text(container, "restartPolicy") == Some("Always")
}

/// Is this container the gate, as far as its template tells? The guard asks the same, and for the image.
pub(crate) fn is_gate(container: &Value) -> bool {
    let Some(container) = container.as_object() else { return false };
    let starts = given(container, "command").is_none() && given(container, "args") == Some(&json!(names::ARGS));
    starts && text(container, "name") == Some(names::CONTAINER)
}

/// The entries of a list; none where it is absent.
pub(crate) fn items<'t>(object: &'t Object, key: &str) -> Result<std::slice::Iter<'t, Value>, Refusal> {
    match given(object, key) {
        None => Ok([].iter()),
        Some(Value::Array(items)) => Ok(items.iter()),
        Some(_) => Err(no_pod(format!("`{key}` is no list"))),
    }
}

/// What stands under a key, unless it is null.
pub(crate) fn given<'t>(object: &'t Object, key: &str) -> Option<&'t Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The map under a key; none where it is absent.
pub(crate) fn map<'t>(object: &'t Object, key: &str) -> Result<Option<&'t Object>, Refusal> {
    match given(object, key) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(no_pod(format!("`{key}` is no map"))),
    }
}

/// The text under a key, where it is text.
pub(crate) fn text<'t>(object: &'t Object, key: &str) -> Option<&'t str> {
    object.get(key).and_then(Value::as_str)
}

/// The map under a key, for changing it; made where it is absent.
pub(crate) fn map_mut<'t>(object: &'t mut Object, key: &str) -> Result<&'t mut Object, Refusal> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().ok_or_else(|| no_pod(format!("`{key}` is no map")))
}

/// The list under a key, for changing it; made where it is absent.
pub(crate) fn list_mut<'t>(object: &'t mut Object, key: &str) -> Result<&'t mut Vec<Value>, Refusal> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().ok_or_else(|| no_pod(format!("`{key}` is no list")))
}

/// The pod's `spec`, for changing it.
pub(crate) fn spec_mut(template: &mut Value) -> Result<&mut Object, Refusal> {
    template.get_mut("spec").and_then(Value::as_object_mut).ok_or_else(|| no_pod("it has no `spec`"))
}

/// The pod's `metadata`, for changing it; made where it is absent.
pub(crate) fn metadata_mut(template: &mut Value) -> Result<&mut Object, Refusal> {
    let template = template.as_object_mut().ok_or_else(|| no_pod("it is no map"))?;
    map_mut(template, "metadata")
}

pub(crate) fn no_pod(place: impl Into<String>) -> Refusal {
    Refusal::NoPod { place: place.into() }
}
