//! `anteroom explain --token FILE`: what a token proves or why it proves nothing, in words that do not give it away.

use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::app::App;
use e2e::forge::{Forger, NOW};
use e2e::gate::{Files, Setup};
use e2e::process::{Said, binary, run};
use serde_json::{Value, json};

fn files() -> Files {
    Files::write(&Setup::default(), "127.0.0.1:1".parse().unwrap())
}

fn explained(files: &Files, token: &str, more: &[&str]) -> Said {
    files.put("token", token);
    let said = run(files.root(), &[&["explain", "--config", "config.yaml", "--token", "token"], more].concat());
    for part in token.trim().split('.').filter(|part| part.len() > 12) {
        assert!(!said.out.contains(part) && !said.err.contains(part), "a part of the token is shown: {said:?}");
    }
    assert!(!said.out.contains("ada.example"), "the subject is shown: {said:?}");
    said
}

fn last(files: &Files, token: &str, more: &[&str]) -> (Option<i32>, Value, Value) {
    let said = explained(files, token, &[&["--format", "json"], more].concat());
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    let step = told["steps"].as_array().unwrap().last().unwrap().clone();
    (said.code, told, step)
}

#[test]
fn a_good_token_is_told_step_by_step() {
    let files = files();
    let now = files.issuer.now;
    let token = files.issuer.changed(json!({
        "amr": ["pwd", "otp", "geo"], "auth_time": now - 300, "sid": "of-the-session", "jti": "of-the-token",
    }));
    let said = explained(&files, &format!("{token}\n"), &["--at", &(now + 10).to_string()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in [
        "  provider    `clinic`, whose issuer `iss` names",
        "  keys        1 to check with",
        "  algorithm   `alg` is `ES256`",
        "  signature   it is that key's",
        "  issuer      `iss` is `https://issuer.example/`, exactly",
        "  audience    `aud` is `https://api.clinic.example`",
        "  lifetime    59 min 50 s more",
        "  tenants     `a` as `provider`",
        "  factors     two, none that cannot be phished: `pwd` is something known, `otp` is something had, `geo` counts for \
         nothing; no listed context; 5 min 10 s ago",
        "  sign-in     its session has a name; the token has an id",
    ] {
        assert!(said.out.lines().any(|one| one == line), "no line {line:?} in:\n{}", said.out);
    }
    assert!(said.out.ends_with("\nbelieved\n") && !said.out.contains("of-the-"), "{}", said.out);
}

#[test]
fn what_it_does_not_prove_is_told_too() {
    let files = files();
    let said = explained(&files, &files.issuer.changed(json!({ "roles": null })), &[]);
    assert!(said.out.contains("\n  tenants     `a` without a role\n"), "{}", said.out);
    let said = explained(&files, &files.issuer.changed(json!({ "org_id": null })), &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for part in ["`NO_TENANT`", "not two: no method is named", "when is not said", "has no name"] {
        assert!(said.out.contains(part), "no {part:?} in:\n{}", said.out);
    }
}

#[test]
fn each_fault_is_told_in_words_with_what_it_looked_at() {
    let files = files();
    let issuer = &files.issuer;
    let now = issuer.now;
    let at = now.to_string();
    let good = issuer.ada();
    for (token, step, words) in [
        (issuer.forged(), "signature", "it was changed, or another key has signed it"),
        (issuer.tampered(), "signature", "it was changed"),
        (issuer.unsigned("none"), "form", "three parts"),
        (issuer.unsigned("none") + "AAAA", "algorithm", "it is `none`"),
        (issuer.confused(issuer.key.public_pem().as_bytes()), "key", "`alg` is `HS256`"),
        (issuer.changed(json!({ "iss": "https://issuer.example" })), "issuer", "the slash at the end counts"),
        (issuer.changed(json!({ "iss": null })), "issuer", "it is not there"),
        (issuer.changed(json!({ "aud": "account" })), "audience", "it is `account`, and taken are `https://api.clinic"),
        (issuer.changed(json!({ "exp": now - 90 })), "times", "1 min 30 s ago"),
        (
            issuer.changed(json!({ "exp": (now + 60).to_string() })),
            "times",
            "claim `exp` is missing, of the wrong type",
        ),
        (issuer.changed(json!({ "exp": now * 1_000 })), "times", "000"),
        (issuer.changed(json!({ "nbf": now + 600 })), "times", "10 min ahead"),
        (issuer.changed(json!({ "sub": 7 })), "claims", "claim `sub`"),
        (issuer.changed(json!({ "cnf": { "jkt": "x" } })), "rules", "it is bound to a key"),
        (format!("Bearer {good}"), "header", "the header is not canonical base64url"),
        (format!("{good}.x.y"), "form", "encrypted"),
        ("x".repeat(20_000), "form", "more than 16384 bytes"),
        ("\u{1b}[2Jnonsense".to_owned(), "form", "three parts"),
    ] {
        let (code, told, ended) = last(&files, &token, &["--at", &at]);
        assert_eq!((code, &told["decision"], &told["status"]), (Some(3), &json!("deny"), &json!(401)), "{told:#}");
        assert_eq!((&ended["step"], &ended["outcome"]), (&json!(step), &json!("ended")), "{told:#}");
        assert!(ended["says"].as_str().unwrap().contains(words), "{told:#}");
    }
    let (_, told, _) = last(&files, &issuer.changed(json!({ "exp": now - 90 })), &["--at", &at]);
    assert_eq!(told["code"], "TOKEN_EXPIRED");
}

#[test]
fn what_a_token_says_cannot_steer_the_terminal() {
    let files = files();
    let odd = "\u{1b}]0;owned\u{7}\r\n  believed\n".repeat(20);
    for claim in ["iss", "aud", "org_id", "roles", "amr"] {
        let said = explained(&files, &files.issuer.changed(json!({ claim: [odd] })), &[]);
        assert!(!said.out.contains(['\u{1b}', '\u{7}', '\r']) && !said.out.contains("\n  believed\n"), "{said:?}");
    }
}

#[test]
fn the_time_is_yours_and_the_keys_may_be_of_a_file() {
    let forger = Forger::new();
    let setup = Setup { files: vec![("jwks.json", forger.key_set().to_string())], ..Setup::default() };
    let files = Files::write(&setup, App::plain().address);
    let at = NOW.to_string();
    for good in forger.good() {
        assert_eq!(explained(&files, &good, &["--at", &at]).code, Some(0));
        let (code, _, ended) = last(&files, &good, &["--at", &(NOW + 86_400 + 300).to_string()]);
        assert_eq!((code, &ended["step"]), (Some(3), &json!("times")));
        assert!(ended["says"].as_str().unwrap().ends_with("1 d ago"), "{ended}");
    }
}

#[test]
fn among_several_providers_the_issuer_picks_the_judge() {
    let setup = Setup {
        provider: format!(
            "{}\n    tenants: any\n  kiosk:\n    issuer: https://kiosk.example/\n    audience: [kiosk]\n    tenant: a\n    jwks: {{ file: jwks.json }}",
            Setup::default().provider
        ),
        ..Setup::default()
    };
    let files = Files::write(&setup, "127.0.0.1:1".parse().unwrap());
    let kiosk = files.issuer.changed(json!({ "iss": "https://kiosk.example/", "aud": "kiosk" }));
    assert!(explained(&files, &kiosk, &[]).out.contains("`kiosk`, whose issuer `iss` names"));
    let (code, _, ended) = last(&files, &kiosk, &["--provider", "clinic"]);
    assert_eq!((code, &ended["step"]), (Some(3), &json!("issuer")));
    let (code, told, ended) = last(&files, &files.issuer.changed(json!({ "iss": "https://else.example/" })), &[]);
    assert_eq!((code, &told["code"], &ended["step"]), (Some(3), &json!("TOKEN_INVALID"), &json!("provider")));
    assert!(ended["says"].as_str().unwrap().contains("there are `https://issuer.example/`, `https://kiosk.example/`"));
    assert_eq!(explained(&files, &kiosk, &["--provider", "none"]).code, Some(2));
}

#[test]
fn a_token_can_come_on_standard_input() {
    let files = files();
    let mut child = Command::new(binary())
        .args(["explain", "--config", "config.yaml", "--token", "-"])
        .current_dir(files.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(files.issuer.ada().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stdout.ends_with(b"\nbelieved\n"), "{done:?}");
}

#[test]
fn what_cannot_be_judged_is_said() {
    let files = files();
    files.put("empty", "\n");
    let config = ["explain", "--config", "config.yaml"];
    for (arguments, words) in [
        (&["--token", "nothing"][..], "cannot read the file"),
        (&["--token", "empty"], "holds no token"),
        (&["--token", "empty", "GET /me"], "holds no token"),
        (&["--token", "policies"], "cannot read the file"),
    ] {
        let said = run(files.root(), &[&config, arguments].concat());
        assert!(said.code == Some(2) && said.err.contains(words) && said.out.is_empty(), "{said:?}");
    }
    for more in [&["--header", "x: y"][..], &["--form", "a=b"], &["--certificate", "ca.pem"]] {
        let said = explained(&files, &files.issuer.ada(), more);
        assert!(said.code == Some(2) && said.err.contains("belong to a request"), "{said:?}");
    }
    let token = files.issuer.ada();
    let said = run(files.root(), &[&config[..], &["--token", &token]].concat());
    assert!(said.code == Some(2) && !said.err.contains(&token[..20]), "a token in the place of a file is not repeated");
    assert_eq!(run(files.root(), &config).code, Some(2), "neither a request nor a token");
}
