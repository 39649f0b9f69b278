//! Supabase: two levels, methods with their times, and whose words count.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

pub(super) const KEYS: &str = "preset: supabase
issuer: https://abcdefghij.supabase.co/auth/v1
claims: { tenant: /app_metadata/clinic }";

pub(super) fn good() -> Value {
    json!({
        "iss": "https://abcdefghij.supabase.co/auth/v1", "aud": "authenticated", "sub": "ada", "role": "authenticated",
        "aal": "aal2", "session_id": "s1", "is_anonymous": false,
        "amr": [{ "method": "totp", "timestamp": NOW - 60 }, { "method": "password", "timestamp": NOW - 900 }],
        "app_metadata": { "clinic": "clinic-a", "roles": ["provider"] },
        "user_metadata": { "clinic": "clinic-b", "roles": ["owner"] },
    })
}

fn believed() -> Proved {
    Proved {
        tenant: Some("clinic-a"),
        roles: vec!["provider"],
        two: Some(Some(NOW - 60)),
        signed_in: Some(NOW - 60),
        session: Some("s1"),
        ..Proved::default()
    }
}

fn one_factor(at: Option<u64>) -> Proved {
    Proved { two: None, signed_in: at, ..believed() }
}

fn methods(list: &[(&str, u64)]) -> Value {
    let entries: Vec<Value> =
        list.iter().map(|(method, ago)| json!({ "method": method, "timestamp": NOW - ago })).collect();
    json!({ "amr": entries })
}

fn at(level: &str, list: &[(&str, u64)]) -> Value {
    let mut claims = methods(list);
    claims["aal"] = json!(level);
    claims
}

#[test]
fn supabase_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("a code a minute ago, a password before", json!({}), Proves(believed())),
        (
            "the first level, whatever the methods",
            at("aal1", &[("totp", 60), ("password", 900)]),
            Proves(one_factor(Some(NOW - 60))),
        ),
        (
            "the second level without a second factor",
            methods(&[("password", 900)]),
            Proves(one_factor(Some(NOW - 900))),
        ),
        (
            "a code by e-mail is a first factor",
            methods(&[("otp", 5), ("password", 900)]),
            Proves(one_factor(Some(NOW - 5))),
        ),
        ("a passkey alone", at("aal1", &[("passkey", 5)]), Proves(one_factor(Some(NOW - 5)))),
        ("a passkey alone that says to be more", at("aal2", &[("passkey", 5)]), Proves(one_factor(Some(NOW - 5)))),
        (
            "the newest second factor counts",
            methods(&[("totp", 3_600), ("mfa/phone", 30), ("password", 10)]),
            Proves(Proved { two: Some(Some(NOW - 30)), signed_in: Some(NOW - 10), ..believed() }),
        ),
        (
            "a key that signs for the page",
            methods(&[("mfa/webauthn", 30), ("password", 90)]),
            Proves(Proved { two: Some(Some(NOW - 30)), unphishable: true, signed_in: Some(NOW - 30), ..believed() }),
        ),
        (
            "a code after the key is a newer proof of less",
            methods(&[("totp", 30), ("mfa/webauthn", 3_600)]),
            Proves(Proved { two: Some(Some(NOW - 30)), signed_in: Some(NOW - 30), ..believed() }),
        ),
        (
            "a refresh is no sign-in",
            methods(&[("token_refresh", 0), ("totp", 60), ("password", 900)]),
            Proves(believed()),
        ),
        (
            "methods as texts have no age",
            json!({ "amr": ["totp", "password"] }),
            Proves(Proved { two: Some(None), signed_in: None, ..believed() }),
        ),
        ("texts without a second factor", json!({ "amr": ["password"] }), Proves(one_factor(None))),
        (
            "a list of both forms is of unknown age where it matters",
            json!({ "amr": ["totp", { "method": "password", "timestamp": NOW }] }),
            Proves(Proved { two: Some(None), signed_in: Some(NOW), ..believed() }),
        ),
        ("an entry without a time", json!({ "amr": [{ "method": "totp" }] }), Proves(one_factor(None))),
        ("a time as a text", json!({ "amr": [{ "method": "totp", "timestamp": NOW.to_string() }] }), Refused("`amr`")),
        (
            "a time in milliseconds",
            json!({ "amr": [{ "method": "totp", "timestamp": NOW * 1_000 }] }),
            Refused("`amr`"),
        ),
        ("no methods", json!({ "amr": null }), Proves(one_factor(None))),
        (
            "words of RFC 8176 are not Supabase's",
            json!({ "amr": ["mfa"], "acr": "aal2", "auth_time": NOW }),
            Proves(one_factor(None)),
        ),
        (
            "what people write themselves is no tenant",
            json!({ "app_metadata": { "roles": ["provider"] } }),
            Proves(Proved { tenant: None, roles: vec![], ..believed() }),
        ),
        (
            "what people write themselves is no role",
            json!({ "app_metadata": { "clinic": "clinic-a" } }),
            Proves(Proved { roles: vec![], ..believed() }),
        ),
        ("somebody anonymous", json!({ "is_anonymous": true }), Refused("anonymously")),
        ("somebody perhaps anonymous", json!({ "is_anonymous": "false" }), Refused("anonymously")),
        ("the key of all pages", json!({ "role": "anon", "aud": "authenticated" }), Refused("`role`")),
        ("the key of servers", json!({ "role": "service_role" }), Refused("`role`")),
        ("no role", json!({ "role": null }), Refused("`role`")),
        ("an ID token for another program", json!({ "aud": "client-1" }), Refused("`aud`")),
        ("another project", json!({ "iss": "https://other.supabase.co/auth/v1" }), Refused("`iss`")),
        ("bound to a key", json!({ "cnf": {} }), Refused("`cnf`")),
        (
            "a program of others, for the person",
            json!({ "client_id": "9a8b7c6d", "scope": "openid" }),
            Refused("`clients`"),
        ),
        ("a program of no name", json!({ "client_id": "" }), Refused("`clients`")),
        ("a program of another form", json!({ "client_id": ["9a8b7c6d"] }), Refused("`clients`")),
    ]);
}

#[test]
fn supabase_lets_programs_in_that_are_listed() {
    let row = Row::new(&format!("{KEYS}\nclients: [9a8b7c6d]"), good());
    row.holds(vec![
        ("the person's own pages", json!({}), Proves(believed())),
        ("the program that is listed", json!({ "client_id": "9a8b7c6d" }), Proves(believed())),
        ("another one", json!({ "client_id": "11111111" }), Refused("`clients`")),
        ("one of another form", json!({ "client_id": ["9a8b7c6d"] }), Refused("`clients`")),
        ("`azp` is not Supabase's way", json!({ "client_id": "11111111", "azp": "9a8b7c6d" }), Refused("`clients`")),
    ]);
    // Conditions and the record can tell it from the person's own pages.
    let client = |changes| row.judged(&changes).unwrap().client;
    assert_eq!(client(json!({ "client_id": "9a8b7c6d" })).as_deref(), Some("9a8b7c6d"));
    assert_eq!(client(json!({})), None);
}
