//! What came of a template, in closed lists: what was changed, why nothing was done. What is noteworthy is in `note`.
//!
//! Each has a stable code for programs ([`Refusal::code`] and the like) and says itself in words for people.

use std::fmt;

use serde_json::Value;

use crate::note::Note;
use crate::settings::{AppPort, Mode, Names};

/// What came of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has the gate now.
    Injected(Box<Injected>),
    /// Nothing was asked for, or nothing is left to do.
    Skipped(Skip),
    /// It was asked for and cannot be done. Such a pod must not start.
    Refused(Refusal),
}

/// A template with the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// The changed template.
    pub template: Value,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What somebody should know.
    pub notes: Vec<Note>,
    /// The ConfigMaps and Secrets that the pod needs, in its namespace.
    pub names: Names,
    /// The app's port that Services point at, where it was said.
    pub app_port: Option<AppPort>,
    /// The app's ports that Services may reach around the gate.
    pub keep_ports: Vec<AppPort>,
}

/// Why nothing was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The pod does not carry the label.
    NotAskedFor,
    /// The label says `"false"`.
    OptedOut,
    /// The pod has a container `anteroom`.
    AlreadyThere,
}

impl Skip {
    /// The stable word for it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAskedFor => "not-asked-for",
            Self::OptedOut => "opted-out",
            Self::AlreadyThere => "already-there",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAskedFor => "it has no label `anteroom.dev/inject`",
            Self::OptedOut => "its label `anteroom.dev/inject` says `\"false\"`",
            Self::AlreadyThere => "it has the gate already",
        })
    }
}

/// Why what was asked for cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A pod in the host's network: its ports are the node's, and the app's stay open beside the gate.
    HostNetwork,
    /// A container opens a port on the node, which leads around the gate.
    HostPort {
        /// The container.
        container: String,
        /// The port on the node.
        port: u64,
    },
    /// A pod for Windows; there is no image for it.
    Windows,
    /// A container of the pod is called `anteroom`, but is not the gate.
    NameTaken,
    /// A container of the app uses a port of the gate.
    PortTaken {
        /// The container.
        container: String,
        /// The port.
        port: u16,
    },
    /// A container of the app has a port with a name of ours.
    PortNameTaken {
        /// The container.
        container: String,
        /// The name.
        name: String,
    },
    /// The pod has a volume with a name of ours.
    VolumeTaken {
        /// The name.
        name: String,
    },
    /// A container of the app mounts a volume with a name of ours.
    VolumeMounted {
        /// The container.
        container: String,
        /// The name.
        name: String,
    },
    /// Mode `container` in a pod that is meant to end, which it then never would.
    NeverEnds,
    /// The label has a value that is neither `"true"` nor `"false"`.
    BadLabel {
        /// The value as written.
        value: String,
    },
    /// An annotation has a value that it cannot have.
    BadAnnotation {
        /// The annotation.
        name: &'static str,
        /// The value as written, or its JSON.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// An annotation under `anteroom.dev/` that is none of ours.
    UnknownAnnotation {
        /// As written.
        name: String,
        /// The known one that it most looks like.
        like: Option<&'static str>,
    },
    /// An annotation names a port of the app that no container declares.
    UnknownAppPort {
        /// The annotation.
        annotation: &'static str,
        /// The port that it names.
        port: AppPort,
        /// The ports that there are, as they are shown.
        declared: Vec<String>,
    },
    /// A probe names a port that its container does not have.
    UnknownProbePort {
        /// The container.
        container: String,
        /// The key, such as `readinessProbe`.
        probe: &'static str,
        /// The name of the port.
        port: String,
    },
    /// What was given is no pod template.
    NoPod {
        /// What is wrong with it.
        place: String,
    },
}

