//! `anteroom inject` as a user runs it: what it reads, where it writes, how it ends. What it makes of which pod is tested
//! in the crate `inject`.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::process::{Said, binary, run};
use serde_json::Value;
use tempfile::TempDir;

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: records
  labels: { app: records, anteroom.dev/inject: \"true\" }
spec:
  containers:
  - { name: records, image: records:7, ports: [{ containerPort: 8080 }] }
";
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: { name: records }
spec:
  selector: { app: records }
  ports: [{ port: 443, targetPort: 8080 }]
";
const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata: { name: anteroom-config } # as it is
data: { config.yaml: 'kind: Config' }
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::Builder::new().prefix("anteroom-inject-").tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn inject(files: &[(&str, &str)], arguments: &[&str]) -> Said {
    let folder = folder(files);
    run(folder.path(), &[&["inject"], arguments].concat())
}

#[test]
fn a_folder_goes_in_and_one_stream_comes_out() {
    let files = [("all/1.yaml", CONFIG), ("all/2.yml", POD), ("all/3.json", "{}"), ("all/notes.txt", "no manifest: [")];
    let said = inject(
        &[&files[..], &[("service.yaml", SERVICE)]].concat(),
        &["-f", "all", "-f", "service.yaml", "--image", "a:1"],
    );
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with(CONFIG), "{}", said.out);
    assert!(said.out.contains("image: a:1") && said.out.contains("targetPort: 8443"), "{}", said.out);
    assert_eq!(said.out.matches("---\n").count(), 3);
    assert!(
        said.err.contains("all/2.yml:1: Pod/records: injected") && said.err.ends_with("0 refused\n"),
        "{}",
        said.err
    );
}

#[test]
fn a_pipe_gets_nothing_when_one_pod_cannot_be_protected() {
    let host = POD.replace("spec:\n", "spec:\n  hostNetwork: true\n");
    let said = inject(&[("a.yaml", POD), ("b.yaml", &host)], &["-f", "a.yaml", "-f", "b.yaml", "--image", "a:1"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(
        said.err.contains("b.yaml:1: Pod/records: refused") && said.err.contains("nothing was written"),
        "{}",
        said.err
    );
}

#[test]
fn a_program_reads_the_report() {
    let said =
        inject(&[("a.yaml", &format!("{POD}---\n{SERVICE}"))], &["-f", "a.yaml", "--image", "a:1", "--report", "json"]);
    let report: Value = serde_json::from_str(&said.err).unwrap();
    let codes: Vec<&str> =
        report["objects"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!((codes, &report["refused"]), (vec!["injected", "port-moved"], &Value::Bool(false)));
    assert_eq!(
        (&report["objects"][1]["line"], &report["objects"][1]["name"]),
        (&Value::from(9), &Value::from("records"))
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let mut child = Command::new(binary())
        .args(["inject", "-f", "-", "--image", "a:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(POD.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    assert!(String::from_utf8(said.stdout).unwrap().contains("image: a:1"));
    assert!(String::from_utf8(said.stderr).unwrap().starts_with("-:1: Pod/records: injected"));
}

#[test]
fn settings_are_checked_as_other_files_are() {
    let head = "apiVersion: anteroom.dev/v1\nkind: Injection\n";
    let files =
        |settings: &str| [("a.yaml".to_owned(), POD.to_owned()), ("s.yaml".to_owned(), format!("{head}{settings}"))];
    for (settings, code, shown) in [
        ("image: a:1\nmoed: native\n", Some(2), "did you mean `mode`?"),
        ("image: a:1\nresources: { cpu_request: many }\n", Some(2), "an amount is written as"),
        ("image: a:1\nuser: root\n", Some(2), "s.yaml:4"),
        ("", Some(2), "no image is named"),
        ("image: a:1\nmode: container\napp: { port: 8080 }\n", Some(0), "(container, `a:1`)"),
        ("image: a:1\napp: { port: http, sleep: 5s }\nuser: cluster\n", Some(0), "sleeps 5 s"),
    ] {
        let files = files(settings);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let said = inject(&files, &["-f", "a.yaml", "--settings", "s.yaml"]);
        assert_eq!(said.code, code, "{settings}: {}", said.err);
        assert!(said.err.contains(shown), "{settings}: {}", said.err);
    }
}

#[test]
fn a_change_of_the_configuration_is_seen_in_the_pod_where_that_is_wanted() {
    let settings = "apiVersion: anteroom.dev/v1\nkind: Injection\nimage: a:1\nrollout: restart\n";
    let hash = |config: &str| {
        let said = inject(
            &[("a.yaml", &format!("{POD}---\n{config}")), ("s.yaml", settings)],
            &["-f", "a.yaml", "--settings", "s.yaml"],
        );
        let line = said.out.lines().find(|line| line.contains("anteroom.dev/config-hash")).unwrap_or_default();
        line.trim().to_owned()
    };
    let first = hash(CONFIG);
    assert!(first.starts_with("anteroom.dev/config-hash: sha256:") && first.len() > 90, "{first}");
    assert_eq!(hash(&CONFIG.replace(" # as it is", "")), first);
    assert_ne!(hash(&CONFIG.replace("kind: Config'", "kind: Config '")), first);
    assert_eq!(hash(&CONFIG.replace("anteroom-config", "other")), "");
}

#[test]
fn what_cannot_be_read_says_where() {
    let said = inject(&[("a.yaml", "a: 1\n---\nb: [\n")], &["-f", "a.yaml", "--image", "a:1"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("error: a.yaml:") && said.err.contains("this is not YAML"), "{}", said.err);
    let said = inject(&[], &["-f", "missing.yaml", "--image", "a:1"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("missing.yaml"), "{}", said.err);
    let said = inject(&[("empty/notes.txt", "")], &["-f", "empty", "--image", "a:1"]);
    assert!(said.code == Some(1) && said.err.contains("holds no manifests"), "{}", said.err);
    assert_eq!(inject(&[("a.yaml", POD)], &["-f", "a.yaml", "--image", "a b"]).code, Some(2));
}
