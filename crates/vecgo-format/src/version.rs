use std::fmt;

use crate::FormatError;
use crate::codec::{Decoder, Encoder};

/// Which format a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatVersion {
    /// Counts releases of the format.
    pub version: u16,
    /// Counts changes of a version that is in the making; 0 once it is released.
    pub draft: u16,
}

/// Version of every format in this crate, which is written, and the only one so far that is read.
///
/// A released version is read by every later build. A change that older builds cannot read begins
/// the next version, with draft 1; each change after it raises the draft, until a release makes it
/// 0. Drafts are read by the builds that write them alone: a database of another is refused, not
/// guessed at.
pub const FORMAT_VERSION: FormatVersion = FormatVersion { version: 1, draft: 0 };

impl FormatVersion {
    /// Bytes of a mark and the version after it.
    pub(crate) const PREFIX_BYTES: usize = 8;

    /// Why a build that reads `supported` does not read this.
    pub(crate) fn why_not(self, supported: Self) -> &'static str {
        match self {
            Self { version: 0, .. } | Self { draft: 1.., .. } => {
                ": builds between releases do not read each other's files"
            }
            Self { version, .. } if version > supported.version => ": a newer build wrote it",
            _ => "",
        }
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { version: version @ 1.., draft: 0 } => write!(f, "version {version}"),
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
