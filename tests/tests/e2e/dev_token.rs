//! `anteroom dev token` makes one token or many, which its own key set verifies.

use std::collections::HashSet;

use e2e::process::run;
use tempfile::TempDir;

#[test]
fn several_tokens_are_of_one_key_and_each_has_an_id() {
    let folder = TempDir::new().unwrap();
    let made = run(folder.path(), &["dev", "token", "--keys", "keys", "--number", "50"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let lines: Vec<&str> = made.out.lines().collect();
    assert_eq!((lines.len(), lines.iter().collect::<HashSet<_>>().len()), (50, 50));
    let heads: HashSet<&str> = lines.iter().map(|line| line.split('.').next().unwrap()).collect();
    assert_eq!(heads.len(), 1, "one header, so one key");
    for number in ["0", "100001", "many"] {
        assert_eq!(
            run(folder.path(), &["dev", "token", "--keys", "keys", "--number", number]).code,
            Some(2),
            "{number}"
        );
    }
}
