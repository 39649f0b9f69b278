//! Project Wycheproof's vectors for JSON Web Signature and JSON Web Key, where they are at hand: the folder that holds
//! `vectors/` is given by `ANTEROOM_SHARED`. Without it these tests say so and pass.

use std::path::PathBuf;

use super::*;
use crate::authn::signing::provider;

const SIGNATURES: &str = "json_web_signature_test.json";

/// Valid by the standard, refused by us on purpose: by number, with the reason.
const STRICTER_SIGNATURES: [(u64, &str); 12] = [
    (259, "no payload: a token without claims says nothing"),
    (264, "no payload"),
    (268, "no payload"),
    (272, "no payload"),
    (320, "no payload"),
    (325, "no payload"),
    (346, "the key is for PS256, the token says PS384"),
    (350, "the key is for PS256, the token says PS384"),
    (347, "ES512 is not supported"),
    (351, "ES512 is not supported"),
    (372, "a character that is not base64url in the header"),
    (373, "a character that is not base64url in the payload"),
];
const STRICTER_KEYS: [(u64, &str); 1] = [(2, "a secret in a key set is published, so it is none")];
/// Called invalid in the file, yet the very text of number 357, which is called valid there: the padding that they speak
/// of was lost when the file was made.
const CONTRADICTED: [u64; 2] = [367, 370];

#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn vectors(name: &str) -> Option<Vec<Value>> {
    let Ok(shared) = std::env::var("ANTEROOM_SHARED") else {
        eprintln!("skipped: set `ANTEROOM_SHARED` to the folder that holds `vectors/{name}`");
        return None;
    };
    let text = std::fs::read(PathBuf::from(shared).join("vectors").join(name)).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    Some(file["testGroups"].as_array().unwrap().clone())
}

/// The keys of a group as a provider would have them: a secret from a file, or a published set. `None` where no
/// configuration of ours can say the same.
fn keys_of(group: &Value) -> Option<Result<KeySet, crate::authn::KeySetFault>> {
    let given = group.get("public").or_else(|| group.get("private")).unwrap();
    let members = given["keys"].as_array().cloned().unwrap_or_else(|| vec![given.clone()]);
    if let [one] = members.as_slice()
        && one["kty"] == "oct"
    {
        let hmac = one["alg"].as_str().is_some_and(|alg| alg.starts_with("HS"));
        return hmac.then(|| KeySet::of_secret(&URL_SAFE_NO_PAD.decode(one["k"].as_str().unwrap()).unwrap()));
    }
    Some(KeySet::from_jwks(serde_json::json!({ "keys": members }).to_string().as_bytes()))
}

fn accepted(jws: &Value, keys: &Result<KeySet, crate::authn::KeySetFault>) -> bool {
    match (jws.as_str(), keys) {
        (Some(jws), Ok(keys)) => open(jws, &provider(), keys).is_ok(),
        _ => false,
    }
}

fn run(name: &str, least: usize, stricter: &[(u64, &str)]) {
    let Some(groups) = vectors(name) else { return };
    let mut judged = 0;
    for group in &groups {
        let Some(keys) = keys_of(group) else { continue };
        for test in group["tests"].as_array().unwrap() {
            judged += 1;
            if name == SIGNATURES && CONTRADICTED.iter().any(|number| test["tcId"] == *number) {
                continue;
            }
            let accepted = accepted(&test["jws"], &keys);
            let stricter = stricter.iter().any(|(number, _)| test["tcId"] == *number);
            let expected = test["result"] == "valid" && !stricter;
            assert_eq!(accepted, expected, "{name} {}: {} ({keys:?})", test["tcId"], test["comment"]);
        }
    }
    assert!(judged >= least, "{judged}");
}

#[test]
fn signatures() {
    run(SIGNATURES, 401, &STRICTER_SIGNATURES);
}

#[test]
fn keys() {
    run("json_web_key_test.json", 24, &STRICTER_KEYS);
}
