//! The demo's private folder: made at the start, readable by its owner alone, gone at the end.
//!
//! Decides where the demo's files are. It touches nothing outside of that folder.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::DemoError;

/// A folder that is removed with everything in it when this is dropped.
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// A new folder (mode 0700) in the system's temporary folder, under a name that nobody can guess.
    ///
    /// # Errors
    /// The folder cannot be made; one that is there already is never taken over.
    pub(super) fn make() -> Result<Self, DemoError> {
        let root = std::env::temp_dir().join(format!("anteroom-demo-{}", random_name()?));
        DirBuilder::new().mode(0o700).create(&root).map_err(|detail| DemoError::File { path: root.clone(), detail })?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder in it (mode 0700).
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, DemoError> {
        let path = self.path(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(detail) => Err(DemoError::File { path, detail }),
        }
    }

    /// A new file in it (mode 0600).
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<PathBuf, DemoError> {
        let path = self.path(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(contents));
        match written {
            Ok(()) => Ok(path),
            Err(detail) => Err(DemoError::File { path, detail }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody is left to be told, and the folder holds nothing that outlives the demo's keys.
        drop(std::fs::remove_dir_all(&self.root));
    }
}

/// 64 random bits as text.
fn random_name() -> Result<String, DemoError> {
    let mut bytes = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|detail| DemoError::Crypto { act: "find a random name", detail: detail.to_string() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_private_and_leaves_nothing() {
        let place = Place::make().unwrap();
        let root = place.root().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&place.folder("a").unwrap()), 0o700);
        assert_eq!(mode(&place.write("a/b", b"c").unwrap()), 0o600);
        assert!(place.write("a/b", b"d").is_err(), "nothing is written over");
        drop(place);
        assert!(!root.exists());
    }
}
