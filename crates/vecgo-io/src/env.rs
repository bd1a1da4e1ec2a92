use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::memory::memory_of_machine;
use crate::{
    Access, BlockCache, Clock, DirectoryStore, LocalDisk, Logs, Memory, MemoryStore, Rand, Spawn,
    Store, StoreError, SystemClock, SystemRand, ThreadPool,
};

/// One of each seam: all that an engine sees of the machine.
#[derive(Debug, Clone)]
pub struct Env {
    /// Objects.
    pub store: Arc<dyn Store>,
    /// Logs that grow. Where there are none a log is an object put whole.
    pub logs: Option<Arc<dyn Logs>>,
    /// A disk on which a writer keeps its logs in place of a store that has no locks.
    pub own_logs: Option<OwnLogs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rand: Arc<dyn Rand>,
    /// Threads.
    pub spawn: Arc<dyn Spawn>,
    /// Blocks read before.
    pub cache: Arc<BlockCache>,
    /// Memory under a limit.
    pub memory: Arc<Memory>,
}

/// A directory of this machine in which logs grow.
#[derive(Debug, Clone)]
pub struct OwnLogs {
    /// The logs as objects, and locks.
    pub store: Arc<dyn Store>,
    /// The same, growing.
    pub logs: Arc<dyn Logs>,
}

/// What a database may take of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; what the machine, its control groups and the limits of the process leave if
    /// absent.
    pub memory: Option<u64>,
    /// How long to wait for memory.
    pub wait: Duration,
    /// Bytes of it for blocks: a quarter of all at most.
    pub cache: u64,
}

impl Limits {
    /// The least limit: below it nothing could be kept.
    pub const LEAST_MEMORY: u64 = 16 << 20;

    /// Bytes of memory.
    fn all(self) -> u64 {
        self.memory.unwrap_or_else(|| memory_of_machine().max(Self::LEAST_MEMORY))
    }

    /// The cache and the memory.
    pub fn begin(self, clock: &Arc<dyn Clock>) -> (Arc<BlockCache>, Arc<Memory>) {
        let limit = self.all();
        let cache = self.cache.min(limit / 4);
        let memory = Arc::new(Memory::new(limit, cache, self.wait, Arc::clone(clock)));
        (Arc::new(BlockCache::new(Arc::clone(&memory))), memory)
    }
}

/// Most memory for pages of a bucket.
#[cfg(feature = "buckets")]
const MOST_PAGES_BYTES: u64 = 32 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self { memory: None, wait: Duration::from_secs(10), cache: 256 << 20 }
    }
}

/// Why the machine's seams could not be had.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address names no bucket, or an option means nothing there.
    #[error("{0}")]
    Address(String),
    /// The limit is too low for anything.
    #[error(
        "memory_limit is {0} bytes; expected {least} or more",
        least = Limits::LEAST_MEMORY
    )]
    Limit(u64),
    /// The machine gives no threads or no randomness.
    #[error("the system gives no threads or randomness: {0}")]
    System(#[source] io::Error),
}

impl Env {
    /// A directory of this machine. Under [`Access::Write`] it is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] names the directory that cannot be used.
    pub fn local(root: &Path, access: Access, limits: Limits) -> Result<Self, OpenError> {
        let disk = match access {
            Access::Write => LocalDisk::create(root),
            Access::Read => LocalDisk::open(root),
        };
        let disk = disk.map_err(|error| StoreError::new(root.display().to_string(), error))?;
        let rand = Arc::new(SystemRand::new().map_err(OpenError::System)?);
        let store = DirectoryStore::new(Arc::new(disk), Arc::clone(&rand) as Arc<dyn Rand>, access);
        let store = Arc::new(store);
        Self::of_machine(Arc::clone(&store) as Arc<dyn Store>, Some(store), rand, limits)
    }

    /// A bucket, as [`BucketStore::open`](crate::BucketStore::open) finds it.
    ///
    /// # Errors
    /// [`OpenError`] for an address that names none, or an option that means nothing.
    #[cfg(feature = "buckets")]
    pub fn bucket(
        scheme: &str,
        rest: &str,
        options: &[(String, String)],
        directory: Option<(std::path::PathBuf, u64)>,
        mut limits: Limits,
    ) -> Result<Self, OpenError> {
        // A part of what there is for blocks goes to pages as they come, of which blocks are made.
        limits.cache = limits.cache.min(limits.all() / 4);
        let memory = (limits.cache / 8).min(MOST_PAGES_BYTES);
        limits.cache -= memory;
        let cache = crate::PageCache { memory, directory };
        let store = Arc::new(crate::BucketStore::open(scheme, rest, options, &cache)?);
        let rand = Arc::new(SystemRand::new().map_err(OpenError::System)?);
        Self::of_machine(store, None, rand, limits)
    }

    /// The same with a writer's logs in a directory of this machine, which is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] names the directory that cannot be used; `Address` for a store that has logs of its own.
    pub fn with_logs_in(mut self, root: &Path) -> Result<Self, OpenError> {
        if self.store.has_locks() {
            let message = "log_dir is for buckets; a directory has its logs in itself";
            return Err(OpenError::Address(message.to_owned()));
        }
        let disk = LocalDisk::create(root);
        let disk = disk.map_err(|error| StoreError::new(root.display().to_string(), error))?;
        let store = DirectoryStore::new(Arc::new(disk), Arc::clone(&self.rand), Access::Write);
        let store = Arc::new(store);
        self.own_logs = Some(OwnLogs { store: Arc::clone(&store) as _, logs: store });
        Ok(self)
    }

    /// What this is to the logs that a writer keeps on a disk of its own, if it does.
    pub fn of_own_logs(&self) -> Option<Self> {
        let OwnLogs { store, logs } = self.own_logs.clone()?;
        Some(Self { store, logs: Some(logs), own_logs: None, ..self.clone() })
    }

    /// Memory of this process, gone when the last handle is dropped.
    ///
    /// # Errors
    /// [`OpenError::System`].
    pub fn memory(limits: Limits) -> Result<Self, OpenError> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let rand = Arc::new(SystemRand::new().map_err(OpenError::System)?);
        Self::of_machine(store, None, rand, limits)
    }

    fn of_machine(
        store: Arc<dyn Store>,
        logs: Option<Arc<dyn Logs>>,
        rand: Arc<dyn Rand>,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        if let Some(limit) = limits.memory.filter(|limit| *limit < Limits::LEAST_MEMORY) {
            return Err(OpenError::Limit(limit));
        }
        let spawn = Arc::new(ThreadPool::new().map_err(OpenError::System)?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (cache, memory) = limits.begin(&clock);
        Ok(Self { store, logs, own_logs: None, clock, rand, spawn, cache, memory })
    }
}
