//! The webhook before a caller that behaves as kube-apiserver does.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::dev::{DevCa, Validity};
use e2e::client::{Answer, BOTH, Client, Protocol, connect, tls};
use e2e::kube::{ApiServer, HOST, NAMESPACE};
use e2e::process::{Process, free_port, run};
use e2e::raw::Raw;
use e2e::{soon, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

const IMAGE: &str = "--image=registry.example/anteroom:1";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A webhook that runs as a process.
struct Webhook {
    process: Process,
    https: SocketAddr,
    health: SocketAddr,
    folder: TempDir,
    ca: String,
}

fn pair(folder: &Path, days: u32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ca = DevCa::generate(Validity::days(now, 30)).unwrap();
    let pair = ca.issue(&[HOST], Validity::days(now, days)).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tls.crt"), &pair.cert_pem).unwrap();
    std::fs::write(folder.join("tls.key"), &pair.key_pem).unwrap();
    ca.ca_pem().to_owned()
}

/// A folder as the kubelet mounts a Secret.
fn mounted(folder: &Path) -> String {
    let ca = pair(&folder.join("tls/..1"), 5);
    symlink("..1", folder.join("tls/..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), folder.join("tls").join(name)).unwrap();
    }
    ca
}

impl Webhook {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let ca = mounted(folder.path());
        Self::start_with(folder, ca, &["--tls=tls"])
    }

    fn start_with(folder: TempDir, ca: String, more: &[&str]) -> Self {
        let health = free_port();
        let probed = format!("--health={health}");
        let usual =
            ["injector", "serve", IMAGE, "--listen=127.0.0.1:0", &probed, "--drain-delay=1s", "--drain-deadline=10s"];
        let mut process = Process::start(folder.path(), &[&usual[..], more].concat());
        let https = process.line("the injector to serve", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "the injector serves").then(|| line["address"].as_str()?.parse().ok())?
        });
        Self { process, https, health, folder, ca }
    }

    fn probe(&self, path: &str) -> (Option<i32>, String) {
        let more = if path == "/livez" { &["--live"][..] } else { &[] };
        let address = format!("--address={}", self.health);
        let said = run(self.folder.path(), &[&["healthcheck", &address][..], more].concat());
        (said.code, format!("{}{}", said.out, said.err))
    }

    fn wait_until_ready(&self) {
        until("readiness", || (self.probe("/readyz").0 == Some(0)).then_some(()));
    }

    async fn open(&self, protocol: Protocol) -> Client {
        self.wait_until_ready();
        Client::open_at(self.https, &self.ca, protocol, HOST).await
    }
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "records-", "labels": {"anteroom.dev/inject": "true"}, "annotations": {"a/b": "c"}},
        "spec": {
            "containers": [{
                "name": "app",
                "image": "records:7",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 2},
                "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [], "defaultMode": 420}}],
            "terminationGracePeriodSeconds": 30,
        },
    })
}

/// A question as API servers of 1.29 to 1.37 put it.
fn review(pod: &Value) -> String {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "namespace": "clinic", "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:masters"]},
            "object": pod, "oldObject": null, "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
    .to_string()
}

/// What the API server makes of an answer: the pod as it is after it, or why not.
fn taken(answer: &Answer, pod: &Value) -> Result<Value, String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    let response = &body["response"];
    assert_eq!(response["uid"], UID);
    if response["allowed"] != true {
        return Err(response["status"]["message"].as_str().unwrap().to_owned());
    }
    let mut pod = pod.clone();
    if let Some(patch) = response["patch"].as_str() {
        assert_eq!(response["patchType"], "JSONPatch");
        let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    Ok(pod)
}

#[tokio::test]
async fn a_pod_gets_the_sidecar_over_both_protocols_and_a_second_time_nothing() {
    let webhook = Webhook::start();
    for protocol in BOTH {
        let mut client = webhook.open(protocol).await;
        let answer = client.post("POST", "/mutate?timeout=5s", &JSON, review(&pod())).await;
        let after = taken(&answer, &pod()).unwrap();
        assert_eq!(after["spec"]["initContainers"][0]["name"], "anteroom");
        assert_eq!(after["spec"]["initContainers"][0]["restartPolicy"], "Always");
        assert_eq!(after["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"], "/app-health/app/readyz");
        assert_eq!(after["spec"]["terminationGracePeriodSeconds"], 40);
        // Another webhook has put something in front meanwhile, and the API server asks again (`reinvocationPolicy`).
        let mut again = after.clone();
        again["spec"]["initContainers"]
            .as_array_mut()
            .unwrap()
            .insert(0, json!({"name": "mesh", "restartPolicy": "Always"}));
        again["metadata"]["annotations"]["mesh/by"] = json!("other");
        let answer = client.post("POST", "/mutate?timeout=5s", &JSON, review(&again)).await;
        assert_eq!(taken(&answer, &again).unwrap(), again);
    }
    assert!(webhook.process.out().lines().all(|line| !line.contains("records")), "the log names no pod");
}

