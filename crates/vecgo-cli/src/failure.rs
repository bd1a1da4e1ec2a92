use std::fmt;
use std::path::Path;

use vecgo::ErrorKind;

use crate::vector_file::VectorFileError;

/// Why a verb came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Option<ErrorKind>,
    message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind: Some(kind), message: message.into() }
    }

    /// Wrong usage: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: None, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::PermissionDenied => {
                ErrorKind::InvalidArgument
            }
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, format!("{}: {error}", path.display()))
    }

    pub(crate) fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.kind.map_or(2, ErrorKind::exit_code)
    }

    /// The kind's name; wrong usage is an invalid argument.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind.unwrap_or(ErrorKind::InvalidArgument)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<vecgo::Error> for Failure {
    fn from(error: vecgo::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<vecgo::ConfigError> for Failure {
    fn from(error: vecgo::ConfigError) -> Self {
        vecgo::Error::from(error).into()
    }
}

impl From<VectorFileError> for Failure {
    fn from(error: VectorFileError) -> Self {
        let kind = match &error {
            VectorFileError::Io { path, error } => return Self::file(path, error),
            VectorFileError::Malformed { .. } => ErrorKind::InvalidArgument,
        };
        Self::new(kind, error.to_string())
    }
}
