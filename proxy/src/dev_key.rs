//! A signing key for development and tests: made on the spot, ES256, trusted by nobody until somebody says so.
//!
//! It decides nothing and verifies nothing; the gate has its own eyes. No key of it is ever written but where its caller
//! says.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

/// An uncompressed P-256 point: this byte, then two coordinates of [`COORDINATE`] bytes (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;
const COORDINATE: usize = 32;

/// Why there is no key or no token.
#[derive(Debug)]
pub struct DevKeyError(String);

impl fmt::Display for DevKeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for DevKeyError {}

/// A private key, and what is public of it.
pub struct DevKey {
    pkcs8: Vec<u8>,
    signing: EncodingKey,
    point: Vec<u8>,
    public_pem: String,
    kid: String,
}

impl fmt::Debug for DevKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DevKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl DevKey {
    /// A new key.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> Result<Self, DevKeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Self::from_pkcs8(made.map_err(|_| DevKeyError("the system gives no randomness".to_owned()))?.as_ref())
    }

    /// A key made earlier.
    ///
    /// # Errors
    /// Where the text is not a P-256 key as [`DevKey::pem`] writes it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, DevKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem);
        Self::from_pkcs8(
            der.map_err(|_| DevKeyError("it is not a key as `dev token` writes it".to_owned()))?.secret_pkcs8_der(),
        )
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, DevKeyError> {
        let unreadable = |_| DevKeyError("it is not a P-256 key".to_owned());
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| unreadable(()))?;
        let der = pair.public_key().as_der().map_err(|_| unreadable(()))?;
        let public_pem = armoured("PUBLIC KEY", der.as_ref());
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, der.as_ref())).chars().take(16).collect();
        let point = pair.public_key().as_ref().to_vec();
        Ok(Self { pkcs8: pkcs8.to_vec(), signing: EncodingKey::from_ec_der(pkcs8), point, public_pem, kid })
    }

    /// The private key, PKCS#8 in PEM: whoever has it can be anybody.
    pub fn pem(&self) -> String {
        armoured("PRIVATE KEY", &self.pkcs8)
    }

    /// The public key, `SubjectPublicKeyInfo` in PEM.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public point, uncompressed.
    pub fn public_point(&self) -> &[u8] {
        &self.point
    }

    /// The key set (RFC 7517) with this one key.
    pub fn key_set(&self) -> Value {
        let (x, y) = self.coordinates().unwrap_or_default();
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": x, "y": y }] })
    }

    fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        let (form, both) = self.point.split_first()?;
        if *form != UNCOMPRESSED || both.len() != 2 * COORDINATE {
            return None;
        }
        both.split_at_checked(COORDINATE)
    }

    /// A token that says `claims`, signed with this key under `kid`.
    ///
    /// # Errors
    /// Where the library refuses to sign.
    pub fn sign(&self, kid: &str, claims: &Map<String, Value>) -> Result<String, DevKeyError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|error| DevKeyError(error.to_string()))
    }
}

fn armoured(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while let Some((line, more)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    format!("{pem}-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_be_kept_and_read_again() {
        let key = DevKey::generate().unwrap();
        let again = DevKey::from_pem(key.pem().as_bytes()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(again.key_set(), key.key_set());
        assert!(DevKey::from_pem(b"nothing").is_err());
    }
}
