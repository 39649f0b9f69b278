//! What is and is not taken from a published key set.

use serde_json::json;

use super::*;
use crate::authn::signing::{Maker, b64};

fn read(members: &[Value]) -> Result<KeySet, KeySetFault> {
    KeySet::from_jwks(json!({ "keys": members }).to_string().as_bytes())
}

/// The reason for which `member` is not used, beside a key that is.
fn reason(member: Value) -> Option<Unusable> {
    let set = read(&[Maker::ed25519().jwk("good"), member]).unwrap();
    set.skipped().first().map(|skipped| skipped.reason)
}

fn changed(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn purpose_and_algorithm_of_a_key_are_respected() {
    let rsa = Maker::rsa().jwk("r");
    assert_eq!(reason(rsa.clone()), None);
    assert_eq!(reason(changed(&rsa, "use", json!("sig"))), None);
    assert_eq!(reason(changed(&rsa, "key_ops", json!(["verify", "sign"]))), None);
    assert_eq!(reason(changed(&rsa, "alg", json!("PS512"))), None);
    for purpose in [json!("enc"), json!("SIG"), json!(""), json!(1), json!(null)] {
        assert_eq!(reason(changed(&rsa, "use", purpose)), Some(Unusable::Use));
    }
    for operations in [json!([]), json!(["encrypt"]), json!("verify"), json!(null)] {
        assert_eq!(reason(changed(&rsa, "key_ops", operations)), Some(Unusable::Operations));
    }
    for algorithm in ["ES256", "EdDSA", "HS256", "RSA-OAEP", "none", ""] {
        assert_eq!(reason(changed(&rsa, "alg", json!(algorithm))), Some(Unusable::Algorithm), "{algorithm}");
    }
    assert_eq!(reason(changed(&rsa, "alg", json!(1))), Some(Unusable::Member("alg")));
}

#[test]
fn secrets_and_private_keys_are_not_used() {
    let secret = Maker::Secret(vec![7; 64]).jwk("s");
    assert_eq!(reason(secret.clone()), Some(Unusable::Secret));
    assert_eq!(reason(changed(&secret, "alg", json!("HS256"))), Some(Unusable::Secret));
    let private = changed(&Maker::ed25519().jwk("e"), "d", json!(b64([1; 32])));
    assert_eq!(reason(private), Some(Unusable::Private));
    assert_eq!(read(&[secret]).err(), Some(KeySetFault::NoneUsable));
}

#[test]
fn weak_and_broken_rsa_keys_are_not_used() {
    let rsa = Maker::rsa().jwk("r");
    let odd = |bytes: usize| {
        let mut modulus = vec![0xC3; bytes];
        modulus[bytes - 1] = 1;
        json!(b64(modulus))
    };
    for (bytes, expected) in [(128, Unusable::Size), (255, Unusable::Size), (1025, Unusable::Size)] {
        assert_eq!(reason(changed(&rsa, "n", odd(bytes))), Some(expected), "{bytes}");
    }
    assert_eq!(reason(changed(&rsa, "n", json!(b64([0xC2; 256])))), Some(Unusable::Numbers));
    for exponent in [&[1_u8][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert_eq!(reason(changed(&rsa, "e", json!(b64(exponent)))), Some(Unusable::Exponent), "{exponent:?}");
    }
    assert_eq!(reason(changed(&rsa, "e", json!(b64([0, 0])))), Some(Unusable::Member("e")));
    assert_eq!(reason(changed(&rsa, "n", json!("not base64!"))), Some(Unusable::Member("n")));
    assert_eq!(reason(changed(&rsa, "n", json!(null))), Some(Unusable::Member("n")));
}

#[test]
fn a_leading_zero_of_a_modulus_changes_nothing() {
    let rsa = Maker::rsa();
    let jwk = rsa.jwk("r");
    let plain = read(std::slice::from_ref(&jwk)).unwrap();
    let padded = b64([&[0][..], &base64_decoded(jwk["n"].as_str().unwrap())].concat());
    let signed = read(&[changed(&jwk, "n", json!(padded))]).unwrap();
    assert_eq!(plain.keys[0].id, signed.keys[0].id);
}

fn base64_decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn points_must_be_on_their_curve() {
    let (p256, ed) = (Maker::p256().jwk("p"), Maker::ed25519().jwk("e"));
    assert_eq!(reason(changed(&p256, "y", json!(b64([1; 32])))), Some(Unusable::Numbers));
    assert_eq!(reason(changed(&p256, "x", json!(b64([1; 31])))), Some(Unusable::Member("x")));
    assert_eq!(reason(changed(&p256, "crv", json!("P-384"))), Some(Unusable::Member("x")));
    for curve in ["P-521", "secp256k1", "p-256", "Ed25519"] {
        assert_eq!(reason(changed(&p256, "crv", json!(curve))), Some(Unusable::Curve), "{curve}");
    }
    assert_eq!(reason(changed(&ed, "crv", json!("X25519"))), Some(Unusable::Curve));
    assert_eq!(reason(changed(&ed, "crv", json!("Ed448"))), Some(Unusable::Curve));
    assert_eq!(reason(changed(&p256, "kty", json!("ec"))), Some(Unusable::Kind));
}

#[test]
fn names_are_texts_of_some_length() {
    let ed = Maker::ed25519().jwk("e");
    for kid in [json!(""), json!(1), json!(null), json!("k".repeat(MAX_KID + 1))] {
        assert_eq!(reason(changed(&ed, "kid", kid)), Some(Unusable::Member("kid")));
    }
    assert_eq!(reason(json!("a key")), Some(Unusable::NotAnObject));
}

#[test]
fn one_name_for_two_keys_is_no_name() {
    let (one, two, good) = (Maker::ed25519().jwk("same"), Maker::ed25519().jwk("same"), Maker::ed25519().jwk("good"));
    let set = read(&[one.clone(), good, two]).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(
        set.skipped().iter().map(|one| (one.index, one.reason)).collect::<Vec<_>>(),
        [(0, Unusable::SameKid), (2, Unusable::SameKid)]
    );
    assert_eq!(set.find(Some("same"), Algorithm::EdDsa).err(), Some(TokenFault::UnknownKey));
    let copies = read(&[one.clone(), one]).unwrap();
    assert_eq!((copies.len(), copies.skipped().len()), (1, 0), "the same key twice is one key");
}

#[test]
fn a_set_is_bounded_and_strict() {
    let faults: [(&[u8], KeySetFault); 7] = [
        (b"", KeySetFault::Json(JsonFault::Syntax)),
        (b"<html></html>", KeySetFault::Json(JsonFault::Syntax)),
        (b"[]", KeySetFault::Json(JsonFault::Syntax)),
        (b"{\"keys\":[],\"keys\":[]}", KeySetFault::Json(JsonFault::Duplicate)),
        (b"{}", KeySetFault::NoKeys),
        (b"{\"keys\":{}}", KeySetFault::NoKeys),
        (b"{\"keys\":[]}", KeySetFault::NoneUsable),
    ];
    for (text, expected) in faults {
        assert_eq!(KeySet::from_jwks(text).err(), Some(expected), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(KeySet::from_jwks(&vec![b' '; MAX_KEY_SET + 1]).err(), Some(KeySetFault::TooLarge));
    let many: Vec<Value> = (0..=MAX_KEYS).map(|index| json!({ "kid": index.to_string() })).collect();
    assert_eq!(read(&many).err(), Some(KeySetFault::TooManyKeys));
}

#[test]
fn a_secret_has_enough_bytes_for_its_hash() {
    for length in [0, 31, MAX_SECRET + 1] {
        assert_eq!(KeySet::from_secret(&vec![7; length]).err(), Some(KeySetFault::SecretLength), "{length}");
    }
    for byte in [0, b'0', 255] {
        assert_eq!(KeySet::from_secret(&[byte; 64]).err(), Some(KeySetFault::SecretOfOneByte), "{byte}");
    }
    let algorithms =
        |length| KeySet::from_secret(&(0..length).collect::<Vec<u8>>()).unwrap().keys[0].algorithms.clone();
    assert_eq!(algorithms(32), [Algorithm::Hs256]);
    assert_eq!(algorithms(48), [Algorithm::Hs256, Algorithm::Hs384]);
    assert_eq!(algorithms(64), Algorithm::SYMMETRIC);
}

#[test]
fn debug_shows_no_secret() {
    let set = KeySet::from_secret(b"SECRETSECRETSECRETSECRETSECRETSECRET").unwrap();
    let shown = format!("{set:?}");
    assert!(!shown.contains("SECRET") && !shown.contains("83, 69, 67"), "{shown}");
}
