//! The settings as people write them: `kind: Injection`. Their form, and what each value may be.
//!
//! Whoever reads the file (`anteroom inject --settings`, the webhook) has it checked against the schema of
//! [`RawInjection`], so that an unknown key is a fault; here it becomes [`Settings`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::settings::{AppAddress, AppPort, Asked, Mode, Names, Ports, Quantity, Rollout, Settings};
use crate::wanted::{image_name, object_name};

/// What `anteroom inject` and the webhook put into pods.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawInjection {
    /// The version of this format.
    #[serde(rename = "apiVersion")]
    #[allow(dead_code, reason = "read to be checked")]
    api_version: ApiVersion,
    /// Always `Injection`.
    #[allow(dead_code, reason = "read to be checked")]
    kind: Kind,
    /// The image of the gate, best with a digest. Left out: the command line or each pod says it.
    pub image: Option<ImageName>,
    /// Where the container is put: `native` (first of `initContainers`, Kubernetes 1.29) or `container`.
    #[serde(default)]
    pub mode: Mode,
    /// The ConfigMap with `config.yaml`.
    pub config: Option<ObjectName>,
    /// The ConfigMap with the policies, one file a key.
    pub policies: Option<ObjectName>,
    /// The Secret with `tls.crt` and `tls.key`.
    pub tls: Option<ObjectName>,
    /// The Secret with other keys. Left out: none.
    pub keys: Option<ObjectName>,
    /// The app in the pod.
    #[serde(default)]
    pub app: RawApp,
    /// How long the gate takes to end what is open: `drain.deadline` of its configuration, in seconds.
    #[serde(default = "drain")]
    pub drain: Seconds,
    /// The ports of the gate; its configuration must say the same under `listen`.
    #[serde(default)]
    pub ports: RawPorts,
    /// What the container asks for and may have.
    #[serde(default)]
    pub resources: RawResources,
    /// The size of the volume of the record: a tenth and 64 MiB more than `audit.size` of the configuration.
    pub audit_size: Option<Quantity>,
    /// User and group of the container: a number, or `cluster` where the cluster gives them (OpenShift).
    #[serde(default)]
    pub user: User,
    /// Whether a change of the configuration starts new pods (`restart`) or is read by those that there are (`reload`).
    #[serde(default)]
    pub rollout: Rollout,
}

/// The app in the pod.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawApp {
    /// Where it listens: `loopback` (or everywhere), or `pod`, the pod's address alone.
    pub address: AppAddress,
    /// Its port that Services point at, by number or name. Left out: the only one that the pod declares.
    pub port: Option<RawPort>,
    /// Its ports that Services may reach around the gate, by number or name: at most 64. A Service that leads to any other
    /// is refused.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub keep_ports: Vec<RawPort>,
    /// How long its containers are kept from ending, so that requests stop coming first. `0s`: not at all.
    pub sleep: Option<Seconds>,
}

/// The ports of the gate.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPorts {
    /// Where it serves.
    #[schemars(range(min = 1))]
    pub https: std::num::NonZeroU16,
    /// Probes and metrics.
    #[schemars(range(min = 1))]
    pub health: std::num::NonZeroU16,
}

impl Default for RawPorts {
    fn default() -> Self {
        let one = std::num::NonZeroU16::MIN;
        let Ports { https, health } = Ports::default();
        let port = |number| std::num::NonZeroU16::new(number).unwrap_or(one);
        Self { https: port(https), health: port(health) }
    }
}

/// What the container asks for and may have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawResources {
    /// CPU asked for.
    pub cpu_request: Option<Quantity>,
    /// Memory asked for.
    pub memory_request: Option<Quantity>,
    /// The most memory.
    pub memory_limit: Option<Quantity>,
    /// The most CPU. Left out: no limit.
    pub cpu_limit: Option<Quantity>,
}

fn drain() -> Seconds {
    Seconds(25)
}

impl RawInjection {
    /// The settings, with an image of the command line before that of the file.
    ///
    /// # Errors
    /// In words, when no image is named, or when both ports are one.
    pub fn settings(self, image: Option<ImageName>, version: &str, asked: Asked) -> Result<Settings, String> {
        let Some(image) = image.or(self.image) else {
            return Err("no image is named: say `--image`, or `image` in the settings".to_owned());
        };
        if self.ports.https == self.ports.health {
            return Err(format!("`ports` names {} twice", self.ports.https));
        }
        let mut settings = Settings::new(image.0, version);
        let names = Names::default();
        settings.asked = asked;
        settings.mode = self.mode;
        settings.names = Names {
            config: self.config.map_or(names.config, |name| name.0),
            policies: self.policies.map_or(names.policies, |name| name.0),
            tls: self.tls.map_or(names.tls, |name| name.0),
            keys: self.keys.map(|name| name.0),
        };
        settings.ports = Ports { https: self.ports.https.get(), health: self.ports.health.get() };
        let resources = &mut settings.resources;
        keep(&mut resources.cpu_request, self.resources.cpu_request);
        keep(&mut resources.memory_request, self.resources.memory_request);
        keep(&mut resources.memory_limit, self.resources.memory_limit);
        resources.cpu_limit = self.resources.cpu_limit;
        keep(&mut settings.audit_size, self.audit_size);
        settings.user = self.user.0;
        settings.app_address = self.app.address;
        settings.app_port = self.app.port.map(|port| port.0);
        settings.keep_ports = self.app.keep_ports.into_iter().map(|port| port.0).collect();
        keep(&mut settings.app_sleep, self.app.sleep.map(|sleep| sleep.0));
        settings.drain = self.drain.0;
        settings.rollout = self.rollout;
        Ok(settings)
    }
}

