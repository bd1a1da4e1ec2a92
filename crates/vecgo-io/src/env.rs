use std::io;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use crate::{
    Access, BlockCache, Clock, DirectoryStore, LocalDisk, Logs, MemoryStore, Rand, Spawn, Store,
    StoreError, SystemClock, SystemRand, ThreadPool,
};

/// One of each seam: all that an engine sees of the machine.
#[derive(Debug, Clone)]
pub struct Env {
    /// Objects.
    pub store: Arc<dyn Store>,
    /// Logs that grow. Where there are none a log is an object put whole.
    pub logs: Option<Arc<dyn Logs>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rand: Arc<dyn Rand>,
    /// Threads.
    pub spawn: Arc<dyn Spawn>,
    /// Blocks read before.
    pub cache: Arc<BlockCache>,
}

/// Why the machine's seams could not be had.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine gives no threads or no randomness.
    #[error("the system gives no threads or randomness: {0}")]
    System(#[source] io::Error),
}

impl Env {
    /// A directory of this machine. Under [`Access::Write`] it is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] names the directory that cannot be used.
    pub fn local(root: &Path, access: Access, cache_bytes: u64) -> Result<Self, OpenError> {
        let disk = match access {
            Access::Write => LocalDisk::create(root),
            Access::Read => LocalDisk::open(root),
        };
        let disk = disk.map_err(|error| StoreError::new(root.display().to_string(), error))?;
        let rand = Arc::new(SystemRand::new().map_err(OpenError::System)?);
        let store = DirectoryStore::new(Arc::new(disk), Arc::clone(&rand) as Arc<dyn Rand>, access);
        let store = Arc::new(store);
        Self::of_machine(Arc::clone(&store) as Arc<dyn Store>, Some(store), rand, cache_bytes)
    }

    /// Memory of this process, gone when the last handle is dropped.
    ///
    /// # Errors
    /// [`OpenError::System`].
    pub fn memory(cache_bytes: u64) -> Result<Self, OpenError> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let rand = Arc::new(SystemRand::new().map_err(OpenError::System)?);
        Self::of_machine(store, None, rand, cache_bytes)
    }

    fn of_machine(
        store: Arc<dyn Store>,
        logs: Option<Arc<dyn Logs>>,
        rand: Arc<dyn Rand>,
        cache_bytes: u64,
    ) -> Result<Self, OpenError> {
        let spawn = Arc::new(ThreadPool::new().map_err(OpenError::System)?);
        let clock = Arc::new(SystemClock::default());
        let cache = Arc::new(BlockCache::new(cache_bytes));
        Ok(Self { store, logs, clock, rand, spawn, cache })
    }
}
