//! What a preset demands, what it fills in, and that everything written wins.

use std::path::Path;

use e2e::gate::{Files, Setup};

use super::any_tenant;

/// The files of a gate with the provider `keys` beside another.
fn files(keys: &str) -> Files {
    let lines: Vec<String> = keys.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}")).collect();
    let provider = format!("tenant: a\n  row:\n{}{}", lines.join("\n"), any_tenant(keys));
    let headers = "{ identity: { issuer: X-User-Issuer } }".to_owned();
    Files::write(&Setup { provider, headers, ..Setup::default() }, "127.0.0.1:9".parse().unwrap())
}

/// What is wrong with a configuration, as a person sees it; empty where nothing is.
fn faults(config: &Path) -> String {
    match anteroom::config::prepare(config) {
        Ok(_) => String::new(),
        Err(faults) => policy::render(&faults.diagnostics, &faults.sources, false),
    }
}

const SUPABASE: &str = "preset: supabase\nissuer: https://abcdefghij.supabase.co/auth/v1";
const AUTH0: &str = "preset: auth0\nissuer: https://clinic.eu.auth0.com/\naudience: [api]";
const CLERK: &str = "preset: clerk\nissuer: https://clerk.clinic.example\nclients: [https://clinic.example]";
const KEYCLOAK: &str = "preset: keycloak\nissuer: https://id.clinic.example/realms/clinic";
const OKTA: &str = "preset: okta\nissuer: https://clinic.okta.com/oauth2/default\naudience: [\"api://default\"]";
const COGNITO: &str =
    "preset: cognito\nissuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE\nclients: [web]";
const FIREBASE: &str = "preset: firebase\nissuer: https://securetoken.google.com/clinic-1";
const ENTRA: &str = "preset: entra\nissuer: https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0\naudience: [api]";
const GENERIC: &str = "issuer: https://issuer.example\njwks: { file: jwks.json }";

#[test]
fn naming_a_provider_is_nearly_enough() {
    for keys in [
        AUTH0.to_owned(),
        CLERK.to_owned(),
        format!("{KEYCLOAK}\naudience: [clinic-api]\nclients: [web]\ntenant: clinic-a"),
        format!("{KEYCLOAK}\naudience: [clinic-api]\nclients: [web]\nclaims: {{ bindings: groups }}"),
        format!("{KEYCLOAK}\naudience: [clinic-api]\nclients: [web]\nclaims: {{ roles: /realm_access/roles }}"),
        format!("{KEYCLOAK}\naudience: [clinic-api]\nclients: [web]\nclaims: {{ tenant: clinic }}"),
        format!("{OKTA}\nclaims: {{ tenant: clinic }}"),
        ENTRA.to_owned(),
        format!("{COGNITO}\ntenant: clinic-a"),
        FIREBASE.to_owned(),
        format!("{SUPABASE}\nclaims: {{ tenant: /app_metadata/clinic }}"),
        format!("{AUTH0}\nleeway: 60s"),
    ] {
        assert_eq!(faults(&files(&keys).path("config.yaml")), "", "{keys}");
    }
}

