//! Several providers beside each other: for whose tenants each of them speaks, and what the application is told of whom.

use e2e::app::App;
use e2e::client::{BOTH, Client, Protocol};
use e2e::gate::{Files, Gate, Setup};
use e2e::issuer::ISSUER;
use e2e::raw::Raw;
use serde_json::json;

const CLAIMS: &str = "claims: { tenant: org_id, roles: roles }";

/// A gate's provider with `ours`, and another one with `theirs`, each one key or more.
fn setup(ours: &str, theirs: &str) -> Setup {
    let other = "issuer: https://other.example/\n    audience: [other]\n    jwks: { file: jwks.json }";
    Setup { provider: format!("{ours}\n  other:\n    {other}\n    {theirs}"), ..Setup::default() }
}

fn by_tenants(ours: &str, theirs: &str) -> Setup {
    setup(&format!("{CLAIMS}\n    {ours}"), &format!("{CLAIMS}\n    {theirs}"))
}

/// A token of each of the two providers for Ada, in `tenant`.
fn tokens(gate: &Gate, tenant: &str) -> [String; 2] {
    let theirs = json!({ "iss": "https://other.example/", "aud": "other", "org_id": tenant });
    [gate.issuer().changed(json!({ "org_id": tenant })), gate.issuer().changed(theirs)]
}

/// What is told of a configuration: its faults, or else its warnings.
fn told(setup: &Setup) -> Result<String, String> {
    told_of(&Files::write(setup, "127.0.0.1:9".parse().unwrap()))
}

fn told_of(files: &Files) -> Result<String, String> {
    match anteroom::config::prepare(&files.path("config.yaml")) {
        Ok(plan) => Ok(policy::render(&plan.warnings, &plan.sources, false)),
        Err(faults) => Err(policy::render(&faults.diagnostics, &faults.sources, false)),
    }
}

#[tokio::test]
async fn the_token_of_one_provider_speaks_for_no_tenant_of_the_other() {
    for (ours, theirs, passes) in [
        ("tenants: [a]", "tenants: [b]", [("a", [true, false]), ("b", [false, true])]),
        ("tenants: [a, b]", "tenants: [b]", [("a", [true, false]), ("b", [true, true])]),
        ("tenants: any", "tenants: any", [("a", [true, true]), ("b", [true, true])]),
    ] {
        let gate = Gate::start(by_tenants(ours, theirs), App::plain());
        let mut client = Client::open(&gate, Protocol::Http2).await;
        for (tenant, passes) in passes {
            for (token, passes) in tokens(&gate, tenant).iter().zip(passes) {
                let answer = client.get("/me", token).await;
                let case = format!("{ours}, {theirs}: {tenant}");
                if passes {
                    assert_eq!(answer.status, 200, "{case}");
                    assert_eq!(gate.app.last().header("x-tenant-id"), Some(tenant), "{case}");
                } else {
                    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "NO_TENANT"), "{case}");
                }
            }
        }
    }
}

#[test]
fn each_of_several_providers_says_for_which_tenants_it_speaks() {
    let fixed = || setup("tenant: a", "tenant: b");
    let one_of_them = || setup("tenant: a", CLAIMS);
    let neither = || setup(CLAIMS, CLAIMS);
    for (setup, faults) in [(fixed(), 0), (one_of_them(), 1), (neither(), 2), (by_tenants("tenants: any", ""), 1)] {
        let shown = told(&setup).err().unwrap_or_default();
        let count = shown.matches("nothing says which tenants this provider may speak for").count();
        assert_eq!(count, faults, "{}\n{shown}", setup.provider);
        assert_eq!(shown.matches("write `tenants: any` where").count(), faults, "{shown}");
    }
    // The only one has nobody to speak for but its own.
    assert_eq!(told(&Setup::default()), Ok(String::new()));
    // A directory that alone says it leaves nothing for tokens to say; one that leaves it to the token does.
    let people = "apiVersion: anteroom.dev/v1\nkind: Directory\nsubjects: { clinic: {} }\n";
    for (more, passes) in [("", true), (", when_missing: token", false), (", providers: [clinic]", false)] {
        let files = vec![("people.yaml", people.to_owned())];
        let more = format!("directory: {{ file: people.yaml{more} }}\n");
        assert_eq!(told(&Setup { more: more.clone(), files, ..neither() }).is_ok(), passes, "{more}");
    }
}

const TOLD: &str = "{ identity: { issuer: X-User-Issuer } }";

