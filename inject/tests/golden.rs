//! Shapes of manifests, each with what comes of it: `golden/in` goes in, `golden/out` holds the manifests and the report.
//!
//! `ANTEROOM_GOLDEN=write cargo nextest run -p inject golden` writes the outputs anew; the difference is then reviewed.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::fs;
use std::path::{Path, PathBuf};

use inject::manifests::{Input, inject_manifests};
use inject::{Asked, RawInjection, Settings};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What the first lines of an input say: `# settings: {…}` and `# all`.
fn settings(text: &str) -> Settings {
    let mut written = json!({ "image": "registry.example/anteroom:1" });
    let mut asked = Asked::ByLabel;
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        if line == "# all" {
            asked = Asked::ByDefault;
        } else if let Some(more) = line.strip_prefix("# settings: ") {
            let more: Value = serde_json::from_str(more).unwrap();
            written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
    }
    written["apiVersion"] = json!("anteroom.dev/v1");
    written["kind"] = json!("Injection");
    let raw: RawInjection = serde_json::from_value(written).unwrap();
    raw.settings(None, "1.0.0", asked).unwrap()
}

/// Stands in for SHA-256, which this crate does not bring along (FNV-1a).
fn digest(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("fnv:{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn inject(name: &str, text: &str, settings: &Settings) -> (String, String) {
    let input = Input { name: name.to_owned(), text: text.to_owned() };
    match inject_manifests(&[input], settings, &digest) {
        Ok(done) => (done.text, done.report.text()),
        Err(fault) => (String::new(), format!("{fault}\n")),
    }
}

fn shapes() -> Vec<(String, String)> {
    let mut shapes: Vec<(String, String)> = fs::read_dir(golden().join("in"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    shapes.sort();
    assert!(shapes.len() > 60, "{}", shapes.len());
    shapes
}

fn expected(name: &str) -> String {
    fs::read_to_string(golden().join("out").join(name)).unwrap_or_default()
}

#[test]
fn every_shape_gives_what_was_reviewed() {
    let write = std::env::var("ANTEROOM_GOLDEN").is_ok_and(|word| word == "write");
    let mut wrong = Vec::new();
    for (name, text) in shapes() {
        let (manifests, report) = inject(&format!("{name}.yaml"), &text, &settings(&text));
        for (name, found) in [(format!("{name}.yaml"), manifests), (format!("{name}.txt"), report)] {
            if write {
                let path = golden().join("out").join(&name);
                if found.is_empty() {
                    drop(fs::remove_file(path));
                } else {
                    fs::write(path, found).unwrap();
                }
            } else if expected(&name) != found {
                wrong.push(format!("--- {name}\n{found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these differ from `golden/out`:\n{}", wrong.join("\n"));
}

#[test]
fn no_output_stands_there_without_its_input() {
    let names: Vec<String> = shapes().into_iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(golden().join("out")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn what_was_injected_stays_as_it_is() {
    for (name, text) in shapes() {
        let settings = settings(&text);
        let (once, _) = inject(&name, &text, &settings);
        let (twice, report) = inject(&name, &once, &settings);
        assert_eq!(twice, once, "{name}: {report}");
    }
}

#[test]
fn a_report_for_programs_says_the_same() {
    for (name, text) in shapes() {
        let input = Input { name, text: text.clone() };
        let Ok(done) = inject_manifests(&[input], &settings(&text), &digest) else { continue };
        let json = done.report.json();
        assert_eq!(json["refused"], done.report.refused());
        for object in json["objects"].as_array().unwrap() {
            let message = object["message"].as_str().unwrap();
            assert!(done.report.text().contains(message), "{message}");
            assert!(!object["code"].as_str().unwrap().is_empty());
        }
    }
}
