//! The inputs of the fuzz targets, in the normal run: what was found once stays found.

use std::path::Path;

#[path = "../../../fuzz/oracle.rs"]
mod oracle;

fn replay(target: &str, oracle: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        oracle(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 10, "{count} inputs for {target}");
}

#[test]
fn the_corpus_of_framing_holds() {
    replay("framing", oracle::framing);
}

#[test]
fn the_corpus_of_normalise_holds() {
    replay("normalise", oracle::normalise);
}
