//! What the manual shows, works: every YAML snippet compiles, `config.example.yaml` has every key, every link leads
//! somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anteroom::dev_key::DevKey;
use certs::dev::{DevCa, Validity};
use policy::{Node, NodeValue, Sources};
use tempfile::TempDir;

/// The folder of the repository.
fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every page, by its path from the top of the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new(), PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(house().join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() && path.starts_with("docs") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// A fenced block of a page: what stands behind the fence, and the text.
struct Block {
    place: String,
    word: String,
    text: String,
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(house().join(page)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(word), false) => {
                let place = format!("{}:{number}", page.display());
                blocks.push(Block { place, word: word.to_owned(), text: String::new() });
                inside = true;
            }
            (Some(_), true) => inside = false,
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!inside, "{}: a fence is not closed", page.display());
    blocks
}

const SMALL_CONFIG: &str = "\
apiVersion: anteroom.dev/v1
kind: Config
app: { url: http://127.0.0.1:3000, hosts: [localhost] }
tls: { certificates: [{ directory: tls }] }
policies: policies
audit: { directory: audit }
";
const SMALL_POLICY: &str = "\
apiVersion: anteroom.dev/v1
kind: Policy
metadata: { name: small }
routes:
  home: { path: /, methods: { GET: public } }
  login: { path: /login/, methods: { GET: public } }
  auth: { path: \"/api/auth/**\", methods: { GET: public } }
";

/// A folder with every file that a snippet may name, made on the spot.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["tls", "keys", "policies"] {
        fs::create_dir(at(name)).unwrap();
    }
    let validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };
    let ca = DevCa::generate(validity).unwrap();
    let pair = ca.issue(&["clinic.example", "localhost"], validity).unwrap();
    fs::write(at("tls/tls.crt"), &pair.cert_pem).unwrap();
    fs::write(at("tls/tls.key"), &pair.key_pem).unwrap();
    fs::write(at("keys/issuer-ca.pem"), ca.ca_pem()).unwrap();
    fs::write(at("keys/hr-ca.pem"), ca.ca_pem()).unwrap();
    fs::write(at("keys/directory"), "Bearer of-nobody\n").unwrap();
    fs::write(
        at("people.yaml"),
        "apiVersion: anteroom.dev/v1\nkind: Directory\nsubjects: { staff: { nobody.example: { a: [x] } } }\n",
    )
    .unwrap();
    fs::write(at("keys/app-ca.pem"), ca.ca_pem()).unwrap();
    fs::create_dir(at("keys/app")).unwrap();
    fs::write(at("keys/app/tls.crt"), &pair.cert_pem).unwrap();
    fs::write(at("keys/app/tls.key"), &pair.key_pem).unwrap();
    fs::write(at("keys/devices-ca.pem"), ca.ca_pem()).unwrap();
    fs::write(at("keys/front-ca.pem"), ca.ca_pem()).unwrap();
    fs::write(at("keys/devices.crl"), ca.revoke(&[], validity).unwrap()).unwrap();
    fs::write(at("keys/collector-ca.pem"), ca.ca_pem()).unwrap();
    let revoked = "apiVersion: anteroom.dev/v1\nkind: Revocations\nrevoked: []\n";
    fs::write(at("revoked.yaml"), revoked).unwrap();
    fs::write(at("keys/otlp-headers"), "Authorization: Bearer of-nobody\n").unwrap();
    fs::write(at("keys/jwks.json"), DevKey::generate().unwrap().key_set().to_string()).unwrap();
    fs::write(at("keys/login"), "0a1b".repeat(16)).unwrap();
    fs::write(at("keys/client-secret"), "of-nobody\n").unwrap();
    for name in ["keys/hs256", "keys/pseudonym"] {
        fs::write(at(name), "of the length of a good secret, and not one\n").unwrap();
    }
    folder
}

/// What is wrong with a configuration and a policy, as a person would see it.
fn faults(config: &str, policy: &str) -> Option<String> {
    let folder = folder();
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    fs::write(folder.path().join("policies/policy.yaml"), policy).unwrap();
    compiled(&folder.path().join("config.yaml"))
}

fn compiled(config: &Path) -> Option<String> {
    let faults = anteroom::config::prepare(config).err()?;
    Some(policy::render(&faults.diagnostics, &faults.sources, false))
}

/// What is wrong with the settings of `anteroom inject`.
fn injection_faults(text: &str) -> Option<String> {
    let mut sources = Sources::default();
    let file = sources.add("injection.yaml", text);
    match policy::read::<inject::RawInjection>(&sources, file) {
        Ok(raw) => raw.settings(None, "1", inject::Asked::ByLabel).err(),
        Err(faults) => Some(policy::render(&faults, &sources, false)),
    }
}