#[tokio::test]
async fn people_of_one_name_at_two_providers_are_told_apart() {
    let setup = by_tenants("tenants: any", "tenants: any");
    let gate = Gate::start(Setup { headers: TOLD.to_owned(), ..setup }, App::plain());
    for protocol in BOTH {
        let mut client = Client::open(&gate, protocol).await;
        for (token, issuer) in tokens(&gate, "a").iter().zip([ISSUER, "https://other.example/"]) {
            let bearer = format!("Bearer {token}");
            let lie = [("authorization", bearer.as_str()), ("x-user-issuer", "https://lie.example/")];
            assert_eq!(client.ask("GET", "/me", &lie).await.status, 200);
            let seen = gate.app.last();
            assert_eq!(seen.header("x-user-id"), Some("ada.example"));
            assert_eq!(seen.header("x-user-issuer"), Some(issuer));
            assert!(!seen.head.contains("lie.example"), "{}", seen.head);
        }
        // Of nobody, nothing is told.
        assert_eq!(client.ask("GET", "/open/x", &[("x-user-issuer", "https://lie.example/")]).await.status, 200);
        assert_eq!(gate.app.last().header("x-user-issuer"), None);
    }
}

#[tokio::test]
async fn no_spelling_of_the_issuer_passes() {
    let app = ", unclear_headers: strip".to_owned();
    let gate = Gate::start(Setup { app, headers: TOLD.to_owned(), ..Setup::default() }, App::plain());
    let token = gate.issuer().ada();
    let mut raw = Raw::open(&gate).await;
    for spelling in
        ["X-User-Issuer", "x-user-issuer", "X_User_Issuer", "x.user.issuer", "X-User_Issuer", "x~user~issuer"]
    {
        for (path, credential, issuer) in
            [("/me", format!("authorization: Bearer {token}\r\n"), Some(ISSUER)), ("/open/x", String::new(), None)]
        {
            let head = format!("GET {path} HTTP/1.1\r\nhost: clinic.example\r\n{credential}{spelling}: evil\r\n\r\n");
            assert_eq!(raw.ask(head).await.unwrap().status(), 200, "{spelling}");
            let seen = gate.app.last();
            assert_eq!(seen.header("x-user-issuer"), issuer, "{spelling} on {path}");
            assert!(!seen.head.contains("evil"), "{spelling} on {path}:\n{}", seen.head);
        }
    }
    let body =
        "trailer: X-User-Issuer\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-User-Issuer: evil\r\n\r\n";
    let head = format!("POST /me HTTP/1.1\r\nhost: clinic.example\r\nauthorization: Bearer {token}\r\n{body}");
    assert_eq!(raw.ask(head).await.unwrap().status(), 200);
    let seen = e2e::until("the body to be read", || Some(gate.app.last()).filter(|seen| !seen.body.is_empty()));
    assert_eq!((seen.trailers.as_str(), seen.header("x-user-issuer")), ("", Some(ISSUER)));
}

#[tokio::test]
async fn the_issuer_is_told_only_where_that_is_written() {
    let gate = Gate::plain();
    let mut client = Client::open(&gate, Protocol::Http1).await;
    assert_eq!(client.get("/me", &gate.issuer().ada()).await.status, 200);
    assert!(!gate.app.last().head.contains(ISSUER), "{}", gate.app.last().head);
}

#[test]
fn check_warns_where_people_of_several_are_not_told_apart() {
    let says = |shown: Result<String, String>| {
        let shown = shown.unwrap();
        let warns = shown.contains("told to the application as the same person");
        assert_eq!(warns, !shown.is_empty(), "{shown}");
        warns
    };
    let warned = |setup: Setup| says(told(&setup));
    let session = ", session: { cookies: [sid], whoami: { path: /api/whoami, tenant: a, claims: { subject: /id } } }";
    let whoami = || Setup { app: session.to_owned(), ..Setup::default() };
    assert!(!warned(Setup::default()));
    assert!(warned(setup("tenant: a", "tenant: b")));
    assert!(warned(whoami()));
    for one in [setup("tenant: a", "tenant: b"), whoami()] {
        assert!(!warned(Setup { headers: TOLD.to_owned(), ..one }));
    }
    let setup = Setup::default();
    let files = Files::write(&setup, "127.0.0.1:9".parse().unwrap());
    let people = "identity: { provider: people, name: email, callers: { ada@clinic.example: { tenant: a } } }";
    for (identity, warns) in [(people, true), ("mode: required", false)] {
        let asked = format!("tls: {{ client_certificates: {{ ca: ca.pem, {identity} }}, ");
        let config = e2e::gate::config(&setup, "127.0.0.1:9".parse().unwrap()).replace("tls: { ", &asked);
        files.put("config.yaml", &config);
        assert_eq!(says(told_of(&files)), warns, "{identity}");
    }
}

#[test]
fn the_issuer_has_a_header_of_its_own() {
    for (name, said) in [("X-User-Id", "would carry two things"), ("X_Issuer", "cannot be an identity header")] {
        let headers = format!("{{ identity: {{ issuer: {name} }} }}");
        let shown = told(&Setup { headers, ..Setup::default() }).unwrap_err();
        assert!(shown.contains(said), "{shown}");
    }
}
