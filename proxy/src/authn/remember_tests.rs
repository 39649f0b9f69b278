//! Memory must never believe what a fresh look would not.

use serde_json::json;

use super::*;
use crate::authn::signing::{Maker, NOW, SECRET, at, claims, provider, set_of, settings};
use crate::authn::{KeySet, ProviderSettings};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// As the pipeline does: memory first, then a fresh look.
fn look(
    memory: &Remembered,
    token: &str,
    provider: &Provider,
    store: &KeyStore,
    now: u64,
) -> Result<Arc<Principal>, TokenFault> {
    let now = at(now);
    let judged = memory.known(token, provider, store, now);
    judged.unwrap_or_else(|| memory.verify(token, provider, store, now)).map(|(principal, _)| principal)
}

fn stored(remembered: &Remembered) -> (u64, u64) {
    remembered.verified.run_pending_tasks();
    remembered.refused.run_pending_tasks();
    (remembered.verified.entry_count(), remembered.refused.entry_count())
}

#[test]
fn the_second_look_is_a_memory() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({}));
    assert!(memory.known(&token, &provider(), &store, at(NOW)).is_none());
    let first = look(&memory, &token, &provider(), &store, NOW).unwrap();
    let (second, key) = memory.known(&token, &provider(), &store, at(NOW)).unwrap().unwrap();
    let held = store.current(at(NOW).monotone).unwrap();
    assert!(Arc::ptr_eq(&first, &second) && held.holds(key));
    assert_eq!(stored(&memory), (1, 0));
}

#[test]
fn a_remembered_token_expires() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({ "exp": NOW + 10 }));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    assert!(look(&memory, &token, &provider(), &store, NOW + 39).is_ok(), "the leeway is 30 seconds");
    for now in [NOW + 40, NOW + 41, u64::MAX] {
        assert_eq!(look(&memory, &token, &provider(), &store, now).unwrap_err(), TokenFault::Expired);
    }
    assert_eq!(stored(&memory), (0, 0));
}

#[test]
fn a_remembered_token_is_not_valid_before_its_time() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({ "nbf": NOW }));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    assert_eq!(look(&memory, &token, &provider(), &store, NOW - 31).unwrap_err(), TokenFault::NotYet);
}

#[test]
fn a_withdrawn_key_ends_what_it_signed() {
    let (maker, next) = (Maker::ed25519(), Maker::ed25519());
    let (store, memory) = (KeyStore::awaiting(DAY), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({}));
    store.fetched(set_of(&[maker.jwk("e")]), at(NOW));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    store.fetched(set_of(&[next.jwk("f")]), at(NOW));
    assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), TokenFault::UnknownKey);
    store.fetched(set_of(&[next.jwk("e")]), at(NOW));
    assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), TokenFault::Signature);
    store.fetched(set_of(&[maker.jwk("renamed")]), at(NOW));
    assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), TokenFault::UnknownKey);
}

#[test]
fn no_memory_helps_when_the_keys_are_too_old() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::awaiting(DAY), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({ "exp": NOW + 1_000_000 }));
    assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), TokenFault::NoKeys);
    store.fetched(set_of(&[maker.jwk("e")]), at(NOW));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    let later = NOW + DAY.as_secs() + 1;
    assert_eq!(look(&memory, &token, &provider(), &store, later).unwrap_err(), TokenFault::NoKeys);
}

#[test]
fn another_provider_or_generation_looks_anew() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({}));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    let elsewhere = ProviderSettings { audience: vec!["https://other.example".to_owned()], ..settings() };
    let renamed = Provider::new(ProviderSettings { name: "other".to_owned(), ..elsewhere.clone() }).unwrap();
    assert_eq!(look(&memory, &token, &renamed, &store, NOW).unwrap_err(), TokenFault::Audience);
    let reloaded = Provider::new(ProviderSettings { generation: 2, ..elsewhere }).unwrap();
    assert_eq!(look(&memory, &token, &reloaded, &store, NOW).unwrap_err(), TokenFault::Audience);
}

#[test]
fn a_bad_signature_is_remembered_while_its_key_is_there() {
    let (right, wrong) = (Maker::ed25519(), Maker::ed25519());
    let (store, memory) = (KeyStore::awaiting(DAY), Remembered::new());
    let token = right.token("EdDSA", "e", json!({}));
    store.fetched(set_of(&[wrong.jwk("e")]), at(NOW));
    for _ in 0..2 {
        assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), TokenFault::Signature);
    }
    assert_eq!(stored(&memory), (0, 1));
    store.fetched(set_of(&[right.jwk("e")]), at(NOW));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok(), "the right key has come");
}

