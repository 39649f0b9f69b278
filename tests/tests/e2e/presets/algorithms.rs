//! What signs the tokens of each preset, and what type they say to be: exactly what it fills in.

use anteroom::authn::KeySet;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Row, auth0, bindings, clerk, cognito, entra, firebase, keycloak, okta, supabase};

/// Every algorithm that is tried.
const ALL: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"];
/// Every type that is tried; the first is none at all.
const TYPES: [&str; 8] =
    ["", "JWT", "at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt"];
/// The types of tokens that call themselves nothing but that, and of those that follow RFC 9068.
const PLAIN: &[&str] = &["", "JWT"];
const ACCESS: &[&str] = &["", "JWT", "at+jwt", "application/at+jwt"];

/// A preset with its keys, a good token, and the algorithms and types that it fills in.
struct Preset {
    name: &'static str,
    keys: String,
    good: Value,
    algorithms: &'static [&'static str],
    types: &'static [&'static str],
}

fn presets() -> [Preset; 9] {
    let preset =
        |name, keys: &str, good, algorithms, types| Preset { name, keys: keys.to_owned(), good, algorithms, types };
    let cognito = format!("{}\ntenant: clinic-a", cognito::KEYS);
    let generic = format!("{}\ntenant: clinic-a", bindings::KEYS);
    [
        preset("auth0", auth0::KEYS, auth0::good(), &["RS256"], ACCESS),
        preset("clerk", clerk::KEYS, clerk::good(), &["RS256"], PLAIN),
        preset("cognito", &cognito, cognito::good(), &["RS256"], PLAIN),
        preset("entra", entra::KEYS, entra::good(), &["RS256"], PLAIN),
        preset("firebase", firebase::KEYS, firebase::good(), &["RS256"], PLAIN),
        preset("keycloak", keycloak::KEYS, keycloak::good(), &ALL, ACCESS),
        preset("okta", okta::KEYS, okta::good(), &["RS256"], ACCESS),
        preset("supabase", supabase::KEYS, supabase::good(), &["ES256", "RS256"], PLAIN),
        preset("generic", &generic, bindings::good(), &ALL, ACCESS),
    ]
}

/// One key of each kind.
struct Keys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// As they are published; the RSA key says which algorithm it is for, or nothing.
    fn published(&self, of_rsa: Option<&str>) -> KeySet {
        let (rsa, ec, ed) =
            (self.rsa.public_key().as_ref(), self.ec.public_key().as_ref(), self.ed.public_key().as_ref());
        // RSAPublicKey (RFC 8017): nine bytes of framing and sign, then the modulus.
        let mut rsa = json!({ "kty": "RSA", "kid": "rsa", "n": b64(&rsa[9..265]), "e": "AQAB" });
        if let Some(algorithm) = of_rsa {
            rsa["alg"] = json!(algorithm);
        }
        let ec = json!({ "kty": "EC", "kid": "ec", "crv": "P-256", "x": b64(&ec[1..33]), "y": b64(&ec[33..]) });
        let ed = json!({ "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(ed) });
        KeySet::from_jwks(json!({ "keys": [rsa, ec, ed] }).to_string().as_bytes()).unwrap()
    }

    /// A token of the key that can sign like this.
    fn token(&self, algorithm: &str, typ: &str, claims: &Value) -> String {
        let by_rsa = |encoding: &'static dyn RsaEncoding, message: &[u8]| {
            let mut made = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &SystemRandom::new(), message, &mut made).unwrap();
            made
        };
        let kid = match algorithm {
            "ES256" => "ec",
            "EdDSA" => "ed",
            _ => "rsa",
        };
        signed(algorithm, kid, typ, claims, |message| match algorithm {
            "ES256" => self.ec.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "RS384" => by_rsa(&RSA_PKCS1_SHA384, message),
            "RS512" => by_rsa(&RSA_PKCS1_SHA512, message),
            "PS256" => by_rsa(&RSA_PSS_SHA256, message),
            _ => by_rsa(&RSA_PKCS1_SHA256, message),
        })
    }

    /// Each public key with its name, in the spellings that a program could take for a secret.
    fn as_secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        let rsa: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().unwrap();
        let ec: PublicKeyX509Der<'_> = self.ec.public_key().as_der().unwrap();
        let both = [("rsa", rsa), ("ec", ec)].into_iter();
        both.flat_map(|(kid, der)| {
            let lines: Vec<String> = STANDARD
                .encode(der.as_ref())
                .as_bytes()
                .chunks(64)
                .map(|line| String::from_utf8_lossy(line).into())
                .collect();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
            let bare = pem.trim_end().as_bytes().to_vec();
            [(kid, der.as_ref().to_vec()), (kid, pem.into_bytes()), (kid, bare)]
        })
        .collect()
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signed(algorithm: &str, kid: &str, typ: &str, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut head = json!({ "alg": algorithm, "kid": kid });
    if !typ.is_empty() {
        head["typ"] = json!(typ);
    }
    let text = format!("{}.{}", b64(head.to_string()), b64(claims.to_string()));
    format!("{text}.{}", b64(sign(text.as_bytes())))
}

