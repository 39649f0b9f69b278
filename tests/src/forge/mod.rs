//! Forged tokens: one table of all the ways to be no token, each with the fault that must end it.
//!
//! Where it can be, a forgery is signed by the issuer's own key, so that nothing but the trap itself can be what it is
//! refused for. The keys are made on the spot.

mod claims;
mod header;
mod shape;
mod signature;

use anteroom::authn::TokenFault;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::issuer::{AUDIENCE, ISSUER};

/// The time that all of them are made for, in Unix seconds: 2026-11-21.
pub const NOW: u64 = 1_795_000_000;

/// A token that proves nobody.
#[derive(Debug)]
pub struct Forged {
    /// What is wrong with it.
    pub name: String,
    /// The token.
    pub token: String,
    /// What it must be refused for.
    pub fault: TokenFault,
}

/// The table as it grows.
#[derive(Debug, Default)]
struct Table(Vec<Forged>);

impl Table {
    fn add(&mut self, name: impl Into<String>, token: impl Into<String>, fault: TokenFault) {
        self.0.push(Forged { name: name.into(), token: token.into(), fault });
    }
}

/// A signing key of an issuer.
#[derive(Debug)]
pub enum Key {
    /// 2048 bits, published for RS256 alone.
    Rsa(Box<RsaKeyPair>),
    /// P-256.
    Ec(EcdsaKeyPair),
    /// Ed25519.
    Ed(Ed25519KeyPair),
}

impl Key {
    fn public(&self) -> &[u8] {
        match self {
            Key::Rsa(pair) => pair.public_key().as_ref(),
            Key::Ec(pair) => pair.public_key().as_ref(),
            Key::Ed(pair) => pair.public_key().as_ref(),
        }
    }

    /// `SubjectPublicKeyInfo`, in DER.
    fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Key::Rsa(pair) => pair.public_key().as_der(),
            Key::Ec(pair) => pair.public_key().as_der(),
            Key::Ed(pair) => pair.public_key().as_der(),
        }
        .unwrap();
        der.as_ref().to_vec()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::Rsa(_) => self.rsa("RS256", message),
            Key::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Key::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A signature by an RSA key with an algorithm that it is not published for.
    fn rsa(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let Key::Rsa(pair) = self else { panic!("no RSA key") };
        let mut made = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        match algorithm {
            "PS256" => pair.sign(&RSA_PSS_SHA256, &random, message, &mut made),
            "RS384" => pair.sign(&RSA_PKCS1_SHA384, &random, message, &mut made),
            _ => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut made),
        }
        .unwrap();
        made
    }

    /// The public key as a member of a key set.
    fn jwk(&self, kid: &str) -> Value {
        let public = self.public();
        match self {
            // RSAPublicKey (RFC 8017): nine bytes of framing and sign, then the modulus.
            Key::Rsa(_) => {
                json!({ "kty": "RSA", "kid": kid, "alg": "RS256", "n": b64(&public[9..265]), "e": "AQAB" })
            }
            Key::Ec(_) => {
                json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": b64(&public[1..33]), "y": b64(&public[33..]) })
            }
            Key::Ed(_) => json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(public) }),
        }
    }
}

/// An issuer with a key of each kind, and a stranger.
#[derive(Debug)]
pub struct Forger {
    rsa: Key,
    ec: Key,
    ed: Key,
    stranger: Key,
}

impl Forger {
    /// New keys.
    pub fn new() -> Self {
        let rsa = |size| Key::Rsa(Box::new(RsaKeyPair::generate(size).unwrap()));
        Self {
            rsa: rsa(KeySize::Rsa2048),
            ec: Key::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            ed: Key::Ed(Ed25519KeyPair::generate().unwrap()),
            stranger: rsa(KeySize::Rsa3072),
        }
    }

    /// The issuer's key set: `rsa`, `ec` and `ed`.
    pub fn key_set(&self) -> Value {
        json!({ "keys": [self.rsa.jwk("rsa"), self.ec.jwk("ec"), self.ed.jwk("ed")] })
    }

    /// A good token of each key.
    pub fn good(&self) -> Vec<String> {
        [(&self.rsa, "RS256", "rsa"), (&self.ec, "ES256", "ec"), (&self.ed, "EdDSA", "ed")]
            .map(|(key, alg, kid)| signed(key, &head(alg, kid), &payload(json!({}))))
            .to_vec()
    }

    /// Every forgery.
    pub fn all(&self) -> Vec<Forged> {
        let mut table = Table::default();
        self.algorithms(&mut table);
        self.confusion(&mut table);
        self.key_ids(&mut table);
        self.keys_inside(&mut table);
        self.demands(&mut table);
        self.types(&mut table);
        self.parts(&mut table);
        self.base64(&mut table);
        self.json(&mut table);
        self.times(&mut table);
        self.names(&mut table);
        self.elliptic(&mut table);
        self.rsa_signatures(&mut table);
        self.swapped(&mut table);
        table.0
    }

    /// A token of these exact texts, signed by the issuer's Ed25519 key.
    fn ed(&self, header: &str, payload: &str) -> String {
        signed(&self.ed, header, payload)
    }

    /// The same with a good header.
    fn says(&self, payload: &str) -> String {
        self.ed(&head("EdDSA", "ed"), payload)
    }

    /// The same with a good payload.
    fn headed(&self, header: &str) -> String {
        self.ed(header, &payload(json!({})))
    }
}

impl Default for Forger {
    fn default() -> Self {
        Self::new()
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn head(alg: &str, kid: &str) -> String {
    json!({ "alg": alg, "kid": kid, "typ": "JWT" }).to_string()
}

/// The claims of a good token, each pair of `changes` set, or taken out where it is null.
fn payload(changes: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada.example", "org_id": "a", "roles": ["provider"],
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 300,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            _ => claims[name] = value.clone(),
        }
    }
    claims.to_string()
}

/// The same with one claim in exactly these letters, which need not be JSON.
fn payload_with(name: &str, letters: &str) -> String {
    payload(json!({ name: "HERE" })).replace("\"HERE\"", letters)
}

fn signed(key: &Key, header: &str, payload: &str) -> String {
    signed_parts(key, &b64(header), &b64(payload))
}

/// A token of parts that are encoded already, however that was done.
fn signed_parts(key: &Key, header: &str, payload: &str) -> String {
    let text = format!("{header}.{payload}");
    let tag = b64(key.sign(text.as_bytes()));
    format!("{text}.{tag}")
}

/// A token of these texts with this signature.
fn tagged(header: &str, payload: &str, tag: &[u8]) -> String {
    format!("{}.{}.{}", b64(header), b64(payload), b64(tag))
}

fn with_secret(algorithm: hmac::Algorithm, secret: &[u8], header: &str) -> String {
    let text = format!("{}.{}", b64(header), b64(payload(json!({}))));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes());
    format!("{text}.{}", b64(tag))
}

fn pem(der: &[u8], line: &str) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|part| std::str::from_utf8(part).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----{line}{}{line}-----END PUBLIC KEY-----", lines.join(line))
}
