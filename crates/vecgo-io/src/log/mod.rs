//! Logs while they are written. They are read as objects.

mod object;

use std::fmt::Debug;

pub use object::ObjectLogs;

use crate::{BoxFuture, StoreError};

/// Where logs are written: files that grow, or objects that are put whole.
pub trait Logs: Debug + Send + Sync + 'static {
    /// Begins a log under a key that nothing ever had.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` if something has it, here or at the first [`Log::sync`].
    fn create<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Box<dyn Log>, StoreError>>;

    /// Makes a log that another process left behind durable as far as it can be read.
    ///
    /// # Errors
    /// After an error its contents are in doubt.
    fn sync<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Whether a log can be appended to after a sync. Where it cannot, each sync ends a log and
    /// the next write begins another.
    fn grow(&self) -> bool;
}

/// A log being written. Nobody appends to it once it is dropped.
pub trait Log: Debug + Send + Sync {
    /// Adds bytes at the end. They survive this process, but not the machine, and only where
    /// logs grow.
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
