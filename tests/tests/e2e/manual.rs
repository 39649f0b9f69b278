//! The committed pages of the manual say what the code says.

use std::path::Path;

#[test]
fn the_pages_made_from_the_code_are_up_to_date() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    for (name, page) in anteroom::manual::pages() {
        let committed = std::fs::read_to_string(docs.join(name)).unwrap_or_default();
        assert!(
            committed == page,
            "docs/{name} is not what the code says; write it anew: cargo run -p e2e --bin manual"
        );
    }
}
