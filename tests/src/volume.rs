//! A folder as the kubelet mounts a ConfigMap or a Secret: every visible name is a link into `..data`, which is a link to a
//! folder with the contents of one moment, and a change is one rename.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A mounted volume.
#[derive(Debug)]
pub struct Volume {
    root: PathBuf,
    version: usize,
}

impl Volume {
    /// Mounts `files` at `root`, in place of whatever is there.
    pub fn mount(root: PathBuf, files: &[(&str, &str)]) -> Self {
        drop(std::fs::remove_dir_all(&root));
        std::fs::create_dir(&root).unwrap();
        let mut volume = Self { root, version: 0 };
        volume.swap(files);
        volume
    }

    /// Puts `files` in place of what is there, as the kubelet's AtomicWriter does.
    pub fn swap(&mut self, files: &[(&str, &str)]) {
        let old = std::fs::read_link(self.root.join("..data")).ok();
        self.version += 1;
        let name = format!("..2026_11_21_20_44_46.{}", self.version);
        let folder = self.root.join(&name);
        std::fs::create_dir(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        symlink(&name, self.root.join("..data_tmp")).unwrap();
        std::fs::rename(self.root.join("..data_tmp"), self.root.join("..data")).unwrap();
        for (file, _) in files {
            let visible = self.root.join(file);
            if visible.symlink_metadata().is_err() {
                symlink(format!("..data/{file}"), visible).unwrap();
            }
        }
        for entry in std::fs::read_dir(&self.root).unwrap().map(Result::unwrap) {
            let shown = entry.file_name();
            let gone = !shown.to_string_lossy().starts_with("..") && !files.iter().any(|(file, _)| *file == shown);
            if gone {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        if let Some(old) = old {
            std::fs::remove_dir_all(self.root.join(old)).unwrap();
        }
    }
}