#[test]
fn what_a_preset_cannot_know_has_to_be_written() {
    for (keys, said) in [
        ("preset: auth0\nissuer: https://clinic.eu.auth0.com/".to_owned(), "the identifier of the API at Auth0"),
        ("preset: auth0\nissuer: https://clinic.eu.auth0.com\naudience: [api]".to_owned(), "with the slash at its end"),
        ("preset: clerk\nissuer: https://clerk.clinic.example".to_owned(), "list the origins of your pages"),
        (format!("{CLERK}x\nclients: []").replace("\nclients: [https://clinic.example]x", ""), "`clients` needs 1 to"),
        (format!("{KEYCLOAK}\naudience: [clinic-api]"), "list the realm's clients"),
        (format!("{KEYCLOAK}\nclients: [web]"), "the audience that a mapper of the realm"),
        (format!("{KEYCLOAK}\nclients: [web]\naudience: [account]"), "every token of the realm has the audience"),
        (
            format!("{KEYCLOAK}\nclients: [web]\naudience: [clinic-api]"),
            "people pick `organization` themselves, and nothing says which roles",
        ),
        (
            format!("{KEYCLOAK}\nclients: [web]\naudience: [clinic-api]\nclaims: {{ tenant: /organization/0 }}"),
            "claims: { bindings: groups }",
        ),
        (
            format!("{KEYCLOAK}\nclients: [web]\naudience: [clinic-api]\nacr: {{ mfa: [\"0\"] }}"),
            "`0` of Keycloak proves no second factor",
        ),
        (OKTA.to_owned(), "add a claim to the authorization server"),
        ("preset: okta\nissuer: https://clinic.okta.com\naudience: [x]\ntenant: a".to_owned(), "for Okta alone"),
        (
            format!("{OKTA}\ntenant: a\nacr: {{ mfa: [\"urn:okta:loa:2fa:any:ifpossible\"] }}"),
            "proves no second factor",
        ),
        (
            "preset: cognito\nissuer: https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE\ntenant: a"
                .to_owned(),
            "list the app clients",
        ),
        (COGNITO.to_owned(), "cognito:groups"),
        (
            "preset: entra\nissuer: https://login.microsoftonline.com/common/v2.0\naudience: [api]".to_owned(),
            "nobody's issuer",
        ),
        (
            "preset: firebase\nissuer: https://session.firebase.google.com/clinic-1".to_owned(),
            "published as certificates",
        ),
        (SUPABASE.to_owned(), "/app_metadata/clinic"),
        (format!("{SUPABASE}\nclaims: {{ tenant: /user_metadata/clinic }}"), "write about themselves"),
        (format!("{SUPABASE}\nclaims: {{ tenant: a, npi: /user_metadata/npi }}"), "write about themselves"),
        (format!("{CLERK}\nclaims: {{ roles: /unsafe_metadata/roles }}"), "write about themselves"),
        (format!("{ENTRA}\nclaims: {{ subject: upn }}"), "somebody else's one day"),
        (format!("{AUTH0}\nclaims: {{ subject: email }}"), "somebody else's one day"),
        (format!("{AUTH0}\nclaims: {{ auth_time: iat }}"), "`iat` is a time of the token"),
        (format!("{GENERIC}\naudience: [a]\ntenant: a\nclaims: {{ auth_time: /exp }}"), "`exp` is a time of the token"),
        (format!("{AUTH0}\nclaims: {{ auth_time: \"https://clinic.example/nbf\" }}"), "is a time of the token"),
        (format!("{AUTH0}\nclaims: {{ session: jti }}"), "`jti` is another one in each token"),
        (format!("{AUTH0}\nclaims: {{ session: nonce }}"), "`nonce` is another one in each token"),
        (format!("{CLERK}\nclaims: {{ session: /iat }}"), "`iat` is another one in each token"),
        (format!("{ENTRA}\nclaims: {{ session: uti }}"), "`uti` is another one in each token"),
        (format!("{GENERIC}\ntenant: a"), "the name by which the issuer knows your API"),
        (format!("{GENERIC}\naudience: []\ntenant: a"), "`audience` needs 1 to"),
        (format!("{GENERIC}\naudience: [a]"), "nothing says which tenant"),
        (format!("{GENERIC}\naudience: [a]\ntenant: a\nkinds: [access]"), "nothing tells kinds of tokens"),
        (format!("{AUTH0}\nkinds: [id]"), "only some kinds"),
        (format!("{AUTH0}\nkinds: []"), "only some kinds"),
        (format!("{AUTH0}\nalgorithms: []"), "`algorithms` lists nothing"),
        (format!("{AUTH0}\ntypes: []"), "`types` lists nothing"),
        (format!("{GENERIC}\naudience: [a]\ntenant: a\nalgorithms: []"), "`algorithms` lists nothing"),
        (format!("{AUTH0}\nallow_anonymous: true"), "`supabase` and `firebase`"),
        (format!("{FIREBASE}\nclients: [web]"), "do not say who asked"),
        (format!("{GENERIC}\naudience: [a]\ntenants: []\ntenant: a"), "`tenants` has 0 entries"),
        (format!("{GENERIC}\naudience: [a]\ntenants: [b]\ntenant: a"), "not one of `tenants`"),
        (format!("{GENERIC}\naudience: [a]\ntenants: [\"b c\"]\nclaims: {{ tenant: t }}"), "no name for a tenant"),
        (format!("{GENERIC}\naudience: [a]\ntenants: clinic-a\nclaims: {{ tenant: t }}"), "a list stands in brackets"),
        (
            "issuer: \"https://issuer.example \"\njwks: { file: jwks.json }\naudience: [a]\ntenant: a".to_owned(),
            "no spaces at its ends",
        ),
        (format!("{GENERIC}\naudience: [a]\nclaims: {{ bindings: b, roles: r }}"), "exclude each other"),
        (format!("{GENERIC}\naudience: [a]\ntenant: a\nclaims: {{ bindings: b }}"), "exclude each other"),
        (
            format!("{GENERIC}\naudience: [a]\ntenant: a\ntoken: [{{ cookie_chunks: \"a b\" }}]"),
            "no token can be in this place",
        ),
    ] {
        let shown = faults(&files(&keys).path("config.yaml"));
        assert!(shown.contains(said), "{keys}\n{said}\n{shown}");
    }
}

/// The provider `row` of `config --effective`.
fn effective(keys: &str) -> String {
    let files = files(keys);
    let loaded = anteroom::config::load(&files.path("config.yaml")).unwrap();
    policy::to_yaml(&loaded.config.providers["row"]).unwrap()
}

