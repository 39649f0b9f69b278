//! The certificate that the injector makes for itself: kept in one Secret that all replicas share, its authority told to
//! the API server in one MutatingWebhookConfiguration.
//!
//! Decides in which order the two are written, so that no moment comes at which a certificate is shown whose authority is
//! not believed. Replicas that do the same at the same time are told apart by the API server (`resourceVersion`): one of
//! them writes, the others read what it wrote. It touches no other object, and never logs a key.

mod api;
mod pair;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::{CertError, CertifiedPair};
use http::{Method, StatusCode};
use rustls::ServerConfig;
use serde_json::{Map, Value, json};

use self::api::{Api, Fault};
use self::pair::{ANNOUNCED_FOR, Due, Stored, data_of};
use crate::clock::Now;

/// How often a write is tried again after another replica was faster.
const ROUNDS: usize = 5;

/// Which objects hold the certificate, and where they are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The address of the API server, such as `https://kubernetes.default.svc`.
    pub api: String,
    /// The folder with `token` and `ca.crt` of the service account.
    pub account: PathBuf,
    /// The namespace of the Secret and of the Service.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// The Service that the API server calls.
    pub service: String,
    /// The MutatingWebhookConfiguration that is told of the authority.
    pub webhook: String,
}

/// Keeps the certificate.
#[derive(Debug)]
pub struct Keeper {
    api: Api,
    place: Place,
    name: String,
    /// Since when (seconds of the monotone clock) the API server has known this bundle, as far as we know.
    announced: Option<(String, u64)>,
}

/// What was found or made.
#[derive(Debug)]
pub struct Kept {
    /// What to show.
    pub tls: Arc<ServerConfig>,
    /// The last second of what is shown, in Unix seconds.
    pub not_after: i64,
    /// Why the API server could not be told of the authority; `None` where it knows.
    pub untold: Option<String>,
}

/// Why there is no certificate. `Display` is fit for the log.
#[derive(Debug)]
pub enum KeeperFault {
    /// The API server was no help.
    Api(&'static str, String),
    /// Other replicas were faster each time.
    Busy,
    /// The certificate cannot be made or used.
    Certificate(CertError),
}

impl fmt::Display for KeeperFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeeperFault::Api(what, fault) => write!(out, "{what}: {fault}"),
            KeeperFault::Busy => out.write_str("other replicas write at the same time, again and again"),
            KeeperFault::Certificate(fault) => fault.fmt(out),
        }
    }
}

impl Keeper {
    /// A keeper of the objects at `place`.
    ///
    /// # Errors
    /// A name that no object has, or an address that is none; fit for users.
    pub fn new(place: Place) -> Result<Self, String> {
        let names = [
            ("--namespace", &place.namespace),
            ("--secret", &place.secret),
            ("--service", &place.service),
            ("--webhook", &place.webhook),
        ];
        if let Some((flag, name)) = names.into_iter().find(|(_, name)| !is_object_name(name)) {
            return Err(format!(
                "`{name}` of `{flag}` is no name of an object\n  hint: lower case letters, digits and `-`"
            ));
        }
        let api = Api::new(&place.api, place.account.clone());
        let api = api.ok_or_else(|| format!("`{}` of `--api` is no `https://` address of a server", place.api))?;
        let name = format!("{}.{}.svc", place.service, place.namespace);
        Ok(Self { api, place, name, announced: None })
    }

    /// Reads what is there, does what is due, and returns what to show.
    ///
    /// # Errors
    /// Where there is nothing to show that was stored before.
    pub async fn tend(&mut self, now: Now) -> Result<Kept, KeeperFault> {
        for _ in 0..ROUNDS {
            let Some((secret, stored)) = self.stored(now).await? else { continue };
            // ORDER: the authority is told before a certificate of it is shown.
            let untold = self.announce(stored.bundle(), now).await.err().map(|fault| fault.to_string());
            let stored = match stored.due(&self.name, now.unix_seconds()).map_err(KeeperFault::Certificate)? {
                Due::Nothing => stored,
                Due::Show(next) if untold.is_none() && self.was_announced(stored.bundle(), now) => {
                    match self.put(secret, &next).await? {
                        true => next,
                        false => continue,
                    }
                }
                Due::Show(_) => stored,
                Due::Write(next) => {
                    // What was written, by this or another replica, is read and told in the next round.
                    self.put(secret, &next).await?;
                    continue;
                }
            };
            return kept(stored.shown(), untold);
        }
        Err(KeeperFault::Busy)
    }

    /// The Secret and what it holds; makes a first certificate where it holds none, and then returns nothing.
    async fn stored(&self, now: Now) -> Result<Option<(Value, Stored)>, KeeperFault> {
        let path = format!("{}/{}", self.secrets(), self.place.secret);
        let secret = match self.api.get(&path).await {
            Ok(secret) => secret,
            Err(Fault::Status(StatusCode::NOT_FOUND)) => {
                let first = Stored::first(&self.name, now.unix_seconds()).map_err(KeeperFault::Certificate)?;
                return self.create(&first).await.map(|()| None);
            }
            Err(fault) => return Err(KeeperFault::Api("cannot read the Secret", fault.to_string())),
        };
        let none = Map::new();
        let data = secret.get("data").and_then(Value::as_object).unwrap_or(&none);
        if let Some(stored) = Stored::read(data, &self.name) {
            return Ok(Some((secret, stored)));
        }
        let first = Stored::first(&self.name, now.unix_seconds()).map_err(KeeperFault::Certificate)?;
        self.put(secret, &first).await.map(|_| None)
    }

