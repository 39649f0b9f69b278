//! What is put into a pod, where the pod itself does not say otherwise.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The most ports of a list.
pub(crate) const MOST_PORTS: usize = 64;

/// Everything that [`inject`](crate::inject) needs to know beside the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The image of the gate, best with a digest.
    pub image: String,
    /// Written to the annotation `anteroom.dev/injected`.
    pub version: String,
    /// Which pods get the gate.
    pub asked: Asked,
    /// Where the container is put.
    pub mode: Mode,
    /// ConfigMaps and Secrets.
    pub names: Names,
    /// The ports of the gate; the configuration that it reads must say the same.
    pub ports: Ports,
    /// What the container asks for and may have.
    pub resources: Resources,
    /// The size of the volume of the record. By default a tenth and 64 MiB more than the 512 MiB that a record may have.
    pub audit_size: Quantity,
    /// User and group of the container. `None` leaves them to the cluster, as OpenShift wants it, and the group of
    /// volumes with them.
    pub user: Option<u32>,
    /// Where the app listens.
    pub app_address: AppAddress,
    /// The app's port that Services point at; `None`: the only one that the pod declares.
    pub app_port: Option<AppPort>,
    /// Ports of the app that Services may reach around the gate. A Service that leads to any other is refused.
    pub keep_ports: Vec<AppPort>,
    /// Seconds for which the app's containers are kept from ending, so that requests stop coming first. 0: not at all.
    pub app_sleep: u16,
    /// Seconds in which the gate ends what is open: `drain.deadline` of its configuration.
    pub drain: u16,
    /// Whether a change of the configuration starts new pods. For manifests alone: only there are its ConfigMaps known.
    pub rollout: Rollout,
}

impl Settings {
    /// The defaults, with an image and the version that injects.
    pub fn new(image: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            version: version.into(),
            asked: Asked::ByLabel,
            mode: Mode::Native,
            names: Names::default(),
            ports: Ports::default(),
            resources: Resources::default(),
            audit_size: Quantity::known("627Mi"),
            user: Some(65532),
            app_address: AppAddress::Loopback,
            app_port: None,
            keep_ports: Vec::new(),
            app_sleep: 10,
            drain: 25,
            rollout: Rollout::Reload,
        }
    }

    /// The grace period that a pod needs, in seconds: the app's pause, the gate's end, and 5 to spare.
    #[must_use]
    pub fn grace(&self) -> u32 {
        u32::from(self.app_sleep).saturating_add(u32::from(self.drain)).saturating_add(5)
    }
}

/// Which pods get the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those whose label says `"true"`.
    ByLabel,
    /// All but those whose label says `"false"`.
    ByDefault,
}

/// Where the container is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// First of `initContainers`, with `restartPolicy: Always`: started before the app, ended after it. Kubernetes 1.29.
    #[default]
    Native,
    /// First of `containers`. A pod that is meant to end would never end so, and is refused.
    Container,
}

impl Mode {
    /// The word that is written for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Container => "container",
        }
    }

    /// The inverse of [`word`](Self::word).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Native, Self::Container].into_iter().find(|one| one.word() == word)
    }
}

/// What a change of the configuration does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    /// The gate reads it anew, in the pods that there are.
    #[default]
    Reload,
    /// New pods start, since their template carries its digest.
    Restart,
}

/// Where the app listens, which is where its probes can reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppAddress {
    /// On loopback, or on every address: the gate asks on the kubelet's behalf. Right for both.
    #[default]
    Loopback,
    /// On the pod's own address alone, where the gate's question on loopback would find nobody: probes stay as they are.
    Pod,
}

impl AppAddress {
    /// The word that is written for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Pod => "pod",
        }
    }

    /// The inverse of [`word`](Self::word).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Loopback, Self::Pod].into_iter().find(|one| one.word() == word)
    }
}

/// A port of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppPort {
    /// By number.
    Number(u16),
    /// By the name that a container gives it.
    Name(String),
}

impl AppPort {
    /// A number from 1 to 65535, or a name as Kubernetes takes it: up to 15 of `a-z`, `0-9` and `-`, with a letter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|number| *number != 0).map(Self::Number);
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let edges = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
        let letter = text.bytes().any(|byte| byte.is_ascii_lowercase());
        (plain && edges && letter && text.len() <= 15).then(|| Self::Name(text.to_owned()))
    }

    /// Some of them, parted by commas; at most 64.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        let ports: Option<Vec<Self>> =
            text.split(',').take(MOST_PORTS + 1).map(|port| Self::parse(port.trim())).collect();
        ports.filter(|ports| ports.len() <= MOST_PORTS)
    }
}

impl fmt::Display for AppPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The objects that the volumes come from, in the namespace of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// ConfigMap with `config.yaml`.
    pub config: String,
    /// ConfigMap with the policies.
    pub policies: String,
    /// Secret with `tls.crt` and `tls.key`.
    pub tls: String,
    /// Secret with other keys.
    pub keys: Option<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            config: "anteroom-config".into(),
            policies: "anteroom-policies".into(),
            tls: "anteroom-tls".into(),
            keys: None,
        }
    }
}

/// The ports of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where it serves.
    pub https: u16,
    /// Probes and metrics.
    pub health: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { https: 8443, health: 9900 }
    }
}

/// What the container asks for and may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// CPU asked for.
    pub cpu_request: Quantity,
    /// Memory asked for.
    pub memory_request: Quantity,
    /// The most memory.
    pub memory_limit: Quantity,
    /// The most CPU; none by default, since throttling is latency for every caller.
    pub cpu_limit: Option<Quantity>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu_request: Quantity::known("10m"),
            memory_request: Quantity::known("32Mi"),
            memory_limit: Quantity::known("128Mi"),
            cpu_limit: None,
        }
    }
}

/// An amount as Kubernetes writes it: `10m`, `0.5`, `128Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Quantity(String);

impl TryFrom<String> for Quantity {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an amount is written as `10m` or `64Mi`")
    }
}

impl Quantity {
    /// Digits, perhaps with a fraction, and perhaps a unit; more than nothing, in at most 20 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let known = matches!(unit, "" | "m" | "k" | "M" | "G" | "T" | "Ki" | "Mi" | "Gi" | "Ti");
        let some = number.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        (digits(whole) && digits(fraction) && known && some && text.len() <= 20).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_what_kubernetes_takes() {
        for good in ["10m", "1", "0.5", "128Mi", "1.5Gi", "1000k"] {
            assert_eq!(Quantity::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "Mi", "0", "0Mi", "-1", "1.", ".5", "1 Mi", "1mb", "1e3", "1..2", "1m1", "111111111111111111111"]
        {
            assert_eq!(Quantity::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ports_have_numbers_or_names() {
        assert_eq!(AppPort::parse("8080"), Some(AppPort::Number(8080)));
        assert_eq!(AppPort::parse("http-2"), Some(AppPort::Name("http-2".into())));
        for bad in ["", "0", "65536", "-http", "http-", "a--b", "Http", "1-2", "a234567890123456"] {
            assert_eq!(AppPort::parse(bad), None, "{bad}");
        }
        let both = vec![AppPort::Number(9090), AppPort::Name("http-2".into())];
        assert_eq!(AppPort::parse_list("9090, http-2"), Some(both));
        for bad in ["", "9090,", "9090 9091", "9090,Http", &"1,".repeat(100)] {
            assert_eq!(AppPort::parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_grace_is_pause_and_drain_and_something_to_spare() {
        assert_eq!(Settings::new("i", "v").grace(), 40);
    }
}