/// A token that a shared secret signs.
fn by_secret(secret: &[u8], kid: &str, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    signed("HS256", kid, "JWT", claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

#[test]
fn each_preset_believes_its_own_algorithms_and_types_alone() {
    let keys = Keys::new();
    let (any, of_rs256) = (keys.published(None), keys.published(Some("RS256")));
    for Preset { name, keys: written, good, algorithms, types } in presets() {
        let row = Row::written(&format!("{written}\njwks: {{ file: jwks.json }}"), good);
        let claims = Value::Object(row.claims(&json!({})));
        let own = algorithms[0];
        for algorithm in ALL {
            let token = keys.token(algorithm, "JWT", &claims);
            // The key could sign so: only the list keeps it away.
            match row.verdict(&token, &any) {
                Ok(_) => assert!(algorithms.contains(&algorithm), "{name} {algorithm}"),
                Err(fault) => {
                    assert_eq!(fault, "TOKEN_INVALID `alg` is not allowed by the provider", "{name} {algorithm}");
                    assert!(!algorithms.contains(&algorithm), "{name} {algorithm}");
                }
            }
            // And where there is none, the key's own word does.
            let kept = !matches!(algorithm, "RS384" | "RS512" | "PS256") && algorithms.contains(&algorithm);
            assert_eq!(row.verdict(&token, &of_rs256).is_ok(), kept, "{name} {algorithm}");
        }
        for typ in TYPES {
            match row.verdict(&keys.token(own, typ, &claims), &any) {
                Ok(_) => assert!(types.contains(&typ), "{name} {typ}"),
                Err(fault) => {
                    assert_eq!(fault, "TOKEN_INVALID `typ` is not the one of an access token", "{name} {typ}");
                    assert!(!types.contains(&typ), "{name} {typ}");
                }
            }
        }
        for (kid, secret) in keys.as_secrets() {
            let fault = row.verdict(&by_secret(&secret, kid, &claims), &any).unwrap_err();
            assert!(fault.starts_with("TOKEN_INVALID `alg`"), "{name} {kid}: {fault}");
        }
    }
}

#[test]
fn the_older_shared_secret_of_supabase_is_believed_where_it_is_written() {
    let keys = Keys::new();
    let row = Row::written(&format!("{}\nsecret: {{ file: pseudonym.key }}", supabase::KEYS), supabase::good());
    let secret = std::fs::read(row.files.path("pseudonym.key")).unwrap();
    let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let set = KeySet::from_secret(secret).unwrap();
    let claims = Value::Object(row.claims(&json!({})));
    let principal = row.verdict(&by_secret(secret, "any", &claims), &set).unwrap();
    assert_eq!(&*principal.subject, "ada");
    let other = [secret, b"x"].concat();
    let fault = row.verdict(&by_secret(&other, "any", &claims), &set).unwrap_err();
    assert_eq!(fault, "TOKEN_INVALID the signature does not verify");
    for algorithm in ALL {
        let fault = row.verdict(&keys.token(algorithm, "JWT", &claims), &set).unwrap_err();
        assert!(fault.starts_with("TOKEN_INVALID no key of the provider"), "{algorithm}: {fault}");
    }
}
