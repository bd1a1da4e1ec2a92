//! The seams between Vecgo and the machine.
//!
//! Nothing above this crate opens a file, reads a clock, draws a random number or starts a
//! thread. [`Env`] carries one of each seam; a simulation builds an `Env` of its own and runs the
//! real engine on it.

#![forbid(unsafe_code)]

mod cache;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod disk;
mod env;
mod error;
mod log;
mod memory;
mod rand;
mod spawn;
mod store;

use std::future::Future;
use std::pin::Pin;

pub use cache::{BlockCache, BlockKey, Held};
pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskEntry, DiskLock, DiskReader, DiskWriter, LocalDisk, LockAttempt};
pub use env::{Env, Limits, OpenError, OwnLogs};
pub use error::{StoreError, StoreErrorKind};
pub use log::{Log, Logs};
pub use memory::{Charge, Memory, MemoryStats, OutOfMemory, Use, Wait};
pub use rand::{Rand, SystemRand};
pub use spawn::{Spawn, SpawnExt, Task, ThreadPool};
pub use store::{
    Access, DirectoryStore, HeldObject, Listed, MemoryStore, Object, ObjectWriter, PutOutcome,
    RequestCounts, Requests, Store, StoreLock, read_range,
};
#[cfg(feature = "buckets")]
pub use store::{BucketStore, PageCache};

/// A future on the heap, as the object-safe seams return them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
