//! Firebase: ID tokens of a project.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str = "preset: firebase\nissuer: https://securetoken.google.com/clinic-1";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://securetoken.google.com/clinic-1", "aud": "clinic-1", "sub": "ada", "auth_time": NOW - 60,
        "roles": ["provider"], "firebase": of(json!({ "sign_in_second_factor": "totp", "second_factor_identifier": "f1" })),
    })
}

/// The claim `firebase`, with more in it.
fn of(more: Value) -> Value {
    let mut firebase = json!({ "sign_in_provider": "password", "tenant": "clinic-a", "identities": {} });
    firebase.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    firebase
}

fn believed() -> Proved {
    Proved {
        tenant: Some("clinic-a"),
        roles: vec!["provider"],
        two: Some(Some(NOW - 60)),
        signed_in: Some(NOW - 60),
        session: Some("ada 1794999940"),
        ..Proved::default()
    }
}

fn one_factor() -> Proved {
    Proved { two: None, ..believed() }
}

#[test]
fn firebase_is_believed_for_what_it_says() {
    let factor = |value: Value| json!({ "firebase": of(json!({ "sign_in_second_factor": value })) });
    Row::new(KEYS, good()).holds(vec![
        ("a second factor by name", json!({}), Proves(believed())),
        ("no second factor", json!({ "firebase": of(json!({})) }), Proves(one_factor())),
        (
            "an identifier alone is none",
            json!({ "firebase": of(json!({ "second_factor_identifier": "f1" })) }),
            Proves(one_factor()),
        ),
        ("an empty one", factor(json!("")), Proves(one_factor())),
        ("one of another form", factor(json!(true)), Proves(one_factor())),
        (
            "`amr` is not Firebase's way",
            json!({ "firebase": of(json!({})), "amr": ["mfa"], "sign_in_second_factor": "totp" }),
            Proves(one_factor()),
        ),
        (
            "no tenant",
            json!({ "firebase": { "sign_in_provider": "password" } }),
            Proves(Proved { tenant: None, roles: vec![], ..one_factor() }),
        ),
        ("a claim of the same name is no tenant", json!({ "tenant": "clinic-b" }), Proves(believed())),
        ("another project, signed by the same keys", json!({ "aud": "other" }), Refused("`aud`")),
        (
            "another project's issuer",
            json!({ "iss": "https://securetoken.google.com/other", "aud": "other" }),
            Refused("`iss`"),
        ),
        ("a session cookie", json!({ "iss": "https://session.firebase.google.com/clinic-1" }), Refused("`iss`")),
        (
            "a custom token, which is for Firebase itself",
            json!({ "firebase": null, "uid": "ada" }),
            Refused("`firebase`"),
        ),
        (
            "somebody anonymous",
            json!({ "firebase": of(json!({ "sign_in_provider": "anonymous" })) }),
            Refused("anonymously"),
        ),
        ("nobody says how", json!({ "firebase": of(json!({ "sign_in_provider": null })) }), Refused("anonymously")),
        ("nobody says when", json!({ "auth_time": null }), Refused("`auth_time`")),
        ("no subject", json!({ "sub": "" }), Refused("`sub`")),
    ]);
}

#[test]
fn firebase_lets_the_anonymous_in_where_it_is_told_to() {
    let row = Row::new(&format!("{KEYS}\nallow_anonymous: true"), good());
    let changes = json!({ "firebase": of(json!({ "sign_in_provider": "anonymous" })) });
    row.holds(vec![("somebody anonymous, without a factor", changes, Proves(one_factor()))]);
}
