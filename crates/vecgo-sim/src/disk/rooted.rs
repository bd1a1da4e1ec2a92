use std::io;

use vecgo_io::{Disk, DiskEntry, DiskReader, DiskWriter, LockAttempt};

use super::SimDisk;

/// A directory of a simulated disk as a disk of its own: what happens to the one happens to the other.
#[derive(Debug)]
pub(crate) struct Rooted {
    disk: SimDisk,
    root: &'static str,
}

impl Rooted {
    /// The directory, made durably if it is not there.
    ///
    /// # Errors
    /// What the disk's faults say.
    pub(crate) fn create(disk: &SimDisk, root: &'static str) -> io::Result<Self> {
        match disk.create_dir(root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => disk.sync_dir("")?,
        }
        Ok(Self::open(disk, root))
    }

    /// The directory, if it is there.
    pub(crate) fn open(disk: &SimDisk, root: &'static str) -> Self {
        Self { disk: disk.clone(), root }
    }

    fn path(&self, path: &str) -> String {
        if path.is_empty() { self.root.to_owned() } else { format!("{}/{path}", self.root) }
    }
}

impl Disk for Rooted {
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>> {
        self.disk.create_new(&self.path(path))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>> {
        self.disk.open(&self.path(path))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(&self.path(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.disk.sync_dir(&self.path(path))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.link(&self.path(from), &self.path(to))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(&self.path(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.disk.remove_dir(&self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>> {
        self.disk.list(&self.path(path))
    }

    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt> {
        self.disk.lock(&self.path(path), holder)
    }

    fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space()
    }
}
