//! Pages of objects on a disk of this machine.
//!
//! A file a page, whose name says which page it is and what its checksum is: the directory is all there is
//! to read when a process begins, and a file that was cut short or changed is as good as none. Nothing here
//! is synced, since nothing here is needed.

use std::cell::RefCell;
use std::path::Path;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use xxhash_rust::xxh3::xxh3_64;

use super::pages::{PAGE_BYTES, PageKey};
use crate::disk::{Disk, DiskLock, LocalDisk, LockAttempt};
use crate::{OpenError, StoreError};

/// The least that is worth a directory.
const LEAST_BYTES: u64 = 16 << 20;
/// What is being written while something older is about to be deleted.
const SLACK_BYTES: u64 = 4 << 20;
/// File systems give whole blocks, and something for each name.
const BLOCK_BYTES: u64 = 4096;
const NAME_BYTES: u64 = 256;
/// Processes that may have a part of one directory at the same time.
const MOST_PARTS: u32 = 256;

thread_local! {
    static PAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Pages on a disk, bounded in bytes.
#[derive(Debug)]
pub(super) struct DiskPages {
    disk: LocalDisk,
    /// What is there.
    index: Cache<PageKey, File, ByBlocks, DefaultHashBuilder, Evicted>,
    /// The part of the directory is this process's for as long as this is held.
    _lock: Box<dyn DiskLock>,
}

/// What a file's name says of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    checksum: u64,
    length: u64,
}

#[derive(Debug, Clone)]
struct ByBlocks;

impl Weighter<PageKey, File> for ByBlocks {
    fn weight(&self, _: &PageKey, file: &File) -> u64 {
        file.length.next_multiple_of(BLOCK_BYTES) + NAME_BYTES
    }
}

/// Collects what has to go.
#[derive(Debug, Clone)]
struct Evicted;

impl Lifecycle<PageKey, File> for Evicted {
    type RequestState = Vec<(PageKey, File)>;

    fn begin_request(&self) -> Self::RequestState {
        Vec::new()
    }

    fn on_evict(&self, evicted: &mut Self::RequestState, key: PageKey, file: File) {
        evicted.push((key, file));
    }
}

fn folder(key: PageKey) -> String {
    format!("{:02x}", key.object >> 120)
}

fn path(key: PageKey, file: File) -> String {
    format!("{}/{:032x}-{:x}-{:016x}", folder(key), key.object, key.page, file.checksum)
}

/// What a file holds by its name.
fn parse(name: &str, length: u64) -> Option<(PageKey, File)> {
    let mut parts = name.split('-');
    let object = u128::from_str_radix(parts.next()?, 16).ok()?;
    let page = u64::from_str_radix(parts.next()?, 16).ok()?;
    let checksum = u64::from_str_radix(parts.next()?, 16).ok()?;
    (parts.next().is_none() && length <= PAGE_BYTES)
        .then_some((PageKey { object, page }, File { checksum, length }))
}

impl DiskPages {
    /// Those of a directory, of which each process that is there at the same time has a part.
    pub(super) fn open(root: &Path, bytes: u64) -> Result<Self, OpenError> {
        if bytes < LEAST_BYTES {
            let message = format!("cache_size is {bytes} bytes; expected {LEAST_BYTES} or more");
            return Err(OpenError::Address(message));
        }
        let failed = |error| StoreError::new(root.display().to_string(), error);
        for part in 0..MOST_PARTS {
            let disk = LocalDisk::create(&root.join(format!("part-{part}"))).map_err(failed)?;
            let process = format!("process {}", std::process::id());
            if let LockAttempt::Taken(lock) = disk.lock("lock", &process).map_err(failed)? {
                let bytes = bytes - SLACK_BYTES;
                let items = usize::try_from(bytes / PAGE_BYTES).unwrap_or(usize::MAX);
                let hasher = DefaultHashBuilder::default();
                let index = Cache::with(items, bytes, ByBlocks, hasher, Evicted);
                let pages = Self { disk, index, _lock: lock };
                pages.find();
                return Ok(pages);
            }
        }
        let message = format!("{}: {MOST_PARTS} processes have a part of it", root.display());
        Err(OpenError::Address(message))
    }

    /// Takes up what an earlier process left.
    fn find(&self) {
        for first in 0..=u8::MAX {
            let folder = format!("{first:02x}");
            for entry in self.disk.list(&folder).into_iter().flatten() {
                match parse(&entry.name, entry.length) {
                    Some((key, file)) => self.remember(key, file),
                    None => drop(self.disk.remove(&format!("{folder}/{}", entry.name))),
                }
            }
        }
    }

    fn remember(&self, key: PageKey, file: File) {
        for (key, file) in self.index.insert_with_lifecycle(key, file) {
            self.remove(key, file);
        }
    }

    /// One that is not there is gone already.
    fn remove(&self, key: PageKey, file: File) {
        let _ = self.disk.remove(&path(key, file));
    }

    /// Looks at a page, if it is here as it was written.
    pub(super) fn with<T>(&self, key: PageKey, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let length = usize::try_from(self.index.peek(&key)?.length).ok()?;
        // New memory for each would take longer than to read it.
        PAGE.with_borrow_mut(|page| {
            page.resize(length, 0);
            self.read_into(key, page).then(|| look(page))
        })
    }

