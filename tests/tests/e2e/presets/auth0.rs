//! Auth0: access tokens, whose factors stand in a claim of an Action or nowhere.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str =
    "preset: auth0\nissuer: https://clinic.eu.auth0.com/\naudience: [https://api.clinic.example]";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://clinic.eu.auth0.com/", "sub": "auth0|ada", "azp": "web", "scope": "openid",
        "aud": ["https://api.clinic.example", "https://clinic.eu.auth0.com/userinfo"],
        "org_id": "org_1", "permissions": ["records.read"],
    })
}

fn believed() -> Proved {
    Proved { tenant: Some("org_1"), roles: vec!["records.read"], ..Proved::default() }
}

#[test]
fn auth0_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("an access token without `amr` shows no factor", json!({}), Proves(believed())),
        (
            "`acr` proves nothing until it is listed",
            json!({ "acr": "http://schemas.openid.net/pape/policies/2007/06/multi-factor" }),
            Proves(believed()),
        ),
        ("one method is one factor", json!({ "amr": ["pwd"] }), Proves(believed())),
        ("a text is no list of methods", json!({ "amr": "mfa" }), Proves(believed())),
        (
            "`mfa` in `amr` is two factors of unknown age",
            json!({ "amr": ["mfa"] }),
            Proves(Proved { two: Some(None), ..believed() }),
        ),
        (
            "`mfa` with `auth_time`",
            json!({ "amr": ["mfa"], "auth_time": NOW - 60, "sid": "s1" }),
            Proves(Proved { two: Some(Some(NOW - 60)), signed_in: Some(NOW - 60), session: Some("s1"), ..believed() }),
        ),
        (
            "the organisation's name is no tenant",
            json!({ "org_id": null, "org_name": "clinic-a" }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
        (
            "what people write themselves is no role",
            json!({ "permissions": null, "user_metadata": { "permissions": ["admin"] } }),
            Proves(Proved { roles: vec![], ..believed() }),
        ),
        ("an ID token, by its nonce", json!({ "nonce": "n" }), Refused("ID token")),
        ("an ID token, by its hash", json!({ "at_hash": "h" }), Refused("ID token")),
        ("an ID token, by its audience", json!({ "aud": "web" }), Refused("`aud`")),
        ("another tenant of Auth0", json!({ "iss": "https://other.eu.auth0.com/" }), Refused("`iss`")),
        ("the issuer without its slash", json!({ "iss": "https://clinic.eu.auth0.com" }), Refused("`iss`")),
        ("bound to a key", json!({ "cnf": { "jkt": "x" } }), Refused("`cnf`")),
        ("bound to a certificate", json!({ "cnf": { "x5t#S256": "x" } }), Refused("`cnf`")),
    ]);
}

#[test]
fn auth0_shows_factors_in_a_claim_of_an_action() {
    let keys = format!(
        "{KEYS}\nclients: [web]\nclaims: {{ amr: \"https://clinic.example/amr\", auth_time: \"https://clinic.example/at\" }}"
    );
    Row::new(&keys, good()).holds(vec![
        (
            "the claim that is named",
            json!({ "https://clinic.example/amr": ["mfa"], "https://clinic.example/at": NOW - 5 }),
            Proves(Proved { two: Some(Some(NOW - 5)), signed_in: Some(NOW - 5), ..believed() }),
        ),
        ("and not the one at the top", json!({ "amr": ["mfa"], "auth_time": NOW }), Proves(believed())),
        (
            "a time as an action may write it",
            json!({ "https://clinic.example/amr": ["mfa"], "https://clinic.example/at": "2026-11-22T10:00:00Z" }),
            Refused("`auth_time`"),
        ),
        ("another program asked", json!({ "azp": "other" }), Refused("`clients`")),
        ("nobody asked", json!({ "azp": null }), Refused("`clients`")),
        ("several asked", json!({ "azp": ["web"] }), Refused("`clients`")),
    ]);
}
