//! As much of a Kubernetes API server as the injector meets: one Secret, one MutatingWebhookConfiguration, bearer tokens,
//! `resourceVersion`, and the refusals that it knows.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::dev::{DevCa, Validity};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::{At, Backend};
use crate::client::{AnyBody, Protocol, body};

/// The namespace of the injector.
pub const NAMESPACE: &str = "anteroom-system";
/// The Secret.
pub const SECRET: &str = "anteroom-injector-tls";
/// The Service, and the MutatingWebhookConfiguration.
pub const NAME: &str = "anteroom-injector";
/// The host that the API server asks for.
pub const HOST: &str = "anteroom-injector.anteroom-system.svc";

/// What the API server holds, and how it behaves.
#[derive(Debug)]
pub struct State {
    /// The Secret, once there is one.
    pub secret: Option<Value>,
    /// The MutatingWebhookConfiguration.
    pub webhook: Value,
    /// The token that is taken.
    pub token: String,
    /// What is refused with 403: a method and the end of a path.
    pub forbidden: Vec<(Method, &'static str)>,
    /// Something that another replica does just before the next write of the Secret is looked at.
    pub before_write: Option<Value>,
    /// Every request: method and path.
    pub seen: Vec<String>,
    version: u64,
}

/// An API server that runs, with the folder of a service account.
pub struct ApiServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it holds.
    pub state: Arc<Mutex<State>>,
    account: TempDir,
    _backend: Backend,
}

impl ApiServer {
    /// One that holds a configuration with two webhooks and no Secret.
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ca = DevCa::generate(Validity::days(now, 3)).unwrap();
        let pair = ca.issue(&["127.0.0.1", "localhost"], Validity::days(now, 2)).unwrap();
        let pair = certs::load_pair(pair.cert_pem.as_bytes(), pair.key_pem.as_bytes()).unwrap();
        let account = TempDir::new().unwrap();
        std::fs::write(account.path().join("ca.crt"), ca.ca_pem()).unwrap();
        std::fs::write(account.path().join("token"), "token-one\n").unwrap();
        let webhooks =
            [json!({"name": "a", "clientConfig": {"service": {}}}), json!({"name": "b", "clientConfig": {}})];
        let state = Arc::new(Mutex::new(State {
            secret: None,
            webhook: json!({"metadata": {"name": NAME, "resourceVersion": "7"}, "webhooks": webhooks}),
            token: "token-one".to_owned(),
            forbidden: Vec::new(),
            before_write: None,
            seen: Vec::new(),
            version: 7,
        }));
        let held = Arc::clone(&state);
        let tls = At::Tls(certs::server_config(vec![pair]).unwrap());
        let backend = Backend::start(tls, Protocol::Http1, move |request| answered(request, Arc::clone(&held)));
        Self { address: backend.address.unwrap(), state, account, _backend: backend }
    }

    /// The folder of the service account.
    pub fn account(&self) -> &Path {
        self.account.path()
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authorities that it has been told of for both webhooks; empty where it knows none.
    pub fn bundle(&self) -> String {
        let state = self.state.lock().unwrap();
        let of =
            |place: usize| state.webhook["webhooks"][place]["clientConfig"]["caBundle"].as_str().unwrap_or_default();
        assert_eq!(of(0), of(1), "both webhooks are told the same");
        String::from_utf8(STANDARD.decode(of(0)).unwrap()).unwrap()
    }
}

async fn answered(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<AnyBody> {
    let (parts, sent) = request.into_parts();
    let sent = Limited::new(sent, 4 * 1024 * 1024).collect().await.unwrap().to_bytes();
    let sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
    let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let bearer = parts.headers.get("authorization").and_then(|bearer| bearer.to_str().ok()).unwrap_or_default();
    let (status, value) = {
        let mut state = state.lock().unwrap();
        state.seen.push(format!("{} {}", parts.method, parts.uri.path()));
        if bearer == format!("Bearer {}", state.token) {
            state.answer(&parts.method, parts.uri.path(), kind, sent)
        } else {
            (StatusCode::UNAUTHORIZED, Value::Null)
        }
    };
    let mut answer = Response::new(body(value.to_string()));
    *answer.status_mut() = status;
    answer
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, kind: &str, sent: Value) -> (StatusCode, Value) {
        let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
        let secret = format!("{secrets}/{SECRET}");
        let webhook = format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{NAME}");
        if self.forbidden.iter().any(|(no, end)| no == method && path.ends_with(end)) {
            return (StatusCode::FORBIDDEN, json!({"kind": "Status", "message": "forbidden: not even shown"}));
        }
        match (method, path) {
            (&Method::GET, path) if path == secret => self.found(self.secret.clone()),
            (&Method::POST, path) if path == secrets => {
                self.meanwhile();
                if self.secret.is_some() {
                    return (StatusCode::CONFLICT, Value::Null);
                }
                self.keep_secret(sent)
            }
            (&Method::PUT, path) if path == secret => {
                self.meanwhile();
                let known = self.secret.as_ref().map(|secret| secret["metadata"]["resourceVersion"].clone());
                match known {
                    None => (StatusCode::NOT_FOUND, Value::Null),
                    Some(known) if known != sent["metadata"]["resourceVersion"] => (StatusCode::CONFLICT, Value::Null),
                    Some(_) => self.keep_secret(sent),
                }
            }
            (&Method::GET, path) if path == webhook => self.found(Some(self.webhook.clone())),
            (&Method::PATCH, path) if path == webhook && kind == "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_value(sent).unwrap();
                let mut patched = self.webhook.clone();
                if json_patch::patch(&mut patched, &patch).is_err() {
                    return (StatusCode::UNPROCESSABLE_ENTITY, Value::Null);
                }
                self.version += 1;
                patched["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.webhook = patched;
                (StatusCode::OK, self.webhook.clone())
            }
            _ => (StatusCode::NOT_FOUND, Value::Null),
        }
    }

    fn found(&self, value: Option<Value>) -> (StatusCode, Value) {
        value.map_or((StatusCode::NOT_FOUND, Value::Null), |value| (StatusCode::OK, value))
    }

    fn meanwhile(&mut self) {
        if let Some(secret) = self.before_write.take() {
            self.keep_secret(secret);
        }
    }

    fn keep_secret(&mut self, mut secret: Value) -> (StatusCode, Value) {
        self.version += 1;
        secret["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.secret = Some(secret.clone());
        (StatusCode::CREATED, secret)
    }
}
