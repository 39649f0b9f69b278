//! Manifests in, manifests out: text with the pods of the workloads changed, their Services pointed at the gate, and a report.
//!
//! What is not changed comes out byte for byte as it came in, comments and all; a document that is changed is written anew.
//! Nothing comes out at all when something that was asked for cannot be done: a pod without its gate must not get as far
//! as a cluster through a pipe.
//!
//! Bounded: 64 MiB of text, 10,000 documents, and each document as its reader says.

use serde_json::Value;

use crate::outcome::Outcome;
use crate::settings::{Asked, Rollout, Settings};
use crate::{inject, names};

mod digest;
mod document;
mod report;
mod services;
mod workload;

use document::Document;
pub use document::{Fault, Input};
pub use report::{Entry, Report, What};
use workload::Workload;

/// What came of manifests.
#[derive(Debug)]
pub struct Done {
    /// The manifests; empty where the report [refuses](Report::refused).
    pub text: String,
    /// What was done, object by object.
    pub report: Report,
}

/// Injects into all workloads of some manifests.
///
/// `sha256` makes the digest of bytes, as text; it is asked for where a change of the configuration shall start new pods.
///
/// # Errors
/// What could not be read, with its place.
pub fn inject_manifests(
    inputs: &[Input],
    settings: &Settings,
    sha256: &dyn Fn(&[u8]) -> String,
) -> Result<Done, Fault> {
    let mut documents = document::split(inputs)?;
    let mut report = Report::default();
    let mut pods = Vec::new();
    let configs = digest::configs(&documents);
    for document in &mut documents {
        for object in document.objects() {
            workload(document, &object, settings, &configs, sha256, &mut pods, &mut report);
        }
    }
    for document in &mut documents {
        for object in document.objects() {
            services::point(document, &object, &pods, &mut report);
        }
    }
    for document in &documents {
        if let Some((object, stuck)) = document.changed_and_stuck() {
            let place = document.place(object, stuck.line);
            report.add(place, What::Unwritable { reason: stuck.reason.clone() });
        }
    }
    let text = if report.refused() { String::new() } else { document::join(&documents) };
    Ok(Done { text, report })
}

fn workload(
    document: &mut Document,
    object: &str,
    settings: &Settings,
    configs: &digest::Configs,
    sha256: &dyn Fn(&[u8]) -> String,
    pods: &mut Vec<services::Pods>,
    report: &mut Report,
) {
    let place = document.place(object, 0);
    let Some(value) = document.value.pointer(object) else { return };
    let path = match workload::of(value) {
        Workload::Pods(path) => path,
        Workload::Unknown { labelled, has_pods } => {
            if labelled || (has_pods && settings.asked == Asked::ByDefault) {
                report.add(place, What::UnknownKind);
            }
            return;
        }
    };
    let Some(template) = value.pointer(path) else {
        report.add(place, What::NoTemplate);
        return;
    };
    match inject(template, settings) {
        Outcome::Injected(_) if let Some(name) = workload::claimed(value) => {
            report.add(place, What::Refused(crate::Refusal::VolumeTaken { name: name.to_owned() }));
        }
        Outcome::Injected(done) => {
            let mut done = *done;
            if settings.rollout == Rollout::Restart
                && let Some(hash) = configs.digest(place.namespace(), &done.names.config, &done.names.policies, sha256)
                && let Some(annotations) =
                    done.template.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
            {
                annotations.insert(names::CONFIG_HASH.to_owned(), hash.into());
            }
            pods.push(services::Pods::of(&place, &done.template, settings, done.app_port.as_ref(), &done.keep_ports));
            document.change(object, path, done.template);
            report.add(place, What::Injected { changes: done.changes, notes: done.notes, needs: done.names });
        }
        Outcome::Skipped(crate::Skip::NotAskedFor) if workload::asks_elsewhere(value) => {
            report.add(place, What::LabelOutside)
        }
        Outcome::Skipped(skip) => {
            if skip == crate::Skip::AlreadyThere {
                let (app, kept) = workload::said_ports(template, settings);
                pods.push(services::Pods::of(&place, template, settings, app.as_ref(), &kept));
            } else {
                pods.push(services::Pods::without(&place, template));
            }
            report.add(place, What::Skipped(skip));
        }
        Outcome::Refused(refusal) => report.add(place, What::Refused(refusal)),
    }
}
