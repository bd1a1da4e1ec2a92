//! A copy of the working tree, in which bugs are planted one at a time.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::bug::Bug;
use crate::Outcome;
use crate::process::git;

/// What no program is built from.
const LEFT_OUT: [&str; 4] = ["bench/", "docs/", "fuzz/corpus/", "sabotage/"];

/// The copy.
#[derive(Debug)]
pub(super) struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// Makes a copy in `folder`, or brings the one there up to date. A file that stays as it is is
    /// not written, so that Cargo builds nothing again without need.
    pub(super) fn copy(folder: PathBuf) -> Outcome<Self> {
        let listed = git("ls-files --cached --others --exclude-standard").output()?;
        let is_built_from = |file: &&str| {
            !LEFT_OUT.iter().any(|folder| file.starts_with(folder)) && Path::new(file).is_file()
        };
        let files: BTreeSet<&str> = listed.lines().filter(is_built_from).collect();
        let tree = Self { folder };
        for file in &files {
            tree.write(file, &fs::read(file)?)?;
        }
        let kept = files.iter().map(|file| tree.folder.join(file)).collect();
        remove_others(&tree.folder, &kept)?;
        Ok(tree)
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    /// Plants a bug; gives the files that it changed, as they were.
    pub(super) fn plant<'a>(&self, bug: &'a Bug) -> Outcome<Vec<(&'a str, Vec<u8>)>> {
        let planted = bug.plant(|file| Ok(fs::read_to_string(self.folder.join(file))?))?;
        let mut before = Vec::new();
        for (file, text) in planted {
            before.push((file, fs::read(self.folder.join(file))?));
            self.write(file, text.as_bytes())?;
        }
        Ok(before)
    }

    /// Makes files as they were: not as they are in the working tree, where somebody may be at
    /// work.
    pub(super) fn restore(&self, files: &[(&str, Vec<u8>)]) -> Outcome {
        files.iter().try_for_each(|(file, bytes)| self.write(file, bytes))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Outcome {
        let path = self.folder.join(file);
        match fs::read(&path) {
            Ok(there) if there == bytes => return Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(path.parent().ok_or("a file without a folder")?)?;
        Ok(fs::write(path, bytes)?)
    }
}

/// Removes files that the working tree no longer has, or Cargo would still find them.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
            // Fails, as it should, where something is left in it.
            let _ = fs::remove_dir(&path);
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