impl Refusal {
    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::HostPort { .. } => "host-port",
            Self::Windows => "windows",
            Self::NameTaken => "name-taken",
            Self::PortTaken { .. } => "port-taken",
            Self::PortNameTaken { .. } => "port-name-taken",
            Self::VolumeTaken { .. } => "volume-taken",
            Self::VolumeMounted { .. } => "volume-mounted",
            Self::NeverEnds => "never-ends",
            Self::BadLabel { .. } => "bad-label",
            Self::BadAnnotation { .. } => "bad-annotation",
            Self::UnknownAnnotation { .. } => "unknown-annotation",
            Self::UnknownAppPort { .. } => "unknown-app-port",
            Self::UnknownProbePort { .. } => "unknown-probe-port",
            Self::NoPod { .. } => "no-pod",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::HostNetwork => {
                "take `hostNetwork` out, or let the label say `\"false\"` and protect the pod otherwise".into()
            }
            Self::HostPort { .. } => "take `hostPort` out and reach the pod through a Service".into(),
            Self::Windows => "let the label say `\"false\"`".into(),
            Self::NameTaken => "give the app's container another name".into(),
            Self::PortTaken { .. } => {
                "move the gate with `ports` in the settings, and `listen` in its configuration alike".into()
            }
            Self::PortNameTaken { .. } => "give the app's port another name; this one is the gate's".into(),
            Self::VolumeTaken { .. } => "give the app's volume another name".into(),
            Self::VolumeMounted { .. } => "the gate's volumes are the gate's alone; take the mount out".into(),
            Self::NeverEnds => "use mode `native`, which ends with the app".into(),
            Self::BadLabel { .. } => {
                "write `\"true\"` or `\"false\"`, in quotes; with Helm `--set-string`, since `--set` makes it no text"
                    .into()
            }
            Self::BadAnnotation { takes, .. } => format!("it takes {takes}"),
            Self::UnknownAnnotation { like: Some(like), .. } => format!("did you mean `{like}`?"),
            Self::UnknownAnnotation { like: None, .. } => "take it out".into(),
            Self::UnknownAppPort { declared, .. } if declared.is_empty() => {
                "write its number, or name the port in the container's `ports`".into()
            }
            Self::UnknownAppPort { declared, .. } => {
                format!("the containers declare {}: name one of them, or add yours to `ports`", declared.join(", "))
            }
            Self::UnknownProbePort { .. } => "write its number, or name the port in the container's `ports`".into(),
            Self::NoPod { .. } => "compare it with what `kubectl create --dry-run=client -o yaml` writes".into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("a pod in the host's network cannot be protected by a sidecar"),
            Self::HostPort { container, port } => {
                write!(f, "container `{container}` opens port {port} on the node, around the gate")
            }
            Self::Windows => f.write_str("the gate does not run on Windows"),
            Self::NameTaken => f.write_str("the pod has a container `anteroom` that is not the gate"),
            Self::PortTaken { container, port } => {
                write!(f, "container `{container}` uses port {port}, which is the gate's")
            }
            Self::PortNameTaken { container, name } => {
                write!(f, "container `{container}` has a port named `{name}`, which is the gate's name")
            }
            Self::VolumeTaken { name } => {
                write!(f, "the pod has a volume `{name}`, which is the name of one of the gate's")
            }
            Self::VolumeMounted { container, name } => {
                write!(f, "container `{container}` mounts `{name}`, which is the gate's")
            }
            Self::NeverEnds => {
                f.write_str("a pod that is meant to end would never end with the gate in mode `container`")
            }
            Self::BadLabel { value } => write!(f, "the label `anteroom.dev/inject` says `{value}`"),
            Self::BadAnnotation { name, value, .. } => write!(f, "the annotation `{name}` says `{value}`"),
            Self::UnknownAnnotation { name, .. } => write!(f, "there is no annotation `{name}`"),
            Self::UnknownAppPort { annotation, port, .. } => {
                write!(f, "the annotation `{annotation}` names the port `{port}`, which no container declares")
            }
            Self::UnknownProbePort { container, probe, port } => {
                write!(
                    f,
                    "`{probe}` of container `{container}` names the port `{port}`, which the container does not have"
                )
            }
            Self::NoPod { place } => write!(f, "this is no pod template: {place}"),
        }
    }
}

/// One thing that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The container was added.
    Sidecar {
        /// Where.
        mode: Mode,
        /// Its image.
        image: String,
    },
    /// A probe of the app goes to the gate, which asks the app.
    Probe {
        /// The app's container.
        container: String,
        /// The key, such as `readinessProbe`.
        probe: &'static str,
    },
    /// A container of the app pauses before it ends.
    Sleep {
        /// The app's container.
        container: String,
        /// How long.
        seconds: u16,
    },
    /// The grace period was raised.
    Grace {
        /// What it was, where it was written.
        from: Option<u64>,
        /// What it is, in seconds.
        to: u32,
    },
    /// The group of the pod's volumes was set, so that the gate can read its keys.
    Group {
        /// The group.
        group: u32,
    },
    /// `kubectl logs` and `exec` take this container.
    DefaultContainer {
        /// The app's container.
        container: String,
    },
}

impl Change {
    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sidecar { .. } => "sidecar",
            Self::Probe { .. } => "probe",
            Self::Sleep { .. } => "sleep",
            Self::Grace { .. } => "grace",
            Self::Group { .. } => "group",
            Self::DefaultContainer { .. } => "default-container",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sidecar { mode, image } => write!(f, "container `anteroom` ({}, `{image}`)", mode.word()),
            Self::Probe { container, probe } => write!(f, "`{probe}` of `{container}` goes through the gate"),
            Self::Sleep { container, seconds } => write!(f, "`{container}` sleeps {seconds} s before it ends"),
            Self::Grace { from: Some(from), to } => write!(f, "grace period {to} s instead of {from}"),
            Self::Grace { from: None, to } => write!(f, "grace period {to} s"),
            Self::Group { group } => write!(f, "group {group} for the pod's volumes"),
            Self::DefaultContainer { container } => write!(f, "`{container}` is the default container"),
        }
    }
}
