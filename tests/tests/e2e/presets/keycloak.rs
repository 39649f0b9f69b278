//! Keycloak: kinds in a claim, clients, levels, organisations.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str = "preset: keycloak
issuer: https://id.clinic.example/realms/clinic
audience: [clinic-api]
clients: [clinic-web]
claims: { roles: /realm_access/roles }
acr: { mfa: [\"2\", gold], phishing_resistant: [\"3\"] }";

pub(super) fn good() -> Value {
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

#[test]
fn keycloak_gives_nobody_the_roles_of_one_clinic_in_another() {
    // A locum who is admin in one of two, and asks for a token of the other.
    let keys = KEYS.replace("roles: /realm_access/roles", "bindings: groups");
    let locum = json!({ "organization": ["clinic-b"], "realm_access": { "roles": ["admin"] } });
    let mut of_both = locum.clone();
    of_both["groups"] = json!(["clinic-a:admin", "clinic-b:provider"]);
    let both = Proved { roles: vec!["admin"], besides: vec![("clinic-b", vec!["provider"])], ..believed() };
    Row::new(&keys, good()).holds(vec![
        ("the realm's roles are of no clinic", locum.clone(), Proves(nobody())),
        ("each clinic has its own", of_both, Proves(both)),
    ]);
    // Nothing is filled in that would bring them along.
    let fixed = KEYS.replace("claims: { roles: /realm_access/roles }", "tenant: clinic-a");
    Row::new(&fixed, good()).holds(vec![("a realm of one clinic has its roles", json!({}), Proves(believed()))]);
}
