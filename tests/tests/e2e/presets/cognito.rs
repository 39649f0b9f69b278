//! Amazon Cognito: access tokens without an audience, and ID tokens where they are asked for.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str =
    "preset: cognito\nissuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE\nclients: [web]";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE", "sub": "ada", "client_id": "web",
        "token_use": "access", "auth_time": NOW - 60, "origin_jti": "o1", "event_id": "e1", "jti": "j1",
        "cognito:groups": ["clinic-a:provider", "clinic-a:lab", "unnamed"],
    })
}

fn believed() -> Proved {
    Proved {
        tenant: Some("clinic-a"),
        roles: vec!["provider", "lab"],
        signed_in: Some(NOW - 60),
        session: Some("o1"),
        ..Proved::default()
    }
}

#[test]
fn cognito_is_believed_for_what_it_says() {
    Row::new(&format!("{KEYS}\nclaims: {{ bindings: \"cognito:groups\" }}"), good()).holds(vec![
        ("an access token has no audience", json!({}), Proves(believed())),
        ("it shows no factor", json!({ "amr": null, "acr": null }), Proves(believed())),
        ("a level proves nothing until it is listed", json!({ "acr": "urn:cognito:loa:3" }), Proves(believed())),
        (
            "methods that a trigger has added",
            json!({ "amr": ["pwd", "otp", "mfa"] }),
            Proves(Proved { two: Some(Some(NOW - 60)), ..believed() }),
        ),
        (
            "an ID token in its place",
            json!({ "token_use": "id", "aud": "web", "client_id": null }),
            Refused("ID token"),
        ),
        ("an ID token that names a client too", json!({ "token_use": "id", "aud": "web" }), Refused("ID token")),
        ("a token of no kind", json!({ "token_use": null }), Refused("neither")),
        ("a refresh token", json!({ "token_use": "refresh" }), Refused("neither")),
        ("another app client of the pool", json!({ "client_id": "other" }), Refused("`clients`")),
        ("no app client", json!({ "client_id": null }), Refused("`clients`")),
        ("an audience in its place", json!({ "client_id": null, "aud": "web" }), Refused("`clients`")),
        (
            "another pool",
            json!({ "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other" }),
            Refused("`iss`"),
        ),
        (
            "the pool's other issuer",
            json!({ "iss": "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE" }),
            Refused("`iss`"),
        ),
        (
            "groups that name no clinic",
            json!({ "cognito:groups": ["provider"] }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
        (
            "groups of two clinics",
            json!({ "cognito:groups": ["clinic-a:provider", "clinic-b:admin"] }),
            Proves(Proved { roles: vec!["provider"], besides: vec![("clinic-b", vec!["admin"])], ..believed() }),
        ),
        (
            "an attribute is no tenant",
            json!({ "cognito:groups": null, "custom:tenant": "clinic-a" }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
    ]);
}

#[test]
fn cognito_shows_factors_in_id_tokens() {
    let keys = format!("{KEYS}\nkinds: [id]\ntenant: clinic-a\nacr: {{ mfa: [\"urn:cognito:loa:3\"] }}");
    let id = json!({
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE", "sub": "ada", "aud": "web", "token_use": "id",
        "auth_time": NOW - 60, "origin_jti": "o1", "cognito:groups": ["provider"],
    });
    let believed = || Proved { roles: vec!["provider"], ..believed() };
    Row::new(&keys, id).holds(vec![
        ("an ID token", json!({}), Proves(believed())),
        (
            "a level that is listed",
            json!({ "acr": "urn:cognito:loa:3" }),
            Proves(Proved { two: Some(Some(NOW - 60)), ..believed() }),
        ),
        ("a level below", json!({ "acr": "urn:cognito:loa:2" }), Proves(believed())),
        ("an ID token for another client", json!({ "aud": "other" }), Refused("`clients`")),
        ("an ID token for several", json!({ "aud": ["web"] }), Refused("`clients`")),
        ("an access token in its place", json!({ "token_use": "access", "client_id": "web" }), Refused("access token")),
    ]);
}

#[test]
fn cognito_has_two_issuers_and_a_provider_is_one_of_them() {
    let (old, new) = ("https://cognito-idp.", "https://issuer-cognito-idp.");
    let keys = format!("{}\nclaims: {{ bindings: \"cognito:groups\" }}", KEYS.replace(old, new));
    let of = |start: &str| json!({ "iss": format!("{start}eu-west-1.amazonaws.com/eu-west-1_aB3dE") });
    Row::new(&keys, good()).holds(vec![
        ("the newer issuer", of(new), Proves(believed())),
        ("the older one of the same pool", of(old), Refused("`iss`")),
        (
            "another pool",
            json!({ "iss": "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other" }),
            Refused("`iss`"),
        ),
        (
            "another region",
            json!({ "iss": "https://issuer-cognito-idp.us-east-1.amazonaws.com/eu-west-1_aB3dE" }),
            Refused("`iss`"),
        ),
    ]);
}
