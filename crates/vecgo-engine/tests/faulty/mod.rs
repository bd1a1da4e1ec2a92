use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use vecgo_io::{Disk, DiskEntry, DiskReader, DiskWriter, LocalDisk, LockAttempt};

/// Which call that changes the disk fails, and whether all after it do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) place: u64,
    pub(crate) for_good: bool,
}

/// A disk whose calls fail where they are told to. A failed append may leave half of its bytes.
#[derive(Debug)]
pub(crate) struct FaultyDisk {
    disk: LocalDisk,
    calls: Arc<Calls>,
}

#[derive(Debug)]
struct Calls {
    fault: Option<Fault>,
    made: AtomicU64,
    failed: AtomicBool,
    syncs: AtomicU64,
}

impl Calls {
    fn next(&self) -> io::Result<()> {
        let place = self.made.fetch_add(1, Ordering::SeqCst);
        let fails = self
            .fault
            .is_some_and(|fault| place == fault.place || (fault.for_good && place > fault.place));
        if fails {
            self.failed.store(true, Ordering::SeqCst);
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

impl FaultyDisk {
    pub(crate) fn new(disk: LocalDisk, fault: Option<Fault>) -> Self {
        let calls = Calls {
            fault,
            made: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
        };
        Self { disk, calls: Arc::new(calls) }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.calls.failed.load(Ordering::SeqCst)
    }

    /// Syncs of files so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.calls.syncs.load(Ordering::SeqCst)
    }
}

impl Disk for FaultyDisk {
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskWriter>> {
        self.calls.next()?;
        let file = self.disk.create_new(path)?;
        Ok(Box::new(FaultyWriter { file, calls: Arc::clone(&self.calls) }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskReader>> {
        self.disk.open(path)
    }

    fn sync_file(&self, path: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.sync_file(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.create_dir(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.sync_dir(path)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.link(from, to)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.remove(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.calls.next()?;
        self.disk.remove_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DiskEntry>> {
        self.disk.list(path)
    }

    fn lock(&self, path: &str, holder: &str) -> io::Result<LockAttempt> {
        self.disk.lock(path, holder)
    }

    fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space()
    }
}

#[derive(Debug)]
struct FaultyWriter {
    file: Box<dyn DiskWriter>,
    calls: Arc<Calls>,
}

impl DiskWriter for FaultyWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.calls.next() {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.calls.next()?;
        self.calls.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync()
    }
}
