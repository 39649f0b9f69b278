//! The demo as a script uses it: one line of JSON, every case as it says, and nothing left behind.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use e2e::client::{AnyBody, BOTH, Client, Protocol, body};
use e2e::gate::{metric, probe};
use e2e::process::{Process, binary, run};
use e2e::until;
use http::Request;
use serde_json::Value;

/// A demo that runs, in a folder of its own.
pub(crate) struct Demo {
    process: Process,
    folder: tempfile::TempDir,
    told: Value,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("anteroom-e2e-").tempdir().unwrap();
        let mut command = Command::new(binary());
        command.args(["demo", "--json"]).current_dir(folder.path()).env("TMPDIR", folder.path());
        let mut process = Process::start_as(&mut command);
        let told = process.line("the demo to be ready", |line| serde_json::from_str(line).ok());
        Self { process, folder, told }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.told))
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let port = self.text(name).rsplit(':').next().unwrap().trim_end_matches('/');
        format!("127.0.0.1:{port}").parse().unwrap()
    }

    fn event(&self, request: &str) -> Value {
        until("the event of a request", || {
            let entries = audit::read(Path::new(self.text("audit"))).unwrap();
            let lines = entries.filter_map(|entry| match entry.unwrap() {
                audit::Entry::Line(line) => Some(serde_json::from_str::<Value>(&line.text).unwrap()),
                audit::Entry::Fault { .. } => None,
            });
            lines.into_iter().find(|event| event["request"] == request)
        })
    }

    fn logged(&self, request: &str) -> Value {
        until("a line of the log", || {
            let log = std::fs::read_to_string(self.text("log")).unwrap();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            let mut lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.find(|line| line["request"] == request && line.get("code").is_some())
        })
    }

    /// The request of a try, as `protocol` writes it.
    fn request(&self, one: &Value, protocol: Protocol) -> Request<AnyBody> {
        let own = one["headers"].as_object().unwrap();
        let authority = self.text("https").trim_start_matches("https://").to_owned();
        let host = own.get("host").map_or(authority.as_str(), |host| host.as_str().unwrap());
        let (method, path) = (one["method"].as_str().unwrap(), one["path"].as_str().unwrap());
        let mut request = match protocol {
            Protocol::Http1 => Request::builder().uri(path).header("host", host),
            Protocol::Http2 => Request::builder().uri(format!("https://{host}{path}")).version(http::Version::HTTP_2),
        };
        request = request.method(method);
        if let Some(persona) = one["persona"].as_str() {
            let token = self.told["personas"][persona]["token"].as_str().unwrap();
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in own.iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, value.as_str().unwrap());
        }
        request.body(body(one["body"].as_str().unwrap_or_default().to_owned())).unwrap()
    }
}

