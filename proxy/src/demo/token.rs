//! The development identity provider's key and its tokens: real ES256 signatures, made anew at each start.
//!
//! Decides what a token says about a persona. It also makes the tokens that must not pass, so that the tries can show
//! them refused. It never verifies anything for the gate: the gate has its own eyes, and fetches the public key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::error::DemoError;
use super::personas::{PERSONAS, Persona};
use crate::dev_key::{DevKey, DevKeyError};

/// For whom the tokens are.
pub(super) const AUDIENCE: &str = "https://clinic.example/api";
/// How long a token is valid, in seconds: a working day, so that a script need not renew one.
pub(super) const LIFETIME: u64 = 8 * 60 * 60;

/// The identity provider's voice.
pub(super) struct Issuer {
    url: String,
    key: DevKey,
}

impl Issuer {
    /// A provider with a new key, whose `iss` is `url` (no slash at the end).
    ///
    /// # Errors
    /// No randomness to make a key from.
    pub(super) fn generate(url: String) -> Result<Self, DemoError> {
        let key = DevKey::generate().map_err(|fault| failed("make a signing key", &fault))?;
        Ok(Self { url, key })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// `/.well-known/openid-configuration`: the part of OpenID Connect Discovery that this provider can keep.
    pub(super) fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/jwks.json", self.url),
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "end_session_endpoint": format!("{}/end-session", self.url),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "claims_supported": [
                "iss", "aud", "sub", "sid", "iat", "exp", "auth_time", "amr", "org", "roles", "patient", "npi",
            ],
        })
    }

    /// The key set (RFC 7517) with the one public key.
    pub(super) fn key_set(&self) -> Value {
        self.key.key_set()
    }

    /// A token for `persona`, valid from `now` (Unix seconds) on for [`LIFETIME`].
    pub(super) fn token(&self, persona: &Persona, now: u64) -> Result<String, DemoError> {
        self.signed(&self.claims(persona, now))
    }

    /// The ID token of a sign-in by the gate, valid from `now` (Unix seconds) on for [`LIFETIME`].
    pub(super) fn id_token(&self, persona: &Persona, sign_in: &SignIn<'_>, now: u64) -> Result<String, DemoError> {
        let mut claims = self.claims(persona, now);
        claims.insert("aud".to_owned(), json!(sign_in.client));
        claims.insert("nonce".to_owned(), json!(sign_in.nonce));
        if sign_in.second_factor && !persona.mfa() {
            let shown: Vec<&str> = persona.factors.iter().copied().chain(["otp"]).collect();
            claims.insert("amr".to_owned(), json!(shown));
        }
        self.signed(&claims)
    }

    /// Whose token this is, if its signature is ours. For the demo's own page, which shows who is signed in; the
    /// gate does not ask here.
    pub(super) fn persona_of(&self, token: &str) -> Option<&'static Persona> {
        let (message, signature) = token.rsplit_once('.')?;
        let (_, claims) = message.split_once('.')?;
        let key = DecodingKey::from_ec_der(self.key.public_point());
        let ours = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::ES256).ok()?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let subject = claims.get("sub")?.as_str()?;
        PERSONAS.iter().find(|persona| ours && persona.subject == subject)
    }

    fn claims(&self, persona: &Persona, now: u64) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", json!(self.url));
        say("aud", json!(AUDIENCE));
        say("sub", json!(persona.subject));
        // One sign-in, one session: its name goes by who and when.
        say("sid", json!(format!("{}-{now}", persona.key)));
        say("iat", json!(now));
        say("exp", json!(now.saturating_add(LIFETIME)));
        say("auth_time", json!(now));
        say("amr", json!(persona.factors));
        say("roles", json!(persona.roles));
        for (name, value) in [("org", persona.tenant), ("patient", persona.patient), ("npi", persona.npi)] {
            if let Some(value) = value {
                say(name, json!(value));
            }
        }
        claims
    }

    fn signed(&self, claims: &Map<String, Value>) -> Result<String, DemoError> {
        self.key.sign(self.key.kid(), claims).map_err(|fault| failed("sign a token", &fault))
    }

    /// A token for `persona` that must be refused, in one of the ways in which tokens lie.
    pub(super) fn lie(&self, lie: Lie, persona: &Persona, now: u64) -> Result<String, DemoError> {
        let mut claims = self.claims(persona, now);
        match lie {
            Lie::ForeignKey => {
                let theirs = Self::generate(self.url.clone())?.key;
                theirs.sign(self.key.kid(), &claims).map_err(|fault| failed("sign a token", &fault))
            }
            Lie::Altered => {
                let token = self.signed(&claims)?;
                claims.insert("roles".to_owned(), json!(["admin"]));
                Ok(with_claims(&token, &claims))
            }
            Lie::Audience => {
                claims.insert("aud".to_owned(), json!("https://another-app.example/api"));
                self.signed(&claims)
            }
            Lie::Issuer => {
                claims.insert("iss".to_owned(), json!("https://another-issuer.example"));
                self.signed(&claims)
            }
            Lie::NoAlgorithm => {
                let header = json!({ "alg": "none", "typ": "JWT", "kid": self.key.kid() });
                Ok(format!("{}.{}.", part(&header), part(&Value::Object(claims))))
            }
            Lie::PublicKeyAsSecret => {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = Some(self.key.kid().to_owned());
                let secret = EncodingKey::from_secret(self.key.public_pem().as_bytes());
                jsonwebtoken::encode(&header, &claims, &secret)
                    .map_err(|fault| DemoError::Crypto { act: "sign a token", detail: fault.to_string() })
            }
            Lie::StaleFactors => {
                claims.insert("auth_time".to_owned(), json!(now.saturating_sub(24 * 60 * 60)));
                self.signed(&claims)
            }
            Lie::Expired => {
                let claims = self.claims(persona, now.saturating_sub(2 * LIFETIME));
                self.signed(&claims)
            }
        }
    }
}

