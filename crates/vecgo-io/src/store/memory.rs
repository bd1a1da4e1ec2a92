use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Listed, Object, ObjectWriter, PutOutcome, Store, StoreLock};
use crate::{BoxFuture, DiskLock, StoreError};

/// Objects in the memory of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    locks: BTreeMap<String, String>,
    pending: BTreeSet<String>,
}

impl Store for MemoryStore {
    fn put_if_absent<'a>(
        &'a self,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<PutOutcome, StoreError>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            if state.objects.contains_key(key) {
                return Ok(PutOutcome::Conflict);
            }
            state.objects.insert(key.to_owned(), body);
            Ok(PutOutcome::Committed)
        })
    }

    fn create<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectWriter>, StoreError>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            if state.objects.contains_key(key) || !state.pending.insert(key.to_owned()) {
                return Err(StoreError::new(key, io::ErrorKind::AlreadyExists.into()));
            }
            let (state, key) = (Arc::clone(&self.state), key.to_owned());
            Ok(Box::new(MemoryWriter { state, key, body: Vec::new() }) as Box<dyn ObjectWriter>)
        })
    }

    fn open<'a>(
        &'a self,
        key: &'a str,
        _length: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Object>, StoreError>> {
        Box::pin(async move {
            let body = self.state.lock().objects.get(key).cloned();
            let body = body.ok_or_else(|| StoreError::new(key, io::ErrorKind::NotFound.into()))?;
            Ok(Box::new(HeldObject::new(key, body)) as Box<dyn Object>)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(async move {
            let state = self.state.lock();
            let from = state.objects.range(prefix.to_owned()..);
            let under = from.take_while(|(key, _)| key.starts_with(prefix));
            Ok(under
                .map(|(key, body)| Listed { key: key.clone(), length: body.len() as u64 })
                .collect())
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.state.lock().objects.remove(key);
            Ok(())
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn copy_from<'a>(
        &'a self,
        from: &'a dyn Store,
        key: &'a str,
        _length: u64,
        to: &'a str,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(from) = from.as_any().downcast_ref::<Self>() else { return Ok(false) };
            let body = from.state.lock().objects.get(key).cloned();
            let body = body.ok_or_else(|| StoreError::new(key, io::ErrorKind::NotFound.into()))?;
            self.state.lock().objects.insert(to.to_owned(), body);
            Ok(true)
        })
    }

    fn clear_unfinished<'a>(&'a self, _prefix: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn has_locks(&self) -> bool {
        true
    }

    fn lock<'a>(
        &'a self,
        key: &'a str,
        holder: &'a str,
    ) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            if let Some(holder) = state.locks.get(key) {
                return Err(StoreError::busy(key, holder));
            }
            state.locks.insert(key.to_owned(), holder.to_owned());
            let lock = MemoryLock { state: Arc::clone(&self.state), key: key.to_owned() };
            Ok(StoreLock { _guard: Box::new(lock) })
        })
    }
}

#[derive(Debug)]
struct MemoryWriter {
    state: Arc<Mutex<State>>,
    key: String,
    body: Vec<u8>,
}

impl ObjectWriter for MemoryWriter {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.body.extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let body = Bytes::from(std::mem::take(&mut self.body));
        Box::pin(async move {
            self.state.lock().objects.insert(self.key.clone(), body);
            Ok(())
        })
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.state.lock().pending.remove(&self.key);
    }
}

/// An object that is held in memory, whole.
#[derive(Debug)]
pub struct HeldObject {
    key: String,
    body: Bytes,
}

impl HeldObject {
    /// One with these bytes, which errors call so.
    pub fn new(key: impl Into<String>, body: Bytes) -> Self {
        Self { key: key.into(), body }
    }
}

impl Object for HeldObject {
    fn length(&self) -> u64 {
        self.body.len() as u64
    }

    fn read_into<'a>(
        &'a self,
        offset: u64,
        out: &'a mut [u8],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let source = self.body.get(start..).and_then(|tail| tail.get(..out.len()));
            let ends_first = || StoreError::new(&self.key, io::ErrorKind::UnexpectedEof.into());
            out.copy_from_slice(source.ok_or_else(ends_first)?);
            Ok(())
        })
    }
}

#[derive(Debug)]
struct MemoryLock {
    state: Arc<Mutex<State>>,
    key: String,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.state.lock().locks.remove(&self.key);
    }
}
