//! The signature algorithms that a token may be signed with.
//!
//! Decides names and families. Never decides which one a token is checked with: the provider's list and the key do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A JWS algorithm (RFC 7518, 3.1; RFC 8037). There is no `none`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256: only with a secret file, never with a key set.
    Hs256,
    /// HMAC with SHA-384: only with a secret file, never with a key set.
    Hs384,
    /// HMAC with SHA-512: only with a secret file, never with a key set.
    Hs512,
}

impl Algorithm {
    /// Every algorithm with a public key.
    pub const ASYMMETRIC: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];
    /// What an RSA key can do, whichever it was made for.
    pub(crate) const RSA: [Algorithm; 6] =
        [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];
    /// What a shared secret can do.
    pub(crate) const SYMMETRIC: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

    /// The algorithm of a header's or key's `alg`, spelled exactly. `Ed25519` is the newer name of what `EdDSA` means
    /// with such a key (RFC 9864).
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" | "Ed25519" => Algorithm::EdDsa,
            "HS256" => Algorithm::Hs256,
            "HS384" => Algorithm::Hs384,
            "HS512" => Algorithm::Hs512,
            _ => return None,
        })
    }

    /// Whether it needs a shared secret.
    pub fn is_symmetric(self) -> bool {
        Self::SYMMETRIC.contains(&self)
    }

    /// The same algorithm in the words of the library that computes it.
    pub(crate) fn computed_as(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
            Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_header_and_display_agree_on_names() {
        for one in Algorithm::ASYMMETRIC.into_iter().chain(Algorithm::SYMMETRIC) {
            let name = one.to_string();
            assert_eq!(Algorithm::named(&name), Some(one));
            assert_eq!(serde_json::from_value::<Algorithm>(name.into()).unwrap(), one);
        }
    }

    #[test]
    fn none_and_other_spellings_do_not_exist() {
        for name in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "ES512", "ES256K", "RS1", "dir"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
