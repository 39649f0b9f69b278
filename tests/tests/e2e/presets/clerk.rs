//! Clerk: minutes since each factor, pages that asked, sessions that wait, and people of the staff.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str = "preset: clerk\nissuer: https://clerk.clinic.example\nclients: [https://clinic.example]";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://clerk.clinic.example", "sub": "user_ada", "azp": "https://clinic.example", "sid": "sess_1", "v": 2,
        "sts": "active", "o": { "id": "org_1", "slg": "clinic-a", "rol": "provider" }, "fva": [7, 3],
    })
}

/// The moment that many minutes are counted as: one more, since a minute that has begun may be over.
fn ago(minutes: u64) -> u64 {
    NOW - (minutes + 1) * 60
}

fn believed() -> Proved {
    Proved {
        tenant: Some("org_1"),
        roles: vec!["provider"],
        two: Some(Some(ago(3))),
        signed_in: Some(ago(3)),
        session: Some("sess_1"),
        ..Proved::default()
    }
}

fn one_factor(at: Option<u64>) -> Proved {
    Proved { two: None, signed_in: at, ..believed() }
}

#[test]
fn clerk_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("both factors", json!({}), Proves(believed())),
        ("the second factor was never shown", json!({ "fva": [2, -1] }), Proves(one_factor(Some(ago(2))))),
        ("neither was ever shown", json!({ "fva": [-1, -1] }), Proves(one_factor(None))),
        ("the first one was never shown", json!({ "fva": [-1, 0] }), Proves(one_factor(Some(ago(0))))),
        ("no ages at all", json!({ "fva": null }), Proves(one_factor(None))),
        ("one age", json!({ "fva": [2] }), Refused("`fva`")),
        ("three ages", json!({ "fva": [2, 2, 2] }), Refused("`fva`")),
        ("ages as texts", json!({ "fva": ["2", "2"] }), Refused("`fva`")),
        ("ages in fractions", json!({ "fva": [2.5, 2.5] }), Refused("`fva`")),
        ("an age before the first one", json!({ "fva": [2, -2] }), Refused("`fva`")),
        ("no time to count from", json!({ "iat": null }), Proves(one_factor(None))),
        (
            "just now is not younger than the minute",
            json!({ "fva": [0, 0] }),
            Proves(Proved { two: Some(Some(ago(0))), signed_in: Some(ago(0)), ..believed() }),
        ),
        ("an age beyond all numbers", json!({ "fva": [0, u64::MAX] }), Proves(one_factor(Some(ago(0))))),
        (
            "`amr` is not Clerk's way",
            json!({ "fva": [2, -1], "amr": ["mfa"], "acr": "2", "auth_time": NOW }),
            Proves(one_factor(Some(ago(2)))),
        ),
        ("no organisation", json!({ "o": null }), Proves(Proved { tenant: None, roles: vec![], ..believed() })),
        (
            "claims of version 1 are not read as those of version 2",
            json!({ "o": null, "org_id": "org_2", "org_role": "org:admin" }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
        (
            "metadata that people write is no tenant",
            json!({ "o": null, "unsafe_metadata": { "org_id": "org_2" } }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
        ("a page of another site asked", json!({ "azp": "https://attacker.example" }), Refused("`clients`")),
        (
            "a page of a similar name asked",
            json!({ "azp": "https://clinic.example.attacker.example" }),
            Refused("`clients`"),
        ),
        ("nobody says who asked", json!({ "azp": null }), Refused("`clients`")),
        ("the sign-in waits for a step", json!({ "sts": "pending" }), Refused("`sts`")),
        ("the sign-in is in no state that is known", json!({ "sts": 1 }), Refused("`sts`")),
        ("a token of a template", json!({ "sid": null, "fva": null }), Refused("`sid`")),
        ("somebody of the staff acts as the person", json!({ "act": { "sub": "user_eve" } }), Refused("`act`")),
        ("another instance", json!({ "iss": "https://clerk.other.example" }), Refused("`iss`")),
        ("bound to a key", json!({ "cnf": {} }), Refused("`cnf`")),
    ]);
}

#[test]
fn clerk_lets_staff_act_where_conditions_can_see_it() {
    let row = Row::new(&format!("{KEYS}\nclaims: {{ actor: /act/sub }}"), good());
    let principal = row.judged(&json!({ "act": { "sub": "user_eve" } })).unwrap();
    assert_eq!(principal.claims.get("actor"), Some(&policy::Claim::Text("user_eve".to_owned())));
}

#[test]
fn clerk_of_version_1_by_its_own_claims() {
    let row = Row::new(&format!("{KEYS}\nclaims: {{ tenant: org_id, roles: org_role }}"), good());
    let changes = json!({ "v": null, "o": null, "org_id": "org_1", "org_role": "org:admin" });
    row.holds(vec![("version 1", changes, Proves(Proved { roles: vec!["org:admin"], ..believed() }))]);
}