#[test]
fn a_token_without_kid_is_never_refused_from_memory_and_asks_for_newer_keys() {
    let (old, new) = (Maker::ed25519(), Maker::ed25519());
    let unnamed = |maker: &Maker| {
        let mut jwk = maker.jwk("");
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let payload = claims(json!({})).to_string();
    let token = new.token_of(r#"{"alg":"EdDSA"}"#, &payload);
    for (keys, fault) in [
        (set_of(&[unnamed(&old)]), TokenFault::UnnamedKey),
        (set_of(&[unnamed(&old), unnamed(&Maker::ed25519())]), TokenFault::AmbiguousKey),
    ] {
        let (store, memory) = (KeyStore::awaiting(DAY), Remembered::new());
        store.fetched(keys, at(NOW));
        for _ in 0..2 {
            assert_eq!(look(&memory, &token, &provider(), &store, NOW).unwrap_err(), fault);
            assert!(store.is_wanted());
        }
        assert_eq!(stored(&memory), (0, 0));
        store.fetched(set_of(&[unnamed(&new)]), at(NOW));
        assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
        // One that names its key, and one that needs to name none, ask for nothing.
        let store = KeyStore::awaiting(DAY);
        store.fetched(set_of(&[old.jwk("e")]), at(NOW));
        let named = new.token("EdDSA", "e", json!({}));
        assert_eq!(look(&memory, &named, &provider(), &store, NOW).unwrap_err(), TokenFault::Signature);
        store.fetched(KeySet::from_secret(SECRET).unwrap(), at(NOW));
        let secret = Maker::Secret(vec![7; 64]).token_of(r#"{"alg":"HS256"}"#, &payload);
        assert_eq!(look(&memory, &secret, &provider(), &store, NOW).unwrap_err(), TokenFault::Signature);
        assert!(!store.is_wanted());
    }
}

#[test]
fn only_what_cannot_change_is_remembered_as_refused() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let passing = [
        maker.token("EdDSA", "e", json!({ "exp": NOW - 60 })),
        maker.token("EdDSA", "e", json!({ "nbf": NOW + 60 })),
        maker.token("EdDSA", "unknown", json!({})),
        "x".repeat(MAX_TOKEN + 1),
    ];
    for token in passing {
        assert!(look(&memory, &token, &provider(), &store, NOW).is_err());
    }
    assert_eq!(stored(&memory), (0, 0));
    for malformed in ["", "a.b", "a.b.c", "a.b.c.d.e"] {
        assert!(look(&memory, malformed, &provider(), &store, NOW).is_err());
    }
    assert_eq!(stored(&memory), (0, 4));
}

#[test]
fn strangers_cannot_make_memory_grow() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    for index in 0..3 * MAX_REFUSED {
        assert!(look(&memory, &format!("a.{index}"), &provider(), &store, NOW).is_err());
    }
    let (verified, refused) = stored(&memory);
    assert_eq!(verified, 0);
    assert!(refused <= MAX_REFUSED, "{refused}");
}

#[test]
fn a_large_token_is_verified_each_time() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let token = maker.token("EdDSA", "e", json!({ "padding": "x".repeat(MAX_REMEMBERED) }));
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    assert_eq!(stored(&memory), (0, 0));
}

#[test]
fn callers_of_whom_much_is_said_take_the_places_of_others() {
    let maker = Maker::ed25519();
    let (store, memory) = (KeyStore::fixed(set_of(&[maker.jwk("e")])), Remembered::new());
    let roles: Vec<String> = (100..440).map(|number| format!("r{number}")).collect();
    let token = maker.token("EdDSA", "e", json!({ "roles": roles }));
    assert!(token.len() < MAX_REMEMBERED);
    look(&memory, &token, &provider(), &store, NOW).unwrap();
    let large = memory.verified.get(&Mark::of(&token, &provider())).unwrap();
    assert!(large.principal.weight() > 4 * PLACE, "{}", large.principal.weight());
    for number in 0..2_000_u32 {
        let token = std::array::from_fn(|at| number.to_be_bytes()[at % 4]);
        memory.verified.insert(Mark { provider: 0, token }, large.clone());
    }
    let (kept, _) = stored(&memory);
    let most = MAX_VERIFIED * PLACE as u64 / large.principal.weight() as u64;
    assert!((most / 2..=most).contains(&kept), "{kept}, {most} fit");

    let small = look(&memory, &maker.token("EdDSA", "e", json!({})), &provider(), &store, NOW).unwrap();
    assert_eq!(places(&small), 1, "as most are");
}

#[test]
fn a_secret_in_a_file_works_the_same() {
    let (maker, memory) = (Maker::Secret(SECRET.to_vec()), Remembered::new());
    let token = maker.token("HS256", "whatever", json!({}));
    let store = KeyStore::fixed(KeySet::from_secret(SECRET).unwrap());
    assert!(look(&memory, &token, &provider(), &store, NOW).is_ok());
    let rotated = KeyStore::fixed(KeySet::from_secret(&[8, 9].repeat(32)).unwrap());
    assert_eq!(look(&memory, &token, &provider(), &rotated, NOW).unwrap_err(), TokenFault::Signature);
}
