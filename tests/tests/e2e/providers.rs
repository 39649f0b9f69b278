//! Several providers beside each other: for whose tenants each of them speaks.

use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Files, Gate, Setup};
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
