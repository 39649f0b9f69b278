//! Test support: keys made on the spot, the key sets that publish them, and tokens that they sign.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::clock::Now;

/// 2026-11-21, in Unix seconds: the time of every test.
pub(super) const NOW: u64 = 1_795_000_000;
pub(super) const ISSUER: &str = "https://issuer.example/";
pub(super) const AUDIENCE: &str = "https://api.clinic.example";
pub(super) const SECRET: &[u8] = b"a secret of the test, of at least sixty-four bytes, so that HS512 has enough of it";

/// A time by clocks that both count from 1970.
pub(super) fn at(unix_s: u64) -> Now {
    Now { unix_ms: unix_s.saturating_mul(1_000), monotone: Duration::from_secs(unix_s) }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) enum Maker {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Maker {
    pub(super) fn rsa() -> Self {
        Maker::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn p256() -> Self {
        Maker::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn p384() -> Self {
        Maker::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        Maker::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as a member of a key set.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Maker::Rsa(key) => {
                // RSAPublicKey of RFC 8017: nine bytes of framing and sign, then the modulus.
                let der = key.public_key().as_ref();
                json!({ "kty": "RSA", "kid": kid, "n": b64(&der[9..9 + 256]), "e": "AQAB" })
            }
            Maker::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "kid": kid, "crv": crv, "x": b64(x), "y": b64(y) })
            }
            Maker::Ed(key) => json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(key.public_key()) }),
            Maker::Secret(secret) => json!({ "kty": "oct", "kid": kid, "k": b64(secret) }),
        }
    }

    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Maker::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut made = vec![0; key.public_modulus_len()];
                key.sign(encoding, &SystemRandom::new(), message, &mut made).unwrap();
                made
            }
            Maker::Ec(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Maker::Ed(key) => key.sign(message).as_ref().to_vec(),
            Maker::Secret(secret) => {
                let rule = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(rule, secret), message).as_ref().to_vec()
            }
        }
    }

    /// A token of these exact texts.
    pub(super) fn token_of(&self, header: &str, payload: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(header).ok();
        let algorithm = algorithm.and_then(|header| header["alg"].as_str().map(ToOwned::to_owned)).unwrap_or_default();
        let signed = format!("{}.{}", b64(header), b64(payload));
        format!("{signed}.{}", b64(self.sign(&algorithm, signed.as_bytes())))
    }

    /// A good token with some claims replaced (`null` takes one away).
    pub(super) fn token(&self, algorithm: &str, kid: &str, changes: Value) -> String {
        let header = json!({ "alg": algorithm, "kid": kid, "typ": "JWT" });
        self.token_of(&header.to_string(), &claims(changes).to_string())
    }
}

/// The claims of a good token with some replaced (`null` takes one away).
pub(super) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user|1", "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 300,
        "org": "clinic-a", "roles": ["provider"],
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(super) fn set_of(members: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": members }).to_string().as_bytes()).unwrap()
}

pub(super) fn settings() -> ProviderSettings {
    ProviderSettings {
        name: "clinic".to_owned(),
        issuer: ISSUER.into(),
        preset: Preset::Generic,
        audience: vec![AUDIENCE.to_owned()],
        clients: Vec::new(),
        kinds: Vec::new(),
        allow_anonymous: false,
        tenants: None,
        factors: FactorRule::Standard,
        algorithms: Vec::new(),
        types: Vec::new(),
        leeway_s: 30,
        contexts: Contexts::default(),
        claims: ClaimMap {
            tenant: Some(TenantSource::Claim(ClaimPath::parse("org").unwrap())),
            roles: Some(ClaimPath::parse("roles").unwrap()),
            ..ClaimMap::default()
        },
        forward_credential: false,
        generation: 1,
    }
}

pub(super) fn provider() -> Provider {
    Provider::new(settings()).unwrap()
}

/// The DER form of an ECDSA signature, which JWS does not use.
pub(super) fn der_signature(message: &[u8]) -> (Value, Vec<u8>) {
    let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let made = key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    (Maker::Ec(key).jwk("der"), made)
}
