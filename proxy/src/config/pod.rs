//! What the pod says to its gate by the environment: its addresses, and the probes of the application that the gate asks
//! in the kubelet's place. As written, and compiled.
//!
//! These are facts about one pod, which only Kubernetes knows and no file of the configuration can hold; nothing else is
//! taken from the environment. A value that is not understood is a fault, and the gate does not start.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use policy::Diagnostic;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// The addresses of the pod, with commas between them: `status.podIPs`.
pub(super) const POD_IPS: &str = "ANTEROOM_POD_IPS";
/// The probes, as JSON.
pub(super) const APP_PROBES: &str = "ANTEROOM_APP_PROBES";

/// The most addresses.
const ADDRESSES: usize = 16;
/// The longest text of probes, in bytes.
const PROBES_TEXT: usize = 64 * 1024;
/// The most probes.
const PROBES: usize = 100;
/// The longest that a probe may wait.
const LONGEST: u64 = 300;
/// The most headers of a probe.
const HEADERS: usize = 32;
/// The longest name of a gRPC service, in bytes.
const SERVICE: usize = 256;

/// What stands in the environment; `None` where it is not set, or empty.
#[derive(Clone, Debug, Default)]
pub struct RawPod {
    /// The value of `ANTEROOM_POD_IPS`.
    pub(super) addresses: Option<String>,
    /// The value of `ANTEROOM_APP_PROBES`.
    pub(super) probes: Option<String>,
}

/// What the gate knows of its pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its addresses, none of them loopback; empty where nobody has told.
    pub addresses: Vec<IpAddr>,
    /// What may be asked of the application in the kubelet's place; at most 100.
    pub probes: Vec<AppProbe>,
}

/// One probe of one container.
#[derive(Clone, Debug)]
pub struct AppProbe {
    /// The path that it is asked at: `/app-health/<container>/<startupz, readyz or livez>`.
    pub path: String,
    /// What is asked.
    pub ask: Ask,
    /// How long the answer may take: 1 s to 5 min.
    pub timeout: Duration,
}

/// What is asked of the application.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A status from 200 to 399 for a GET.
    Http(HttpAsk),
    /// A connection.
    Tcp(u16),
    /// `SERVING` from `grpc.health.v1.Health/Check`.
    Grpc {
        /// The port, for HTTP/2 in clear.
        port: u16,
        /// Whose health; empty for the server's.
        service: String,
    },
}

/// A GET.
#[derive(Clone, Debug)]
pub struct HttpAsk {
    /// Whether it is asked over TLS.
    pub tls: bool,
    /// The port.
    pub port: u16,
    /// The path and the query.
    pub target: Uri,
    /// `Host`, where the pod says one.
    pub host: Option<HeaderValue>,
    /// The other headers, in their order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Reads what the environment says.
pub(super) fn pod(raw: &RawPod, found: &mut Vec<Diagnostic>) -> Pod {
    let mut fault = |message: String, hint: &str| {
        found.push(Diagnostic::without_place("environment", message).help(hint));
    };
    let addresses = raw.addresses.as_deref().map_or(Ok(Vec::new()), addresses).unwrap_or_else(|message| {
        fault(format!("`{POD_IPS}`: {message}"), "take it from the field `status.podIPs`");
        Vec::new()
    });
    let probes = raw.probes.as_deref().map_or(Ok(Vec::new()), probes).unwrap_or_else(|message| {
        fault(
            format!("`{APP_PROBES}`: {message}"),
            "`anteroom inject` writes it; docs/kubernetes/operations.md has its form",
        );
        Vec::new()
    });
    Pod { addresses, probes }
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let addresses =
        text.split(',').map(|one| match one.trim().parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if address.is_loopback() || address.is_unspecified() => {
                Err(format!("`{address}` is not how others reach the pod"))
            }
            Ok(address) => Ok(address),
            Err(_) => Err(format!("`{one}` is no address")),
        });
    let addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>()?;
    if addresses.len() > ADDRESSES { Err(format!("there are more than {ADDRESSES} addresses")) } else { Ok(addresses) }
}

