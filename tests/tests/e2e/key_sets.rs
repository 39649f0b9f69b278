//! What a provider publishes now counts, and nothing that it published before: all keys withdrawn, and keys that have no name.

use anteroom::clock::Clock;
use e2e::client::{Client, Protocol};
use e2e::issuer::Issuer;
use e2e::key_server::KEYS;
use serde_json::{Value, json};

use crate::keys::{fetching, next, ready, told};

#[tokio::test]
async fn a_provider_that_publishes_no_key_has_withdrawn_them_all() {
    let now = Issuer::new().now;
    let (gate, server) = fetching(Clock::manual(now * 1_000)).await;
    ready(&gate).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let old = gate.issuer().ada();
    assert_eq!(client.get("/me", &old).await.status, 200);
    server.publish(json!({ "keys": [] }));
    // A token of any unknown key makes the gate look.
    let stranger = client.get("/me", &next(gate.issuer()).ada()).await;
    assert_eq!((stranger.status.as_u16(), stranger.code().as_str()), (503, "PROVIDER_DOWN"));
    assert_eq!(client.get("/me", &old).await.code(), "PROVIDER_DOWN", "what was believed a moment ago");
    assert_eq!(gate.shared().unready(), ["keys"]);
    assert_eq!((&told(&gate)["usable"], &told(&gate)["keys"]), (&json!(false), &json!(0)));
    assert_eq!(told(&gate)["error"], "the key set has no key that can be used");
    assert_eq!(gate.metric("anteroom_provider_keys", &[("provider", "clinic")]), 0.0);
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    // It was a mistake, or there is a new one: nobody needs to do anything.
    server.publish(gate.issuer().key.key_set());
    ready(&gate).await;
    assert_eq!(client.get("/me", &old).await.status, 200);
}

/// The key set of an issuer whose only key has no name.
fn unnamed(issuer: &Issuer) -> Value {
    let mut keys = issuer.key.key_set();
    keys["keys"][0].as_object_mut().unwrap().remove("kid");
    keys
}

#[tokio::test]
async fn a_rotation_of_keys_without_names_loses_no_request() {
    let now = Issuer::new().now;
    let (gate, server) = fetching(Clock::manual(now * 1_000)).await;
    ready(&gate).await;
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let old = gate.issuer().unnamed();
    server.publish(unnamed(gate.issuer()));
    assert_eq!(client.get("/me", &old).await.status, 200, "one key fits");
    // Published in the very moment in which it signs, and the old one is gone.
    let new = next(gate.issuer());
    server.publish(unnamed(&new));
    assert_eq!(client.get("/me", &new.unnamed()).await.status, 200);
    assert_eq!(server.asked(KEYS), 2);
    assert_eq!(client.get("/me", &old).await.code(), "TOKEN_INVALID", "withdrawn");

    // Whoever forges such tokens makes the gate ask once in 30 seconds, and holds up the next rotation for no longer.
    for _ in 0..10 {
        let forged = next(gate.issuer()).unnamed();
        assert_eq!(client.get("/me", &forged).await.code(), "TOKEN_INVALID");
    }
    assert_eq!(server.asked(KEYS), 2);
    let third = next(gate.issuer());
    server.publish(unnamed(&third));
    let token = third.unnamed();
    assert_eq!(client.get("/me", &token).await.code(), "TOKEN_INVALID");
    gate.clock().advance(std::time::Duration::from_secs(30));
    assert_eq!(client.get("/me", &token).await.status, 200, "the very same token: it is not refused from memory");
    assert_eq!(server.asked(KEYS), 3);
}
