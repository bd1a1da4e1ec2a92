//! A directory in the place of a bucket.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use vecgo_io::{
    BoxFuture, DirectoryStore, Listed, Object, ObjectWriter, PutOutcome, Store, StoreError,
    StoreLock,
};

/// A store without locks, in a directory: what it keeps lives and dies with the disk that a machine has logs on, so
/// that both are as they were at one moment.
#[derive(Debug)]
pub(super) struct Lockless(pub(super) Arc<DirectoryStore>);

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Store for Lockless {
    fn put_if_absent<'a>(&'a self, key: &'a str, body: Bytes) -> Answer<'a, PutOutcome> {
        self.0.put_if_absent(key, body)
    }

    fn create<'a>(&'a self, key: &'a str) -> Answer<'a, Box<dyn ObjectWriter>> {
        Store::create(&*self.0, key)
    }

    fn open<'a>(&'a self, key: &'a str, length: Option<u64>) -> Answer<'a, Box<dyn Object>> {
        self.0.open(key, length)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Listed>> {
        self.0.list(prefix)
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        self.0.delete(key)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn clear_unfinished<'a>(&'a self, prefix: &'a str) -> Answer<'a, ()> {
        self.0.clear_unfinished(prefix)
    }

    fn clear_prefix<'a>(&'a self, prefix: &'a str) -> Answer<'a, ()> {
        self.0.clear_prefix(prefix)
    }

    fn has_locks(&self) -> bool {
        false
    }

    fn lock<'a>(&'a self, key: &'a str, _: &'a str) -> Answer<'a, StoreLock> {
        let error = StoreError::new(key, std::io::ErrorKind::Unsupported.into());
        Box::pin(async { Err(error) })
    }
}
