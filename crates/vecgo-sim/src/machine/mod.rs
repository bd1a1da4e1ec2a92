//! What the engine runs on: one thread, one clock, one source of randomness.

mod clock;
mod interleave;
mod rand;
mod scheduler;
mod shared;
mod trace;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use vecgo_engine::{Database, Options};
use vecgo_io::{Access, BlockCache, Clock, DirectoryStore, Env, Logs, Memory, OwnLogs, Store};

pub use clock::SimClock;
pub(crate) use rand::SimRand;
pub(crate) use scheduler::{Scheduler, Threads};
pub use trace::Trace;

use crate::Violation;
use crate::disk::{Image, Rooted, SimDisk};
use crate::random::Random;
use interleave::Interleaved;
use shared::Lockless;

/// Bytes of blocks that a process keeps: little, so that reads reach the disk.
const CACHE_BYTES: u64 = 16 << 10;
/// More memory than any run needs.
pub(crate) const PLENTY_BYTES: u64 = 1 << 30;
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// So much memory of a process, and its cache.
pub(crate) fn memory(
    bytes: u64,
    cache: u64,
    clock: &Arc<dyn Clock>,
) -> (Arc<Memory>, Arc<BlockCache>) {
    let memory = Arc::new(Memory::new(bytes, cache, MEMORY_WAIT, Arc::clone(clock)));
    (Arc::clone(&memory), Arc::new(BlockCache::new(memory)))
}

/// A machine with a disk. It has a process at a time, which can be killed and started again.
#[derive(Debug)]
pub struct Machine {
    /// Its disk.
    pub disk: SimDisk,
    /// Its clock.
    pub clock: SimClock,
    random: Random,
    /// Whether its directory stands for a bucket, and logs are in another one.
    own_logs: bool,
}

impl Machine {
    /// A machine that has just come up with a disk.
    pub fn boot(image: Image, random: Random, trace: Arc<Trace>) -> Self {
        let disk = SimDisk::new(image, trace);
        Self { disk, clock: SimClock::default(), random, own_logs: false }
    }

    /// The same with a directory that stands for a bucket, and logs in another one.
    pub fn with_own_logs(self, own_logs: bool) -> Self {
        Self { own_logs, ..self }
    }

    /// A process. `busy`: its tasks give way to each other at every call to the store.
    pub fn start(&mut self, access: Access, busy: bool) -> Process {
        let rand = Arc::new(SimRand::new(self.random.fork(1)));
        if self.own_logs {
            return self.start_beside_bucket(access, busy, rand);
        }
        let disk = Arc::new(self.disk.clone());
        let directory = Arc::new(DirectoryStore::new(disk, Arc::clone(&rand) as _, access));
        let (store, logs): (Arc<dyn Store>, Arc<dyn Logs>) = if busy {
            let interleaved = Arc::new(Interleaved::new(directory, self.random.fork(2)));
            (Arc::clone(&interleaved) as _, interleaved)
        } else {
            (Arc::clone(&directory) as _, directory)
        };
        let scheduler = Arc::new(Scheduler::new(self.clock.clone(), self.random.fork(3)));
        let threads = Threads { scheduler, process: 0 };
        Process::new(threads, store, Some(logs), rand, &self.clock, access)
    }
}

impl Machine {
    fn start_beside_bucket(&mut self, access: Access, busy: bool, rand: Arc<SimRand>) -> Process {
        let disk = Arc::new(self.disk.clone());
        let bucket = DirectoryStore::new(disk, Arc::clone(&rand) as _, access);
        let bucket = Arc::new(Lockless(Arc::new(bucket)));
        let own = own_logs(&self.disk, &rand);
        let (store, own): (Arc<dyn Store>, OwnLogs) = if busy {
            let own = Arc::new(Interleaved::new(own, self.random.fork(2)));
            let bucket = Interleaved::new(bucket, self.random.fork(4));
            (Arc::new(bucket), OwnLogs { store: Arc::clone(&own) as _, logs: own })
        } else {
            (bucket, OwnLogs { store: Arc::clone(&own) as _, logs: own })
        };
        let scheduler = Arc::new(Scheduler::new(self.clock.clone(), self.random.fork(3)));
        let threads = Threads { scheduler, process: 0 };
        let mut process = Process::new(threads, store, None, rand, &self.clock, access);
        process.env.own_logs = (access == Access::Write).then_some(own);
        process
    }

    /// Where backups go: a directory of the same disk, to which happens what happens to that; `None` if a fault keeps
    /// it from being made.
    pub(crate) fn vault(&self, process: &Process, access: Access) -> Option<Arc<dyn Store>> {
        let rooted = match access {
            Access::Read => Rooted::open(&self.disk, VAULT),
            Access::Write => Rooted::create(&self.disk, VAULT).ok()?,
        };
        let rand = Arc::clone(&process.env.rand);
        Some(Arc::new(DirectoryStore::new(Arc::new(rooted), rand, access)))
    }
}

/// A directory of a disk that has a writer's logs, if a fault does not keep it from being made.
pub(crate) fn own_logs(disk: &SimDisk, rand: &Arc<SimRand>) -> Arc<DirectoryStore> {
    let rooted = Rooted::create(disk, OWN_LOGS).unwrap_or_else(|_| Rooted::open(disk, OWN_LOGS));
    Arc::new(DirectoryStore::new(Arc::new(rooted), Arc::clone(rand) as _, Access::Write))
}

/// The directory that logs are in which are not in the store.
const OWN_LOGS: &str = "own";

/// The directory that backups are in.
const VAULT: &str = "vault";

/// One life of the engine.
#[derive(Debug)]
pub struct Process {
    /// What the engine sees of the machine.
    pub env: Env,
    threads: Threads,
    access: Access,
}

impl Process {
    /// A process among those of a scheduler.
    pub(crate) fn new(
        threads: Threads,
        store: Arc<dyn Store>,
        logs: Option<Arc<dyn Logs>>,
        rand: Arc<SimRand>,
        clock: &SimClock,
        access: Access,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let (memory, cache) = memory(PLENTY_BYTES, CACHE_BYTES, &clock);
        let spawn = Arc::new(threads.clone());
        let env = Env { store, logs, own_logs: None, clock, rand, spawn, cache, memory };
        Self { env, threads, access }
    }

    /// The same with so much memory.
    pub(crate) fn within(mut self, bytes: u64) -> Self {
        (self.env.memory, self.env.cache) = memory(bytes, CACHE_BYTES, &self.env.clock);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// [`Violation`] if it does not take the options.
    pub fn database(&self, options: Options) -> Result<Database, Violation> {
        let database = Database::new(self.env.clone(), self.access, options);
        database.map_err(|error| Violation::new("I20", error.to_string()))
    }

    /// Runs a future and all that it starts.
    ///
    /// # Errors
    /// I20, if everybody waits for somebody else, or nobody ever comes to an end.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> Result<T, Violation> {
        self.threads.scheduler.run(main)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Tasks hold the scheduler, and it holds them.
        self.threads.scheduler.kill(self.threads.process);
    }
}
