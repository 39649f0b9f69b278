//! `anteroom explain` says what a gate does: the same end for the same request, and the step at which it ended.

use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Files, Gate, Setup};
use e2e::process::{Said, run};
use serde_json::{Value, json};

fn files() -> Files {
    Files::write(&Setup::default(), "127.0.0.1:1".parse().unwrap())
}

fn explained(files: &Files, arguments: &[&str]) -> Said {
    let config = files.path("config.yaml");
    let mut all = vec!["explain", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    run(files.root(), &all)
}

fn told(files: &Files, arguments: &[&str]) -> (Option<i32>, Value) {
    let said = explained(files, &[arguments, &["--format", "json"]].concat());
    (said.code, serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}")))
}

#[test]
fn each_end_is_told_with_the_step_it_came_from() {
    let files = files();
    let issuer = &files.issuer;
    let patient = json!({ "sub": "p", "org_id": "a", "roles": ["patient"], "patient": "p1" }).to_string();
    let record = "GET /api/patients/p2/records/7";
    let provider = ["--as-role", "provider", "--tenant", "a"];
    for (arguments, code, decision, reason, step) in [
        (vec!["GET /"], 0, "allow", json!(null), "demand"),
        (vec!["GET /api/../x"], 3, "deny", json!("BAD_PATH"), "request"),
        (vec!["GET /", "--header", "host: elsewhere.example"], 3, "deny", json!("BAD_HOST"), "request"),
        (vec!["GET /nowhere"], 3, "deny", json!("NO_ROUTE"), "route"),
        (vec!["PUT /me"], 3, "deny", json!("METHOD_NOT_ALLOWED"), "method"),
        (vec![record], 3, "deny", json!("NO_CREDENTIAL"), "caller"),
        (vec![record, "--token", "a.b.c"], 3, "deny", json!("TOKEN_INVALID"), "credential"),
        (vec![record, "--token", &issuer.forged()], 3, "deny", json!("TOKEN_INVALID"), "credential"),
        (vec![record, "--token", &issuer.ada(), "--at", "9999999999"], 3, "deny", json!("TOKEN_EXPIRED"), "credential"),
        (vec![record, "--token", &issuer.ada()], 0, "allow", json!(null), "scope"),
        (
            vec![record, "--token", &issuer.ada(), "--header", "x-clinic: b"],
            3,
            "deny",
            json!("TENANT_MISMATCH"),
            "tenant",
        ),
        (vec![record, "--claims", &patient], 3, "deny", json!("NOT_OWN"), "scope"),
        (vec!["GET /api/patients/p1/records/7", "--claims", &patient], 0, "allow", json!(null), "scope"),
        ([&[record][..], &provider[..]].concat(), 0, "allow", json!(null), "scope"),
        (vec![record, "--as-role", "provider"], 3, "deny", json!("NO_TENANT"), "tenant"),
        (vec![record, "--as-binding", "a=provider", "--as-binding", "b="], 3, "deny", json!("NO_TENANT"), "tenant"),
        (vec!["POST /api/rx/7/sign", "--token", &issuer.ada()], 3, "deny", json!("CONDITION"), "condition"),
        (vec!["POST /open/x", "--header", "cookie: a=b"], 3, "deny", json!("CROSS_SITE"), "site"),
        (
            vec!["POST /open/x", "--header", "cookie: a=b", "--header", "origin: https://clinic.example"],
            0,
            "allow",
            json!(null),
            "demand",
        ),
        (
            vec![
                "OPTIONS /open/x",
                "--header",
                "origin: https://x.example",
                "--header",
                "access-control-request-method: GET",
            ],
            3,
            "deny",
            json!("CROSS_SITE"),
            "preflight",
        ),
        (
            vec!["GET /api/watched/p1", "--as-role", "front_desk", "--tenant", "a"],
            0,
            "observe",
            json!("NOT_GRANTED"),
            "roles",
        ),
    ] {
        let (exit, told) = told(&files, &arguments);
        let last = told["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (exit, &told["decision"], &told["code"], &last["step"]),
            (Some(code), &json!(decision), &reason, &json!(step)),
            "{arguments:?}: {told:#}"
        );
        assert_eq!(last["outcome"] == "ended", decision != "allow", "{arguments:?}");
    }
}

#[test]
fn the_finer_fault_the_wider_routes_and_the_remedy_are_told() {
    let files = files();
    let said = explained(&files, &["GET /me", "--token", &files.issuer.forged()]);
    assert!(said.out.contains("x credential  the signature does not verify"), "{said:?}");
    assert!(
        said.out.contains("denied: 401 TOKEN_INVALID") && said.out.contains("Look up the finer reason"),
        "{said:?}"
    );
    let said = explained(&files, &["GET /open/x"]);
    assert!(
        said.out.contains("`open` (/open/**), the only one that fits") && said.out.ends_with("\nallowed\n"),
        "{said:?}"
    );
}

#[test]
fn what_cannot_be_asked_is_said() {
    let files = files();
    for arguments in [
        &["GET"][..],
        &["GET /", "--header", "x"],
        &["GET /", "--claims", "[]"],
        &["GET /", "--as-role", "x", "--tenant", "a b"],
        &["GET /", "--as-role", "x", "--as-binding", "a=x"],
        &["GET /", "--as-binding", "a"],
        &["GET /", "--as-binding", "a=x", "--as-binding", "a=y"],
        &["GET /", "--amr", "pwd"],
        &["GET /", "--as-role", "x", "--provider", "none"],
        &["GET /", "--claims", "{}"],
        &["GET /", "--token", "x", "--as-role", "y"],
    ] {
        let said = explained(&files, arguments);
        assert_eq!(said.code, Some(2), "{arguments:?} {said:?}");
        assert!(said.err.starts_with("error: ") && said.out.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn a_gate_does_what_is_explained() {
    let gate = Gate::start(Setup::default(), App::plain());
    let mut client = Client::open(&gate, Protocol::Http2).await;
    let issuer = gate.issuer();
    let tokens =
        [issuer.ada(), issuer.token("frida.example", "a", &["front_desk"]), issuer.token("x", "", &["provider"])];
    for path in
        ["/", "/me", "/api/patients/p1/records/7", "/api/clinics/b/labs", "/api/clinics/a/labs", "/nowhere", "/a//b"]
    {
        for token in &tokens {
            let answer = client.get(path, token).await;
            let (_, told) = told(&gate.files, &[&format!("GET {path}"), "--token", token]);
            let code = told["code"].as_str().unwrap_or_default();
            assert_eq!(answer.code(), code, "{path}");
            if !code.is_empty() {
                assert_eq!(told["status"], answer.status.as_u16(), "{path}");
            }
        }
    }
}

#[test]
fn a_certificate_is_judged_as_a_handshake_judges_it() {
    let day = |days| certs::dev::Validity::days(crate::handshakes::now(), days);
    let authority = certs::dev::DevCa::generate(day(30)).unwrap();
    let stranger = certs::dev::DevCa::generate(day(30)).unwrap();
    let identity = "identity: { provider: devices, name: spiffe, callers: { \
                    \"spiffe://clinic.example/devices/**\": { tenant: a, roles: [provider] } } }";
    let app = App::plain();
    let asking = format!("client_certificates: {{ mode: optional, ca: clients.pem, {identity} }}");
    let files = crate::handshakes::with_tls(&Setup::default(), &asking, &app);
    files.put("clients.pem", authority.ca_pem());
    let issue = |ca: &certs::dev::DevCa, name: &str, file: &str| {
        let uri = format!("spiffe://clinic.example/{name}");
        let pair = ca.issue_client(&[certs::dev::ClientName::Uri(&uri)], day(2)).unwrap();
        files.put(file, &pair.cert_pem);
    };
    issue(&authority, "devices/7", "seven.pem");
    issue(&authority, "people/7", "nobody.pem");
    issue(&stranger, "devices/7", "stranger.pem");
    let record = "GET /api/patients/p2/records/7";
    let ada = files.issuer.ada();
    for (arguments, code, reason, step) in [
        (vec!["--certificate", "seven.pem"], 0, json!(null), "scope"),
        (vec!["--certificate", "seven.pem", "--at", "9999999999"], 3, json!("TOKEN_EXPIRED"), "credential"),
        (vec!["--certificate", "nobody.pem"], 3, json!("TOKEN_INVALID"), "credential"),
        (vec!["--certificate", "stranger.pem"], 3, json!("TOKEN_INVALID"), "credential"),
        // A token wins, good or bad.
        (vec!["--certificate", "stranger.pem", "--token", &ada], 0, json!(null), "scope"),
        (vec!["--certificate", "seven.pem", "--token", "a.b.c"], 3, json!("TOKEN_INVALID"), "credential"),
    ] {
        let (exit, told) = told(&files, &[&[record], &arguments[..]].concat());
        let last = told["steps"].as_array().unwrap().last().unwrap();
        assert_eq!((exit, &told["code"], &last["step"]), (Some(code), &reason, &json!(step)), "{arguments:?}: {told}");
    }
    for (file, says) in [("nothing.pem", "cannot read"), ("config.yaml", "no certificate")] {
        let said = explained(&files, &[record, "--certificate", file]);
        assert!(said.code == Some(2) && said.err.contains(says), "{said:?}");
    }
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    files.put("config.yaml", &config.replace("mode: optional", "mode: required"));
    let (exit, told) = told(&files, &["GET /"]);
    assert_eq!((exit, &told["code"]), (Some(3), &json!("NO_CREDENTIAL")), "the handshake would fail: {told}");
}
