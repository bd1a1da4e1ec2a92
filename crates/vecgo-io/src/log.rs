//! Logs that grow while they are written. They are read as objects.

use std::fmt::Debug;

use crate::{BoxFuture, StoreError};

/// Where logs are written that grow. Where nothing grows a log is an object put whole.
pub trait Logs: Debug + Send + Sync + 'static {
    /// Begins a log under a key that nothing ever had.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` if something has it.
    fn create<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Box<dyn Log>, StoreError>>;
}

/// A log being written. Nobody appends to it once it is dropped.
pub trait Log: Debug + Send + Sync {
    /// Adds bytes at the end. They survive this process, but not the machine.
    ///
    /// # Errors
    /// A part of the bytes may be there; the log must not be used again.
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Makes all that was appended durable and visible to others.
    ///
    /// # Errors
    /// What was appended since the last sync is in doubt; the log must not be used again.
    fn sync(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}
