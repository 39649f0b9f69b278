//! One member of a key set (RFC 7517), from JSON to a key that can verify.
//!
//! Decides which published keys we use and which algorithms each is good for: fixed here, by the key's own kind and
//! `alg`, long before any token's header is read. Never uses a secret (`oct`) or private key that somebody published.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::keys::{Key, KeyId, MAX_KID};

/// The smallest and largest RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest public exponent, in bytes: what the cryptographic library takes.
const MAX_EXPONENT: usize = 4;

/// Why a published key is not used. `Display` is fit for the status page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// Not a JSON object.
    NotAnObject,
    /// A member is missing, of the wrong type, not canonical base64url, or too long.
    Member(&'static str),
    /// `kty` is none of `RSA`, `EC` and `OKP`.
    Kind,
    /// A shared secret (`oct`): whoever reads the key set could sign.
    Secret,
    /// A private key: whoever reads the key set could sign.
    Private,
    /// `use` is not `sig`.
    Use,
    /// `key_ops` lacks `verify`.
    Operations,
    /// `alg` is unknown, or not one of this kind of key.
    Algorithm,
    /// `crv` is none of `P-256`, `P-384` and `Ed25519`.
    Curve,
    /// The RSA modulus has fewer than 2048 or more than 8192 bits.
    Size,
    /// The RSA exponent is even, 1, or longer than 32 bits.
    Exponent,
    /// The numbers are not a key: a point beside its curve, an even modulus.
    Numbers,
    /// Made by a library whose keys can be broken (ROCA, CVE-2017-15361).
    Weak,
    /// Another key of the set has the same `kid`: neither is used.
    SameKid,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NotAnObject => f.write_str("it is not an object"),
            Unusable::Member(name) => write!(f, "`{name}` is missing, of the wrong type or too long"),
            Unusable::Kind => f.write_str("`kty` is not `RSA`, `EC` or `OKP`"),
            Unusable::Secret => {
                f.write_str("it is a shared secret, which does not belong into a key set; use a secret file")
            }
            Unusable::Private => f.write_str("it is a private key, which does not belong into a key set; replace it"),
            Unusable::Use => f.write_str("`use` is not `sig`"),
            Unusable::Operations => f.write_str("`key_ops` lacks `verify`"),
            Unusable::Algorithm => f.write_str("`alg` is unknown or does not fit the key"),
            Unusable::Curve => f.write_str("`crv` is not `P-256`, `P-384` or `Ed25519`"),
            Unusable::Size => f.write_str("the RSA modulus has fewer than 2048 or more than 8192 bits"),
            Unusable::Exponent => f.write_str("the RSA exponent is even, 1 or too large"),
            Unusable::Numbers => f.write_str("its numbers are not a public key"),
            Unusable::Weak => {
                f.write_str("it was made by a faulty library and can be broken (CVE-2017-15361); replace it")
            }
            Unusable::SameKid => f.write_str("another key has the same `kid`"),
        }
    }
}

/// The `kid` of a member, where it has a usable one.
pub(super) fn kid(jwk: &Map<String, Value>) -> Result<Option<String>, Unusable> {
    match jwk.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= MAX_KID => Ok(Some(kid.clone())),
        Some(_) => Err(Unusable::Member("kid")),
    }
}

/// The key of one member of a set.
pub(super) fn key(jwk: &Map<String, Value>) -> Result<Key, Unusable> {
    let kid = kid(jwk)?;
    check_purpose(jwk)?;
    let (possible, decoding, canonical) = match text(jwk, "kty")? {
        "RSA" => rsa(jwk)?,
        "EC" => ec(jwk)?,
        "OKP" => okp(jwk)?,
        "oct" => return Err(Unusable::Secret),
        _ => return Err(Unusable::Kind),
    };
    if jwk.contains_key("d") {
        return Err(Unusable::Private);
    }
    let algorithms = narrowed(jwk, possible)?;
    let id = identity(kid.as_deref(), &algorithms, &canonical);
    Ok(Key { kid, algorithms, decoding, id })
}

/// What a kind of key yields: its possible algorithms, the key, and its canonical text (RFC 7638, 3.2).
type Parsed = (Vec<Algorithm>, DecodingKey, String);

/// `use` and `key_ops` (RFC 7517, 4.2 and 4.3): where they are, they must allow what we do.
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), Unusable> {
    match jwk.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(_) => return Err(Unusable::Use),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|one| one == "verify") => Ok(()),
        Some(_) => Err(Unusable::Operations),
    }
}

