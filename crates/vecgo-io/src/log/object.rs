use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{Log, Logs};
use crate::{BoxFuture, PutOutcome, Store, StoreError};

/// Logs as objects of a store: what is appended is put as one object by the first sync.
#[derive(Debug)]
pub struct ObjectLogs {
    store: Arc<dyn Store>,
}

impl ObjectLogs {
    /// Logs in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Logs for ObjectLogs {
    fn create<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Box<dyn Log>, StoreError>> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        Box::pin(
            async move { Ok(Box::new(ObjectLog { store, key, body: Vec::new() }) as Box<dyn Log>) },
        )
    }

    fn sync<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        // An object that can be read is durable.
        Box::pin(async { Ok(()) })
    }

    fn grow(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct ObjectLog {
    store: Arc<dyn Store>,
    key: String,
    body: Vec<u8>,
}

impl Log for ObjectLog {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.body.extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let body = Bytes::from(std::mem::take(&mut self.body));
            match self.store.put_if_absent(&self.key, body).await? {
                PutOutcome::Committed => Ok(()),
                PutOutcome::Conflict => {
                    Err(StoreError::new(&self.key, io::ErrorKind::AlreadyExists.into()))
                }
                PutOutcome::Unknown(error) => Err(error),
            }
        })
    }
}
