//! A file system, as little of it as is needed.

mod local;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use local::LocalDisk;

/// A tree of files under one root. Paths are relative to it, with `/` between names.
///
/// What a call has done is durable only once the file, and for its name the directory, has been
/// synced; a crash before may keep all of it, none of it, or a part.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file that only its owner may use, to be written from front to back.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one; `NotFound` if its directory is missing.
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>>;

    /// Opens a file for reading. It stays readable when its name is removed.
    ///
    /// # Errors
    /// `NotFound`, or the operating system's.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>>;

    /// Creates a directory that only its owner may use.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` if its parent is missing.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory durable. The root is `""`.
    ///
    /// # Errors
    /// After an error the names are in doubt.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    /// Where a file is among all files of the machine, for [`Disk::link_from`] of another disk.
    fn absolute(&self, path: &str) -> Option<PathBuf> {
        let _ = path;
        None
    }

    /// Gives a file of another disk a second name here.
    ///
    /// # Errors
    /// `CrossesDevices` or `Unsupported` where a file cannot be of both; `AlreadyExists` if the name is taken.
    fn link_from(&self, from: &Path, to: &str) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives a file another name, in place of any file that has it.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// `NotFound`, or the operating system's.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, or the operating system's.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// What is in a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound`, or the operating system's.
    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>>;

    /// Takes the lock that a file stands for, creating the file, and leaves `holder` in it for
    /// others to read. The lock is free again when the guard is dropped or the process ends.
    ///
    /// # Errors
    /// The operating system's; a lock that is held is [`LockAttempt::Held`].
    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt>;

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// The operating system's.
    fn free_space(&self) -> io::Result<u64>;
}

/// A file being written.
pub trait DiskWriter: Debug + Send + Sync {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// A part of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// After an error the contents are in doubt, and a second call proves nothing.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file being read.
pub trait DiskReader: Debug + Send + Sync {
    /// Its length now.
    ///
    /// # Errors
    /// The operating system's.
    fn length(&self) -> io::Result<u64>;

    /// Says which ranges are about to be read, so that a disk that can fetches them at the same time.
    fn will_read(&self, ranges: &[Range<u64>]) {
        let _ = ranges;
    }

    /// Reads at `offset` until `out` is full.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends first.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// Held as long as the lock is.
pub trait DiskLock: Debug + Send + Sync {}

/// What came of trying to take a lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// It is ours.
    Taken(Box<dyn DiskLock>),
    /// It is another's; what that one left in the file.
    Held(String),
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskEntry {
    /// Its name within the directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// A file's length.
    pub length: u64,
}