/// The key's own `alg`, where it has one, leaves only that.
fn narrowed(jwk: &Map<String, Value>, possible: Vec<Algorithm>) -> Result<Vec<Algorithm>, Unusable> {
    if !jwk.contains_key("alg") {
        return Ok(possible);
    }
    match Algorithm::named(text(jwk, "alg")?) {
        Some(one) if possible.contains(&one) => Ok(vec![one]),
        Some(_) | None => Err(Unusable::Algorithm),
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<Parsed, Unusable> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    if !RSA_BITS.contains(&bits(&n)) {
        return Err(Unusable::Size);
    }
    if e.len() > MAX_EXPONENT || e == [1] || e.last().is_none_or(|last| last & 1 == 0) {
        return Err(Unusable::Exponent);
    }
    // A product of two odd primes is odd; the library checks no more than the size.
    if n.last().is_none_or(|last| last & 1 == 0) {
        return Err(Unusable::Numbers);
    }
    if is_roca(&n) {
        return Err(Unusable::Weak);
    }
    // Looked at once here, so that a bad key shows in the status instead of failing each token.
    RsaPublicKeyComponents { n: &n, e: &e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| Unusable::Numbers)?;
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encoded(&e), encoded(&n));
    Ok((Algorithm::RSA.to_vec(), DecodingKey::from_rsa_raw_components(&n, &e), canonical))
}

fn ec(jwk: &Map<String, Value>) -> Result<Parsed, Unusable> {
    let curve = text(jwk, "crv")?;
    let (algorithm, length, rule): (Algorithm, usize, &'static EcdsaVerificationAlgorithm) = match curve {
        "P-256" => (Algorithm::Es256, 32, &ECDSA_P256_SHA256_FIXED),
        "P-384" => (Algorithm::Es384, 48, &ECDSA_P384_SHA384_FIXED),
        _ => return Err(Unusable::Curve),
    };
    let (x, y) = (octets(jwk, "x", length)?, octets(jwk, "y", length)?);
    // SEC 1, 2.3.3: 4, then both coordinates at full length.
    let point = [&[4_u8][..], &x, &y].concat();
    ParsedPublicKey::new(rule, &point).map_err(|_| Unusable::Numbers)?;
    let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, encoded(&x), encoded(&y));
    Ok((vec![algorithm], DecodingKey::from_ec_der(&point), canonical))
}

fn okp(jwk: &Map<String, Value>) -> Result<Parsed, Unusable> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(Unusable::Curve);
    }
    let x = octets(jwk, "x", 32)?;
    ParsedPublicKey::new(&ED25519, &x).map_err(|_| Unusable::Numbers)?;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encoded(&x));
    Ok((vec![Algorithm::EdDsa], DecodingKey::from_ed_der(&x), canonical))
}

/// What a key is remembered by: its numbers (as the thumbprint of RFC 7638 has them) and also its name and its
/// algorithms, so that a key that is published under another name or for less is another key.
pub(super) fn identity(kid: Option<&str>, algorithms: &[Algorithm], canonical: &str) -> KeyId {
    let text = format!("{canonical}\n{kid:?}\n{algorithms:?}");
    let mut id = [0; 32];
    id.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    KeyId(id)
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Unusable> {
    jwk.get(name).and_then(Value::as_str).ok_or(Unusable::Member(name))
}

/// Octets of exactly `length`.
fn octets(jwk: &Map<String, Value>, name: &'static str, length: usize) -> Result<Vec<u8>, Unusable> {
    let octets = URL_SAFE_NO_PAD.decode(text(jwk, name)?).map_err(|_| Unusable::Member(name))?;
    if octets.len() == length { Ok(octets) } else { Err(Unusable::Member(name)) }
}

/// A number of at least one octet. Leading zeros are taken off: some issuers write a sign octet, which RFC 7518, 6.3.1.1
/// warns of, and the number is the same.
fn number(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Unusable> {
    let octets = URL_SAFE_NO_PAD.decode(text(jwk, name)?).map_err(|_| Unusable::Member(name))?;
    let number: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
    if number.is_empty() { Err(Unusable::Member(name)) } else { Ok(number) }
}

/// Primes of which a faulty key's modulus always leaves a power of 65537 (Nemec et al., "The Return of Coppersmith's
/// Attack", 2017); other keys do so by chance for all of them about once in 2^27.
const ROCA_PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a modulus bears the mark of that library.
fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|prime| {
        let left = modulus.iter().fold(0, |left, octet| (left * 256 + u32::from(*octet)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65_537 % prime));
        powers.take(*prime as usize).any(|power| power == left)
    })
}

fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(8, |first| first.leading_zeros() as usize);
    number.len().saturating_mul(8).saturating_sub(unused)
}

fn encoded(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