    fn secrets(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.place.namespace)
    }

    async fn create(&self, first: &Stored) -> Result<(), KeeperFault> {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.place.secret, "namespace": self.place.namespace },
            "type": "Opaque",
            "data": data_of(first),
        });
        match self.api.send(Method::POST, &self.secrets(), &secret).await {
            // Another replica has made one: it is read.
            Ok(_) | Err(Fault::Status(StatusCode::CONFLICT)) => Ok(()),
            Err(fault) => Err(KeeperFault::Api("there is no such Secret, and it cannot be made", fault.to_string())),
        }
    }

    /// Writes what is to be stored into `secret` as it was read; false where it has changed meanwhile.
    async fn put(&self, mut secret: Value, stored: &Stored) -> Result<bool, KeeperFault> {
        if let Some(secret) = secret.as_object_mut() {
            let mut data = secret.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
            stored.write(&mut data);
            secret.insert("data".to_owned(), Value::Object(data));
        }
        let path = format!("{}/{}", self.secrets(), self.place.secret);
        match self.api.send(Method::PUT, &path, &secret).await {
            Ok(_) => Ok(true),
            Err(Fault::Status(StatusCode::CONFLICT)) => Ok(false),
            Err(fault) => Err(KeeperFault::Api("cannot write the Secret", fault.to_string())),
        }
    }

    /// Makes sure that the API server believes `bundle`, and notes since when it has.
    async fn announce(&mut self, bundle: &str, now: Now) -> Result<(), KeeperFault> {
        self.tell(&STANDARD.encode(bundle)).await?;
        if self.announced.as_ref().is_none_or(|(known, _)| known != bundle) {
            self.announced = Some((bundle.to_owned(), now.monotone.as_secs()));
        }
        Ok(())
    }

    /// Tells every webhook that does not know it yet; forgets since when they knew what they did.
    async fn tell(&mut self, wanted: &str) -> Result<(), KeeperFault> {
        let path =
            format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{}", self.place.webhook);
        let failed = |fault: Fault| KeeperFault::Api("cannot tell the API server of the authority", fault.to_string());
        for _ in 0..ROUNDS {
            let seen = self.api.get(&path).await.map_err(failed)?;
            let mut patch = told_to(&seen, wanted);
            if patch.is_empty() {
                return Ok(());
            }
            self.announced = None;
            let version = seen.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
            patch.insert(0, json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version }));
            match self.api.send(Method::PATCH, &path, &Value::Array(patch)).await {
                Ok(_) => {
                    tracing::info!(target: "anteroom", "the API server was told of the injector's authority");
                    return Ok(());
                }
                // Another replica was faster: what it has told is looked at.
                Err(Fault::Status(StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)) => {}
                Err(fault) => return Err(failed(fault)),
            }
        }
        Err(KeeperFault::Busy)
    }

    fn was_announced(&self, bundle: &str, now: Now) -> bool {
        let known = self.announced.as_ref().filter(|(known, _)| known == bundle);
        known.is_some_and(|(_, since)| now.monotone.as_secs().saturating_sub(*since) >= ANNOUNCED_FOR)
    }
}

/// What is to be changed for every webhook of a configuration to believe `wanted`.
fn told_to(seen: &Value, wanted: &str) -> Vec<Value> {
    let webhooks = seen.get("webhooks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let lacking = webhooks
        .iter()
        .enumerate()
        .filter(|(_, one)| one.pointer("/clientConfig/caBundle").and_then(Value::as_str) != Some(wanted));
    let path = |place: usize| format!("/webhooks/{place}/clientConfig/caBundle");
    lacking.map(|(place, _)| json!({ "op": "add", "path": path(place), "value": wanted })).collect()
}

fn kept(pair: &CertifiedPair, untold: Option<String>) -> Result<Kept, KeeperFault> {
    let tls = certs::server_config(vec![pair.clone()]).map_err(KeeperFault::Certificate)?;
    Ok(Kept { tls, not_after: pair.not_after(), untold })
}

/// A DNS label or several (RFC 1123), as names of objects are.
fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        let place = |secret: &str| Place {
            api: "https://kubernetes.default.svc".to_owned(),
            account: PathBuf::from("/nowhere"),
            namespace: "anteroom-system".to_owned(),
            secret: secret.to_owned(),
            service: "anteroom-injector".to_owned(),
            webhook: "anteroom-injector".to_owned(),
        };
        assert!(Keeper::new(place("anteroom-injector-tls")).is_ok());
        for bad in ["", "a/b", "..", "a?b", "A", "-a", "a.", "a%2f"] {
            assert!(Keeper::new(place(bad)).is_err(), "{bad}");
        }
        for bad in ["http://kubernetes.default.svc", "https://u@h", "https://h/path", "nothing", "https://h/?q"] {
            assert!(Keeper::new(Place { api: bad.to_owned(), ..place("s") }).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_webhook_is_told_and_those_that_know_are_left_alone() {
        let seen = json!({"webhooks": [
            {"clientConfig": {"caBundle": "new"}},
            {"clientConfig": {"service": {}}},
            {"clientConfig": {"caBundle": "old"}},
        ]});
        let patch = told_to(&seen, "new");
        let paths: Vec<_> = patch.iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["/webhooks/1/clientConfig/caBundle", "/webhooks/2/clientConfig/caBundle"]);
        assert!(told_to(&json!({}), "new").is_empty());
    }
}
