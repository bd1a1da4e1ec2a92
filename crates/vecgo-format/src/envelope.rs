//! What every small object has around its body: a mark, the format version, the body, and a
//! checksum over all of it.

use crate::FormatError;
use crate::checksum::checksum;
use crate::codec::{Decoder, Encoder};
use crate::version::{FormatVersion, check_prefix, put_prefix};

/// A kind of small object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) what: &'static str,
    pub(crate) magic: [u8; 4],
}

pub(crate) const MANIFEST: Kind = Kind { what: "manifest", magic: *b"VGMF" };
pub(crate) const CATALOGUE: Kind = Kind { what: "catalogue", magic: *b"VGCT" };
pub(crate) const DELETES: Kind = Kind { what: "delete object", magic: *b"VGDL" };
pub(crate) const BACKUP: Kind = Kind { what: "backup", magic: *b"VGBK" };
pub(crate) const PRUNE_PLAN: Kind = Kind { what: "prune plan", magic: *b"VGPP" };
pub(crate) const PIN: Kind = Kind { what: "pin", magic: *b"VGPN" };

const PREFIX_BYTES: usize = FormatVersion::PREFIX_BYTES;
const CHECKSUM_BYTES: usize = 8;

fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Encoder::new();
    put_prefix(&mut out, kind.magic);
    out.raw(body);
    let mut bytes = out.finish();
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The same and the checksum that names these very bytes.
pub(crate) fn seal_and_sum(kind: Kind, body: &[u8]) -> (Vec<u8>, u64) {
    let bytes = seal(kind, body);
    let sum = bytes.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail));
    (bytes, sum)
}

/// The body, and the checksum that names these very bytes.
pub(crate) fn open(kind: Kind, bytes: &[u8]) -> Result<(&[u8], u64), FormatError> {
    let what = kind.what;
    let Some(covered) = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|n| *n >= PREFIX_BYTES)
    else {
        return Err(FormatError::Truncated {
            what,
            offset: 0,
            needed: PREFIX_BYTES + CHECKSUM_BYTES,
            found: bytes.len(),
        });
    };
    let mut prefix = Decoder::new(what, bytes);
    check_prefix(&mut prefix, kind.magic, what)?;
    let expected = Decoder::new(what, &bytes[covered..]).u64()?;
    let found = checksum(&bytes[..covered]);
    if expected != found {
        return Err(FormatError::Checksum { what, offset: 0, expected, found });
    }
    Ok((&bytes[PREFIX_BYTES..covered], found))
}
