//! Objects: written once under a name, then read or deleted.

#[cfg(feature = "buckets")]
mod bucket;
mod directory;
mod memory;
mod requests;

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;

#[cfg(feature = "buckets")]
pub use bucket::{BucketStore, PageCache};
pub use directory::DirectoryStore;
pub use memory::{HeldObject, MemoryStore};
pub use requests::{RequestCounts, Requests};

use crate::{BoxFuture, DiskLock, StoreError};

/// Whether a store may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only; works on a medium that cannot be written.
    Read,
    /// Reading and writing.
    Write,
}

/// A flat space of immutable objects. Keys are parts joined by `/`.
///
/// An object becomes visible whole or not at all, and once a call has reported it written it is
/// durable. What is listed, opened or deleted after that call returned reflects it.
pub trait Store: Debug + Send + Sync + 'static {
    /// Creates a small object if no object has the key. Of several at once exactly one wins.
    ///
    /// # Errors
    /// [`StoreError`] only where this call created nothing and never will; all doubt is
    /// [`PutOutcome::Unknown`].
    fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<PutOutcome, StoreError>>;

    /// Begins an object of any size under a key that nothing ever had.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>>;

    /// Opens an object. Where the store can, it stays readable when it is deleted.
    ///
    /// Its length, if it is known, saves the question to a store that is reached over a network. That
    /// it is not there, or not as long, is then found out by whoever reads it.
    ///
    /// # Errors
    /// Of kind `NotFound` if there is none.
    fn open<'a>(
        &'a self,
        key: &'a str,
        length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>>;

    /// Reads a whole object.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Object::read_into`].
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        Box::pin(async move {
            let object = self.open(key, None).await?;
            read_range(&*object, key, 0..object.length()).await
        })
    }

    /// The objects whose keys begin with `prefix`, which ends in `/`, sorted by key. What a store
    /// that may be written lists is durable, whoever put it, and what it does not list is gone for
    /// good.
    ///
    /// # Errors
    /// [`StoreError`]; a prefix without objects is an empty list.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>>;

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// This store as what it is, so that one of its kind knows it.
    fn as_any(&self) -> &dyn Any;

    /// Copies an object of another store, of so many bytes, to a key that nothing ever had, without a byte
    /// of it passing through this process. False where that cannot be done, and nothing was.
    ///
    /// # Errors
    /// [`StoreError`]; the copy may be there or not.
    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let _ = (from, key, length, to);
        Box::pin(async { Ok(false) })
    }

    /// Removes what a store keeps beside objects under a prefix, which ends in `/`: directories, locks,
    /// what is half-written. Only for whoever knows that nobody will ever write there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn clear_prefix<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.clear_unfinished(prefix)
    }

    /// Deletes what writers that are gone left half-written under a prefix, which ends in `/`. Only
    /// for whoever knows that nobody writes there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn clear_unfinished<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What was asked of it, where each question costs money and time.
    fn requests(&self) -> Option<&Requests> {
        None
    }

    /// Bytes of its objects that are kept on a disk of this machine.
    fn cached_on_disk(&self) -> u64 {
        0
    }

    /// Bytes that can still be written, where there is an end to them and it is known.
    fn free_space(&self) -> Option<u64> {
        None
    }

    /// Whether it has locks. Where it has none, writers take over from each other by puts whose
    /// condition holds.
    fn has_locks(&self) -> bool;

    /// Takes a lock that no other process can hold at the same time, and leaves `holder` for
    /// others to read.
    ///
    /// # Errors
    /// Of kind `Busy`, naming the holder, if the lock is held; if there are no locks.
    fn lock<'a>(
        &'a self,
        key: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>>;
}

/// What came of a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The object is there, durably, with these bytes.
    Committed,
    /// Another object had the key.
    Conflict,
    /// The object may be there or not, now or later. If the error is of kind `Unavailable` the
    /// same put again, with the same bytes, may tell; any other error is final.
    Unknown(StoreError),
}

/// An object being written. Dropped before [`ObjectWriter::finish`] it never appears.
pub trait ObjectWriter: Debug + Send {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`StoreError`]; the object can then only be dropped.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Makes the object visible and durable.
    ///
    /// # Errors
    /// [`StoreError`]; the object may be there or not.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// An object being read.
pub trait Object: Debug + Send + Sync {
    /// Length in bytes. A log that is still written may have grown since.
    fn length(&self) -> u64;

    /// Says which ranges are about to be read, so that a store that can fetches them at the same time.
    fn will_read(&self, ranges: &[Range<u64>]) {
        let _ = ranges;
    }

    /// Says that what was read in a range is not what it should be: what was kept of it elsewhere goes.
    fn forget(&self, range: Range<u64>) {
        let _ = range;
    }

    /// Reads at `offset` until `out` is full.
    ///
    /// # Errors
    /// [`StoreError`], also if the object ends first.
    fn read_into<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The same of what the store holds, not of what was kept of it elsewhere: for whoever checks it, and
    /// for what is read once from front to back.
    ///
    /// # Errors
    /// As [`Object::read_into`].
    fn read_past<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.read_into(offset, out)
    }
}

/// An object's key and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Length in bytes.
    pub length: u64,
}

/// A lock, free again when this is dropped.
#[derive(Debug)]
pub struct StoreLock {
    _guard: Box<dyn DiskLock>,
}

/// Reads a range of an object into fresh memory; one that does not fit is an error.
///
/// # Errors
/// As [`Object::read_into`].
pub async fn read_range(
    object: &dyn Object,
    key: &str,
    range: Range<u64>,
) -> Result<Vec<u8>, StoreError> {
    let no_memory = || StoreError::new(key, std::io::ErrorKind::OutOfMemory.into());
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| no_memory())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| no_memory())?;
    bytes.resize(length, 0);
    object.read_into(range.start, &mut bytes).await?;
    Ok(bytes)
}
