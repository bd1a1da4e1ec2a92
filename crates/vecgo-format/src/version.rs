use std::fmt;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// Which format a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatVersion {
    /// Counts releases of the format.
    pub version: u16,
    /// Counts changes of version 0; 0 from the first release on.
    pub draft: u16,
}

/// Version of every format in this crate, and the only one that it reads. Until the first release
/// the version stays 0 and the format changes freely: each change raises the draft, so that a
/// database of another build is refused, not guessed at.
pub const FORMAT_VERSION: FormatVersion = FormatVersion { version: 0, draft: 12 };

impl FormatVersion {
    /// Bytes of a mark and the version after it.
    pub(crate) const PREFIX_BYTES: usize = 8;

    /// Why a build that reads `supported` does not read this.
    pub(crate) fn why_not(self, supported: Self) -> &'static str {
        match self.version {
            0 => ": builds before the first release do not read each other's files",
            found if found > supported.version => ": a newer build wrote it",
            _ => "",
        }
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { version, draft: 0 } if *version > 0 => write!(f, "version {version}"),
            Self { version, draft } => write!(f, "version {version}, draft {draft}"),
        }
    }
}

/// What every file begins with.
pub(crate) fn put_prefix(out: &mut Encoder, magic: [u8; 4]) {
    out.raw(&magic);
    out.u16(FORMAT_VERSION.version);
    out.u16(FORMAT_VERSION.draft);
}

/// Reads it. Before any checksum: where that stands may change with the version.
pub(crate) fn check_prefix(
    bytes: &mut Decoder<'_>,
    magic: [u8; 4],
    what: &'static str,
) -> Result<(), FormatError> {
    let mut found = [0u8; 4];
    found.copy_from_slice(bytes.raw(4)?);
    if found != magic {
        return Err(FormatError::Magic { what, found });
    }
    match (FormatVersion { version: bytes.u16()?, draft: bytes.u16()? }) {
        FORMAT_VERSION => Ok(()),
        found => Err(FormatError::Version { what, found, supported: FORMAT_VERSION }),
    }
}