#[tokio::test]
async fn what_cannot_be_injected_is_refused_and_what_did_not_ask_is_left_alone() {
    let webhook = Webhook::start();
    let mut client = webhook.open(Protocol::Http2).await;
    let mut host = pod();
    host["spec"]["hostNetwork"] = json!(true);
    let answer = client.post("POST", "/mutate", &JSON, review(&host)).await;
    let reason = taken(&answer, &host).unwrap_err();
    assert!(reason.starts_with("anteroom cannot be injected") && reason.contains("hostNetwork"), "{reason}");
    host["metadata"]["labels"] = json!({});
    let answer = client.post("POST", "/mutate", &JSON, review(&host)).await;
    assert_eq!(taken(&answer, &host).unwrap(), host);
    let metrics = e2e::gate::probe(webhook.health, "/metrics");
    assert!(metrics.contains("anteroom_injector_reviews_total{outcome=\"refused\"} 1\n"), "{metrics}");
    assert!(metrics.contains("anteroom_injector_reviews_total{outcome=\"untouched\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn what_is_no_question_is_answered_with_an_error() {
    let webhook = Webhook::start();
    webhook.wait_until_ready();
    let good = review(&pod());
    let mut large = pod();
    large["metadata"]["annotations"]["large"] = json!("x".repeat(3 * 1024 * 1024));
    for protocol in BOTH {
        // Each on a connection of its own: where a body is not read, HTTP/1.1 closes it.
        let cases = [
            ("POST", "/mutate", "application/json", good.replace("/v1\"", "/v1beta1\""), 400),
            ("POST", "/mutate", "application/json", good.replace("CREATE", "UPDATE"), 400),
            ("POST", "/mutate", "application/json", "{".to_owned(), 400),
            ("POST", "/mutate", "text/plain", good.clone(), 415),
            ("GET", "/mutate", "application/json", String::new(), 405),
            ("POST", "/", "application/json", good.clone(), 404),
            ("POST", "/mutate", "application/json; charset=utf-8", good.clone(), 200),
        ];
        for (method, path, kind, text, status) in cases {
            let mut client = Client::open_at(webhook.https, &webhook.ca, protocol, HOST).await;
            let length = text.len();
            let answer = client.post(method, path, &[("content-type", kind)], text).await;
            assert_eq!(answer.status, status, "{method} {path} {kind} with {length} bytes");
        }
        for body in [e2e::client::body(review(&large)), e2e::client::untold(3 * 1024 * 1024)] {
            let mut client = Client::open_at(webhook.https, &webhook.ca, protocol, HOST).await;
            let request = client.request("POST", "/mutate").header("content-type", "application/json");
            match client.head(request.body(body).unwrap()).await {
                Ok(answer) => assert_eq!(answer.status(), 413),
                // The rest of a body is not read, so that an HTTP/1.1 client may not come to read the answer.
                Err(_) => assert_eq!(protocol, Protocol::Http1),
            }
        }
    }
}

#[tokio::test]
async fn slow_bodies_end_and_keep_nobody_waiting() {
    let webhook = Webhook::start();
    let mut client = webhook.open(Protocol::Http1).await;
    let mut slow = Vec::new();
    for _ in 0..60 {
        let stream = connect(webhook.https, tls(&webhook.ca, &[b"http/1.1"]), HOST).await.unwrap();
        let mut one = Raw::over(stream);
        one.send("POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{")
            .await;
        slow.push(one);
    }
    assert!(taken(&client.post("POST", "/mutate", &JSON, review(&pod())).await, &pod()).is_ok());
    let waiting = &mut slow.first_mut().unwrap().stream;
    let none_yet = tokio::time::timeout(Duration::from_millis(10), waiting.read_u8()).await;
    assert!(none_yet.is_err(), "the slow ones were still being read when the answer came");
    for mut one in slow {
        assert_eq!(one.answer().await.unwrap().status(), 408);
    }
}

/// A piece of a body, as the HTTP library gives it, costs many times its one byte.
#[tokio::test]
async fn bodies_in_tiny_pieces_cost_what_they_hold() {
    const PIECES: usize = 60_000;
    let webhook = Webhook::start();
    webhook.wait_until_ready();
    let before = webhook.process.peak();
    let mut open = Vec::new();
    for _ in 0..4 {
        let stream = connect(webhook.https, tls(&webhook.ca, &[b"http/1.1"]), HOST).await.unwrap();
        let mut one = Raw::over(stream);
        one.send(
            "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
        open.push(one);
    }
    for one in &mut open {
        one.send("1\r\n \r\n".repeat(PIECES)).await;
    }
    for one in &mut open {
        one.send("0\r\n\r\n").await;
        assert_eq!(one.answer().await.unwrap().status(), 400, "read whole, and no question");
    }
    let grown = webhook.process.peak().saturating_sub(before) / 1024;
    assert!(grown < 4 * 1024, "{grown} KiB for {} KiB of bodies", 4 * PIECES / 1024);
}

#[tokio::test]
async fn a_caller_that_does_not_believe_the_certificate_does_not_ask() {
    let webhook = Webhook::start();
    webhook.wait_until_ready();
    let other = pair(&webhook.folder.path().join("other"), 1);
    assert!(Client::try_open_at(webhook.https, &other, Protocol::Http1, HOST).await.is_err(), "another authority");
    assert!(
        Client::try_open_at(webhook.https, &webhook.ca, Protocol::Http1, "other.svc").await.is_err(),
        "another name"
    );
}

#[tokio::test]
async fn a_renewed_secret_is_shown_and_a_broken_one_is_not() {
    let webhook = Webhook::start();
    let mut before = webhook.open(Protocol::Http2).await;
    let folder = webhook.folder.path().join("tls");
    let swap = |version: &str| {
        symlink(version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    pair(&folder.join("..2"), 5);
    std::fs::copy(folder.join("..1/tls.key"), folder.join("..2/tls.key")).unwrap();
    swap("..2");
    until("the fault to be told", || webhook.process.out().contains("needs attention").then_some(()));
    let mut client = Client::open_at(webhook.https, &webhook.ca, Protocol::Http1, HOST).await;
    assert!(taken(&client.post("POST", "/mutate", &JSON, review(&pod())).await, &pod()).is_ok(), "the old one stays");
    for version in ["..3", "..4"] {
        let ca = pair(&folder.join(version), 6);
        swap(version);
        let mut client = soon("the new certificate", async {
            loop {
                match Client::try_open_at(webhook.https, &ca, Protocol::Http1, HOST).await {
                    Ok(client) => break client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await;
        assert!(taken(&client.post("POST", "/mutate", &JSON, review(&pod())).await, &pod()).is_ok());
    }
    let answer = before.post("POST", "/mutate", &JSON, review(&pod())).await;
    assert!(taken(&answer, &pod()).is_ok(), "a connection that was open stays");
    let said = webhook.process.out();
    assert!(!said.contains("PRIVATE") && !said.contains("BEGIN"), "{said}");
}

#[tokio::test]
async fn it_leaves_without_losing_a_question() {
    let mut webhook = Webhook::start();
    let mut clients = [webhook.open(Protocol::Http1).await, webhook.open(Protocol::Http2).await];
    webhook.process.signal("TERM");
    until("readiness to fall", || (webhook.probe("/readyz").1 == "leaving\n").then_some(()));
    assert_eq!(webhook.probe("/livez").0, Some(0));
    for client in &mut clients {
        assert!(taken(&client.post("POST", "/mutate", &JSON, review(&pod())).await, &pod()).is_ok());
    }
    Client::open_at(webhook.https, &webhook.ca, Protocol::Http2, HOST).await;
    assert_eq!(webhook.process.end().code(), Some(0));
}

#[test]
fn a_signal_that_comes_while_it_reads_its_files_is_not_lost() {
    let folder = TempDir::new().unwrap();
    mounted(folder.path());
    let settings = folder.path().canonicalize().unwrap().join("settings.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&settings).status().unwrap().success());
    // Held open both ways: the injector finds a file that is not at its end.
    let mut held = std::fs::File::options().read(true).write(true).open(&settings).unwrap();
    let health = format!("--health={}", free_port());
    let settled = format!("--settings={}", settings.display());
    let serve =
        ["injector", "serve", IMAGE, "--listen=127.0.0.1:0", &health, "--tls=tls", &settled, "--drain-delay=1s"];
    let mut process = Process::start(folder.path(), &serve);
    let open = format!("/proc/{}/fd", process.id());
    let reads = || {
        let mut files = std::fs::read_dir(&open).unwrap().flatten();
        files.any(|file| std::fs::read_link(file.path()).is_ok_and(|file| file == settings)).then_some(())
    };
    until("the settings to be read", reads);
    process.signal("TERM");
    held.write_all(b"apiVersion: anteroom.dev/v1\nkind: Injection\n").unwrap();
    drop(held);
    assert_eq!(process.end().code(), Some(0), "{}", process.err());
    e2e::until("the line of the log", || process.out().contains("the injector leaves").then_some(()));
}

#[tokio::test]
async fn with_a_certificate_of_its_own_it_waits_for_the_api_server_and_is_believed() {
    let api = ApiServer::start();
    let (url, account) = (format!("--api={}", api.url()), format!("--account={}", api.account().display()));
    api.state.lock().unwrap().forbidden = vec![(http::Method::POST, "secrets")];
    let namespace = format!("--namespace={NAMESPACE}");
    let mut webhook =
        Webhook::start_with(TempDir::new().unwrap(), String::new(), &["--self", &namespace, &url, &account]);
    until("the fault to be told", || webhook.process.out().contains("cannot be made").then_some(()));
    assert_eq!(webhook.probe("/readyz").1, "certificate\n");
    assert_eq!(webhook.probe("/livez").0, Some(0));
    api.state.lock().unwrap().forbidden.clear();
    webhook.wait_until_ready();
    webhook.ca = api.bundle();
    let mut client = webhook.open(Protocol::Http2).await;
    assert!(taken(&client.post("POST", "/mutate?timeout=5s", &JSON, review(&pod())).await, &pod()).is_ok());
    let said = webhook.process.out();
    assert!(!said.contains("token-one") && !said.contains("PRIVATE"), "{said}");
}