/// What is wrong with the file of a directory that speaks for callers of `staff`.
fn directory_faults(text: &str) -> Option<String> {
    let folder = folder();
    fs::write(folder.path().join("people.yaml"), text).unwrap();
    let config = format!(
        "{SMALL_CONFIG}directory: {{ file: people.yaml }}\nproviders: {{ staff: {{ issuer: 'https://i.example', audience: [x], \
         tenant: a, jwks: {{ file: keys/jwks.json }} }} }}\n"
    );
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    fs::write(folder.path().join("policies/policy.yaml"), SMALL_POLICY).unwrap();
    compiled(&folder.path().join("config.yaml"))
}

#[test]
fn every_yaml_snippet_compiles() {
    let (mut configs, mut policies, mut wrong) = (0, 0, String::new());
    for block in pages().iter().flat_map(|page| blocks(page)) {
        let found = match block.word.as_str() {
            "yaml config" => {
                configs += 1;
                faults(&block.text, SMALL_POLICY)
            }
            "yaml policy" => {
                policies += 1;
                faults(SMALL_CONFIG, &block.text)
            }
            "yaml provider" => {
                let lines = block.text.lines().map(|line| format!("    {line}\n")).collect::<String>();
                faults(&format!("{SMALL_CONFIG}providers:\n  one:\n{lines}"), SMALL_POLICY)
            }
            "yaml injection" => injection_faults(&block.text),
            "yaml directory" => directory_faults(&block.text),
            "yaml fragment" => None,
            word if word.contains("yaml") || word.contains("yml") => Some(format!(
                "say what it is: `yaml config`, `yaml policy`, `yaml provider`, `yaml injection`, `yaml directory` or `yaml fragment`, not `{word}`"
            )),
            _ => None,
        };
        wrong.extend(found.map(|found| format!("{}\n{found}\n", block.place)));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(configs >= 3 && policies >= 3, "{configs} configurations and {policies} policies were found");
}

#[test]
fn the_two_files_of_the_readme_belong_together_and_the_first_has_twelve_lines() {
    let found = blocks(Path::new("README.md"));
    let of = |word: &str| found.iter().find(|block| block.word == word).map(|block| block.text.as_str()).unwrap();
    assert_eq!(of("yaml config").lines().count(), 12);
    assert_eq!(faults(of("yaml config"), of("yaml policy")), None);
}

#[test]
fn the_example_compiles_with_the_policy_that_it_names() {
    let folder = folder();
    let example = "docs/examples/first/policies";
    fs::create_dir_all(folder.path().join(example)).unwrap();
    for entry in fs::read_dir(house().join(example)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.path().join(example).join(entry.file_name())).unwrap();
    }
    let config = folder.path().join("config.yaml");
    fs::copy(house().join("config.example.yaml"), &config).unwrap();
    assert_eq!(compiled(&config).as_deref(), None);
}

#[test]
fn the_examples_have_every_key() {
    let page = anteroom::manual::configuration();
    let (first, rest) = page.split_once("\n## A policy file\n").unwrap();
    let (second, _) = rest.split_once("\n## The file of a directory\n").unwrap();
    for (file, table) in [("config.example.yaml", first), ("docs/examples/first/policies/clinic.yaml", second)] {
        let mut sources = Sources::default();
        let id = sources.add(file, fs::read_to_string(house().join(file)).unwrap());
        let tree = policy::parse_tree(&sources, id).unwrap();
        let keys: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert!(keys.len() > 20, "{keys:?}");
        // One way or the other: the example shows the first, and a page the second.
        let elsewhere = |key: &str| key.starts_with("client_address.proxy_protocol") || key == "directory.file";
        let shown = keys.into_iter().filter(|key| !elsewhere(key));
        for key in shown {
            assert!(has(&tree, &key.replace("[]", ".[]").split('.').collect::<Vec<_>>()), "{file} lacks `{key}`");
        }
    }
}

/// Whether a tree holds a path of keys; `NAME` and `[]` stand for any.
fn has(node: &Node, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match &node.value {
        NodeValue::Map(entries) => {
            entries.iter().any(|(key, value)| (*first == "NAME" || key.name == *first) && has(value, rest))
        }
        NodeValue::Seq(items) => *first == "[]" && items.iter().any(|item| has(item, rest)),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => false,
    }
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(house().join(&page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let there = house().join(&target);
            let fits = match heading {
                "" => there.exists(),
                heading => {
                    fs::read_to_string(&there).is_ok_and(|text| text.lines().any(|line| anchor(line) == heading))
                }
            };
            if !fits {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a heading is called in a link.
fn anchor(line: &str) -> String {
    let Some(title) = line.strip_prefix('#') else { return String::new() };
    let kept = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    title.trim_start_matches('#').trim().to_ascii_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}