#[test]
fn everything_that_is_filled_in_can_be_seen() {
    let shown = effective(&format!("{SUPABASE}\nclaims: {{ tenant: /app_metadata/clinic }}"));
    for part in [
        "preset: supabase",
        "authenticated",
        "sb-abcdefghij-auth-token",
        "cookie_chunks",
        "https://abcdefghij.supabase.co/auth/v1/.well-known/jwks.json",
        "ES256",
        "RS256",
        "factors: supabase",
        "session: session_id",
        "roles: /app_metadata/roles",
        "subject: sub",
        "leeway: 30s",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(effective(CLERK).contains("leeway: 5s"));
    assert!(effective(&format!("{OKTA}\ntenant: a")).contains("urn:okta:loa:2fa:any"));
}

#[test]
fn what_is_written_wins() {
    let more = "claims: { tenant: /app_metadata/clinic, roles: /app_metadata/kind, session: sid }
secret: { file: pseudonym.key }
audience: [mine]
leeway: 1s
token: [{ header: authorization }]
factors: none
types: [at+jwt]";
    let shown = effective(&format!("{SUPABASE}\n{more}"));
    for part in ["/app_metadata/kind", "session: sid", "mine", "leeway: 1s", "factors: none", "at+jwt"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    for part in ["jwks", "ES256", "cookie", "authenticated", "session_id"] {
        assert!(!shown.contains(part), "{part}\n{shown}");
    }
    let private = effective(&format!("{CLERK}\njwks: {{ private: [10.0.0.0/8], last_good: 2h }}"));
    for part in ["10.0.0.0/8", "last_good: 2h", "https://clerk.clinic.example/.well-known/jwks.json"] {
        assert!(private.contains(part), "{part}\n{private}");
    }
    let discovered = effective(&format!("{CLERK}\ndiscovery: {{ private: [10.0.0.0/8] }}"));
    assert!(!discovered.contains("jwks.json"), "{discovered}");
    let fixed = effective(&format!("{AUTH0}\ntenant: a"));
    assert!(!fixed.contains("org_id") && fixed.contains("permissions"), "{fixed}");
    let each = effective(&format!("{COGNITO}\nclaims: {{ bindings: \"cognito:groups\" }}"));
    assert!(!each.contains("roles:"), "{each}");
}

#[test]
fn nobody_is_identified_by_what_passes_to_somebody_else() {
    let subject = |path: &str| {
        let keys = format!("{GENERIC}\naudience: [a]\ntenant: a\nclaims: {{ subject: \"{path}\" }}");
        faults(&files(&keys).path("config.yaml"))
    };
    for path in [
        "email",
        "Email",
        "mail",
        "emails",
        "e-mail",
        "emailAddress",
        "user_email",
        "verified_primary_email",
        "/emails/0",
        "/firebase/identities/email/0",
        "/firebase/identities/phone/0",
        "https://clinic.example/email",
        "https://clinic.example/claims#email",
        "/https:~1~1clinic.example~1email",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "username",
        "cognito:username",
        "preferred_username",
        "/o/username",
        "/profile/login",
        "login_hint",
        "upn",
        "userPrincipalName",
        "onprem_sam_account_name",
        "unique_name",
        "name",
        "nickname",
        "phone_number",
    ] {
        let shown = subject(path);
        assert!(shown.contains("can be somebody else's one day"), "{path}\n{shown}");
    }
    for path in ["sub", "oid", "uid", "/app_metadata/person", "https://clinic.example/id", "https://mail.example/sub"] {
        assert_eq!(subject(path), "", "{path}");
    }
}

#[test]
fn attributes_that_people_may_write_are_warned_of() {
    let warnings = |claims: &str| {
        let files = files(&format!("{COGNITO}\nkinds: [id]\nclaims: {claims}"));
        let plan = anteroom::config::prepare(&files.path("config.yaml")).unwrap();
        policy::render(&plan.warnings, &plan.sources, false)
    };
    for claims in [
        "{ tenant: \"custom:clinic\" }",
        "{ bindings: \"custom:clinics\" }",
        "{ bindings: \"cognito:groups\", npi: \"custom:npi\" }",
        "{ tenant: profile }",
        "{ tenant: /address/region }",
    ] {
        let shown = warnings(claims);
        assert!(shown.starts_with("warning") && shown.contains("may let people write themselves"), "{claims}\n{shown}");
    }
    assert_eq!(warnings("{ bindings: \"cognito:groups\" }"), "");
    // What is wrong beside it is told as ever.
    let files = files(&format!("{COGNITO}\nclaims: {{ tenant: \"custom:clinic\" }}\nalgorithms: [RS256, HS256]"));
    assert!(faults(&files.path("config.yaml")).contains("mixes shared secrets"));
}
