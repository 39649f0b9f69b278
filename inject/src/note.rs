//! What is odd about a pod and was done all the same.

use std::fmt;

/// What somebody should know, though it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A port that the gate does not speak for.
    NotTcp {
        /// The app's container.
        container: String,
        /// The port.
        port: u64,
        /// `UDP` or `SCTP`.
        protocol: String,
    },
    /// All containers see each other's processes, and a root of the app can read the gate's memory and keys.
    SharedProcesses,
    /// A probe that was not rewritten.
    ProbeKept {
        /// The app's container.
        container: String,
        /// The key, such as `readinessProbe`.
        probe: &'static str,
        /// Why.
        why: Kept,
    },
    /// A hook that the kubelet calls on the pod's address, where an app on loopback does not answer.
    HookKept {
        /// The app's container.
        container: String,
        /// `postStart` or `preStop`.
        hook: &'static str,
    },
    /// A volume of the app holds the same Secret as one of the gate's.
    SecretShared {
        /// The app's volume.
        volume: String,
        /// The Secret.
        secret: String,
    },
    /// The pod's group was left alone for the sake of the app's volumes, so the gate's Secrets are readable by all users
    /// of the one container that mounts them.
    NoGroup,
}

/// Why a probe was not rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The app listens on the pod's address alone.
    AppOnPodAddress,
    /// It names a host of its own.
    OwnHost,
}

impl Note {
    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotTcp { .. } => "not-tcp",
            Self::SharedProcesses => "shared-processes",
            Self::ProbeKept { .. } => "probe-kept",
            Self::HookKept { .. } => "hook-kept",
            Self::SecretShared { .. } => "secret-shared",
            Self::NoGroup => "no-group",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTcp { container, port, protocol } => {
                write!(f, "port {port} of `{container}` is {protocol}, which the gate does not speak: it stays open")
            }
            Self::SharedProcesses => {
                f.write_str("`shareProcessNamespace` lets the app see the gate's process and, as root, its keys")
            }
            Self::ProbeKept { container, probe, why: Kept::AppOnPodAddress } => {
                write!(f, "`{probe}` of `{container}` stays, since the app listens on the pod's address")
            }
            Self::ProbeKept { container, probe, why: Kept::OwnHost } => {
                write!(f, "`{probe}` of `{container}` stays, since it names a host")
            }
            Self::HookKept { container, hook } => {
                write!(
                    f,
                    "`{hook}` of `{container}` is called on the pod's address, where an app on loopback does not answer"
                )
            }
            Self::SecretShared { volume, secret } => {
                write!(f, "the app's volume `{volume}` holds the Secret `{secret}` as the gate's does")
            }
            Self::NoGroup => f.write_str("the pod's `fsGroup` stays unset for the sake of the app's volumes"),
        }
    }
}
