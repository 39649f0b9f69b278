//! What was done to manifests, object by object, for people and for programs.

use serde_json::{Value, json};

use crate::note::Note;
use crate::outcome::{Change, Refusal, Skip};
use crate::settings::Names;

/// Where an object is, and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: String,
    pub(super) line: usize,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

impl Place {
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// What came of one object, or of one port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its pods have the gate.
    Injected {
        /// What was changed.
        changes: Vec<Change>,
        /// What somebody should know.
        notes: Vec<Note>,
        /// The ConfigMaps and Secrets that its pods need, in its namespace.
        needs: Names,
    },
    /// Nothing was to be done.
    Skipped(Skip),
    /// It was asked for and cannot be done.
    Refused(Refusal),
    /// The label asks for the gate in a kind that is not known.
    UnknownKind,
    /// The label stands on the object, not on its pod template.
    LabelOutside,
    /// A workload without a pod template.
    NoTemplate,
    /// The document would have to be changed and cannot be written back with the same meaning.
    Unwritable {
        /// What stands in the way.
        reason: String,
    },
    /// A port of a Service leads to the gate.
    PortMoved {
        /// The Service's port.
        port: u64,
        /// Where it led.
        from: String,
        /// A headless Service translates no ports: its callers name the gate's port themselves.
        headless: bool,
        /// Its `appProtocol` says `http`, and the gate speaks HTTPS.
        plain: bool,
    },
    /// A port of a Service that selects gated pods leads elsewhere, as before, because somebody said that it shall.
    PortKept {
        /// The Service's port.
        port: u64,
        /// Where it leads.
        target: String,
    },
    /// A port of a Service that selects gated pods leads around the gate, and nobody said that it shall.
    PortAround {
        /// The Service's port.
        port: u64,
        /// Where it leads.
        target: String,
        /// Nobody said which port is the app's.
        unknown: bool,
    },
    /// A port of a Service that selects pods whose gates have different ports.
    GatesDiffer {
        /// The Service's port.
        port: u64,
    },
    /// The Service selects other pods as well, which have no gate and nothing at its port.
    ServiceShared {
        /// Their workload.
        pods: String,
    },
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Entry {
    place: Place,
    what: What,
}

/// What was done, in the order of the manifests, workloads before Services.
#[derive(Clone, Debug, Default)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    pub(super) fn add(&mut self, place: Place, what: What) {
        self.entries.push(Entry { place, what });
    }

    /// Is there anything that was asked for and could not be done?
    #[must_use]
    pub fn refused(&self) -> bool {
        self.entries.iter().any(|entry| entry.what.is_refusal())
    }

    /// For people: a line for each object, what was changed below it, and a sum.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for Entry { place, what } in &self.entries {
            let Place { source, line, kind, name, .. } = place;
            out.push_str(&format!("{source}:{line}: {kind}/{name}: {}: {}\n", what.outcome(), what.message()));
            let (changes, notes) = what.details();
            for change in changes {
                out.push_str(&format!("    {change}\n"));
            }
            for note in notes {
                out.push_str(&format!("    note: {note}\n"));
            }
            if let What::Injected { needs, .. } = what {
                out.push_str(&format!("    {}\n", needed(needs, place.namespace())));
            }
            if let Some(hint) = what.hint() {
                out.push_str(&format!("    help: {hint}\n"));
            }
        }
        let count = |outcome: &str| self.entries.iter().filter(|entry| entry.what.outcome() == outcome).count();
        out.push_str(&format!(
            "{} injected, {} skipped, {} refused\n",
            count("injected"),
            count("skipped"),
            count("refused")
        ));
        if self.refused() {
            out.push_str("nothing was written\n");
        }
        out
    }

    /// For programs: one object with `objects`, each with `source`, `line`, `kind`, `name`, `namespace`, `outcome`
    /// (`injected`, `skipped`, `refused`, `moved`, `kept`, `note`), `code`, `message`, `hint`, `needs`, `changes` and `notes`.
    #[must_use]
    pub fn json(&self) -> Value {
        let coded = |code: &str, message: String| json!({ "code": code, "message": message });
        let objects: Vec<Value> = self
            .entries
            .iter()
            .map(|Entry { place, what }| {
                let (changes, notes) = what.details();
                let needs = if let What::Injected { needs, .. } = what {
                    let secrets: Vec<&String> = [Some(&needs.tls), needs.keys.as_ref()].into_iter().flatten().collect();
                    Some(json!({ "config_maps": [needs.config, needs.policies], "secrets": secrets }))
                } else {
                    None
                };
                json!({
                    "source": place.source, "line": place.line, "kind": place.kind, "name": place.name,
                    "namespace": place.namespace, "outcome": what.outcome(), "code": what.code(),
                    "message": what.message(), "hint": what.hint(), "needs": needs,
                    "changes": changes.iter().map(|one| coded(one.code(), one.to_string())).collect::<Vec<_>>(),
                    "notes": notes.iter().map(|one| coded(one.code(), one.to_string())).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({ "refused": self.refused(), "objects": objects })
    }
}

/// What must be there for the pods to start.
fn needed(names: &Names, namespace: Option<&str>) -> String {
    let Names { config, policies, tls, keys } = names;
    let secrets = match keys {
        Some(keys) => format!("Secrets `{tls}` and `{keys}`"),
        None => format!("Secret `{tls}`"),
    };
    let place = namespace.map_or_else(|| "its namespace".to_owned(), |name| format!("the namespace `{name}`"));
    format!("needs the ConfigMaps `{config}` and `{policies}` and the {secrets} in {place}")
}

impl What {
    fn is_refusal(&self) -> bool {
        self.outcome() == "refused"
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Injected { .. } => "injected",
            Self::Skipped(_) => "skipped",
            Self::Refused(_)
            | Self::UnknownKind
            | Self::LabelOutside
            | Self::NoTemplate
            | Self::Unwritable { .. }
            | Self::PortAround { .. }
            | Self::GatesDiffer { .. } => "refused",
            Self::PortMoved { .. } => "moved",
            Self::PortKept { .. } => "kept",
            Self::ServiceShared { .. } => "note",
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Injected { .. } => "injected",
            Self::Skipped(skip) => skip.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::UnknownKind => "unknown-kind",
            Self::LabelOutside => "label-outside",
            Self::NoTemplate => "no-template",
            Self::Unwritable { .. } => "unwritable",
            Self::PortMoved { .. } => "port-moved",
            Self::PortKept { .. } => "port-kept",
            Self::PortAround { .. } => "port-around",
            Self::GatesDiffer { .. } => "gates-differ",
            Self::ServiceShared { .. } => "service-shared",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Injected { .. } => "it has the gate".into(),
            Self::Skipped(skip) => skip.to_string(),
            Self::Refused(refusal) => refusal.to_string(),
            Self::UnknownKind => "objects of this kind are not injected".into(),
            Self::LabelOutside => "the label `anteroom.dev/inject` stands on the object, not on its pods".into(),
            Self::NoTemplate => "it has no pod template".into(),
            Self::Unwritable { reason } => format!("it cannot be written back with the same meaning: {reason}"),
            Self::PortMoved { port, from, .. } => format!("port {port} leads to the gate instead of {from}"),
            Self::PortKept { port, target } => {
                format!("port {port} still leads to {target}, around the gate")
            }
            Self::PortAround { port, target, unknown: false } => {
                format!(
                    "port {port} leads to {target} of pods with the gate, which is not the app's port: around the gate"
                )
            }
            Self::PortAround { port, target, unknown: true } => {
                format!("port {port} leads to {target} of pods with the gate, and which port is the app's is not said")
            }
            Self::GatesDiffer { port } => {
                format!("port {port} leads to pods whose gates have different ports")
            }
            Self::ServiceShared { pods } => {
                format!("it selects `{pods}` as well, whose pods have no gate: it reaches them no more")
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.hint()),
            Self::UnknownKind => Some("write lists as objects of their own; label the pods in a namespace with the injector, or take the label out".into()),
            Self::LabelOutside => Some("write it under `spec.template.metadata.labels`".into()),
            Self::Unwritable { .. } => Some("write this line so that it is clear, or in quotes".into()),
            Self::PortMoved { headless: true, .. } => {
                Some("a headless Service translates no ports: let its callers name the gate's".into())
            }
            Self::PortMoved { plain: true, .. } => {
                Some("its `appProtocol` says `http`, and the gate speaks HTTPS".into())
            }
            Self::PortAround { target, unknown, .. } => {
                let open =
                    format!("if it shall stay open, `anteroom.dev/keep-ports: \"{target}\"` on the pods says so");
                let app = "name the app's port in the annotation `anteroom.dev/app-port` on the pods";
                Some(if *unknown { format!("{app}; {open}") } else { open })
            }
            Self::GatesDiffer { .. } => Some("give all of them the same `ports`, or each its own Service".into()),
            Self::Injected { .. }
            | Self::Skipped(_)
            | Self::NoTemplate
            | Self::PortMoved { .. }
            | Self::PortKept { .. }
            | Self::ServiceShared { .. } => None,
        }
    }

    fn details(&self) -> (&[Change], &[Note]) {
        match self {
            Self::Injected { changes, notes, .. } => (changes, notes),
            Self::Skipped(_)
            | Self::Refused(_)
            | Self::UnknownKind
            | Self::LabelOutside
            | Self::NoTemplate
            | Self::Unwritable { .. }
            | Self::PortMoved { .. }
            | Self::PortKept { .. }
            | Self::PortAround { .. }
            | Self::GatesDiffer { .. }
            | Self::ServiceShared { .. } => (&[], &[]),
        }
    }
}