/// What an ID token says beside who somebody is.
pub(super) struct SignIn<'a> {
    /// For whom it is.
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
    /// Whether the person has shown one just now.
    pub(super) second_factor: bool,
}

/// The ways in which the tries' tokens lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lie {
    /// Signed with a key that is not the provider's, under the provider's key id.
    ForeignKey,
    /// Roles changed after the signature was made.
    Altered,
    /// Issued for another application.
    Audience,
    /// Issued by somebody else, says the token.
    Issuer,
    /// `alg: none`, no signature.
    NoAlgorithm,
    /// HS256 with the public key as the secret.
    PublicKeyAsSecret,
    /// The factors were shown yesterday. It is valid, and good for what does not ask when they were.
    StaleFactors,
    /// Valid yesterday.
    Expired,
}

fn failed(act: &'static str, fault: &DevKeyError) -> DemoError {
    DemoError::Crypto { act, detail: fault.to_string() }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// `token` with other claims under the same header and signature.
fn with_claims(token: &str, claims: &Map<String, Value>) -> String {
    let mut parts = token.split('.');
    let (header, signature) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    format!("{header}.{}.{signature}", part(&Value::Object(claims.clone())))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Validation, decode};

    use super::*;
    use crate::demo::personas::{ADMIN, PROVIDER, persona};

    const NOW: u64 = 4_000_000_000;

    fn issuer() -> Issuer {
        Issuer::generate("https://localhost:8444".to_owned()).unwrap()
    }

    #[test]
    fn a_token_verifies_with_the_published_key_and_says_who() {
        let issuer = issuer();
        let keys: JwkSet = serde_json::from_value(issuer.key_set()).unwrap();
        let key = DecodingKey::from_jwk(&keys.keys[0]).unwrap();
        let mut checks = Validation::new(Algorithm::ES256);
        checks.set_audience(&[AUDIENCE]);
        checks.set_issuer(&[issuer.url()]);
        let admin = persona(ADMIN).unwrap();
        let token = issuer.token(admin, NOW).unwrap();
        let told = decode::<Value>(&token, &key, &checks).unwrap();
        assert_eq!(told.header.kid.as_deref(), keys.keys[0].common.key_id.as_deref());
        assert_eq!(told.claims["sub"], "clinic|addy");
        assert_eq!(told.claims["org"], "harbour");
        assert_eq!(told.claims["amr"], json!(["pwd", "otp"]));
        assert_eq!(told.claims["exp"], NOW + LIFETIME);
        assert!(told.claims.get("npi").is_none());
        assert_eq!(issuer.persona_of(&token).unwrap().key, ADMIN);
    }

    #[test]
    fn a_forged_or_altered_token_is_nobodys() {
        let issuer = issuer();
        let ada = persona(PROVIDER).unwrap();
        for lie in [Lie::ForeignKey, Lie::Altered, Lie::NoAlgorithm, Lie::PublicKeyAsSecret] {
            let token = issuer.lie(lie, ada, NOW).unwrap();
            assert!(issuer.persona_of(&token).is_none(), "{lie:?}");
        }
        for garbage in ["", ".", "..", "a.b.c", "Bearer x"] {
            assert!(issuer.persona_of(garbage).is_none());
        }
    }

    #[test]
    fn a_lie_differs_from_the_truth_in_one_thing() {
        let issuer = issuer();
        let ada = persona(PROVIDER).unwrap();
        let claims = |token: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
        };
        let truth = claims(&issuer.token(ada, NOW).unwrap());
        let differing = |lie| {
            let told = claims(&issuer.lie(lie, ada, NOW).unwrap());
            let names: Vec<String> = truth
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, value)| told[name.as_str()] != **value)
                .map(|(n, _)| n.clone())
                .collect();
            names
        };
        assert_eq!(differing(Lie::Audience), ["aud"]);
        assert_eq!(differing(Lie::Issuer), ["iss"]);
        assert_eq!(differing(Lie::Altered), ["roles"]);
        assert_eq!(differing(Lie::StaleFactors), ["auth_time"]);
        assert_eq!(differing(Lie::Expired), ["sid", "iat", "exp", "auth_time"]);
        assert!(differing(Lie::ForeignKey).is_empty());
        assert!(issuer.lie(Lie::NoAlgorithm, ada, NOW).unwrap().ends_with('.'));
    }
}