fn probes(text: &str) -> Result<Vec<AppProbe>, String> {
    if text.len() > PROBES_TEXT {
        return Err(format!("it is longer than {PROBES_TEXT} bytes"));
    }
    let raw: Entries<Entries<RawProbe>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut probes = Vec::new();
    for (container, kinds) in raw.0 {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if container.is_empty() || container.len() > 63 || !container.chars().all(plain) {
            return Err(format!("`{container}` is no name of a container"));
        }
        for (kind, probe) in kinds.0 {
            if !matches!(kind.as_str(), "startupz" | "readyz" | "livez") {
                return Err(format!("`{kind}` of `{container}` is none of `startupz`, `readyz`, `livez`"));
            }
            let path = format!("/app-health/{container}/{kind}");
            probes.push(probe.compile(path).map_err(|message| format!("`{kind}` of `{container}`: {message}"))?);
        }
    }
    if probes.len() > PROBES { Err(format!("there are more than {PROBES} probes")) } else { Ok(probes) }
}

/// A map whose keys stand in it once each, in the order of the text.
struct Entries<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = Entries<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if entries.iter().any(|(known, _)| *known == key) {
                        return Err(serde::de::Error::custom(format!("`{key}` stands here twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Each(std::marker::PhantomData))
    }
}

/// A probe as the pod writes it: one of the three, and its time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawProbe {
    http_get: Option<RawHttpGet>,
    tcp_socket: Option<RawTcpSocket>,
    grpc: Option<RawGrpc>,
    #[serde(default = "a_second")]
    timeout_seconds: u64,
}

/// Kubernetes' default.
fn a_second() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawHttpGet {
    path: Option<String>,
    port: u16,
    host: Option<String>,
    #[serde(default)]
    scheme: RawScheme,
    #[serde(default)]
    http_headers: Vec<RawHeader>,
}

#[derive(Default, Deserialize)]
enum RawScheme {
    #[default]
    #[serde(rename = "HTTP")]
    Http,
    #[serde(rename = "HTTPS")]
    Https,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTcpSocket {
    port: u16,
    host: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrpc {
    port: u16,
    service: Option<String>,
}

impl RawProbe {
    fn compile(self, path: String) -> Result<AppProbe, String> {
        let ask = match (self.http_get, self.tcp_socket, self.grpc) {
            (Some(http), None, None) => Ask::Http(http.compile()?),
            (None, Some(tcp), None) => {
                at_home(tcp.host.as_deref())?;
                Ask::Tcp(open(tcp.port)?)
            }
            (None, None, Some(grpc)) => {
                let service = grpc.service.unwrap_or_default();
                if service.len() > SERVICE {
                    return Err(format!("the service is longer than {SERVICE} bytes"));
                }
                Ask::Grpc { port: open(grpc.port)?, service }
            }
            _ => return Err("it is not one of `httpGet`, `tcpSocket` and `grpc`".to_owned()),
        };
        if !(1..=LONGEST).contains(&self.timeout_seconds) {
            return Err(format!("`timeoutSeconds` {} is not between 1 and {LONGEST}", self.timeout_seconds));
        }
        Ok(AppProbe { path, ask, timeout: Duration::from_secs(self.timeout_seconds) })
    }
}

impl RawHttpGet {
    fn compile(self) -> Result<HttpAsk, String> {
        at_home(self.host.as_deref())?;
        let path = self.path.unwrap_or_default();
        // The kubelet takes a path without its slash, too.
        let target = if path.starts_with('/') { path } else { format!("/{path}") };
        let target = target.parse::<Uri>().ok().filter(|uri| uri.authority().is_none());
        let target = target.ok_or_else(|| "`path` is no path".to_owned())?;
        if self.http_headers.len() > HEADERS {
            return Err(format!("there are more than {HEADERS} headers"));
        }
        let (mut host, mut headers) = (None, Vec::new());
        for header in self.http_headers {
            let name = HeaderName::try_from(header.name.as_str());
            let name = name.map_err(|_| format!("`{}` is no name of a header", header.name))?;
            let value = HeaderValue::try_from(header.value);
            let value = value.map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
            if matches!(name.as_str(), "content-length" | "transfer-encoding") {
                return Err(format!("`{name}` has no place in a request without a body"));
            }
            if name == http::header::HOST { host = host.or(Some(value)) } else { headers.push((name, value)) }
        }
        let tls = matches!(self.scheme, RawScheme::Https);
        Ok(HttpAsk { tls, port: open(self.port)?, target, host, headers })
    }
}

fn open(port: u16) -> Result<u16, String> {
    if port == 0 { Err("`port` is 0".to_owned()) } else { Ok(port) }
}

/// The gate asks its own pod alone, so another host is not for it to ask.
fn at_home(host: Option<&str>) -> Result<(), String> {
    match host {
        None | Some("" | "127.0.0.1" | "::1" | "localhost") => Ok(()),
        Some(host) => Err(format!("`host` is `{host}`, and the gate asks 127.0.0.1 and ::1 alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_others_use() {
        assert_eq!(addresses("10.1.2.3").unwrap(), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses("10.1.2.3, fd00::7").unwrap().len(), 2);
        for bad in [
            "",
            "10.1.2.3,",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "10.1.2.3,::1",
            "0.0.0.0",
            "::",
            "pod",
            "10.1.2.3:80",
            "10.1.2.0/24",
        ] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
        assert!(addresses(&["10.0.0.1"; 17].join(",")).is_err());
    }

    #[test]
    fn probes_are_taken_as_the_pod_wrote_them() {
        let text = r#"{"web": {
            "readyz": {"httpGet": {"path": "/ready?full=1", "port": 3000, "scheme": "HTTPS", "httpHeaders": [
                {"name": "Host", "value": "clinic.example"}, {"name": "X-Probe", "value": "a"}, {"name": "X-Probe", "value": "b"}]},
                "timeoutSeconds": 7},
            "livez": {"tcpSocket": {"port": 3000}},
            "startupz": {"httpGet": {"port": 3000, "path": "healthz"}}},
          "rpc": {"livez": {"grpc": {"port": 50051, "service": "clinic"}}}}"#;
        let probes = probes(text).unwrap();
        let paths: Vec<&str> = probes.iter().map(|probe| probe.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/app-health/web/readyz", "/app-health/web/livez", "/app-health/web/startupz", "/app-health/rpc/livez"]
        );
        let Ask::Http(first) = &probes[0].ask else { panic!() };
        assert_eq!((first.tls, first.port, first.target.to_string()), (true, 3000, "/ready?full=1".to_owned()));
        assert_eq!(
            (first.host.as_ref().unwrap(), first.headers.len()),
            (&HeaderValue::from_static("clinic.example"), 2)
        );
        assert_eq!((probes[0].timeout, probes[1].timeout), (Duration::from_secs(7), Duration::from_secs(1)));
        let Ask::Http(third) = &probes[2].ask else { panic!() };
        assert_eq!((third.tls, third.target.to_string()), (false, "/healthz".to_owned()));
        assert!(matches!(&probes[1].ask, Ask::Tcp(3000)));
        assert!(matches!(&probes[3].ask, Ask::Grpc { port: 50051, service } if service == "clinic"));
    }

    #[test]
    fn what_is_not_understood_is_a_fault() {
        let one = |probe: &str| format!(r#"{{"web": {{"livez": {probe}}}}}"#);
        for bad in [
            "{",
            "[]",
            r#"{"web": {"health": {"tcpSocket": {"port": 1}}}}"#,
            r#"{"web/../x": {"livez": {"tcpSocket": {"port": 1}}}}"#,
            r#"{"web": {}, "web": {}}"#,
            &one("{}"),
            &one(r#"{"exec": {"command": ["true"]}}"#),
            &one(r#"{"tcpSocket": {"port": 1}, "grpc": {"port": 1}}"#),
            &one(r#"{"tcpSocket": {"port": "http"}}"#),
            &one(r#"{"tcpSocket": {"port": 0}}"#),
            &one(r#"{"tcpSocket": {"port": 70000}}"#),
            &one(r#"{"tcpSocket": {"port": 1, "host": "10.0.0.1"}}"#),
            &one(r#"{"tcpSocket": {"port": 1}, "timeoutSeconds": 0}"#),
            &one(r#"{"tcpSocket": {"port": 1}, "timeoutSeconds": 301}"#),
            &one(r#"{"tcpSocket": {"port": 1}, "periodSeconds": 1}"#),
            &one(r#"{"httpGet": {"port": 1, "path": "/a b"}}"#),
            &one(r#"{"httpGet": {"port": 1, "scheme": "FTP"}}"#),
            &one(r#"{"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": "c"}]}}"#),
            &one(r#"{"httpGet": {"port": 1, "httpHeaders": [{"name": "a", "value": "b\nc"}]}}"#),
            &one(r#"{"httpGet": {"port": 1, "httpHeaders": [{"name": "Content-Length", "value": "1"}]}}"#),
        ] {
            assert!(probes(bad).is_err(), "{bad}");
        }
        assert!(probes("{}").unwrap().is_empty());
        let long = format!("{{{}}}", " ".repeat(PROBES_TEXT));
        assert!(probes(&long).unwrap_err().contains("longer"));
    }
}