    /// Reads a page of this length, if it is here as it was written.
    pub(super) fn read_into(&self, key: PageKey, out: &mut [u8]) -> bool {
        let Some(file) = self.index.get(&key) else { return false };
        if file.length != out.len() as u64 {
            return false;
        }
        let read = self.disk.open(&path(key, file)).and_then(|open| open.read_exact_at(0, out));
        let is_whole = read.is_ok() && xxh3_64(out) == file.checksum;
        if !is_whole {
            self.forget(key);
        }
        is_whole
    }

    /// Keeps a page, if the disk takes it.
    pub(super) fn insert(&self, key: PageKey, page: &[u8]) {
        let file = File { checksum: xxh3_64(page), length: page.len() as u64 };
        if self.index.peek(&key) == Some(file) {
            return;
        }
        let path = path(key, file);
        let written = self.disk.create_new(&path).or_else(|error| {
            match error.kind() == std::io::ErrorKind::NotFound {
                // The first of its folder.
                true => {
                    let _ = self.disk.create_dir(&folder(key));
                    self.disk.create_new(&path)
                }
                false => Err(error),
            }
        });
        match written.and_then(|mut out| out.append(page)) {
            Ok(()) => self.remember(key, file),
            Err(_) => self.remove(key, file),
        }
    }

    /// Whether a page is here, as far as is known.
    pub(super) fn has(&self, key: PageKey) -> bool {
        self.index.contains_key(&key)
    }

    /// Drops a page.
    pub(super) fn forget(&self, key: PageKey) {
        if let Some((key, file)) = self.index.remove(&key) {
            self.remove(key, file);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.index.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(page: u64) -> PageKey {
        PageKey { object: u128::from(page % 7) << 120 | 5, page }
    }

    fn page(number: u64, length: usize) -> Vec<u8> {
        number.to_le_bytes().into_iter().cycle().take(length).collect()
    }

    fn get(pages: &DiskPages, number: u64) -> Option<Vec<u8>> {
        pages.with(key(number), <[u8]>::to_vec)
    }

    /// Bytes of all files below a directory, as the file system counts them.
    fn taken(root: &Path) -> u64 {
        use std::os::unix::fs::MetadataExt;
        #[allow(clippy::disallowed_methods, reason = "the oracle is the file system")]
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let sizes = entries.map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => taken(&entry.path()),
            _ => entry.metadata().map_or(0, |file| file.blocks() * 512),
        });
        sizes.sum()
    }

    #[test]
    fn what_is_kept_is_bounded_and_survives() {
        let root = tempfile::tempdir().unwrap();
        let (bytes, length) = (LEAST_BYTES, 50_000);
        let pages = DiskPages::open(root.path(), bytes).unwrap();
        for number in 0..1000 {
            pages.insert(key(number), &page(number, length));
            assert!(pages.bytes() <= bytes);
        }
        assert!(taken(root.path()) <= bytes, "{} of {bytes}", taken(root.path()));
        let here: Vec<u64> = (0..1000).filter(|number| get(&pages, *number).is_some()).collect();
        assert!(here.len() > 100, "only {} are kept", here.len());
        drop(pages);
        let pages = DiskPages::open(root.path(), bytes).unwrap();
        let found = here.iter().filter(|number| match get(&pages, **number) {
            Some(found) => found == page(**number, length),
            // How much goes into which part of the index differs from process to process.
            None => false,
        });
        let (found, before) = (found.count(), here.len());
        assert!(found * 4 > before * 3, "{found} of {before} are there again");
        assert!(get(&pages, 5000).is_none());
    }

    #[test]
    fn changed_bytes_are_no_page() {
        let root = tempfile::tempdir().unwrap();
        let pages = DiskPages::open(root.path(), LEAST_BYTES).unwrap();
        for (number, damage) in [(1, "changed"), (2, "cut short"), (3, "gone")] {
            pages.insert(key(number), &page(number, 1000));
            let file = pages.index.get(&key(number)).unwrap();
            let path = root.path().join("part-0").join(path(key(number), file));
            #[allow(clippy::disallowed_methods, reason = "the test damages a file")]
            match damage {
                "changed" => std::fs::write(&path, page(9, 1000)).unwrap(),
                "cut short" => std::fs::write(&path, page(number, 999)).unwrap(),
                _ => std::fs::remove_file(&path).unwrap(),
            }
            assert_eq!(get(&pages, number), None, "{damage}");
            assert!(!path.exists(), "{damage}");
            pages.insert(key(number), &page(number, 1000));
            assert!(get(&pages, number).is_some(), "{damage}");
        }
    }

    #[test]
    fn processes_have_parts_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let first = DiskPages::open(root.path(), LEAST_BYTES).unwrap();
        let second = DiskPages::open(root.path(), LEAST_BYTES).unwrap();
        first.insert(key(1), &page(1, 10));
        assert!(get(&second, 1).is_none() && get(&first, 1).is_some());
        drop(first);
        let third = DiskPages::open(root.path(), LEAST_BYTES).unwrap();
        assert!(get(&third, 1).is_some(), "what a process leaves the next one finds");
        assert!(DiskPages::open(root.path(), LEAST_BYTES - 1).is_err());
    }
}
