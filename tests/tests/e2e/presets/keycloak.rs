//! Keycloak: kinds in a claim, clients, levels, organisations.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

const KEYS: &str = "preset: keycloak
issuer: https://id.clinic.example/realms/clinic
audience: [clinic-api]
clients: [clinic-web]
acr: { mfa: [\"2\", gold], phishing_resistant: [\"3\"] }";

fn good() -> Value {
    json!({
        "iss": "https://id.clinic.example/realms/clinic", "aud": ["clinic-api", "account"], "sub": "ada", "typ": "Bearer",
        "azp": "clinic-web", "sid": "s1", "auth_time": NOW - 60, "acr": "1", "organization": ["clinic-a"],
        "realm_access": { "roles": ["provider"] }, "resource_access": { "account": { "roles": ["manage-account"] } },
    })
}

fn believed() -> Proved {
    Proved {
        tenant: Some("clinic-a"),
        roles: vec!["provider"],
        signed_in: Some(NOW - 60),
        session: Some("s1"),
        ..Proved::default()
    }
}

fn two() -> Proved {
    Proved { two: Some(Some(NOW - 60)), ..believed() }
}

fn nobody() -> Proved {
    Proved { tenant: None, roles: vec![], ..believed() }
}

#[test]
fn keycloak_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("the first level", json!({}), Proves(believed())),
        ("the second level", json!({ "acr": "2" }), Proves(two())),
        ("a level with a name", json!({ "acr": "gold" }), Proves(two())),
        ("a level that cannot be phished", json!({ "acr": "3" }), Proves(Proved { unphishable: true, ..two() })),
        ("the cookie was used again", json!({ "acr": "0" }), Proves(believed())),
        ("a level as a number", json!({ "acr": 2 }), Proves(believed())),
        ("a level that is not listed", json!({ "acr": "4" }), Proves(believed())),
        (
            "a level of unknown age",
            json!({ "acr": "2", "auth_time": null }),
            Proves(Proved { two: Some(None), signed_in: None, ..believed() }),
        ),
        ("organisations with their ids", json!({ "organization": { "clinic-a": { "id": "1" } } }), Proves(believed())),
        (
            "two organisations, and one list of roles",
            json!({ "organization": ["clinic-a", "clinic-b"] }),
            Proves(nobody()),
        ),
        (
            "two organisations with their ids",
            json!({ "organization": { "clinic-a": {}, "clinic-b": {} } }),
            Proves(nobody()),
        ),
        ("no organisation", json!({ "organization": null }), Proves(nobody())),
        ("an ID token", json!({ "typ": "ID", "aud": ["clinic-api"] }), Refused("ID token")),
        ("a refresh token", json!({ "typ": "Refresh" }), Refused("neither")),
        ("an offline token", json!({ "typ": "Offline" }), Refused("neither")),
        ("a logout token", json!({ "typ": "Logout" }), Refused("neither")),
        ("a token of no kind", json!({ "typ": null }), Refused("neither")),
        ("every program has this audience", json!({ "aud": "account" }), Refused("`aud`")),
        ("another client of the realm", json!({ "azp": "other" }), Refused("`clients`")),
        ("no client", json!({ "azp": null, "client_id": "clinic-web" }), Refused("`clients`")),
        ("another realm", json!({ "iss": "https://id.clinic.example/realms/other" }), Refused("`iss`")),
        ("bound to a key", json!({ "cnf": { "jkt": "x" } }), Refused("`cnf`")),
    ]);
}