fn keep<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
enum ApiVersion {
    #[serde(rename = "anteroom.dev/v1")]
    V1,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
enum Kind {
    Injection,
}

/// The name of a ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ObjectName(String);

impl TryFrom<String> for ObjectName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        object_name(&text).map(Self).ok_or("the name of an object has lower-case letters, digits, `-` and `.`")
    }
}

/// The name of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ImageName(String);

impl TryFrom<String> for ImageName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        image_name(&text).map(Self).ok_or("the name of an image has no blanks, and at most 512 characters")
    }
}

/// A time in whole seconds, at most an hour: `10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Seconds(u16);

impl TryFrom<String> for Seconds {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.strip_suffix('s').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let seconds = digits.and_then(|digits| digits.parse().ok()).filter(|seconds| *seconds <= 3600);
        seconds.map(Self).ok_or("a time here is written in seconds, as `10s`, and is at most an hour")
    }
}

/// A port of the app, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPort(AppPort);

/// User and group of the container; `None` where the cluster gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User(Option<u32>);

impl Default for User {
    fn default() -> Self {
        Self(Some(65532))
    }
}

/// A number or a word, and what it becomes.
struct NumberOrWord<T>(fn(u64) -> Option<T>, fn(&str) -> Option<T>, &'static str);

impl<T> Visitor<'_> for NumberOrWord<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.2)
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.0)(number).ok_or_else(|| E::custom(self.2))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        u64::try_from(number).ok().and_then(self.0).ok_or_else(|| E::custom(self.2))
    }
    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        (self.1)(word).ok_or_else(|| E::custom(self.2))
    }
}

impl<'de> Deserialize<'de> for RawPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = NumberOrWord(
            |number| AppPort::parse(&number.to_string()).map(Self),
            |word| AppPort::parse(word).map(Self),
            "a port from 1 to 65535, or the name of one",
        );
        deserializer.deserialize_any(visitor)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = NumberOrWord(
            |number| {
                u32::try_from(number).ok().filter(|user| (1..=0x7fff_ffff).contains(user)).map(|user| Self(Some(user)))
            },
            |word| (word == "cluster").then_some(Self(None)),
            "a user from 1 to 2147483647, or `cluster`",
        );
        deserializer.deserialize_any(visitor)
    }
}

impl JsonSchema for RawPort {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string" }] })
    }
}

impl JsonSchema for User {
    fn schema_name() -> Cow<'static, str> {
        "User".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 2_147_483_647 }, { "const": "cluster" }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut value: serde_json::Value) -> Result<RawInjection, String> {
        value["apiVersion"] = json!("anteroom.dev/v1");
        value["kind"] = json!("Injection");
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn image(name: &str) -> Option<ImageName> {
        Some(ImageName::try_from(name.to_owned()).unwrap())
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let settings = read(json!({})).unwrap().settings(image("a:1"), "1", Asked::ByLabel).unwrap();
        assert_eq!(settings, Settings::new("a:1", "1"));
    }

    #[test]
    fn every_key_arrives() {
        let raw = read(json!({
            "image": "b:2", "mode": "container", "config": "c", "policies": "p", "tls": "t", "keys": "k",
            "app": { "address": "pod", "port": "http", "sleep": "0s" }, "drain": "60s",
            "ports": { "https": 9443, "health": 9901 },
            "resources": { "cpu_request": "1", "memory_request": "1Mi", "memory_limit": "2Mi", "cpu_limit": "2" },
            "audit_size": "1Gi", "user": "cluster", "rollout": "restart",
        }));
        let settings = raw.unwrap().settings(None, "1", Asked::ByDefault).unwrap();
        assert_eq!(
            (settings.image.as_str(), settings.mode, settings.asked),
            ("b:2", Mode::Container, Asked::ByDefault)
        );
        let names = Names { config: "c".into(), policies: "p".into(), tls: "t".into(), keys: Some("k".into()) };
        assert_eq!((settings.names.clone(), settings.ports), (names, Ports { https: 9443, health: 9901 }));
        assert_eq!((settings.app_address, &settings.app_port), (AppAddress::Pod, &Some(AppPort::Name("http".into()))));
        assert_eq!((settings.grace(), settings.user, settings.rollout), (65, None, Rollout::Restart));
        assert_eq!(settings.resources.cpu_limit.unwrap().as_str(), "2");
        assert_eq!(settings.audit_size.as_str(), "1Gi");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bad in [
            json!({ "imagee": "x" }),
            json!({ "image": "a b" }),
            json!({ "config": "Upper" }),
            json!({ "drain": "1m" }),
            json!({ "drain": "9999s" }),
            json!({ "ports": { "https": 0 } }),
            json!({ "user": 0 }),
            json!({ "user": "root" }),
            json!({ "app": { "port": 70000 } }),
            json!({ "resources": { "cpu_request": "many" } }),
        ] {
            read(bad.clone()).expect_err(&bad.to_string());
        }
        let twice = read(json!({ "ports": { "https": 9900 } })).unwrap();
        assert_eq!(twice.settings(image("a"), "1", Asked::ByLabel).unwrap_err(), "`ports` names 9900 twice");
        assert!(read(json!({})).unwrap().settings(None, "1", Asked::ByLabel).unwrap_err().contains("--image"));
    }
}
