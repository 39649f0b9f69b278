//! The injector's command: its flags, and the policies that are printed.

use std::path::Path;

use e2e::process::run;
use tempfile::TempDir;

const IMAGE: &str = "--image=registry.example/anteroom:1";

#[test]
fn flags_that_do_not_fit_are_refused_before_anything_starts() {
    let folder = TempDir::new().unwrap();
    let usual = "apiVersion: anteroom.dev/v1\nkind: Injection\n";
    std::fs::write(folder.path().join("settings.yaml"), format!("{usual}memory: 1Gi\n")).unwrap();
    std::fs::write(folder.path().join("container.yaml"), format!("{usual}mode: container\n")).unwrap();
    for wrong in [
        &["injector", "serve", IMAGE][..],
        &["injector", "serve", IMAGE, "--self"],
        &["injector", "serve", IMAGE, "--tls=tls", "--self", "--namespace=a"],
        &["injector", "serve", IMAGE, "--self", "--namespace=a/b"],
        &["injector", "serve", "--tls=tls"],
        &["injector", "serve", IMAGE, "--tls=tls", "--settings=settings.yaml"],
        &["injector", "serve", IMAGE, "--tls=tls", "--drain-delay=20s"],
        &["injector", "policy", IMAGE, "--settings=container.yaml"],
    ] {
        assert_eq!(run(folder.path(), wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn the_charts_policies_are_what_the_code_says() {
    let house = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (name, text) in anteroom::injector::policies::files().unwrap() {
        let committed = std::fs::read_to_string(house.join(name)).unwrap_or_default();
        assert!(committed == text, "{name} is not what the code says; write it anew: cargo run -p e2e --bin manual");
    }
}
