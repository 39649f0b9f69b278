//! The manual's page of attacks names tests, and each of them is there.

use std::path::Path;

#[test]
fn every_test_that_the_page_names_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../docs/attacks.md")).unwrap();
    let named: Vec<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|word| word.rsplit_once("::")).collect();
    assert!(named.len() > 40, "{} tests are named", named.len());
    for (file, test) in named {
        let path = file.replace("::", "/");
        let text = std::fs::read_to_string(here.join(format!("tests/e2e/{path}.rs")))
            .unwrap_or_else(|_| panic!("there is no file `{file}`"));
        assert!(text.contains(&format!("fn {test}(")), "`{file}` has no test `{test}`");
    }
}
