//! The files of the examples and of the real applications compile, and the manual shows them as they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anteroom::dev_key::DevKey;
use certs::dev::{DevCa, Validity};
use tempfile::TempDir;

/// The folder of the repository.
fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every folder with a `config.yaml` and policies that a user may start from.
fn examples() -> Vec<PathBuf> {
    let folders = ["examples", "tests/apps"].map(|folder| house().join(folder));
    let inside = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut found: Vec<PathBuf> = inside.filter(|path| path.join("config.yaml").exists()).collect();
    found.sort();
    assert!(found.len() >= 3, "{found:?}");
    found
}

/// A copy of an example beside certificates and keys that are made on the spot.
fn completed(example: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["tls", "keys", "policies"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::copy(example.join("config.yaml"), at("config.yaml")).unwrap();
    for entry in fs::read_dir(example.join("policies")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), at("policies").join(entry.file_name())).unwrap();
    }
    let validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };
    let pair = DevCa::generate(validity).unwrap().issue(&["localhost"], validity).unwrap();
    fs::write(at("tls/tls.crt"), pair.cert_pem).unwrap();
    fs::write(at("tls/tls.key"), pair.key_pem).unwrap();
    fs::write(at("keys/jwks.json"), DevKey::generate().unwrap().key_set().to_string()).unwrap();
    fs::write(at("keys/pseudonym"), "of the length of a good secret, and not one\n").unwrap();
    folder
}

#[test]
fn every_example_compiles() {
    for example in examples() {
        let folder = completed(&example);
        if let Err(faults) = anteroom::config::prepare(&folder.path().join("config.yaml")) {
            panic!("{}\n{}", example.display(), policy::render(&faults.diagnostics, &faults.sources, false));
        }
    }
}

/// The files that a page shows, each in the fence behind the line that names it; the page holds them as they are.
fn shown(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(house().join(page)).unwrap();
    let mut shown = BTreeSet::new();
    for (before, rest) in text.match_indices("`:\n\n```").map(|(at, _)| (&text[..at], &text[at + 4..])) {
        let name = before.rsplit('`').next().unwrap();
        let (_, text) = rest.trim_start_matches('`').split_once('\n').unwrap();
        let text = text.split_once("\n```").unwrap().0;
        let file = fs::read_to_string(house().join(name)).unwrap();
        assert!(file.trim_end() == text, "{page} does not show `{name}` as it is");
        shown.insert(name.to_owned());
    }
    shown
}

#[test]
fn the_manual_shows_the_files_of_the_real_applications_as_they_are() {
    let shown = shown("docs/real-applications.md");
    for example in examples().iter().filter(|path| path.starts_with(house().join("tests/apps"))) {
        let policies = fs::read_dir(example.join("policies")).unwrap().map(|entry| entry.unwrap().path());
        for file in policies.chain([example.join("config.yaml")]) {
            let name = file.strip_prefix(house()).unwrap().to_str().unwrap().to_owned();
            assert!(shown.contains(&name), "docs/real-applications.md does not show `{name}`");
        }
    }
}

/// `tests/front/run` starts what stands in front from these very files.
#[test]
fn the_manual_shows_the_files_of_what_stands_in_front_as_they_are() {
    let shown = shown("docs/in-front.md");
    for folder in ["docs/examples/front", "docs/examples/front/kubernetes"] {
        for file in fs::read_dir(house().join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(house()).unwrap().to_str().unwrap().to_owned();
            assert!(file.is_dir() || shown.contains(&name), "docs/in-front.md does not show `{name}`");
        }
    }
}
