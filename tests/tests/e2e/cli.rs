//! The commands as a user runs them: what they refuse, what they say about it, and how they end.

use std::path::Path;

use e2e::app::App;
use e2e::client::{Client, HOST, Protocol};
use e2e::gate::{Files, Setup, probe};
use e2e::process::{Process, Served, free_port, run};
use e2e::until;
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "config.yaml";
const POLICY: &str = "policies/policy.yaml";

const WRITTEN: &str = "apiVersion: anteroom.dev/v1
kind: Config
app:
  url: http://127.0.0.1:3000
  hosts: [clinic.example]
listen:
  https: '127.0.0.1:0'
  health: '127.0.0.1:0'
tls:
  certificates: [{ directory: tls }]
providers:
  clinic:
    issuer: https://issuer.example/
    audience: [https://api.clinic.example]
    claims: { tenant: org_id, roles: roles }
    jwks: { file: keys/jwks.json }
policies: policies
audit:
  directory: audit
";

/// A folder with a configuration that is right.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("anteroom-cli-").tempdir().unwrap();
    let path = folder.path();
    let made = run(path, &["dev", "certs", "clinic.example", "--out", "tls"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let made = run(path, &["dev", "token", "--keys", "keys"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    std::fs::create_dir(path.join("policies")).unwrap();
    std::fs::write(path.join(POLICY), e2e::gate::POLICY).unwrap();
    std::fs::write(path.join(CONFIG), WRITTEN).unwrap();
    std::fs::write(path.join("short.key"), "short").unwrap();
    folder
}

/// What is changed in which file, and what is said of it: the code, what stands at the place, and a part of the hint.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const MALFORMED: [Row; 99] = [
    ("a key that is not known", CONFIG, "hosts:", "hots:", "unknown-key", "hots", "did you mean `hosts`?"),
    ("a key twice", CONFIG, "policies: policies\n", "policies: policies\npolicies: other\n", "duplicate-key", "policies: other", "line 17, column 1"),
    ("a key that is missing", CONFIG, "audit:\n  directory: audit\n", "", "missing-key", "apiVersion", ""),
    ("text for a number", CONFIG, "policies: policies\n", "policies: policies\nworkers: two\n", "wrong-type", "two", ""),
    ("a word of YAML 1.1", CONFIG, "    jwks:", "    forward_credential: yes\n    jwks:", "ambiguous-word", "yes", "write `true`"),
    ("another word of YAML 1.1", CONFIG, "    jwks:", "    forward_credential: on\n    jwks:", "ambiguous-word", "on", "write `true`"),
    ("a word of no list", CONFIG, "policies: policies\n", "policies: policies\nlog: { level: loud }\n", "unknown-word", "loud", "`trace`"),
    ("a size in the wrong unit", CONFIG, "policies: policies\n", "policies: policies\nlimits: { body: 10MB }\n", "bad-unit", "10MB", "write `10MiB`"),
    ("a period without a unit", CONFIG, "  hosts:", "  timeouts: { connect: 2 }\n  hosts:", "bad-unit", "2 }", "such as `2s`"),
    ("a rate without a time", CONFIG, "policies: policies\n", "policies: policies\nlimits: { per_address: { rate: 500 } }\n", "bad-unit", "500", "`60/m`"),
    ("a tab", CONFIG, "  hosts:", "\thosts:", "yaml-syntax", "", "indent with spaces"),
    ("a bracket that stays open", CONFIG, "hosts: [clinic.example]", "hosts: [clinic.example", "yaml-syntax", "", "close the bracket"),
    ("a merge key", CONFIG, "policies: policies\n", "policies: policies\nx: &a { b: c }\ny: { <<: *a }\n", "merge-key", "<<", "write the keys out"),
    ("a second document", CONFIG, "policies: policies\n", "policies: policies\n---\na: b\n", "second-document", "---", "one document"),
    ("an empty file", CONFIG, "", "", "empty-file", "", "begins with `apiVersion`"),
    ("a list", CONFIG, "", "- a\n", "wrong-type", "- a", ""),
    ("an unknown version", CONFIG, "anteroom.dev/v1", "anteroom.dev/v2", "unknown-word", "anteroom.dev/v2", "`anteroom.dev/v1`"),
    ("a policy as a configuration", CONFIG, "kind: Config", "kind: Policy", "unknown-word", "Policy", "`Config`"),
    ("an application of another kind", CONFIG, "http://127.0.0.1:3000", "tcp://127.0.0.1:3000", "app-url", "tcp://127", "http://127.0.0.1:3000"),
    ("an application far away", CONFIG, "http://127.0.0.1:3000", "http://192.0.2.1:3000", "app-url", "http://192", "same pod"),
    ("an application that is the gate's health port", CONFIG, "health: '127.0.0.1:0'", "health: '127.0.0.1:3000'", "app-url", "http://127", "where the application listens"),
    ("an application that is the gate", CONFIG, "https: '127.0.0.1:0'", "https: '[::]:3000'", "app-url", "http://127", "where the application listens"),
    ("senders who are half of everybody", CONFIG, "policies: policies\n", "policies: policies\nclient_address: { proxy_protocol: { sent_by: [0.0.0.0/1] } }\n", "address", "0.0.0.0/1", "name the proxies"),
    ("senders who are broad together", CONFIG, "policies: policies\n", "policies: policies\nclient_address: { header: { name: forwarded, sent_by: [1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8, 5.0.0.0/8] } }\n", "address", "[1.0.0.0/8", "name the proxies"),
    ("connections without a burst", CONFIG, "policies: policies\n", "policies: policies\nlimits: { new_connections_per_address: { burst: 0 } }\n", "range", "0", "default"),
    ("an application over TLS with a path", CONFIG, "http://127.0.0.1:3000", "https://app.example/x", "app-url", "https://app", "https://app.example:8443"),
    ("an application at a socket without a path", CONFIG, "http://127.0.0.1:3000", "'unix:'", "app-url", "'unix:'", "unix:/run/app/http.sock"),
    ("an application over a protocol of no list", CONFIG, "  hosts:", "  protocol: http3\n  hosts:", "unknown-word", "http3", "did you mean"),
    ("TLS for an application in clear", CONFIG, "  hosts:", "  tls: { server_name: app.example }\n  hosts:", "app-tls", "{ server_name", "https://"),
    ("authorities of an application that are not there", CONFIG, "url: http://127.0.0.1:3000", "url: https://app.example\n  tls: { ca: nothing.pem }", "file", "nothing", "relative to the configuration file"),
    ("authorities of an application that are none", CONFIG, "url: http://127.0.0.1:3000", "url: https://app.example\n  tls: { ca: short.key }", "app-tls", "short.key", "PEM"),
    ("a certificate for an application without its key", CONFIG, "url: http://127.0.0.1:3000", "url: https://app.example\n  tls: { client_certificate: { directory: nowhere } }", "file", "nowhere", "relative"),
    ("a name for an application that is none", CONFIG, "url: http://127.0.0.1:3000", "url: https://app.example\n  tls: { server_name: 'a b' }", "app-tls", "'a b'", "app.internal"),
    ("an application without a port", CONFIG, "http://127.0.0.1:3000", "http://127.0.0.1", "app-url", "http://127", "http://127.0.0.1:3000"),
    ("an application with a path", CONFIG, "http://127.0.0.1:3000", "http://127.0.0.1:3000/app", "app-url", "http://127", "http://127.0.0.1:3000"),
    ("no host", CONFIG, "[clinic.example]", "[]", "hosts", "http://127", "[clinic.example]"),
    ("a host with a scheme", CONFIG, "[clinic.example]", "['https://clinic.example']", "host", "'https", "without a scheme"),
    ("a host with a star", CONFIG, "[clinic.example]", "['*.clinic.example']", "host", "'*.", "wildcard"),
    ("a host twice", CONFIG, "[clinic.example]", "[clinic.example, Clinic.Example]", "host", "Clinic.Example", "name it once"),
    ("a port alone", CONFIG, "https: '127.0.0.1:0'", "https: ':8443'", "address", "':8443'", "`[::]:8443`"),
    ("a name to listen on", CONFIG, "https: '127.0.0.1:0'", "https: 'localhost:8443'", "address", "'localhost", "`127.0.0.1:8443`"),
    ("a control socket that is none", CONFIG, "  health:", "  control: /run/x.sock\n  health:", "address", "/run/x.sock", "`unix:`"),
    ("no folder of certificates", CONFIG, "directory: tls }", "directory: nowhere }", "file", "nowhere", "relative to the configuration file"),
    ("no certificates", CONFIG, "[{ directory: tls }]", "[]", "certificate", "http://127", "tls.crt"),
    ("one certificate twice", CONFIG, "[{ directory: tls }]", "[{ directory: tls }, { directory: tls }]", "certificate", "tls }]", "one certificate"),
    ("no audience", CONFIG, "[https://api.clinic.example]", "[]", "provider", "[", "letter by letter"),
    ("no issuer", CONFIG, "https://issuer.example/", "''", "provider", "''", "manual"),
    ("no keys", CONFIG, "    issuer: https://issuer.example/\n    audience: [https://api.clinic.example]\n    claims: { tenant: org_id, roles: roles }\n    jwks: { file: keys/jwks.json }\n", "    issuer: clinic\n    audience: [clinic]\n    claims: { tenant: org_id, roles: roles }\n", "provider", "clinic", "add `jwks"),
    ("keys from two places", CONFIG, "{ file: keys/jwks.json }", "{ file: keys/jwks.json, url: 'https://keys.example/' }", "provider", "{ file", "keep one"),
    ("keys in clear", CONFIG, "{ file: keys/jwks.json }", "{ url: 'http://keys.example/jwks' }", "provider", "'http://", "https://"),
    ("keys inside", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://10.0.0.1/jwks' }", "provider", "'https://10", "add its network"),
    ("keys by the cloud's word", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://169.254.169.254/', private: [10.0.0.0/8] }", "provider", "'https://169", "add its network"),
    ("all networks", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://keys.example/', private: [0.0.0.0/0] }", "address", "0.0.0.0/0", "list the network"),
    ("half of all networks", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://keys.example/', private: [128.0.0.0/1] }", "address", "128.0.0.0/1", "at most a /8"),
    ("networks for a file", CONFIG, "{ file: keys/jwks.json }", "{ file: keys/jwks.json, private: [10.0.0.0/8] }", "provider", "10.0.0.0/8", "take it out"),
    ("last good of a file", CONFIG, "{ file: keys/jwks.json }", "{ file: keys/jwks.json, last_good: 24h }", "provider", "24h", "take it out"),
    ("last good for ever", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://keys.example/', last_good: 8d }", "range", "8d", "withdrawn key"),
    ("last good for minutes", CONFIG, "{ file: keys/jwks.json }", "{ url: 'https://keys.example/', last_good: 59m }", "range", "59m", "locks everyone out"),
    ("keys and discovery", CONFIG, "    jwks:", "    discovery: {}\n    jwks:", "provider", "{}", "keep `discovery`"),
    ("keys that are not there", CONFIG, "keys/jwks.json", "keys/nothing.json", "file", "keys/nothing", "relative to the configuration file"),
    ("keys that are none", CONFIG, "{ file: keys/jwks.json }", "{ inline: '{}' }", "keys", "'{}'", "RFC 7517"),
    ("keys and a secret", CONFIG, "    jwks:", "    secret: { file: config.yaml }\n    jwks:", "provider", "{ file: config", "keep one"),
    ("a secret in the file", CONFIG, "jwks: { file: keys/jwks.json }", "secret: hunter2", "wrong-type", "hunter2", ""),
    ("no place for a token", CONFIG, "    claims:", "    token: []\n    claims:", "provider", "https://issuer", "`Authorization`"),
    ("a place that is none", CONFIG, "    claims:", "    token: [{ body: token }]\n    claims:", "unknown-key", "body", "`cookie`"),
    ("a header that is no place", CONFIG, "    claims:", "    token: [{ header: host }]\n    claims:", "provider", "{ header: host", "{ header: authorization }"),
    ("a pointer that is none", CONFIG, "tenant: org_id", "tenant: '/a~2b'", "claim", "'/a~2b'", "JSON Pointer"),
    ("no tenant", CONFIG, "tenant: org_id, ", "", "tenant", "https://issuer", "claims: { tenant"),
    ("two tenants", CONFIG, "    jwks:", "    tenant: a\n    jwks:", "tenant", "a", "keep either"),
    ("a clock too far off", CONFIG, "    jwks:", "    leeway: 10m\n    jwks:", "range", "10m", "between"),
    ("a clock a second too far off", CONFIG, "    jwks:", "    leeway: 61s\n    jwks:", "range", "61s", "between"),
    ("no algorithm", CONFIG, "    jwks:", "    algorithms: [none]\n    jwks:", "unknown-word", "none", "`ES256`"),
    ("algorithms of two kinds", CONFIG, "    jwks:", "    algorithms: [HS256, ES256]\n    jwks:", "provider", "[HS256", "manual"),
    ("an identity header that is taken", CONFIG, "policies: policies\n", "policies: policies\nheaders: { identity: { tenant: Host } }\n", "header", "Host", "`x-`"),
    ("an identity header of the family", CONFIG, "policies: policies\n", "policies: policies\nheaders: { identity: { tenant: X-Forwarded-For } }\n", "header", "X-Forwarded-For", "x-forwarded"),
    ("one identity header for two", CONFIG, "policies: policies\n", "policies: policies\nheaders: { identity: { tenant: X-User-Id } }\n", "header", "X-User-Id", "its own name"),
    ("a header of two lines", CONFIG, "policies: policies\n", "policies: policies\nheaders: { csp: { enforce: \"a\\nb\" } }\n", "header", "\"a", "one line"),
    ("headers too small", CONFIG, "policies: policies\n", "policies: policies\nlimits: { headers: 1B }\n", "range", "1B", "between"),
    ("no burst", CONFIG, "policies: policies\n", "policies: policies\nlimits: { per_address: { burst: 0 } }\n", "range", "0", "default"),
    ("too many workers", CONFIG, "policies: policies\n", "policies: policies\nworkers: 300\n", "range", "300", "between"),
    ("a short key", CONFIG, "policies: policies\n", "policies: policies\nredact: { pseudonym_key: { file: short.key } }\n", "secret", "short.key", "openssl rand"),
    ("a small record", CONFIG, "directory: audit\n", "directory: audit\n  size: 1KiB\n", "range", "1KiB", "between"),
    ("a record with a strange name", CONFIG, "directory: audit\n", "directory: audit\n  origin: 'a b'\n", "origin", "'a b'", "clinic/a/pod-7"),
    ("a record that may be lost", CONFIG, "directory: audit\n", "directory: audit\n  when_unwritable: allow\n", "unknown-word", "allow", "`deny`"),
    ("no policies", CONFIG, "policies: policies", "policies: nowhere", "file", "nowhere", "relative to the configuration file"),
    ("a policy key that is not known", POLICY, "roles:\n", "rolls:\n", "unknown-key", "rolls", "did you mean `roles`?"),
    ("a control that is not there yet", POLICY, "phi: true, audit: strict", "phi: true, networks: [clinic_lan]", "unknown-key", "networks", "`limit`"),
    ("a scope that is not known", POLICY, "records.read: own", "records.read: mine", "unknown-scope", "mine", "under `scopes`"),
    ("two routes on one path", POLICY, "home: { path: /,", "home: { path: /me,", "route-tie", "/me", "one route"),
    ("a method that is none", POLICY, "quiet, methods: { GET:", "quiet, methods: { FETCH:", "bad-method", "FETCH", "`PATCH`"),
    ("a place that the path lacks", POLICY, "patient: path.patient", "patient: path.person", "bad-place", "path.person", "`{person}`"),
    ("a condition that breaks off", POLICY, "npi != ''", "npi != ", "bad-condition", "", ""),
    ("a condition about nothing", POLICY, "principal.claims.npi", "principle.claims.npi", "bad-condition", "principle", "did you mean `principal.claims`?"),
    ("a condition with a loop", POLICY, "principal.claims.npi != ''", "principal.roles.all(r, r == 'x')", "bad-condition", "principal", "no loops"),
    ("stars in the middle", POLICY, "/open/**", "/open/**/x", "bad-path", "**", "last segment"),
    ("a path without its slash", POLICY, "path: /quiet", "path: quiet", "bad-path", "quiet", "without scheme"),
    ("a path with dots", POLICY, "path: /quiet", "path: /quiet/../x", "bad-path", "..", "leads to"),
    ("a limit without a number", POLICY, "phi: true, audit: strict", "limit: { per: subject, rate: often }", "bad-unit", "often", "`60/m`"),
    ("a route twice", POLICY, "  home: {", "  me: { path: /x, methods: { GET: public } }\n  home: {", "duplicate-key", "me: { path: /me", "line 13"),
];

fn changed(folder: &Path, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "`{from}` is not in {file}");
    let text = if from.is_empty() { to.to_owned() } else { text.replacen(from, to, 1) };
    std::fs::write(folder.join(file), text).unwrap();
}

#[test]
fn each_kind_of_malformed_file_is_a_clear_message_with_a_place() {
    let folder = folder();
    let path = folder.path();
    let before = names(path);
    for (name, file, from, to, code, at, hint) in MALFORMED {
        std::fs::write(path.join(CONFIG), WRITTEN).unwrap();
        std::fs::write(path.join(POLICY), e2e::gate::POLICY).unwrap();
        changed(path, file, from, to);
        let said = run(path, &["check", "--config", CONFIG, "--format", "json"]);
        assert_eq!(said.code, Some(2), "{name}: {}{}", said.out, said.err);
        let faults: Vec<Value> = serde_json::from_str(&said.out).unwrap();
        let text = std::fs::read_to_string(path.join(file)).unwrap();
        let found = faults.iter().find(|fault| {
            let (line, column) = (fault["line"].as_u64().unwrap(), fault["column"].as_u64().unwrap());
            let line = text.split('\n').nth(usize::try_from(line).unwrap() - 1).unwrap_or_default();
            let rest: String = line.chars().skip(usize::try_from(column).unwrap() - 1).collect();
            fault["file"] == file && fault["code"] == code && rest.starts_with(at)
        });
        let found = found.unwrap_or_else(|| panic!("{name}: no {code} at `{at}` in {faults:#?}"));
        let message = found["message"].as_str().unwrap();
        let help = found["help"].as_str().unwrap_or_default();
        assert!(help.contains(hint), "{name}: {help}");
        assert!(!message.is_empty() && !message.ends_with('.') && !help.ends_with('.'), "{name}: {message} / {help}");
        for inside in ["serde", "Raw", "Some(", "None", "::", "panicked", "expected struct"] {
            assert!(!message.contains(inside), "{name}: {message}");
        }

        let shown = run(path, &["run", "--config", CONFIG]);
        assert_eq!(shown.code, Some(2), "{name}: {}", shown.err);
        let place = format!("{file}:{}:{}", found["line"], found["column"]);
        assert!(shown.err.contains(&place), "{name}: no `{place}` in\n{}", shown.err);
        assert!(shown.err.contains(message) && shown.err.contains("nothing was started"), "{name}:\n{}", shown.err);
        assert_eq!(shown.out, "", "{name}");
        assert_eq!(names(path), before, "{name}: something was started");
    }
}

/// What stands in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let folder = folder();
    let path = folder.path();
    changed(path, CONFIG, "hosts:", "hots:");
    changed(path, CONFIG, "issuer:", "isuer:");
    changed(path, CONFIG, "kind: Config", "kind: Confg");
    changed(path, POLICY, "roles:\n", "rolls:\n");
    std::fs::write(path.join("policies/second.yaml"), "apiVersion: anteroom.dev/v1\nkind: Policy\nroutes: yes\n")
        .unwrap();
    for command in [&["run"][..], &["check"], &["config", "--effective"]] {
        let said = run(path, &[command, &["--config", CONFIG]].concat());
        assert_eq!(said.code, Some(2), "{command:?}");
        let places = [
            "config.yaml:2:7",
            "config.yaml:5:3",
            "config.yaml:13:5",
            "policies/policy.yaml:4:1",
            "policies/second.yaml:3:9",
        ];
        for place in places {
            assert!(said.err.contains(place), "{command:?}: no {place} in\n{}", said.err);
        }
        assert!(said.err.contains("   hots: [clinic.example]\n"), "the line is shown");
        assert!(said.err.contains("^^^^"), "and underlined");
        assert!(!said.err.contains('\u{1b}'), "no colours where nobody looks");
    }

    // Faults of meaning, which need the whole set, come together too.
    std::fs::write(path.join(CONFIG), WRITTEN).unwrap();
    std::fs::write(path.join(POLICY), e2e::gate::POLICY).unwrap();
    std::fs::remove_file(path.join("policies/second.yaml")).unwrap();
    changed(path, CONFIG, "http://127.0.0.1:3000", "http://192.0.2.1:3000");
    changed(path, CONFIG, "directory: tls", "directory: nowhere");
    changed(path, CONFIG, "[https://api.clinic.example]", "[]");
    changed(path, POLICY, "records.read: own", "records.read: mine");
    changed(path, POLICY, "path: /quiet", "path: quiet");
    let said = run(path, &["check", "--config", CONFIG]);
    for place in ["config.yaml:4:8", "config.yaml:10:31", "config.yaml:14:15", "policy.yaml:7:35", "policy.yaml:15:18"]
    {
        assert!(said.err.contains(place), "no {place} in\n{}", said.err);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["run"][..], &["check"], &["config", "--effective"]] {
        let said = run(folder.path(), &[command, &["--config", "nothing.yaml"]].concat());
        assert_eq!(said.code, Some(2), "{command:?}");
        assert!(said.err.contains("`nothing.yaml`"), "{}", said.err);
    }
    let said = run(folder.path(), &["chekc"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("'check'"), "{}", said.err);
}

#[test]
fn a_good_configuration_is_good_and_its_effective_form_is_the_same() {
    let folder = folder();
    let path = folder.path();
    let said = run(path, &["check", "--config", CONFIG]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("ok: 10 routes, 3 roles"), "{}", said.out);
    let said = run(path, &["check", "--config", CONFIG, "--format", "json"]);
    assert_eq!((said.code, said.out.trim()), (Some(0), "[]"));
    let first = run(path, &["config", "--effective", "--config", CONFIG]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    for default in ["max_age: 1y", "rate: 500/s", "body: 10MiB", "X-Tenant-Id", "response: 1m", "when_unwritable: deny"]
    {
        assert!(first.out.contains(default), "no `{default}` in\n{}", first.out);
    }
    std::fs::write(path.join("effective.yaml"), &first.out).unwrap();
    let said = run(path, &["check", "--config", "effective.yaml"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let again = run(path, &["config", "--effective", "--config", "effective.yaml"]);
    assert_eq!(again.out, first.out);
}

#[test]
fn the_schemas_are_closed_json() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config", "policy"] {
        let said = run(folder.path(), &["schema", file]);
        assert_eq!(said.code, Some(0));
        let schema: Value = serde_json::from_str(&said.out).unwrap();
        let mut objects = 0;
        closed(&schema, file, &mut objects);
        assert!(objects > 5, "{file}: {objects}");
        assert!(schema["properties"]["apiVersion"].is_object(), "{file}");
    }
    assert_eq!(run(folder.path(), &["schema", "nothing"]).code, Some(2));
}

/// Every object with named members takes no others, and each member is described.
fn closed(schema: &Value, at: &str, objects: &mut usize) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(named)) = members.get("properties") {
                *objects += 1;
                assert_eq!(members.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
                for (name, member) in named {
                    closed(member, &format!("{at}/{name}"), objects);
                }
            }
            for (name, member) in members.iter().filter(|(name, _)| *name != "properties") {
                closed(member, &format!("{at}/{name}"), objects);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| closed(item, at, objects)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        let mut served = Served::start(Setup::default(), App::plain());
        let mut client = Client::open_at(served.https, &served.files.ca, Protocol::Http2, HOST).await;
        let answer = client.get("/api/patients/p1/records", &served.files.issuer.ada()).await;
        assert_eq!(answer.status, 200);
        let control = served.files.path("control.sock");
        let status = run(served.files.root(), &["status", "--control", control.to_str().unwrap()]);
        assert_eq!(status.code, Some(0), "{}", status.err);
        let status: Value = serde_json::from_str(&status.out).unwrap();
        assert_eq!((&status["ready"], &status["workers"]), (&Value::Bool(true), &2.into()));
        assert_eq!(status["https"], served.https.to_string());
        assert_eq!(status["providers"]["clinic"]["keys"], 1);
        assert_eq!(status["record"]["written"], 1);
        assert_eq!(status["observed"], serde_json::json!(["watched"]));
        for path in ["/startedz", "/livez", "/readyz"] {
            assert!(probe(served.health, path).starts_with("HTTP/1.1 200 "), "{path}");
        }
        assert!(probe(served.health, "/status").starts_with("HTTP/1.1 404 "), "status is on the control socket alone");
        drop(client);
        served.process.signal(signal);
        let ended = tokio::task::spawn_blocking(move || (served.process.end(), served)).await.unwrap();
        let (status, served) = ended;
        assert_eq!(status.code(), Some(0), "{signal}: {}{}", served.process.out(), served.process.err());
        assert_eq!(served.process.err(), "");
        let log = served.log();
        assert_eq!(log.last().unwrap()["message"], "stopped");
        assert!(log.iter().any(|line| line["signal"] == format!("SIG{signal}")));
        assert!(!control.exists(), "the control socket goes with the gate");
        assert_eq!(served.files.record().len(), 1);
        let status = run(served.files.root(), &["status", "--control", control.to_str().unwrap()]);
        assert_eq!(status.code, Some(1));
        assert!(status.err.contains("control.sock") && status.err.contains("hint"), "{}", status.err);
    }
}

#[test]
fn two_gates_cannot_share_a_record_a_port_or_a_socket() {
    let served = Served::start(Setup::default(), App::plain());
    // The same files: the control socket is taken.
    let second = run(served.files.root(), &["run", "--config", CONFIG]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    let free = format!("health: \"{}\"", free_port());
    let taken = format!("health: \"{}\"", served.health);
    let config = std::fs::read_to_string(served.files.path(CONFIG)).unwrap();
    // Another port and socket, the same record.
    served.files.put("second.yaml", &config.replace(&taken, &free).replace("control.sock", "second.sock"));
    let second = run(served.files.root(), &["run", "--config", "second.yaml"]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(second.err.contains("record") && second.err.contains("audit"), "{}", second.err);
    // Another record, the same port for clients.
    let port = format!("https: \"{}\"", served.https);
    let third = config.replace(&taken, &free).replace("control.sock", "third.sock");
    served.files.put(
        "third.yaml",
        &third.replace("directory: audit", "directory: other").replace("https: \"127.0.0.1:0\"", &port),
    );
    let second = run(served.files.root(), &["run", "--config", "third.yaml"]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(second.err.contains(&served.https.to_string()), "{}", second.err);
    // The same port for probes.
    served.files.put(
        "fourth.yaml",
        &config.replace("control.sock", "fourth.sock").replace("directory: audit", "directory: more"),
    );
    let second = run(served.files.root(), &["run", "--config", "fourth.yaml"]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(second.err.contains(&served.health.to_string()), "{}", second.err);
    assert!(probe(served.health, "/readyz").contains(" 200 "), "the first one goes on");
}

#[tokio::test]
async fn development_certificates_and_tokens_work_together() {
    let folder = folder();
    let path = folder.path();
    let app = App::plain();
    changed(path, CONFIG, "http://127.0.0.1:3000", &format!("http://{}", app.address));
    let claims = ["--claim", "org_id=a", "--claim", r#"roles=["provider"]"#, "--subject", "ada.example"];
    let token = run(path, &[&["dev", "token", "--keys", "keys"][..], &claims].concat());
    assert_eq!(token.code, Some(0), "{}", token.err);
    let mut gate = Process::start(path, &["run", "--config", CONFIG]);
    let https = gate.line("the gate to serve", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "serving").then(|| line["address"].as_str().unwrap().parse().unwrap())
    });
    let ca = std::fs::read_to_string(path.join("tls/ca.crt")).unwrap();
    let mut client = Client::open_at(https, &ca, Protocol::Http2, HOST).await;
    assert_eq!(client.get("/api/patients/p1/records", token.out.trim()).await.status, 200);
    assert_eq!(app.last().header("x-tenant-id"), Some("a"));
    let expired = run(path, &[&["dev", "token", "--keys", "keys", "--expires", "1s"][..], &claims].concat());
    assert_eq!(expired.code, Some(0));
    // A second certificate of the same authority is believed by who believed the first.
    let again = run(path, &["dev", "certs", "clinic.example", "--out", "tls"]);
    assert_eq!(again.code, Some(0));
    assert_eq!(std::fs::read_to_string(path.join("tls/ca.crt")).unwrap(), ca);
    for private in ["tls/ca.key", "tls/tls.key", "keys/token.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path.join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private} is for its owner alone");
    }
    for bad in
        [&["dev", "certs", "not a name"][..], &["dev", "certs", "--days", "0"], &["dev", "token", "--expires", "soon"]]
    {
        assert_ne!(run(path, bad).code, Some(0), "{bad:?}");
    }
}

#[test]
fn help_names_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), &["--help"]);
    assert_eq!(said.code, Some(0));
    for command in ["demo", "run", "check", "schema", "config", "status", "dev"] {
        assert!(said.out.contains(&format!("  {command} ")), "{}", said.out);
        assert_eq!(run(folder.path(), &[command, "--help"]).code, Some(0), "{command}");
    }
    assert!(run(folder.path(), &["--version"]).out.starts_with("anteroom "));
}

/// A gate whose standard output nobody reads any more serves on.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let app = App::plain();
    let files = Files::write(
        &Setup { log: "trace".to_owned(), health: free_port().to_string(), ..Setup::default() },
        app.address,
    );
    let mut command = std::process::Command::new(e2e::process::binary());
    command.current_dir(files.root()).args(["run", "--config", CONFIG]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let control = files.path("control.sock");
    let status = until("its status", || {
        let said = run(files.root(), &["status", "--control", control.to_str().unwrap()]);
        (said.code == Some(0)).then(|| serde_json::from_str::<Value>(&said.out).unwrap())
    });
    let https = status["https"].as_str().unwrap().parse().unwrap();
    let mut client = Client::open_at(https, &files.ca, Protocol::Http2, HOST).await;
    for _ in 0..200 {
        assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
