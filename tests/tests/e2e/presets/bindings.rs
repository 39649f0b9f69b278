//! Tenants with roles of their own, and tenants that a provider does not speak for.

use serde_json::{Value, json};

use super::{Proved, Proves, Row};

pub(super) const KEYS: &str = "issuer: https://issuer.example\naudience: [clinic]";

pub(super) fn good() -> Value {
    json!({ "iss": "https://issuer.example", "aud": "clinic", "sub": "ada" })
}

fn of(tenant: &'static str, roles: &[&'static str]) -> Proved {
    Proved { tenant: Some(tenant), roles: roles.to_vec(), ..Proved::default() }
}

#[test]
fn each_tenant_has_its_own_roles() {
    let row = Row::new(&format!("{KEYS}\nclaims: {{ bindings: /app_metadata/clinics }}"), good());
    let clinics = |value: Value| json!({ "app_metadata": { "clinics": value } });
    row.holds(vec![
        ("a map of one", clinics(json!({ "a": ["admin", "lab"] })), Proves(of("a", &["admin", "lab"]))),
        ("one role as a text", clinics(json!({ "a": "admin" })), Proves(of("a", &["admin"]))),
        ("no roles", clinics(json!({ "a": [] })), Proves(of("a", &[]))),
        ("roles of another form", clinics(json!({ "a": { "admin": true } })), Proves(of("a", &[]))),
        ("roles that are not all texts", clinics(json!({ "a": ["admin", 1] })), Proves(of("a", &[]))),
        ("a tenant of no name", clinics(json!({ "a b": ["admin"], "a": ["lab"] })), Proves(of("a", &["lab"]))),
        (
            "several",
            clinics(json!({ "a": ["admin"], "b": ["lab"] })),
            Proves(Proved { besides: vec![("b", vec!["lab"])], ..of("a", &["admin"]) }),
        ),
        (
            "too many",
            clinics((0..65).map(|at| (format!("t{at}"), json!([]))).collect::<serde_json::Map<_, _>>().into()),
            Proves(Proved::default()),
        ),
        ("none", clinics(json!({})), Proves(Proved::default())),
        ("not there", json!({}), Proves(Proved::default())),
        ("pairs", clinics(json!(["a:admin", "a:lab", "a:lab", "other"])), Proves(of("a", &["admin", "lab"]))),
        ("the last colon parts them", clinics(json!(["urn:a:admin"])), Proves(of("urn:a", &["admin"]))),
        ("pairs without one side", clinics(json!([":admin", "a:"])), Proves(Proved::default())),
        ("pairs that are not all texts", clinics(json!(["a:admin", 1])), Proves(Proved::default())),
        ("a text is no list", clinics(json!("a:admin")), Proves(Proved::default())),
    ]);
}

#[test]
fn a_provider_speaks_for_its_own_tenants_alone() {
    let row = Row::new(&format!("{KEYS}\ntenants: [a, b]\nclaims: {{ tenant: org, roles: roles }}"), good());
    row.holds(vec![
        ("one of its own", json!({ "org": "a", "roles": ["admin"] }), Proves(of("a", &["admin"]))),
        ("the other", json!({ "org": "b", "roles": ["admin"] }), Proves(of("b", &["admin"]))),
        ("another's", json!({ "org": "c", "roles": ["admin"] }), Proves(Proved::default())),
        ("another's in a list", json!({ "org": ["c"], "roles": ["admin"] }), Proves(Proved::default())),
    ]);
    let row = Row::new(&format!("{KEYS}\ntenants: [a]\nclaims: {{ bindings: clinics }}"), good());
    row.holds(vec![
        ("its own of two", json!({ "clinics": { "a": ["lab"], "c": ["admin"] } }), Proves(of("a", &["lab"]))),
        ("another's alone", json!({ "clinics": { "c": ["admin"] } }), Proves(Proved::default())),
    ]);
}