#[tokio::test]
async fn every_try_is_answered_as_it_says() {
    let demo = Demo::start();
    let ca = std::fs::read_to_string(demo.text("ca")).unwrap();
    let (https, health) = (demo.address("https"), demo.address("health"));
    let tries = demo.told["try"].as_array().unwrap();
    assert!(tries.len() >= 20, "{}", tries.len());
    let mut codes = std::collections::BTreeSet::new();
    for protocol in BOTH {
        for one in tries {
            let at = format!("{protocol:?} {}", one["name"]);
            let (status, code) = (&one["expect"]["status"], &one["expect"]["code"]);
            let mut last = None;
            for _ in 0..one["repeat"].as_u64().unwrap() {
                let mut client = Client::open_at(https, &ca, protocol, "localhost").await;
                last = Some(client.send(demo.request(one, protocol)).await);
            }
            let answer = last.unwrap();
            assert_eq!(answer.status.as_u16(), *status, "{at}: {}", answer.text());
            assert_eq!(answer.code(), code.as_str().unwrap_or_default(), "{at}");
            assert!(answer.header("strict-transport-security").starts_with("max-age="), "{at}");
            for telltale in ["server", "x-powered-by"] {
                assert_eq!(answer.header(telltale), "", "{at}");
            }
            let event = demo.event(answer.id());
            assert_eq!((&event["code"], &event["status"]), (code, status), "{at}");
            if let Some(code) = code.as_str() {
                assert_eq!(event["decision"], "deny", "{at}");
                assert_eq!(demo.logged(answer.id())["code"], code, "{at}");
                assert!(metric(health, "anteroom_requests_total", &[("code", code)]) >= 1.0, "{at}");
                codes.insert(code.to_owned());
            }
            if one["name"] == "spoofed-identity" {
                let persona = &demo.told["personas"][one["persona"].as_str().unwrap()];
                let header = demo.text("tenant_header").to_ascii_lowercase();
                let text = answer.text().to_ascii_lowercase();
                assert_eq!(text.matches(&format!("\"{header}\"")).count(), 1, "{text}");
                assert!(text.contains(persona["tenant"].as_str().unwrap()), "{text}");
            }
        }
    }
    for code in [
        "NO_CREDENTIAL",
        "TOKEN_INVALID",
        "TOKEN_EXPIRED",
        "SESSION_ENDED",
        "STEP_UP",
        "NOT_GRANTED",
        "TENANT_MISMATCH",
        "NOT_OWN",
        "NO_TENANT",
        "NO_ROUTE",
        "METHOD_NOT_ALLOWED",
        "APP_DOWN",
        "LIMITED",
    ] {
        assert!(codes.contains(code), "no try shows {code}");
    }
}

#[test]
fn it_says_where_everything_is() {
    let demo = Demo::start();
    assert_eq!(demo.process.out().lines().count(), 1, "one line: {}", demo.process.out());
    for path in ["control", "ca", "config", "audit", "log"] {
        assert!(Path::new(demo.text(path)).exists(), "{path}");
    }
    for address in ["https", "health"] {
        assert!(demo.text(address).starts_with("http"), "{address}");
    }
    assert!(probe(demo.address("health"), "/readyz").starts_with("HTTP/1.1 200 "));
    let personas = demo.told["personas"].as_object().unwrap();
    assert!(personas.len() >= 4);
    for (name, persona) in personas {
        assert!(persona["token"].as_str().unwrap().split('.').count() == 3, "{name}");
        assert!(
            persona["roles"].is_array() && persona["mfa"].is_boolean() && persona.get("tenant").is_some(),
            "{name}"
        );
    }
    for one in demo.told["try"].as_array().unwrap() {
        let mut keys: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["body", "expect", "headers", "method", "name", "path", "persona", "repeat"]);
    }
    let root = demo.folder.path();
    let checked = run(root, &["check", "--config", demo.text("config")]);
    assert_eq!(checked.code, Some(0), "what runs is a configuration like any other: {}", checked.err);
    let status = run(root, &["status", "--control", demo.text("control")]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    assert_eq!(serde_json::from_str::<Value>(&status.out).unwrap()["ready"], true);
}

/// A thread that went on behind the end of the process could make AWS-LC abort it.
#[test]
fn it_ends_all_of_its_threads_beside_clients_that_say_nothing() {
    let mut demo = Demo::start();
    let silent: Vec<_> = (0..8).map(|_| std::net::TcpStream::connect(demo.address("https")).unwrap()).collect();
    let began = std::time::Instant::now();
    demo.process.signal("TERM");
    let ended = demo.process.end();
    assert_eq!(ended.code(), Some(0), "{}", demo.process.err());
    // They have 10 s for a handshake, which is what the demo waited before.
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
    drop(silent);
}

#[test]
fn it_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let mut demo = Demo::start();
        let (https, health) = (demo.address("https"), demo.address("health"));
        assert!(std::fs::read_dir(demo.folder.path()).unwrap().count() > 0, "its files are below `TMPDIR`");
        demo.process.signal(signal);
        let ended = demo.process.end();
        assert_eq!(ended.code(), Some(0), "{signal}: {}", demo.process.err());
        let left: Vec<_> = std::fs::read_dir(demo.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "{signal}");
        for address in [https, health] {
            assert!(std::net::TcpStream::connect(address).is_err(), "{signal}: somebody still listens");
        }
    }
}
