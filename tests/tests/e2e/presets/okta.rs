//! Okta: what was asked for is not always what was shown.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str = "preset: okta
issuer: https://clinic.okta.com/oauth2/default
audience: [\"api://default\"]
claims: { tenant: clinic }";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://clinic.okta.com/oauth2/default", "aud": "api://default", "sub": "ada", "ver": 1, "jti": "AT.1",
        "cid": "web", "uid": "00u1", "scp": ["openid"], "auth_time": NOW - 60, "acr": "urn:okta:loa:2fa:any",
        "clinic": "clinic-a", "groups": ["provider"],
    })
}

fn believed() -> Proved {
    Proved {
        tenant: Some("clinic-a"),
        roles: vec!["provider"],
        two: Some(Some(NOW - 60)),
        signed_in: Some(NOW - 60),
        ..Proved::default()
    }
}

fn one_factor() -> Proved {
    Proved { two: None, ..believed() }
}

#[test]
fn okta_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("two factors of any kind", json!({}), Proves(believed())),
        ("two factors, if possible", json!({ "acr": "urn:okta:loa:2fa:any:ifpossible" }), Proves(one_factor())),
        ("one factor", json!({ "acr": "urn:okta:loa:1fa:any" }), Proves(one_factor())),
        ("one key is not two factors", json!({ "acr": "phr" }), Proves(one_factor())),
        ("no context", json!({ "acr": null }), Proves(one_factor())),
        ("contexts in a list", json!({ "acr": ["urn:okta:loa:2fa:any"] }), Proves(one_factor())),
        (
            "a refreshed token is as old as its sign-in",
            json!({ "auth_time": NOW - 90_000, "iat": NOW }),
            Proves(Proved { two: Some(Some(NOW - 90_000)), signed_in: Some(NOW - 90_000), ..believed() }),
        ),
        ("no time", json!({ "auth_time": null }), Proves(Proved { two: Some(None), signed_in: None, ..believed() })),
        ("a time as a text", json!({ "auth_time": "1795000000" }), Refused("`auth_time`")),
        ("an ID token", json!({ "jti": "ID.1", "cid": null, "aud": "api://default" }), Refused("ID token")),
        ("a token of no kind", json!({ "jti": "1" }), Refused("neither")),
        ("another version", json!({ "ver": 2 }), Refused("`ver`")),
        ("no client", json!({ "cid": null }), Refused("`cid`")),
        ("the organisation's own server", json!({ "iss": "https://clinic.okta.com" }), Refused("`iss`")),
        ("another server", json!({ "iss": "https://clinic.okta.com/oauth2/other" }), Refused("`iss`")),
        ("for Okta itself", json!({ "aud": "https://clinic.okta.com" }), Refused("`aud`")),
        ("bound to a key", json!({ "cnf": { "jkt": "x" } }), Refused("`cnf`")),
    ]);
}
