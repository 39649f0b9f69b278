//! Each preset as a `login`: what an ID token in that provider's form proves, and what the configuration says of it.

use e2e::app::App;
use e2e::gate::Files;
use e2e::op::Op;
use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row, any_tenant};

/// An ID token of `issuer` for the client `web`, with these claims beside those of OpenID Connect.
fn id_token(issuer: &str, more: &Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "ada", "aud": "web", "nonce": "n1", "email": "ada@clinic.example", "email_verified": true,
        "name": "Ada Example",
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

fn row(keys: &str, more: &Value) -> Row {
    let issuer = keys.lines().find_map(|line| line.strip_prefix("issuer: ")).unwrap();
    Row::new(keys, id_token(issuer, more)).of_login("web")
}

/// Somebody of clinic-a who signed in a minute ago.
fn believed(roles: &[&'static str]) -> Proved {
    Proved { tenant: Some("clinic-a"), roles: roles.to_vec(), signed_in: Some(NOW - 60), ..Proved::default() }
}

/// The second factor, as old as the sign-in.
const TWO: Option<Option<u64>> = Some(Some(NOW - 60));

#[test]
fn auth0() {
    let keys = "preset: auth0\nissuer: https://clinic.eu.auth0.com/\naudience: [api]\n\
                claims: { roles: \"https://clinic.example/roles\" }";
    let token = json!({
        "sid": "s1", "auth_time": NOW - 60, "amr": ["mfa"], "org_id": "clinic-a", "at_hash": "h",
        "https://clinic.example/roles": ["provider"],
    });
    let believed = Proved { session: Some("s1"), ..believed(&["provider"]) };
    row(keys, &token).holds(vec![
        ("an ID token", json!({}), Proves(Proved { two: TWO, ..believed.clone() })),
        ("after a silent sign-in", json!({ "amr": null }), Proves(believed.clone())),
        ("of nobody's organisation", json!({ "org_id": null }), Proves(Proved { tenant: None, two: TWO, ..believed })),
        ("for another program", json!({ "aud": "other" }), Refused("`aud`")),
    ]);
    let by_default = keys.split("\nclaims").next().unwrap();
    row(by_default, &token).holds(vec![(
        "rights of an API are in no ID token",
        json!({ "amr": null }),
        Proves(Proved { roles: vec![], session: Some("s1"), ..self::believed(&[]) }),
    )]);
}

#[test]
fn clerk() {
    let keys =
        "preset: clerk\nissuer: https://clerk.clinic.example\nclients: [https://clinic.example]\ntenant: clinic-a";
    row(keys, &json!({ "azp": "web", "auth_time": NOW - 60, "jti": "j1" })).holds(vec![
        ("an ID token is no session token", json!({}), Proves(believed(&[]))),
        ("it tells no sign-in", json!({ "auth_time": null }), Proves(Proved { signed_in: None, ..believed(&[]) })),
        ("`fva` is none of its claims", json!({ "fva": [0, 0] }), Proves(believed(&[]))),
        ("somebody of the staff as that person", json!({ "act": { "sub": "staff" } }), Refused("`act`")),
    ]);
}

#[test]
fn cognito() {
    let keys = "preset: cognito\nissuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE\n\
                clients: [other]\nclaims: { bindings: \"cognito:groups\" }";
    let token = json!({
        "token_use": "id", "auth_time": NOW - 60, "origin_jti": "o1", "event_id": "e1", "jti": "j1", "at_hash": "h",
        "cognito:username": "ada", "cognito:groups": ["clinic-a:provider"], "amr": ["pwd", "otp", "mfa"],
    });
    let believed = Proved { session: Some("o1"), ..believed(&["provider"]) };
    row(keys, &token).holds(vec![
        ("an ID token", json!({}), Proves(Proved { two: TWO, ..believed.clone() })),
        ("a pool that says nothing of factors", json!({ "amr": null }), Proves(believed)),
        ("for another program", json!({ "aud": "other" }), Refused("`aud`")),
    ]);
}

#[test]
fn entra() {
    let keys = "preset: entra\nissuer: https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0\n\
                audience: [api]\nacr: { mfa: [c1] }\ntenant: clinic-a";
    let token = json!({
        "ver": "2.0", "tid": "11111111-2222-3333-4444-555555555555", "oid": "o1", "roles": ["provider"], "sid": "s1",
        "auth_time": NOW - 60, "preferred_username": "ada@clinic.example", "uti": "u1", "acrs": ["c1"],
    });
    let believed = Proved { session: Some("s1"), ..believed(&["provider"]) };
    row(keys, &token).holds(vec![
        ("an ID token", json!({}), Proves(Proved { two: TWO, ..believed.clone() })),
        ("nobody asked for the context", json!({ "acrs": null }), Proves(believed.clone())),
        (
            "without optional claims",
            json!({ "acrs": null, "auth_time": null, "sid": null }),
            Proves(Proved { signed_in: None, session: None, ..believed }),
        ),
    ]);
}

#[test]
fn keycloak() {
    let keys = "preset: keycloak\nissuer: https://id.clinic.example/realms/clinic\naudience: [api]\nclients: [other]\n\
                acr: { mfa: [\"2\"] }\ntenant: clinic-a";
    let token = json!({
        "typ": "ID", "azp": "web", "sid": "s1", "auth_time": NOW - 60, "acr": "2", "at_hash": "h",
        "realm_access": { "roles": ["provider"] },
    });
    let believed = Proved { session: Some("s1"), ..believed(&["provider"]) };
    row(keys, &token).holds(vec![
        ("an ID token with the realm's roles", json!({}), Proves(Proved { two: TWO, ..believed.clone() })),
        (
            "as a realm makes it by itself",
            json!({ "realm_access": null, "acr": "1" }),
            Proves(Proved { roles: vec![], ..believed.clone() }),
        ),
        ("a level that has expired", json!({ "acr": "0" }), Proves(believed)),
    ]);
}

#[test]
fn okta() {
    let keys = "preset: okta\nissuer: https://clinic.okta.com/oauth2/default\naudience: [api]\ntenant: clinic-a";
    let token = json!({
        "ver": 1, "jti": "ID.1", "auth_time": NOW - 60, "idp": "i1", "at_hash": "h", "amr": ["pwd", "mfa", "otp"],
        "groups": ["provider"], "preferred_username": "ada@clinic.example",
    });
    row(keys, &token).holds(vec![
        ("an ID token", json!({}), Proves(Proved { two: TWO, ..believed(&["provider"]) })),
        ("one factor", json!({ "amr": ["pwd"] }), Proves(believed(&["provider"]))),
        ("no claim for groups", json!({ "amr": ["pwd"], "groups": null }), Proves(believed(&[]))),
    ]);
}

#[test]
fn supabase() {
    let keys = "preset: supabase\nissuer: https://abcdefghij.supabase.co/auth/v1\ntenant: clinic-a";
    let token = json!({
        "auth_time": NOW - 60, "client_id": "web", "phone_number_verified": false, "preferred_username": "ada",
        "updated_at": NOW - 600,
    });
    row(keys, &token).holds(vec![
        ("an ID token says who, and since when", json!({}), Proves(believed(&[]))),
        ("`aal` is none of its claims", json!({ "aal": "aal2" }), Proves(believed(&[]))),
        ("for another program", json!({ "aud": "authenticated" }), Refused("`aud`")),
    ]);
}

#[test]
fn any_other() {
    let keys = "issuer: https://issuer.example\naudience: [api]\nclaims: { tenant: org, roles: roles }";
    let token = json!({ "org": "clinic-a", "roles": ["provider"], "sid": "s1", "auth_time": NOW - 60, "amr": ["mfa"] });
    let believed = Proved { two: TWO, session: Some("s1"), ..believed(&["provider"]) };
    row(keys, &token).holds(vec![("an ID token", json!({}), Proves(believed))]);
}

/// What the configuration of a login with this provider is told: the faults, or else the warnings.
fn told(keys: &str, more: &str) -> String {
    let op = Op::start();
    let mut setup = op.setup("");
    let any = any_tenant(keys);
    let keys = format!("{keys}\njwks: {{ file: jwks.json }}\ntoken: []\n{}", op.config(""));
    let lines: Vec<String> = keys.lines().map(|line| format!("    {line}")).collect();
    setup.provider = format!("tenant: a\n  row:\n{}{any}", lines.join("\n"));
    setup.headers = "{ identity: { issuer: X-User-Issuer } }".to_owned();
    setup.more = more.to_owned();
    let people = "apiVersion: anteroom.dev/v1\nkind: Directory\nsubjects:\n  row:\n    ada: { clinic-a: [provider] }\n";
    setup.files.push(("people.yaml", people.to_owned()));
    let files = Files::write(&setup, App::plain().address);
    match anteroom::config::prepare(&files.path("config.yaml")) {
        Ok(plan) => policy::render(&plan.warnings, &plan.sources, false),
        Err(faults) => policy::render(&faults.diagnostics, &faults.sources, false),
    }
}

#[test]
fn what_can_be_no_login_is_told_and_what_id_tokens_lack() {
    let firebase = told("preset: firebase\nissuer: https://securetoken.google.com/clinic-1", "");
    assert!(firebase.starts_with("error") && firebase.contains("no place where people could sign in"), "{firebase}");
    let auth0 = "preset: auth0\nissuer: https://clinic.eu.auth0.com/\naudience: [api]";
    let supabase = "preset: supabase\nissuer: https://abcdefghij.supabase.co/auth/v1";
    let clerk = "preset: clerk\nissuer: https://clerk.clinic.example\nclients: [https://clinic.example]";
    for (keys, lacks) in [
        (auth0.to_owned(), vec!["permissions"]),
        (format!("{auth0}\nclaims: {{ roles: roles }}"), vec![]),
        (
            format!("{supabase}\nclaims: {{ tenant: /app_metadata/clinic }}"),
            vec!["/app_metadata/clinic", "/app_metadata/roles"],
        ),
        (format!("{supabase}\ntenant: a\nclaims: {{ roles: roles }}"), vec![]),
        (clerk.to_owned(), vec!["/o/id", "/o/rol"]),
        (format!("{clerk}\ntenant: a\nclaims: {{ roles: roles }}"), vec![]),
        ("preset: okta\nissuer: https://clinic.okta.com/oauth2/default\naudience: [api]\ntenant: a".to_owned(), vec![]),
    ] {
        let shown = told(&keys, "");
        assert_eq!(shown.matches("warning").count(), lacks.len(), "{keys}\n{shown}");
        for path in lacks {
            assert!(shown.contains(&format!("never have `{path}`")), "{shown}");
        }
    }
    // Where a directory alone says who may what, nothing of it is read of tokens.
    let by_directory = |keys: &str| told(keys, "directory: { file: people.yaml, providers: [row] }\n");
    assert_eq!(by_directory(supabase), "");
    let npi = by_directory(&format!("{supabase}\nclaims: {{ npi: /app_metadata/npi }}"));
    assert!(npi.contains("who signs in here has no `npi`"), "{npi}");
}
