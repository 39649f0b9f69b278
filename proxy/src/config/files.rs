//! What was in the files of a set when they were read, so that a change is seen.
//!
//! Decides whether a set is still what it was: by its contents, never by times or inode numbers, which tell nothing behind
//! the symbolic links of a Kubernetes volume or on a network file system. It holds digests, never the contents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::load::{policy_files, read_bytes};
use crate::made_of::MadeOf;

/// SHA-256 over what a path held, or over the reason why it could not be read.
type Print = [u8; 32];

/// The files of one set. It is as large as the configuration makes it: a few files, and at most one folder of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSet {
    config: PathBuf,
    files: BTreeMap<PathBuf, Print>,
    folders: BTreeMap<PathBuf, Print>,
}

impl FileSet {
    /// The set of the configuration at `path`, nothing read yet.
    pub(super) fn of(path: &Path) -> Self {
        Self { config: path.to_path_buf(), ..Self::default() }
    }

    /// The configuration file, from which all others follow.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Reads a file and notes what was in it.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let read = read_bytes(path);
        self.files.insert(path.to_path_buf(), print_of(&read));
        read
    }

    /// Lists the policy files at a path and notes which there were.
    pub(super) fn list(&mut self, path: &Path) -> Result<Vec<PathBuf>, String> {
        let listed = policy_files(path);
        self.folders.insert(path.to_path_buf(), print_of_list(&listed));
        listed
    }

    /// The same files as they are now.
    pub fn again(&self) -> Self {
        let read = |path: &PathBuf| (path.clone(), print_of(&read_bytes(path)));
        let list = |path: &PathBuf| (path.clone(), print_of_list(&policy_files(path)));
        Self {
            config: self.config.clone(),
            files: self.files.keys().map(read).collect(),
            folders: self.folders.keys().map(list).collect(),
        }
    }
}

/// The first byte keeps an error apart from a file that holds the error's text.
pub(crate) fn print_of(read: &Result<Vec<u8>, String>) -> Print {
    match read {
        Ok(bytes) => MadeOf::all([&b"+"[..], bytes]),
        Err(reason) => MadeOf::all([&b"-"[..], reason.as_bytes()]),
    }
}

fn print_of_list(listed: &Result<Vec<PathBuf>, String>) -> Print {
    MadeOf::all([&b"/"[..], format!("{listed:?}").as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn contents_count_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.yaml"), folder.path().join("two.yaml"));
        std::fs::write(&one, "a").unwrap();
        let mut set = FileSet::default();
        assert_eq!(set.read(&one), Ok(b"a".to_vec()));
        assert!(set.read(&folder.path().join("missing")).is_err());
        assert_eq!(set.list(folder.path()).unwrap().len(), 1);
        assert_eq!(set.again(), set);
        std::fs::write(&one, "a").unwrap();
        assert_eq!(set.again(), set, "written anew with the same content");
        std::fs::write(&one, "b").unwrap();
        assert_ne!(set.again(), set);
        std::fs::write(&one, "a").unwrap();
        std::fs::write(&two, "").unwrap();
        assert_ne!(set.again(), set, "one more file");
        std::fs::remove_file(&two).unwrap();
        std::fs::write(folder.path().join("missing"), "").unwrap();
        assert_ne!(set.again(), set, "a file that was missing");
    }

    #[test]
    fn a_folder_behind_links_is_seen_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("p.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/p.yaml", at("p.yaml")).unwrap();
        let mut set = FileSet::default();
        set.list(folder.path()).unwrap();
        set.read(&at("p.yaml")).unwrap();
        symlink("..2", at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_ne!(set.again(), set);
    }
}
