use std::fmt;
use std::sync::Arc;

use vecgo_format::{ConfigError, DocumentError, FormatError, IdError, SchemaError};
use vecgo_io::{OpenError, OutOfMemory, StoreError, StoreErrorKind};
use vecgo_kernels::AllocError;

/// What every fallible call of the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller has to do about an error. The order is part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Correct the call.
    InvalidArgument,
    /// Name something that exists.
    NotFound,
    /// Choose another name or id.
    AlreadyExists,
    /// Decide again: the state is another than the call supposed.
    Conflict,
    /// Write through the writer.
    ReadOnly,
    /// Stop: another writer has taken over.
    Fenced,
    /// Wait for the holder that the message names.
    Busy,
    /// Free memory or disk, or ask for less.
    ResourceExhausted,
    /// Restore the object that the message names.
    Corruption,
    /// Try again later, or reopen.
    Unavailable,
    /// Find out whether the write is there before repeating it.
    OutcomeUnknown,
    /// Read a version that is still kept.
    VersionGone,
    /// Use a build that can.
    Unsupported,
    /// Open again.
    Closed,
    /// Report a bug.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the exit codes 3 to 17.
    pub const ALL: &[ErrorKind] = &[
        ErrorKind::InvalidArgument,
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::ReadOnly,
        ErrorKind::Fenced,
        ErrorKind::Busy,
        ErrorKind::ResourceExhausted,
        ErrorKind::Corruption,
        ErrorKind::Unavailable,
        ErrorKind::OutcomeUnknown,
        ErrorKind::VersionGone,
        ErrorKind::Unsupported,
        ErrorKind::Closed,
        ErrorKind::Internal,
    ];

    /// Exit code of the command line.
    pub fn exit_code(self) -> u8 {
        let place = Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default();
        u8::try_from(place).unwrap_or_default() + 3
    }

    /// HTTP status of the server.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorKind::InvalidArgument => 400,
            ErrorKind::NotFound => 404,
            ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::Fenced => 409,
            ErrorKind::ReadOnly => 403,
            ErrorKind::Busy => 423,
            ErrorKind::ResourceExhausted => 429,
            ErrorKind::VersionGone => 410,
            ErrorKind::Unsupported => 501,
            ErrorKind::Unavailable | ErrorKind::Closed => 503,
            ErrorKind::OutcomeUnknown => 504,
            ErrorKind::Corruption | ErrorKind::Internal => 500,
        }
    }

    /// Exception of the Python package.
    pub fn python_exception(self) -> &'static str {
        match self {
            ErrorKind::InvalidArgument => "ValueError",
            ErrorKind::NotFound | ErrorKind::VersionGone => "KeyError",
            ErrorKind::AlreadyExists => "FileExistsError",
            ErrorKind::ReadOnly => "PermissionError",
            ErrorKind::Busy => "BlockingIOError",
            ErrorKind::ResourceExhausted => "MemoryError",
            ErrorKind::Unavailable => "ConnectionError",
            ErrorKind::Unsupported => "NotImplementedError",
            ErrorKind::Conflict
            | ErrorKind::Fenced
            | ErrorKind::Corruption
            | ErrorKind::OutcomeUnknown
            | ErrorKind::Closed
            | ErrorKind::Internal => "RuntimeError",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A failed call: what to do about it, what was expected and found, and the cause.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    /// Row of the caller's batch that is at fault.
    row: Option<usize>,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, row: None, message: message.into(), source: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// What every call on a closed collection gets.
    #[doc(hidden)]
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the collection is closed; open it again")
    }

    /// What was being done by a task that panicked.
    #[doc(hidden)]
    pub fn panicked() -> Self {
        Self::internal("a task of the database panicked, which is a defect of Vecgo")
    }

    /// The same failure seen from further up.
    pub(crate) fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The failure of one row of a batch.
    pub(crate) fn at_row(mut self, row: usize) -> Self {
        self.row = Some(row);
        self
    }

    /// Bytes of `key` that could not be read as what they should be.
    pub(crate) fn format(key: &str, source: FormatError) -> Self {
        let kind = match source {
            FormatError::Version { .. } | FormatError::Unknown { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::Corruption,
        };
        Self::caused(kind, format!("{key}: {source}"), source)
    }

    fn caused(
        kind: ErrorKind,
        message: String,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind, row: None, message, source: Some(Arc::new(source)) }
    }

    /// What the caller has to do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The row of the batch that is at fault, if one is.
    pub fn row(&self) -> Option<usize> {
        self.row
    }

    /// What was expected and what was found, without the row.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            None => f.write_str(&self.message),
            Some(row) => write!(f, "row {row}: {}", self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        let kind = match source.kind() {
            StoreErrorKind::NotFound => ErrorKind::NotFound,
            StoreErrorKind::AlreadyExists => ErrorKind::Conflict,
            StoreErrorKind::Denied => ErrorKind::ReadOnly,
            StoreErrorKind::NoSpace => ErrorKind::ResourceExhausted,
            StoreErrorKind::Busy => ErrorKind::Busy,
            StoreErrorKind::EndsFirst => ErrorKind::Corruption,
            StoreErrorKind::Unavailable | StoreErrorKind::Io => ErrorKind::Unavailable,
        };
        Self::caused(kind, source.to_string(), source)
    }
}

