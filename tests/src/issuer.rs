//! An issuer of tokens: good ones, and every kind of bad one.

use std::time::{SystemTime, UNIX_EPOCH};

use anteroom::dev_key::DevKey;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

/// What the gate of the tests believes.
pub const ISSUER: &str = "https://issuer.example/";
/// Whom its tokens are for.
pub const AUDIENCE: &str = "https://api.clinic.example";

/// The issuer's key.
#[derive(Debug)]
pub struct Issuer {
    /// The key.
    pub key: DevKey,
    /// The time that its tokens are made for, in Unix seconds.
    pub now: u64,
}

impl Issuer {
    /// A new key, and the machine's time.
    pub fn new() -> Self {
        Self { key: DevKey::generate().unwrap(), now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() }
    }

    /// The claims of a good token: subject `sub`, tenant `org`, these roles, one hour.
    pub fn claims(&self, sub: &str, org: &str, roles: &[&str]) -> Map<String, Value> {
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "org_id": org, "roles": roles,
            "iat": self.now, "exp": self.now + 3_600,
        });
        claims.as_object().unwrap().clone()
    }

    /// A good token.
    pub fn token(&self, sub: &str, org: &str, roles: &[&str]) -> String {
        self.sign(&self.claims(sub, org, roles))
    }

    /// A good token of a provider of clinic `a`.
    pub fn ada(&self) -> String {
        self.token("ada.example", "a", &["provider"])
    }

    /// A token with changed claims: each pair is set, or taken out where its value is null.
    pub fn changed(&self, changes: Value) -> String {
        let mut claims = self.claims("ada.example", "a", &["provider"]);
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        self.sign(&claims)
    }

    /// A signed token.
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        self.key.sign(self.key.kid(), claims).unwrap()
    }

    /// A good token that does not say which key signed it.
    pub fn unnamed(&self) -> String {
        let pem = self.key.pem();
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der()).unwrap();
        let claims = Value::Object(self.claims("ada.example", "a", &["provider"]));
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(&claims));
        let tag = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// A token of a key that the gate does not know, under the id of one that it does.
    pub fn forged(&self) -> String {
        DevKey::generate().unwrap().sign(self.key.kid(), &self.claims("ada.example", "a", &["provider"])).unwrap()
    }

    /// A token without a signature that says so, in this spelling.
    pub fn unsigned(&self, alg: &str) -> String {
        let claims = self.claims("ada.example", "a", &["provider"]);
        format!("{}.{}.", part(&json!({ "alg": alg, "typ": "JWT" })), part(&Value::Object(claims)))
    }

    /// A token that is signed with the public key as if it were a shared secret.
    pub fn confused(&self, secret: &[u8]) -> String {
        let claims = Value::Object(self.claims("ada.example", "a", &["provider"]));
        let head = json!({ "alg": "HS256", "typ": "JWT", "kid": self.key.kid() });
        let signed = format!("{}.{}", part(&head), part(&claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// A good token whose payload was changed afterwards.
    pub fn tampered(&self) -> String {
        let good = self.ada();
        let mut parts: Vec<&str> = good.split('.').collect();
        let payload = part(&Value::Object(self.claims("eve.example", "b", &["admin"])));
        parts[1] = &payload;
        parts.join(".")
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
