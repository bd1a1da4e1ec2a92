use std::io;
use std::sync::Arc;

use thiserror::Error;

/// What kind of failure a store met, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object.
    NotFound,
    /// There already is such an object.
    AlreadyExists,
    /// The file system or its permissions forbid it.
    Denied,
    /// The disk or quota is full, or no more files can be open.
    NoSpace,
    /// Another holder has the lock.
    Busy,
    /// The store gives no answer, or no other than to ask again later.
    Unavailable,
    /// The object is shorter than was said.
    EndsFirst,
    /// The operating system gave some other error.
    Io,
}

/// A failed operation on an object: which, and why.
#[derive(Debug, Clone, Error)]
#[error("{key}: {source}")]
pub struct StoreError {
    key: String,
    kind: StoreErrorKind,
    source: Arc<io::Error>,
}

/// Too many open files, in the process or in the system.
fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|out| errno == Some(out.raw_os_error()))
}

impl StoreError {
    /// An operating system's error about `key`.
    pub fn new(key: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            // Keys are flat: a part of a key that is a directory, or should be one, is no object.
            io::ErrorKind::NotFound
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory => StoreErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => StoreErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreErrorKind::Denied
            }
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => StoreErrorKind::NoSpace,
            io::ErrorKind::UnexpectedEof => StoreErrorKind::EndsFirst,
            _ if is_out_of_files(&source) => StoreErrorKind::NoSpace,
            _ => StoreErrorKind::Io,
        };
        Self { key: key.into(), kind, source: Arc::new(source) }
    }

    /// A store that is reached over a network gives no answer about `key`. Never an error of a
    /// directory: there, asking again proves nothing.
    pub fn no_answer(key: impl Into<String>, source: io::Error) -> Self {
        Self { key: key.into(), kind: StoreErrorKind::Unavailable, source: Arc::new(source) }
    }

    /// The lock `key` is held; `holder` says by whom.
    pub fn busy(key: impl Into<String>, holder: &str) -> Self {
        let source = io::Error::new(io::ErrorKind::ResourceBusy, format!("held by {holder}"));
        Self { key: key.into(), kind: StoreErrorKind::Busy, source: Arc::new(source) }
    }

    /// The object or file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The kind of failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