impl From<OpenError> for Error {
    fn from(source: OpenError) -> Self {
        match source {
            OpenError::Store(source) => source.into(),
            OpenError::Limit(_) | OpenError::Address(_) => Self::invalid(source.to_string()),
            OpenError::System(_) => {
                Self::caused(ErrorKind::ResourceExhausted, source.to_string(), source)
            }
        }
    }
}

impl From<OutOfMemory> for Error {
    fn from(source: OutOfMemory) -> Self {
        Self::caused(ErrorKind::ResourceExhausted, source.to_string(), source)
    }
}

impl From<AllocError> for Error {
    fn from(source: AllocError) -> Self {
        Self::caused(ErrorKind::ResourceExhausted, source.to_string(), source)
    }
}

impl From<ConfigError> for Error {
    fn from(source: ConfigError) -> Self {
        Self::caused(ErrorKind::InvalidArgument, source.to_string(), source)
    }
}

impl From<IdError> for Error {
    fn from(source: IdError) -> Self {
        Self::invalid(source.to_string())
    }
}

impl From<SchemaError> for Error {
    fn from(source: SchemaError) -> Self {
        Self::invalid(format!("schema: {source}"))
    }
}

impl From<DocumentError> for Error {
    fn from(source: DocumentError) -> Self {
        Self::invalid(source.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind::{self, *};

    /// What scripts, clients and bindings hold on to.
    const TABLE: [(ErrorKind, u8, u16, &str); 15] = [
        (InvalidArgument, 3, 400, "ValueError"),
        (NotFound, 4, 404, "KeyError"),
        (AlreadyExists, 5, 409, "FileExistsError"),
        (Conflict, 6, 409, "RuntimeError"),
        (ReadOnly, 7, 403, "PermissionError"),
        (Fenced, 8, 409, "RuntimeError"),
        (Busy, 9, 423, "BlockingIOError"),
        (ResourceExhausted, 10, 429, "MemoryError"),
        (Corruption, 11, 500, "RuntimeError"),
        (Unavailable, 12, 503, "ConnectionError"),
        (OutcomeUnknown, 13, 504, "RuntimeError"),
        (VersionGone, 14, 410, "KeyError"),
        (Unsupported, 15, 501, "NotImplementedError"),
        (Closed, 16, 503, "RuntimeError"),
        (Internal, 17, 500, "RuntimeError"),
    ];

    #[test]
    fn every_kind_has_its_code_status_and_exception() {
        let told = |kind: &ErrorKind| {
            (*kind, kind.exit_code(), kind.http_status(), kind.python_exception())
        };
        assert_eq!(ErrorKind::ALL.iter().map(told).collect::<Vec<_>>(), TABLE);
    }
}
