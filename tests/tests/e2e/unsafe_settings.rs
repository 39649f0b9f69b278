//! Settings that would let somebody in, or mean two things, are refused before the gate starts.

use e2e::gate::{Files, Setup};

fn faults(setup: &Setup) -> String {
    Files::write(setup, "127.0.0.1:3000".parse().unwrap()).faults()
}

#[test]
fn a_token_that_says_something_else_than_who_is_asking_is_no_way_in() {
    let claims = "claims: { tenant: org_id, roles: roles }";
    let of = |types: &str| Setup { provider: format!("{claims}\n    types: [{types}]"), ..Setup::default() };
    for types in ["logout+jwt", "at+jwt, Application/LOGOUT+JWT", "secevent+jwt", "dpop+jwt", "token-introspection+jwt"]
    {
        let text = faults(&of(types));
        assert!(text.contains("do not say who is asking"), "{types}: {text}");
    }
    for types in ["\"*\"", "\"\"", "\"at jwt\"", "application/"] {
        let text = faults(&of(types));
        assert!(text.contains("is no type of a token"), "{types}: {text}");
    }
    let fine = Files::write(&of("JWT, at+jwt, application/vnd.clinic.v1+jwt"), "127.0.0.1:3000".parse().unwrap());
    assert!(anteroom::config::prepare(&fine.path("config.yaml")).is_ok());
}

#[test]
fn a_key_for_pseudonyms_is_drawn_by_somebody() {
    for key in ["k".repeat(64), format!("{}\n", "0".repeat(64)), "\0".repeat(32)] {
        let text = faults(&Setup { files: vec![("pseudonym.key", key.clone())], ..Setup::default() });
        assert!(text.contains("one byte again and again"), "{key:?}: {text}");
    }
}

#[test]
fn the_addresses_of_a_login_leave_to_the_gate_what_it_says_itself() {
    let of = |endpoint: &str| Setup {
        provider: format!(
            "claims: {{ tenant: org_id, roles: roles }}\n    \
             login: {{ client_id: gate, keys: {{ file: login.key }}, token_endpoint: https://clinic.example/token, {endpoint} }}"
        ),
        files: vec![("login.key", "0a1b".repeat(16))],
        ..Setup::default()
    };
    for field in ["state=x", "a=b&nonce=", "redirect_uri", "acr_values=urn:x", "st%61te=x"] {
        let text = faults(&of(&format!("authorization_endpoint: \"https://clinic.example/authorize?{field}\"")));
        assert!(text.contains("the gate says `"), "{field}: {text}");
    }
    let endpoints = "authorization_endpoint: \"https://clinic.example/authorize?organization=a&restated=1&response_mode=query\", \
                     end_session_endpoint: \"https://clinic.example/out?post_logout_redirect_uri=/\"";
    let text = faults(&of(endpoints));
    assert!(text.contains("the gate says `post_logout_redirect_uri`"), "{text}");
    assert_eq!(text.matches("the gate says").count(), 1, "{text}");
}
