//! A segment: one immutable object that holds rows of a collection.
//!
//! Header, then sections, then one table of block checksums a section, then the directory that
//! says where they are, then a trailer by which a segment can be read without a manifest.

mod directory;
mod fields;
mod lookup;
mod rows;

pub use directory::{Directory, Section, SectionKind};
pub use fields::{
    Field, FieldKey, FieldSections, Fields, FieldsBuilder, KeyRange, MAX_FIELDS, PageReader, Place,
    Value as FieldValue, ValueKind, Within,
};
pub use lookup::Lookup;
pub use rows::{IdColumn, Spans, encode_spans};

use crate::checksum::checksum;
use crate::codec::{Decoder, Encoder};
use crate::version::{check_prefix, put_prefix};
use crate::{FormatError, Identity};

/// Bytes covered by one checksum within a section, unless its directory says otherwise.
pub const BLOCK_BYTES: u32 = 64 << 10;
/// Blocks are no larger than this, so that what a reader holds is bounded.
pub(crate) const MAX_BLOCK_BYTES: u32 = 1 << 20;
/// Blocks are no smaller than this, so that their checksums are few.
pub(crate) const MIN_BLOCK_BYTES: u32 = 64;
/// Sections begin at multiples of this.
pub const SECTION_ALIGN: u64 = 64;
/// Length of the header.
pub const SEGMENT_HEADER_BYTES: u64 = 64;

const MAGIC: [u8; 4] = *b"VGSG";
const WHAT: &str = "segment";

/// The first [`SEGMENT_HEADER_BYTES`] bytes: mark, version, collection, number, zeros, checksum.
pub fn segment_header(collection: Identity, number: u64) -> Vec<u8> {
    let mut out = Encoder::new();
    put_prefix(&mut out, MAGIC);
    out.u128(collection.0);
    out.u64(number);
    out.raw(&[0; 24]);
    let mut bytes = out.finish();
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Whether `bytes` are the header of that segment, in the version that this build reads.
///
/// # Errors
/// [`FormatError`] if they are anything else.
pub fn check_segment_header(
    bytes: &[u8],
    collection: Identity,
    number: u64,
) -> Result<(), FormatError> {
    check_prefix(&mut Decoder::new(WHAT, bytes), MAGIC, WHAT)?;
    let (found, expected) = (checksum(bytes), segment_header(collection, number));
    let expected = checksum(&expected);
    if found == expected {
        return Ok(());
    }
    Err(FormatError::Checksum { what: WHAT, offset: 0, expected, found })
}
