use thiserror::Error;

use crate::FormatVersion;

/// Why bytes could not be read as what they should be.
///
/// The caller adds which object the bytes came from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The bytes end before the structure does.
    #[error("{what} is cut short: {needed} bytes needed at byte {offset}, {found} there")]
    Truncated {
        /// The structure being read.
        what: &'static str,
        /// Where the missing bytes should begin.
        offset: usize,
        /// How many bytes were needed.
        needed: usize,
        /// How many bytes there were.
        found: usize,
    },
    /// The bytes are not what a checksum says they were.
    #[error("{what} is damaged: checksum {found:016x} at byte {offset}, expected {expected:016x}")]
    Checksum {
        /// The structure being read.
        what: &'static str,
        /// Where the covered bytes begin.
        offset: usize,
        /// The stored checksum.
        expected: u64,
        /// The checksum of the bytes found.
        found: u64,
    },
    /// The bytes begin with another mark than this kind of object has.
    #[error("not a {what}: it begins with {found:02x?}")]
    Magic {
        /// The structure expected.
        what: &'static str,
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Another build wrote the object.
    #[error(
        "{what} has format {found}; this build reads {supported}{}",
        found.why_not(*supported)
    )]
    Version {
        /// The structure being read.
        what: &'static str,
        /// Its version.
        found: FormatVersion,
        /// The version this build reads.
        supported: FormatVersion,
    },
    /// The object needs what this build does not know.
    #[error("{what} needs a newer build: {detail}")]
    Unknown {
        /// The structure being read.
        what: &'static str,
        /// What is not known.
        detail: String,
    },
    /// A value is outside what the structure allows.
    #[error("{what} is malformed at byte {offset}: {detail}")]
    Invalid {
        /// The structure being read.
        what: &'static str,
        /// Where the value stands.
        offset: usize,
        /// What was expected and what was found.
        detail: String,
    },
}
