//! The group of the pod's volumes, `fsGroup`: without one, Secrets belong to root alone.
//!
//! Setting it is not free: the kubelet then changes group and mode of every volume of the pod that takes it, the app's
//! too. A database that wants its folder at 0700 would no longer start, a large disk takes minutes, a private key of the
//! app becomes readable by its group. So it is set only where the app has nothing that it could hurt.

use serde_json::{Value, json};

use crate::names;
use crate::note::Note;
use crate::outcome::{Change, Refusal};
use crate::pod::{Object, given, items, map, map_mut, text};
use crate::settings::Settings;

/// Volumes whose group and mode the app does not notice: they are made for this pod and open to all of it.
const HARMLESS: [&str; 5] = ["configMap", "downwardAPI", "projected", "emptyDir", "hostPath"];

/// The mode of a Secret (0644) that the API server writes before a webhook sees the pod, where nobody wrote one.
const FILLED_IN: u64 = 0o644;

/// Sets the group where that is needed and harmless. Can the gate's Secrets be given to the group?
pub(super) fn settle(
    spec: &mut Object,
    wanted: &Settings,
    changes: &mut Vec<Change>,
    notes: &mut Vec<Note>,
) -> Result<bool, Refusal> {
    // Without a user of ours the cluster sets both (OpenShift). With a group of the app's, the gate is a member of it.
    let written = map(spec, "securityContext")?.is_some_and(|context| given(context, "fsGroup").is_some());
    let Some(group) = wanted.user.filter(|_| !written) else { return Ok(true) };
    if !harmless(spec)? {
        notes.push(Note::NoGroup);
        return Ok(false);
    }
    map_mut(spec, "securityContext")?.insert("fsGroup".to_owned(), json!(group));
    changes.push(Change::Group { group });
    Ok(true)
}

fn harmless(spec: &Object) -> Result<bool, Refusal> {
    let volumes: Vec<&Object> = items(spec, "volumes")?.filter_map(Value::as_object).collect();
    for volume in &volumes {
        let secret = map(volume, "secret")?;
        let own_mode = |secret: &Object| {
            given(secret, "defaultMode").is_some_and(|mode| *mode != FILLED_IN) || given(secret, "items").is_some()
        };
        let harmless = match secret {
            Some(secret) => !own_mode(secret),
            None => HARMLESS.iter().any(|kind| given(volume, kind).is_some()),
        };
        if !harmless {
            return Ok(false);
        }
    }
    // A mount without a volume is one that a StatefulSet makes: a disk.
    let known =
        |name: &str| names::VOLUMES.contains(&name) || volumes.iter().any(|one| text(one, "name") == Some(name));
    for list in ["containers", "initContainers"] {
        for container in items(spec, list)?.filter_map(Value::as_object) {
            let mut mounts =
                items(container, "volumeMounts")?.filter_map(|mount| mount.get("name").and_then(Value::as_str));
            if mounts.any(|name| !known(name)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
