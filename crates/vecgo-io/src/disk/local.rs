#![expect(clippy::disallowed_methods, reason = "this is the seam that the ban points to")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags};

use super::{Disk, DiskEntry, DiskLock, DiskReader, DiskWriter, LockAttempt};

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A database has no symbolic links, and one that somebody put there is not followed out of it; nor is a pipe waited
/// for.
const NO_LINKS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
/// More than any holder's line; a lock file is not trusted further.
const MAX_HOLDER_BYTES: u64 = 1024;

/// A directory of this machine.
#[derive(Debug)]
pub struct LocalDisk {
    root: PathBuf,
}

impl LocalDisk {
    /// A directory that is there.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, or the operating system's.
    pub fn open(root: &Path) -> io::Result<Self> {
        if !fs::metadata(root)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// A directory that is made, durably and with its parents, if it is not there.
    ///
    /// # Errors
    /// `NotADirectory`, or the operating system's.
    pub fn create(root: &Path) -> io::Result<Self> {
        if root.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            // Whoever made something in it first made the root durable.
            return Self::open(root);
        }
        let mut ancestors = root.ancestors().filter(|path| !path.as_os_str().is_empty());
        let mut missing: Vec<&Path> = Vec::new();
        for path in ancestors.by_ref() {
            missing.push(path);
            // It may have been made by a process that was killed before its sync.
            if path.exists() {
                break;
            }
        }
        for path in missing.into_iter().rev() {
            match DirBuilder::new().mode(DIR_MODE).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Self::open(root)
    }

    /// Removes a directory if nothing is in it.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, or the operating system's.
    pub fn remove_root(root: &Path) -> io::Result<()> {
        fs::remove_dir(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Disk for LocalDisk {
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).mode(FILE_MODE).open(self.path(path))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>> {
        let file = OpenOptions::new().read(true).custom_flags(NO_LINKS).open(self.path(path))?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a plain file"));
        }
        Ok(Box::new(LocalFile(file)))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        DirBuilder::new().mode(DIR_MODE).create(self.path(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.path(from), self.path(to))
    }

    fn absolute(&self, path: &str) -> Option<PathBuf> {
        Some(self.path(path))
    }

    fn link_from(&self, from: &Path, to: &str) -> io::Result<()> {
        fs::hard_link(from, self.path(to))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.path(path))? {
            let entry = entry?;
            // A name that is not UTF-8 is not one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            entries.push(DiskEntry { name, is_dir: metadata.is_dir(), length: metadata.len() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        options.custom_flags(NO_LINKS);
        let mut file = options.open(self.path(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = Vec::new();
                (&file).take(MAX_HOLDER_BYTES).read_to_end(&mut holder)?;
                return Ok(LockAttempt::Held(String::from_utf8_lossy(&holder).into_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The text only informs: it needs no sync, and a full disk must not keep the lock from us.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()));
        Ok(LockAttempt::Taken(Box::new(LocalLock(file))))
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskWriter for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl DiskReader for LocalFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Into the page cache, which is read from then.
    fn will_read(&self, ranges: &[Range<u64>]) {
        for range in ranges {
            let length = NonZeroU64::new(range.end.saturating_sub(range.start));
            // Where it is of no use the reads themselves do it.
            let _ = rustix::fs::fadvise(&self.0, range.start, length, Advice::WillNeed);
        }
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }
}

#[derive(Debug)]
struct LocalLock(#[expect(dead_code, reason = "closing the file frees the lock")] File);

impl DiskLock for LocalLock {}
